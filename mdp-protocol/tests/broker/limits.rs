//! Each limit, with its outcome by name.

use crate::support::ms;
use mdp_protocol::Limit;
use mdp_protocol::wire::{DisconnectReason, Record};

use crate::bench::*;

#[test]
fn calls_per_client_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.calls_per_client = 1);
    bench.worker("w", "s.S", 5);
    bench.hello("c");
    bench.hello("d");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.request("c", 2, "s.S/M");
    assert_eq!(
        bench.take(),
        [format!("c: FINAL 2 {LIMIT} calls_per_client is reached; try again later")]
    );
    assert_eq!(bench.limits_met(), [Limit::CallsPerClient]);
    bench.request("d", 1, "s.S/M");
    assert!(bench.take()[0].starts_with("w: REQUEST"));
}

#[test]
fn calls_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.calls = 1);
    bench.worker("w", "s.S", 5);
    bench.hello("c");
    bench.hello("d");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.request("d", 1, "s.S/M");
    assert_eq!(bench.take(), [format!("d: FINAL 1 {LIMIT} calls is reached; try again later")]);
    assert_eq!(bench.limits_met(), [Limit::Calls]);
}

#[test]
fn queued_calls_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.queued_calls_per_service = 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    let name = "queued_calls_per_service";
    assert_eq!(bench.take(), [format!("c: FINAL 2 {LIMIT} {name} is reached; try again later")]);
    assert_eq!(bench.limits_met(), [Limit::QueuedCallsPerService]);
}

#[test]
fn queued_bytes_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.queued_bytes_per_service = 9);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    let name = "queued_bytes_per_service";
    assert_eq!(bench.take(), [format!("c: FINAL 2 {LIMIT} {name} is reached; try again later")]);
    bench.request("c", 3, "other.S/longer");
    assert_eq!(bench.take(), [format!("c: FINAL 3 {LIMIT} {name} is reached; try again later")]);
    assert_eq!(bench.limits_met(), [Limit::QueuedBytesPerService; 2]);
}

#[test]
fn held_bytes_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.held_bytes = 9);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "t.T/M");
    assert_eq!(
        bench.take(),
        [format!("c: FINAL 2 {LIMIT} held_bytes is reached; try again later")]
    );
    assert_eq!(bench.limits_met(), [Limit::HeldBytes]);
}

#[test]
fn without_room_a_body_is_not_kept_for_another_attempt() {
    let mut bench = Bench::with_limits(|limits| limits.held_bytes = 9);
    bench.worker("w", "s.S", 5);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.idempotent("c", 2, "s.S/M");
    assert_eq!(bench.broker.stats().held_bytes, 5);
    bench.take();
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    let told = bench.take();
    assert!(told[0].starts_with("c: FINAL 2 UNAVAILABLE MAYBE_EXECUTED"), "{told:?}");
    assert_eq!(bench.broker.stats().queued, 1);
}

#[test]
fn names_without_a_worker_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.unserved_services = 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/N");
    bench.request("c", 3, "t.T/M");
    let name = "unserved_services";
    assert_eq!(bench.take(), [format!("c: FINAL 3 {LIMIT} {name} is reached; try again later")]);
    assert_eq!(bench.limits_met(), [Limit::UnservedServices]);
    assert_eq!(bench.broker.stats().services, 1);
}

#[test]
fn sessions_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.sessions = 1);
    bench.hello("a");
    bench.say("b", Record::Hello { id: b"", heartbeat: ms(1_000), liveness: 3 });
    assert_eq!(bench.take(), ["(b): DISCONNECT LimitReached"]);
}

#[test]
fn services_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.services = 1);
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    // Names that calls wait for do not count.
    bench.request("c", 1, "t.T/M");
    assert_eq!(bench.take(), [""; 0]);
    bench.worker("w3", "t.T", 1);
    assert_eq!(bench.take(), ["w3: DISCONNECT LimitReached", "close w3"]);
    assert_eq!(bench.limits_met(), [Limit::Services]);
}

#[test]
fn services_of_one_worker_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.services_per_worker = 1);
    bench.worker("w", "s.S", 1);
    bench.ready("w", "t.T", 1);
    assert_eq!(bench.take(), ["w: DISCONNECT LimitReached", "close w"]);
    assert_eq!(bench.limits_met(), [Limit::ServicesPerWorker]);
}

#[test]
fn registrations_of_all_workers_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.registrations = 2);
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.worker("w3", "s.S", 1);
    assert_eq!(bench.take(), ["w3: DISCONNECT LimitReached", "close w3"]);
    assert_eq!(bench.limits_met(), [Limit::Registrations]);
    // One that leaves makes room.
    bench.say("w1", Record::Disconnect(DisconnectReason::Shutdown));
    bench.worker("w4", "s.S", 1);
    assert_eq!(bench.take(), ["close w1"]);
}

#[test]
fn a_capacity_is_limited_and_not_zero() {
    for capacity in [0, 3] {
        let mut bench = Bench::with_limits(|limits| limits.capacity = 2);
        bench.worker("w", "s.S", capacity);
        assert_eq!(bench.take(), ["w: DISCONNECT LimitReached", "close w"]);
        assert_eq!(bench.limits_met(), [Limit::Capacity]);
    }
}
