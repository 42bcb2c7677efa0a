//! What may be said on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::load::Load;
use crate::peers::crowd::CrowdArgs;
use crate::peers::typed::{BrokerArgs, PeerArgs};

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
    /// Three short rounds of what has a target, done within 90 seconds.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only what this is a part of the name of: a group of cases, or a ratio. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Where the table, the figures and the plot are written.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub(crate) out: PathBuf,
    /// Compares with the last run that is kept in DIR/history. Each run is kept there, up to 50.
    #[arg(long)]
    pub(crate) history: bool,
    /// Only says what there is to measure.
    #[arg(long)]
    pub(crate) list: bool,
}

/// The program's roles when it starts itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// ROUTER and DEALER with zmq_proxy between them.
    #[command(hide = true)]
    RelayProxy,
    /// Sends back what it gets.
    #[command(hide = true)]
    RelayWorker {
        endpoint: String,
        #[arg(long, default_value_t = 1)]
        workers: usize,
    },
    /// A blocking client of the relay.
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
    ClassicRelay,
    /// Workers of MDP/0.2.
    #[command(hide = true)]
    ClassicWorker { endpoint: String },
    /// A client of MDP/0.2 that keeps a window of requests in flight.
    #[command(hide = true)]
    ClassicClient {
        endpoint: String,
        #[command(flatten)]
        load: Load,
    },
    /// nats-server, and who ends it.
    #[command(hide = true)]
    NatsServer,
    /// Answers requests over NATS.
    #[command(hide = true)]
    NatsWorker {
        endpoint: String,
        #[arg(long, default_value_t = 1)]
        workers: usize,
    },
    /// Makes requests over NATS.
    #[command(hide = true)]
    NatsClient {
        endpoint: String,
        #[command(flatten)]
        load: Load,
    },
    /// tonic's server.
    #[command(hide = true)]
    TonicWorker,
    /// tonic's client.
    #[command(hide = true)]
    TonicClient {
        endpoint: String,
        #[command(flatten)]
        load: Load,
    },
    /// tarpc's server.
    #[command(hide = true)]
    TarpcWorker,
    /// tarpc's client.
    #[command(hide = true)]
    TarpcClient {
        endpoint: String,
        #[command(flatten)]
        load: Load,
    },
    /// This project's broker.
    #[command(hide = true)]
    TypedBroker(BrokerArgs),
    /// This project's workers.
    #[command(hide = true)]
    TypedWorker {
        endpoint: String,
        #[arg(long, default_value_t = 1)]
        workers: usize,
        #[command(flatten)]
        args: PeerArgs,
    },
    /// This project's client.
    #[command(hide = true)]
    TypedClient {
        endpoint: String,
        #[command(flatten)]
        args: PeerArgs,
        #[command(flatten)]
        load: Load,
    },
    /// This project's client, with one call whose replies stream.
    #[command(hide = true)]
    StreamClient {
        endpoint: String,
        #[command(flatten)]
        args: PeerArgs,
        #[command(flatten)]
        load: Load,
    },
    /// This project's worker, with little room.
    #[command(hide = true)]
    SlowWorker { endpoint: String },
    /// A client that asks it for more than it can do.
    #[command(hide = true)]
    SlowClient {
        endpoint: String,
        #[arg(long)]
        timeout_ms: u64,
        #[command(flatten)]
        load: Load,
    },
    /// This project's client, with calls that wait.
    #[command(hide = true)]
    QueueClient { endpoint: String, calls: usize },
    /// Many idle peers of this project.
    #[command(hide = true)]
    Crowd(CrowdArgs),
    /// The code generator.
    #[command(hide = true)]
    Generator,
}
