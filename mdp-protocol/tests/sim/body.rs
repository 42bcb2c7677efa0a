//! The payload of simulated calls, and records on their way through the simulated network.

use std::sync::Arc;

use mdp_protocol::wire::{self, Body as Place, Head, Part, Record, Reply, Tail};
use mdp_protocol::{Limits, Payload, Reason};

/// A record in the network.
pub(crate) type Msg = Record<Arc<[u8]>, Body>;

/// Stands for a call of a hostile peer, which is in no ledger.
pub(crate) const NOBODY: u32 = u32::MAX;

/// Who made a body, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Request,
    /// A handler's reply or error.
    Reply,
    /// A machine's refusal.
    Status,
    /// Made up by a hostile peer.
    Forged,
    /// An item of a user's stream of requests.
    Ask,
    /// An item of a handler's stream of replies.
    Item,
    /// What a handler says before its first item.
    Opening,
}

/// A body: which call it is for and who made it in which run of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) path: Arc<[u8]>,
    pub(crate) kind: Kind,
    pub(crate) uid: u32,
    /// The process that made it.
    pub(crate) by: u32,
    /// The run of the handler, or the number of a refusal's reason.
    pub(crate) run: u32,
    /// An item's number in its stream, from 0; on a reply how many items the handler has sent.
    pub(crate) n: u32,
    pub(crate) size: u32,
    pub(crate) form: Shape,
}

/// What the frames of a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Shape {
    /// A method's message.
    Typed,
    /// Frames of a raw call.
    Raw,
    /// Frames of a raw call that are a typed one.
    Tunnel,
}

impl Payload for Body {
    fn path(&self) -> &[u8] {
        &self.path
    }

    fn is_raw(&self) -> bool {
        self.form != Shape::Typed
    }

    fn tunnel(&self, _: &Limits) -> Option<wire::Command> {
        self.hides_a_call().then_some(wire::Command::Request)
    }

    fn size(&self) -> usize {
        self.size as usize
    }

    fn keep(&self) -> Self {
        self.clone()
    }

    fn detach(self) -> Self {
        self
    }
}

impl Body {
    pub(crate) fn reply(kind: Kind, uid: u32, by: usize, run: u32) -> Self {
        let form = Shape::Typed;
        Body { path: Arc::from([]), kind, uid, by: by as u32, run, n: 0, size: 16, form }
    }

    /// An item of a stream, or what comes before the first.
    pub(crate) fn item(kind: Kind, uid: u32, by: usize, run: u32, n: u32, size: u32) -> Self {
        Body { n, size, ..Body::reply(kind, uid, by, run) }
    }

    pub(crate) fn hides_a_call(&self) -> bool {
        self.form == Shape::Tunnel
    }

