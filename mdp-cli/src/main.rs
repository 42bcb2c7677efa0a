//! The `mdp` program.
//!
//! `mdp broker --bind tcp://127.0.0.1:5555` runs a broker until SIGINT or SIGTERM. Standard output
//! has one line `bound ENDPOINT` for each endpoint; all else goes to standard error. The exit code is
//! 0 after an orderly stop, 1 when something failed, 2 when the command line or the configuration is
//! wrong.

mod args;
mod broker;
mod config;
mod stop;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let Command::Broker(args) = Args::parse().command;
    match broker::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("mdp: {:#}", failure.error);
            ExitCode::from(failure.code)
        }
    }
}

/// Why the program ends, and with which code.
#[derive(Debug)]
struct Failure {
    error: anyhow::Error,
    code: u8,
}

impl Failure {
    /// Something failed.
    fn failed(error: impl Into<anyhow::Error>) -> Self {
        Failure { error: error.into(), code: 1 }
    }

    /// What was asked for is wrong, as it is for a command line that clap refuses.
    fn wrong(error: impl Into<anyhow::Error>) -> Self {
        Failure { error: error.into(), code: 2 }
    }
}
