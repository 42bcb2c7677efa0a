//! What becomes of clients: killed with calls under way, and connected without reading.

use std::time::Duration;

use mdp_protocol::Span;
use mdp_protocol::wire::{CallKind, Record, Tail, put_tail};

use super::{concluded, pause};
use crate::check::{Book, percentile};
use crate::cluster::{BrokerLaunch, Cluster, Launch, Load, within, workers};
use crate::ledger::{client, id};
use crate::process::Process;
use crate::program::Setup;
use crate::report::Report;
use crate::zmtp::Peer;

/// Ledgers know them by numbers from here on.
const STALLED: u16 = 60_000;
/// How many do not read.
const PEERS: u32 = 20;

/// F7.
pub(super) fn killed(setup: &Setup) -> Vec<Report> {
    let (processes, clients, each) = (setup.pick(10, 2), setup.pick(500, 50), 100);
    let calls = clients * each;
    let count = workers(setup);
    // All of them wait for one service. This is no overload that should be refused.
    let config = format!("admission = false\n[limits]\nqueued_calls_per_service = {}\n", 2 * calls);
    let mut cluster = Cluster::broker(setup, BrokerLaunch { config, ..BrokerLaunch::default() });
    for _ in 0..count {
        cluster.add_worker(&Launch::default(), 64);
    }
    cluster.wait_workers();
    let load = Load {
        processes,
        clients,
        phases: Vec::new(),
        deadline: Duration::from_secs(60),
        work: (1_000, 1_000),
        bytes: (64, 256),
        args: vec!["--burst".into(), each.to_string()],
    };
    cluster.load(&load, &Launch::default());
    let running = count * 64;
    let there =
        || cluster.metric("mdp_calls_queued ").is_some_and(|n| n > 0.8 * (calls - running) as f64);
    let all_there = within(Duration::from_secs(30), there).is_some();
    let queued = cluster.metric("mdp_calls_queued ").unwrap_or(0.0);
    let held = cluster.metric("mdp_held_bytes ").unwrap_or(0.0);
    cluster.clients.iter_mut().for_each(Process::kill);
    let empty = || {
        let of = |text: &str, series: &str| {
            text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok())
        };
        let Some(text) = cluster.metrics() else { return false };
        ["mdp_calls_queued ", "mdp_held_bytes "].iter().all(|series| of(&text, series) == Some(0.0))
    };
    let emptied = within(Duration::from_secs(30), empty);
    let left = cluster.metric("mdp_held_bytes ").unwrap_or(-1.0);
    cluster.clients.clear();
    // Somebody new, who has a number that none of the others had.
    let after = Load { phases: vec![(50.0, 2.0)], ..Load::standard(setup, 2.0) };
    let after = Load { processes: 1, clients: 1, ..after };
    cluster.load(&after, &Launch::default());
    let whole = cluster.finish();
    let double = whole.sent().filter(|(id, call)| {
        !crate::ledger::Method::of(*id).is_idempotent() && call.starts.len() > 1
    });
    let double = double.count();
    let killed = processes as u16;
    let book = whole.without(|number| number < killed);
    let words = format!("{count} workers, {clients} clients with {each} calls of 1 s each");
    let mut report = concluded(&mut cluster, words, &book);
    report.figure(format!(
        "{queued} calls waited and {held} bytes were held when all clients were killed"
    ));
    report.promise("the calls are there", all_there, format!("{queued} of {calls} waited"));
    let limit = setup.pick(5.0, 6.0);
    report.promise(
        format!("{limit} s later the broker holds nothing of them"),
        emptied.is_some_and(|after| after.as_secs_f64() <= limit),
        emptied
            .map_or(format!("{left} bytes held after 30 s"), |after| format!("after {after:.2?}")),
    );
    report.promise(
        "no killed client's call starts twice that must not",
        double == 0,
        format!("{double} did"),
    );
    report.promises.push(book.tally().no_failure());
    vec![report]
}

