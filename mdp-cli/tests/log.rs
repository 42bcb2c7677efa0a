//! No way of writing the log, or of reading what a command says, stops or ends the program.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mdp_runtime::{Client, Worker};
use process::{Process, until};
use raw::RawPeer;
use support::{Gate, SERVICE_NAME, bound, call, held_call, mdp};

/// What a broker has to say when it is asked to say much.
const CHATTY: [&str; 4] = ["--metrics", "127.0.0.1:0", "--log", "trace"];
const DROPPED: &str = "mdp_log_lines_dropped_total";

/// A broker with this as its standard error, its endpoint, and the address of its counters.
fn broker(args: &[&str], stderr: impl Into<Stdio>) -> (Process, String, String) {
    let mut command = mdp();
    command.args(["broker", "--bind", "tcp://127.0.0.1:*"]).args(args).env("NO_COLOR", "1");
    let mut process = Process::start_with(&mut command, Stdio::piped(), stderr.into());
    let endpoint = bound(&mut process);
    let line = process.line("metrics ");
    let rest = line.strip_prefix("metrics http://").unwrap();
    (process, endpoint, rest.strip_suffix("/metrics").unwrap().to_owned())
}

/// How many lines it has dropped.
fn dropped(address: &str) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix(DROPPED)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {DROPPED} in {answer}")).parse().unwrap()
}

/// A worker joins, and a call of it ends well.
async fn serves(endpoint: &str) {
    let gate = Gate::default();
    gate.open();
    let worker = Worker::builder().connect(endpoint).serve(gate.service()).start().unwrap();
    let client = Client::connect(endpoint).await.unwrap();
    assert_eq!(call(&client, "here").await.unwrap(), "here");
    worker.shutdown(Duration::from_secs(10)).await;
}

/// SIGTERM ends it as it ends one that can write.
fn ends_well(process: Process) {
    process.signal("TERM");
    let ended = process.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

/// A pipe that takes nothing more; what fills it is gone once somebody has read it.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let mut fills = writer.try_clone().unwrap();
    // As much as any pipe holds, so that the thread stands until it is read. Only newlines: a pipe gives no room for the
    // rest of a longer line before what another writes, and the two would be one line.
    thread::spawn(move || fills.write_all(&b"\n".repeat(2_100_000)));
    (reader, writer)
}

