//! Calls that nobody wants any more.

use crate::bench::*;
use crate::support::{call, ms};
use mdp_protocol::broker::Config;
use mdp_protocol::wire::{DisconnectReason, Record};

#[test]
fn a_waiting_call_vanishes() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.request_as("c", 3, "s.S/M", 10_000, false, "w");
    bench.take();
    bench.say("c", Record::Cancel { call: 2 });
    bench.say("c", Record::Cancel { call: 3 });
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w done"]);
    assert!(bench.broker.is_quiet());
    assert_eq!(bench.broker.stats().cancelled, 2);
}

#[test]
fn a_running_call_is_cancelled_at_its_worker_whose_slot_comes_back_with_final() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.take();
    bench.say("c", Record::Cancel { call: 1 });
    assert_eq!(bench.take(), ["w: CANCEL 0v1"]);
    bench.done("w", "0v1");
    assert_eq!(
        bench.take(),
        ["w: REQUEST 1v1 s.S/M 10000 ms try 1 peer c"],
        "nothing for the client, and a free slot"
    );
}

#[test]
fn a_worker_that_does_not_answer_a_cancel_loses_the_slot() {
    let mut bench = Bench::new(Config { overrun: ms(500), ..Config::default() });
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.say("c", Record::Cancel { call: 1 });
    bench.take();
    bench.live(499);
    assert_eq!(bench.take(), [""; 0]);
    bench.live(1);
    assert_eq!(bench.take(), ["w: REQUEST 1v1 s.S/M 9500 ms try 1 peer c"]);
    bench.done("w", "0v1"); // late, and no fault
    assert_eq!(bench.take(), [""; 0]);
    assert_eq!(bench.broker.stats().late, 1);
}

#[test]
fn a_cancel_that_crosses_with_final_or_comes_twice_finds_nothing() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.done("w", "0v1");
    bench.take();
    bench.say("c", Record::Cancel { call: 1 });
    bench.say("c", Record::Cancel { call: 4_711 });
    bench.request("c", 2, "s.S/M");
    bench.say("c", Record::Cancel { call: 2 });
    bench.say("c", Record::Cancel { call: 2 });
    assert_eq!(bench.take().len(), 2, "REQUEST and one CANCEL");
    assert_eq!(bench.broker.stats().cancelled, 1);
}

#[test]
fn one_client_cannot_cancel_anothers_call() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 2);
    bench.hello("c");
    bench.hello("d");
    bench.request("c", 1, "s.S/M");
    bench.request("d", 1, "s.S/M");
    bench.take();
    bench.say("d", Record::Cancel { call: 1 });
    assert_eq!(bench.take(), ["w: CANCEL 1v1"]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w done"]);
}

#[test]
fn a_client_that_leaves_cancels_what_runs_for_it() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 2);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.say("c", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(bench.take(), ["w: CANCEL 0v1", "close c"]);
    bench.done("w", "0v1");
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_peer_that_calls_itself_and_leaves_is_told_nothing_more() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 2);
    bench.request("w", 1, "s.S/M");
    bench.take();
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(bench.take(), ["close w"]);
    assert!(bench.broker.is_quiet());
}

/// R16.
#[test]
fn a_number_that_is_in_use_ends_the_session() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 2);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.done("w", "0v1");
    bench.request("c", 1, "s.S/M"); // free again
    bench.take();
    bench.request("c", 1, "s.S/M");
    let told = bench.take();
    assert!(told.contains(&"c: DISCONNECT Unexpected".to_owned()), "{told:?}");
}

#[test]
fn a_call_is_known_as_its_clients_until_nobody_waits_for_it() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 7, "s.S/M");
    let client = bench.keys["c"];
    assert_eq!(bench.broker.caller_of(call("0v1")), Some((client, 7)));
    assert_eq!(bench.broker.caller_of(call("1v1")), None);
    bench.say("c", Record::Cancel { call: 7 });
    assert_eq!(bench.broker.caller_of(call("0v1")), None, "the worker has it still");
}
