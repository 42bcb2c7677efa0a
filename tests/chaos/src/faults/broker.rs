//! What becomes of the broker: killed and started again, frozen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{concluded, pause};
use crate::check::Book;
use crate::cluster::{Cluster, Launch, Load, send, workers};
use crate::ledger::{client, counter, now};
use crate::program::Setup;
use crate::report::Report;

/// F5.
pub(super) fn killed(setup: &Setup) -> Vec<Report> {
    let count = workers(setup);
    let mut cluster = Cluster::start(setup, count);
    let load = Load::standard(setup, setup.pick(300.0, 9.0));
    cluster.load(&load, &Launch::default());
    let every = setup.pick(10.0, 4.0);
    let mut kills = 0;
    pause(Duration::from_secs_f64(setup.pick(5.0, 1.5)));
    while cluster.goes_on(setup.pick(2.0, 1.5)) {
        let begun = Instant::now();
        cluster.broker.kill();
        pause(Duration::from_secs(1));
        cluster.start_broker();
        kills += 1;
        let next = Duration::from_secs_f64(every).saturating_sub(begun.elapsed());
        pause(next.min(cluster.left()));
    }
    let book = cluster.finish();
    let mut report = concluded(&mut cluster, load.words(count), &book);
    report.figure(format!("the broker was killed {kills} times and away for 1 s each"));
    let tally = book.tally();
    let maybe = tally.failures.iter().filter(|(words, _)| words.contains("MAYBE_EXECUTED"));
    let maybe: usize = maybe.map(|(_, count)| count).sum();
    report.figure(format!(
        "{maybe} calls ended with MAYBE_EXECUTED, of which {} never started",
        tally.maybe_never_started
    ));
    report.promises.push(tally.idempotent_promise(99.9));
    vec![report]
}

/// F14.
pub(super) fn frozen(setup: &Setup) -> Vec<Report> {
    let short = Duration::from_secs(2);
    let long = Duration::from_secs(setup.pick(20, 5));
    let rounds = setup.pick(10, 1);
    vec![frozen_for(setup, short, rounds, true), frozen_for(setup, long, rounds, false)]
}

fn frozen_for(setup: &Setup, time: Duration, rounds: usize, is_short: bool) -> Report {
    let count = workers(setup);
    let mut cluster = Cluster::start(setup, count);
    let load = Load::standard(setup, 3_600.0);
    cluster.load(&load, &Launch::default());
    let begun = Instant::now();
    let mut continued = Vec::new();
    for _ in 0..rounds {
        pause(Duration::from_secs(1));
        send(&cluster.broker, Signal::STOP);
        pause(time);
        send(&cluster.broker, Signal::CONT);
        continued.push(now());
        pause(Duration::from_secs(if is_short { 1 } else { setup.pick(10, 4) }));
    }
    cluster.stop_load();
    let seconds = begun.elapsed().as_secs_f64();
    let book = cluster.finish();
    let clients = load.clients;
    let per_process = (load.clients / load.processes) as u64;
    let load = Load { phases: vec![(load.phases[0].0, seconds)], ..load };
    let mut report = concluded(&mut cluster, load.words(count), &book);
    report.case = format!("for {time:?}");
    report.figure(format!("the broker stood still {rounds} times for {time:?}"));
    if is_short {
        report.promises.push(book.tally().no_failure());
        return report;
    }
    let back: Vec<_> = continued.iter().map(|at| back(&book, *at, per_process)).collect();
    let complete = back.iter().all(|(served, serving, _)| *served == clients && *serving == count);
    let slowest = back.iter().map(|(_, _, slowest)| *slowest).max().unwrap_or(0) as f64 / 1e6;
    let limit = setup.pick(1.0, 2.5);
    report.promise(
        format!("all clients are served and all workers serve within {limit} s after it goes on"),
        complete && slowest <= limit,
        format!(
            "{} of {rounds} times all of them did at all, the slowest after {slowest:.2} s",
            back.iter()
                .filter(|(served, serving, _)| *served == clients && *serving == count)
                .count()
        ),
    );
    report
}

/// How many connections have had a reply and how many workers have started a handler after this time, of a call that was
/// sent then or later, and how long it took until all of them had.
fn back(book: &Book, from: u64, connections: u64) -> (usize, usize, u64) {
    let mut served = BTreeMap::new();
    let mut serving = BTreeMap::new();
    let earliest = |at: &mut u64, new: u64| *at = (*at).min(new);
    for (id, call) in book.sent() {
        if let Some(ended) = call.ended_at().filter(|at| call.is_ok() && *at >= from) {
            let connection = (client(id), counter(id) % connections);
            earliest(served.entry(connection).or_insert(u64::MAX), ended - from);
        }
        for begun in call.starts.iter().filter(|begun| begun.at >= from) {
            earliest(serving.entry(begun.worker).or_insert(u64::MAX), begun.at - from);
        }
    }
    let slowest = served.values().chain(serving.values()).max().copied().unwrap_or(u64::MAX);
    (served.len(), serving.len(), slowest)
}
