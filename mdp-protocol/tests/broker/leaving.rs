//! Unserved names, wanted workers, drains, shutdowns, lost peers.

use crate::support::{call, ms, not_started};
use mdp_protocol::broker::{Config, Input};
use mdp_protocol::wire::{DisconnectReason, Record};
use mdp_protocol::{Code, Limit};

use crate::bench::*;

#[test]
fn a_call_for_an_unknown_service_waits_a_while() {
    let mut bench = Bench::new(Config::default());
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.live(4_999);
    assert_eq!(bench.take(), [""; 0]);
    bench.live(1);
    assert_eq!(bench.take(), [format!("c: FINAL 1 {NO_SERVICE}")]);
    assert_eq!(bench.broker.stats().services, 0, "a request leaves nothing behind");
}

/// Its client's own timer could not tell whether a handler was started.
#[test]
fn a_call_that_nobody_serves_ends_before_its_deadline() {
    for (timeout, wait) in [(2_000, 1_750), (4_000, 3_750), (800, 700), (80, 70), (4, 3), (1, 0)] {
        let mut bench = Bench::new(Config::default());
        bench.hello("c");
        bench.request_as("c", 1, "s.S/M", timeout, true, "");
        if wait > 0 {
            bench.live(wait - 1);
            assert_eq!(bench.take(), [""; 0], "{timeout}");
        }
        bench.live(1);
        assert_eq!(bench.take(), [format!("c: FINAL 1 {NO_SERVICE}")], "{timeout}");
        assert!(bench.broker.is_quiet());
    }
}

#[test]
fn a_call_whose_last_worker_leaves_late_ends_before_its_deadline() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request_as("c", 2, "s.S/M", 2_000, false, "");
    bench.pass(1_500);
    bench.take();
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    bench.take();
    bench.pass(249);
    assert_eq!(bench.said(), [""; 0]);
    bench.pass(1);
    assert_eq!(bench.said(), [format!("c: FINAL 2 {NO_SERVICE}")]);
}

#[test]
fn a_call_waits_a_while_after_the_last_worker_left() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 60_000, true, "");
    bench.request_as("c", 2, "s.S/M", 60_000, false, "");
    bench.live(8_000);
    bench.take();
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(bench.take(), ["close w"]);
    bench.live(4_999);
    assert_eq!(bench.take(), [""; 0]);
    bench.live(1);
    let told = bench.take();
    assert!(told.contains(&format!("c: FINAL 2 {NO_SERVICE}")), "{told:?}");
    let first = "c: FINAL 1 UNAVAILABLE NO_SERVICE";
    assert!(told.iter().any(|line| line.starts_with(first)), "it may have run: {told:?}");
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_worker_that_leaves_serves_nobody_new() {
    let mut bench = Bench::new(Config { unserved_wait: ms(0), ..Config::default() });
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.say("w", Record::Drain);
    bench.take();
    bench.request("c", 1, "s.S/M");
    assert_eq!(bench.take(), [format!("c: FINAL 1 {NO_SERVICE}")]);
}

#[test]
fn a_wait_of_zero_refuses_at_once() {
    let mut bench = Bench::new(Config { unserved_wait: ms(0), ..Config::default() });
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    assert_eq!(bench.take(), [format!("c: FINAL 1 {NO_SERVICE}")]);
    bench.worker("w", "s.S", 1);
    bench.request("c", 2, "s.S/M");
    bench.request("c", 3, "s.S/M");
    assert_eq!(bench.take().len(), 1, "a busy worker is a worker: the call waits for it");
}

const NO_WORKER: &str = "UNAVAILABLE not started NO_WORKER: \
                         the worker that the call asks for does not offer the service";

#[test]
fn a_call_for_one_worker_goes_to_no_other() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 9_000, false, "w2");
    assert_eq!(bench.take(), ["w2: REQUEST 0v1 s.S/M 9000 ms try 1 peer c"]);
    // It is busy: the call waits for it, though the other one is free.
    bench.request_as("c", 2, "s.S/M", 9_000, false, "w2");
    assert_eq!(bench.take(), [""; 0]);
    bench.done("w2", "0v1");
    let next = "w2: REQUEST 1v1 s.S/M 9000 ms try 1 peer c";
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w2 done", next]);
    bench.request_as("c", 3, "s.S/M", 9_000, false, "nobody");
    bench.request_as("c", 4, "t.T/M", 9_000, false, "w1");
    let no = |number| format!("c: FINAL {number} {NO_WORKER}");
    assert_eq!(bench.take(), [no(3), no(4)]);
    // It leaves: what waits for it ends, and what it held does not move.
    bench.request_as("c", 5, "s.S/M", 9_000, true, "w2");
    bench.say("w2", Record::Disconnect(DisconnectReason::Shutdown));
    let told = bench.take();
    assert_eq!(told[0], no(5));
    assert!(told[1].starts_with("c: FINAL 2 UNAVAILABLE MAYBE_EXECUTED"));
    assert_eq!(told[2..], ["close w2"]);
}

