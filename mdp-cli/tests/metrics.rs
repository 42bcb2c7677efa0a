//! What `mdp broker --metrics` serves, and the files that use it; what systemd is told.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use mdp_protocol::Span;
use mdp_protocol::wire::CallKind;
use mdp_runtime::{Client, Worker};
use process::Process;
use raw::{Raw, RawPeer};
use support::{Gate, SERVICE_NAME, bound, broker, call, held_call, mdp};

const ANYWHERE: [&str; 2] = ["--metrics", "127.0.0.1:0"];

/// The address of the line `metrics http://ADDRESS/metrics`.
fn address(process: &mut Process) -> String {
    let line = process.line("metrics ");
    let rest = line.strip_prefix("metrics http://").unwrap();
    rest.strip_suffix("/metrics").unwrap().to_owned()
}

/// The status and the body of an answer.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// The series without their values.
fn series(address: &str) -> BTreeSet<String> {
    let (status, text) = get(address, "/metrics");
    assert_eq!(status, 200);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Waits until the series has this value; an answer is given again for a while.
fn wait_for(address: &str, series: &str, value: &str) {
    let line = format!("{series} {value}");
    for _ in 0..200 {
        let text = get(address, "/metrics").1;
        if text.lines().any(|found| found == line) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no line `{line}` in:\n{}", get(address, "/metrics").1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_called_is_counted_by_service_method_and_worker() {
    let (mut process, endpoint) = broker(&ANYWHERE);
    let address = address(&mut process);
    let gate = Gate::default();
    gate.open();
    let worker =
        Worker::builder().id("w-1").connect(&endpoint).serve(gate.service()).start().unwrap();
    let client = Client::connect(&endpoint).await.unwrap();
    for _ in 0..3 {
        call(&client, "once").await.unwrap();
    }
    let method = format!("{{service=\"{SERVICE_NAME}\",method=\"Pass\"}}");
    wait_for(&address, &format!("mdp_method_calls_total{method}"), "3");
    wait_for(&address, &format!("mdp_method_errors_total{method}"), "0");
    let by_worker = format!("{{service=\"{SERVICE_NAME}\",worker=\"w-1\"}}");
    wait_for(&address, &format!("mdp_worker_calls_total{by_worker}"), "3");
    wait_for(&address, &format!("mdp_service_workers{{service=\"{SERVICE_NAME}\"}}"), "1");
    worker.shutdown(Duration::from_secs(5)).await;
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/elsewhere").0, 404);
}

/// A call of a service that nobody has.
fn odd_call(number: u64) -> Raw {
    Raw::Request {
        call: number,
        timeout: Span::from_secs(600),
        idempotent: false,
        attempt: 1,
        peer: Vec::new(),
        kind: CallKind::Unary,
        body: format!("odd.S{number}/M").into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_add_no_series() {
    let (mut process, endpoint) = broker(&ANYWHERE);
    let address = address(&mut process);
    let gate = Gate::default();
    gate.open();
    let _worker = Worker::builder().connect(&endpoint).serve(gate.service()).start().unwrap();
    let client = Client::connect(&endpoint).await.unwrap();
    call(&client, "known").await.unwrap();
    let method = format!("{{service=\"{SERVICE_NAME}\",method=\"Pass\"}}");
    wait_for(&address, &format!("mdp_method_calls_total{method}"), "1");
    let before = series(&address);
    let mut odd = RawPeer::greeted(&endpoint);
    for thousand in 0..10 {
        let numbers = 1_000 * thousand..1_000 * (thousand + 1);
        let calls: Vec<Raw> = numbers.clone().map(odd_call).collect();
        odd.send(&calls);
        // The first few wait for a worker, as many as there may be without one; the others are refused.
        (0..if thousand == 0 { 800 } else { 1_000 }).for_each(|_| drop(odd.wait_final()));
    }
    let text = get(&address, "/metrics").1;
    let ended = text.lines().filter(|line| line.starts_with("mdp_calls_ended_by_broker_total"));
    let ended: u64 =
        ended.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert!(ended >= 9_800, "the odd calls have come: {ended}");
    assert_eq!(series(&address), before);
}

#[test]
fn a_broker_that_drains_is_healthy_but_not_ready() {
    let (mut process, endpoint) = broker(&ANYWHERE);
    let address = address(&mut process);
    assert_eq!(get(&address, "/readyz"), (200, "ok\n".to_owned()));
    let held = held_call(&endpoint);
    process.signal("TERM");
    process.error_line("stopping");
    // An answer is given again for 250 ms.
    process::until("it is not ready", || get(&address, "/readyz").0 == 503);
    assert_eq!(get(&address, "/healthz").0, 200);
    drop(held);
    process.signal("TERM");
    process.end();
}

#[test]
fn an_address_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let args = ["broker", "--bind", "tcp://127.0.0.1:*", "--metrics", &at];
    let ended = Process::start(mdp().args(args)).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&at) && ended.stderr.contains("--metrics"), "{ended:?}");
}

#[test]
fn dashboard_and_alerts_name_series_that_there_are() {
    let (mut process, _) = broker(&ANYWHERE);
    let address = address(&mut process);
    let text = get(&address, "/metrics").1;
    let heads = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let known: BTreeSet<&str> = heads.map(|head| head.split(' ').next().unwrap()).collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/");
    let read = |file: &str| std::fs::read_to_string(format!("{folder}{file}")).unwrap();
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("grafana/mdp-broker.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 10);
    for panel in panels {
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
    }
    for file in ["grafana/mdp-broker.json", "prometheus/alerts.yml", "prometheus/alerts-test.yml"] {
        let text = read(file);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named: BTreeSet<&str> = words.filter(|word| word.starts_with("mdp_")).collect();
        assert!(!named.is_empty(), "{file}");
        for name in named {
            assert!(known.contains(name), "{file} names {name}, which the broker does not serve");
        }
    }
}

#[test]
fn systemd_is_told_of_the_start_the_end_and_signs_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let told = |words: &str| {
        let mut buffer = [0; 1_024];
        for _ in 0..50 {
            let len = socket.recv(&mut buffer).unwrap();
            if String::from_utf8_lossy(&buffer[..len]).lines().any(|line| line.starts_with(words)) {
                return;
            }
        }
        panic!("systemd was not told {words}");
    };
    // As systemd does: the watchdog is meant for the process of this id.
    let mut command = Command::new("sh");
    command.args(["-c", "WATCHDOG_PID=$$ exec \"$0\" broker --bind 'tcp://127.0.0.1:*'"]);
    command.arg(env!("CARGO_BIN_EXE_mdp"));
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut process = Process::start(&mut command);
    let endpoint = bound(&mut process);
    told("READY=1");
    told("WATCHDOG=1");
    told("WATCHDOG=1");
    let held = held_call(&endpoint);
    process.signal("TERM");
    told("STOPPING=1");
    // The broker still answers while it ends what runs.
    told("WATCHDOG=1");
    drop(held);
    process.signal("TERM");
    process.end();
}
