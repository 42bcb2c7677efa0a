//! Streams: what passes, what is counted, and who is turned out.

use crate::bench::*;
use crate::support::{call, ms, not_started};
use mdp_protocol::Code;
use mdp_protocol::broker::{Config, Input};
use mdp_protocol::wire::Direction::{Replies, Requests};
use mdp_protocol::wire::{CallKind, Direction, DisconnectReason, Part, Record};

/// The handle of the first call.
const H: u64 = 1 << 32;

/// A worker `w`, a client `c`, and a call 7 of this kind that the worker holds.
fn running(kind: CallKind) -> Bench {
    running_as(kind, false)
}

fn running_as(kind: CallKind, idempotent: bool) -> Bench {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.stream("c", 7, kind, idempotent);
    bench.take();
    bench
}

fn is_turned_out(bench: &mut Bench, name: &str) -> bool {
    let told = bench.take();
    told.contains(&format!("{name}: DISCONNECT Unexpected"))
        && told.contains(&format!("close {name}"))
}

#[test]
fn the_kind_goes_with_the_request() {
    let kinds = [
        (CallKind::ClientStreaming, "requests> "),
        (CallKind::ServerStreaming, "replies< "),
        (CallKind::BidiStreaming, "both<> "),
    ];
    for (kind, name) in kinds {
        let mut bench = Bench::new(Config::default());
        bench.worker("w", "s.S", 1);
        bench.hello("c");
        bench.stream("c", 7, kind, false);
        let request = format!("w: REQUEST 0v1 {name}s.S/M 10000 ms try 1 peer c");
        assert_eq!(bench.take(), [request]);
    }
}

/// R67, R72.
#[test]
fn items_and_credit_pass_both_ways_in_their_order() {
    let mut bench = running(CallKind::BidiStreaming);
    bench.credit("c", 7, Replies, 3);
    bench.credit("w", H, Requests, 2);
    bench.item("c", 7, Requests, "a");
    bench.part("w", H, Replies, Part::Open(b"meta".to_vec()));
    bench.item("w", H, Replies, "x");
    bench.item("c", 7, Requests, "b");
    bench.part("c", 7, Requests, Part::End);
    bench.item("w", H, Replies, "y");
    bench.credit("c", 7, Replies, 2);
    bench.done("w", "0v1");
    let told = [
        "w: CREDIT 0v1 replies: 3",
        "c: CREDIT 7 requests: 2",
        "w: DATA 0v1 requests: a",
        "c: DATA 7 replies: OPEN meta",
        "c: DATA 7 replies: x",
        "w: DATA 0v1 requests: b",
        "w: DATA 0v1 requests: END",
        "c: DATA 7 replies: y",
        "w: CREDIT 0v1 replies: 2",
        "c: FINAL 7 OK from w done",
    ];
    assert_eq!(bench.take(), told);
    assert!(bench.broker.is_quiet());
}

/// R69.
#[test]
fn an_item_may_overdraw_the_credit_and_the_next_may_not() {
    for (of, from, number) in [(Requests, "c", 7), (Replies, "w", H)] {
        let mut bench = running(CallKind::BidiStreaming);
        let (to, its) = if of == Requests { ("w", H) } else { ("c", 7) };
        bench.credit(to, its, of, 2);
        bench.item(from, number, of, "one unit");
        bench.item(from, number, of, &"x".repeat(1_250));
        assert_eq!(bench.take().len(), 3, "credit and two items pass");
        bench.credit(to, its, of, 4);
        bench.take();
        bench.item(from, number, of, "");
        assert!(is_turned_out(&mut bench, from), "five units from one, and four are no credit");
    }
}

/// R69: one that waits until there is some is well.
#[test]
fn credit_that_comes_again_lets_items_pass_again() {
    let mut bench = running(CallKind::ServerStreaming);
    bench.credit("c", 7, Replies, 1);
    bench.item("w", H, Replies, &"x".repeat(513));
    bench.credit("c", 7, Replies, 3);
    bench.item("w", H, Replies, "");
    bench.take();
    bench.item("w", H, Replies, "");
    let told = bench.take();
    assert_eq!(told[0], "w: DISCONNECT Unexpected", "the empty item cost the unit that was left");
}

