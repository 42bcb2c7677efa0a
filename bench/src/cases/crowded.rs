//! Very many peers that ask for nothing, and very many that come back at once.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::growth::Crowd;
use super::memory::{HEARTBEAT_MS, calm};
use super::{Figure, Sample, Stage};
use crate::process::Process;

const CLIENTS: Crowd = Crowd { kind: "clients", processes: 5, each: 1_000, services: 0 };
const WORKERS: Crowd = Crowd { kind: "workers", processes: 4, each: 500, services: 0 };
/// What the handshakes have left behind is done after this time.
const SETTLED: Duration = Duration::from_secs(3);
/// How long the broker's time is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How long there is no broker.
const AWAY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// 5,000 clients and 2,000 workers at rest: what the broker's processor and memory have to do with them.
pub(super) fn rest(stage: &Stage, curve: bool) -> Result<Sample> {
    let keys = if curve { stage.keys() } else { Vec::new() };
    let broker = Process::start("typed-broker", &[&["--wide".into()], &*keys].concat())?;
    let told = broker.expect("ready", Duration::ZERO)?;
    let endpoint = told.last().context("no endpoint")?;
    let before = calm(&broker)?;
    let clients = CLIENTS.start(endpoint, HEARTBEAT_MS, &keys)?;
    let workers = WORKERS.start(endpoint, HEARTBEAT_MS, &keys)?;
    thread::sleep(SETTLED);
    let begun = broker.cpu()?;
    thread::sleep(LOOK);
    let used = broker.cpu()?.saturating_sub(begun);
    let grown = broker.memory()?.saturating_sub(before);
    drop((clients, workers));
    let peers = CLIENTS.processes * CLIENTS.each + WORKERS.processes * WORKERS.each;
    let of_a_core = used.as_secs_f64() / LOOK.as_secs_f64() * 100.0;
    let sample = Sample::default().with(Figure::OfACore, of_a_core);
    Ok(sample.with(Figure::Memory, grown as f64 / peers as f64))
}

/// The broker is killed, and another one starts at its endpoint: the time until 5,000 clients have their sessions again.
pub(super) fn back(stage: &Stage, curve: bool) -> Result<Sample> {
    let keys = if curve { stage.keys() } else { Vec::new() };
    let broker = Process::start("typed-broker", &[&["--wide".into()], &*keys].concat())?;
    let told = broker.expect("ready", Duration::ZERO)?;
    let endpoint = told.last().context("no endpoint")?.clone();
    let clients = CLIENTS.start(&endpoint, HEARTBEAT_MS, &keys)?;
    broker.kill()?;
    thread::sleep(AWAY);
    let count = CLIENTS.processes * CLIENTS.each;
    let again =
        [vec!["--wide".into(), format!("--bind={endpoint}"), format!("--full={count}")], keys];
    let broker = Process::start("typed-broker", &again.concat())?;
    broker.expect("ready", Duration::ZERO)?;
    let full = broker.expect("full", PATIENCE)?;
    drop(clients);
    let seconds: f64 = full.first().context("no time")?.parse()?;
    ensure!(seconds > 0.0, "they were there before the broker");
    Ok(Sample::default().with(Figure::Seconds, seconds))
}
