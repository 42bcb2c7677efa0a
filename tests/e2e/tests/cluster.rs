//! Three brokers, four workers and a client that are at all of them, each a process. Brokers are killed (SIGKILL) one after
//! another and come back, or are shut down in good order. Every call has one outcome; those that may be run again all get
//! their reply; in good order none fails. `MDP_BROKER_KILLS=full` does more of both.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../support/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use mdp_runtime::{Dialect, RawClient};
use process::{Process, until};

const BROKERS: usize = 3;
const WORKERS: usize = 4;
/// Calls a second, half of them idempotent. A debug build on a busy machine cannot do 2,000.
const RATE: u32 = if cfg!(debug_assertions) { 500 } else { 2_000 };
/// How long calls are made between two events.
const BETWEEN: Duration = Duration::from_millis(400);

fn part(args: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_e2e-part")).args(args))
}

/// The processes of a cluster under load.
struct Cluster {
    folder: tempfile::TempDir,
    tokio: tokio::runtime::Runtime,
    endpoints: Vec<String>,
    brokers: Vec<Process>,
    workers: Vec<Process>,
}

impl Cluster {
    fn start() -> Self {
        let mut brokers: Vec<Process> = (0..BROKERS).map(|_| part(&["broker"])).collect();
        let bound = |broker: &mut Process| broker.line("bound ")["bound ".len()..].to_owned();
        let endpoints: Vec<String> = brokers.iter_mut().map(bound).collect();
        let folder = tempfile::tempdir().unwrap();
        let tokio = tokio::runtime::Runtime::new().unwrap();
        let mut cluster = Cluster { folder, tokio, endpoints, brokers, workers: Vec::new() };
        let ledger = cluster.ledger();
        let all = cluster.endpoints.join(",");
        let member = |number| part(&["member", &all, &ledger, &format!("worker-{number}")]);
        cluster.workers = (0..WORKERS).map(member).collect();
        (0..BROKERS).for_each(|broker| cluster.wait_for_workers(broker));
        cluster
    }

    fn ledger(&self) -> String {
        self.folder.path().join("ledger").to_str().unwrap().to_owned()
    }

    /// Waits until all workers are at a broker.
    fn wait_for_workers(&self, broker: usize) {
        let builder = RawClient::builder().dialect(Dialect::Rpc).connect(&self.endpoints[broker]);
        let raw = self.tokio.block_on(async { builder.open().unwrap() });
        until("all workers at a broker", || {
            let answer = self.tokio.block_on(raw.send("mmi.workers", vec!["".into()]));
            let json = answer.ok().and_then(|frames| frames.into_iter().nth(1)).unwrap_or_default();
            String::from_utf8_lossy(&json).matches("\"id\":\"worker-").count() == WORKERS
        });
    }

    fn restart(&mut self, broker: usize) {
        self.brokers[broker] = part(&["broker", &self.endpoints[broker]]);
        self.brokers[broker].line("bound ");
    }

    /// Makes calls while `events` happen. Returns what the load says of its calls, and how long that took.
    fn under_load(&mut self, events: impl FnOnce(&mut Self)) -> (String, f64) {
        let mut load = part(&["load", &self.endpoints.join(","), &RATE.to_string()]);
        load.line("begun");
        let begun = Instant::now();
        std::thread::sleep(BETWEEN);
        events(self);
        std::thread::sleep(BETWEEN);
        load.signal("TERM");
        let ended = load.end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        (ended.stdout, begun.elapsed().as_secs_f64())
    }
}

/// What became of all calls.
struct Ends {
    calls: usize,
    /// Calls that must not be run twice and perhaps ran.
    maybe: usize,
}

/// Each call has one outcome, which is OK, or for one that must not be run twice that it may have run.
fn check(outcomes: &str, ledger: &str) -> Ends {
    let mut starts: BTreeMap<&str, usize> = BTreeMap::new();
    ledger.lines().for_each(|line| *starts.entry(line).or_default() += 1);
    let mut ends = Ends { calls: 0, maybe: 0 };
    for line in outcomes.lines().filter(|line| *line != "begun") {
        let mut words = line.splitn(3, ' ');
        let (method, number) = (words.next().unwrap(), words.next().unwrap());
        let outcome = words.next().unwrap();
        let started = starts.remove(format!("{method} {number}").as_str()).unwrap_or_default();
        assert!(started <= 1 || method == "again", "{line}: started {started} times");
        ends.calls += 1;
        if outcome.starts_with("OK ") {
            assert!(started >= 1, "{line}: it was never started");
            continue;
        }
        let honest = method == "once" && outcome.contains("MAYBE_EXECUTED");
        assert!(honest, "{line}: started {started} times");
        ends.maybe += 1;
    }
    assert!(starts.is_empty(), "started, and nobody knows what became of it: {starts:?}");
    ends
}

fn times(short: usize, full: usize) -> usize {
    let is_full = std::env::var("MDP_BROKER_KILLS").is_ok_and(|kills| kills == "full");
    if is_full { full } else { short }
}

fn report(what: &str, ends: &Ends, events: usize, seconds: f64) {
    let Ends { calls, maybe } = ends;
    let line = format!(
        "{what}: {events} of three brokers, {calls} calls in {seconds:.1} s at {RATE} calls/s, {maybe} MAYBE_EXECUTED\n"
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
fn brokers_are_killed_and_only_calls_under_way_may_have_run() {
    let mut cluster = Cluster::start();
    let kills = times(3, 12);
    let (outcomes, seconds) = cluster.under_load(|cluster| {
        for kill in 0..kills {
            let broker = kill % BROKERS;
            cluster.brokers[broker].kill();
            std::thread::sleep(BETWEEN);
            cluster.restart(broker);
            cluster.wait_for_workers(broker);
            std::thread::sleep(BETWEEN);
        }
    });
    let ends = check(&outcomes, &std::fs::read_to_string(cluster.ledger()).unwrap());
    report("kills", &ends, kills, seconds);
    assert!(ends.calls > RATE as usize, "only {} calls were made", ends.calls);
    // A handler takes 3 ms, so a third of this is with one broker at a time.
    let under_way = RATE as usize / 20;
    assert!(ends.maybe <= kills * under_way, "{} of {kills} kills", ends.maybe);
}

#[test]
fn brokers_are_replaced_in_good_order_and_no_call_fails() {
    let mut cluster = Cluster::start();
    let rounds = times(1, 5);
    let (outcomes, seconds) = cluster.under_load(|cluster| {
        for broker in (0..rounds).flat_map(|_| 0..BROKERS) {
            cluster.brokers[broker].signal("TERM");
            let old = std::mem::replace(&mut cluster.brokers[broker], part(&["broker"]));
            let ended = old.end();
            assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
            cluster.restart(broker);
            cluster.wait_for_workers(broker);
            std::thread::sleep(BETWEEN);
        }
    });
    let ends = check(&outcomes, &std::fs::read_to_string(cluster.ledger()).unwrap());
    report("replaced", &ends, rounds * BROKERS, seconds);
    assert_eq!(ends.maybe, 0, "in good order no call fails");
    for worker in cluster.workers {
        worker.signal("TERM");
        let ended = worker.end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    }
}
