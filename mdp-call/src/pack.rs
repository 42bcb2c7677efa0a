//! Gathers records into packets to send, and decodes received messages.

use std::collections::VecDeque;

use bytes::Bytes;
use mdp_protocol::Limits;
use mdp_protocol::wire::{self, Command, DisconnectReason, Flags, Head, Record, Reply, WireError};

use crate::body::Body;
use crate::codec;
use crate::status::Status;
use mdp_transport::{InPacket, OutPacket, SocketError};

/// A packet with this many bytes is sent. So packets fit into caches and pipes, and the receiver works on one packet
/// while the next one is gathered.
const PACKET_BYTES: usize = 32 * 1024;
const PACKET_WEIGHT: usize = 128 * CALL_WEIGHT;
const PACKET_FRAMES: usize = 16;

/// The weight of a record is the work for its receiver. The record of a call starts work of a handler or a caller. An
/// item of a stream is one of many, and needs less work.
pub const CALL_WEIGHT: usize = 4;
const ITEM_WEIGHT: usize = 1;

/// The number of calls that are handled before the other direction of a driver's loop. The number is small, so that
/// these calls are sent while the next ones arrive and both directions work at the same time.
pub const BURST: usize = 128;

/// The same limit in weights of records: it allows more items of streams than calls.
pub const BURST_WEIGHT: usize = BURST * CALL_WEIGHT;

/// The weight of a record with this command.
fn weight(command: Option<Command>) -> usize {
    if command == Some(Command::Data) { ITEM_WEIGHT } else { CALL_WEIGHT }
}

/// The weight of received records, at least 1.
#[inline]
pub fn weight_of(heads: &[Head]) -> usize {
    heads.iter().map(|head| weight(head.command())).sum::<usize>().max(1)
}

/// The packet that is being filled for one receiver.
#[derive(Debug, Default)]
pub struct Packer {
    packet: OutPacket,
    /// Bytes in the payload frames of the packet.
    frame_bytes: usize,
    /// Weight of the packet's records, at least 1 if there is a record.
    weight: usize,
}

impl Packer {
    /// Whether no record is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.weight == 0
    }

    /// Whether the packet should be sent before more records are added.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.packet.first.len() >= PACKET_BYTES
            || self.weight >= PACKET_WEIGHT
            || self.packet.frames.len() >= PACKET_FRAMES
    }

    /// Adds a record. A listing of the broker is added [with its body](Self::put_with).
    pub fn put<N: AsRef<[u8]>>(&mut self, record: &Record<N, Body>) {
        match record {
            Record::Final { reply: Reply::Refused(refusal), .. } => {
                let status = codec::encode_status(&Status::from(refusal.as_ref()));
                self.put_with(record, &Body::with_payload("", None, status));
            }
            Record::Final { reply: Reply::Listing(_), .. } => {
                self.put_with(record, &Body::default());
            }
            _ => match record.body() {
                Some(body) => self.put_with(record, body),
                None => {
                    self.weight += weight(Some(record.command()));
                    wire::put(&mut self.packet.first, record);
                }
            },
        }
    }

    /// Adds a record with this body in place of its own.
    pub fn put_with<N: AsRef<[u8]>>(&mut self, record: &Record<N, Body>, body: &Body) {
        self.weight += weight(Some(record.command()));
        match body.flat() {
            Some(flat) => self.put_body(record, &flat),
            None => self.put_body(record, body),
        }
    }

    fn put_body<N: AsRef<[u8]>>(&mut self, record: &Record<N, Body>, body: &Body) {
        wire::put_tail(&mut self.packet.first, record, body.tail());
        if let Some(out) = body.out() {
            self.frame_bytes += out.len();
            self.packet.frames.push(out.clone());
        }
    }

    /// The packet to send. After the packet is sent, [clear](Self::clear) the packer.
    #[inline]
    pub fn packet(&mut self) -> &mut OutPacket {
        &mut self.packet
    }

    /// Whether there are no payload frames behind the packet.
    #[inline]
    pub fn is_one_frame(&self) -> bool {
        self.packet.frames.is_empty()
    }

    /// The bytes of the packet and its frames, and the number of frames.
    #[inline]
    pub fn size(&self) -> (usize, usize) {
        (self.packet.first.len() + self.frame_bytes, 1 + self.packet.frames.len())
    }

    /// Empties it, and keeps its buffers.
    #[inline]
    pub fn clear(&mut self) {
        self.packet.clear();
        self.frame_bytes = 0;
        self.weight = 0;
    }

    /// Takes the packet back in the form of a received message, to find the records that were not sent.
    pub fn take(&mut self) -> Received {
        let received = Received {
            packet: Bytes::from(std::mem::take(&mut self.packet.first)),
            frames: std::mem::take(&mut self.packet.frames),
        };
        self.clear();
        received
    }
}

