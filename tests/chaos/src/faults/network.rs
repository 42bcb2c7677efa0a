//! F6: the network between the broker and half of its peers is cut.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{concluded, pause};
use crate::check::{Book, Tally};
use crate::cluster::{BrokerLaunch, Cluster, Launch, Load, workers};
use crate::ledger::{Method, client, counter, now};
use crate::netns::{Cut, NetworkLink, address};
use crate::program::Setup;
use crate::report::Report;

/// A recovery may take so long.
const RECOVERED: u64 = 5_000_000;
/// A call takes less than that where nothing is cut, in microseconds.
const ON_THE_WAY: u64 = 500_000;
const PORT: u16 = 5555;

struct Round {
    how: Cut,
    cut: u64,
    healed: u64,
    /// When the next round begins.
    over: u64,
}

pub(super) fn partitions(setup: &Setup) -> Vec<Report> {
    let link = match NetworkLink::new() {
        Ok(link) => link,
        Err(why) => return vec![Report::skipped(format!("no network namespaces: {why}"))],
    };
    let beside = format!("tcp://127.0.0.1:{PORT}");
    let across = format!("tcp://{}:{PORT}", address());
    let near = Launch { before: link.near(), endpoint: Some(beside.clone()), ..Launch::default() };
    let far = Launch { before: link.far(), endpoint: Some(across.clone()), ..Launch::default() };
    let how = BrokerLaunch {
        launch: near.clone(),
        binds: vec![across, beside],
        args: vec!["--insecure".into()],
        ..BrokerLaunch::default()
    };
    let count = workers(setup).next_multiple_of(2);
    let mut cluster = Cluster::broker(setup, how);
    // The even ones are far.
    for number in 0..count {
        cluster.add_worker(if number % 2 == 0 { &far } else { &near }, 64);
    }
    cluster.wait_workers();
    let whole = Load::standard(setup, 3_600.0);
    let processes = (whole.processes / 2).max(1);
    let half = Load {
        processes,
        clients: whole.clients / 2,
        phases: vec![(whole.phases[0].0 / 2.0, 3_600.0)],
        ..whole.clone()
    };
    cluster.load(&half, &far);
    cluster.load(&half, &near);
    let begun = Instant::now();
    let one_way = [Cut::FromPeers, Cut::FromBroker];
    let kinds: Vec<Cut> = match setup.full {
        true => [Cut::Down; 10].into_iter().chain(one_way.into_iter().cycle().take(10)).collect(),
        false => vec![Cut::Down, Cut::FromPeers],
    };
    let mut rounds = Vec::new();
    pause(Duration::from_secs(1));
    for how in kinds {
        link.cut(how);
        let cut = now();
        pause(Duration::from_secs(setup.pick(30, 5)));
        link.heal(how);
        let healed = now();
        pause(Duration::from_micros(RECOVERED) + Duration::from_secs(setup.pick(3, 1)));
        rounds.push(Round { how, cut, healed, over: now() });
    }
    cluster.stop_load();
    let seconds = begun.elapsed().as_secs_f64();
    let book = cluster.finish();
    let load = Load { phases: vec![(whole.phases[0].0, seconds)], ..whole };
    let mut report = concluded(&mut cluster, load.words(count), &book);
    report.figure("Half of the workers and of the clients are on the other side of the cut");
    let is_far = |id: u64| usize::from(client(id)) < processes;
    recoveries(&mut report, &book, &rounds, &half, count, is_far);
    let mut tally = Tally::default();
    for (id, call) in book.sent().filter(|(id, _)| !is_far(*id)) {
        tally.add(Method::of(id), call);
    }
    let mut beside = tally.idempotent_promise(100.0);
    beside.words = format!("{}, of clients on the broker's side", beside.words);
    report.promises.push(beside);
    drop(cluster);
    drop(link);
    vec![report]
}

/// When, after each cut, clients and workers of the other side were well again.
fn recoveries(
    report: &mut Report,
    book: &Book,
    rounds: &[Round],
    half: &Load,
    workers: usize,
    is_far: impl Fn(u64) -> bool,
) {
    let connections = (half.clients / half.processes) as u64;
    let mut slowest: BTreeMap<String, f64> = BTreeMap::new();
    let (mut missing, mut failed) = (0, 0);
    for round in rounds {
        let mut first: BTreeMap<(bool, u64, u64), u64> = BTreeMap::new();
        let from = round.healed..round.over;
        let mut note = |who, at: u64| {
            let first = first.entry(who).or_insert(u64::MAX);
            *first = (*first).min(at - round.healed);
        };
        for (id, call) in book.sent() {
            if is_far(id) {
                if let Some(at) = call.ended_at().filter(|at| call.is_ok() && from.contains(at)) {
                    note((true, client(id).into(), counter(id) % connections), at);
                }
                // Not those that the next cut may meet on their way.
                let settled = round.healed + RECOVERED..round.over.saturating_sub(ON_THE_WAY);
                failed += usize::from(settled.contains(&call.sent_at()) && !call.is_ok());
            }
            for begun in call.starts.iter().filter(|begun| begun.worker % 2 == 0) {
                if from.contains(&begun.at) && begun.at > round.cut {
                    note((false, begun.worker.into(), 0), begun.at);
                }
            }
        }
        missing += (half.clients + workers.div_ceil(2)).saturating_sub(first.len());
        let took = first.values().max().copied().unwrap_or(0) as f64 / 1e6;
        let entry = slowest.entry(format!("{:?}", round.how)).or_default();
        *entry = entry.max(took);
    }
    let worst = slowest.values().copied().fold(0.0, f64::max);
    let words: Vec<String> =
        slowest.iter().map(|(how, took)| format!("{how} {took:.2} s")).collect();
    report.promise(
        "each peer is served or serves within 5 s after the cut",
        missing == 0 && worst <= RECOVERED as f64 / 1e6,
        format!("{missing} did not, the slowest: {}; {} cuts", words.join(", "), rounds.len()),
    );
    report.promise(
        "no call fails that is sent 5 s after a cut or later",
        failed == 0,
        format!("{failed} failed"),
    );
}
