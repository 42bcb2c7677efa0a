//! Records in the form that the state machines use.

use alloc::boxed::Box;

use super::header::{Command, VERSION};
use super::listing::{Listing, SchemaHash};
use crate::codes::code_table;
use crate::status::{Code, Refusal};
use crate::time::Span;

/// One record. `N` is the type of ids and service names: borrowed from the packet on the way in (`&[u8]`), shared on
/// the way out (`Arc<[u8]>`). `P` is the body, see [`Payload`](crate::Payload).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<N, P> {
    /// A peer opens a session.
    Hello {
        /// The id that the peer wants. Empty: the broker chooses one.
        id: N,
        /// The interval at which the peer wants and sends heartbeats.
        heartbeat: Span,
        /// The number of silent intervals after which a side counts as gone.
        liveness: u8,
    },
    /// The broker accepts a session.
    Welcome {
        /// The id under which the broker knows the peer.
        id: N,
        /// The agreed interval: the longer one of the two sides.
        heartbeat: Span,
        /// The agreed liveness: the larger one of the two sides.
        liveness: u8,
        /// The largest frame that the broker accepts, in bytes.
        frame_bytes: u64,
    },
    /// A worker offers a service.
    Ready {
        /// The service's name, `package.Service`.
        service: N,
        /// The number of its calls that the worker takes at once.
        capacity: u32,
        /// The worker has its slots for several brokers: this one may use none before it gets a GRANT.
        shared: bool,
        /// The identity of the contract that the worker was built with, if known.
        schema: Option<SchemaHash>,
    },
    /// A call.
    Request {
        /// The sender's number of the call.
        call: u64,
        /// The time left until its deadline.
        timeout: Span,
        /// Whether the method may run more than once.
        idempotent: bool,
        /// Towards a worker: the number of this attempt, from 1.
        attempt: u8,
        /// Towards the broker: the id of the only worker that may get the call, or empty. Towards a worker: the
        /// client's id.
        peer: N,
        /// The streams of the call.
        kind: CallKind,
        /// Path, metadata and, unless requests stream, payload.
        body: P,
    },
    /// A part of a stream.
    Data {
        /// The receiver's number of the call. From a client to the broker: the client's number.
        call: u64,
        /// The direction of the stream.
        of: Direction,
        /// The part.
        part: Part<P>,
    },
    /// The other side may send more items of a stream.
    Credit {
        /// The receiver's number of the call. From a client to the broker: the client's number.
        call: u64,
        /// The direction of the stream that the receiver sends.
        of: Direction,
        /// The number of further units, see [`units`](super::units).
        units: u32,
    },
    /// The end of a call.
    Final {
        /// The receiver's number of the call.
        call: u64,
        /// The status code.
        code: Code,
        /// Whether it is certain that no handler was started.
        not_started: bool,
        /// Towards a client: the number of attempts.
        attempt: u8,
        /// Towards a client: the id of the worker that answered, or empty.
        peer: N,
        /// The reply, or the status that explains the code.
        reply: Reply<P>,
    },
    /// Towards a client: the broker hands the call back. No handler was started, and it may be made
    /// again on a new session.
    Cancel {
        /// The client's number of the call.
        call: u64,
    },
    /// From a worker: the broker may use this number of the worker's shared slots. From the broker: it keeps to the
    /// number.
    Grant {
        /// The service's name.
        service: N,
        /// The number of the service's calls at once.
        slots: u32,
        /// The number of this GRANT, by which the broker answers it.
        number: u64,
    },
    /// From the broker: calls wait that shared slots of this worker could take.
    Demand {
        /// The service's name.
        service: N,
        /// The number of calls. 0: none any more.
        calls: u32,
    },
    /// The sender is alive.
    Heartbeat,
    /// From a worker: it takes no new calls. From the broker: it will send no new calls.
    Drain,
    /// The session is over.
    Disconnect(DisconnectReason),
}

/// The streams of a call in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// One request, one reply.
    #[default]
    Unary,
    /// A stream of requests, one reply.
    ClientStreaming,
    /// One request, a stream of replies.
    ServerStreaming,
    /// Streams both ways.
    BidiStreaming,
}

