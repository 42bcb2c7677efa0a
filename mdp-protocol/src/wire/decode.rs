//! Decodes bytes into records: first into their heads, then each head into a record. It accepts any input without a
//! panic, allocates only the lists of heads and of frame lengths, and decodes a packet as a whole or not at all.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::slice;

use super::frames::{FramesError, split_frames};
use super::header::{Command, Flags, HEADER_LEN, PACKET_HEADER_LEN, SIGNATURE, VERSION};
use super::listing::SchemaHash;
use super::record::{
    CallKind, Direction, DisconnectReason, OPEN, Part, Record, RecordError, Reply, SHARED,
};
use crate::limits::{Limit, Limits};
use crate::status::Code;
use crate::time::Span;

/// A run of bytes of the packet that it was decoded from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    start: u32,
    len: u32,
}

impl Slice {
    /// These bytes of `packet`. Empty if `packet` is not the packet that was decoded.
    pub fn of(self, packet: &[u8]) -> &[u8] {
        packet.get(self.range()).unwrap_or_default()
    }

    /// The position of the bytes in the packet.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }

    /// The number of bytes.
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether the run has no bytes.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The run from the start of this one to the end of `last`, which follows it.
    const fn through(self, last: Slice) -> Slice {
        Slice { start: self.start, len: last.start + last.len - self.start }
    }
}

/// The place of a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// In the packet.
    Inline(Slice),
    /// In the payload frame of this number, counted from 0.
    Frame(u32),
}

/// A record in a packet: its fixed fields, and the places of its other parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The command's number, known or not.
    pub command: u8,
    /// The flags.
    pub flags: Flags,
    /// A small number whose meaning depends on the command: liveness on HELLO and WELCOME, the attempt on REQUEST and
    /// FINAL.
    pub count: u8,
    /// The number of the call.
    pub call: u64,
    /// The argument, whose meaning depends on the command.
    pub arg: u32,
    /// The length of the payload.
    pub payload_len: u32,
    /// The peer's id, empty without [`Flags::PEER`].
    pub peer: Slice,
    /// The name.
    pub name: Slice,
    /// The metadata, without its length.
    pub meta: Slice,
    /// The payload.
    pub body: Body,
    /// Name, metadata with its length, and inline payload in one run. A broker passes it on unchanged.
    pub tail: Slice,
}

impl Head {
    /// The command. `None`: the number is unknown.
    pub const fn command(&self) -> Option<Command> {
        Command::from_u8(self.command)
    }
}

/// Why a message as a whole is invalid. Its sender is treated as invalid (RFC 7, RFC 18 B11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The first byte is missing or not [`SIGNATURE`].
    #[error(fmt = fmt_signature)]
    Signature(Option<u8>),
    /// The version is not supported.
    #[error(fmt = fmt_version)]
    Version(Option<u8>),
    /// A packet without records.
    #[error("the packet holds no record")]
    NoRecord,
    /// The packet ends within a record.
    #[error("record {record} at byte {at} of the packet is cut off: {what} ends past the packet")]
    Truncated {
        /// The record's number, counted from 0.
        record: usize,
        /// The byte at which the record begins.
        at: usize,
        /// The field that does not fit.
        what: &'static str,
    },
    /// A record announces a payload frame that the message does not have, or of another length.
    #[error(fmt = fmt_payload_frame)]
    PayloadFrame {
        /// The record's number, counted from 0.
        record: usize,
        /// The length in the record.
        announced: usize,
        /// The length of the frame, or `None` if there is no frame left.
        found: Option<usize>,
    },
    /// A raw payload is not a valid list of frames.
    #[error("record {record}: {error}")]
    Raw {
        /// The record's number, counted from 0.
        record: usize,
        /// The fault of the list.
        error: FramesError,
    },
    /// The message has frames that no record announces.
    #[error("{0} payload frames are announced by no record")]
    SpareFrames(usize),
    /// The message is beyond a limit.
    #[error("the message is beyond the limit {0}")]
    TooMuch(Limit),
}

fn fmt_signature(first: &Option<u8>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match first {
        Some(first) => {
            write!(f, "not an MDP/RPC packet: it begins with {first:#04x}, not with 0xd3")
        }
        None => f.write_str("not an MDP/RPC packet: it is empty"),
    }
}

fn fmt_version(version: &Option<u8>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match version {
        Some(version) => {
            write!(f, "MDP/RPC version {version} is not spoken here; version 1 is")
        }
        None => f.write_str("the packet ends before its version; version 1 is spoken here"),
    }
}

