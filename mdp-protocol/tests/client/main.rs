//! The client's rules, one by one, as transcripts of what it says.

// A test may end at the first wrong assumption.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod balancer;
mod bench;
mod streams;
#[path = "../support/mod.rs"]
mod support;

use bench::Bench;
use mdp_protocol::client::{Config, Input};
use mdp_protocol::wire::{DisconnectReason, Record};
use mdp_protocol::{Code, SessionConfig};
use support::{call, ms, not_started, reply};

#[test]
fn it_says_hello_and_then_the_calls_that_waited_in_their_order() {
    let mut bench = Bench::new(Config::default());
    bench.call(1, 9_000, false);
    bench.call(2, 9_000, true);
    assert_eq!(bench.take(), ["connecting 0", "connect 0", "HELLO  1000 ms x3"]);
    bench.now += 100;
    bench.welcome();
    let sent = [
        "connected as me",
        "REQUEST 0v1 s.S/M 8900 ms try 1",
        "REQUEST 1v1 idempotent s.S/M 8900 ms try 1",
    ];
    assert_eq!(bench.take(), sent);
    bench.call_to(3, 9_000, false, "s.S/M", "w7");
    assert_eq!(bench.take(), ["REQUEST 2v1 s.S/M 9000 ms try 1 peer w7"]);
}

#[test]
fn each_call_gets_its_own_reply_and_only_one() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 9_000, false);
    bench.call(2, 9_000, false);
    bench.take();
    bench.say(reply(call("1v1"), Code::Ok, "two"));
    bench.say(reply(call("0v1"), Code::NotFound, "one"));
    assert_eq!(bench.take(), ["call 2: OK two", "call 1: NOT_FOUND one"]);
    bench.say(reply(call("1v1"), Code::Ok, "again"));
    bench.say(reply(call("9v9"), Code::Ok, "whose?"));
    assert_eq!(bench.take(), [""; 0]);
    assert_eq!(bench.client.pending(), 0);
}

#[test]
fn a_late_reply_is_not_taken_for_a_later_call_in_the_same_place() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 100, false);
    bench.pass(100);
    bench.call(2, 9_000, false);
    bench.take();
    bench.say(reply(call("0v1"), Code::Ok, "late"));
    assert_eq!(bench.take(), [""; 0]);
    bench.say(reply(call("0v2"), Code::Ok, "right"));
    assert_eq!(bench.take(), ["call 2: OK right"]);
}

#[test]
fn a_call_ends_at_its_deadline_whatever_happens() {
    let mut bench = Bench::new(Config::default());
    bench.call(1, 200, false);
    bench.take();
    bench.pass(199);
    assert_eq!(bench.take(), [""; 0]);
    bench.pass(1);
    let told = "call 1: DEADLINE_EXCEEDED not started DEADLINE_EXCEEDED: \
                the deadline passed before the call could be sent: no broker has answered yet";
    assert_eq!(bench.take(), [told]);
    let mut bench = Bench::connected(Config::default());
    bench.call(2, 200, false);
    bench.take();
    bench.pass(200);
    let told = "call 2: DEADLINE_EXCEEDED DEADLINE_EXCEEDED: \
                the deadline passed before an answer came; the handler may have run";
    assert_eq!(bench.take(), [told]);
}

#[test]
fn a_deadline_without_a_session_names_the_last_loss() {
    let mut bench = Bench::connected(Config::default());
    bench.say(Record::Disconnect(DisconnectReason::LimitReached));
    bench.call(1, 50, false);
    bench.take();
    bench.pass(50);
    let told = bench.take().into_iter().find(|line| line.starts_with("call 1")).unwrap();
    assert!(
        told.ends_with("could be sent: the broker ended the session: a limit was met"),
        "{told}"
    );
}

