//! What one client or worker may take of what is there for all.

use crate::bench::*;
use crate::support::ms;
use mdp_protocol::Limit;
use mdp_protocol::broker::Config;
use mdp_protocol::wire::DisconnectReason;

const REFUSED: &str = "RESOURCE_EXHAUSTED not started LIMIT_REACHED: the broker's limit";

fn refused(client: &str, call: u64, limit: &str) -> String {
    format!("{client}: FINAL {call} {REFUSED} {limit} is reached; try again later")
}

#[test]
fn in_a_full_queue_whoever_has_most_makes_room() {
    let mut bench = Bench::with_limits(|limits| limits.queued_calls_per_service = 4);
    let name = "queued_calls_per_service";
    bench.hello("much");
    bench.hello("little");
    for call in 1..=4 {
        bench.request("much", call, "s.S/M");
    }
    assert_eq!(bench.take(), [""; 0]);
    bench.request("little", 1, "s.S/M");
    bench.request("little", 2, "s.S/M");
    assert_eq!(bench.take(), [refused("much", 4, name), refused("much", 3, name)]);
    // Both have the same: neither makes room for the other.
    bench.request("little", 3, "s.S/M");
    bench.request("much", 5, "s.S/M");
    assert_eq!(bench.take(), [refused("little", 3, name), refused("much", 5, name)]);
    assert_eq!(bench.limits_met(), [Limit::QueuedCallsPerService; 4]);
    assert_eq!((bench.broker.stats().refused, bench.broker.stats().queued), (4, 4));
    bench.worker("w", "s.S", 4);
    assert_eq!(bench.take().len(), 4, "what was left is given out");
}

#[test]
fn a_queue_that_is_full_of_bytes_makes_room_too() {
    let mut bench = Bench::with_limits(|limits| {
        limits.queued_calls_per_service = 10;
        limits.queued_bytes_per_service = 50;
    });
    let name = "queued_bytes_per_service";
    bench.hello("large");
    bench.hello("small");
    bench.request("large", 1, &format!("s.S/{}", "x".repeat(36)));
    bench.request("small", 1, "s.S/M");
    bench.request("small", 2, "s.S/M");
    bench.request("small", 3, "s.S/M");
    assert_eq!(bench.take(), [refused("large", 1, name)]);
    assert_eq!(bench.broker.stats().queued, 3);
}

#[test]
fn calls_that_name_their_worker_and_others_take_turns() {
    let mut bench = Bench::with_limits(|limits| limits.queued_calls_per_service = 6);
    bench.worker("w", "s.S", 1);
    bench.hello("named");
    bench.hello("other");
    bench.request("named", 1, "s.S/M");
    for call in 2..=6 {
        bench.request_as("named", call, "s.S/M", 10_000, false, "w");
    }
    bench.request("other", 1, "s.S/M");
    bench.request("other", 2, "s.S/M");
    let lines = bench.take();
    let refusals: Vec<&String> = lines.iter().filter(|line| line.contains("FINAL")).collect();
    let name = "queued_calls_per_service";
    assert_eq!(refusals, [&refused("named", 5, name), &refused("named", 6, name)], "half of it");
    let mut who = Vec::new();
    for handle in ["0v1", "1v1", "4v1", "2v1", "5v1"] {
        bench.done("w", handle);
        who.extend(bench.take().into_iter().filter_map(|line| {
            let (_, peer) = line.split_once(" peer ")?;
            Some(peer.to_owned())
        }));
    }
    assert_eq!(who, ["named", "other", "named", "other", "named"]);
}

#[test]
fn a_worker_that_answers_nothing_is_told_to_go_and_its_calls_move() {
    let mut bench = Bench::new(Config { overrun: ms(500), ..Config::default() });
    bench.worker("deaf", "s.S", 4);
    bench.hello("c");
    for call in 1..=3 {
        bench.request_as("c", call, "s.S/M", call * 600, false, "");
    }
    bench.idempotent("c", 4, "s.S/M");
    bench.worker("good", "s.S", 1);
    bench.take();
    bench.live(2_200);
    assert_eq!(bench.take().len(), 3, "no more than that the time is up");
    bench.live(200);
    let lines = bench.take();
    let moved = "good: REQUEST 3v1 idempotent s.S/M 7700 ms try 2 peer c".to_owned();
    let gone = format!("deaf: DISCONNECT {:?}", DisconnectReason::Silence);
    assert!(lines.contains(&gone) && lines.contains(&moved), "{lines:?}");
}

#[test]
fn a_worker_that_pauses_loses_slots_and_no_more() {
    let mut bench = Bench::new(Config { overrun: ms(500), ..Config::default() });
    bench.worker("slow", "s.S", 9);
    bench.hello("c");
    for call in 1..=9 {
        bench.request_as("c", call, "s.S/M", 1_000 + call * 40, false, "");
    }
    bench.take();
    bench.live(2_000);
    let lines = bench.take();
    assert!(lines.len() == 9 && lines.iter().all(|line| line.contains("FINAL")), "{lines:?}");
}

#[test]
fn a_worker_that_answers_now_and_then_stays() {
    let mut bench = Bench::new(Config { overrun: ms(500), ..Config::default() });
    bench.worker("slow", "s.S", 4);
    bench.hello("c");
    for call in 1..=8 {
        bench.request_as("c", call, "s.S/M", 1_000, false, "");
        bench.live(1_600);
        // Each second answer comes too late, but it comes.
        if call % 2 == 0 {
            bench.done("slow", &format!("0v{call}"));
        }
    }
    let lines = bench.take();
    assert!(!lines.iter().any(|line| line.contains("DISCONNECT")), "{lines:?}");
    assert_eq!(bench.broker.stats().late, 4);
}