#[test]
fn an_idempotent_call_for_one_worker_does_not_move_to_another() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 9_000, true, "w2");
    bench.take();
    bench.say("w2", Record::Disconnect(DisconnectReason::Shutdown));
    let told = bench.take();
    assert!(told[0].starts_with("c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED"), "{told:?}");
    assert_eq!(told[1..], ["close w2"]);
}

#[test]
fn calls_that_wait_for_one_worker_count_as_queued() {
    let mut bench = Bench::with_limits(|limits| limits.queued_calls_per_service = 1);
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    for number in 1..=3 {
        bench.request_as("c", number, "s.S/M", 9_000, false, "w");
    }
    let name = "queued_calls_per_service";
    let told = format!("c: FINAL 3 {LIMIT} {name} is reached; try again later");
    assert_eq!(bench.take()[1..], [told]);
    assert_eq!(bench.limits_met(), [Limit::QueuedCallsPerService]);
}

#[test]
fn a_worker_that_drains_gets_no_new_calls_and_finishes_its_own() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 2);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.say("w", Record::Drain);
    assert_eq!(bench.take(), ["w: DRAIN"]);
    bench.request("c", 2, "s.S/M");
    bench.request_as("c", 3, "s.S/M", 9_000, false, "w");
    assert_eq!(bench.take(), [format!("c: FINAL 3 {NO_WORKER}")]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w done"]);
    bench.worker("x", "s.S", 1);
    assert!(bench.take()[0].starts_with("x: REQUEST 1v1"));
}

#[test]
fn a_broker_that_shuts_down_gives_waiting_calls_back_and_lets_running_ones_end() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.take();
    bench.input(Input::Shutdown { grace: ms(5_000) });
    assert_eq!(bench.take(), ["w: DRAIN", "c: DRAIN", "c: CANCEL 2"]);
    bench.request("c", 3, "s.S/M");
    assert_eq!(bench.take(), ["c: CANCEL 3"]);
    bench.say("new", Record::Hello { id: b"", heartbeat: ms(1_000), liveness: 3 });
    assert_eq!(bench.take(), ["(new): DISCONNECT Shutdown"]);
    bench.done("w", "0v1");
    let end = ["c: FINAL 1 OK from w done", "w: DISCONNECT Shutdown", "c: DISCONNECT Shutdown"];
    assert_eq!(bench.take(), [&end[..], &["closed"]].concat());
    assert_eq!(bench.broker.next_deadline(), None);
}

#[test]
fn a_broker_that_shuts_down_waits_no_longer_than_its_grace_period() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.input(Input::Shutdown { grace: ms(2_000) });
    bench.take();
    bench.live(1_999);
    assert_eq!(bench.take(), [""; 0]);
    bench.pass(1);
    let said = bench.said();
    assert_eq!(said.last().map(String::as_str), Some("closed"), "{said:?}");
}

#[test]
fn a_call_whose_handler_may_have_run_is_not_given_back() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    bench.take();
    bench.input(Input::Shutdown { grace: ms(0) });
    let said = bench.take();
    assert!(said.iter().any(|line| line.starts_with("c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED")));
    assert!(!said.iter().any(|line| line.contains("CANCEL")));
}

#[test]
fn the_larger_heartbeat_and_liveness_of_both_sides_are_agreed_on() {
    let config = Config { max_heartbeat: ms(30_000), ..Config::default() };
    for (asked, liveness, agreed) in
        [(200, 1, "1000 ms x3"), (4_000, 5, "4000 ms x5"), (90_000, 255, "30000 ms x10")]
    {
        let mut bench = Bench::new(config.clone());
        bench.say("r", Record::Hello { id: b"p", heartbeat: ms(asked), liveness });
        assert_eq!(bench.take(), [format!("r: WELCOME p {agreed}")]);
    }
}

