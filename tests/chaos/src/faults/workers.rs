//! What becomes of workers: killed, frozen, replaced, with handlers that panic.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{concluded, pause};
use crate::cluster::{Cluster, Launch, Load, send, within, workers};
use crate::ledger::{now, panics_at};
use crate::program::Setup;
use crate::report::Report;

/// F1.
pub(super) fn killed(setup: &Setup) -> Vec<Report> {
    let count = workers(setup);
    let mut cluster = Cluster::start(setup, count);
    let load = Load::standard(setup, setup.pick(60.0, 6.0));
    cluster.load(&load, &Launch::default());
    let between = Duration::from_millis(setup.pick(200, 500));
    let mut kills = 0;
    while cluster.goes_on(0.0) {
        pause(between);
        cluster.replace_worker(kills % count, &Launch::default());
        kills += 1;
    }
    let book = cluster.finish();
    let mut report = concluded(&mut cluster, load.words(count), &book);
    report.figure(format!("{kills} workers killed"));
    report.promises.push(book.tally().idempotent_promise(100.0));
    vec![report]
}

/// When a worker was frozen and went on, in microseconds, and what the broker said of it.
struct Frozen {
    worker: u32,
    stopped: u64,
    continued: u64,
    /// How often the broker still knew it when it had to be gone.
    still_known: usize,
    /// How long after it went on the broker knew it again.
    known_again: Option<Duration>,
}

/// F2.
pub(super) fn frozen(setup: &Setup) -> Vec<Report> {
    let count = workers(setup);
    let mut cluster = Cluster::start(setup, count);
    let load = Load::standard(setup, 3_600.0);
    cluster.load(&load, &Launch::default());
    let begun = Instant::now();
    let gone_after = Duration::from_millis(setup.pick(3_500, 4_500));
    let frozen_for = Duration::from_millis(setup.pick(10_000, 6_000));
    let mut rounds = Vec::new();
    for round in 0..setup.pick(20, 1) {
        pause(Duration::from_secs(1));
        let place = round % count;
        let (worker, id) = (cluster.workers[place].number, cluster.workers[place].id());
        send(&cluster.workers[place].process, Signal::STOP);
        let (stopped, since) = (now(), Instant::now());
        pause(gone_after);
        let mut still_known = 0;
        while since.elapsed() < frozen_for {
            // What the broker says may be 250 ms old.
            pause(Duration::from_millis(300));
            still_known += usize::from(cluster.knows(&id) != Some(false));
        }
        send(&cluster.workers[place].process, Signal::CONT);
        let continued = now();
        let known_again = within(Duration::from_secs(10), || cluster.knows(&id) == Some(true));
        pause(Duration::from_secs(1));
        rounds.push(Frozen { worker, stopped, continued, still_known, known_again });
    }
    cluster.stop_load();
    let seconds = begun.elapsed().as_secs_f64();
    let late = cluster.metric("mdp_late_total ").unwrap_or(-1.0);
    let book = cluster.finish();
    let load = Load { phases: vec![(load.phases[0].0, seconds)], ..load };
    let mut report = concluded(&mut cluster, load.words(count), &book);
    report.figure(format!(
        "{} workers frozen for {frozen_for:?} each; {late} late replies dropped by the broker",
        rounds.len()
    ));
    // A call that is sent while the broker must know that the worker is gone is none for it.
    let gone = gone_after.as_micros() as u64;
    let dispatched = |frozen: &Frozen| {
        let within = frozen.stopped + gone..frozen.continued;
        let calls = book.sent().filter(|(_, call)| within.contains(&call.sent_at()));
        let its = calls.flat_map(|(_, call)| &call.starts);
        its.filter(|begun| begun.worker == frozen.worker && begun.at < frozen.continued).count()
    };
    let dispatched: usize = rounds.iter().map(dispatched).sum();
    let still_known: usize = rounds.iter().map(|frozen| frozen.still_known).sum();
    report.promise(
        format!("a frozen worker gets nothing after {:.1} s", gone_after.as_secs_f64()),
        dispatched + still_known == 0,
        format!("{dispatched} calls; the broker still knew it {still_known} times"),
    );
    let again: Vec<_> = rounds.iter().filter_map(|frozen| frozen.known_again).collect();
    let serves = |frozen: &Frozen| {
        let calls = book.sent().filter(|(_, call)| call.sent_at() >= frozen.continued);
        let its = calls.flat_map(|(_, call)| &call.starts);
        its.filter(|begun| begun.worker == frozen.worker)
            .map(|begun| begun.at - frozen.continued)
            .min()
    };
    let first: Vec<u64> = rounds.iter().filter_map(serves).collect();
    let slowest = first.iter().max().copied().unwrap_or(0) as f64 / 1e6;
    report.promise(
        "it registers again and serves, within 5 s",
        again.len() == rounds.len() && first.len() == rounds.len() && slowest <= 5.0,
        format!(
            "{} of {} registered again, {} served, the slowest after {slowest:.2} s",
            again.len(),
            rounds.len(),
            first.len()
        ),
    );
    report.promises.push(book.tally().idempotent_promise(100.0));
    vec![report]
}