fn fmt_payload_frame(
    record: &usize,
    announced: &usize,
    found: &Option<usize>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "record {record} announces a payload frame of {announced} bytes; ")?;
    match found {
        Some(found) => write!(f, "the frame has {found}"),
        None => f.write_str("no frame is left"),
    }
}

/// Reads a message: its packet, and the payload frames behind it.
///
/// `heads` is a buffer, whose content is replaced. `body` makes the body of a record that has one. The work is linear
/// in the message and bounded by `limits`.
///
/// ```
/// use mdp_protocol::Limits;
/// use mdp_protocol::wire::{self, Head, Record};
/// let mut packet = Vec::new();
/// wire::put(&mut packet, &Record::<&[u8], ()>::Heartbeat);
/// let (frames, mut heads): ([&[u8]; 0], _) = ([], Vec::new());
/// let body = |head: &Head| head.payload_len;
/// let records = wire::read(&packet, &frames, &Limits::default(), &mut heads, body).unwrap();
/// assert!(records.eq([Ok(Record::Heartbeat)]));
/// ```
///
/// # Errors
///
/// The packet cannot be [decoded](decode), or a raw payload is not a list of frames (`wire.md` R85). None of the
/// records counts then, and `heads` is empty.
#[inline]
pub fn read<'a, F: AsRef<[u8]>, P, M: FnMut(&Head) -> P>(
    packet: &'a [u8],
    frames: &[F],
    limits: &Limits,
    heads: &'a mut Vec<Head>,
    body: M,
) -> Result<Records<'a, M>, WireError> {
    let lens: Vec<usize> = frames.iter().map(|frame| frame.as_ref().len()).collect();
    decode(packet, &lens, limits, heads)?;
    if let Err(error) = check_raw(packet, frames, limits, heads) {
        heads.clear();
        return Err(error);
    }
    Ok(Records { packet, heads: heads.iter(), body })
}

/// The records of a message, in their order, from [`read`]. An unknown command is an error of its record alone.
pub struct Records<'a, M> {
    packet: &'a [u8],
    heads: slice::Iter<'a, Head>,
    body: M,
}

impl<'a, M> Records<'a, M> {
    /// The heads of the records that are left.
    #[inline]
    pub fn heads(&self) -> &'a [Head] {
        self.heads.as_slice()
    }
}

impl<M> fmt::Debug for Records<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("heads", &self.heads()).finish_non_exhaustive()
    }
}

impl<'a, P, M: FnMut(&Head) -> P> Iterator for Records<'a, M> {
    type Item = Result<Record<&'a [u8], P>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some(Record::read(self.heads.next()?, self.packet, &mut self.body))
    }
}

impl<'a, P> Record<&'a [u8], P> {
    /// Makes the record of `head`, which was decoded from `packet`. Calls `body` if the record has a body: for a REQUEST,
    /// a FINAL, and a DATA that does not end its stream.
    ///
    /// # Errors
    ///
    /// The command is unknown.
    pub fn read(
        head: &Head,
        packet: &'a [u8],
        body: impl FnOnce(&Head) -> P,
    ) -> Result<Self, RecordError> {
        let command = head.command().ok_or(RecordError::UnknownCommand(head.command))?;
        let span = Span::from_ms(head.arg.into());
        Ok(match command {
            Command::Hello => {
                Record::Hello { id: head.name.of(packet), heartbeat: span, liveness: head.count }
            }
            Command::Welcome => Record::Welcome {
                id: head.name.of(packet),
                heartbeat: span,
                liveness: head.count,
                frame_bytes: head.call,
            },
            Command::Ready => Record::Ready {
                service: head.name.of(packet),
                capacity: head.arg,
                shared: head.count == SHARED,
                schema: schema(head, packet),
            },
            Command::Request => Record::Request {
                call: head.call,
                timeout: span,
                idempotent: head.flags.has(Flags::IDEMPOTENT),
                attempt: head.count,
                peer: head.peer.of(packet),
                kind: CallKind::new(!head.flags.has(Flags::END), head.flags.has(Flags::REPLIES)),
                body: body(head),
            },
            Command::Data => Record::Data {
                call: head.call,
                of: direction(head),
                part: match head.count {
                    _ if head.flags.has(Flags::END) => Part::End,
                    OPEN => Part::Open(body(head)),
                    _ => Part::Item(body(head)),
                },
            },
            Command::Credit => {
                Record::Credit { call: head.call, of: direction(head), units: head.arg }
            }
            Command::Final => Record::Final {
                call: head.call,
                code: Code::from_u32(head.arg),
                not_started: head.flags.has(Flags::NOT_STARTED),
                attempt: head.count,
                peer: head.peer.of(packet),
                reply: Reply::Body(body(head)),
            },
            Command::Cancel => Record::Cancel { call: head.call },
            Command::Grant => {
                Record::Grant { service: head.name.of(packet), slots: head.arg, number: head.call }
            }
            Command::Demand => Record::Demand { service: head.name.of(packet), calls: head.arg },
            Command::Heartbeat => Record::Heartbeat,
            Command::Drain => Record::Drain,
            Command::Disconnect => Record::Disconnect(DisconnectReason::from_u32(head.arg)),
        })
    }
}

