//! Who is measured: the processes of each side, and a measurement with them.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Figure, Sample, Stage};
use crate::load::{Found, Load};
use crate::peers::MULTI_THREAD;
use crate::process::Process;
use crate::tap::Tap;

/// One of those who are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Typed,
    /// A stream of replies.
    Stream,
    /// With CURVE, without a policy and with one that knows the peer by its key.
    Curve,
    CurvePolicy,
    /// With a policy for peers without a key.
    Policy,
    /// With a broker whose counters are looked at ten times a second.
    Scraped,
    /// A worker with little room, and calls with a timeout of so many milliseconds.
    Slow(u64),
    /// libzmq alone.
    Raw,
    /// libzmq alone, one way.
    OneWay,
    /// Peers of MDP/0.2 at this project's broker.
    Classic,
    /// A relay of MDP/0.2's frames.
    ClassicRelay,
    Nats,
    Tonic,
    Tarpc,
    /// The same with tokio's other flavor, a thread for each core.
    TypedMulti,
    NatsMulti,
    TonicMulti,
    TarpcMulti,
}

/// What clients of a side need.
#[derive(Debug)]
pub(crate) struct Servers {
    /// `None`: clients speak to the worker.
    middle: Option<Process>,
    worker: Process,
    front: String,
    back: String,
    client: &'static str,
    of_client: Vec<String>,
    environment: &'static [(&'static str, &'static str)],
}

/// The processor time of what stands between, the worker and the client.
type Cpu = [Duration; 3];

impl Side {
    /// The roles of what stands between, the worker and the client.
    fn roles(self) -> (Option<&'static str>, &'static str, &'static str) {
        match self {
            Side::Typed
            | Side::TypedMulti
            | Side::Curve
            | Side::CurvePolicy
            | Side::Policy
            | Side::Scraped => (Some("typed-broker"), "typed-worker", "typed-client"),
            Side::Slow(_) => (Some("typed-broker"), "slow-worker", "slow-client"),
            Side::Stream => (Some("typed-broker"), "typed-worker", "stream-client"),
            Side::Raw => (Some("relay-proxy"), "relay-worker", "relay-client"),
            Side::OneWay => (Some("one-way-relay"), "one-way-worker", "one-way-client"),
            Side::Classic => (Some("typed-broker"), "classic-worker", "classic-client"),
            Side::ClassicRelay => (Some("classic-relay"), "classic-worker", "classic-client"),
            Side::Nats | Side::NatsMulti => (Some("nats-server"), "nats-worker", "nats-client"),
            Side::Tonic | Side::TonicMulti => (None, "tonic-worker", "tonic-client"),
            Side::Tarpc | Side::TarpcMulti => (None, "tarpc-worker", "tarpc-client"),
        }
    }

    /// Whether it is nats-server that stands between.
    pub(super) fn needs_nats(self) -> bool {
        matches!(self, Side::Nats | Side::NatsMulti)
    }

    /// What client and worker have in their environment.
    fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Side::TypedMulti | Side::NatsMulti | Side::TonicMulti | Side::TarpcMulti => {
                &[(MULTI_THREAD, "1")]
            }
            _ => &[],
        }
    }

    pub(super) fn has_protobuf(self) -> bool {
        matches!(self.roles().2, "typed-client" | "stream-client" | "tonic-client")
    }

    /// Starts all but the client, with one worker. `wide`: with room for a crowd.
    pub(super) fn start(self, stage: &Stage, wide: bool) -> Result<Servers> {
        self.start_with(stage, wide, 1)
    }

    /// Starts all but the client. A side without anything between has one server, whatever the number of workers.
    pub(super) fn start_with(self, stage: &Stage, wide: bool, workers: usize) -> Result<Servers> {
        let (middle, worker, client) = self.roles();
        let environment = self.environment();
        let keys = match self {
            Side::Curve | Side::CurvePolicy => stage.keys(),
            _ => Vec::new(),
        };
        let mut of_middle = keys.clone();
        match self {
            Side::Scraped => of_middle.extend(["--scrapes".into(), "10".into()]),
            Side::Policy => of_middle.extend(["--policy".into(), "anonymous".into()]),
            Side::CurvePolicy => of_middle.extend(["--policy".into(), "principal".into()]),
            _ => {}
        }
        if wide && middle == Some("typed-broker") {
            of_middle.push("--wide".into());
        }
        let Some(middle) = middle else {
            let worker = Process::start_in(environment, worker, &[])?;
            let front = endpoints(&worker)?.0;
            let (back, of_client) = (front.clone(), Vec::new());
            let middle = None;
            return Ok(Servers { middle, worker, front, back, client, of_client, environment });
        };
        let mut middle = Process::start(middle, &of_middle)?;
        let (front, mut back) = endpoints(&middle)?;
        if self.needs_nats() {
            middle.look_at(back.parse().context("the server's process")?);
            back.clone_from(&front);
        }
        let mut of_worker = [vec![back.clone()], keys.clone()].concat();
        if workers > 1 {
            of_worker.push(format!("--workers={workers}"));
        }
        let worker = Process::start_in(environment, worker, &of_worker)?;
        worker.expect("ready", Duration::ZERO)?;
        let of_client = match self {
            Side::Slow(timeout) => vec![format!("--timeout-ms={timeout}")],
            _ => keys,
        };
        let middle = Some(middle);
        Ok(Servers { middle, worker, front, back, client, of_client, environment })
    }
}