/// F20.
pub(super) fn rolling(setup: &Setup) -> Vec<Report> {
    let count = workers(setup);
    let mut cluster = Cluster::start(setup, count);
    let load = Load::standard(setup, 3_600.0);
    cluster.load(&load, &Launch::default());
    let begun = Instant::now();
    let grace = Duration::from_secs(10);
    let (mut slowest, mut stuck, mut unclean) = (Duration::ZERO, 0, 0);
    let rounds = setup.pick(20, 2);
    for _ in 0..rounds {
        for place in 0..count {
            pause(Duration::from_millis(setup.pick(200, 300)));
            let new = cluster.worker(&Launch::default(), 64);
            assert!(cluster.wait_known(&new.id()), "{} does not come", new.id());
            let mut old = std::mem::replace(&mut cluster.workers[place], new);
            send(&old.process, Signal::TERM);
            match within(grace + Duration::from_secs(2), || !old.process.is_running()) {
                Some(took) => {
                    slowest = slowest.max(took);
                    unclean += usize::from(old.process.end().status.code() != Some(0));
                }
                None => stuck += 1,
            }
        }
    }
    cluster.stop_load();
    let seconds = begun.elapsed().as_secs_f64();
    let book = cluster.finish();
    let load = Load { phases: vec![(load.phases[0].0, seconds)], ..load };
    let mut report = concluded(&mut cluster, load.words(count), &book);
    report.figure(format!("{} workers replaced", rounds * count));
    report.promises.push(book.tally().no_failure());
    report.promise(
        format!("a worker ends within its grace of {grace:?} and 2 s, with 0"),
        stuck + unclean == 0,
        format!("{stuck} later, {unclean} with another code; the slowest after {slowest:.1?}"),
    );
    vec![report]
}

/// F21.
pub(super) fn panicking(setup: &Setup) -> Vec<Report> {
    let count = workers(setup);
    let mut cluster = Cluster::start(setup, count);
    let mut load = Load::standard(setup, setup.pick(300.0, 6.0));
    load.args.push("--panics".into());
    cluster.load(&load, &Launch::default());
    pause(cluster.left());
    let book = cluster.finish();
    let mut report = concluded(&mut cluster, load.words(count), &book);
    let (mut panics, mut internal, mut others) = (0, 0, 0);
    for (id, call) in book.sent() {
        let code = call.outcomes.first().map_or("", |ended| &ended.code);
        if panics_at(id) {
            panics += 1;
            internal += usize::from(code == "INTERNAL" && call.starts.len() == 1);
        } else {
            others += usize::from(code != "OK");
        }
    }
    report.promise(
        "a handler that panics ends its call with INTERNAL, and is not started again",
        panics > 0 && internal == panics,
        format!("{internal} of {panics}"),
    );
    report.promise("no other call fails", others == 0, format!("{others} failed"));
    vec![report]
}
