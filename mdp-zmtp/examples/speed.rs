//! Measures what a message costs: framing and unframing, sealing and opening.
//!
//! ```text
//! cargo run --release -p mdp-zmtp --example speed
//! ```

// It measures two connections in memory that cannot fail.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mdp_zmtp::{Config, Connection, Event, KeyPair, Mechanism, Output, Seed, SocketType, Time};

const NOW: Time = Time::from_ms(0);

struct Side {
    connection: Connection,
    out: Output,
    input: BytesMut,
}

impl Side {
    fn new(config: Config, octet: u8) -> Self {
        let seed = Seed::fill(|part| {
            part.fill(octet);
            Ok::<(), ()>(())
        });
        let seed = seed.unwrap();
        let mut out = Output::new();
        let connection = Connection::new(&Arc::new(config), seed, NOW, &mut out);
        Side { connection, out, input: BytesMut::new() }
    }

    fn receive(&mut self) -> Option<Event> {
        self.connection.receive(NOW, &mut self.input, &mut self.out).unwrap()
    }

    /// Moves what is written, as a socket does.
    fn carry(&mut self, to: &mut Side) {
        self.out.chunks().for_each(|chunk| to.input.extend_from_slice(chunk));
        self.out.advance(self.out.len());
    }
}

fn pair(curve: bool) -> (Side, Side) {
    let [own, keys] = [1, 2].map(|octet| KeyPair::new(&[octet; 32]));
    let (mut dealer, mut router) =
        (Config::new(SocketType::Dealer), Config::new(SocketType::Router));
    if curve {
        let server = *keys.public();
        dealer = dealer.mechanism(Mechanism::CurveClient { own, server });
        router = router.mechanism(Mechanism::CurveServer(keys));
    }
    let (mut dealer, mut router) = (Side::new(dealer, 3), Side::new(router, 4));
    while !dealer.connection.is_ready() || !router.connection.is_ready() {
        dealer.carry(&mut router);
        if let Some(Event::Admission(_)) = router.receive() {
            router.connection.admit(&mut router.out).unwrap();
        }
        router.carry(&mut dealer);
        dealer.receive();
    }
    (dealer, router)
}

/// Times to send and to receive one message, in ns: the best of several runs.
fn measure(curve: bool, len: usize, at_once: usize) -> (f64, f64) {
    let (mut dealer, mut router) = pair(curve);
    let payload = Bytes::from(vec![7; len]);
    let rounds = (20_000_000 / (len + 200) / at_once).max(10);
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..7 {
        let (mut sending, mut receiving) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..rounds {
            let began = Instant::now();
            for _ in 0..at_once {
                dealer.connection.send([&payload], &mut dealer.out).unwrap();
            }
            sending += began.elapsed();
            dealer.carry(&mut router);
            let began = Instant::now();
            let mut count = 0;
            while let Some(Event::Message(message)) = router.receive() {
                count += message.count();
            }
            receiving += began.elapsed();
            assert_eq!(count, at_once);
        }
        let each = |time: Duration| time.as_nanos() as f64 / (rounds * at_once) as f64;
        best = (best.0.min(each(sending)), best.1.min(each(receiving)));
    }
    best
}

/// Time of one handshake of both sides, in us.
fn handshake() -> f64 {
    let began = Instant::now();
    let rounds = 200;
    for _ in 0..rounds {
        pair(true);
    }
    began.elapsed().as_micros() as f64 / f64::from(rounds)
}

fn main() {
    println!("{:<28} {:>12} {:>12}", "ns per message", "send", "receive");
    for (name, curve, len, at_once) in [
        ("NULL, 64 B, 100 at once", false, 64, 100),
        ("NULL, 64 B, alone", false, 64, 1),
        ("NULL, 16 KiB, 10 at once", false, 16 << 10, 10),
        ("CURVE, 64 B, 100 at once", true, 64, 100),
        ("CURVE, 64 B, alone", true, 64, 1),
        ("CURVE, 1 KiB, 10 at once", true, 1 << 10, 10),
        ("CURVE, 16 KiB, alone", true, 16 << 10, 1),
    ] {
        let (send, receive) = measure(curve, len, at_once);
        println!("{name:<28} {send:>12.1} {receive:>12.1}");
    }
    println!("{:<28} {:>12.1} us", "CURVE handshake, both sides", handshake());
    println!("{:<28} {:>12} bytes", "a connection", size_of::<Connection>());
}
