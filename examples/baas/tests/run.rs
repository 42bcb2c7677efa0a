//! The example runs, in one process and as several, and says what it is meant to say.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/support/process.rs"]
mod process;

use std::path::Path;
use std::process::Command;

use process::Process;

fn part(folder: &Path, args: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-baas"));
    Process::start(command.current_dir(folder).args(args))
}

#[test]
fn all_parts_run_in_one_process() {
    let ended = part(Path::new("."), &[]).end();
    assert!(ended.status.success(), "{ended:?}");
    for words in [
        "UNAUTHENTICATED: baas.v1.Auth/Login: no such user and password",
        "the laptop's token from the phone: UNAUTHENTICATED",
        "PERMISSION_DENIED: baas.v1.Notes/Purge",
        "the token has expired",
        "after 5 guesses: RESOURCE_EXHAUSTED",
        "auth-3 took",
        "all went as expected",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }
}

/// As the README has it, on a free port.
#[test]
fn the_parts_run_as_processes_and_another_auth_worker_takes_its_share() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let keys = part(at, &["keys"]).end();
    assert!(keys.status.success(), "{keys:?}");
    let again = part(at, &["keys"]).end();
    assert!(!again.status.success() && again.stderr.contains("broker"), "{again:?}");

    let mut broker = part(at, &["broker", "--endpoint", "tcp://127.0.0.1:*"]);
    let line = broker.line("the broker listens at ");
    let endpoint = line.rsplit_once(' ').unwrap().1;
    let run = |args: &[&str]| part(at, &[args, &["--endpoint", endpoint]].concat());
    let mut parts = vec![run(&["notes"]), run(&["auth", "--id", "auth-1"])];
    let client = run(&["client", "--logins", "4"]).end();
    assert!(client.status.success(), "{client:?}");
    let said: Vec<&str> = client.stdout.lines().collect();
    assert_eq!(said, ["ann has signed up", "notes of ann: 1", "4 logins: auth-1 took 4"]);

    parts.push(run(&["auth", "--id", "auth-2"]));
    loop {
        let client = run(&["client", "--device", "phone", "--logins", "16"]).end();
        assert!(client.status.success(), "{client:?}");
        if client.stdout.contains("auth-1 took") && client.stdout.contains("auth-2 took") {
            break;
        }
    }
    let stranger = run(&["client", "--password", "a wrong password"]).end();
    assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
    assert!(stranger.stderr.contains("no such user and password"), "{stranger:?}");
    assert!(part(at, &["grant", "ann", "notes.admin"]).end().status.success());
    assert!(!part(at, &["grant", "ben", "notes.admin"]).end().status.success());
    parts.push(broker);
    for part in parts {
        part.signal("TERM");
        let ended = part.end();
        assert!(ended.status.success(), "{ended:?}");
    }
}
