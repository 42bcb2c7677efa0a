//! Streams as a client sees them.

use crate::bench::Bench;
use crate::support::{call, ms, reply};
use mdp_protocol::client::{Config, Input};
use mdp_protocol::wire::Direction::{Replies, Requests};
use mdp_protocol::wire::{CallKind, Direction, DisconnectReason, Part, Record};
use mdp_protocol::{Code, Key};

const LOST: &str = "disconnected: the broker broke the protocol";

/// A kind of call, and a part that has no place in it.
type Wrong = (CallKind, fn() -> Part<Vec<u8>>);
/// What the broker says.
type Steps<'a> = &'a [fn(&mut Bench)];

impl Bench {
    /// The user sends an item.
    fn item(&mut self, call: Key, body: &str) {
        self.part(call, Part::Item(body.into()));
    }

    fn part(&mut self, call: Key, part: Part<Vec<u8>>) {
        self.input(Input::Part { call, part });
    }

    fn hear(&mut self, handle: &str, of: Direction, part: Part<Vec<u8>>) {
        self.say(Record::Data { call: call(handle), of, part });
    }

    fn hear_credit(&mut self, handle: &str, of: Direction, units: u32) {
        self.say(Record::Credit { call: call(handle), of, units });
    }
}

fn item(body: &str) -> Part<Vec<u8>> {
    Part::Item(body.into())
}

#[test]
fn a_call_with_streams_goes_both_ways() {
    let mut bench = Bench::connected(Config { window: 8, ..Config::default() });
    let key = bench.stream(1, CallKind::BidiStreaming, false);
    let sent = ["REQUEST 0v1 both<> s.S/M 9000 ms try 1", "CREDIT 0v1 replies: 8"];
    assert_eq!(bench.take(), sent);
    bench.hear_credit("0v1", Requests, 2);
    bench.item(key, "a");
    bench.hear("0v1", Replies, Part::Open(b"meta".to_vec()));
    bench.hear("0v1", Replies, item("x"));
    bench.input(Input::Taken { call: key, units: 1 });
    bench.input(Input::Taken { call: key, units: 0 });
    bench.part(key, Part::End);
    bench.say(reply(call("0v1"), Code::Ok, ""));
    let told = [
        "credit 0v1: 2",
        "DATA 0v1 requests: a",
        "part 0v1: OPEN meta",
        "part 0v1: x",
        "CREDIT 0v1 replies: 1",
        "DATA 0v1 requests: END",
        "call 1: OK ",
    ];
    assert_eq!(bench.take(), told);
    // What the user still does, and what was still under way, finds nothing.
    bench.item(key, "late");
    bench.input(Input::Taken { call: key, units: 1 });
    bench.hear("0v1", Replies, item("late"));
    bench.hear_credit("0v1", Requests, 2);
    assert_eq!(bench.take(), [""; 0]);
}

#[test]
fn only_streams_of_replies_are_given_credit() {
    let mut bench = Bench::connected(Config::default());
    bench.stream(1, CallKind::ClientStreaming, false);
    bench.stream(2, CallKind::ServerStreaming, false);
    bench.call(3, 9_000, false);
    let sent = [
        "REQUEST 0v1 requests> s.S/M 9000 ms try 1",
        "REQUEST 1v1 replies< s.S/M 9000 ms try 1",
        "CREDIT 1v1 replies: 4096",
        "REQUEST 2v1 s.S/M 9000 ms try 1",
    ];
    assert_eq!(bench.take(), sent);
}

#[test]
fn a_stream_may_be_ended_before_its_call_is_sent() {
    let mut bench = Bench::new(Config::default());
    bench.input(Input::Tick);
    let key = bench.stream(1, CallKind::ClientStreaming, false);
    bench.part(key, Part::End);
    bench.take();
    bench.welcome();
    let sent = ["REQUEST 0v1 requests> s.S/M 9000 ms try 1", "DATA 0v1 requests: END"];
    assert_eq!(bench.take()[1..], sent);
}

