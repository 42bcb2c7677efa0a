//! A ZMTP connection that reads anything, in pieces of any size: an error ends it for good, and what it holds stays within
//! its limits.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use mdp_zmtp::SocketType::{Dealer, Pub, Router};
use mdp_zmtp::{
    Config, Connection, Event, Heartbeat, KeyPair, Limits, Mechanism, Output, Refusal, Seed, Time,
};

#[derive(Arbitrary, Debug)]
struct Input {
    side: u8,
    /// How far the handshake has come before the octets.
    ready: bool,
    refuse: bool,
    pieces: Vec<Vec<u8>>,
}

const LIMITS: Limits = Limits {
    handshake_ms: 2_000,
    handshake_bytes: 1_000,
    command_bytes: 600,
    frame_bytes: 300,
    message_frames: 4,
    message_bytes: 500,
};

const READY: &[u8] = b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06";

fuzz_target!(|input: Input| {
    let keys = KeyPair::new(&[1; 32]);
    let server = *keys.public();
    let (config, opposite) = match input.side % 4 {
        0 => (Config::new(Router), &b"DEALER"[..]),
        1 => (Config::new(Pub), b"XSUB\0\0"),
        2 => (Config::new(Router).mechanism(Mechanism::CurveServer(keys)), b"DEALER"),
        _ => {
            let own = KeyPair::new(&[2; 32]);
            (Config::new(Dealer).mechanism(Mechanism::CurveClient { own, server }), b"ROUTER")
        }
    };
    let heartbeat = Heartbeat { interval_ms: 10, timeout_ms: 30, ttl_ms: 20 };
    let config = Arc::new(config.limits(LIMITS).heartbeat(heartbeat));
    let seed = Seed::fill(|part| Ok::<(), ()>(part.fill(3))).unwrap();
    let mut out = Output::new();
    let mut connection = Connection::new(&config, seed, Time::from_ms(0), &mut out);
    let mut buffer = BytesMut::new();
    if input.ready {
        // The greeting that comes back is the right one, but for the mark of a server.
        let mut greeting: Vec<u8> = out.chunks().flatten().copied().collect();
        greeting[32] = 0;
        buffer.extend_from_slice(&greeting);
        buffer.extend_from_slice(READY);
        buffer.extend_from_slice(opposite);
    }
    out.advance(out.len());
    for (at, piece) in input.pieces.iter().enumerate() {
        buffer.extend_from_slice(piece);
        let now = Time::from_ms(at as u64);
        loop {
            match connection.receive(now, &mut buffer, &mut out) {
                Ok(None) => break,
                Ok(Some(Event::Admission(_))) if input.refuse => {
                    connection.refuse(Refusal::Denied, &mut out).unwrap();
                }
                Ok(Some(Event::Admission(_))) => connection.admit(&mut out).unwrap(),
                Ok(Some(Event::Message(message))) => {
                    assert!(message.count() <= LIMITS.message_frames);
                    assert!(message.bytes() <= LIMITS.message_bytes);
                    connection.send(message.frames(), &mut out).unwrap();
                }
                Ok(Some(_)) => {}
                Err(error) => {
                    assert_eq!(connection.close_reason(), Some(&error));
                    assert_eq!(connection.receive(now, &mut buffer, &mut out), Err(error));
                    return;
                }
            }
        }
        // What is waited for is a frame within the limits.
        assert!(connection.missing() <= LIMITS.command_bytes + 64);
    }
    let due = connection.next_deadline();
    assert_eq!(connection.tick(Time::from_ms(u64::MAX), &mut out).is_err(), due.is_some_and(|_| !connection.is_ready()) || connection.close_reason().is_some());
});
