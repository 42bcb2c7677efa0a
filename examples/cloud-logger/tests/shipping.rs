//! What is logged arrives once, whatever is restarted; and what cannot is counted and told. With processes that are killed.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;

use support::{Process, World, numbers, until};

/// All events of so many programs are there, each once and in the order in which it was logged.
fn all_once(world: &World, programs: usize, events: u64) {
    let rows = world.rows();
    let sources: BTreeSet<&str> = rows.iter().map(|row| row.source.as_str()).collect();
    assert_eq!(sources.len(), programs);
    for source in sources {
        let numbers = numbers(&rows, source);
        assert!(
            numbers.iter().copied().eq(1..=events),
            "{} of {events} events of {source}",
            numbers.len()
        );
    }
    assert!(rows.iter().all(|row| row.dropped == 0));
}

fn apps(world: &World, count: usize, events: &str) -> Vec<Process> {
    let start = |_| world.part(&["app", "--events", events, "--rate", "500", "--grace", "60"]);
    (0..count).map(start).collect()
}

fn end_well(apps: Vec<Process>) {
    for app in apps {
        let ended = app.end();
        assert!(ended.status.success() && ended.stdout.contains("all is stored"), "{ended:?}");
    }
}

fn until_stored(world: &World, events: usize) {
    until("events are stored", || world.rows().len() >= events);
}

#[test]
fn a_broker_that_is_killed_under_load_loses_nothing() {
    let world = World::new();
    let mut broker = world.broker();
    let _logger = world.logger("logger-1");
    let mut view = world.view(&["--last", "0"]);
    let apps = apps(&world, 3, "2000");
    for stored in [300, 2_000, 4_000] {
        until_stored(&world, stored);
        broker.kill();
        broker = world.broker();
    }
    end_well(apps);
    all_once(&world, 3, 2_000);
    // The viewer has gone on by its cursor: each record once, the last one at the end.
    let mut shown = BTreeSet::new();
    for _ in 0..6_000 {
        let line = view.line(" number=");
        // Its source and number tell it apart.
        assert!(shown.insert(line.split_once(' ').unwrap().1.to_owned()), "shown twice: {line}");
    }
}

#[test]
fn a_logger_worker_that_is_killed_under_load_loses_nothing() {
    let world = World::new();
    let _broker = world.broker();
    let mut loggers = ["logger-1", "logger-2"].map(|id| world.logger(id));
    let apps = apps(&world, 2, "2000");
    for (round, stored) in [300, 1_200, 2_200].into_iter().enumerate() {
        until_stored(&world, stored);
        let id = ["logger-1", "logger-2"][round % 2];
        loggers[round % 2].kill();
        loggers[round % 2] = world.logger(id);
    }
    end_well(apps);
    all_once(&world, 2, 2_000);
}

#[test]
fn with_the_broker_away_the_buffer_is_bounded_and_what_is_dropped_is_told() {
    let world = World::new();
    let args =
        ["app", "--events", "5000", "--rate", "0", "--buffer-events", "400", "--grace", "60"];
    let mut app = world.part(&args);
    // All is logged, and nobody was there to take any of it.
    app.line("logged 5000 events");
    let _broker = world.broker();
    let _logger = world.logger("logger-1");
    let ended = app.end();
    assert!(ended.status.success(), "{ended:?}");
    let rows = world.rows();
    let told: u64 = rows.iter().map(|row| row.dropped).sum();
    let kept: BTreeSet<u64> = rows.iter().filter_map(|row| row.number).collect();
    assert_eq!(kept.len() as u64 + told, 5_000, "each event is kept or told");
    assert_eq!(kept.len(), 400);
    // What was under way when the buffer was full may tell of the first ones, and the rest of the others.
    let tellers = rows.len() - kept.len();
    assert!((1..=2).contains(&tellers), "{tellers}");
    // But for what was under way by then, the errors of the end have pushed all else out.
    let errors: Vec<u64> =
        rows.iter().filter(|row| row.level == 5).filter_map(|row| row.number).collect();
    assert!(errors.len() >= 300 && errors.ends_with(&[4_980, 4_990, 5_000]), "{errors:?}");
    let shown = world.past(&["--target", "cloud_logger"]);
    assert_eq!(shown.len(), tellers, "{shown:?}");
    let words = |line: &String| line.contains(" dropped, as the buffer was full: ");
    assert!(shown.iter().all(words), "{shown:?}");
    if tellers == 1 {
        assert!(shown[0].contains("4600 events were dropped, "), "{shown:?}");
    }
}

#[test]
fn the_buffer_is_bounded_in_bytes_too() {
    let world = World::new();
    let bytes = ["--buffer-bytes", "40000", "--grace", "60"];
    let mut app = world.part(&[&["app", "--events", "3000", "--rate", "0"], &bytes[..]].concat());
    app.line("logged 3000 events");
    let _broker = world.broker();
    let _logger = world.logger("logger-1");
    assert!(app.end().status.success());
    let rows = world.rows();
    let told: u64 = rows.iter().map(|row| row.dropped).sum();
    let kept = rows.iter().filter(|row| row.number.is_some()).count();
    assert_eq!(kept as u64 + told, 3_000);
    assert!((10..200).contains(&kept), "{kept} events of some 450 bytes are kept");
}

#[test]
fn a_program_ends_in_time_and_says_what_is_lost() {
    let world = World::new();
    let ended = world.part(&["app", "--events", "50", "--rate", "0", "--grace", "1"]).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("50 events were not acknowledged"), "{ended:?}");
}

/// The client and the shipper do log, which a program's other layers see; it is not shipped.
#[test]
fn what_ships_does_not_ship_what_it_logs_itself() {
    let world = World::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_example-cloud-logger"));
    command.current_dir(world.folder.path()).env("RUST_LOG", "trace").env("NO_COLOR", "1");
    command.args(["app", "--events", "10", "--grace", "60", "--endpoint", &world.endpoint]);
    let mut app = Process::start(&mut command);
    app.error_line("a batch of the log is not stored yet");
    let _broker = world.broker();
    let _logger = world.logger("logger-1");
    app.error_line("mdp_runtime");
    let ended = app.end();
    assert!(ended.status.success(), "{ended:?}");
    let rows = world.rows();
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|row| row.target.starts_with("shop::")), "{rows:?}");
}
