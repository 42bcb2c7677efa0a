//! Tunnels: a record as the body of a plain message (wire.md R86).

use bytes::Bytes;
use mdp_protocol::wire::{self, Command, Head, Record, Reply};
use mdp_protocol::{Limits, Refusal};

use crate::body::Body;
use crate::codec;
use crate::status::Status;

/// A record that came in a tunnel.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) head: Head,
    packet: Bytes,
    frames: Vec<Bytes>,
}

impl Tunnel {
    /// The record in the body of a message; `None` if it is no tunnel.
    pub(crate) fn read(body: &[Bytes], limits: &Limits) -> Option<Tunnel> {
        let (packet, frames) = body.split_first()?;
        let lens: Vec<usize> = frames.iter().map(Bytes::len).collect();
        let mut heads = Vec::new();
        wire::decode(packet, &lens, limits, &mut heads).ok()?;
        let [head] = heads.as_slice() else { return None };
        Some(Tunnel { head: *head, packet: packet.clone(), frames: frames.to_vec() })
    }

    pub(crate) fn command(&self) -> Option<Command> {
        self.head.command()
    }

    /// The name, which of a REQUEST is a path.
    pub(crate) fn name(&self) -> &[u8] {
        self.head.name.of(&self.packet)
    }

    /// The record; `None` if its command is not known.
    pub(crate) fn record(&self) -> Option<Record<&[u8], Body>> {
        let body = |head: &Head| Body::of(head, &self.packet, &self.frames);
        Record::read(&self.head, &self.packet, body).ok()
    }
}

/// A record as the body of a message.
pub(crate) fn write<N: AsRef<[u8]>>(record: &Record<N, Body>) -> Vec<Bytes> {
    if let Record::Final { reply: Reply::Refused(refusal), .. } = record {
        return with_body(record, &status_body(refusal));
    }
    match record.body() {
        Some(body) => with_body(record, body),
        None => with_body(record, &Body::default()),
    }
}

fn with_body<N: AsRef<[u8]>>(record: &Record<N, Body>, body: &Body) -> Vec<Bytes> {
    let mut packet = Vec::new();
    wire::put_tail(&mut packet, record, body.tail());
    let mut frames = vec![Bytes::from(packet)];
    frames.extend(body.out().cloned());
    frames
}

/// A refusal as the body of a FINAL.
pub(crate) fn status_body(refusal: &Refusal) -> Body {
    Body::with_payload("", None, codec::encode_status(&Status::from(refusal)))
}
