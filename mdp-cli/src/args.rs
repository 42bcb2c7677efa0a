//! The command line.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Parser, Subcommand};

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let (major, minor, patch) = zmq::version();
    let curve = if zmq::has("curve") == Some(true) { "with" } else { "without" };
    format!("{} (libzmq {major}.{minor}.{patch}, {curve} CURVE)", env!("CARGO_PKG_VERSION"))
});

/// Typed calls over the ZeroMQ Majordomo Protocol.
#[derive(Debug, Parser)]
#[command(name = "mdp", version = VERSION.as_str())]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a broker until SIGINT or SIGTERM; a second signal stops it at once.
    ///
    /// Prints `bound ENDPOINT` for each endpoint when it is ready.
    Broker(BrokerArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct BrokerArgs {
    /// Where to listen: tcp://HOST:PORT (PORT may be *), ipc://PATH. One or several; takes the
    /// place of the file's `bind`.
    #[arg(long, value_name = "ENDPOINT", num_args = 1..)]
    pub(crate) bind: Vec<String>,
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What is logged, `debug` or `info,mdp_runtime=trace` for instance; info if neither this nor
    /// RUST_LOG is given.
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How many seconds running calls have to end when the broker is told to stop.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) grace: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
