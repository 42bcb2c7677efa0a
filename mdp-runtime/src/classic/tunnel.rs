//! Tunnels: a record in the body of a classic message (wire.md R86).

use bytes::Bytes;
use mdp_protocol::wire::{Head, Record, tunnel};
use mdp_protocol::{Limits, Refusal};

use mdp_call::body::{Body, Packer};
use mdp_call::codec;
use mdp_call::status::Status;
use mdp_transport::InPacket;

/// A record that arrived in a tunnel.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) head: Head,
    body: InPacket,
}

impl Tunnel {
    /// Reads the record in the body of a message. `None`: the body is not a tunnel.
    pub(crate) fn read(body: &[Bytes], limits: &Limits) -> Option<Tunnel> {
        let head = tunnel::read(body, limits)?;
        let (first, frames) = body.split_first()?;
        let body = InPacket { first: first.clone(), frames: frames.to_vec() };
        Some(Tunnel { head, body })
    }

    /// Whether the record is a call of this service.
    pub(crate) fn asks_for(&self, service: &[u8]) -> bool {
        tunnel::is_request_of(&self.head, &self.body.first, service)
    }

    /// Returns the record. `None`: its command is unknown.
    pub(crate) fn record(&self) -> Option<Record<&[u8], Body>> {
        let InPacket { first: packet, frames } = &self.body;
        Record::read(&self.head, packet, |head| Body::of(head, packet, frames)).ok()
    }
}

/// Writes a record as the body of a message.
pub(crate) fn write<N: AsRef<[u8]>>(record: &Record<N, Body>) -> Vec<Bytes> {
    let mut packer = Packer::default();
    packer.put(record);
    packer.take().into_frames()
}

/// Encodes a refusal as the body of a FINAL.
pub(crate) fn status_body(refusal: &Refusal) -> Body {
    Body::with_payload("", None, codec::encode_status(&Status::from(refusal)))
}
