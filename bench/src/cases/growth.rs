//! Growth: the same calls between one client and one worker, with nobody else at the broker and with many.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Figure, Sample, Side, Stage};
use crate::load::PAYLOAD;
use crate::process::Process;

/// How often idle peers give a sign of life. Rarer than they would by themselves: on this one machine they take the
/// processor from those who are measured, which elsewhere they would not.
const HEARTBEAT_MS: u64 = 10_000;
const SOON: Duration = Duration::from_secs(60);

/// Who else is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowd {
    /// A word of the program's role for crowds.
    pub(crate) kind: &'static str,
    /// Processes, and peers in each: threads and open files of one process are limited.
    pub(crate) processes: usize,
    pub(crate) each: usize,
    /// Services of each worker.
    pub(crate) services: usize,
}

pub(super) fn measure(crowd: Option<Crowd>, stage: &Stage) -> Result<Sample> {
    let servers = Side::Typed.start(stage, true)?;
    let crowd = crowd.map(|crowd| crowd.start(servers.back(), HEARTBEAT_MS, &[])).transpose()?;
    let sample = servers.measure(stage.closed(256, PAYLOAD), None)?;
    let alone = servers.measure(stage.closed(1, PAYLOAD), None)?;
    drop(crowd);
    // How long one call takes by itself: with many in flight that would say the same as the rate.
    Ok(sample.with(Figure::P50, alone.get(Figure::P50).context("no p50")?))
}

impl Crowd {
    /// Starts them, and waits until all are connected.
    pub(super) fn start(
        self,
        endpoint: &str,
        heartbeat_ms: u64,
        keys: &[String],
    ) -> Result<Vec<Process>> {
        let mut processes = Vec::new();
        for number in 0..self.processes {
            let arguments = [
                self.kind.to_string(),
                endpoint.to_string(),
                self.each.to_string(),
                format!("--services={}", self.services),
                format!("--name=idle{number}"),
                format!("--heartbeat-ms={heartbeat_ms}"),
            ];
            processes.push(Process::start("crowd", &[&arguments, keys].concat())?);
        }
        for process in &processes {
            process.expect("ready", SOON)?;
        }
        Ok(processes)
    }
}
