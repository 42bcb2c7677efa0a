//! A ZMTP connection that reads anything, in pieces of any size, with NULL or CURVE, before or after its handshake: an
//! error ends it for good, what it hands out is within its limits, and so is what it waits for.
//!
//! The first octet says which side it is, and whether the handshake is over before. The second one is the size of the
//! pieces.
#![no_main]

use std::sync::Arc;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use mdp_zmtp::SocketType::{Dealer, Pub, Router, Sub};
use mdp_zmtp::{
    Config, Connection, Event, Heartbeat, KeyPair, Limits, Mechanism, Output, Refusal, Seed, Time,
};

const LIMITS: Limits = Limits {
    handshake_ms: 2_000,
    handshake_bytes: 1_000,
    command_bytes: 600,
    frame_bytes: 300,
    message_frames: 4,
    message_bytes: 500,
};

struct Side {
    connection: Connection,
    input: BytesMut,
    out: Output,
    refuse: bool,
}

impl Side {
    fn new(config: Config, octet: u8) -> Self {
        let heartbeat = Heartbeat { interval_ms: 10, timeout_ms: 30, ttl_ms: 20 };
        let config = Arc::new(config.limits(LIMITS).heartbeat(heartbeat));
        let seed = Seed::fill(|part| Ok::<(), ()>(part.fill(octet))).unwrap();
        let mut out = Output::new();
        let connection = Connection::new(&config, seed, Time::from_ms(0), &mut out);
        Side { connection, input: BytesMut::new(), out, refuse: false }
    }

    /// Reads these octets. Returns false when the connection has ended.
    fn read(&mut self, octets: &[u8], now: Time) -> bool {
        self.input.extend_from_slice(octets);
        loop {
            match self.connection.receive(now, &mut self.input, &mut self.out) {
                Ok(None) => break,
                Ok(Some(Event::Admission(_))) if self.refuse => {
                    self.connection.refuse(Refusal::Denied, &mut self.out).unwrap();
                }
                Ok(Some(Event::Admission(_))) => self.connection.admit(&mut self.out).unwrap(),
                Ok(Some(Event::Message(message))) => {
                    assert!(message.count() <= LIMITS.message_frames);
                    assert!(message.bytes() <= LIMITS.message_bytes);
                    self.connection.send(message.frames(), &mut self.out).unwrap();
                }
                Ok(Some(_)) => {}
                Err(error) => {
                    assert_eq!(self.connection.close_reason(), Some(&error));
                    let again = self.connection.receive(now, &mut self.input, &mut self.out);
                    assert_eq!(again, Err(error));
                    return false;
                }
            }
        }
        assert!(self.connection.missing() <= LIMITS.command_bytes + 64);
        true
    }

    fn written(&mut self) -> Vec<u8> {
        let written = self.out.chunks().flatten().copied().collect();
        self.out.advance(self.out.len());
        written
    }
}

fuzz_target!(|data: &[u8]| {
    let [control, size, octets @ ..] = data else { return };
    let [own, keys] = [1, 2].map(|octet| KeyPair::new(&[octet; 32]));
    let server = *keys.public();
    let client = Config::new(Dealer).mechanism(Mechanism::CurveClient { own, server });
    let curve = Config::new(Router).mechanism(Mechanism::CurveServer(keys));
    let (config, opposite) = match control % 4 {
        0 => (Config::new(Router), Config::new(Dealer)),
        1 => (Config::new(Pub), Config::new(Sub)),
        2 => (curve, client),
        _ => (client, curve),
    };
    let (mut side, mut peer) = (Side::new(config, 3), Side::new(opposite, 4));
    let now = Time::from_ms(1);
    if control & 4 != 0 {
        while !side.connection.is_ready() || !peer.connection.is_ready() {
            assert!(side.read(&peer.written(), now) && peer.read(&side.written(), now));
        }
    }
    side.refuse = control & 8 != 0;
    for (at, piece) in octets.chunks((*size).max(1).into()).enumerate() {
        // What the peer sends is read, too: with CURVE, nothing else opens.
        let sent = peer.connection.send([piece], &mut peer.out).is_ok() && control & 16 != 0;
        let piece = if sent { &peer.written()[..] } else { piece };
        if !side.read(piece, Time::from_ms(at as u64)) {
            return;
        }
    }
    // In the end time is up for whatever has a deadline.
    for _ in 0..2 {
        let _ = side.connection.tick(Time::from_ms(u64::MAX), &mut side.out);
    }
    assert_eq!(side.connection.next_deadline(), None);
});
