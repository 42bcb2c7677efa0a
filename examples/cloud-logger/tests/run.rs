//! The example runs, in one process and as several, and says what it is meant to say.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use support::World;

#[test]
fn all_parts_run_in_one_process() {
    let ended = support::Process::start(&mut std::process::Command::new(env!(
        "CARGO_BIN_EXE_example-cloud-logger"
    )))
    .end();
    assert!(ended.status.success(), "{ended:?}");
    for words in [
        "text \"DECLINED\": 12",
        "each is stored once and in order",
        "200 were kept, all errors among them, and 800 are told as dropped",
        r"<script>steal()</script>\u{1b}[2J\r\nERROR forged",
        "5 events were not acknowledged by the logger in time",
        "all went as expected",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }
}

/// As the README has it, on a free port.
#[test]
fn the_parts_run_as_processes_over_tcp() {
    let mut world = World::new();
    world.endpoint = "tcp://127.0.0.1:*".into();
    let mut broker = world.part(&["broker"]);
    let line = broker.line("the broker listens at ");
    world.endpoint = line.rsplit_once(' ').unwrap().1.to_owned();
    let logger = world.logger("logger-1");
    let mut view = world.view(&["--level", "warn"]);
    world.logs(&["--events", "20", "--rate", "1000"]);
    assert!(view.line("number=20").contains("ERROR shop["));
    let (web, _) = world.web();
    let no_level = world.part(&["view", "--level", "loud"]).end();
    assert!(no_level.stderr.contains("a level is one of trace, debug"), "{no_level:?}");
    // The logger is asked while somebody watches, and does not wait for that.
    for part in [logger, view, web, broker] {
        part.signal("TERM");
        let ended = part.end();
        assert!(ended.status.success(), "{ended:?}");
    }
}
