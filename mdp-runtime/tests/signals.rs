//! SIGINT and SIGTERM, sent to a process that is this test once more.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/process.rs"]
mod process;

use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use mdp_runtime::{
    Broker, Dialect, RawClient, RawWorker, ShutdownSignals, Worker, shutdown_signal,
};
use process::{Process, until};

/// What the process is to do.
const PART: &str = "MDP_SIGNALS_PART";
const TERM: i32 = 15;

fn start(part: &str) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_other_process", "--nocapture"]).env(PART, part);
    Process::start_with(&mut command, Stdio::piped(), Stdio::inherit())
}

/// Sends these signals at once.
fn signals(process: &Process, names: &[&str]) {
    let id = process.id();
    let lines: Vec<String> = names.iter().map(|name| format!("kill -{name} {id}")).collect();
    assert!(Command::new("sh").args(["-c", &lines.join("\n")]).status().unwrap().success());
}

/// Two signals at once are one, and a later one ends it.
fn ends_at_the_second(mut process: Process) {
    signals(&process, &["INT", "TERM"]);
    std::thread::sleep(Duration::from_millis(600)); // signals within 0.5 s are one
    assert!(process.is_running(), "it was told once");
    signals(&process, &["TERM"]);
    let ended = process.end();
    assert_eq!(ended.status.signal(), Some(TERM), "{ended:?}");
}

#[test]
fn a_worker_that_runs_finishes_at_a_pair_of_signals_and_ends_at_another() {
    for dialect in ["rpc", "mdp02"] {
        let mut process = start(dialect);
        process.line("held");
        ends_at_the_second(process);
    }
}

#[test]
fn a_program_that_was_asked_to_stop_ends_at_another_signal() {
    let mut process = start("asked");
    process.line("listening");
    ends_at_the_second(process);
}

#[test]
fn a_program_that_hangs_ends_at_another_signal() {
    let mut process = start("hangs");
    process.line("listening");
    ends_at_the_second(process);
}

#[test]
fn a_signal_from_before_the_worker_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    let mut process = start(file.to_str().unwrap());
    process.line("listening");
    process.signal("TERM");
    std::fs::write(&file, "").unwrap();
    process.line("ended well");
    assert!(process.end().status.success());
}

/// The process.
#[tokio::test(flavor = "multi_thread")]
async fn the_other_process() {
    let Ok(part) = std::env::var(PART) else { return };
    match part.as_str() {
        "rpc" => serve(Dialect::Rpc).await,
        "mdp02" => serve(Dialect::Mdp02).await,
        "asked" => {
            let asked = shutdown_signal();
            println!("listening");
            asked.await;
            pending().await
        }
        "hangs" => {
            let _signals = ShutdownSignals::listen().unwrap();
            println!("listening");
            loop {
                std::thread::park();
            }
        }
        file => {
            let signals = ShutdownSignals::listen().unwrap();
            println!("listening");
            until("the test goes on", || std::path::Path::new(file).exists());
            let worker = Worker::builder().connect("tcp://127.0.0.1:9");
            worker.serve_raw("never", async |_, _| {}).run().await.unwrap();
            println!("ended well");
            drop(signals);
        }
    }
}

/// Serves until it is told to end, with a call that does not end.
async fn serve(dialect: Dialect) {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let endpoint = broker.endpoints().first().unwrap().clone();
    let client = RawClient::builder().connect(&endpoint).open().unwrap();
    let _pending = client.request("held", vec![]);
    let grace = Duration::from_secs(3_600);
    let handler = async |_, replier| {
        println!("held");
        pending::<()>().await;
        drop(replier);
    };
    let ended = match dialect {
        Dialect::Rpc => {
            let worker = Worker::builder().connect(&endpoint).grace(grace);
            worker.serve_raw("held", handler).run().await
        }
        _ => {
            let worker = RawWorker::builder("held").dialect(dialect).connect(&endpoint);
            worker.grace(grace).run(handler).await
        }
    };
    panic!("it should wait for the call: {ended:?}");
}