fn direction(head: &Head) -> Direction {
    if head.flags.has(Flags::REPLIES) { Direction::Replies } else { Direction::Requests }
}

/// A payload that has another length is not a hash: it may come from a newer worker (R30).
fn schema(head: &Head, packet: &[u8]) -> Option<SchemaHash> {
    match head.body {
        Body::Inline(payload) => payload.of(packet).try_into().ok(),
        Body::Frame(_) => None,
    }
}

/// Checks that each raw payload is a list of frames (`wire.md` R85).
fn check_raw<F: AsRef<[u8]>>(
    packet: &[u8],
    frames: &[F],
    limits: &Limits,
    heads: &[Head],
) -> Result<(), WireError> {
    for (record, head) in heads.iter().enumerate() {
        if !head.flags.has(Flags::RAW) {
            continue;
        }
        let payload = match head.body {
            Body::Inline(payload) => payload.of(packet),
            Body::Frame(number) => frames.get(number as usize).map_or(&[][..], AsRef::as_ref),
        };
        split_frames(payload, limits.body_frames(), |_| {})
            .map_err(|error| WireError::Raw { record, error })?;
    }
    Ok(())
}

/// Decodes a packet into the heads of its records, which replace the content of `heads`.
///
/// `frames` are the lengths of the message's payload frames. The work is linear in the packet and
/// bounded by `limits`.
///
/// ```
/// use mdp_protocol::wire::{self, decode, Command, Record};
/// use mdp_protocol::Limits;
/// let mut packet = Vec::new();
/// wire::put(&mut packet, &Record::<&[u8], ()>::Heartbeat);
/// let mut heads = Vec::new();
/// decode(&packet, &[], &Limits::default(), &mut heads).unwrap();
/// assert_eq!(heads[0].command(), Some(Command::Heartbeat));
/// ```
///
/// # Errors
///
/// The fault and its position. `heads` is then empty.
pub fn decode(
    packet: &[u8],
    frames: &[usize],
    limits: &Limits,
    heads: &mut Vec<Head>,
) -> Result<(), WireError> {
    heads.clear();
    let result = decode_all(packet, frames, limits, heads);
    if result.is_err() {
        heads.clear();
    }
    result
}

fn decode_all(
    packet: &[u8],
    frames: &[usize],
    limits: &Limits,
    heads: &mut Vec<Head>,
) -> Result<(), WireError> {
    check_size(packet, frames, limits)?;
    check_header(packet)?;
    let mut at = PACKET_HEADER_LEN;
    let mut frames = frames.iter().copied();
    let mut used = 0;
    while at < packet.len() {
        let record = heads.len();
        if record >= limits.records {
            return Err(WireError::TooMuch(Limit::Records));
        }
        let mut head =
            head_at(packet, at).map_err(|what| WireError::Truncated { record, at, what })?;
        if let Body::Frame(number) = &mut head.body {
            let announced = head.payload_len as usize;
            let found = frames.next();
            if found != Some(announced) {
                return Err(WireError::PayloadFrame { record, announced, found });
            }
            *number = used;
            used += 1;
        }
        at = head.tail.range().end;
        heads.push(head);
    }
    match frames.len() {
        0 if heads.is_empty() => Err(WireError::NoRecord),
        0 => Ok(()),
        spare => Err(WireError::SpareFrames(spare)),
    }
}

fn check_size(packet: &[u8], frames: &[usize], limits: &Limits) -> Result<(), WireError> {
    if frames.len() >= limits.frames {
        return Err(WireError::TooMuch(Limit::Frames));
    }
    let max = limits.frame_bytes.min(u32::MAX as usize);
    if packet.len() > max || frames.iter().any(|len| *len > max) {
        return Err(WireError::TooMuch(Limit::FrameBytes));
    }
    Ok(())
}

fn check_header(packet: &[u8]) -> Result<(), WireError> {
    match (packet.first().copied(), packet.get(1).copied()) {
        (Some(SIGNATURE), Some(VERSION)) => Ok(()),
        (Some(SIGNATURE), version) => Err(WireError::Version(version)),
        (first, _) => Err(WireError::Signature(first)),
    }
}