/// As many sessions come and go as it takes until lines are dropped.
fn until_lines_are_dropped(endpoint: &str, address: &str) {
    until("lines are dropped", || {
        (0..50).for_each(|_| drop(RawPeer::greeted(endpoint)));
        dropped(address) > 0
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let (reader, writer) = pipe().unwrap();
    let (process, endpoint, address) = broker(&CHATTY, writer);
    // As `head -1` does.
    assert!(BufReader::new(reader).lines().next().unwrap().is_ok());
    serves(&endpoint).await;
    until("lines are counted", || dropped(&address) > 0);
    serves(&endpoint).await;
    ends_well(process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_log_ends_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (process, endpoint, address) = broker(&CHATTY, full);
    serves(&endpoint).await;
    until("lines are counted", || dropped(&address) > 0);
    ends_well(process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stands_still_stops_nothing() {
    let (reader, writer) = full_pipe();
    let (process, endpoint, address) = broker(&CHATTY, writer);
    serves(&endpoint).await;
    until_lines_are_dropped(&endpoint, &address);
    serves(&endpoint).await;
    ends_well(process);
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_missing_are_in_the_log_and_in_the_counters() {
    let (reader, writer) = full_pipe();
    let (process, endpoint, address) = broker(&CHATTY, writer);
    until_lines_are_dropped(&endpoint, &address);
    let read = thread::spawn(|| {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        lines.filter(|line| !line.is_empty()).collect::<Vec<String>>()
    });
    // Once it is read, what comes is written again.
    let before = dropped(&address);
    serves(&endpoint).await;
    until("nothing more is dropped", || {
        let now = dropped(&address);
        thread::sleep(Duration::from_millis(300)); // an answer is given again for 250 ms
        dropped(&address) == now
    });
    let all = dropped(&address);
    assert!(all >= before);
    ends_well(process);
    let lines = read.join().unwrap();
    let reports = lines.iter().filter(|line| line.contains("lines of the log are missing here"));
    let missing = reports.map(|line| {
        assert!(line.contains(" WARN "), "it has the form of all others: {line}");
        line.rsplit_once("lines=").unwrap().1.parse::<u64>().unwrap()
    });
    assert_eq!(missing.sum::<u64>(), all, "each is told, and once");
    assert!(lines.iter().any(|line| line.contains("broker stopped")), "{:?}", lines.last());
}

/// What a broker says on its standard output is for other programs. If they do not take it, it serves all the same, and
/// its log has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_standard_output_that_takes_nothing_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let closed = pipe().unwrap().1;
    let (reader, full) = full_pipe();
    let device = File::options().write(true).open("/dev/full").unwrap();
    for (number, stdout) in [closed.into(), full.into(), device.into()].into_iter().enumerate() {
        let stdout: Stdio = stdout;
        let endpoint = format!("ipc://{}/{number}", folder.path().display());
        let mut command = mdp();
        command.args(["broker", "--bind", &endpoint]);
        let mut process = Process::start_with(&mut command, stdout, Stdio::piped());
        let line = process.error_line("standard output");
        assert!(line.contains(&format!("bound {endpoint}")), "{line}");
        serves(&endpoint).await;
        ends_well(process);
    }
    drop(reader);
}

#[test]
fn a_program_without_outputs_serves() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}/closed", folder.path().display());
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_mdp");
    command.args(["-c", "exec \"$0\" broker --bind \"$1\" >&- 2>&-", program, &endpoint]);
    let process = Process::start(&mut command);
    drop(held_call(&endpoint));
    ends_well(process);
}

#[test]
fn the_last_lines_are_written_before_the_end() {
    let mut command = mdp();
    command.args(["broker", "--bind", "tcp://127.0.0.1:*", "--log", "debug"]);
    let mut process = Process::start(&mut command);
    let endpoint = bound(&mut process);
    for _ in 0..20 {
        RawPeer::greeted(&endpoint);
    }
    process.signal("TERM");
    let ended = process.end();
    assert!(ended.stderr.lines().last().unwrap().contains("broker stopped"), "{ended:?}");
}

/// A command whose reader stands still ends at SIGTERM.
#[test]
fn watch_ends_though_nobody_reads_it() {
    let mut server = mdp();
    server.args(["broker", "--bind", "tcp://127.0.0.1:*"]);
    let mut server = Process::start(&mut server);
    let endpoint = bound(&mut server);
    let _worker = RawPeer::worker(&endpoint, SERVICE_NAME, 1);
    let (reader, writer) = full_pipe();
    let mut command = mdp();
    command.args(["watch", "--interval", "0.1", "--endpoint", &endpoint]);
    let mut watch = Process::start_with(&mut command, writer.into(), Stdio::piped());
    std::thread::sleep(Duration::from_millis(700)); // by now it stands at its first line
    assert!(watch.is_running());
    watch.signal("TERM");
    watch.end();
    drop(reader);
}

/// A status is told by the exit code, also if it cannot be told in words.
#[test]
fn a_call_without_standard_error_has_its_exit_code() {
    let mut server = mdp();
    server.args(["broker", "--bind", "tcp://127.0.0.1:*"]);
    let mut server = Process::start(&mut server);
    let endpoint = bound(&mut server);
    let args = ["describe", "no.such.Service", "--endpoint", &endpoint];
    let closed = pipe().unwrap().1;
    let ended = Process::start_with(mdp().args(args), Stdio::piped(), closed.into()).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
}