    fn to_bytes(&self) -> Vec<u8> {
        let form = self.form as u32;
        let words = [self.kind as u32, self.uid, self.by, self.run, self.n, self.size, form];
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn from_bytes(path: &[u8], bytes: &[u8]) -> Self {
        let word = |n: usize| u32::from_be_bytes(bytes[4 * n..][..4].try_into().unwrap());
        let kind = KINDS[word(0) as usize];
        let path = Arc::from(path);
        let form = [Shape::Typed, Shape::Raw, Shape::Tunnel][word(6) as usize];
        let (uid, by, run, n, size) = (word(1), word(2), word(3), word(4), word(5));
        Body { path, kind, uid, by, run, n, size, form }
    }
}

const KINDS: [Kind; 7] =
    [Kind::Request, Kind::Reply, Kind::Status, Kind::Forged, Kind::Ask, Kind::Item, Kind::Opening];

/// The reasons of refusals, so that one can travel as a number.
const REASONS: [Reason; 11] = [
    Reason::Cancelled,
    Reason::NoService,
    Reason::NoWorker,
    Reason::NotDispatched,
    Reason::MaybeExecuted,
    Reason::DeadlineExceeded,
    Reason::LimitReached,
    Reason::Overloaded,
    Reason::BadRequest,
    Reason::Denied,
    Reason::Draining,
];

/// The reason in the body of a refusal.
pub(crate) fn reason_of(body: &Body) -> Option<Reason> {
    (body.kind == Kind::Status).then(|| REASONS[body.run as usize])
}

/// As a driver does it: a refusal goes out as the bytes of a status.
pub(crate) fn outgoing(mut record: Msg, by: usize) -> Msg {
    if let Record::Final { reply, .. } = &mut record
        && let Reply::Refused(refusal) = reply
    {
        let number = REASONS.iter().position(|reason| *reason == refusal.reason).unwrap();
        *reply = Reply::Body(Body::reply(Kind::Status, NOBODY, by, number as u32));
    }
    record
}

/// The record as a machine takes it in.
pub(crate) fn incoming(record: &Msg) -> Record<&[u8], Body> {
    match record.clone() {
        Record::Hello { heartbeat, liveness, .. } => {
            Record::Hello { id: name_of(record), heartbeat, liveness }
        }
        Record::Welcome { heartbeat, liveness, frame_bytes, .. } => {
            Record::Welcome { id: name_of(record), heartbeat, liveness, frame_bytes }
        }
        Record::Ready { capacity, shared, schema, .. } => {
            Record::Ready { service: name_of(record), capacity, shared, schema }
        }
        Record::Grant { slots, number, .. } => {
            Record::Grant { service: name_of(record), slots, number }
        }
        Record::Demand { calls, .. } => Record::Demand { service: name_of(record), calls },
        Record::Request { call, timeout, idempotent, attempt, kind, body, .. } => {
            let peer = name_of(record);
            Record::Request { call, timeout, idempotent, attempt, peer, kind, body }
        }
        Record::Data { call, of, part } => Record::Data { call, of, part },
        Record::Credit { call, of, units } => Record::Credit { call, of, units },
        Record::Final { call, code, not_started, attempt, reply, .. } => {
            Record::Final { call, code, not_started, attempt, peer: name_of(record), reply }
        }
        Record::Cancel { call } => Record::Cancel { call },
        Record::Heartbeat => Record::Heartbeat,
        Record::Drain => Record::Drain,
        Record::Disconnect(reason) => Record::Disconnect(reason),
    }
}

fn name_of(record: &Msg) -> &[u8] {
    match record {
        Record::Hello { id, .. } | Record::Welcome { id, .. } => id,
        Record::Ready { service, .. }
        | Record::Grant { service, .. }
        | Record::Demand { service, .. } => service,
        Record::Request { peer, .. } | Record::Final { peer, .. } => peer,
        _ => &[],
    }
}

/// Whether it is a part of a stream. Nothing tells its receiver that one is missing, so a transport
/// that loses it alone is none.
pub(crate) fn is_part(record: &Msg) -> bool {
    matches!(record, Record::Data { part: Part::Item(_) | Part::Open(_) | Part::End, .. })
}

/// The call's number in a record, or 0.
pub(crate) fn call_of(record: &Msg) -> u64 {
    match record {
        Record::Request { call, .. }
        | Record::Data { call, .. }
        | Record::Final { call, .. }
        | Record::Cancel { call }
        | Record::Credit { call, .. } => *call,
        _ => 0,
    }
}

/// A record through bytes and back, now and then with its payload in a frame of its own.
pub(crate) fn through_bytes(record: &Msg) -> Msg {
    let mut packet = Vec::new();
    let mut frame = None;
    match record.body() {
        None => wire::put(&mut packet, record),
        Some(body) => {
            let payload = body.to_bytes();
            let mut bytes = body.path.to_vec();
            let out = body.uid % 3 == 0;
            let (name_len, payload_len) = (body.path.len() as u8, payload.len() as u32);
            if out {
                frame = Some(payload);
            } else {
                bytes.extend_from_slice(&payload);
            }
            let raw = body.is_raw();
            let tail = Tail { bytes: &bytes, name_len, payload_len, out, raw, ..Tail::default() };
            wire::put_tail(&mut packet, record, tail);
        }
    }
    let lengths: Vec<usize> = frame.iter().map(Vec::len).collect();
    let mut heads = Vec::new();
    wire::decode(&packet, &lengths, &Limits::default(), &mut heads).unwrap();
    let body = |head: &Head| {
        let bytes = match (head.body, &frame) {
            (Place::Inline(slice), _) => slice.of(&packet),
            (Place::Frame(_), Some(frame)) => frame,
            (Place::Frame(_), None) => &[],
        };
        Body::from_bytes(head.name.of(&packet), bytes)
    };
    owned(Record::read(&heads[0], &packet, body).unwrap())
}

fn owned(record: Record<&[u8], Body>) -> Msg {
    match record {
        Record::Hello { id, heartbeat, liveness } => {
            Record::Hello { id: id.into(), heartbeat, liveness }
        }
        Record::Welcome { id, heartbeat, liveness, frame_bytes } => {
            Record::Welcome { id: id.into(), heartbeat, liveness, frame_bytes }
        }
        Record::Ready { service, capacity, shared, schema } => {
            Record::Ready { service: service.into(), capacity, shared, schema }
        }
        Record::Grant { service, slots, number } => {
            Record::Grant { service: service.into(), slots, number }
        }
        Record::Demand { service, calls } => Record::Demand { service: service.into(), calls },
        Record::Request { call, timeout, idempotent, attempt, peer, kind, body } => {
            Record::Request { call, timeout, idempotent, attempt, peer: peer.into(), kind, body }
        }
        Record::Data { call, of, part } => Record::Data { call, of, part },
        Record::Credit { call, of, units } => Record::Credit { call, of, units },
        Record::Final { call, code, not_started, attempt, peer, reply } => {
            Record::Final { call, code, not_started, attempt, peer: peer.into(), reply }
        }
        Record::Cancel { call } => Record::Cancel { call },
        Record::Heartbeat => Record::Heartbeat,
        Record::Drain => Record::Drain,
        Record::Disconnect(reason) => Record::Disconnect(reason),
    }
}
