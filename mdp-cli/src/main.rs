//! The `mdp` program.
//!
//! `mdp broker --bind tcp://127.0.0.1:5555` runs a broker until SIGINT or SIGTERM. Standard output has one line `bound
//! ENDPOINT` for each endpoint, and with CURVE a line `public-key KEY` before them. All other output goes to standard
//! error. The exit code is 0 after an orderly stop, 1 after a failure, 2 if the command line or the configuration is
//! wrong.
//!
//! `mdp keys new` makes a key pair, `mdp keys show` prints the public key of a file.
//!
//! `mdp schema export` prints descriptors as `.proto` text. `mdp schema check` reports breaking changes between two
//! sets of descriptors, or with what the workers of a broker serve; `mdp schema diff` prints all differences in words.
//! The exit code of these two is 1 with breaking changes or differences. All have the exit code 2 if descriptors cannot
//! be read.
//!
//! `mdp call SERVICE/METHOD` makes one call in JSON. If the call fails, its exit code is 64 plus the status code.
//!
//! `mdp list`, `describe`, `ping`, `watch`, `doctor` and `drain` inspect or change a running broker, over its own
//! services (RFC 8).
//!
//! `mdp bench SERVICE/METHOD` puts load on a service. Its exit code is 1 if a call failed.

mod args;
mod bench;
mod broker;
mod call;
mod completion;
mod config;
mod connect;
mod contracts;
mod describe;
mod doctor;
mod drain;
mod keys;
mod list;
mod log;
mod management;
mod messages;
mod metrics;
mod ping;
mod profile;
#[cfg(test)]
mod reference;
mod schema;
mod stats;
mod stop;
mod supervisor;
mod top;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::args::{Args, CliCommand, SchemaCommand};

fn main() -> ExitCode {
    if let Err(error) = stop::end_process_one() {
        log::say(&format!("mdp: SIGTERM cannot end this process: {error}\n"));
    }
    let done = match Args::parse().command {
        CliCommand::Broker(args) => broker::run(args).map(|()| 0),
        CliCommand::Keys(command) => keys::run(&command).map(|()| 0),
        CliCommand::Schema(SchemaCommand::Export(args)) => schema::export(&args).map(|()| 0),
        CliCommand::Schema(SchemaCommand::Check(args)) => schema::check::run(&args),
        CliCommand::Schema(SchemaCommand::Diff(args)) => schema::diff::run(&args),
        CliCommand::Call(args) => call::run(&args),
        CliCommand::Bench(args) => bench::run(&args),
        CliCommand::List(args) => on_tokio(list::run(&args)),
        CliCommand::Describe(args) => on_tokio(describe::run(&args)),
        CliCommand::Stats(args) => on_tokio(stats::run(&args)),
        CliCommand::Top(args) => on_tokio(top::run(&args)),
        CliCommand::Ping(args) => on_tokio(ping::run(&args)),
        CliCommand::Watch(args) => on_tokio(watch::run(&args)),
        CliCommand::Doctor(args) => on_tokio(doctor::run(&args)),
        CliCommand::Drain(args) => on_tokio(drain::run(&args)),
        CliCommand::Completion(args) => completion::run(&args),
    };
    let code = done.unwrap_or_else(|failure| {
        log::say(&format!("mdp: {:#}\n", failure.error));
        failure.code
    });
    log::flush();
    ExitCode::from(code)
}

/// Runs a command that talks to a broker.
fn on_tokio<T>(done: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::failed)?.block_on(done)
}

/// Writes to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader has closed the pipe, so it needs no more output.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
}

/// The error that ends the program, and the exit code.
#[derive(Debug)]
struct Failure {
    error: anyhow::Error,
    code: u8,
}

impl Failure {
    /// An operation failed.
    fn failed(error: impl Into<anyhow::Error>) -> Self {
        Failure { error: error.into(), code: 1 }
    }

    /// The request is wrong, like a command line that clap refuses.
    fn wrong(error: impl Into<anyhow::Error>) -> Self {
        Failure { error: error.into(), code: 2 }
    }
}
