//! The bodies of calls, and the packets that they travel in.
//!
//! A [`Body`] is a slice of the packet it arrived in, or bytes of its own. A [`Packer`] gathers records with their bodies
//! into a packet to send. [`wire::read`] reads a packet that arrived; [`Body::of`] makes the bodies of its records.

use bytes::Bytes;
use mdp_protocol::wire::{
    self, Command, DisconnectReason, Flags, Head, Record, Reply, Tail, WireError,
};
use mdp_protocol::{Code, Limits, Payload};

use crate::codec::{self, notes};
use crate::compress;
use crate::status::Status;
use mdp_transport::buffers;
use mdp_transport::{InPacket, OutPacket};

/// Payloads with more bytes travel in a frame of their own, which is moved and never copied. For smaller payloads, a
/// copy into the packet costs less than a frame.
pub const MAX_INLINE: usize = 8 * 1024;

/// Maximum size of a status in bytes, whatever limit the receiver has.
const MAX_STATUS: usize = 4 << 20;
/// Bytes for the other records in a packet with a status.
const PACKET_ROOM: usize = 64 << 10;

/// The name, the metadata and the payload of a REQUEST or a FINAL.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The peer's id, if any, then the record's tail.
    bytes: Bytes,
    /// The payload, if the payload is not in `bytes`.
    out: Option<Box<Out>>,
    payload_len: u32,
    peer_len: u8,
    name_len: u8,
    /// META: the body has metadata. COMPRESSED: the payload is compressed. RAW: the payload is the frames of a classic
    /// message.
    flags: Flags,
    /// `bytes` is an allocation of its own, and not part of a packet.
    own: bool,
}

/// A payload outside of its packet.
#[derive(Clone, Debug)]
enum Out {
    /// The payload has its own frame.
    Payload(Bytes),
    /// The frames of a classic message, unchanged.
    Frames(Vec<Bytes>),
}

