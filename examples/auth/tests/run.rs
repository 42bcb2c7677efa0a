//! The example runs, in one process and as several, and says what it is meant to say.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/support/process.rs"]
mod process;

use std::process::Command;

use process::{Process, until};

const REFUSED: &str = "refused: UNAUTHENTICATED: auth.v1.Auth/Login: no such user and password";

fn part(args: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_example-auth")).args(args))
}

/// A broker on a free port, and its endpoint.
fn broker() -> (Process, String) {
    let mut broker = part(&["broker", "--endpoint", "tcp://127.0.0.1:*"]);
    let line = broker.line("the broker listens at ");
    (broker, line.rsplit_once(' ').unwrap().1.into())
}

fn worker(endpoint: &str, id: &str, lookup_ms: &str) -> Process {
    part(&["worker", "--endpoint", endpoint, "--id", id, "--lookup-ms", lookup_ms])
}

#[test]
fn all_parts_run_in_one_process() {
    let ended = part(&[]).end();
    assert!(ended.status.success(), "{ended:?}");
    for words in
        ["ann has logged in", REFUSED, "has answered before it left", "all went as expected"]
    {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }
}

#[test]
fn the_parts_run_as_processes_and_end_in_good_order() {
    let (broker, endpoint) = broker();
    let worker = worker(&endpoint, "w-1", "1");
    let client = part(&["client", "--endpoint", &endpoint]).end();
    assert!(client.status.success(), "{client:?}");
    let said: Vec<&str> = client.stdout.lines().collect();
    assert_eq!(said, ["ann has logged in", REFUSED, "w-1 knows me at attempt 1: Ann Archer"]);
    for part in [worker, broker] {
        part.signal("TERM");
        let ended = part.end();
        assert!(ended.status.success(), "{ended:?}");
    }
}

#[test]
fn a_call_outlives_a_worker_that_is_killed_under_it() {
    let (_broker, endpoint) = broker();
    let mut workers = ["w-1", "w-2"].map(|id| worker(&endpoint, id, "1500"));
    let client = part(&["client", "--endpoint", &endpoint]);
    let mut holder = None;
    until("a worker holds the call", || {
        holder = workers.iter_mut().position(|worker| worker.has_said("looks ann up"));
        holder.is_some()
    });
    let [first, second] = &mut workers;
    let (holder, other) = if holder == Some(0) { (first, "w-2") } else { (second, "w-1") };
    holder.kill();
    let client = client.end();
    assert!(client.status.success(), "{client:?}");
    let last = format!("{other} knows me at attempt 2: Ann Archer");
    assert_eq!(client.stdout.lines().last(), Some(last.as_str()), "{client:?}");
}

#[test]
fn without_a_broker_the_client_says_so() {
    // Port 1 of this machine: nobody listens there.
    let client = part(&["client", "--endpoint", "tcp://127.0.0.1:1"]).end();
    assert_eq!(client.status.code(), Some(1), "{client:?}");
    assert!(client.stderr.contains("no broker answered"), "{client:?}");
}