/// Where clients and where workers connect.
fn endpoints(process: &Process) -> Result<(String, String)> {
    let told = process.expect("ready", Duration::ZERO)?;
    let front = told.first().context("no endpoint")?.clone();
    let back = told.last().context("no endpoint")?.clone();
    Ok((front, back))
}

impl Servers {
    /// Where clients connect.
    pub(super) fn front(&self) -> &str {
        &self.front
    }

    /// Where workers connect.
    pub(super) fn back(&self) -> &str {
        &self.back
    }

    /// Starts a client, which connects to the tap if there is one, and measures.
    pub(super) fn measure(&self, load: Load, tap: Option<&Tap>) -> Result<Sample> {
        let front = tap.map_or(self.front.as_str(), Tap::address).to_string();
        let arguments = [vec![front], self.of_client.clone(), load.arguments()].concat();
        let client = Process::start_in(self.environment, self.client, &arguments)?;
        let passed = || tap.map_or(0, Tap::bytes);
        client.expect("begin", Duration::from_millis(load.warm_up_ms))?;
        let (bytes, before) = (passed(), self.cpu(&client)?);
        client.expect("end", Duration::from_millis(load.measure_ms))?;
        let (bytes, after) = (passed() - bytes, self.cpu(&client)?);
        let found = Found::read(&client.line(Duration::ZERO)?)?;
        let sample = self.sample(load, found, before, after);
        Ok(match tap {
            Some(_) => sample.with(Figure::Bytes, bytes as f64 / found.calls as f64),
            None => sample,
        })
    }

    fn sample(&self, load: Load, found: Found, before: Cpu, after: Cpu) -> Sample {
        let calls = found.calls as f64;
        let seconds = load.measure_ms as f64 / 1000.0;
        let us = |ns: u64| ns as f64 / 1000.0;
        let mut sample = Sample::default().with(Figure::Rate, calls / seconds);
        if found.p50_ns > 0 {
            sample = sample
                .with(Figure::P50, us(found.p50_ns))
                .with(Figure::P99, us(found.p99_ns))
                .with(Figure::P999, us(found.p999_ns));
        }
        let used = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64();
        let ([b_middle, b_worker, b_client], [middle, worker, client]) = (before, after);
        sample = sample
            .with(Figure::CpuWorker, used(b_worker, worker) * 1e6 / calls)
            .with(Figure::CpuClient, used(b_client, client) * 1e6 / calls);
        if self.middle.is_some() {
            let middle = used(b_middle, middle);
            let kib = calls * load.bytes as f64 * 2.0 / 1024.0;
            sample = sample
                .with(Figure::CpuMiddle, middle * 1e6 / calls)
                .with(Figure::CallsPerCpu, calls / middle)
                .with(Figure::CpuPerKib, middle * 1e9 / kib);
        }
        sample.with(Figure::Throughput, calls * load.bytes as f64 / seconds)
    }

    fn cpu(&self, client: &Process) -> Result<Cpu> {
        let middle = self.middle.as_ref().map(Process::cpu).transpose()?;
        Ok([middle.unwrap_or_default(), self.worker.cpu()?, client.cpu()?])
    }
}