/// R49: with its END and its credit, as on the first session.
#[test]
fn a_call_that_has_not_begun_is_sent_again_with_its_end() {
    let mut bench = Bench::connected(Config { window: 8, ..Config::default() });
    let key = bench.stream(1, CallKind::BidiStreaming, true);
    bench.part(key, Part::End);
    for round in 2..=3 {
        bench.say(Record::Disconnect(DisconnectReason::NoSession));
        bench.take();
        bench.until_connect(1_000);
        bench.take();
        bench.welcome();
        let told = bench.take();
        assert!(told[1].starts_with("REQUEST 0v1 idempotent both<> s.S/M"), "{told:?}");
        assert!(told[1].ends_with(&format!("try {round}")), "{told:?}");
        assert_eq!(told[2..], ["CREDIT 0v1 replies: 8", "DATA 0v1 requests: END"]);
    }
    bench.hear("0v1", Replies, item("x"));
    assert_eq!(bench.take(), ["part 0v1: x"], "the credit is that of this session");
}

/// R75.
#[test]
fn a_call_that_has_begun_ends_with_its_session() {
    let begin: [fn(&mut Bench); 3] = [
        |bench| bench.hear("0v1", Replies, item("x")),
        |bench| bench.hear("0v1", Replies, Part::Open(vec![])),
        |bench| bench.hear_credit("0v1", Requests, 1),
    ];
    for begin in begin {
        for reason in [DisconnectReason::NoSession, DisconnectReason::Shutdown] {
            let mut bench = Bench::connected(Config::default());
            bench.stream(1, CallKind::BidiStreaming, true);
            begin(&mut bench);
            bench.take();
            bench.say(Record::Disconnect(reason));
            let told = bench.take();
            assert!(told[1].starts_with("call 1: UNAVAILABLE MAYBE_EXECUTED"), "{told:?}");
            assert_eq!(bench.client.pending(), 0);
        }
    }
}

#[test]
fn a_call_that_was_handed_back_takes_its_streams_along() {
    let mut bench = Bench::connected(Config::default());
    let key = bench.stream(1, CallKind::ClientStreaming, false);
    bench.say(Record::Cancel { call: call("0v1") });
    bench.part(key, Part::End);
    bench.hear_credit("0v1", Requests, 1);
    bench.say(Record::Disconnect(DisconnectReason::Shutdown));
    bench.until_connect(1_000);
    bench.take();
    bench.welcome();
    let told = bench.take();
    assert!(told[1].starts_with("REQUEST 0v1 requests> s.S/M"), "{told:?}");
    assert_eq!(told[2..], ["DATA 0v1 requests: END"]);
}

/// R76: who has passed a part of it cannot say that nobody was given it.
#[test]
fn a_call_that_has_begun_cannot_be_handed_back() {
    let mut bench = Bench::connected(Config::default());
    bench.stream(1, CallKind::ClientStreaming, false);
    bench.hear_credit("0v1", Requests, 1);
    bench.take();
    bench.say(Record::Cancel { call: call("0v1") });
    let told = bench.take();
    assert_eq!(told[0], LOST);
    assert!(told[1].starts_with("call 1: UNAVAILABLE MAYBE_EXECUTED"), "{told:?}");
}

/// R77.
#[test]
fn an_item_without_credit_ends_the_call_and_is_not_sent() {
    let wrong: [Wrong; 4] = [
        (CallKind::BidiStreaming, || item("a")),
        (CallKind::BidiStreaming, || Part::Open(vec![])),
        (CallKind::ServerStreaming, || Part::End),
        (CallKind::Unary, || item("a")),
    ];
    for (kind, part) in wrong {
        let mut bench = Bench::connected(Config::default());
        let key = bench.stream(1, kind, false);
        bench.take();
        bench.part(key, part());
        let told = [
            "CANCEL 0v1",
            "call 1: INTERNAL MAYBE_EXECUTED: an item was sent without credit, or a part that has \
             no place",
        ];
        assert_eq!(bench.take(), told, "{kind:?}");
    }
    // Before it was sent there is nothing to take back.
    let mut bench = Bench::new(Config::default());
    let key = bench.stream(1, CallKind::ClientStreaming, false);
    bench.take();
    bench.item(key, "a");
    let told = bench.take();
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("call 1: INTERNAL not started"), "{told:?}");
}

