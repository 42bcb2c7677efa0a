//! Memory of the broker for each idle client, idle worker and waiting call: all that its process holds for it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::growth::Crowd;
use super::{Figure, Sample, Stage};
use crate::load::PAYLOAD;
use crate::process::Process;

/// Whose memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Client,
    CurveClient,
    Worker,
    Call,
}

/// Enough to lie far above what an allocator takes at once.
const CLIENTS: usize = 2_000;
const WORKERS: usize = 1_000;
const CALLS: usize = 100_000;

/// As peers have it without further ado.
pub(super) const HEARTBEAT_MS: u64 = 1_000;
/// How long memory has to stay as it is, and how long is waited for that at most.
const CALM: Duration = Duration::from_millis(600);
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn measure(of: Of, stage: &Stage) -> Result<Sample> {
    let (kind, processes, each, keys) = match of {
        Of::Client => ("clients", 2, CLIENTS / 2, Vec::new()),
        Of::CurveClient => ("clients", 2, CLIENTS / 2, stage.keys()),
        Of::Worker => ("workers", 4, WORKERS / 4, Vec::new()),
        Of::Call => return calls(),
    };
    let crowd = Crowd { kind, processes, each, services: 0 };
    let grown = growth(&keys, |endpoint| crowd.start(endpoint, HEARTBEAT_MS, &keys))?;
    Ok(Sample::default().with(Figure::Memory, grown / (processes * each) as f64))
}

/// Calls that wait, without their payload.
fn calls() -> Result<Sample> {
    let all = growth(&[], |endpoint| {
        let client = Process::start("queue-client", &[endpoint.into(), CALLS.to_string()])?;
        client.expect("ready", Duration::ZERO)?;
        Ok(vec![client])
    })?;
    Ok(Sample::default().with(Figure::Memory, all / CALLS as f64 - PAYLOAD as f64))
}

/// By how many bytes a broker grows when all these have come.
fn growth(keys: &[String], fill: impl FnOnce(&str) -> Result<Vec<Process>>) -> Result<f64> {
    let broker = Process::start("typed-broker", &[&["--wide".into()], keys].concat())?;
    let told = broker.expect("ready", Duration::ZERO)?;
    let before = calm(&broker)?;
    let company = fill(told.last().context("no endpoint")?)?;
    let after = calm(&broker)?;
    drop(company);
    ensure!(after > before, "the broker did not grow: something was not kept");
    Ok((after - before) as f64)
}

/// The memory of a process, once it does not move any more. What moves by a hundredth is calm.
pub(super) fn calm(process: &Process) -> Result<u64> {
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
