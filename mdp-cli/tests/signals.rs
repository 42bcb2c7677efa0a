//! Signals: in pairs, to process 1, those that mean nothing, and those of a terminal that closes.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::process::{Command, Stdio};
use std::time::Duration;

use mdp_runtime::{Client, Worker};
use process::{Process, until};
use raw::RawPeer;
use support::{Gate, bound, broker, call, held_call};

/// Sends these signals at once.
fn signals(process: &Process, names: &[&str]) {
    let id = process.id();
    let lines: Vec<String> = names.iter().map(|name| format!("kill -{name} {id}")).collect();
    assert!(Command::new("sh").args(["-c", &lines.join("\n")]).status().unwrap().success());
}

/// While the call is held the broker runs, and it ends well once it is over.
fn drains(mut process: Process, held: (RawPeer, RawPeer)) {
    process.error_line("stopping");
    std::thread::sleep(Duration::from_millis(300)); // an end that should not come has its time to come
    assert!(process.is_running(), "{:?}", process.error_lines());
    drop(held);
    let ended = process.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("second signal"), "{ended:?}");
}

#[test]
fn signals_at_once_are_one() {
    for pair in [&["TERM", "TERM"], &["INT", "TERM"], &["TERM", "INT"], &["INT", "INT"]] {
        let (process, endpoint) = broker(&["--grace", "60"]);
        let held = held_call(&endpoint);
        signals(&process, pair);
        drains(process, held);
    }
}

/// `timeout` sends each signal to its child and to the group of both, when the time is over as when it is told to end.
#[test]
fn timeout_ends_a_broker_in_good_order() {
    let mut command = Command::new("timeout");
    command.args(["600", env!("CARGO_BIN_EXE_mdp"), "broker", "--bind", "tcp://127.0.0.1:*"]);
    let mut process = Process::start(command.args(["--grace", "60"]));
    let endpoint = bound(&mut process);
    let held = held_call(&endpoint);
    process.signal("TERM");
    drains(process, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_that_mean_nothing_change_nothing() {
    let (mut process, endpoint) = broker(&[]);
    let gate = Gate::default();
    gate.open();
    let worker = Worker::builder().connect(&endpoint).serve(gate.service()).start().unwrap();
    let client = Client::connect(&endpoint).await.unwrap();
    for _ in 0..20 {
        signals(&process, &["USR1", "USR2", "PIPE"]);
        assert_eq!(call(&client, "here").await.unwrap(), "here");
    }
    // Its terminal is gone, and there is no policy to read again.
    signals(&process, &["HUP"]);
    assert!(process.error_line("SIGHUP").contains("no policy"));
    assert_eq!(call(&client, "here").await.unwrap(), "here");
    worker.shutdown(Duration::from_secs(10)).await;
    process.signal("TERM");
    let ended = process.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

/// The process that `unshare` has started as number 1 of its own, or `None` where that is not allowed.
fn process_one(args: &[&str]) -> Option<(Process, u32)> {
    let unshare = ["--pid", "--fork", "--kill-child"];
    let allowed = Command::new("unshare").args(unshare).arg("true").stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("not tested: `unshare --pid` is for root");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(unshare).arg(env!("CARGO_BIN_EXE_mdp")).args(args);
    let process = Process::start(&mut command);
    let children = format!("/proc/{0}/task/{0}/children", process.id());
    let mut child = None;
    until("it is there", || {
        let found = std::fs::read_to_string(&children).unwrap_or_default();
        child = found.split_whitespace().next().and_then(|id| id.parse().ok());
        // Not unshare any more, and it catches the signal: else the kernel would drop it.
        child.is_some_and(catches_term)
    });
    child.map(|id| (process, id))
}

/// Whether the process has a handler for SIGTERM, number 15.
fn catches_term(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let is_mdp = status.lines().next().is_some_and(|line| line.ends_with("\tmdp"));
    let bits = caught.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    is_mdp && bits & (1 << 14) != 0
}

fn ends_at_term(started: (Process, u32)) -> process::Ended {
    let line = format!("kill -TERM {}", started.1);
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    started.0.end()
}

/// Before it serves: it stands at its configuration, which it waits for as long as the file changes.
#[test]
fn process_one_ends_before_it_serves() {
    let file = support::config("bind = [\"tcp://127.0.0.1:*\"]\n");
    let path = file.path().to_str().unwrap().to_owned();
    let Some(started) = process_one(&["broker", "--config", &path]) else { return };
    let ended = ends_at_term(started);
    assert!(matches!(ended.status.code(), Some(0 | 143)), "{ended:?}");
    // A command that never listens to signals, and waits for a broker.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let ended = ends_at_term(process_one(&["list", "--endpoint", &endpoint]).unwrap());
    assert_eq!(ended.status.code(), Some(143), "{ended:?}");
}

#[test]
fn process_one_drains_and_ends_at_once_when_it_is_told_twice() {
    let args = ["broker", "--bind", "tcp://127.0.0.1:*", "--grace", "60"];
    let Some((mut process, id)) = process_one(&args) else { return };
    let endpoint = bound(&mut process);
    let _held = held_call(&endpoint);
    let term = |id: u32| Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status();
    assert!(term(id).unwrap().success());
    process.error_line("stopping");
    std::thread::sleep(Duration::from_millis(600)); // signals within 0.5 s are one
    assert!(term(id).unwrap().success());
    let ended = process.end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("second signal"), "{ended:?}");
}

#[test]
fn a_broker_at_a_terminal_that_closes_goes_on() {
    let pty = portable_pty::native_pty_system();
    let pair = pty.openpty(portable_pty::PtySize::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}/terminal", folder.path().display());
    let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_mdp"));
    command.args(["broker", "--bind", &endpoint, "--log", "debug"]);
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    RawPeer::greeted(&endpoint);
    // The terminal closes: its session gets SIGHUP, and what is written fails from now on.
    drop(pair.master);
    for _ in 0..20 {
        RawPeer::greeted(&endpoint);
    }
    let held = held_call(&endpoint);
    assert!(child.try_wait().unwrap().is_none());
    drop(held);
    let line = format!("kill -TERM {}", child.process_id().unwrap());
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    let mut ended = None;
    until("it ends", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().exit_code(), 0);
}