#[test]
fn after_a_loss_idempotent_calls_are_sent_again_first_and_others_end() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 9_000, true);
    bench.call(2, 9_000, false);
    bench.call(3, 9_000, true);
    bench.take();
    bench.say(Record::Disconnect(DisconnectReason::NoSession));
    let told = "call 2: UNAVAILABLE MAYBE_EXECUTED: the broker ended the session: there is no \
                session; HELLO comes first while the call was with it; the handler may have run";
    let lost = "disconnected: the broker ended the session: there is no session; HELLO comes first";
    assert_eq!(bench.take(), [lost, told]);
    bench.call(4, 60_000, false);
    let pause = bench.until_connect(100);
    assert!((50..=100).contains(&pause), "{pause}");
    bench.take();
    bench.welcome();
    let left = 9_000 - pause;
    let again = [
        "connected as me".to_owned(),
        format!("REQUEST 0v1 idempotent s.S/M {left} ms try 2"),
        format!("REQUEST 2v1 idempotent s.S/M {left} ms try 2"),
        format!("REQUEST 1v2 s.S/M {} ms try 1", 60_000 - pause),
    ];
    assert_eq!(bench.take(), again);
}

#[test]
fn a_call_is_sent_a_limited_number_of_times() {
    let mut bench = Bench::connected(Config { attempts: 2, ..Config::default() });
    bench.call(1, 60_000, true);
    for _ in 0..2 {
        bench.say(Record::Disconnect(DisconnectReason::Silence));
        bench.until_connect(1_000);
        bench.welcome();
    }
    let lines = bench.take();
    assert_eq!(lines.iter().filter(|line| line.starts_with("REQUEST")).count(), 2, "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("call 1: UNAVAILABLE MAYBE_EXECUTED")));
}

#[test]
fn after_a_second_sending_not_started_is_no_longer_certain() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 60_000, true);
    bench.say(Record::Disconnect(DisconnectReason::Silence));
    bench.until_connect(1_000);
    bench.welcome();
    bench.take();
    bench.say(not_started(call("0v1"), Code::ResourceExhausted));
    let told = "call 1: RESOURCE_EXHAUSTED MAYBE_EXECUTED: the last attempt ended as \
                RESOURCE_EXHAUSTED before a handler was started; in an earlier one the handler \
                may have run";
    assert_eq!(bench.take(), [told]);
    bench.call(2, 60_000, true);
    bench.take();
    bench.say(not_started(call("0v2"), Code::Unavailable));
    assert_eq!(bench.take(), ["call 2: UNAVAILABLE not started refused"]);
}

#[test]
fn a_call_that_the_broker_hands_back_waits_for_the_next_session() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 60_000, false);
    bench.take();
    bench.say(Record::Cancel { call: call("0v1") });
    bench.say(Record::Disconnect(DisconnectReason::NoSession));
    bench.until_connect(100);
    bench.take();
    bench.welcome();
    let lines = bench.take();
    assert!(lines[1].starts_with("REQUEST 0v1 s.S/M") && lines[1].ends_with("try 1"), "{lines:?}");
}

#[test]
fn a_broker_that_drains_gets_no_new_calls_and_is_left_when_its_last_has_ended() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 60_000, false);
    bench.take();
    bench.say(Record::Drain);
    bench.call(2, 60_000, false);
    assert_eq!(bench.take(), [""; 0]);
    bench.say(reply(call("0v1"), Code::Ok, "done"));
    let left = "disconnected: the broker takes no new calls";
    assert_eq!(bench.take(), ["call 1: OK done", left]);
    bench.until_connect(100);
    bench.welcome();
    assert!(bench.take().last().unwrap().starts_with("REQUEST 1v1"));
}

#[test]
fn a_broker_that_drains_is_left_when_the_last_call_ends_by_its_deadline() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 300, false);
    bench.say(Record::Drain);
    bench.take();
    bench.pass(300);
    assert_eq!(bench.take()[1..], ["disconnected: the broker takes no new calls"]);
}

