//! Broker, worker and client in one process, over tcp.

use std::time::Duration;

use anyhow::{Context, Result};
use example_code_first::accounts::Accounts;
use example_code_first::client;
use example_code_first::service::AuthWorker;
use mdp_runtime::{Broker, Client, Worker};

#[tokio::main]
async fn main() -> Result<()> {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
    let endpoint = broker.endpoints().first().context("the broker is bound nowhere")?.clone();
    let worker = Worker::builder().connect(&endpoint).serve(AuthWorker::new(Accounts)).start()?;
    for line in client::run(Client::connect(&endpoint).await?).await? {
        println!("{line}");
    }
    worker.shutdown(Duration::from_secs(5)).await;
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
