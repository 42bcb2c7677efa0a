//! The commands at examples/auth, as programs that know nothing of each other.

// A test names its fault by failing; records need no docs in one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::process::Command;
use std::time::{Duration, Instant};

use process::{Ended, Process};
use serde_json::{Value, json};
use support::{broker, mdp};

const LOGIN: &str = "auth.v1.Auth/Login";

fn run(endpoint: &str, args: &[&str]) -> Ended {
    Process::start(mdp().env("MDP_ENDPOINT", endpoint).args(args)).end()
}

fn json_of(endpoint: &str, args: &[&str]) -> Value {
    let ended = run(endpoint, &[args, &["--output", "json"]].concat());
    assert_eq!(ended.status.code(), Some(0), "{args:?}: {ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

/// A worker of the example, once the broker knows it.
fn worker(endpoint: &str, id: &str) -> Process {
    let program = std::env::var_os("MDP_EXAMPLE_AUTH").expect("MDP_EXAMPLE_AUTH names the program");
    let args = ["worker", "--endpoint", endpoint, "--id", id];
    let worker = Process::start(Command::new(program).args(args));
    let deadline = Instant::now() + Duration::from_secs(30);
    while !json_of(endpoint, &["list", "--workers"]).to_string().contains(&format!("\"{id}\"")) {
        assert!(Instant::now() < deadline, "worker {id} never came");
    }
    worker
}

#[test]
#[ignore = "needs the program of examples/auth in MDP_EXAMPLE_AUTH; .ci/python has it"]
fn the_example_is_listed_described_called_and_counted() {
    let (_broker, endpoint) = broker(&["--allow-drain"]);
    let workers = [worker(&endpoint, "w-1"), worker(&endpoint, "w-2")];

    let list = json_of(&endpoint, &["list"]);
    assert_eq!((&list[0]["service"], &list[0]["workers"]), (&json!("auth.v1.Auth"), &json!(2)));
    let service = run(&endpoint, &["describe", "auth.v1.Auth"]).stdout;
    for words in ["service Auth {", "rpc Login", "message LoginRequest {", "NO_SIDE_EFFECTS"] {
        assert!(service.contains(words), "{words}: {service}");
    }
    assert!(run(&endpoint, &["describe", LOGIN]).stdout.contains("rpc Login"));

    for (password, code) in [("correct horse", 0), ("a guess", 64 + 16), ("another", 64 + 16)] {
        let data = json!({ "user": "ann", "password": password }).to_string();
        let ended = run(&endpoint, &["call", LOGIN, "-d", &data]);
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        let said = if code == 0 { &ended.stdout } else { &ended.stderr };
        assert!(
            said.contains(if code == 0 { "signature" } else { "UNAUTHENTICATED" }),
            "{ended:?}"
        );
    }
    let stats = json_of(&endpoint, &["stats", "auth.v1.Auth"]);
    let login = stats.as_array().unwrap().iter().find(|line| line["method"] == "Login").unwrap();
    let done = &login["done"];
    assert_eq!((&done["requests"], &done["errors"]), (&json!(3), &json!(2)), "{stats}");
    assert_eq!(done["last_error"], "UNAUTHENTICATED");

    let [one, other] = workers;
    assert_eq!(run(&endpoint, &["drain", "w-1"]).status.code(), Some(0));
    assert_eq!(one.end().status.code(), Some(0));
    other.signal("TERM");
    assert_eq!(other.end().status.code(), Some(0));
}
