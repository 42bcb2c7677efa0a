//! Who is given a call, whose reply counts, and how a call ends.

use std::collections::{BTreeMap, VecDeque};

use crate::support::{call, not_started};
use mdp_protocol::Code;
use mdp_protocol::broker::{Cause, Config, Input, Note};
use mdp_protocol::wire::{DisconnectReason, Record};

use crate::bench::*;

#[test]
fn a_call_goes_to_a_worker_and_its_reply_comes_back() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 7, "s.S/M");
    assert_eq!(bench.take(), ["w: REQUEST 0v1 s.S/M 10000 ms try 1 peer c"]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 7 OK from w done"]);
    assert!(bench.broker.is_quiet());
}

#[test]
fn the_time_in_the_queue_is_taken_off() {
    let mut bench = Bench::new(Config::default());
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.pass(400);
    bench.worker("w", "s.S", 1);
    assert_eq!(bench.take(), ["w: REQUEST 0v1 s.S/M 9600 ms try 1 peer c"]);
}

#[test]
fn a_clients_calls_stay_in_order_and_clients_take_turns() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    for client in ["a", "b", "c"] {
        bench.hello(client);
    }
    for number in 1..=3 {
        bench.request("a", number, &format!("s.S/a{number}"));
    }
    bench.request("b", 1, "s.S/b1");
    bench.request("c", 1, "s.S/c1");
    bench.request("b", 2, "s.S/b2");
    let mut order = Vec::new();
    let request = |lines: Vec<String>| lines.into_iter().find(|line| line.contains("REQUEST"));
    while let Some(line) = request(bench.take()) {
        let words: Vec<&str> = line.split(' ').collect();
        order.push(words[3].to_owned());
        bench.done("w", words[2]);
    }
    assert_eq!(order, ["s.S/a1", "s.S/a2", "s.S/b1", "s.S/c1", "s.S/a3", "s.S/b2"]);
}

#[test]
fn the_least_loaded_worker_is_next_and_among_equals_the_one_used_longest_ago() {
    let mut bench = Bench::new(Config::default());
    bench.worker("small", "s.S", 1);
    bench.worker("large", "s.S", 4);
    bench.worker("other", "s.S", 1);
    bench.hello("c");
    let mut order = Vec::new();
    for number in 1..=6 {
        bench.request("c", number, "s.S/M");
        let line = bench.take().remove(0);
        order.push(line.split(':').next().unwrap().to_owned());
    }
    // All are empty: in the order in which they came. Then a quarter, a half and three quarters.
    assert_eq!(order, ["small", "large", "other", "large", "large", "large"]);
    bench.request("c", 7, "s.S/M");
    assert_eq!(bench.take(), [""; 0]);
    // `other` is free again before `small`, so it is the one that was used longest ago.
    bench.done("other", "2v1");
    assert_eq!(
        bench.take(),
        ["c: FINAL 3 OK from other done", "other: REQUEST 6v1 s.S/M 10000 ms try 1 peer c"]
    );
    bench.done("other", "6v1");
    bench.done("small", "0v1");
    bench.take();
    bench.request("c", 8, "s.S/M");
    assert!(bench.take()[0].starts_with("other: REQUEST"));
}

#[test]
fn a_reply_counts_only_from_the_worker_that_holds_the_call() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.worker("evil", "other.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.done("evil", "0v1");
    assert_eq!(bench.take(), ["evil: DISCONNECT Unexpected", "close evil"]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w done"]);
}

#[test]
fn a_reply_counts_once() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.done("w", "0v1");
    bench.take();
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["w: DISCONNECT Unexpected", "close w"]);
}

#[test]
fn a_reply_to_a_call_that_never_was_is_a_fault() {
    for handle in ["0v1", "77v3"] {
        let mut bench = Bench::new(Config::default());
        bench.hello("evil");
        bench.done("evil", handle);
        assert_eq!(bench.take(), ["evil: DISCONNECT Unexpected", "close evil"], "{handle}");
    }
}

#[test]
fn a_reply_to_a_waiting_call_is_a_fault() {
    let mut bench = Bench::new(Config::default());
    bench.hello("c");
    bench.hello("evil");
    bench.request("c", 1, "s.S/M");
    bench.done("evil", "0v1");
    assert_eq!(bench.take(), ["evil: DISCONNECT Unexpected", "close evil"]);
    bench.worker("w", "s.S", 1);
    assert!(bench.take()[0].starts_with("w: REQUEST 0v1"));
}

#[test]
fn a_deadline_ends_a_call_in_the_queue() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.request_as("c", 2, "s.S/M", 400, false, "");
    bench.pass(349);
    assert_eq!(bench.said(), [""; 0]);
    bench.pass(1);
    let told = "c: FINAL 2 DEADLINE_EXCEEDED not started DEADLINE_EXCEEDED: \
                no worker was free before the deadline; no handler was started";
    assert_eq!(bench.said(), [told]);
}

