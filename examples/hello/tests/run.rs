//! The example runs and says what it is meant to say.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../../tests/support/process.rs"]
mod process;

use std::process::Command;

use process::Process;

#[test]
fn it_greets_three_people_and_refuses_an_empty_name() {
    let ended = Process::start(&mut Command::new(env!("CARGO_BIN_EXE_example-hello"))).end();
    assert!(ended.status.success(), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{ended:?}");
    for (line, name) in lines.iter().zip(["Ann", "Ben", "Cat"]) {
        assert!(line.starts_with(&format!("Hello {name}, says w-")), "{ended:?}");
    }
    assert_eq!(lines[3], "INVALID_ARGUMENT: hello.v1.Hello/Greet: a greeting needs a name");
}