impl CallKind {
    /// The kind of a call with these streams.
    pub const fn new(requests: bool, replies: bool) -> Self {
        match (requests, replies) {
            (false, false) => CallKind::Unary,
            (true, false) => CallKind::ClientStreaming,
            (false, true) => CallKind::ServerStreaming,
            (true, true) => CallKind::BidiStreaming,
        }
    }

    /// Whether the messages of this direction come as a stream.
    pub const fn streams(self, of: Direction) -> bool {
        match of {
            Direction::Requests => {
                matches!(self, CallKind::ClientStreaming | CallKind::BidiStreaming)
            }
            Direction::Replies => {
                matches!(self, CallKind::ServerStreaming | CallKind::BidiStreaming)
            }
        }
    }

    /// Whether the call has any stream.
    pub const fn is_stream(self) -> bool {
        !matches!(self, CallKind::Unary)
    }
}

/// One of the two directions of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the worker.
    Requests,
    /// From the worker to the client.
    Replies,
}

/// A part of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<P> {
    /// The handler has begun the stream of replies. Carries the handler's metadata. Sent at most once, before the first
    /// item; costs no credit.
    Open(P),
    /// A message.
    Item(P),
    /// The stream of requests ends. Costs no credit.
    End,
}

/// The content of a FINAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<P> {
    /// Bytes of the other side: a reply, or an encoded status.
    Body(P),
    /// A failure that a machine found itself, not encoded yet. Only on the way out.
    Refused(Box<Refusal>),
    /// The answer of one of the broker's own services, not encoded yet. Only on the way out.
    Listing(Box<Listing>),
}

code_table! {
    /// Why a session is over.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum DisconnectReason {
        1 Shutdown "shut down" "The sender ends in good order."
        2 NoSession "there is no session; HELLO comes first" "There is no session: HELLO comes first."
        3 Unexpected "the command has no place here" "The command is known and has no place here (RFC 7, RFC 18 B10)."
        4 Malformed "the packet could not be read" "The packet could not be read (RFC 7, RFC 18 B11)."
        5 UnknownCommand "the command is not known" "The command is not known, or not in this version of the program."
        6 Version "the version is not spoken" "The version is not spoken; the record's count is the highest that is."
        7 IdTaken "another live worker has this id" "Another live worker has this id."
        8 BadName "a name is empty or has bytes that names do not have" "A name is empty or has bytes that names do not have."
        9 LimitReached "a limit was met" "A limit on sessions, services or capacity was met."
        10 Silence "there was no sign of life for too long" "There was no sign of life for too long."
        11 Denied "the policy does not allow it" "The policy does not allow it."
        12 Drained "it is to end" "An operator wants the worker to end: it is not to come back."
        13 Stalled "its handlers cannot run" "The worker's handlers cannot run: it comes back when they can."
        else Other "A reason of a newer peer."
    }
}

impl core::fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => write!(f, "reason {}", self.as_u32()),
        }
    }
}

/// A record that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The number is not a command of version 1.
    #[error("command {0} is not one of MDP/RPC version 1")]
    UnknownCommand(u8),
}

/// The count of a DATA that opens a stream.
pub(super) const OPEN: u8 = 1;
/// The count of a READY for slots that several brokers share.
pub(super) const SHARED: u8 = 1;

impl<N, P> Record<N, P> {
    /// The record's command.
    pub const fn command(&self) -> Command {
        match self {
            Record::Hello { .. } => Command::Hello,
            Record::Welcome { .. } => Command::Welcome,
            Record::Ready { .. } => Command::Ready,
            Record::Request { .. } => Command::Request,
            Record::Data { .. } => Command::Data,
            Record::Credit { .. } => Command::Credit,
            Record::Final { .. } => Command::Final,
            Record::Cancel { .. } => Command::Cancel,
            Record::Grant { .. } => Command::Grant,
            Record::Demand { .. } => Command::Demand,
            Record::Heartbeat => Command::Heartbeat,
            Record::Drain => Command::Drain,
            Record::Disconnect(_) => Command::Disconnect,
        }
    }

    /// The highest version that a DISCONNECT names.
    pub(super) const VERSIONS: u8 = VERSION;
}
