//! Typed calls through the broker beside libzmq alone, NATS, tonic and tarpc, on this machine.
//!
//! `cargo run --release -p mdp-bench` starts itself again as broker, worker and client of each
//! side, one after the other in many short rounds, and compares the medians. `docs/performance.md`
//! says what the figures mean.

mod args;
mod cases;
mod load;
mod machine;
mod peers;
mod process;
mod report;
mod rounds;
mod tap;

use anyhow::Result;
use clap::Parser;

use args::{Args, Part};
use peers::{classic, crowd, generator, nats, one_way, overload, relay, tarpc, tonic, typed};

fn main() -> Result<()> {
    let args = Args::parse();
    machine::allow_many_files();
    match args.part {
        None => rounds::run(&args.settings),
        Some(Part::NatsServer) => nats::server(), // ends with its parent by its own means
        Some(part) => {
            process::end_with_parent();
            play(part)
        }
    }
}

fn play(part: Part) -> Result<()> {
    match part {
        Part::RelayProxy => relay::proxy(),
        Part::RelayWorker { endpoint, workers } => relay::worker(&endpoint, workers),
        Part::RelayClient { endpoint, load } => relay::client(&endpoint, load),
        Part::OneWayRelay => one_way::relay(),
        Part::OneWayWorker { endpoint } => one_way::worker(&endpoint),
        Part::OneWayClient { endpoint, load } => one_way::client(&endpoint, load),
        Part::ClassicRelay => classic::relay(),
        Part::ClassicWorker { endpoint } => classic::worker(&endpoint),
        Part::ClassicClient { endpoint, load } => classic::client(&endpoint, load),
        Part::NatsServer => nats::server(),
        Part::NatsWorker { endpoint, workers } => nats::worker(&endpoint, workers),
        Part::NatsClient { endpoint, load } => nats::client(&endpoint, load),
        Part::TonicWorker => tonic::worker(),
        Part::TonicClient { endpoint, load } => tonic::client(&endpoint, load),
        Part::TarpcWorker => tarpc::worker(),
        Part::TarpcClient { endpoint, load } => tarpc::client(&endpoint, load),
        Part::TypedBroker(args) => typed::broker(&args),
        Part::TypedWorker { endpoint, workers, args } => typed::worker(&endpoint, &args, workers),
        Part::TypedClient { endpoint, args, load } => typed::client(&endpoint, &args, load),
        Part::StreamClient { endpoint, args, load } => typed::stream(&endpoint, &args, load),
        Part::SlowWorker { endpoint } => overload::worker(&endpoint),
        Part::SlowClient { endpoint, timeout_ms, load } => {
            overload::client(&endpoint, timeout_ms, load)
        }
        Part::QueueClient { endpoint, calls } => typed::queue(&endpoint, calls),
        Part::Crowd(args) => crowd::run(&args),
        Part::Generator => generator::run(),
    }
}