/// R70, R74.
#[test]
fn without_credit_nothing_may_be_sent() {
    let mut bench = running(CallKind::BidiStreaming);
    bench.item("c", 7, Requests, "a");
    assert!(is_turned_out(&mut bench, "c"));
    let mut bench = running(CallKind::BidiStreaming);
    bench.item("w", H, Replies, "x");
    assert!(is_turned_out(&mut bench, "w"));
    assert_eq!(bench.broker.stats().invalid, 1);
}

/// R72.
#[test]
fn credit_beyond_the_window_is_not_passed_on() {
    let mut bench = Bench::with_limits(|limits| limits.window = 5);
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.stream("c", 7, CallKind::BidiStreaming, false);
    bench.take();
    for units in [3, 3, 3, u32::MAX] {
        bench.credit("c", 7, Replies, units);
        bench.credit("w", H, Requests, units);
    }
    let told = [
        "w: CREDIT 0v1 replies: 3",
        "c: CREDIT 7 requests: 3",
        "w: CREDIT 0v1 replies: 2",
        "c: CREDIT 7 requests: 2",
    ];
    assert_eq!(bench.take(), told);
    bench.item("w", H, Replies, &"x".repeat(1_500)); // one below zero
    bench.credit("c", 7, Replies, 100);
    assert_eq!(bench.take(), ["c: DATA 7 replies: 1500 bytes", "w: CREDIT 0v1 replies: 6"]);
    for of in [Requests, Replies] {
        let (to, its) = if of == Requests { ("w", H) } else { ("c", 7) };
        bench.credit(to, its, of, 0);
    }
    assert_eq!(bench.take(), [""; 0]);
}

