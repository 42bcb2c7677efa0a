//! All parts in one process, over tcp: a login, a refusal, and a worker that is stopped under a call.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mdp_runtime::{Broker, Client, Worker};
use tokio::sync::watch;

use crate::accounts::Accounts;
use crate::client::{be_refused, log_in};
use crate::pb::WhoAmIRequest;
use crate::pb::auth_client::AuthClient;
use crate::pb::auth_worker::AuthWorker;

/// Long enough to stop the worker in between.
const LOOKUP: Duration = Duration::from_millis(500);

pub(crate) async fn run() -> Result<()> {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
    let endpoint = broker.endpoints().first().context("the broker is bound nowhere")?.clone();
    let (first, mut first_busy) = worker(&endpoint, "w-1")?;
    let (second, mut second_busy) = worker(&endpoint, "w-2")?;
    let auth = AuthClient::new(Client::connect(&endpoint).await?);

    println!("1. a login that works");
    let token = log_in(&auth).await?;

    println!("2. a login that is refused");
    be_refused(&auth).await?;

    println!("3. a worker is stopped under a call");
    let request = WhoAmIRequest { token: Some(token) };
    let held = tokio::spawn(auth.who_am_i(request.clone()).send());
    let (stopped, name, remaining, other) = tokio::select! {
        _ = first_busy.wait_for(|busy| *busy) => (first, "w-1", second, "w-2"),
        _ = second_busy.wait_for(|busy| *busy) => (second, "w-2", first, "w-1"),
    };
    println!("    {name} is told to stop");
    stopped.shutdown(Duration::from_secs(5)).await;
    let response = held.await??;
    println!("    {name} has answered before it left: {}", response.message().full_name);
    ensure!(response.worker() == name.as_bytes(), "the call should have stayed where it was");

    println!("4. calls go on at the worker that remains");
    let response = auth.who_am_i(request).send().await?;
    println!("    {other} has answered: {}", response.message().full_name);
    ensure!(response.worker() == other.as_bytes(), "answered by a worker that has left");

    remaining.shutdown(Duration::from_secs(5)).await;
    broker.shutdown(Duration::from_secs(5)).await;
    println!("all went as expected");
    Ok(())
}

/// A worker, and whether it is busy.
fn worker(endpoint: &str, name: &str) -> Result<(Worker, watch::Receiver<bool>)> {
    let accounts = Arc::new(Accounts::new(name, LOOKUP));
    let service = AuthWorker::from_arc(Arc::clone(&accounts));
    let worker = Worker::builder().connect(endpoint).id(name).serve(service).start()?;
    Ok((worker, accounts.busy()))
}
