//! 10,000 calls of four clients over four workers, of which one is killed every 500 ms. All are
//! processes. Every call has one outcome; a ledger counts what was started.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../support/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use process::Process;

const CLIENTS: u64 = 4;
const WORKERS: usize = 4;
const CALLS_EACH: u64 = 2_500;
const BETWEEN_KILLS: Duration = Duration::from_millis(500);
/// With fewer the test would prove little.
const FEWEST_KILLS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(120);

fn part(args: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_e2e-part")).args(args))
}

#[test]
fn every_call_has_one_outcome_while_workers_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger").to_str().unwrap().to_owned();
    let mut broker = part(&["broker"]);
    let endpoint = broker.line("bound ").strip_prefix("bound ").unwrap().to_owned();
    let worker = || part(&["worker", &endpoint, &ledger]);
    let mut workers: Vec<Process> = (0..WORKERS).map(|_| worker()).collect();
    let begun = Instant::now();
    let mut clients: Vec<Process> = (0..CLIENTS)
        .map(|client| (client * CALLS_EACH).to_string())
        .map(|first| part(&["client", &endpoint, &first, &CALLS_EACH.to_string()]))
        .collect();

    let mut kills = 0;
    while clients.iter_mut().any(Process::is_running) {
        assert!(begun.elapsed() < DEADLINE, "the clients are still not done");
        // The cadence is what the test does to the workers; it waits for nothing.
        std::thread::sleep(BETWEEN_KILLS);
        let victim = &mut workers[kills % WORKERS];
        victim.kill();
        *victim = worker();
        kills += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    assert!(broker.is_running(), "the broker has gone");

    let outcomes = outcomes(clients);
    let starts = starts(&ledger);
    let figures = check(&outcomes, &starts);
    // Past the test harness, which shows nothing of a test that passes.
    let line = format!("kills: {figures}; {kills} workers killed in {seconds:.1} s\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    assert!(kills >= FEWEST_KILLS, "only {kills} workers were killed");
}

/// A method and a number.
type Call = (String, u64);

/// How each call ended.
fn outcomes(clients: Vec<Process>) -> BTreeMap<Call, String> {
    let mut outcomes = BTreeMap::new();
    for client in clients {
        let ended = client.end();
        assert!(ended.status.success(), "{}", ended.stderr);
        for line in ended.stdout.lines() {
            let (call, outcome) = read(line);
            let before = outcomes.insert(call, outcome.to_owned());
            assert_eq!(before, None, "a second outcome: {line}");
        }
    }
    outcomes
}

/// How often the handler of each call was started.
fn starts(ledger: &str) -> BTreeMap<Call, usize> {
    let mut starts = BTreeMap::new();
    for line in std::fs::read_to_string(ledger).unwrap().lines() {
        *starts.entry(read(line).0).or_default() += 1;
    }
    starts
}

fn read(line: &str) -> (Call, &str) {
    let mut words = line.splitn(3, ' ');
    let method = words.next().unwrap().to_owned();
    let number = words.next().unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
    ((method, number), words.next().unwrap_or_default())
}

fn check(outcomes: &BTreeMap<Call, String>, starts: &BTreeMap<Call, usize>) -> String {
    assert_eq!(outcomes.len() as u64, CLIENTS * CALLS_EACH, "a call without an outcome");
    let (mut ok, mut moved, mut maybe) = (0, 0, 0);
    for ((method, number), outcome) in outcomes {
        let started = starts.get(&(method.clone(), *number)).copied().unwrap_or(0);
        if let Some(attempts) = outcome.strip_prefix("OK ") {
            assert!(started >= 1, "{method} {number} has a reply and was never started");
            ok += 1;
            moved += usize::from(attempts != "1");
        } else {
            assert_eq!(method, "once", "{number} may be run again, and ended with {outcome}");
            let honest = outcome.starts_with("UNAVAILABLE MAYBE_EXECUTED ");
            assert!(honest, "{method} {number} ended with {outcome}");
            maybe += 1;
        }
        if method == "once" {
            assert!(
                started <= 1,
                "{number} must not be run twice, and was started {started} times"
            );
        }
    }
    for call in starts.keys() {
        assert!(outcomes.contains_key(call), "{call:?} was started, and nobody made it");
    }
    let calls = outcomes.len();
    let executions: usize = starts.values().sum();
    let again = starts.values().filter(|started| **started > 1).count();
    format!(
        "{calls} calls, {ok} replies ({moved} after more than one attempt), {maybe} ended with \
         MAYBE_EXECUTED, {executions} handlers started, {again} calls started more than once"
    )
}
