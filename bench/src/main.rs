//! Typed calls through the broker against a raw libzmq relay, side by side on this machine.
//!
//! `cargo run --release -p mdp-bench` starts itself again as broker, worker and client of each
//! side, one after the other in many short rounds, and compares the medians. `docs/performance.md`
//! says what the figures mean.

mod args;
mod load;
mod one_way;
mod plain;
mod process;
mod relay;
mod report;
mod rounds;
mod typed;

use anyhow::Result;
use clap::Parser;

use args::{Args, Part};

fn main() -> Result<()> {
    let args = Args::parse();
    match args.part {
        None => rounds::run(&args.settings),
        Some(part) => {
            process::end_with_parent();
            play(part)
        }
    }
}

fn play(part: Part) -> Result<()> {
    match part {
        Part::RelayProxy => relay::proxy(),
        Part::RelayWorker { endpoint } => relay::worker(&endpoint),
        Part::RelayClient { endpoint, load } => relay::client(&endpoint, load),
        Part::OneWayRelay => one_way::relay(),
        Part::OneWayWorker { endpoint } => one_way::worker(&endpoint),
        Part::OneWayClient { endpoint, load } => one_way::client(&endpoint, load),
        Part::PlainRelay => plain::relay(),
        Part::PlainWorker { endpoint } => plain::worker(&endpoint),
        Part::PlainClient { endpoint, load } => plain::client(&endpoint, load),
        Part::TypedBroker => typed::broker(),
        Part::TypedWorker { endpoint, flavor } => typed::worker(&endpoint, flavor),
        Part::TypedClient { endpoint, flavor, load } => typed::client(&endpoint, flavor, load),
        Part::StreamClient { endpoint, flavor, load } => typed::stream(&endpoint, flavor, load),
    }
}
