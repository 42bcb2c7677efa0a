//! What is measured. A case belongs to a group and is one side of it; the sides of a group stand side by side.

mod crowded;
mod growth;
mod list;
mod memory;
mod open;
mod sample;
mod sides;

use std::time::Duration;

use anyhow::{Context, Result};
use mdp_runtime::security::KeyPair;
use tempfile::TempDir;

use crate::load::{Load, PAYLOAD};
use crate::peers::overload;
use crate::process::Process;
use crate::tap::Tap;

pub(crate) use list::all;
pub(crate) use sample::{Figure, Sample};
pub(crate) use sides::Side;

/// One thing to measure.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Such as `unary-256`.
    pub(crate) group: &'static str,
    /// Such as `typed`.
    pub(crate) side: &'static str,
    pub(crate) what: What,
    /// Takes long, or hardly moves: one round is enough when there is little time.
    pub(crate) slow: bool,
}

/// How it is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// A number of calls in flight, of so many bytes.
    Calls { side: Side, in_flight: usize, bytes: usize },
    /// Many connections, each with some calls in flight, and several workers.
    Many { side: Side, shape: Shape },
    /// The bytes of 256 calls in flight on the client's connection.
    Overhead(Side),
    /// Calls at a fixed rate.
    Open(Side),
    /// Calls at so many times the rate that a slow worker can do; 0: as many as it can do. Of those that end well, the rate.
    Overload { timeout_ms: u64, times: u32 },
    /// Calls among idle peers.
    Growth(Option<growth::Crowd>),
    /// What the broker needs for each of them.
    Memory(memory::Of),
    /// Very many peers at rest, with CURVE or without.
    Rest { curve: bool },
    /// Very many clients that come back at once.
    Back { curve: bool },
    /// The code generator.
    Generator,
}

/// How many peers there are, and what they do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Connections of clients.
    connections: usize,
    /// Calls in flight over each.
    each: usize,
    workers: usize,
}

/// What all measurements have in common.
#[derive(Debug)]
pub(crate) struct Stage {
    warm_up_ms: u64,
    measure_ms: u64,
    /// Key pairs of a broker and a peer.
    keys: TempDir,
}

impl Case {
    /// Whether it needs a program that may be missing.
    pub(crate) fn needs_nats(&self) -> bool {
        match self.what {
            What::Calls { side, .. }
            | What::Many { side, .. }
            | What::Overhead(side)
            | What::Open(side) => side.needs_nats(),
            _ => false,
        }
    }

    pub(crate) fn measure(&self, stage: &Stage) -> Result<Sample> {
        let found = match self.what {
            What::Calls { side, in_flight, bytes } => {
                let servers = side.start(stage, false)?;
                servers.measure(stage.closed(in_flight, bytes), None)
            }
            What::Many { side, shape: Shape { connections, each, workers } } => {
                let servers = side.start_with(stage, false, workers)?;
                let load = stage.closed(connections * each, PAYLOAD);
                servers.measure(Load { connections, ..load }, None)
            }
            What::Overhead(side) => overhead(side, stage),
            What::Open(side) => open::measure(side, stage),
            What::Overload { timeout_ms, times } => {
                let servers = Side::Slow(timeout_ms).start(stage, false)?;
                let rate = f64::from(times) * overload::CAPACITY;
                servers.measure(Load { rate, ..stage.closed(8, PAYLOAD) }, None)
            }
            What::Growth(crowd) => growth::measure(crowd, stage),
            What::Memory(of) => memory::measure(of, stage),
            What::Rest { curve } => crowded::rest(stage, curve),
            What::Back { curve } => crowded::back(stage, curve),
            What::Generator => generator(),
        };
        found.with_context(|| format!("{}/{}", self.group, self.side))
    }
}

impl Stage {
    pub(crate) fn new(measure: Duration) -> Result<Self> {
        let keys = tempfile::tempdir().context("a folder for keys")?;
        for name in ["broker", "peer"] {
            KeyPair::create(keys.path(), name)?;
        }
        let measure_ms = u64::try_from(measure.as_millis())?;
        Ok(Stage { warm_up_ms: measure_ms / 4, measure_ms, keys })
    }

    /// The arguments of a broker or a peer with CURVE.
    fn keys(&self) -> Vec<String> {
        vec!["--keys".into(), self.keys.path().display().to_string()]
    }

    /// A number of calls in flight.
    fn closed(&self, in_flight: usize, bytes: usize) -> Load {
        let (warm_up_ms, measure_ms) = (self.warm_up_ms, self.measure_ms);
        Load { in_flight, connections: 1, bytes, rate: 0.0, warm_up_ms, measure_ms }
    }
}

/// What travels on the client's connection for each call, both messages together, less the payload as it is written:
/// 64 bytes, and where there is protobuf its two in front of them.
fn overhead(side: Side, stage: &Stage) -> Result<Sample> {
    let servers = side.start(stage, false)?;
    let tap = Tap::before(servers.front())?;
    let sample = servers.measure(stage.closed(256, PAYLOAD), Some(&tap))?;
    let payload = PAYLOAD + if side.has_protobuf() { 2 } else { 0 };
    let bytes = sample.get(Figure::Bytes).context("the tap counted nothing")?;
    Ok(sample.with(Figure::Bytes, bytes - 2.0 * payload as f64))
}

fn generator() -> Result<Sample> {
    let process = Process::start("generator", &[])?;
    let seconds = process.expect("done", Duration::from_secs(60))?;
    let seconds: Vec<f64> = seconds.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [all, messages] = seconds[..] else { anyhow::bail!("two times were expected") };
    let sample = Sample::default().with(Figure::Seconds, all);
    Ok(sample.with(Figure::SecondsOfProst, messages))
}