#[test]
fn endpoints_are_tried_in_turn_with_pauses_that_grow_by_chance() {
    let session = SessionConfig { endpoints: 3, seed: 42, ..SessionConfig::default() };
    let mut bench = Bench::new(Config { session, ..Config::default() });
    let mut pauses = Vec::new();
    for round in 0..12 {
        let pause = bench.until_connect(20_000);
        pauses.push(pause);
        let lines = bench.take();
        assert!(lines.contains(&format!("connect {}", round % 3)), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("HELLO  1000 ms x3"));
        // Nobody answers; the patience grows from one second to eight.
        let patience = 1_000 << round.min(3);
        bench.pass(patience - 1);
        assert_eq!(bench.take(), [""; 0], "round {round}");
        bench.pass(1);
        assert_eq!(bench.take(), ["disconnected: the broker did not answer"]);
    }
    for (round, pause) in pauses.iter().enumerate().skip(1) {
        let max = (100_u64 << ((round - 1) / 3)).min(5_000);
        assert!((max / 2..=max).contains(pause), "round {round}: {pause} of {max}");
    }
    let other = SessionConfig { endpoints: 3, seed: 43, ..SessionConfig::default() };
    let mut bench = Bench::new(Config { session: other, ..Config::default() });
    let mut others = Vec::new();
    for round in 0..12 {
        others.push(bench.until_connect(20_000));
        bench.take();
        bench.pass(1_000 << round.min(3));
        bench.take();
    }
    assert_ne!(pauses, others, "another seed, other pauses");
}

#[test]
fn a_session_that_opened_starts_the_pauses_anew() {
    let mut bench = Bench::new(Config::default());
    for _ in 0..5 {
        bench.until_connect(20_000);
        bench.take();
        bench.pass(8_000);
        bench.take();
    }
    bench.until_connect(20_000);
    bench.welcome();
    bench.say(Record::Disconnect(DisconnectReason::Shutdown));
    bench.take();
    assert!(bench.until_connect(20_000) <= 100);
}

#[test]
fn a_broker_that_falls_silent_is_left() {
    let mut bench = Bench::connected(Config::default());
    bench.pass(2_999);
    assert_eq!(bench.take(), ["HEARTBEAT", "HEARTBEAT"]);
    bench.pass(1);
    assert_eq!(bench.take(), ["disconnected: the broker fell silent"]);
}

#[test]
fn a_broker_whose_message_is_on_its_way_is_not_left() {
    let mut bench = Bench::connected(Config::default());
    for _ in 0..5 {
        bench.pass(2_000);
        bench.input(Input::Alive);
    }
    assert!(bench.take().iter().all(|line| line == "HEARTBEAT"));
    bench.pass(3_000);
    assert_eq!(bench.take().pop().unwrap(), "disconnected: the broker fell silent");
}

#[test]
fn heartbeats_go_out_only_while_nothing_else_does() {
    let mut bench = Bench::connected(Config::default());
    for token in 0..10 {
        bench.pass(500);
        bench.call(token, 60_000, false);
        bench.say(Record::Heartbeat);
    }
    assert!(bench.take().iter().all(|line| line.starts_with("REQUEST")));
}

#[test]
fn after_a_pause_of_the_client_the_broker_is_heard_before_it_is_given_up() {
    let mut bench = Bench::connected(Config::default());
    bench.now += 20_000;
    bench.input(Input::Tick);
    assert_eq!(bench.take(), ["HEARTBEAT"]);
    bench.say(Record::Heartbeat);
    bench.pass(2_500);
    assert!(!bench.take().iter().any(|line| line.starts_with("disconnected")));
}

#[test]
fn calls_at_once_are_limited() {
    let mut bench = Bench::connected(Config { calls: 1, ..Config::default() });
    bench.call(1, 9_000, false);
    bench.take();
    bench.call(2, 9_000, false);
    let told = "call 2: RESOURCE_EXHAUSTED not started LIMIT_REACHED: \
                the client's limit of 1 calls is reached";
    assert_eq!(bench.take(), [told]);
}

#[test]
fn names_are_checked_before_anything_is_sent() {
    let mut bench = Bench::connected(Config::default());
    bench.call_to(1, 9_000, false, "no path", "");
    bench.call_to(2, 9_000, false, "s.S/M", "no id");
    bench.call_to(3, 9_000, false, &format!("s.S/{}", "x".repeat(252)), "");
    let lines = bench.take();
    assert_eq!(lines.len(), 3);
    for (number, line) in lines.iter().enumerate() {
        let start = format!("call {}: INVALID_ARGUMENT not started BAD_REQUEST", number + 1);
        assert!(line.starts_with(&start), "{line}");
    }
}

