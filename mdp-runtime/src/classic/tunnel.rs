//! Tunnels: a record in the body of a classic message (wire.md R86).

use bytes::Bytes;
use mdp_protocol::wire::{Head, Record, tunnel};
use mdp_protocol::{Limits, Refusal};

use mdp_call::body::{Body, Packer, Received};
use mdp_call::codec;
use mdp_call::status::Status;

/// A record that arrived in a tunnel.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) head: Head,
    received: Received,
}

impl Tunnel {
    /// Reads the record in the body of a message. `None`: the body is not a tunnel.
    pub(crate) fn read(body: &[Bytes], limits: &Limits) -> Option<Tunnel> {
        let head = tunnel::read(body, limits)?;
        let (packet, frames) = body.split_first()?;
        let received = Received { packet: packet.clone(), frames: frames.to_vec() };
        Some(Tunnel { head, received })
    }

    /// Whether the record is a call of this service.
    pub(crate) fn asks_for(&self, service: &[u8]) -> bool {
        tunnel::is_request_of(&self.head, &self.received.packet, service)
    }

    /// Returns the record. `None`: its command is unknown.
    pub(crate) fn record(&self) -> Option<Record<&[u8], Body>> {
        let body = |head: &Head| self.received.body(head);
        Record::read(&self.head, &self.received.packet, body).ok()
    }
}

/// Writes a record as the body of a message.
pub(crate) fn write<N: AsRef<[u8]>>(record: &Record<N, Body>) -> Vec<Bytes> {
    let mut packer = Packer::default();
    packer.put(record);
    let Received { packet, frames } = packer.take();
    std::iter::once(packet).chain(frames).collect()
}

/// Encodes a refusal as the body of a FINAL.
pub(crate) fn status_body(refusal: &Refusal) -> Body {
    Body::with_payload("", None, codec::encode_status(&Status::from(refusal)))
}
