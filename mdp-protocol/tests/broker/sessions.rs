//! What a session may say, and what ends it.

use crate::support::{at, ms};
use mdp_protocol::broker::{Config, Input, Note};
use mdp_protocol::wire::{DisconnectReason, Record};

use crate::bench::*;

#[test]
fn a_second_ready_for_a_service_is_a_fault_and_its_calls_move() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.worker("x", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.take();
    bench.ready("w", "s.S", 1);
    let moved = "x: REQUEST 0v1 idempotent s.S/M 10000 ms try 2 peer c";
    assert_eq!(bench.take(), ["w: DISCONNECT Unexpected", "close w", moved]);
}

#[test]
fn a_session_may_offer_several_services_and_call_them() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.ready("w", "t.T", 1);
    bench.request("w", 1, "t.T/M");
    assert_eq!(bench.take(), ["w: REQUEST 0v1 t.T/M 10000 ms try 1 peer w"]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["w: FINAL 1 OK from w done"]);
}

#[test]
fn names_are_checked() {
    for service in ["", "a b", "mmi.service", "bell\x07", &"x".repeat(256)] {
        let mut bench = Bench::new(Config::default());
        bench.worker("w", service, 1);
        assert_eq!(bench.take(), ["w: DISCONNECT BadName", "close w"], "{service:?}");
    }
    let mut bench = Bench::new(Config::default());
    bench.say("r", Record::Hello { id: b"no good", heartbeat: ms(1_000), liveness: 3 });
    assert_eq!(bench.take(), ["(r): DISCONNECT BadName"]);
    bench.hello("c");
    for path in ["", "s.S", "/M", "s.S/", "s S/M"] {
        bench.request("c", 1, path);
        let line = bench.take().remove(0);
        assert!(line.starts_with("c: FINAL 1 INVALID_ARGUMENT not started BAD_REQUEST"), "{line}");
    }
    assert_eq!(bench.broker.stats().services, 0);
}

#[test]
fn a_stranger_is_told_to_say_hello_and_gets_its_call_back() {
    let mut bench = Bench::new(Config::default());
    bench.done("r", "0v1");
    bench.ready("r", "s.S", 1);
    bench.say("r", Record::Heartbeat);
    assert_eq!(bench.take(), ["(r): DISCONNECT NoSession"; 3]);
    bench.request("r", 9, "s.S/M");
    bench.request("r", 10, "s.S/M");
    assert_eq!(bench.take(), ["(r): CANCEL 9", "(r): CANCEL 10"]);
    assert_eq!(bench.broker.next_deadline(), Some(at(bench.now)), "the message may be over");
    bench.input(Input::Tick);
    assert_eq!(bench.take(), ["(r): DISCONNECT NoSession"], "last, and once for all calls");
    bench.say("r", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(bench.take(), [""; 0], "never an answer to an answer");
    let stats = bench.broker.stats();
    assert_eq!((stats.sessions, stats.services, stats.turned_away), (0, 0, 4));
}

#[test]
fn records_without_a_place_end_the_session() {
    let welcome = Record::Welcome { id: &b""[..], heartbeat: ms(1), liveness: 1, frame_bytes: 1 };
    let hello = Record::Hello { id: &b"x"[..], heartbeat: ms(1), liveness: 1 };
    for record in [welcome, hello] {
        let mut bench = Bench::new(Config::default());
        bench.hello("p");
        bench.say("p", record);
        assert_eq!(bench.take(), ["p: DISCONNECT Unexpected", "close p"]);
    }
}

#[test]
fn what_cannot_be_read_ends_the_session() {
    let mut bench = Bench::new(Config::default());
    bench.hello("p");
    let (from, reason) = (bench.sender("p"), DisconnectReason::Malformed);
    bench.input(Input::Invalid { from, reason });
    assert_eq!(bench.take(), ["p: DISCONNECT Malformed", "close p"]);
    let from = bench.sender("r");
    bench.input(Input::Invalid { from, reason });
    assert_eq!(bench.take(), ["(r): DISCONNECT Malformed"]);
    assert_eq!(bench.broker.stats().invalid, 2);
}

const ONE: [u8; 16] = [1; 16];
const OTHER: [u8; 16] = [2; 16];

/// The workers that were noted for their schema, with theirs and another one's.
fn differing(bench: &mut Bench) -> Vec<(String, [u8; 16], [u8; 16])> {
    let notes = bench.notes.drain(..).filter_map(|note| match note {
        Note::SchemasDiffer { id, schema, other, .. } => {
            Some((String::from_utf8(id.to_vec()).unwrap(), schema, other))
        }
        _ => None,
    });
    notes.collect()
}

fn worker_with(bench: &mut Bench, name: &str, service: &str, schema: Option<[u8; 16]>) {
    bench.hello(name);
    bench.ready_with(name, service, 1, schema);
}

#[test]
fn workers_of_one_service_with_different_schemas_are_noted() {
    let mut bench = Bench::new(Config::default());
    worker_with(&mut bench, "a", "s.S", Some(ONE));
    worker_with(&mut bench, "b", "s.S", Some(ONE));
    worker_with(&mut bench, "c", "s.S", None);
    worker_with(&mut bench, "d", "t.T", Some(OTHER));
    assert_eq!(differing(&mut bench), []);
    worker_with(&mut bench, "e", "s.S", Some(OTHER));
    assert_eq!(differing(&mut bench), [("e".to_owned(), OTHER, ONE)]);
    worker_with(&mut bench, "f", "s.S", Some(ONE));
    assert_eq!(differing(&mut bench), [("f".to_owned(), ONE, OTHER)]);
    // They serve all the same.
    assert!(bench.take().is_empty());
}

#[test]
fn a_worker_that_leaves_no_longer_differs() {
    let mut bench = Bench::new(Config::default());
    worker_with(&mut bench, "a", "s.S", Some(ONE));
    bench.say("a", Record::Drain);
    worker_with(&mut bench, "b", "s.S", Some(OTHER));
    assert_eq!(differing(&mut bench), [], "a takes no calls any more");
    bench.say("b", Record::Disconnect(DisconnectReason::Shutdown));
    worker_with(&mut bench, "c", "s.S", Some(ONE));
    assert_eq!(differing(&mut bench), [], "b is gone");
    bench.broker.audit().unwrap();
}

/// docs/wire.md R23.
#[test]
fn heartbeats_to_many_peers_go_out_together_and_before_theirs_are_due() {
    let mut bench = Bench::new(Config::default());
    for n in 0..200 {
        bench.hello(&format!("p{n}"));
        bench.now += 1;
    }
    for _ in 0..2 {
        let end = bench.now + 940;
        let mut turns = Vec::new();
        while let Some(next) = bench.broker.next_deadline().filter(|next| next.as_ms() <= end) {
            bench.now = bench.now.max(next.as_ms());
            bench.input(Input::Tick);
            turns.push(bench.take().iter().filter(|line| line.ends_with(": HEARTBEAT")).count());
            for name in bench.keys.keys().cloned().collect::<Vec<_>>() {
                bench.say(&name, Record::Heartbeat);
            }
            assert!(bench.take().is_empty(), "a heartbeat has no answer");
        }
        let (sent, turns) = (turns.iter().sum::<usize>(), turns.iter().filter(|sent| **sent > 0));
        assert_eq!(sent, 200);
        assert!(turns.count() <= 200 / 3 + 1, "those of one step go out in one turn");
        bench.now = end;
    }
}