#[test]
fn a_deadline_ends_a_call_in_flight_and_its_slot_comes_back_later() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 300, true, "");
    bench.request_as("c", 2, "s.S/M", 20_000, true, "");
    bench.take();
    bench.pass(300);
    let told = "c: FINAL 1 DEADLINE_EXCEEDED DEADLINE_EXCEEDED: \
                the deadline passed while a worker held the call; its handler may have run";
    assert_eq!(bench.said(), [told]);
    assert_eq!(bench.broker.stats().running, 0);
    bench.live(999);
    assert_eq!(bench.take(), [""; 0], "the worker has a second to give the slot back");
    bench.live(1);
    assert_eq!(bench.take(), ["w: REQUEST 1v1 idempotent s.S/M 18700 ms try 1 peer c"]);
    assert!(bench.notes.iter().any(|note| matches!(note, Note::SlotReclaimed { .. })));
    // The late reply of the call whose slot was taken is dropped, once.
    bench.done("w", "0v1");
    assert_eq!(bench.take(), [""; 0]);
    bench.done("w", "0v1");
    assert!(bench.take().contains(&"w: DISCONNECT Unexpected".to_owned()));
}

#[test]
fn a_worker_that_answers_late_gives_its_slot_back_and_tells_nobody() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 300, false, "");
    bench.request("c", 2, "s.S/M");
    bench.pass(500);
    bench.said();
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["w: REQUEST 1v1 s.S/M 9500 ms try 1 peer c"]);
    assert_eq!(bench.broker.stats().late, 1);
}

#[test]
fn a_call_without_time_is_refused() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 0, false, "");
    assert!(bench.take()[0].starts_with("c: FINAL 1 DEADLINE_EXCEEDED not started"));
}

#[test]
fn a_lost_workers_calls_move_if_that_is_safe_and_end_if_not() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 2);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/safe");
    bench.request("c", 2, "s.S/once");
    bench.worker("w2", "s.S", 2);
    bench.take();
    bench.say("w1", Record::Disconnect(DisconnectReason::Shutdown));
    let told = "c: FINAL 2 UNAVAILABLE MAYBE_EXECUTED: worker w1 left while it held the call \
                (attempt 1 of 1); the handler may have run";
    let moved = "w2: REQUEST 0v1 idempotent s.S/safe 10000 ms try 2 peer c";
    assert_eq!(bench.take(), [told, "close w1", moved]);
    let cause = Cause::Said(DisconnectReason::Shutdown);
    let note = Note::SessionClosed { id: crate::support::shared("w1"), cause, moved: 1, ended: 1 };
    assert!(bench.notes.contains(&note), "{:?}", bench.notes);
    bench.done("w2", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w2 done"]);
}

#[test]
fn a_call_that_is_moved_goes_before_its_clients_other_calls() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/first");
    bench.idempotent("c", 2, "s.S/second");
    bench.say("w1", Record::Disconnect(DisconnectReason::Shutdown));
    bench.take();
    bench.worker("w2", "s.S", 1);
    assert!(bench.take()[0].starts_with("w2: REQUEST 0v1 idempotent s.S/first"));
}

#[test]
fn attempts_are_bounded() {
    let mut bench = Bench::with_limits(|limits| limits.attempts = 2);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    for attempt in 1..=2 {
        let worker = format!("w{attempt}");
        bench.worker(&worker, "s.S", 1);
        assert!(bench.take().pop().unwrap().contains(&format!("try {attempt} ")));
        bench.say(&worker, Record::Disconnect(DisconnectReason::Shutdown));
    }
    let told = "c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED: worker w2 left while it held the call \
                (attempt 2 of 2); the handler may have run";
    assert_eq!(bench.take(), [told, "close w2"]);
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_silent_worker_is_gone_after_the_agreed_time() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.take();
    let mut told = Vec::new();
    for _ in 0..6 {
        bench.pass(500);
        bench.say("c", Record::Heartbeat);
        told.extend(bench.said());
    }
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "w: DISCONNECT Silence");
    assert!(told[1].starts_with("c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED"));
    assert_eq!(told[2], "close w");
}

#[test]
fn a_worker_whose_message_is_on_its_way_is_not_silent() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.take();
    let session = bench.sender("w").session().unwrap();
    for _ in 0..5 {
        bench.pass(2_000);
        bench.input(Input::Alive { session });
    }
    assert_eq!(bench.said(), [""; 0]);
    bench.pass(3_000);
    assert_eq!(bench.said(), ["w: DISCONNECT Silence", "close w"]);
}

#[test]
fn a_worker_that_started_nothing_costs_an_idempotent_call_nothing() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.take();
    bench.say("w1", not_started(call("0v1"), Code::Unavailable));
    assert_eq!(bench.take(), ["w2: REQUEST 0v1 idempotent s.S/M 10000 ms try 2 peer c"]);
}

