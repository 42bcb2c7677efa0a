//! A peer that speaks the wire by hand, and does what a proper one never does.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // tests

use std::time::Duration;

use mdp_protocol::wire::{self, DisconnectReason, Record, Reply, Tail};
use mdp_protocol::{Code, Limits, Span};

use crate::zmtp::Peer;

/// A record as a raw peer sends or gets it.
pub(crate) type Raw = Record<Vec<u8>, Vec<u8>>;

pub(crate) struct RawPeer {
    peer: Peer,
    waiting: Vec<Raw>,
}

impl RawPeer {
    pub(crate) fn connect(endpoint: &str) -> Self {
        RawPeer { peer: Peer::connect(endpoint), waiting: Vec::new() }
    }

    /// A peer that has been welcomed.
    pub(crate) fn greeted(endpoint: &str) -> Self {
        let mut peer = RawPeer::connect(endpoint);
        peer.send(&[hello()]);
        peer.wait(|record| matches!(record, Raw::Welcome { .. }).then_some(()));
        peer
    }

    /// A greeted peer that offers a service and is known to the broker as a worker: a call that names
    /// it waits for it, and is not refused.
    pub(crate) fn worker(endpoint: &str, service: &str, capacity: u32) -> Self {
        let peer = RawPeer::greeted(endpoint);
        peer.send(&[ready(service, capacity)]);
        peer
    }

    pub(crate) fn send(&self, records: &[Raw]) {
        self.send_frames(&[&packet(records)]);
    }

    pub(crate) fn send_frames(&self, frames: &[&[u8]]) {
        self.peer.send(frames);
    }

    /// The next record that `wanted` takes; others, heartbeats for instance, are passed over.
    pub(crate) fn wait<T>(&mut self, wanted: impl Fn(&Raw) -> Option<T>) -> T {
        loop {
            while !self.waiting.is_empty() {
                if let Some(found) = wanted(&self.waiting.remove(0)) {
                    return found;
                }
            }
            self.waiting = self.receive();
        }
    }

    pub(crate) fn wait_disconnect(&mut self) -> DisconnectReason {
        self.wait(|record| match record {
            Raw::Disconnect(reason) => Some(*reason),
            _ => None,
        })
    }

    /// The broker's handle of the next call that it gives to this worker.
    pub(crate) fn wait_request(&mut self) -> u64 {
        self.wait(|record| match record {
            Raw::Request { call, .. } => Some(*call),
            _ => None,
        })
    }

    pub(crate) fn wait_final(&mut self) -> Final {
        self.wait(|record| match record {
            Raw::Final { call, code, not_started, reply: Reply::Body(body), .. } => Some(Final {
                call: *call,
                code: *code,
                not_started: *not_started,
                words: String::from_utf8_lossy(body).into_owned(),
            }),
            _ => None,
        })
    }

    /// Reads until the broker ends the connection.
    pub(crate) fn wait_closed(&self) {
        self.peer.wait_closed();
    }

    /// Whether something to read comes within this time.
    pub(crate) fn hears(&self, within: Duration) -> bool {
        !self.waiting.is_empty() || self.peer.hears(within)
    }

    fn receive(&self) -> Vec<Raw> {
        let frames = self.peer.receive();
        let lens: Vec<usize> = frames[1..].iter().map(Vec::len).collect();
        let mut heads = Vec::new();
        wire::decode(&frames[0], &lens, &Limits::default(), &mut heads).unwrap();
        let read = |head: &wire::Head| {
            let body = |head: &wire::Head| head.tail.of(&frames[0]).to_vec();
            owned(Record::read(head, &frames[0], body).unwrap())
        };
        heads.iter().map(read).collect()
    }
}

/// A record with names of its own. A body stays as it came: name, metadata, payload.
fn owned(record: Record<&[u8], Vec<u8>>) -> Raw {
    match record {
        Record::Hello { id, heartbeat, liveness } => {
            Raw::Hello { id: id.to_vec(), heartbeat, liveness }
        }
        Record::Welcome { id, heartbeat, liveness, frame_bytes } => {
            Raw::Welcome { id: id.to_vec(), heartbeat, liveness, frame_bytes }
        }
        Record::Ready { service, capacity, shared, schema } => {
            Raw::Ready { service: service.to_vec(), capacity, shared, schema }
        }
        Record::Request { call, timeout, idempotent, attempt, peer, kind, body } => {
            Raw::Request { call, timeout, idempotent, attempt, peer: peer.to_vec(), kind, body }
        }
        Record::Data { call, of, part } => Raw::Data { call, of, part },
        Record::Credit { call, of, units } => Raw::Credit { call, of, units },
        Record::Final { call, code, not_started, attempt, peer, reply } => {
            Raw::Final { call, code, not_started, attempt, peer: peer.to_vec(), reply }
        }
        Record::Cancel { call } => Raw::Cancel { call },
        Record::Grant { service, slots, number } => {
            Raw::Grant { service: service.to_vec(), slots, number }
        }
        Record::Demand { service, calls } => Raw::Demand { service: service.to_vec(), calls },
        Record::Heartbeat => Raw::Heartbeat,
        Record::Drain => Raw::Drain,
        Record::Disconnect(reason) => Raw::Disconnect(reason),
    }
}

/// A FINAL. The words are the payload's bytes as far as they are text.
#[derive(Debug)]
pub(crate) struct Final {
    pub(crate) call: u64,
    pub(crate) code: Code,
    pub(crate) not_started: bool,
    pub(crate) words: String,
}

/// Records as the bytes of a packet.
pub(crate) fn packet(records: &[Raw]) -> Vec<u8> {
    let mut packet = Vec::new();
    for record in records {
        match record {
            // A raw body is a path alone; the payload stays empty.
            Raw::Request { body, .. } => {
                let name_len = body.len() as u8;
                let tail = Tail { bytes: body, name_len, ..Tail::default() };
                wire::put_tail(&mut packet, record, tail);
            }
            _ => {
                let body = record.body().map_or(&[][..], Vec::as_slice);
                let tail = Tail { bytes: body, payload_len: body.len() as u32, ..Tail::default() };
                wire::put_tail(&mut packet, record, tail);
            }
        }
    }
    packet
}

pub(crate) fn hello() -> Raw {
    Raw::Hello { id: Vec::new(), heartbeat: Span::from_secs(1), liveness: 3 }
}

pub(crate) fn ready(service: &str, capacity: u32) -> Raw {
    Raw::Ready { service: service.into(), capacity, shared: false, schema: None }
}