/// Packets for one socket that may be full. Packets that cannot be sent now wait in order.
#[derive(Debug, Default)]
pub struct Gather {
    packets: VecDeque<Packer>,
    /// An empty packer, kept to use its buffers again.
    spare: Option<Packer>,
}

impl Gather {
    /// Adds a record. `true`: its packet is full and should be sent.
    pub fn put<N: AsRef<[u8]>>(&mut self, record: &Record<N, Body>) -> bool {
        if self.packets.back().is_none_or(Packer::is_full) {
            self.packets.push_back(self.spare.take().unwrap_or_default());
        }
        self.packets.back_mut().is_some_and(|packer| {
            packer.put(record);
            packer.is_full()
        })
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Drops what waits.
    pub fn clear(&mut self) {
        self.packets.clear();
    }

    /// Takes the packets that were not sent, in the form of received messages.
    pub fn take(&mut self) -> impl Iterator<Item = Received> {
        self.packets.drain(..).map(|mut packer| packer.take())
    }

    /// Sends until all packets are sent or `send` returns `false`.
    pub fn flush(
        &mut self,
        mut send: impl FnMut(&mut OutPacket) -> Result<bool, SocketError>,
    ) -> Result<(), SocketError> {
        while let Some(packer) = self.packets.front_mut() {
            if !send(packer.packet())? {
                return Ok(());
            }
            packer.clear();
            self.spare = self.packets.pop_front();
        }
        Ok(())
    }
}

/// A message as received: the packet, then the payload frames.
#[derive(Debug, Default)]
pub struct Received {
    /// The first frame.
    pub packet: Bytes,
    /// The payload frames behind it.
    pub frames: Vec<Bytes>,
}

impl From<InPacket> for Received {
    fn from(packet: InPacket) -> Self {
        Received { packet: packet.first, frames: packet.frames }
    }
}

impl Received {
    /// Reads the records of the packet, all or none.
    ///
    /// # Errors
    ///
    /// A record, or a raw payload, cannot be read.
    pub fn decode(&self, limits: &Limits, heads: &mut Vec<Head>) -> Result<(), WireError> {
        if self.frames.is_empty() {
            wire::decode(&self.packet, &[], limits, heads)?;
        } else {
            let lens: Vec<usize> = self.frames.iter().map(Bytes::len).collect();
            wire::decode(&self.packet, &lens, limits, heads)?;
        }
        let checked = self.check_raw(limits, heads);
        if checked.is_err() {
            heads.clear();
        }
        checked
    }

    /// Checks that each raw payload is a list of frames (wire.md R85).
    fn check_raw(&self, limits: &Limits, heads: &[Head]) -> Result<(), WireError> {
        for (record, head) in heads.iter().enumerate() {
            if head.flags.has(Flags::RAW) {
                let payload = self.body(head).payload();
                wire::split_frames(&payload, limits.body_frames(), |_| {})
                    .map_err(|error| WireError::Raw { record, error })?;
            }
        }
        Ok(())
    }

    /// The body of a record of this packet.
    #[inline]
    pub fn body(&self, head: &Head) -> Body {
        Body::of(head, &self.packet, &self.frames)
    }
}

/// The reason for a peer whose message could not be read.
pub fn reason_for(error: WireError) -> DisconnectReason {
    match error {
        WireError::Version(_) => DisconnectReason::Version,
        _ => DisconnectReason::Malformed,
    }
}