impl Body {
    /// Makes a body to send. `head` is the name; `encode` appends the payload of `len` bytes.
    pub fn new(
        name: &str,
        meta: Option<&[u8]>,
        len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Self {
        let meta_len = meta.map_or(0, |meta| meta.len() + 4);
        let inline = len <= MAX_INLINE;
        let room = name.len() + meta_len + if inline { len } else { 0 };
        let mut bytes = Vec::with_capacity(room);
        bytes.extend_from_slice(name.as_bytes());
        if let Some(meta) = meta {
            bytes.extend_from_slice(&(meta.len() as u32).to_be_bytes());
            bytes.extend_from_slice(meta);
        }
        let mut out = None;
        if inline {
            encode(&mut bytes);
        } else {
            let mut payload = buffers::take(len);
            encode(&mut payload);
            out = Some(Box::new(Out::Payload(buffers::into_bytes(payload))));
        }
        Body {
            bytes: Bytes::from(bytes),
            out,
            payload_len: u32::try_from(len).unwrap_or(u32::MAX),
            peer_len: 0,
            name_len: name.len().min(255) as u8,
            flags: Flags::when(Flags::META, meta.is_some()),
            own: true,
        }
    }

    /// The frames of a classic message, and on a request the service.
    pub fn of_frames(service: &[u8], frames: Vec<Bytes>) -> Self {
        Body {
            bytes: Bytes::copy_from_slice(service),
            out: Some(Box::new(Out::Frames(frames))),
            name_len: service.len().min(255) as u8,
            flags: Flags::RAW,
            own: true,
            ..Body::default()
        }
    }

    /// Makes a body to send from an encoded payload.
    pub fn with_payload(name: &str, meta: Option<&[u8]>, payload: Bytes) -> Self {
        if name.is_empty() && meta.is_none() && payload.len() <= MAX_INLINE {
            let payload_len = payload.len() as u32;
            return Body { bytes: payload, payload_len, own: true, ..Body::default() };
        }
        if payload.len() <= MAX_INLINE {
            return Body::new(name, meta, payload.len(), |bytes| bytes.extend_from_slice(&payload));
        }
        let mut body = Body::new(name, meta, 0, |_| {});
        body.payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        body.out = Some(Box::new(Out::Payload(payload)));
        body
    }

    /// Makes an item to send from a part of a larger buffer.
    pub fn of_shared(payload: Bytes) -> Self {
        let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if payload.len() > MAX_INLINE {
            return Body {
                payload_len,
                out: Some(Box::new(Out::Payload(payload))),
                own: true,
                ..Body::default()
            };
        }
        Body { bytes: payload, payload_len, ..Body::default() }
    }

    /// Makes the body of a record that was decoded from `packet` and its payload frames.
    pub fn of(head: &Head, packet: &Bytes, frames: &[Bytes]) -> Self {
        let start = if head.peer.is_empty() { head.tail } else { head.peer }.range().start;
        let out = match head.body {
            wire::Body::Inline(_) => None,
            wire::Body::Frame(number) => {
                let frame = frames.get(number as usize);
                frame.map(|frame| Box::new(Out::Payload(frame.clone())))
            }
        };
        Body {
            bytes: packet.slice(start..head.tail.range().end),
            out,
            payload_len: head.payload_len,
            peer_len: head.peer.len() as u8,
            name_len: head.name.len() as u8,
            flags: head.flags.of(Flags::META | Flags::COMPRESSED | Flags::RAW),
            own: false,
        }
    }

    /// The id of the peer that the record names: the client of a REQUEST, the worker of a FINAL.
    pub fn peer(&self) -> Bytes {
        self.bytes.slice(..usize::from(self.peer_len).min(self.bytes.len()))
    }

    /// The encoded metadata; empty if there is no metadata.
    #[inline]
    pub fn meta(&self) -> Bytes {
        let (start, end) = self.meta_range();
        self.bytes.slice(start..end)
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> Bytes {
        match self.out.as_deref() {
            Some(Out::Payload(payload)) => payload.clone(),
            Some(Out::Frames(frames)) => joined(frames),
            None => self.bytes.slice(self.meta_range().1..),
        }
    }

    /// The frames of a classic message, if it is held as such.
    pub fn as_frames(&self) -> Option<&[Bytes]> {
        match self.out.as_deref() {
            Some(Out::Frames(frames)) => Some(frames),
            _ => None,
        }
    }

    /// The frames of a classic message. A payload that is none is one frame.
    pub fn frames(&self) -> Vec<Bytes> {
        match self.out.as_deref() {
            Some(Out::Frames(frames)) => frames.clone(),
            _ if self.is_raw() => {
                let (payload, mut frames) = (self.payload(), Vec::new());
                // The payload was checked when it arrived.
                let _ = wire::split_frames(&payload, usize::MAX, |range| {
                    frames.push(payload.slice(range));
                });
                frames
            }
            _ => vec![self.payload()],
        }
    }

    /// The body with its payload in the form of a record. `None`: the body has this form already.
    pub fn flat(&self) -> Option<Self> {
        let Some(Out::Frames(frames)) = self.out.as_deref() else { return None };
        let name = self.path();
        let len = frames.iter().map(|frame| 4 + frame.len()).sum();
        let mut bytes = Vec::with_capacity(name.len() + if len <= MAX_INLINE { len } else { 0 });
        bytes.extend_from_slice(name);
        let mut out = None;
        if len <= MAX_INLINE {
            frames.iter().for_each(|frame| wire::put_frame(&mut bytes, frame));
        } else {
            out = Some(Box::new(Out::Payload(joined(frames))));
        }
        Some(Body {
            bytes: Bytes::from(bytes),
            out,
            payload_len: u32::try_from(len).unwrap_or(u32::MAX),
            name_len: self.name_len,
            flags: Flags::RAW,
            own: true,
            ..Body::default()
        })
    }

    /// Makes a raw body without a name from an encoded payload.
    pub fn of_raw(payload: Bytes) -> Self {
        let mut body = Body::with_payload("", None, payload);
        body.flags = Flags::RAW;
        body
    }

    /// Sets whether the payload is compressed.
    #[inline]
    pub fn compressed(mut self, compressed: bool) -> Self {
        let others = self.flags.of(Flags::META | Flags::RAW);
        self.flags = others | Flags::when(Flags::COMPRESSED, compressed);
        self
    }

    /// Whether the payload is compressed.
    #[inline]
    pub fn is_compressed(&self) -> bool {
        self.flags.has(Flags::COMPRESSED)
    }

    /// The decompressed payload, of at most `max` bytes.
    ///
    /// # Errors
    ///
    /// It is too large, or cannot be decompressed.
    pub fn uncompressed(&self, max: usize) -> Result<Bytes, Status> {
        let payload = self.payload();
        if self.is_compressed() { compress::unpack(&payload, max) } else { Ok(payload) }
    }

    /// The end of a call with `code`, for a receiver that takes frames of `frame_bytes`. A status that is too large
    /// together with its metadata is cut until it fits, and gets a note. A reply with the code OK is not changed.
    pub fn fitting(self, code: Code, frame_bytes: u64) -> Self {
        let max = usize::try_from(frame_bytes).unwrap_or(usize::MAX).min(MAX_STATUS);
        let max = max.saturating_sub(PACKET_ROOM).max(max / 2);
        if code == Code::Ok || self.is_raw() || self.is_compressed() || self.size() <= max {
            return self;
        }
        let (meta, meta_left) = match self.meta() {
            meta if meta.len() <= max / 4 => (meta, 0),
            meta => (Bytes::new(), meta.len()),
        };
        let room = max.saturating_sub(meta.len());
        let status = notes::cut_encoded(code, self.payload(), room, meta_left);
        let meta = Some(&*meta).filter(|meta| !meta.is_empty());
        Body::with_payload("", meta, status)
    }

    /// The payload's own frame, if there is one.
    #[inline]
    pub fn out(&self) -> Option<&Bytes> {
        match self.out.as_deref() {
            Some(Out::Payload(payload)) => Some(payload),
            _ => None,
        }
    }

    /// What of the body goes into the packet.
    #[inline]
    pub fn tail(&self) -> Tail<'_> {
        Tail {
            bytes: self.bytes.get(usize::from(self.peer_len)..).unwrap_or_default(),
            name_len: self.name_len,
            meta: self.has_meta(),
            payload_len: self.payload_len,
            out: self.out().is_some(),
            compressed: self.is_compressed(),
            raw: self.is_raw(),
        }
    }

    /// Whether the first frame begins like a packet. This checks one byte before the frames are decoded.
    fn may_be_tunnel(&self) -> bool {
        // In a raw payload the first frame's length comes before the frame.
        let at = if self.is_raw() { 4 } else { 0 };
        let first = match self.out.as_deref() {
            Some(Out::Frames(frames)) => frames.first().and_then(|frame| frame.first()),
            Some(Out::Payload(payload)) => payload.get(at),
            None => self.bytes.get(self.meta_range().1 + at),
        };
        first == Some(&wire::SIGNATURE)
    }

    fn has_meta(&self) -> bool {
        self.flags.has(Flags::META)
    }

    /// The length of a payload outside of `bytes`, in the form of a record.
    fn out_len(&self) -> usize {
        match self.out.as_deref() {
            Some(Out::Payload(payload)) => payload.len(),
            Some(Out::Frames(frames)) => frames.iter().map(|frame| 4 + frame.len()).sum(),
            None => 0,
        }
    }

    /// The start and the end of the metadata, always within the bytes.
    fn meta_range(&self) -> (usize, usize) {
        let name_end = usize::from(self.peer_len) + usize::from(self.name_len);
        let name_end = name_end.min(self.bytes.len());
        if !self.has_meta() {
            return (name_end, name_end);
        }
        let rest = self.bytes.get(name_end..).unwrap_or_default();
        let len = rest.first_chunk::<4>().map_or(0, |len| u32::from_be_bytes(*len) as usize);
        let start = (name_end + 4).min(self.bytes.len());
        (start, start.saturating_add(len).min(self.bytes.len()))
    }
}

impl Payload for Body {
    fn path(&self) -> &[u8] {
        let start = usize::from(self.peer_len);
        self.bytes.get(start..start + usize::from(self.name_len)).unwrap_or_default()
    }

