//! The example runs and says what it is meant to say, in one program and in three.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/support/process.rs"]
mod process;

use std::process::Command;

use process::Process;

const SAID: &str = "hello worker\nhello world\nhello moon\nhello (2 people)";

fn example(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-raw"));
    command.args(arguments);
    command
}

#[test]
fn all_in_one() {
    let ended = Process::start(&mut example(&[])).end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout, SAID, "{ended:?}");
}

#[test]
fn three_programs() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", folder.path().join("broker").display());
    // Who comes first does not matter: the others wait.
    let worker = Process::start(&mut example(&["worker", &endpoint]));
    let client = Process::start(&mut example(&["client", &endpoint]));
    let _broker = Process::start(&mut example(&["broker", &endpoint]));
    let ended = client.end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout, SAID, "{ended:?}");
    // Asked to stop, it leaves its broker and ends well.
    worker.signal("TERM");
    let ended = worker.end();
    assert!(ended.status.success(), "{ended:?}");
}
