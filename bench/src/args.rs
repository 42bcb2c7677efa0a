//! What may be said on the command line.

use clap::{Parser, Subcommand, ValueEnum};

use crate::load::Load;

#[derive(Debug, Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

/// How much is measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// How often each case is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long one measurement takes, after a quarter of that to warm up.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Three short rounds, done within a minute.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Calls in flight, one case each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 256, 4096])]
    pub(crate) in_flight: Vec<usize>,
    /// Only streams.
    #[arg(long)]
    pub(crate) streams: bool,
    /// Only plain MDP.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Also with the other flavors of tokio in client and worker.
    #[arg(long)]
    pub(crate) flavors: bool,
}

/// The program's roles when it starts itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// ROUTER and DEALER with zmq_proxy between them.
    #[command(hide = true)]
    RelayProxy,
    /// Sends back what it gets.
    #[command(hide = true)]
    RelayWorker { endpoint: String },
    /// Keeps a window of requests in flight.
    #[command(hide = true)]
    RelayClient {
        endpoint: String,
        #[command(flatten)]
        load: Load,
    },
    /// A ROUTER that passes what one DEALER sends on to another one.
    #[command(hide = true)]
    OneWayRelay,
    /// Sends without end.
    #[command(hide = true)]
    OneWayWorker { endpoint: String },
    /// Counts what comes.
    #[command(hide = true)]
    OneWayClient {
        endpoint: String,
        #[command(flatten)]
        load: Load,
    },
    /// Moves the frames of MDP/0.2.
    #[command(hide = true)]
    PlainRelay,
    /// Workers of MDP/0.2.
    #[command(hide = true)]
    PlainWorker { endpoint: String },
    /// A client of MDP/0.2 that keeps a window of requests in flight.
    #[command(hide = true)]
    PlainClient {
        endpoint: String,
        #[command(flatten)]
        load: Load,
    },
    /// This project's broker.
    #[command(hide = true)]
    TypedBroker,
    /// This project's worker.
    #[command(hide = true)]
    TypedWorker { endpoint: String, flavor: Flavor },
    /// This project's client, with a task for each call in flight.
    #[command(hide = true)]
    TypedClient {
        endpoint: String,
        flavor: Flavor,
        #[command(flatten)]
        load: Load,
    },
    /// This project's client, with one call whose replies stream.
    #[command(hide = true)]
    StreamClient {
        endpoint: String,
        flavor: Flavor,
        #[command(flatten)]
        load: Load,
    },
}

/// A flavor of tokio's runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flavor {
    /// All tasks on one thread.
    Current,
    /// A thread for each core.
    Multi,
}

impl Flavor {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Flavor::Current => "current",
            Flavor::Multi => "multi",
        }
    }
}