    fn is_raw(&self) -> bool {
        self.flags.has(Flags::RAW)
    }

    fn tunnel(&self, limits: &Limits) -> Option<Command> {
        if self.may_be_tunnel() { wire::tunnel::command(&self.frames(), limits) } else { None }
    }

    fn metadata(&self) -> &[u8] {
        let (start, end) = self.meta_range();
        self.bytes.get(start..end).unwrap_or_default()
    }

    fn last_frame(&self) -> &[u8] {
        let payload = match self.out.as_deref() {
            Some(Out::Frames(frames)) => return frames.last().map_or(&[], |frame| &**frame),
            Some(Out::Payload(payload)) => &**payload,
            None => self.bytes.get(self.meta_range().1..).unwrap_or_default(),
        };
        let mut last = 0..0;
        let _ = wire::split_frames(payload, usize::MAX, |range| last = range);
        payload.get(last).unwrap_or_default()
    }

    fn request(path: &[u8]) -> Option<Self> {
        let path = std::str::from_utf8(path).ok()?;
        Some(Body::new(path, None, 0, |_| {}))
    }

    fn message(&self) -> Option<&[u8]> {
        let inline = || self.bytes.get(self.meta_range().1..).unwrap_or_default();
        match self.out.as_deref() {
            _ if self.is_raw() || self.is_compressed() => None,
            Some(Out::Payload(payload)) => Some(payload),
            Some(Out::Frames(_)) => None,
            None => Some(inline()),
        }
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.out_len()
    }

