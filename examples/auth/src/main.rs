//! A login service: everything in one process, or each part in one of its own.
//!
//! `cargo run -p example-auth` runs all parts and tells a story; with `-- broker`, `-- worker` or
//! `-- client` it is one of them.

mod accounts;
mod client;
mod demo;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use mdp_runtime::{Broker, Worker};
use pb::auth_worker::AuthWorker;

use crate::accounts::Accounts;

#[allow(missing_docs, unreachable_pub)] // generated
mod pb {
    mdp_runtime::include_proto!("auth.v1");
}

const ENDPOINT: &str = "tcp://127.0.0.1:5555";

/// A login service over the Majordomo Protocol. Without a command: all parts in one process.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Passes calls on to workers, until Ctrl-C.
    Broker {
        /// Where to listen.
        #[arg(long, default_value = ENDPOINT)]
        endpoint: String,
    },
    /// Answers calls, until Ctrl-C.
    Worker {
        /// Where the broker listens.
        #[arg(long, default_value = ENDPOINT)]
        endpoint: String,
        /// The worker's name, one for each worker.
        #[arg(long, default_value = "w-1")]
        id: String,
        /// How many milliseconds it takes to look up an account.
        #[arg(long, default_value_t = 50)]
        lookup_ms: u64,
    },
    /// Logs in, is refused, and asks who it is.
    Client {
        /// Where the broker listens.
        #[arg(long, default_value = ENDPOINT)]
        endpoint: String,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Args::parse().part {
        None => demo::run().await,
        Some(Part::Broker { endpoint }) => broker(&endpoint).await,
        Some(Part::Worker { endpoint, id, lookup_ms }) => worker(&endpoint, id, lookup_ms).await,
        Some(Part::Client { endpoint }) => client::run(&endpoint).await,
    }
}

async fn broker(endpoint: &str) -> Result<()> {
    let broker = Broker::builder().bind(endpoint).start()?;
    println!("the broker listens at {}", broker.endpoints().join(", "));
    mdp_runtime::shutdown_signal().await;
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn worker(endpoint: &str, id: String, lookup_ms: u64) -> Result<()> {
    let accounts = Accounts::new(&id, Duration::from_millis(lookup_ms));
    // Until SIGINT or SIGTERM; what runs then is finished first.
    Worker::builder().connect(endpoint).id(id).serve(AuthWorker::new(accounts)).run().await?;
    Ok(())
}
