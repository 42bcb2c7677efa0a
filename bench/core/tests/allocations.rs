//! The broker's machine allocates nothing for a call once its tables have grown.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

use mdp_bench_core::Calls;
use mdp_protocol::broker::Config;

#[test]
fn a_call_allocates_nothing() {
    for (idempotent, in_flight) in [(false, 0), (false, 128), (true, 64)] {
        let mut calls = Calls::new(Config::default(), 4, 4, idempotent);
        (0..in_flight).for_each(|_| calls.request());
        (0..20_000).for_each(|_| calls.call());
        assert_eq!(calls.in_flight(), in_flight);
        let counted = allocation_counter::measure(|| (0..100_000).for_each(|_| calls.call()));
        assert_eq!(counted.count_total, 0, "{in_flight} in flight: {counted:?}");
    }
}

/// The counter counts: a table that still grows is seen.
#[test]
fn what_allocates_is_seen() {
    let mut calls = Calls::new(Config::default(), 4, 4, false);
    let counted = allocation_counter::measure(|| (0..1_000).for_each(|_| calls.request()));
    assert!(counted.count_total > 0);
}
