//! Memory of the broker for each idle client, idle worker and waiting call, beyond what libzmq takes for a
//! connection: a bare ROUTER with as many DEALERs says how much that is.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::growth::Crowd;
use super::{Figure, Sample};
use crate::load::PAYLOAD;
use crate::process::Process;

/// Whose memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Client,
    Worker,
    Call,
}

/// Enough to lie far above what an allocator takes at once.
const CLIENTS: usize = 2_000;
const WORKERS: usize = 1_000;
const CALLS: usize = 100_000;

/// As peers have it without further ado.
const HEARTBEAT_MS: u64 = 1_000;
/// How long memory has to stay as it is, and how long is waited for that at most.
const CALM: Duration = Duration::from_millis(600);
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn measure(of: Of) -> Result<Sample> {
    let (processes, each) = match of {
        Of::Client => (2, CLIENTS / 2),
        Of::Worker => (4, WORKERS / 4),
        Of::Call => return calls(),
    };
    let kind = if of == Of::Client { "clients" } else { "workers" };
    let crowd = Crowd { kind, processes, each, services: 0 };
    let ours = growth("typed-broker", &["--wide"], |endpoint| crowd.start(endpoint, HEARTBEAT_MS))?;
    let bare = growth("bare-router", &[], |endpoint| dealers(endpoint, processes, each))?;
    let count = (processes * each) as f64;
    let sample = Sample::default().with(Figure::Memory, (ours - bare) / count);
    Ok(sample.with(Figure::MemoryOfZmq, bare / count))
}

/// Calls that wait, without their payload.
fn calls() -> Result<Sample> {
    let all = growth("typed-broker", &["--wide"], |endpoint| {
        let client = Process::start("queue-client", &[endpoint.into(), CALLS.to_string()])?;
        client.expect("ready", Duration::ZERO)?;
        Ok(vec![client])
    })?;
    Ok(Sample::default().with(Figure::Memory, all / CALLS as f64 - PAYLOAD as f64))
}

fn dealers(endpoint: &str, processes: usize, each: usize) -> Result<Vec<Process>> {
    let arguments = [endpoint.to_string(), each.to_string()];
    let started = (0..processes).map(|_| Process::start("bare-dealers", &arguments));
    let started: Vec<Process> = started.collect::<Result<_>>()?;
    for process in &started {
        process.expect("ready", PATIENCE)?;
    }
    Ok(started)
}

/// By how many bytes a server grows when all these have come.
fn growth(
    role: &'static str,
    arguments: &[&str],
    fill: impl FnOnce(&str) -> Result<Vec<Process>>,
) -> Result<f64> {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let server = Process::start(role, &arguments)?;
    let told = server.expect("ready", Duration::ZERO)?;
    let before = calm(&server)?;
    let company = fill(told.last().context("no endpoint")?)?;
    let after = calm(&server)?;
    drop(company);
    ensure!(after > before, "{role} did not grow: something was not kept");
    Ok((after - before) as f64)
}

/// The memory of a process, once it does not move any more. What moves by a hundredth is calm.
fn calm(process: &Process) -> Result<u64> {
    let start = Instant::now();
    let (mut last, mut since) = (process.memory()?, Instant::now());
    while since.elapsed() < CALM && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
        let now = process.memory()?;
        if now.abs_diff(last) > last / 100 {
            (last, since) = (now, Instant::now());
        }
    }
    process.memory()
}
