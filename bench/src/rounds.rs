//! The rounds: each case in turn, again and again, so that what disturbs the machine meets all.

use std::time::Duration;

use anyhow::Result;

use crate::args::{Flavor, Settings};
use crate::load::{Found, Load};
use crate::process::Process;
use crate::report::{self, Series};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Relay,
    /// A relay one way.
    OneWay,
    /// A stream of replies.
    Stream,
    /// A relay of MDP/0.2's frames.
    PlainRelay,
    /// Peers of MDP/0.2 at this project's broker.
    Plain,
    Typed {
        client: Flavor,
        worker: Flavor,
    },
}

/// What one measurement gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) calls_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Processor time a call: broker or proxy, worker, client.
    pub(crate) cpu_us: [f64; 3],
}

/// Requests of MDP/0.2 in flight.
pub(crate) const PLAIN_IN_FLIGHT: usize = 256;

/// The sides that are compared unless more are asked for.
pub(crate) const TYPED: Side = Side::Typed { client: Flavor::Current, worker: Flavor::Current };

pub(crate) fn run(settings: &Settings) -> Result<()> {
    let (rounds, seconds) = match settings.quick {
        true => (3, 1.0),
        false => (settings.rounds, settings.seconds),
    };
    let ms = (seconds * 1000.0) as u64;
    let mut series = series(settings);
    let cases = series.len();
    for round in 0..rounds {
        for number in 0..cases {
            // Every second round the other way round: whoever comes first is not always the same.
            let number = if round % 2 == 0 { number } else { cases - 1 - number };
            let Some(case) = series.get_mut(number) else { continue };
            let load = Load { in_flight: case.in_flight, warm_up_ms: ms / 4, measure_ms: ms };
            let sample = case.side.measure(load)?;
            eprintln!(
                "round {} of {rounds}: {:<28} {:>5} in flight {:>9.0} calls/s, p50 {:>7.1} us",
                round + 1,
                case.side.name(),
                case.in_flight,
                sample.calls_per_s,
                sample.p50_us,
            );
            case.samples.push(sample);
        }
    }
    report::print(&series);
    Ok(())
}

fn series(settings: &Settings) -> Vec<Series> {
    let of = |side, in_flight| Series { side, in_flight, samples: Vec::new() };
    let streams = [Side::OneWay, Side::Stream].map(|side| of(side, 1));
    let plain = [Side::PlainRelay, Side::Plain].map(|side| of(side, PLAIN_IN_FLIGHT));
    if settings.streams || settings.plain {
        let wanted = |case: &Series| match case.side {
            Side::PlainRelay | Side::Plain => settings.plain,
            _ => settings.streams,
        };
        return streams.into_iter().chain(plain).filter(wanted).collect();
    }
    let mut sides = vec![Side::Relay, TYPED];
    if settings.flavors {
        let all = [Flavor::Current, Flavor::Multi];
        let pairs = all.iter().flat_map(|client| all.map(|worker| (*client, worker)));
        let typed = pairs.map(|(client, worker)| Side::Typed { client, worker });
        sides.extend(typed.filter(|side| *side != TYPED));
    }
    let cases = settings
        .in_flight
        .iter()
        .flat_map(|in_flight| sides.iter().map(move |side| of(*side, *in_flight)));
    cases.chain(streams).chain(plain).collect()
}

/// Three processes: what is between, worker, client.
struct Cast {
    between: Process,
    worker: Process,
    client: Process,
}

impl Side {
    pub(crate) fn name(self) -> String {
        match self {
            Side::Relay => "zmq_proxy relay".into(),
            Side::OneWay => "one-way relay, items".into(),
            Side::Stream => "typed stream, items".into(),
            Side::PlainRelay => "relay of MDP/0.2's frames".into(),
            Side::Plain => "MDP/0.2 through the broker".into(),
            TYPED => "typed".into(),
            Side::Typed { client, worker } => {
                format!("typed, {} client, {} worker", client.name(), worker.name())
            }
        }
    }

    fn measure(self, load: Load) -> Result<Sample> {
        let cast = self.start(load)?;
        cast.client.expect("begin", Duration::from_millis(load.warm_up_ms))?;
        let before = cast.cpu()?;
        cast.client.expect("end", Duration::from_millis(load.measure_ms))?;
        let after = cast.cpu()?;
        let found = Found::read(&cast.client.line(Duration::ZERO)?)?;
        let calls = found.calls as f64;
        let mut cpu_us = [0.0; 3];
        for ((cpu_us, before), after) in cpu_us.iter_mut().zip(before).zip(after) {
            *cpu_us = after.saturating_sub(before).as_secs_f64() * 1e6 / calls;
        }
        Ok(Sample {
            calls_per_s: calls * 1000.0 / load.measure_ms as f64,
            p50_us: found.p50_ns as f64 / 1000.0,
            p99_us: found.p99_ns as f64 / 1000.0,
            cpu_us,
        })
    }

    fn start(self, load: Load) -> Result<Cast> {
        let soon = Duration::ZERO;
        let (between, worker, client) = match self {
            Side::Relay => ("relay-proxy", "relay-worker", "relay-client"),
            Side::OneWay => ("one-way-relay", "one-way-worker", "one-way-client"),
            Side::Stream => ("typed-broker", "typed-worker", "stream-client"),
            Side::PlainRelay => ("plain-relay", "plain-worker", "plain-client"),
            Side::Plain => ("typed-broker", "plain-worker", "plain-client"),
            Side::Typed { .. } => ("typed-broker", "typed-worker", "typed-client"),
        };
        let between = Process::start(between, &[])?;
        let endpoints = between.expect("ready", soon)?;
        let front = endpoints.first().cloned().unwrap_or_default();
        let back = endpoints.last().cloned().unwrap_or_default();
        let (of_worker, of_client) = match self {
            Side::Relay | Side::OneWay | Side::PlainRelay | Side::Plain => {
                (vec![back], vec![front])
            }
            Side::Stream => {
                let flavor = || Flavor::Current.name().into();
                (vec![back, flavor()], vec![front, flavor()])
            }
            Side::Typed { client, worker } => {
                (vec![back, worker.name().into()], vec![front, client.name().into()])
            }
        };
        let worker = Process::start(worker, &of_worker)?;
        worker.expect("ready", soon)?;
        let numbers =
            [load.in_flight.to_string(), load.warm_up_ms.to_string(), load.measure_ms.to_string()];
        let client = Process::start(client, &[of_client, numbers.to_vec()].concat())?;
        Ok(Cast { between, worker, client })
    }
}

impl Cast {
    fn cpu(&self) -> Result<[Duration; 3]> {
        Ok([self.between.cpu()?, self.worker.cpu()?, self.client.cpu()?])
    }
}
