//! The example runs, and prints what its README says.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/support/process.rs"]
mod process;

use std::process::Command;

use process::Process;

#[test]
fn it_prints_what_its_readme_says() {
    let ended = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_example-patterns"))).end();
    assert!(ended.status.success(), "{ended:?}");
    let readme = include_str!("../README.md");
    let promised = readme.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let said: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(said, promised.lines().collect::<Vec<_>>());
}