#[test]
fn a_refusal_after_a_lost_attempt_does_not_claim_that_nothing_ran() {
    let mut bench = Bench::new(Config::default());
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.worker("w1", "s.S", 1);
    bench.say("w1", Record::Disconnect(DisconnectReason::Shutdown));
    bench.worker("w2", "s.S", 1);
    for attempt in 2..=3 {
        assert!(bench.take().pop().unwrap().contains(&format!("try {attempt} ")));
        bench.say("w2", not_started(call("0v1"), Code::Unavailable));
    }
    let told = "c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED: the last attempt ended as UNAVAILABLE \
                before a handler was started; in an earlier one the handler may have run";
    assert_eq!(bench.take().first().map(String::as_str), Some(told));
}

/// A service with 20 workers.
fn with_twenty_workers() -> Bench {
    let mut bench = Bench::new(Config::default());
    for n in 0..20 {
        bench.worker(&format!("w{n}"), "s.S", 64);
    }
    bench.hello("c");
    bench.take();
    bench
}

/// Makes 100 calls within a millisecond. Each worker answers its calls one after another, each of which takes so long.
/// Returns how many workers got calls, and the most calls of one.
fn burst(bench: &mut Bench, round: u64, ms_each: u64) -> (usize, usize) {
    for n in 0..100 {
        bench.request("c", round * 100 + n, "s.S/M");
    }
    let mut calls: BTreeMap<String, VecDeque<String>> = BTreeMap::new();
    for line in bench.take() {
        let (worker, request) = line.split_once(": REQUEST ").unwrap();
        let handle = request.split(' ').next().unwrap().to_owned();
        calls.entry(worker.to_owned()).or_default().push_back(handle);
    }
    let most = calls.values().map(VecDeque::len).max().unwrap();
    let workers = calls.len();
    for _ in 0..most {
        bench.now += ms_each;
        for (worker, calls) in &mut calls {
            if let Some(handle) = calls.pop_front() {
                bench.done(worker, &handle);
            }
        }
    }
    assert_eq!(bench.take().len(), 100);
    bench.now += 1;
    (workers, most)
}

/// docs/performance.md, "1,000 workers of the service that is called".
#[test]
fn calls_of_a_burst_go_to_workers_in_runs_where_they_do_not_wait_for_each_other() {
    let mut bench = with_twenty_workers();
    assert_eq!(burst(&mut bench, 0, 0), (20, 5), "nothing is known at first");
    for round in 1..20 {
        burst(&mut bench, round, 0);
    }
    let (workers, most) = burst(&mut bench, 20, 0);
    assert!(workers <= 4 + 96_usize.div_ceil(32), "{workers} workers");
    assert!(most <= 33, "a run takes half of the slots at the most, and took {most}");
}

#[test]
fn calls_of_a_burst_are_spread_where_they_would_wait_for_each_other() {
    let mut bench = with_twenty_workers();
    for round in 0..20 {
        let (workers, most) = burst(&mut bench, round, 1);
        assert_eq!(workers, 20);
        assert!(most <= 6, "one call more for a look whether runs pay now, and not {most}");
    }
}

#[test]
fn a_run_ends_where_the_handlers_become_slow() {
    let mut bench = with_twenty_workers();
    for round in 0..20 {
        burst(&mut bench, round, 0);
    }
    assert!(burst(&mut bench, 20, 0).0 < 12);
    for round in 21..40 {
        burst(&mut bench, round, 2);
    }
    assert_eq!(burst(&mut bench, 40, 2).0, 20);
}

/// A bench whose service has got to know that runs pay, and the worker whose run goes on.
fn within_a_run() -> (Bench, String) {
    let mut bench = with_twenty_workers();
    for round in 0..20 {
        burst(&mut bench, round, 0);
    }
    let mut given = Vec::new();
    for n in 0..8 {
        bench.request("c", 100_000 + n, "s.S/M");
        given.extend(bench.take());
    }
    let workers: Vec<_> = given.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(workers[5], workers[7], "a run: {workers:?}");
    let worker = workers[7].to_owned();
    (bench, worker)
}

#[test]
fn a_worker_that_leaves_ends_its_run() {
    for leave in [Record::Drain, Record::Disconnect(DisconnectReason::Shutdown)] {
        let (mut bench, worker) = within_a_run();
        bench.say(&worker, leave);
        bench.take();
        bench.request("c", 200_000, "s.S/M");
        let line = bench.take().remove(0);
        assert!(line.contains(": REQUEST ") && !line.starts_with(&format!("{worker}:")), "{line}");
    }
}

#[test]
fn a_call_that_wants_one_worker_is_in_no_run() {
    let (mut bench, worker) = within_a_run();
    let other = if worker == "w3" { "w4" } else { "w3" };
    for number in 0..3 {
        bench.request_as("c", 200_000 + number, "s.S/M", 10_000, false, other);
        assert!(bench.take()[0].starts_with(&format!("{other}: REQUEST ")));
        bench.request("c", 300_000 + number, "s.S/M");
        assert!(bench.take()[0].starts_with(&format!("{worker}: REQUEST ")), "its run goes on");
    }
}