#[test]
fn a_user_may_overdraw_its_credit_once_and_ends_its_stream_once() {
    let mut bench = Bench::connected(Config::default());
    let key = bench.stream(1, CallKind::ClientStreaming, false);
    bench.hear_credit("0v1", Requests, 1);
    bench.item(key, &"x".repeat(700));
    bench.hear_credit("0v1", Requests, 3);
    bench.item(key, "b");
    bench.part(key, Part::End);
    let sent = [
        "REQUEST 0v1 requests> s.S/M 9000 ms try 1",
        "credit 0v1: 1",
        "DATA 0v1 requests: 700 bytes",
        "credit 0v1: 3",
        "DATA 0v1 requests: b",
        "DATA 0v1 requests: END",
    ];
    assert_eq!(bench.take(), sent);
    bench.hear_credit("0v1", Requests, 3);
    bench.part(key, Part::End);
    let told = bench.take();
    assert_eq!(told[..2], ["credit 0v1: 3", "CANCEL 0v1"]);
    assert!(told[2].starts_with("call 1: INTERNAL MAYBE_EXECUTED"), "{told:?}");
}

/// R28.
#[test]
fn an_item_that_is_too_large_ends_the_call() {
    let mut bench = Bench::new(Config::default());
    bench.input(Input::Tick);
    bench.welcome_with(100);
    let key = bench.stream(1, CallKind::ClientStreaming, false);
    bench.hear_credit("0v1", Requests, 1_000);
    bench.take();
    bench.item(key, &"x".repeat(101));
    let told = [
        "CANCEL 0v1",
        "call 1: RESOURCE_EXHAUSTED LIMIT_REACHED: the request has 101 bytes and the broker's \
         limit frame_bytes is 100",
    ];
    assert_eq!(bench.take(), told);
}

