//! Routing ids and numbers that peers choose so that a hash table with known constants would keep them in one place.

use std::time::{Duration, Instant};

use mdp_protocol::broker::{Broker, Config, Input};
use mdp_protocol::{Identity, Time};

use crate::body::Body;
use crate::stage::{hello, request};

/// One of foldhash's constants: as the second half of 16 bytes it made the hash the same for each first half, whatever
/// the seed; and so it did as the number of a call, for each session.
const CONSTANT: u64 = 0x3f84_d5b5_b547_0917;
const PEERS: u64 = 6_000;

/// How long it takes to open sessions with these routing ids and to make a call over each, with these numbers.
fn took(route: impl Fn(u64) -> Vec<u8>, number: impl Fn(u64) -> u64) -> Duration {
    let mut broker: Broker<Body> = Broker::new(Config { seed: 7, ..Config::default() });
    let mut out = Vec::new();
    let began = Instant::now();
    for peer in 0..PEERS {
        let route = route(peer);
        for record in [hello(""), request(number(peer), Body::of_path(b"a.S/M", b""), UNARY)] {
            let from = broker.sender(&route, Identity::anonymous());
            broker.handle(Time::from_ms(1_000), Input::Record { from, record }, &mut out);
            out.clear();
        }
    }
    let took = began.elapsed();
    assert_eq!(broker.stats().sessions as u64, PEERS);
    took
}

const UNARY: mdp_protocol::wire::CallKind = mdp_protocol::wire::CallKind::Unary;

fn colliding(peer: u64) -> Vec<u8> {
    [peer.to_ne_bytes(), CONSTANT.to_ne_bytes()].concat()
}

fn honest(peer: u64) -> Vec<u8> {
    [peer.to_ne_bytes(), (CONSTANT ^ (peer << 8) ^ 0x55).to_ne_bytes()].concat()
}

#[test]
fn a40_chosen_routing_ids_and_numbers_cost_no_more_than_others() {
    let best = |took: &dyn Fn() -> Duration| (0..3).map(|_| took()).min().unwrap();
    let base = best(&|| took(honest, |peer| peer));
    let routes = best(&|| took(colliding, |peer| peer));
    let numbers = best(&|| took(honest, |_| CONSTANT));
    println!("{PEERS} peers: {base:?}; routing ids that collide: {routes:?}; numbers: {numbers:?}");
    assert!(routes < base * 3, "routing ids: {base:?} and {routes:?}");
    assert!(numbers < base * 3, "numbers: {base:?} and {numbers:?}");
}
