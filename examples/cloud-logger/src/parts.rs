//! The parts, ready to start: in one process or each in one of its own.

use std::path::Path;

use anyhow::Result;
use mdp_runtime::{Broker, Client, ClientBuilder, Worker, WorkerBuilder};

use crate::pb::log_worker::LogWorker;
use crate::pb::view_worker::ViewWorker;
use crate::service::Logger;
use crate::store::Store;

/// Batches that a logger worker stores at once; the others wait in the broker, and SQLite writes one after another anyway.
const WRITERS: u32 = 4;
/// Viewers for each logger worker. A service of their own, so that they never keep a batch waiting.
const VIEWERS: u32 = 64;

/// A broker.
///
/// # Errors
///
/// The endpoint cannot be bound.
pub fn broker(endpoint: &str) -> Result<Broker> {
    Ok(Broker::builder().bind(endpoint).start()?)
}

/// A logger worker on this database, of which the newest `keep` events are kept; and its service, to be
/// [closed](Logger::close) when the worker is to end.
///
/// # Errors
///
/// The database cannot be opened.
pub fn logger(
    endpoint: &str,
    id: &str,
    database: &Path,
    keep: u64,
) -> Result<(WorkerBuilder, Logger)> {
    let logger = Logger::new(Store::open(database, keep)?);
    let worker = Worker::builder().connect(endpoint).id(id);
    let worker = worker.capacity(WRITERS).serve(LogWorker::new(logger.clone()));
    Ok((worker.capacity(VIEWERS).serve(ViewWorker::new(logger.clone())), logger))
}

/// The way to the broker, for programs that log and for viewers.
pub fn client(endpoint: &str) -> ClientBuilder {
    Client::builder().connect(endpoint)
}