#[test]
fn each_path_is_checked_whatever_was_called_before() {
    let mut bench = Bench::connected(Config::default());
    let paths = ["", "s.S/M", "", "s.S/M", "s.S/", "s.S/M", "t.T/M", "s.S/Mm"];
    for (number, path) in (1..).zip(paths) {
        bench.call_to(number, 9_000, false, path, "");
    }
    let refused = |line: &String| line.contains("INVALID_ARGUMENT not started BAD_REQUEST");
    let lines = bench.take();
    let refused: Vec<bool> = lines.iter().map(refused).collect();
    assert_eq!(refused, [true, false, true, false, true, false, false, false], "{lines:?}");
}

#[test]
fn a_request_above_the_brokers_limit_is_never_sent() {
    let mut bench = Bench::new(Config::default());
    // This one waits for the session, so the limit is not known when it is made.
    bench.call(1, 9_000, false);
    bench.call_to(2, 9_000, false, "s.S/Mm", "");
    bench.take();
    bench.welcome_with(5);
    let told = |token| {
        format!(
            "call {token}: RESOURCE_EXHAUSTED not started LIMIT_REACHED: \
             the request has 6 bytes and the broker's limit frame_bytes is 5"
        )
    };
    let sent = "REQUEST 0v1 s.S/M 9000 ms try 1".to_owned();
    assert_eq!(bench.take(), ["connected as me".to_owned(), sent, told(2)]);
    bench.call_to(3, 9_000, false, "s.S/Mm", "");
    assert_eq!(bench.take(), [told(3)]);
}

#[test]
fn it_closes_when_its_calls_have_ended() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 60_000, false);
    bench.take();
    bench.input(Input::Close { grace: ms(5_000) });
    bench.call(2, 60_000, false);
    let refused = "CANCELLED not started NOT_DISPATCHED: the client was closed";
    assert_eq!(bench.take(), [format!("call 2: {refused}")]);
    bench.say(reply(call("0v1"), Code::Ok, "done"));
    let end = ["call 1: OK done", "DISCONNECT Shutdown", "closed for all to see", "closed"];
    assert_eq!(bench.take(), end);
    bench.call(3, 60_000, false);
    bench.input(Input::Tick);
    assert_eq!(bench.take(), [format!("call 3: {refused}")]);
    assert_eq!(bench.client.next_deadline(), None);
}

#[test]
fn it_closes_after_its_grace_period_and_says_which_calls_may_have_run() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 60_000, false);
    bench.call(2, 60_000, false);
    bench.say(Record::Cancel { call: call("1v1") });
    bench.input(Input::Close { grace: ms(500) });
    bench.take();
    bench.pass(500);
    let end = [
        "call 1: CANCELLED MAYBE_EXECUTED: the client was closed while the broker had the call; \
         the handler may have run",
        "call 2: CANCELLED not started NOT_DISPATCHED: the client was closed",
        "DISCONNECT Shutdown",
        "closed for all to see",
        "closed",
    ];
    assert_eq!(bench.take(), end);
}

#[test]
fn records_without_a_place_end_the_session() {
    let ready = Record::Ready { service: &b"s.S"[..], capacity: 1, shared: false, schema: None };
    let welcome = Record::Welcome { id: &b""[..], heartbeat: ms(1), liveness: 1, frame_bytes: 1 };
    for record in [ready, welcome] {
        let mut bench = Bench::connected(Config::default());
        bench.say(record);
        assert_eq!(bench.take(), ["disconnected: the broker broke the protocol"]);
    }
    let mut bench = Bench::connected(Config::default());
    bench.input(Input::Invalid);
    assert_eq!(bench.take(), ["disconnected: the broker broke the protocol"]);
}