/// F8.
pub(super) fn not_reading(setup: &Setup) -> Vec<Report> {
    let count = workers(setup);
    let mut cluster = Cluster::start(setup, count);
    let time = setup.pick(30.0, 4.0);
    let mut load = Load::standard(setup, time);
    load.phases = vec![load.phases[0]; 2];
    cluster.load(&load, &Launch::default());
    pause(Duration::from_secs_f64(time));
    let before = cluster.metrics().unwrap_or_default();
    let mut peers: Vec<Stalled> =
        (0..PEERS as u16).map(|number| Stalled::new(&cluster.endpoints[0], number)).collect();
    // Each asks four times a second, one after another: a load that is small but for what is not read.
    while cluster.goes_on(0.5) {
        for peer in &mut peers {
            peer.request();
            pause(Duration::from_millis(250) / PEERS);
        }
    }
    let connected = peers.iter().filter(|peer| peer.is_up).count();
    let asked: u64 = peers.iter().map(|peer| peer.sent).sum();
    let unread = cluster.metric("mdp_unread_bytes ").unwrap_or(0.0);
    let rss = resident(cluster.broker.id());
    // What they asked for comes to its end: it starts, or it is refused.
    pause(Duration::from_secs(1));
    let after = cluster.metrics().unwrap_or_default();
    let whole = cluster.finish();
    let started =
        whole.calls.iter().filter(|(id, call)| client(**id) >= STALLED && !call.starts.is_empty());
    let started = started.count() as u64;
    let grown = |series: &str| {
        let of = |text: &str| {
            text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok())
        };
        of(&after).unwrap_or(-1.0) - of(&before).unwrap_or(0.0)
    };
    let (refused, ended) = (grown("mdp_unread_refused_total "), grown("mdp_unread_ended_total "));
    let all_refused = grown("mdp_refused_total ");
    let (quiet, beside) = (p99(&whole, 0), p99(&whole, 1));
    drop(peers);
    let book = whole.without(|number| number >= STALLED);
    let mut report = concluded(&mut cluster, load.words(count), &book);
    report.figure(format!(
        "{PEERS} clients that do not read asked for {asked} replies of 512 KiB; {unread} bytes were \
         unread at the end, the broker's resident memory {rss} MiB; {connected} connections were still up"
    ));
    report.promises.push(book.tally().no_failure());
    let max = (2 * quiet).max(quiet + Duration::from_millis(5));
    report.promise(
        "the p99 of the others stays within twice its value, or 5 ms more",
        beside <= max,
        format!("{quiet:.1?} before, {beside:.1?} beside them"),
    );
    let gap = asked - started.min(asked);
    // The kernel ends a connection that takes nothing for 25 s. What was on its way then reached no broker.
    let broken = PEERS as usize - connected;
    let on_their_way = gap as f64 - refused;
    report.promise(
        "what they asked for and did not start is what the broker counts as refused, but for what was on its way when a \
         connection ended",
        ended > 0.0 || (0.0..=broken as f64).contains(&on_their_way),
        format!(
            "{asked} asked, {started} started, gap {gap}; {refused} refused for it, {all_refused} in all; {broken} connections \
             were ended by the kernel; {ended} sessions ended, behind which the gap cannot be counted"
        ),
    );
    vec![report]
}

/// MiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// The 99th percentile of the times of a phase's calls, in the best of eight parts of it: what else the machine does meets some
/// of them, and who does not read is there in all.
fn p99(book: &Book, phase: u8) -> Duration {
    let mut calls: Vec<(u64, u64)> =
        book.of_phase(phase).filter_map(|(_, call)| Some((call.sent_at(), call.took()?))).collect();
    calls.sort_unstable();
    let part = calls.len().div_ceil(8).max(1);
    let times = calls.chunks(part).map(|part| part.iter().map(|(_, took)| *took).collect());
    times.map(|times| percentile(times, 0.99)).min().unwrap_or_default()
}

/// A client that asks and never reads.
struct Stalled {
    peer: Peer,
    number: u16,
    sent: u64,
    is_up: bool,
}

type Raw = Record<Vec<u8>, Vec<u8>>;

impl Stalled {
    fn new(endpoint: &str, number: u16) -> Self {
        let mut peer = Peer::connect(endpoint);
        let hello: Raw =
            Record::Hello { id: Vec::new(), heartbeat: Span::from_secs(1), liveness: 3 };
        let mut packet = Vec::new();
        put_tail(&mut packet, &hello, Tail::default());
        let is_up = peer.send_last(&packet).is_ok();
        Stalled { peer, number: STALLED + number, sent: 0, is_up }
    }

    /// Asks for a reply of 512 KiB.
    fn request(&mut self) {
        if !self.is_up {
            return;
        }
        let id = id(self.number, 0, self.sent);
        let mut bytes = b"chaos.v1.Work/Look".to_vec();
        let name_len = bytes.len() as u8;
        // Job { id, reply_bytes }.
        let mut job = vec![0x08];
        varint(&mut job, id);
        job.push(0x20);
        varint(&mut job, 512 << 10);
        bytes.extend_from_slice(&job);
        let request: Raw = Record::Request {
            call: self.sent + 1,
            timeout: Span::from_secs(60),
            idempotent: true,
            attempt: 1,
            peer: Vec::new(),
            kind: CallKind::Unary,
            body: Vec::new(),
        };
        let tail =
            Tail { bytes: &bytes, name_len, payload_len: job.len() as u32, ..Tail::default() };
        let mut packet = Vec::new();
        put_tail(&mut packet, &request, tail);
        self.is_up = self.peer.send_last(&packet).is_ok();
        self.sent += u64::from(self.is_up);
    }
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
