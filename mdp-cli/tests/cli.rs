//! The program itself: where it listens, how it ends, what it says when something is wrong.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use mdp_protocol::wire::DisconnectReason;
use mdp_runtime::{Client, Worker};
use process::{Ended, Process};
use raw::RawPeer;
use support::{Gate, bound, broker, call, config, mdp};

/// A run that must not last.
fn fails(args: &[&str], code: i32, words: &[&str]) {
    let ended = Process::start(mdp().args(args)).end();
    assert_eq!(ended.status.code(), Some(code), "{args:?}: {ended:?}");
    assert_eq!(ended.stdout, "", "{args:?}: {ended:?}");
    for words in words {
        assert!(ended.stderr.contains(words), "{args:?} without {words:?}: {}", ended.stderr);
    }
}

fn ends_well(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[test]
fn every_endpoint_is_bound_and_announced_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let ipc = format!("ipc://{}", folder.path().join("mdp.sock").display());
    let args = ["--bind", "tcp://127.0.0.1:*", &ipc, "--bind", "tcp://127.0.0.1:*"];
    let mut process = Process::start(mdp().arg("broker").args(args));
    let endpoints: Vec<String> = (0..3).map(|_| bound(&mut process)).collect();
    assert!(endpoints.iter().all(|endpoint| !endpoint.contains('*')), "{endpoints:?}");
    assert_eq!(endpoints.get(1), Some(&ipc));
    for endpoint in &endpoints {
        RawPeer::greeted(endpoint);
    }
    process.signal("INT");
    let ended = process.end();
    ends_well(&ended);
    assert_eq!(ended.stdout.lines().count(), 3, "only what programs read: {ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_ends_well_before_the_broker_does() {
    let (process, endpoint) = broker(&[]);
    let gate = Gate::default();
    let worker = Worker::builder().connect(&endpoint).serve(gate.service()).start().unwrap();
    let client = Client::connect(&endpoint).await.unwrap();
    let answer = tokio::spawn(call(&client, "still there").send());
    gate.entered().await;
    process.signal("TERM");
    // The broker says that it stops; only then may the handler go on.
    let process = tokio::task::spawn_blocking(move || {
        let mut process = process;
        process.error_line("stopping");
        process
    });
    let mut process = process.await.unwrap();
    assert!(process.is_running(), "it should wait for the call");
    gate.open();
    assert_eq!(answer.await.unwrap().unwrap().into_message(), "still there");
    let ended = tokio::task::spawn_blocking(|| process.end()).await.unwrap();
    ends_well(&ended);
    worker.shutdown(Duration::ZERO).await;
}

#[test]
fn grace_bounds_the_wait_for_calls() {
    let (process, endpoint) = broker(&["--grace", "0.2"]);
    let (mut worker, mut client) = support::held_call(&endpoint);
    process.signal("TERM");
    ends_well(&process.end());
    assert_eq!(worker.wait_disconnect(), DisconnectReason::Shutdown);
    assert_eq!(client.wait_final().call, 1);
}

#[test]
fn a_second_signal_stops_at_once() {
    let (mut process, endpoint) = broker(&["--grace", "3600"]);
    let _held = support::held_call(&endpoint);
    process.signal("INT");
    process.error_line("stopping");
    assert!(process.is_running());
    std::thread::sleep(Duration::from_millis(600)); // signals within 0.5 s are one
    process.signal("TERM");
    let ended = process.end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("second signal"), "{ended:?}");
}

#[test]
fn a_command_line_that_is_wrong_ends_with_2() {
    fails(&[], 2, &["Usage"]);
    fails(&["broker"], 2, &["no endpoint to listen on", "--bind"]);
    fails(&["broker", "--bind"], 2, &["--bind"]);
    fails(&["broker", "--bind", "127.0.0.1:5555"], 2, &["`127.0.0.1:5555`", "transport"]);
    fails(&["broker", "--bind", "tcp://127.0.0.1:70000"], 2, &["port"]);
    fails(&["broker", "--bind", "tcp://127.0.0.1:*", "--grace", "soon"], 2, &["--grace", "soon"]);
    fails(&["broker", "--bind", "tcp://127.0.0.1:*", "--grace=-1"], 2, &["--grace"]);
    fails(&["broker", "--bind", "tcp://127.0.0.1:*", "--log", "a=b=c"], 2, &["a=b=c"]);
}

#[test]
fn what_cannot_be_bound_ends_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", taken.local_addr().unwrap());
    fails(&["broker", "--bind", &endpoint], 1, &[&endpoint, "in use"]);
    let nowhere = "ipc:///nowhere/at/all/mdp.sock";
    fails(&["broker", "--bind", nowhere], 1, &[nowhere]);
}

#[test]
fn a_configuration_that_is_wrong_ends_with_2_and_names_the_place() {
    let bind = "bind = [\"tcp://127.0.0.1:*\"]\n";
    for (text, words) in [
        ("heartbeats_ms = 5\n", &["line 2", "heartbeats_ms", "heartbeat_ms"][..]),
        ("[limits]\nsesions = 5\n", &["line 3", "sesions", "sessions"]),
        ("[limit]\n", &["line 2", "limit"]),
        ("heartbeat_ms = 0\n", &["line 2", "heartbeat_ms"]),
        ("liveness = 300\n", &["line 2", "liveness"]),
        ("overrun_ms = -1\n", &["line 2", "overrun_ms"]),
        ("[limits]\ncapacity = 65536\n", &["line 3", "capacity"]),
        ("liveness = \n", &["line 2"]),
    ] {
        let file = config(&format!("{bind}{text}"));
        let path = file.path().to_str().unwrap();
        fails(&["broker", "--config", path], 2, &[&[path], words].concat());
    }
    fails(&["broker", "--config", "/no/such/file"], 2, &["/no/such/file", "No such file"]);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let file = config("bind = [\"tcp://no.such.host.invalid:1\"]\n");
    let (process, _) = broker(&["--config", file.path().to_str().unwrap()]);
    process.signal("TERM");
    ends_well(&process.end());
}

#[test]
fn the_log_goes_to_standard_error_as_it_is_asked_for() {
    let said = |args: &[&str], env: Option<&str>| {
        let mut command = mdp();
        command.args(["broker", "--bind", "tcp://127.0.0.1:*"]).args(args);
        if let Some(filter) = env {
            command.env("RUST_LOG", filter);
        }
        let mut process = Process::start(&mut command);
        let endpoint = bound(&mut process);
        RawPeer::greeted(&endpoint);
        process.signal("TERM");
        let ended = process.end();
        ends_well(&ended);
        (ended.stderr.contains("broker started"), ended.stderr.contains("session opened"))
    };
    assert_eq!(said(&[], None), (true, false), "info by default");
    assert_eq!(said(&["--log", "debug"], None), (true, true));
    assert_eq!(said(&["--log", "off"], None), (false, false));
    assert_eq!(said(&[], Some("warn")), (false, false));
    assert_eq!(said(&["--log", "debug"], Some("warn")), (true, true), "the option wins");
}

#[test]
fn the_version_tells_of_libzmq_too() {
    let output = Command::new(env!("CARGO_BIN_EXE_mdp")).arg("--version").output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let libzmq = if cfg!(feature = "zmq") { "libzmq 4.3.5 with CURVE" } else { "without libzmq" };
    let wanted = format!("mdp {} ({libzmq})\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(said, wanted);
}
