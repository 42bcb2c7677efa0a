//! The parts, ready to start: in one process or each in one of its own.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::Result;
use mdp_runtime::{Broker, Client, ClientBuilder, Worker, WorkerBuilder};

use crate::auth::{Accounts, Limits};
use crate::caller::Callers;
use crate::clock::Clock;
use crate::hooks::TokenHooks;
use crate::notes::Notebook;
use crate::pb::auth_worker::AuthWorker;
use crate::pb::notes_worker::NotesWorker;
use crate::setup::{AUTH, NOTES, Setup};
use crate::store::Store;
use crate::token::Tokens;

/// A broker that gives tokens and checks them.
///
/// # Errors
///
/// A key or the policy cannot be read, or the endpoint cannot be bound.
pub fn broker(setup: &Setup, endpoint: &str, tokens: Arc<Tokens>) -> Result<Broker> {
    let builder = Broker::builder().bind(endpoint).curve(setup.server()?);
    Ok(builder.policy_file(setup.policy()).hooks(TokenHooks::new(tokens)).start()?)
}

/// An Auth worker on this database. It takes as many calls at once as there are processors: each hash keeps one of them
/// busy, and takes 19 MiB. A hash whose call has ended counts until it is done.
///
/// # Errors
///
/// A key cannot be read, or the database cannot be opened.
pub fn auth(
    setup: &Setup,
    endpoint: &str,
    id: &str,
    database: &Path,
    clock: Clock,
    limits: Limits,
) -> Result<WorkerBuilder> {
    let accounts = Accounts::new(Store::open(database)?, clock, limits)?;
    let capacity = available_parallelism().map_or(1, NonZero::get);
    Ok(Worker::builder()
        .connect(endpoint)
        .curve(setup.curve(AUTH)?)
        .id(id)
        .capacity(u32::try_from(capacity).unwrap_or(u32::MAX))
        .intercept(Callers)
        .serve(AuthWorker::new(accounts)))
}

/// A Notes worker.
///
/// # Errors
///
/// A key cannot be read.
pub fn notes(setup: &Setup, endpoint: &str) -> Result<WorkerBuilder> {
    let service = NotesWorker::new(Notebook::new());
    let builder = Worker::builder().connect(endpoint).curve(setup.curve(NOTES)?);
    Ok(builder.intercept(Callers).serve(service))
}

/// A client on a device. It is nobody's yet: a [`Session`](crate::session::Session) logs a user in.
///
/// # Errors
///
/// A key cannot be read.
pub fn client(setup: &Setup, endpoint: &str, device: &str) -> Result<ClientBuilder> {
    Ok(Client::builder().connect(endpoint).curve(setup.curve(device)?))
}