/// The record that begins at `at`, or the field of it that does not fit in the packet.
fn head_at(packet: &[u8], at: usize) -> Result<Head, &'static str> {
    let rest = packet.get(at..).unwrap_or_default();
    let (fixed, _) = rest.split_first_chunk::<HEADER_LEN>().ok_or("the header")?;
    let [command, flags, name_len, count, rest @ ..] = *fixed;
    let [c0, c1, c2, c3, c4, c5, c6, c7, a0, a1, a2, a3, p0, p1, p2, p3] = rest;
    let flags = Flags::from_u8(flags);
    let payload_len = u32::from_be_bytes([p0, p1, p2, p3]);

    let mut reader = Reader { packet, at: at + HEADER_LEN };
    let mut peer = Slice::default();
    if flags.has(Flags::PEER) {
        let len = reader.byte().ok_or("the peer's id")?;
        peer = reader.take(len.into()).ok_or("the peer's id")?;
    }
    let name = reader.take(name_len.into()).ok_or("the name")?;
    let mut meta = Slice { start: reader.at as u32, len: 0 };
    if flags.has(Flags::META) {
        let len = reader.word().ok_or("the length of the metadata")?;
        meta = reader.take(len as usize).ok_or("the metadata")?;
    }
    let (body, last) = if flags.has(Flags::OUT) {
        (Body::Frame(0), meta)
    } else {
        let payload = reader.take(payload_len as usize).ok_or("the payload")?;
        (Body::Inline(payload), payload)
    };
    Ok(Head {
        command,
        flags,
        count,
        call: u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7]),
        arg: u32::from_be_bytes([a0, a1, a2, a3]),
        payload_len,
        peer,
        name,
        meta,
        body,
        tail: name.through(last),
    })
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next `len` bytes, if the packet has them. Packets are shorter than 4 GiB, so positions in them fit in 32
    /// bits.
    fn take(&mut self, len: usize) -> Option<Slice> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.packet.len())?;
        let slice = Slice { start: self.at as u32, len: len as u32 };
        self.at = end;
        Some(slice)
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.packet.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self) -> Option<u32> {
        let bytes = self.packet.get(self.at..)?.first_chunk::<4>()?;
        self.at += 4;
        Some(u32::from_be_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Tail, put, put_tail};

    fn request(call: u64) -> Record<&'static [u8], ()> {
        Record::Request {
            call,
            timeout: Span::from_ms(5),
            idempotent: false,
            attempt: 1,
            peer: b"",
            kind: CallKind::Unary,
            body: (),
        }
    }

    /// A packet of two calls. The first has this raw payload, in the packet or in a frame of its own.
    fn packet(payload: &'static [u8], out: bool) -> (Vec<u8>, Vec<&'static [u8]>) {
        let mut packet = Vec::new();
        let payload_len = payload.len() as u32;
        let bytes = if out { &[] } else { payload };
        let tail = Tail { bytes, payload_len, out, raw: true, ..Tail::default() };
        put_tail(&mut packet, &request(1), tail);
        put(&mut packet, &request(2));
        (packet, out.then_some(payload).into_iter().collect())
    }

    #[test]
    fn a_raw_payload_that_is_no_list_of_frames_spoils_the_message() {
        for out in [false, true] {
            let limits = Limits::default();
            let mut heads = Vec::new();
            let (good, frames) = packet(b"\0\0\0\x01a", out);
            let records = read(&good, &frames, &limits, &mut heads, |_| ()).unwrap();
            assert!(records.eq([Ok(request(1)), Ok(request(2))]));

            let (bad, frames) = packet(b"\0\0\0\x02a", out);
            let error = read(&bad, &frames, &limits, &mut heads, |_| ()).unwrap_err();
            let cut = FramesError::Truncated { frame: 0, at: 0 };
            assert_eq!(error, WireError::Raw { record: 0, error: cut });
            assert!(heads.is_empty());
        }
    }

    #[test]
    fn an_unknown_command_is_an_error_of_its_record_alone() {
        let (mut packet, frames) = packet(b"", false);
        if let Some(command) = packet.get_mut(PACKET_HEADER_LEN) {
            *command = 200;
        }
        let mut heads = Vec::new();
        let body = |head: &Head| head.call;
        let mut records = read(&packet, &frames, &Limits::default(), &mut heads, body).unwrap();
        assert_eq!(records.heads().len(), 2);
        assert_eq!(records.next(), Some(Err(RecordError::UnknownCommand(200))));
        let second = records.next().unwrap().unwrap();
        assert_eq!((second.body(), records.next()), (Some(&2), None));
    }
}