/// R73.
#[test]
fn what_was_said_while_the_call_waited_goes_right_behind_its_request() {
    let mut bench = Bench::with_limits(|limits| limits.window = 20);
    bench.hello("c");
    bench.stream("c", 7, CallKind::BidiStreaming, false);
    bench.credit("c", 7, Replies, 4);
    bench.part("c", 7, Requests, Part::End);
    bench.credit("c", 7, Replies, 30);
    assert_eq!(bench.take(), [""; 0]);
    bench.worker("w", "s.S", 1);
    let told = [
        "w: REQUEST 0v1 both<> s.S/M 10000 ms try 1 peer c",
        "w: CREDIT 0v1 replies: 20",
        "w: DATA 0v1 requests: END",
    ];
    assert_eq!(bench.take(), told);
    bench.done("w", "0v1");
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_waiting_call_takes_no_item_and_its_client_ends_the_stream_once() {
    let waiting = || {
        let mut bench = Bench::new(Config::default());
        bench.hello("c");
        bench.stream("c", 7, CallKind::ClientStreaming, false);
        bench
    };
    let mut bench = waiting();
    bench.item("c", 7, Requests, "a");
    assert!(is_turned_out(&mut bench, "c"));
    assert!(bench.broker.is_quiet(), "its call went with it");
    let mut bench = waiting();
    bench.part("c", 7, Requests, Part::End);
    bench.part("c", 7, Requests, Part::End);
    assert!(is_turned_out(&mut bench, "c"));
}

/// R44, R73, R75: END and the client's credit begin nothing, and are said again.
#[test]
fn a_worker_that_dies_before_anything_has_passed_hands_the_call_on() {
    let mut bench = running_as(CallKind::BidiStreaming, true);
    bench.credit("c", 7, Replies, 9);
    bench.part("c", 7, Requests, Part::End);
    bench.worker("v", "s.S", 1);
    bench.take();
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    let told = [
        "close w",
        "v: REQUEST 0v1 idempotent both<> s.S/M 10000 ms try 2 peer c",
        "v: CREDIT 0v1 replies: 9",
        "v: DATA 0v1 requests: END",
    ];
    assert_eq!(bench.take(), told);
    bench.item("v", H, Replies, "x");
    bench.done("v", "0v1");
    assert_eq!(bench.take(), ["c: DATA 7 replies: x", "c: FINAL 7 OK from v done"]);
    assert!(bench.broker.is_quiet());
}

/// R44: nobody has seen it, whatever its method does.
#[test]
fn a_request_that_was_not_delivered_goes_elsewhere_with_what_its_client_said() {
    let mut bench = running(CallKind::BidiStreaming);
    bench.credit("c", 7, Replies, 9);
    bench.part("c", 7, Requests, Part::End);
    bench.worker("v", "s.S", 1);
    bench.take();
    let to = bench.keys["w"];
    bench.input(Input::Undelivered { to, call: H, body: b"s.S/M".to_vec() });
    let told = [
        "v: REQUEST 0v1 both<> s.S/M 10000 ms try 1 peer c",
        "v: CREDIT 0v1 replies: 9",
        "v: DATA 0v1 requests: END",
    ];
    assert_eq!(bench.take(), told);
    bench.input(Input::Unreachable { session: to });
    assert_eq!(bench.take(), ["close w"]);
    bench.item("v", H, Replies, "x");
    bench.done("v", "0v1");
    assert_eq!(bench.take(), ["c: DATA 7 replies: x", "c: FINAL 7 OK from v done"]);
}

#[test]
fn a_call_that_is_not_idempotent_is_not_handed_on() {
    let mut bench = running(CallKind::ServerStreaming);
    bench.worker("v", "s.S", 1);
    bench.take();
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    let told = bench.take();
    assert!(told[0].starts_with("c: FINAL 7 UNAVAILABLE MAYBE_EXECUTED"), "{told:?}");
}

/// R75.
#[test]
fn a_worker_that_dies_after_something_has_passed_ends_the_call() {
    let begin: [fn(&mut Bench); 3] = [
        |bench| bench.item("w", H, Replies, "x"),
        |bench| bench.part("w", H, Replies, Part::Open(vec![])),
        |bench| bench.credit("w", H, Requests, 1),
    ];
    for begin in begin {
        let mut bench = running_as(CallKind::BidiStreaming, true);
        bench.credit("c", 7, Replies, 9);
        bench.worker("v", "s.S", 1);
        begin(&mut bench);
        bench.take();
        bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
        let told = bench.take();
        assert!(told[0].starts_with("c: FINAL 7 UNAVAILABLE MAYBE_EXECUTED"), "{told:?}");
        assert_eq!(told[1..], ["close w"]);
        assert!(bench.broker.is_quiet());
    }
}

/// R45, R75.
#[test]
fn not_started_moves_no_call_that_has_begun() {
    let mut bench = running_as(CallKind::ServerStreaming, true);
    bench.credit("c", 7, Replies, 9);
    bench.worker("v", "s.S", 1);
    bench.part("w", H, Replies, Part::Open(vec![]));
    bench.take();
    bench.say("w", not_started(H, Code::Unavailable));
    let told = bench.take();
    assert_eq!(told, ["c: FINAL 7 UNAVAILABLE from w refused"], "and that is no longer certain");
}

/// R74: it has crossed with the end.
#[test]
fn what_comes_for_a_call_that_has_ended_is_dropped() {
    let mut bench = running(CallKind::BidiStreaming);
    bench.credit("c", 7, Replies, 9);
    bench.credit("w", H, Requests, 9);
    bench.done("w", "0v1");
    bench.take();
    for (name, number) in [("c", 7), ("w", H)] {
        let (own, others) = if name == "c" { (Requests, Replies) } else { (Replies, Requests) };
        bench.item(name, number, own, "late");
        bench.credit(name, number, others, 3);
    }
    bench.part("c", 7, Requests, Part::End);
    bench.item("c", 4_711, Requests, "whose?");
    assert_eq!(bench.take(), [""; 0]);
    assert!(bench.broker.is_quiet());
}

/// R74.
#[test]
fn nobody_has_a_say_in_anothers_call() {
    let meddle: [fn(&mut Bench); 4] = [
        |bench| bench.item("v", H, Replies, "forged"),
        |bench| bench.credit("v", H, Requests, 5),
        |bench| bench.item("v", 99 << 32, Replies, "forged"),
        |bench| bench.part("v", 7, Replies, Part::Open(vec![])),
    ];
    for meddle in meddle {
        let mut bench = running(CallKind::BidiStreaming);
        bench.worker("v", "t.T", 1);
        bench.credit("c", 7, Replies, 9);
        bench.take();
        meddle(&mut bench);
        assert!(is_turned_out(&mut bench, "v"));
        bench.item("w", H, Replies, "right");
        assert_eq!(bench.take(), ["c: DATA 7 replies: right"]);
    }
    // A client's number is its own: that of another one is none of its.
    let mut bench = running(CallKind::BidiStreaming);
    bench.hello("d");
    bench.credit("w", H, Requests, 5);
    bench.take();
    bench.item("d", 7, Requests, "forged");
    bench.part("d", 7, Requests, Part::End);
    assert_eq!(bench.take(), [""; 0]);
}

#[test]
fn a_call_that_waits_is_no_workers_to_answer() {
    let mut bench = running(CallKind::BidiStreaming);
    bench.stream("c", 8, CallKind::BidiStreaming, false);
    bench.item("w", H | 1, Replies, "not mine yet");
    assert!(is_turned_out(&mut bench, "w"));
}

/// R74.
#[test]
fn a_direction_that_does_not_stream_takes_nothing() {
    let cases: [(CallKind, &str, Direction); 5] = [
        (CallKind::Unary, "w", Replies),
        (CallKind::Unary, "c", Requests),
        (CallKind::ClientStreaming, "w", Replies),
        (CallKind::ServerStreaming, "c", Requests),
        // The right stream, and the wrong side of it.
        (CallKind::BidiStreaming, "c", Replies),
    ];
    for (kind, from, of) in cases {
        let number = if from == "c" { 7 } else { H };
        let mut bench = running(kind);
        bench.item(from, number, of, "x");
        let told = bench.take();
        if (kind, from, of) == (CallKind::BidiStreaming, "c", Replies) {
            // REPLIES says whose number it is: 7 is no handle of the broker.
            assert_eq!(told[0], "c: DISCONNECT Unexpected");
            continue;
        }
        assert!(told.contains(&format!("{from}: DISCONNECT Unexpected")), "{kind:?} {told:?}");
        let other = if from == "c" { ("w", H) } else { ("c", 7) };
        let mut bench = running(kind);
        bench.credit(other.0, other.1, of, 5);
        assert!(is_turned_out(&mut bench, other.0), "{kind:?}: credit for {of:?}");
    }
}

/// R74: what costs nothing does not, either.
#[test]
fn a_direction_that_does_not_stream_has_no_open_and_no_end() {
    for kind in [CallKind::Unary, CallKind::ServerStreaming] {
        let mut bench = running(kind);
        bench.part("c", 7, Requests, Part::End);
        assert!(is_turned_out(&mut bench, "c"), "{kind:?}");
    }
    for kind in [CallKind::Unary, CallKind::ClientStreaming] {
        let mut bench = running(kind);
        bench.part("w", H, Replies, Part::Open(vec![]));
        assert!(is_turned_out(&mut bench, "w"), "{kind:?}");
    }
}

/// R74.
#[test]
fn parts_out_of_their_place_end_the_session() {
    type Parts = Vec<Part<Vec<u8>>>;
    let cases: [(&str, u64, Direction, Parts); 5] = [
        ("w", H, Replies, vec![Part::Open(vec![]), Part::Open(vec![])]),
        ("w", H, Replies, vec![Part::Item(vec![]), Part::Open(vec![])]),
        ("w", H, Replies, vec![Part::End]),
        ("c", 7, Requests, vec![Part::Open(vec![])]),
        ("c", 7, Requests, vec![Part::End, Part::Item(vec![])]),
    ];
    for (name, number, of, parts) in cases {
        let mut bench = running(CallKind::BidiStreaming);
        bench.credit("c", 7, Replies, 9);
        bench.credit("w", H, Requests, 9);
        let what = format!("{parts:?}");
        for part in parts {
            bench.part(name, number, of, part);
        }
        assert!(is_turned_out(&mut bench, name), "{name}: {what}");
    }
}

/// R48.
#[test]
fn a_stream_that_is_given_up_is_stopped_and_its_slot_comes_back() {
    let mut bench = running(CallKind::BidiStreaming);
    bench.credit("c", 7, Replies, 9);
    bench.item("w", H, Replies, "x");
    bench.take();
    bench.say("c", Record::Cancel { call: 7 });
    assert_eq!(bench.take(), ["w: CANCEL 0v1"]);
    bench.item("w", H, Replies, "under way");
    bench.credit("w", H, Requests, 1);
    bench.item("c", 7, Requests, "mad, but gone");
    assert_eq!(bench.take(), [""; 0]);
    bench.done("w", "0v1");
    assert!(bench.broker.is_quiet());
}

/// R42, R43.
#[test]
fn a_deadline_ends_a_stream() {
    let mut bench = running(CallKind::BidiStreaming);
    bench.credit("c", 7, Replies, 9);
    bench.item("w", H, Replies, "x");
    bench.take();
    bench.live(10_000);
    let told = bench.take();
    assert!(told[0].starts_with("c: FINAL 7 DEADLINE_EXCEEDED"), "{told:?}");
    bench.item("w", H, Replies, "late");
    bench.live(1_000);
    bench.item("w", H, Replies, "later still");
    assert_eq!(bench.take(), [""; 0], "late parts are no fault");
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_client_that_leaves_ends_its_streams() {
    let mut bench = running(CallKind::BidiStreaming);
    bench.credit("w", H, Requests, 9);
    bench.take();
    bench.say("c", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(bench.take(), ["w: CANCEL 0v1", "close c"]);
    bench.item("w", H, Replies, "for nobody");
    assert_eq!(bench.take(), [""; 0]);
}

/// R51.
#[test]
fn a_shutdown_lets_streams_end_in_their_time() {
    let mut bench = running_as(CallKind::BidiStreaming, true);
    bench.credit("c", 7, Replies, 9);
    bench.take();
    bench.input(Input::Shutdown { grace: ms(5_000) });
    bench.item("w", H, Replies, "x");
    bench.done("w", "0v1");
    let told = [
        "w: DRAIN",
        "c: DRAIN",
        "c: DATA 7 replies: x",
        "c: FINAL 7 OK from w done",
        "w: DISCONNECT Shutdown",
        "c: DISCONNECT Shutdown",
        "closed",
    ];
    assert_eq!(bench.take(), told);
}

/// R47: a client says credit right behind its REQUEST, and stops listening at DISCONNECT.
#[test]
fn a_stranger_gets_all_its_calls_back_whatever_stands_between_them() {
    let mut bench = Bench::new(Config::default());
    bench.stream("c", 1, CallKind::BidiStreaming, false);
    bench.credit("c", 1, Replies, 9);
    bench.part("c", 1, Requests, Part::End);
    bench.stream("c", 2, CallKind::ServerStreaming, false);
    bench.credit("c", 2, Replies, 9);
    bench.say("c", Record::Cancel { call: 2 });
    bench.request("c", 3, "s.S/M");
    assert_eq!(bench.take(), ["(c): CANCEL 1", "(c): CANCEL 2", "(c): CANCEL 3"]);
    bench.input(Input::Tick);
    assert_eq!(bench.take(), ["(c): DISCONNECT NoSession"]);
    bench.credit("c", 1, Replies, 9);
    assert_eq!(bench.take(), ["(c): DISCONNECT NoSession"], "on its own it gets its own answer");
}

/// R72: what a stream passes is not held, and what it began with only until it has begun.
#[test]
fn the_broker_holds_nothing_of_a_stream() {
    let mut bench = running_as(CallKind::ServerStreaming, true);
    assert_eq!(bench.broker.stats().held_bytes, 5, "for another attempt");
    bench.credit("c", 7, Replies, 9);
    bench.item("w", call("0v1"), Replies, &"x".repeat(9_000));
    assert_eq!(bench.broker.stats().held_bytes, 0, "there is no other attempt any more");
}
