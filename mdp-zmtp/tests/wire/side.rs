//! One side of a connection in memory.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mdp_zmtp::{
    Config, Connection, Error, Event, KeyPair, Mechanism, Output, Seed, SocketType, Time,
};

use crate::golden::fixed;

/// A connection with its buffers.
pub(crate) struct Side {
    pub(crate) connection: Connection,
    pub(crate) input: BytesMut,
    pub(crate) out: Output,
    pub(crate) now: Time,
}

impl Side {
    pub(crate) fn new(config: Config) -> Self {
        Side::with_seed(config, seed(7))
    }

    pub(crate) fn with_seed(config: Config, seed: Seed) -> Self {
        let (mut out, now) = (Output::new(), Time::from_ms(1_000));
        let connection = Connection::new(&Arc::new(config), seed, now, &mut out);
        Side { connection, input: BytesMut::new(), out, now }
    }

    /// Takes what is to be written.
    pub(crate) fn written(&mut self) -> Vec<u8> {
        let written = self.out.chunks().flatten().copied().collect();
        self.out.advance(self.out.len());
        written
    }

    /// Reads these octets up to the next event.
    pub(crate) fn read(&mut self, octets: &[u8]) -> Result<Option<Event>, Error> {
        self.input.extend_from_slice(octets);
        self.next()
    }

    pub(crate) fn next(&mut self) -> Result<Option<Event>, Error> {
        self.connection.receive(self.now, &mut self.input, &mut self.out)
    }

    /// Reads these octets, and all events in them. Admits each peer.
    pub(crate) fn read_all(&mut self, octets: &[u8]) -> Result<Vec<Event>, Error> {
        self.input.extend_from_slice(octets);
        let mut events = Vec::new();
        while let Some(event) = self.next()? {
            if matches!(event, Event::Admission(_)) {
                self.connection.admit(&mut self.out).unwrap();
            }
            events.push(event);
        }
        Ok(events)
    }

    /// Sends a message of these frames.
    pub(crate) fn send(&mut self, frames: &[Bytes]) {
        self.connection.send(frames, &mut self.out).unwrap();
    }
}

/// A seed that is only good for tests.
pub(crate) fn seed(octet: u8) -> Seed {
    seed_by(|part| part.fill(octet))
}

/// The seed of these four parts.
pub(crate) fn seed_of(parts: [&[u8]; 4]) -> Seed {
    let mut parts = parts.into_iter();
    seed_by(|part| part.copy_from_slice(parts.next().unwrap()))
}

fn seed_by(mut fill: impl FnMut(&mut [u8])) -> Seed {
    Seed::fill(|part| {
        fill(part);
        Ok::<(), ()>(())
    })
    .unwrap()
}

pub(crate) fn server_keys() -> KeyPair {
    KeyPair::new(&fixed("server-secret"))
}

pub(crate) fn client_keys() -> KeyPair {
    KeyPair::new(&fixed("client-secret"))
}

pub(crate) fn curve_server(socket_type: SocketType) -> Config {
    Config::new(socket_type).mechanism(Mechanism::CurveServer(server_keys()))
}

pub(crate) fn curve_client(socket_type: SocketType) -> Config {
    let (own, server) = (client_keys(), *server_keys().public());
    Config::new(socket_type).mechanism(Mechanism::CurveClient { own, server })
}

/// The server of the golden conversation.
pub(crate) fn golden_server() -> Side {
    let parts = ["server-transient-secret", "cookie-key", "welcome-nonce", "cookie-nonce"];
    let parts = parts.map(crate::golden::curve);
    let seed = seed_of(parts.each_ref().map(Vec::as_slice));
    Side::with_seed(curve_server(SocketType::Router), seed)
}

/// The client of the golden conversation.
pub(crate) fn golden_client() -> Side {
    let parts = ["client-transient-secret", "cookie-key", "vouch-nonce", "cookie-nonce"];
    let parts = parts.map(crate::golden::curve);
    let seed = seed_of(parts.each_ref().map(Vec::as_slice));
    let config = curve_client(SocketType::Dealer).identity("ann").unwrap();
    Side::with_seed(config, seed)
}

/// Lets both sides talk until neither has anything to say. Returns what each has got.
pub(crate) fn talk(one: &mut Side, other: &mut Side) -> Result<(Vec<Event>, Vec<Event>), Error> {
    let (mut events, mut others) = (Vec::new(), Vec::new());
    loop {
        let (to_other, to_one) = (one.written(), other.written());
        if to_other.is_empty() && to_one.is_empty() {
            return Ok((events, others));
        }
        others.extend(other.read_all(&to_other)?);
        events.extend(one.read_all(&to_one)?);
    }
}

/// Two sides whose handshake is over.
pub(crate) fn ready(one: Config, other: Config) -> (Side, Side) {
    let (mut one, mut other) = (Side::with_seed(one, seed(1)), Side::with_seed(other, seed(2)));
    talk(&mut one, &mut other).unwrap();
    assert!(one.connection.is_ready() && other.connection.is_ready());
    (one, other)
}