#[test]
fn heartbeats_go_out_only_while_nothing_else_does() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 100);
    bench.hello("c");
    for number in 0..10 {
        bench.pass(500);
        bench.request("c", number, "s.S/M");
        bench.say("w", Record::Heartbeat);
    }
    let beats = |lines: &[String], name: &str| {
        lines.iter().filter(|line| **line == format!("{name}: HEARTBEAT")).count()
    };
    let lines = bench.take();
    assert_eq!((beats(&lines, "w"), beats(&lines, "c")), (0, 5), "{lines:?}");
}

#[test]
fn any_record_is_a_sign_of_life() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 100);
    bench.hello("c");
    for number in 0..10 {
        bench.pass(900);
        bench.say("w", Record::Heartbeat);
        bench.request("c", number, "s.S/M");
    }
    assert_eq!(bench.broker.stats().sessions, 2);
}

#[test]
fn after_a_pause_of_the_broker_nobody_is_taken_for_dead_at_once() {
    let mut bench = Bench::new(Config::default());
    bench.hello("alive");
    bench.hello("dead");
    bench.now += 20_000;
    bench.input(Input::Tick);
    assert_eq!(bench.said(), [""; 0]);
    bench.say("alive", Record::Heartbeat);
    let mut wakes = 0;
    let end = bench.now + 1_000;
    while let Some(next) = bench.broker.next_deadline().filter(|next| next.as_ms() <= end) {
        bench.now = next.as_ms();
        bench.input(Input::Tick);
        wakes += 1;
    }
    assert_eq!(bench.said(), ["dead: DISCONNECT Silence", "close dead"]);
    assert!(wakes < 10, "it woke {wakes} times to wait one second");
}

#[test]
fn an_id_belongs_to_one_live_worker() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.say("r", Record::Hello { id: b"w", heartbeat: ms(1_000), liveness: 3 });
    bench.take();
    bench.ready("r", "s.S", 1);
    // The holder is sent something, so that a dead connection shows.
    assert_eq!(bench.take(), ["w: HEARTBEAT", "r: DISCONNECT IdTaken", "close r"]);
    let session = bench.keys["w"];
    bench.input(Input::Unreachable { session });
    bench.take();
    bench.say("r", Record::Hello { id: b"w", heartbeat: ms(1_000), liveness: 3 });
    bench.ready("r", "s.S", 1);
    assert_eq!(bench.take(), ["r: WELCOME w 1000 ms x3"]);
}

#[test]
fn ids_are_given_to_those_who_have_none() {
    let mut bench = Bench::new(Config::default());
    for (route, id) in [("r1", "p-1"), ("r2", "p-2")] {
        bench.say(route, Record::Hello { id: b"", heartbeat: ms(1_000), liveness: 3 });
        assert_eq!(bench.take(), [format!("{route}: WELCOME {id} 1000 ms x3")]);
    }
}

#[test]
fn a_request_that_could_not_be_sent_goes_to_another_worker_though_not_idempotent() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.worker("w2", "s.S", 1);
    bench.take();
    let to = bench.keys["w1"];
    bench.input(Input::Undelivered { to, call: call("0v1"), body: b"s.S/M".to_vec() });
    bench.input(Input::Unreachable { session: to });
    assert_eq!(bench.take(), ["close w1"]);
    bench.done("w2", "1v1");
    let again = "w2: REQUEST 0v1 s.S/M 10000 ms try 1 peer c";
    assert_eq!(bench.take(), ["c: FINAL 2 OK from w2 done", again]);
}

#[test]
fn a_request_for_one_worker_that_could_not_be_sent_is_refused() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 9_000, false, "w1");
    bench.take();
    let to = bench.keys["w1"];
    bench.input(Input::Undelivered { to, call: call("0v1"), body: b"s.S/M".to_vec() });
    bench.input(Input::Unreachable { session: to });
    assert_eq!(bench.take(), [format!("c: FINAL 1 {NO_WORKER}"), "close w1".into()]);
}

#[test]
fn a_client_that_leaves_takes_its_waiting_calls_along() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.take();
    bench.say("c", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(bench.take(), ["w: CANCEL 0v1", "close c"]);
    let stats = bench.broker.stats();
    assert_eq!((stats.queued, stats.running, stats.held_bytes), (0, 0, 0));
    bench.done("w", "0v1");
    assert_eq!(bench.take(), [""; 0]);
    assert!(bench.broker.is_quiet());
}

#[test]
fn ok_and_not_started_contradict_each_other_and_ok_wins() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.take();
    bench.say("w", not_started(call("0v1"), Code::Ok));
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w refused"]);
}
