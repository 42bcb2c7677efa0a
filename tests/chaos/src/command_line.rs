//! The program's command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::faults::{self, overload};
use crate::parts::{self, ClientArgs, WorkerArgs};
use crate::program::Setup;
use crate::report;

/// Faults under load, and which promises they leave.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Each fault at its full length; what is found goes into docs/reliability.md.
    #[arg(long)]
    full: bool,
    /// These faults only, by their ids.
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Calls a second of the standard load, for a machine that does not carry it. Default: 2,000 in full, else 200.
    #[arg(long)]
    rate: Option<f64>,
    /// Prints the table of faults.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    overload: overload::OverloadArgs,
}

#[derive(Subcommand)]
enum Part {
    /// A worker of a run.
    Worker(WorkerArgs),
    /// A client's process of a run.
    Client(ClientArgs),
}

/// What the program does.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.part {
        Some(Part::Worker(args)) => return ended(parts::worker(args)),
        Some(Part::Client(args)) => return ended(parts::client(args)),
        None => {}
    }
    if arguments.list {
        for fault in faults::FAULTS {
            println!("{}: {}\n  {}\n  {}\n", fault.id, fault.title, fault.done, fault.promise);
        }
        return ExitCode::SUCCESS;
    }
    let mut setup = Setup::new(std::env::current_exe().unwrap(), arguments.full);
    setup.rate = arguments.rate;
    if arguments.overload.is_given() {
        print!("{}", overload::alone(&setup, &arguments.overload).text());
        return ExitCode::SUCCESS;
    }
    let mut broken = Vec::new();
    let wanted =
        |id: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == id);
    for fault in faults::FAULTS.iter().filter(|fault| wanted(fault.id)) {
        let ran = report::Ran::now();
        let reports = faults::run(fault, &setup);
        for report in &reports {
            print!("{}", report.text());
            broken.extend(report.broken().iter().map(|words| format!("{}: {words}", fault.id)));
        }
        if arguments.full {
            report::keep(fault.id, fault.title, fault.done, &reports, &ran);
        }
    }
    if broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nnot kept:");
    broken.iter().for_each(|words| println!("  {words}"));
    ExitCode::FAILURE
}

fn ended(result: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
