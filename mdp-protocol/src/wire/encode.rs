//! Encodes records, one after another, into a buffer that the caller keeps.

use alloc::vec::Vec;

use super::header::{Command, Flags, SIGNATURE, VERSION};
use super::record::{CallKind, Direction, OPEN, Part, Record, Reply, SHARED};

/// The bytes after a record's fixed part, from [`Head::tail`](super::Head::tail) or made by a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail<'a> {
    /// The name, then with `meta` the metadata after its length of four bytes, then the payload unless `out`.
    pub bytes: &'a [u8],
    /// The length of the name, in bytes.
    pub name_len: u8,
    /// Whether the bytes have metadata.
    pub meta: bool,
    /// The length of the payload in bytes, also if it travels in its own frame.
    pub payload_len: u32,
    /// Whether the payload travels in a frame of its own.
    pub out: bool,
    /// Whether the payload is compressed. Only the two ends of the call use this.
    pub compressed: bool,
    /// Whether the payload consists of the frames of a classic message (R85).
    pub raw: bool,
}

/// Begins a packet in an empty buffer. Does nothing in a buffer with a begun packet.
pub fn begin(buffer: &mut Vec<u8>) {
    if buffer.is_empty() {
        buffer.extend_from_slice(&[SIGNATURE, VERSION]);
    }
}

/// Appends a record without its body, and begins the packet if needed. REQUEST is written without path and payload,
/// DATA without item, FINAL without reply; [`put_tail`] writes these.
///
/// ```
/// use mdp_protocol::wire::{put, Record};
/// let mut packet = Vec::new();
/// put(&mut packet, &Record::<&[u8], ()>::Heartbeat);
/// assert_eq!(packet.len(), 22);
/// ```
pub fn put<N: AsRef<[u8]>, P>(buffer: &mut Vec<u8>, record: &Record<N, P>) {
    put_tail(buffer, record, Tail::default());
}

/// Appends a record with the bytes of `tail`. If `tail` has `out`, the caller has to send the payload as the packet's
/// next payload frame.
pub fn put_tail<N: AsRef<[u8]>, P>(buffer: &mut Vec<u8>, record: &Record<N, P>, tail: Tail<'_>) {
    begin(buffer);
    let fields = Fields::of(record);
    let peer = id(fields.peer);
    let name = id(fields.name);
    let mut flags =
        fields.flags | Flags::when(Flags::META, tail.meta) | Flags::when(Flags::OUT, tail.out);
    flags = flags
        | Flags::when(Flags::PEER, !peer.is_empty())
        | Flags::when(Flags::COMPRESSED, tail.compressed)
        | Flags::when(Flags::RAW, tail.raw);

    // REQUEST and FINAL bring their name in the tail, the others in the record.
    let name_len = if name.is_empty() { tail.name_len } else { name.len() as u8 };
    let mut fixed = [0; super::HEADER_LEN];
    let payload_len = tail.payload_len + fields.payload.len() as u32;
    let (small, large) = fixed.split_at_mut(4);
    small.copy_from_slice(&[fields.command as u8, flags.as_u8(), name_len, fields.count]);
    let (call, rest) = large.split_at_mut(8);
    call.copy_from_slice(&fields.call.to_be_bytes());
    let (arg, length) = rest.split_at_mut(4);
    arg.copy_from_slice(&fields.arg.to_be_bytes());
    length.copy_from_slice(&payload_len.to_be_bytes());

    buffer.extend_from_slice(&fixed);
    if !peer.is_empty() {
        buffer.push(peer.len() as u8);
        buffer.extend_from_slice(peer);
    }
    buffer.extend_from_slice(name);
    buffer.extend_from_slice(tail.bytes);
    buffer.extend_from_slice(fields.payload);
}

/// An id or a name as it fits in its length byte. Names that a user gives are checked where they are
/// given, and the machines check those of peers, so nothing is ever cut.
fn id(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len().min(crate::names::MAX_NAME)).unwrap_or_default()
}

struct Fields<'a> {
    command: Command,
    flags: Flags,
    count: u8,
    call: u64,
    arg: u32,
    peer: &'a [u8],
    name: &'a [u8],
    /// The name of a READY. The names of REQUEST and FINAL are in the tail.
    payload: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of<N: AsRef<[u8]>, P>(record: &'a Record<N, P>) -> Self {
        let base = Fields {
            command: record.command(),
            flags: Flags::NONE,
            count: 0,
            call: 0,
            arg: 0,
            peer: &[],
            name: &[],
            payload: &[],
        };
        match record {
            Record::Hello { id, heartbeat, liveness } => {
                Fields { count: *liveness, arg: heartbeat.as_wire_ms(), name: id.as_ref(), ..base }
            }
            Record::Welcome { id, heartbeat, liveness, frame_bytes } => Fields {
                count: *liveness,
                call: *frame_bytes,
                arg: heartbeat.as_wire_ms(),
                name: id.as_ref(),
                ..base
            },
            Record::Ready { service, capacity, shared, schema } => Fields {
                count: u8::from(*shared) * SHARED,
                arg: *capacity,
                name: service.as_ref(),
                payload: schema.as_ref().map_or(&[], |hash| hash),
                ..base
            },
            Record::Request { call, timeout, idempotent, attempt, peer, kind, body: _ } => Fields {
                flags: of_kind(*kind) | Flags::when(Flags::IDEMPOTENT, *idempotent),
                count: *attempt,
                call: *call,
                arg: timeout.as_wire_ms(),
                peer: peer.as_ref(),
                ..base
            },
            Record::Data { call, of, part } => Fields {
                flags: replies(*of) | Flags::when(Flags::END, matches!(part, Part::End)),
                count: if matches!(part, Part::Open(_)) { OPEN } else { 0 },
                call: *call,
                ..base
            },
            Record::Credit { call, of, units } => {
                Fields { flags: replies(*of), call: *call, arg: *units, ..base }
            }
            Record::Final { call, code, not_started, attempt, peer, reply: _ } => Fields {
                flags: Flags::END | Flags::when(Flags::NOT_STARTED, *not_started),
                count: *attempt,
                call: *call,
                arg: code.as_u32(),
                peer: peer.as_ref(),
                ..base
            },
            Record::Cancel { call } => Fields { call: *call, ..base },
            Record::Grant { service, slots, number } => {
                Fields { call: *number, arg: *slots, name: service.as_ref(), ..base }
            }
            Record::Demand { service, calls } => {
                Fields { arg: *calls, name: service.as_ref(), ..base }
            }
            Record::Heartbeat | Record::Drain => base,
            Record::Disconnect(reason) => {
                Fields { count: Record::<N, P>::VERSIONS, arg: reason.as_u32(), ..base }
            }
        }
    }
}

fn of_kind(kind: CallKind) -> Flags {
    Flags::when(Flags::END, !kind.streams(Direction::Requests))
        | Flags::when(Flags::REPLIES, kind.streams(Direction::Replies))
}

fn replies(of: Direction) -> Flags {
    Flags::when(Flags::REPLIES, of == Direction::Replies)
}

impl<N, P> Record<N, P> {
    /// The body of a REQUEST, the item of a DATA, or the reply's body of a FINAL.
    pub fn body(&self) -> Option<&P> {
        match self {
            Record::Request { body, .. }
            | Record::Data { part: Part::Item(body) | Part::Open(body), .. }
            | Record::Final { reply: Reply::Body(body), .. } => Some(body),
            _ => None,
        }
    }
}
