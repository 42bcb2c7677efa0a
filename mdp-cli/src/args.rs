//! Defines the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use mdp_runtime::Context;

use crate::bench::BenchArgs;
use crate::call::CallArgs;
use crate::completion::CompletionArgs;
use crate::describe::DescribeArgs;
use crate::doctor::DoctorArgs;
use crate::drain::DrainArgs;
use crate::list::ListArgs;
use crate::ping::PingArgs;
use crate::schema::check::CheckArgs;
use crate::schema::diff::DiffArgs;
use crate::stats::StatsArgs;
use crate::top::TopArgs;
use crate::watch::WatchArgs;

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let libzmq = Context::libzmq_version().unwrap_or_else(|| "without libzmq".into());
    format!("{} ({libzmq})", env!("CARGO_PKG_VERSION"))
});

/// Typed calls over the ZeroMQ Majordomo Protocol.
#[derive(Debug, Parser)]
#[command(name = "mdp", version = VERSION.as_str())]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Runs a broker until SIGINT, SIGTERM or `mdp drain broker`; a second signal stops it at once.
    ///
    /// Prints `bound ENDPOINT` for each endpoint when it is ready, and with CURVE `public-key KEY` before.
    Broker(BrokerArgs),
    /// Makes and shows keys for CURVE.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Makes one call and prints each reply as a line of JSON.
    Call(Box<CallArgs>),
    /// Puts load on a method of a running service, and prints how long its calls took.
    Bench(Box<BenchArgs>),
    /// Lists the services that a broker knows, and their workers.
    List(ListArgs),
    /// Prints the schema of a service as .proto text.
    Describe(DescribeArgs),
    /// Prints calls, errors and mean times of each method.
    Stats(StatsArgs),
    /// Shows services, workers and methods of a broker, live.
    Top(TopArgs),
    /// Measures the round trip to a broker, and through it to workers.
    Ping(PingArgs),
    /// Prints which workers join and leave.
    Watch(WatchArgs),
    /// Checks the connection to a broker, the broker and its workers, and shows what to fix.
    Doctor(DoctorArgs),
    /// Ends workers or a broker without losing calls.
    Drain(DrainArgs),
    /// Prints a script for a shell's completion of commands and options.
    Completion(CompletionArgs),
    /// Prints and compares schemas, which are descriptors in a file. `auth_service::schema().to_bytes()`, `protoc
    /// --descriptor_set_out` and `buf build -o` make such files.
    #[command(subcommand)]
    Schema(SchemaCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Prints descriptors as .proto files.
    ///
    /// Descriptors of google.protobuf are left out. The exit code is 2 if the descriptors cannot be read.
    Export(ExportArgs),
    /// Reports the breaking changes between two schemas, by buf's rules.
    ///
    /// What the services of the old schema use counts, and the files that --file names. A type that has another name
    /// and the same bytes breaks nothing, and is noted on standard error. The exit code is 0 without breaking changes, 1
    /// with breaking changes, 2 if a schema cannot be read or the broker does not give one.
    Check(Box<CheckArgs>),
    /// Prints all differences between two schemas in words, whether they break something or not.
    ///
    /// Comments, the order of declarations and google.protobuf do not count. The exit code is 0 without differences, 1
    /// with differences, 2 if one of the schemas cannot be read.
    Diff(DiffArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes a key pair: NAME.pub for everybody, NAME.key for its owner only.
    ///
    /// Prints the public key and the two files. Nothing is overwritten.
    New {
        /// The name of the files: letters, digits, `-`, `_` and `.`.
        name: String,
        /// The folder for the files. It must exist.
        #[arg(long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
        /// The format of the output.
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Prints the public key of a file, .pub or .key.
    ///
    /// The exit code is 1 if the file cannot be used. A secret key that other users than its owner can read is refused.
    Show {
        /// The file.
        file: PathBuf,
        /// The format of the output.
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// A google.protobuf.FileDescriptorSet; - for standard input.
    #[arg(value_name = "FILE.binpb")]
    pub(crate) file: PathBuf,
    /// Writes the files into this folder instead of printing them.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// The format of the output: the text, or a JSON list of objects with `name` and `text`.
    #[arg(long, value_enum, default_value = "text", conflicts_with = "out")]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BrokerArgs {
    /// An endpoint to listen on: tcp://HOST:PORT (PORT may be *) or ipc://PATH. Can be given several times. Replaces
    /// `bind` of the file.
    #[arg(long, value_name = "ENDPOINT", num_args = 1..)]
    pub(crate) bind: Vec<String>,
    /// Listens without encryption where other machines can connect. Without this flag such an endpoint needs `[curve]`
    /// in the file, or the broker does not start.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Lets each connected peer end workers and the broker with `mdp drain`. With a policy the flag has no effect: a
    /// principal needs the right `drain`.
    #[arg(long)]
    pub(crate) allow_drain: bool,
    /// A TOML file with the broker's settings.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to log, for example `debug` or `info,mdp_runtime=trace`. Default: the value of RUST_LOG, else `info`.
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// The time in seconds for running calls to end when a signal or `mdp drain broker` stops the broker.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) grace: Duration,
    /// The address that serves /metrics (Prometheus), /healthz and /readyz over HTTP without encryption, for example
    /// 127.0.0.1:9464. Default: not served.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
}

pub(crate) fn metadata(pair: &str) -> Result<(String, String), String> {
    match pair.split_once(':') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("this is not metadata; write KEY:VALUE".to_owned()),
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
