//! `mdp watch`: prints workers that join and leave.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::Failure;
use crate::args::{Output, seconds};
use crate::connect::ConnectArgs;
use crate::management::{AskError, Management, WorkerLine};
use crate::stop::Stop;

/// The minimum interval between questions. The broker allows 50 lists in a second.
const SHORTEST: Duration = Duration::from_millis(100);

/// Prints a line for each worker that joins, drains or leaves, until SIGINT or SIGTERM.
///
/// The command asks the broker at intervals, so it misses a worker that joins and leaves in between. It continues while
/// the broker is unavailable.
#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// Watches workers of this service only.
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// The time between two questions to the broker in seconds, at least 0.1.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// The format of the output. As JSON one object for each line: `event` (here, joined, draining, left, broker-lost,
    /// broker-back), `service`, `worker`, `dialect`, `capacity`.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// The known workers, by service and id.
type Workers = BTreeMap<(String, String), WorkerLine>;

pub(crate) async fn run(args: &WatchArgs) -> Result<u8, Failure> {
    if args.interval < SHORTEST {
        return Err(Failure::wrong(anyhow!("--interval must be at least 0.1 s")));
    }
    let mut stop = Stop::listen_and_end().map_err(Failure::failed)?;
    let broker = Management::open(&args.connect).await?;
    let mut ticks = tokio::time::interval(args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut known, mut first, mut lost): (Workers, bool, bool) = (Workers::new(), true, false);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.asked() => return Ok(0),
        }
        let asked = tokio::select! {
            asked = broker.workers("") => asked,
            () = stop.asked() => return Ok(0),
        };
        match asked {
            Ok(list) => {
                if std::mem::take(&mut lost) {
                    say(args, "broker-back", None)?;
                }
                let now = by_name(args, list);
                compare(args, &known, &now, first)?;
                (known, first) = (now, false);
            }
            // The next question comes soon enough.
            Err(AskError::Busy { .. }) => {}
            Err(AskError::NoAnswer { .. }) => {
                if !std::mem::replace(&mut lost, true) {
                    say(args, "broker-lost", None)?;
                }
            }
            Err(error) => return Err(Failure::failed(error)),
        }
    }
}

fn by_name(args: &WatchArgs, list: Vec<WorkerLine>) -> Workers {
    let wanted = |line: &WorkerLine| args.service.as_ref().is_none_or(|name| *name == line.service);
    let wanted = list.into_iter().filter(wanted);
    wanted.map(|line| ((line.service.clone(), line.id.clone()), line)).collect()
}

fn compare(args: &WatchArgs, known: &Workers, now: &Workers, first: bool) -> Result<(), Failure> {
    for (name, worker) in known {
        if !now.contains_key(name) {
            say(args, "left", Some(worker))?;
        }
    }
    for (name, worker) in now {
        let before = known.get(name);
        if before.is_none() {
            say(args, if first { "here" } else { "joined" }, Some(worker))?;
        }
        if worker.draining && !before.is_some_and(|before| before.draining) {
            say(args, "draining", Some(worker))?;
        }
    }
    Ok(())
}

fn say(args: &WatchArgs, event: &str, worker: Option<&WorkerLine>) -> Result<(), Failure> {
    let line = match (args.output, worker) {
        (Output::Text, None) => event.replace('-', " "),
        (Output::Text, Some(WorkerLine { id, service, dialect, capacity, .. })) => {
            format!("{event} {id} of {service} ({dialect}, {capacity} at once)")
        }
        (Output::Json, None) => json!({ "event": event }).to_string(),
        (Output::Json, Some(worker)) => json!({
            "event": event,
            "service": worker.service,
            "worker": worker.id,
            "dialect": worker.dialect,
            "capacity": worker.capacity,
        })
        .to_string(),
    };
    crate::print(&(line + "\n")).map_err(Failure::failed)
}
