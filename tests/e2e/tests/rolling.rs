//! Four workers are replaced one after another under load, by SIGTERM and by `mmi.drain.worker`, then the broker. All
//! are processes. No call fails, none is lost, none that must not is run twice, and each process ends with 0.

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

const WORKERS: usize = 4;
/// Calls a second, half of them idempotent. A debug build on a busy machine cannot do 2,000.
const RATE: u32 = if cfg!(debug_assertions) { 500 } else { 2_000 };
/// How long calls are made between two replacements.
const BETWEEN: Duration = Duration::from_millis(200);

fn part(args: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_e2e-part")).args(args))
}

fn ends_with_0(process: Process, who: &str) {
    let ended = process.end();
    assert_eq!(ended.status.code(), Some(0), "{who}: {ended:?}");
}

/// Asks the broker itself.
struct Operator {
    tokio: tokio::runtime::Runtime,
    raw: RawClient,
}

impl Operator {
    fn new(endpoint: &str) -> Self {
        let tokio = tokio::runtime::Runtime::new().unwrap();
        let builder = RawClient::builder().dialect(Dialect::Rpc).connect(endpoint);
        let raw = tokio.block_on(async { builder.open().unwrap() });
        Operator { tokio, raw }
    }

    /// The frames of an answer, as text.
    fn ask(&self, service: &str, about: &str) -> Vec<String> {
        let frames = vec![about.to_owned().into()];
        let answer = self.tokio.block_on(self.raw.send(service, frames)).unwrap_or_default();
        answer.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
    }

    fn wait_for_worker(&self, id: &str) {
        let id = format!("\"id\":\"{id}\"");
        until(&format!("a worker with {id}"), || {
            self.ask("mmi.workers", "").get(1).is_some_and(|json| json.contains(&id))
        });
    }
}

#[test]
fn workers_and_the_broker_are_replaced_and_no_call_fails() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger").to_str().unwrap().to_owned();
    let mut broker = part(&["broker"]);
    let endpoint = broker.line("bound ").strip_prefix("bound ").unwrap().to_owned();
    let operator = Operator::new(&endpoint);
    let member = |id: &str| {
        let member = part(&["member", &endpoint, &ledger, id]);
        operator.wait_for_worker(id);
        member
    };
    let mut workers: Vec<Process> = (0..WORKERS).map(|n| member(&format!("first-{n}"))).collect();
    let mut load = part(&["load", &endpoint, &RATE.to_string()]);
    load.line("begun");
    let begun = Instant::now();

    for (n, worker) in workers.iter_mut().enumerate() {
        // The pause is what the test does; it waits for nothing.
        std::thread::sleep(BETWEEN);
        worker.signal("TERM");
        let old = std::mem::replace(worker, member(&format!("second-{n}")));
        ends_with_0(old, "a worker at SIGTERM");
    }
    for (n, worker) in workers.iter_mut().enumerate() {
        std::thread::sleep(BETWEEN);
        let told = operator.ask("mmi.drain.worker", &format!("second-{n}"));
        assert_eq!(told, ["200", "{\"workers\":1}"]);
        let old = std::mem::replace(worker, member(&format!("third-{n}")));
        ends_with_0(old, "a worker that was drained");
    }
    for by in ["mmi.drain.broker", "SIGTERM"] {
        std::thread::sleep(BETWEEN);
        match by {
            "SIGTERM" => broker.signal("TERM"),
            service => assert_eq!(operator.ask(service, "")[0], "200"),
        }
        ends_with_0(broker, by);
        broker = part(&["broker", &endpoint]);
        broker.line("bound ");
        (0..WORKERS).for_each(|n| operator.wait_for_worker(&format!("third-{n}")));
    }
    std::thread::sleep(BETWEEN);
    load.signal("TERM");
    let ended = load.end();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let figures = check(&ended.stdout, &std::fs::read_to_string(&ledger).unwrap());
    let line = format!("rolling: {figures} in {seconds:.1} s at {RATE} calls/s\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    for worker in workers {
        worker.signal("TERM");
        ends_with_0(worker, "a worker at the end");
    }
}

/// Each call has one outcome, which is OK, and those that must not run twice did not.
fn check(outcomes: &str, ledger: &str) -> String {
    let mut starts: BTreeMap<&str, usize> = BTreeMap::new();
    ledger.lines().for_each(|line| *starts.entry(line).or_default() += 1);
    let (mut calls, mut again) = (0, 0);
    for line in outcomes.lines().filter(|line| *line != "begun") {
        let (call, attempts) = line.split_once(" OK ").unwrap_or_else(|| panic!("{line}"));
        let started = starts.remove(call).unwrap_or_default();
        assert!(started >= 1, "{call} has a reply and was never started");
        assert!(started == 1 || call.starts_with("again "), "{call} was started {started} times");
        (calls, again) = (calls + 1, again + usize::from(attempts != "1"));
    }
    assert!(starts.is_empty(), "started, and nobody knows what became of it: {starts:?}");
    assert!(calls > RATE as usize, "only {calls} calls were made");
    format!("{calls} calls, all with a reply, {again} after more than one attempt")
}