    fn largest_frame(&self) -> usize {
        self.out_len().max(self.bytes.len())
    }

    fn keep(&self) -> Self {
        self.clone().detach()
    }

    fn detach(mut self) -> Self {
        if !self.own {
            // A slice would keep the whole packet, which may be a thousand times as large.
            self.bytes = Bytes::copy_from_slice(&self.bytes);
            self.own = true;
        }
        // A small frame from libzmq shares its buffer with other frames. A large frame has its own buffer, and is
        // shared.
        match self.out.as_deref_mut() {
            Some(Out::Payload(payload)) => make_own(payload),
            Some(Out::Frames(frames)) => frames.iter_mut().for_each(make_own),
            None => {}
        }
        self
    }
}

fn make_own(frame: &mut Bytes) {
    if !frame.is_empty() && frame.len() <= MAX_INLINE {
        *frame = Bytes::copy_from_slice(frame);
    }
}

/// Encodes frames as one payload.
fn joined(frames: &[Bytes]) -> Bytes {
    let mut payload = Vec::with_capacity(frames.iter().map(|frame| 4 + frame.len()).sum());
    frames.iter().for_each(|frame| wire::put_frame(&mut payload, frame));
    Bytes::from(payload)
}

/// A packet with this many bytes is sent. So packets fit into caches and pipes, and the receiver works on one packet
/// while the next one is gathered.
const PACKET_BYTES: usize = 32 * 1024;
const PACKET_WEIGHT: usize = 128 * CALL_WEIGHT;
const PACKET_FRAMES: usize = 16;

/// The weight of a record is a measure of the work for its receiver. Packets and bursts have a maximum weight. A DATA
/// record, which is one item of a stream, has the weight 1. Every other record has this weight.
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
    pub fn take(&mut self) -> InPacket {
        let packet = self.packet.take();
        self.clear();
        packet
    }
}

/// The reason for a peer whose message could not be read.
pub fn reason_for(error: WireError) -> DisconnectReason {
    match error {
        WireError::Version(_) => DisconnectReason::Version,
        _ => DisconnectReason::Malformed,
    }
}

#[cfg(test)]
mod tests;
