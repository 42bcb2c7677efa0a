//! Logs of many processes in one place: everything in one process, or each part in one of its own.
//!
//! `cargo run -p example-cloud-logger` runs all parts and tells a story; with `-- broker`, `-- logger`, `-- app`, `-- view` or `-- web`
//! it is one of them.

mod app;
mod demo;
mod viewer;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use example_cloud_logger::{parts, web};
use tokio::net::TcpListener;

use crate::app::Shop;
use crate::viewer::Viewer;

/// How long a part that ends waits for what runs.
const GRACE: Duration = Duration::from_secs(5);

/// Logs of many processes over the Majordomo Protocol. Without a command: all parts in one process.
#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Args)]
struct Place {
    /// Where the broker listens.
    #[arg(long, default_value = "tcp://127.0.0.1:5557")]
    endpoint: String,
}

#[derive(Subcommand)]
enum Part {
    /// Passes batches and records on, until Ctrl-C.
    Broker {
        #[command(flatten)]
        place: Place,
    },
    /// Stores what comes, and shows it to viewers, until Ctrl-C. There may be several of these on one database.
    Logger {
        #[command(flatten)]
        place: Place,
        /// The worker's name, one for each worker.
        #[arg(long, default_value = "logger-1")]
        id: String,
        /// The database.
        #[arg(long, default_value = "cloud-log.db")]
        db: PathBuf,
        /// How many events are kept, the newest ones.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        keep: u64,
    },
    /// A program that logs, of a made-up shop. What it logs is shipped; what its own logger has to complain of is on its
    /// standard error, by RUST_LOG.
    App {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        app: Shop,
    },
    /// Shows the log in the terminal, as it comes, until Ctrl-C.
    View {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        viewer: Viewer,
    },
    /// Shows the log as a web page, until Ctrl-C.
    Web {
        #[command(flatten)]
        place: Place,
        /// Where the page is. It asks for no password: who reaches it reads the log.
        #[arg(long, default_value = "127.0.0.1:8557")]
        listen: String,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Line::parse().part {
        None => demo::run().await,
        Some(Part::Broker { place }) => broker(place).await,
        Some(Part::Logger { place, id, db, keep }) => {
            let (worker, logger) = parts::logger(&place.endpoint, &id, &db, keep)?;
            let worker = worker.start()?;
            println!("{id} keeps the log in {}", db.display());
            mdp_runtime::shutdown_signal().await;
            logger.close();
            worker.shutdown(GRACE).await;
            Ok(())
        }
        Some(Part::App { place, app }) => app.run(&place.endpoint).await,
        Some(Part::View { place, viewer }) => viewer.run(&place.endpoint).await,
        Some(Part::Web { place, listen }) => {
            let listener = TcpListener::bind(&listen).await;
            let listener = listener.with_context(|| format!("cannot listen at {listen}"))?;
            println!("the log is at http://{}/", listener.local_addr()?);
            let client = parts::client(&place.endpoint).open_lazy()?;
            Ok(web::serve(listener, client, mdp_runtime::shutdown_signal()).await?)
        }
    }
}

async fn broker(place: Place) -> Result<()> {
    let broker = parts::broker(&place.endpoint)?;
    println!("the broker listens at {}", broker.endpoints().join(", "));
    mdp_runtime::shutdown_signal().await;
    broker.shutdown(GRACE).await;
    Ok(())
}