/// R76.
#[test]
fn a_broker_that_breaks_the_rules_of_streams_is_left() {
    let cases: [(CallKind, Steps<'_>); 9] = [
        (CallKind::Unary, &[|bench| bench.hear("0v1", Replies, item("x"))]),
        (CallKind::ClientStreaming, &[|bench| bench.hear("0v1", Replies, item("x"))]),
        (CallKind::ClientStreaming, &[|bench| bench.hear_credit("0v1", Replies, 1)]),
        (CallKind::ServerStreaming, &[|bench| bench.hear_credit("0v1", Requests, 1)]),
        (CallKind::BidiStreaming, &[|bench| bench.hear("0v1", Requests, item("x"))]),
        (CallKind::BidiStreaming, &[|bench| bench.hear("0v1", Replies, Part::End)]),
        (
            CallKind::BidiStreaming,
            &[
                |bench| bench.hear("0v1", Replies, Part::Open(vec![])),
                |bench| bench.hear("0v1", Replies, Part::Open(vec![])),
            ],
        ),
        (
            CallKind::BidiStreaming,
            &[
                |bench| bench.hear("0v1", Replies, item("x")),
                |bench| bench.hear("0v1", Replies, Part::Open(vec![])),
            ],
        ),
        // Two units were allowed.
        (
            CallKind::BidiStreaming,
            &[
                |bench| bench.hear("0v1", Replies, item(&"x".repeat(257))),
                |bench| bench.hear("0v1", Replies, item("x")),
            ],
        ),
    ];
    for (number, (kind, steps)) in cases.into_iter().enumerate() {
        let mut bench = Bench::connected(Config { window: 2, ..Config::default() });
        bench.stream(1, kind, false);
        let (last, before) = steps.split_last().unwrap();
        before.iter().for_each(|step| step(&mut bench));
        assert!(!bench.take().contains(&LOST.to_owned()), "case {number}: too early");
        last(&mut bench);
        let told = bench.take();
        assert_eq!(told[0], LOST, "case {number}");
        assert!(told[1].starts_with("call 1: UNAVAILABLE MAYBE_EXECUTED"), "{told:?}");
    }
}

#[test]
fn a_stream_ends_at_its_deadline_and_when_it_is_given_up() {
    let mut bench = Bench::connected(Config::default());
    bench.stream(1, CallKind::BidiStreaming, false);
    let second = bench.stream(2, CallKind::BidiStreaming, false);
    bench.hear("1v1", Replies, item("x"));
    bench.take();
    bench.input(Input::Cancel(second));
    assert_eq!(bench.take(), ["CANCEL 1v1"]);
    bench.hear("1v1", Replies, item("y"));
    assert_eq!(bench.take(), [""; 0]);
    for _ in 0..9 {
        bench.pass(1_000);
        bench.say(Record::Heartbeat);
    }
    let told = bench.take();
    let ended = |line: &String| line.starts_with("call 1: DEADLINE_EXCEEDED DEADLINE");
    assert!(told.iter().any(ended), "{told:?}");
    bench.hear("0v1", Replies, item("late"));
    assert_eq!(bench.take(), [""; 0]);
}

#[test]
fn closing_waits_for_streams_as_for_other_calls() {
    let mut bench = Bench::connected(Config::default());
    let key = bench.stream(1, CallKind::BidiStreaming, false);
    bench.hear_credit("0v1", Requests, 4);
    bench.take();
    bench.input(Input::Close { grace: ms(5_000) });
    bench.item(key, "a");
    bench.hear("0v1", Replies, item("x"));
    bench.say(reply(call("0v1"), Code::Ok, ""));
    let end = [
        "DATA 0v1 requests: a",
        "part 0v1: x",
        "call 1: OK ",
        "DISCONNECT Shutdown",
        "closed for all to see",
        "closed",
    ];
    assert_eq!(bench.take(), end);
}

/// Who opens a stream waits for it to begin, and not for as long as it may last.
#[test]
fn a_stream_that_nobody_begins_in_time_ends_before_its_deadline() {
    let mut bench = Bench::connected(Config::default());
    bench.stream(1, CallKind::ServerStreaming, true);
    bench.take();
    bench.pass(1_999);
    let told = bench.take();
    assert!(told.iter().all(|line| line == "HEARTBEAT"), "{told:?}");
    bench.say(Record::Heartbeat);
    bench.pass(1);
    let told = bench.take();
    assert!(told.contains(&"CANCEL 0v1".to_owned()), "{told:?}");
    let end = "call 1: DEADLINE_EXCEEDED DEADLINE_EXCEEDED: no worker has begun the stream in time";
    assert!(told.contains(&end.to_owned()), "{told:?}");

    let mut bench = Bench::new(Config::default());
    bench.stream(1, CallKind::ServerStreaming, true);
    bench.take();
    bench.pass(2_000);
    let told = bench.take();
    let end = "call 1: DEADLINE_EXCEEDED not started DEADLINE_EXCEEDED: the stream could not be begun in time: ";
    assert!(told.iter().any(|line| line.starts_with(end)), "{told:?}");
}

#[test]
fn a_stream_that_has_begun_has_until_its_deadline() {
    let mut bench = Bench::connected(Config::default());
    bench.stream(1, CallKind::ServerStreaming, false);
    bench.hear("0v1", Replies, Part::Open(Vec::new()));
    bench.take();
    for _ in 0..8 {
        bench.pass(1_000);
        bench.say(Record::Heartbeat);
    }
    let told = bench.take();
    assert!(told.iter().all(|line| line == "HEARTBEAT"), "{told:?}");
    bench.pass(1_000);
    let end = "call 1: DEADLINE_EXCEEDED DEADLINE_EXCEEDED: the deadline passed before an answer came; \
               the handler may have run";
    assert!(bench.take().contains(&end.to_owned()));
}