#[test]
fn a_call_that_is_given_up_ends_without_an_outcome() {
    let mut bench = Bench::connected(Config::default());
    bench.call(1, 5_000, false);
    let key = bench.made.expect("a call was made");
    bench.take();
    bench.input(Input::Cancel(key));
    assert_eq!(bench.take(), ["CANCEL 0v1"]);
    bench.say(support::reply(call("0v1"), Code::Ok, "late"));
    bench.input(Input::Cancel(key));
    bench.pass(900);
    assert_eq!(bench.take(), [""; 0]);
    assert_eq!(bench.client.pending(), 0);
}

#[test]
fn a_call_that_was_never_sent_is_given_up_in_silence() {
    let mut bench = Bench::new(Config::default());
    bench.input(Input::Tick);
    bench.call(1, 5_000, false);
    let key = bench.made.expect("a call was made");
    bench.input(Input::Cancel(key));
    bench.take();
    bench.welcome();
    let told = bench.take();
    assert!(
        !told.iter().any(|line| line.contains("REQUEST") || line.contains("CANCEL")),
        "{told:?}"
    );
}

#[test]
fn a_call_that_was_refused_has_no_name() {
    let mut bench = Bench::connected(Config { calls: 0, ..Config::default() });
    bench.call(1, 5_000, false);
    assert_eq!(bench.made, None);
}

#[test]
fn a_call_without_any_time_is_not_sent() {
    let told = "call 1: DEADLINE_EXCEEDED not started DEADLINE_EXCEEDED: \
                the deadline had passed before the call was made";
    for mut bench in [Bench::new(Config::default()), Bench::connected(Config::default())] {
        bench.input(Input::Tick);
        bench.take();
        bench.call(1, 0, true);
        assert_eq!(bench.take(), [told]);
        assert_eq!(bench.client.pending(), 0);
    }
}

#[test]
fn a_call_whose_time_is_over_when_the_session_opens_is_not_sent() {
    let mut bench = Bench::new(Config::default());
    bench.call(1, 100, false);
    bench.take();
    bench.now += 100;
    bench.welcome();
    let told = "call 1: DEADLINE_EXCEEDED not started DEADLINE_EXCEEDED: \
                the deadline passed before the call could be sent: no broker has answered yet";
    assert_eq!(bench.take(), ["connected as me", told]);
}

#[test]
fn what_no_connection_has_taken_waits_for_the_next_one() {
    let mut bench = Bench::connected(Config::default());
    for (number, idempotent) in [(1, false), (2, true), (3, false), (4, true)] {
        bench.call(number, 9_000, idempotent);
    }
    bench.take();
    for call in ["2v1", "3v1"] {
        bench.input(Input::Unsent(support::call(call)));
    }
    bench.input(Input::Broken);
    let told = "call 1: UNAVAILABLE MAYBE_EXECUTED: \
                the connection broke while the call was with it; the handler may have run";
    assert_eq!(bench.take(), ["disconnected: the connection broke", told]);
    // A socket that is gone has no more to say.
    bench.input(Input::Broken);
    assert_eq!(bench.take(), [""; 0]);
    bench.until_connect(200);
    bench.take();
    bench.welcome();
    let again: Vec<String> = bench
        .take()
        .into_iter()
        .filter(|line| line.starts_with("REQUEST"))
        .map(|line| line.split(" 8").next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        again,
        ["REQUEST 1v1 idempotent s.S/M", "REQUEST 2v1 s.S/M", "REQUEST 3v1 idempotent s.S/M"]
    );
}

/// RFC 7 and RFC 18, "Heartbeating"; docs/wire.md R23.
#[test]
fn a_heartbeat_that_would_be_due_soon_answers_the_brokers() {
    let mut bench = Bench::connected(Config::default());
    bench.pass(499);
    bench.say(Record::Heartbeat);
    assert!(bench.take().is_empty());
    bench.pass(1);
    bench.say(Record::Heartbeat);
    assert_eq!(bench.take(), ["HEARTBEAT"]);
    for _ in 0..10 {
        bench.pass(938);
        assert!(bench.take().is_empty(), "none of its own");
        bench.say(Record::Heartbeat);
        assert_eq!(bench.take(), ["HEARTBEAT"]);
    }
    bench.pass(1_000);
    assert_eq!(bench.take(), ["HEARTBEAT"], "without the broker's it goes out by itself");
}
