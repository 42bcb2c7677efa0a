//! Records as the state machines see them.

use alloc::boxed::Box;

use super::decode::{Body, Head};
use super::header::{Command, Flags, VERSION};
use super::listing::{Listing, SchemaHash};
use crate::codes::code_table;
use crate::status::{Code, Refusal};
use crate::time::Span;

/// One record. `N` is how ids and service names are held: borrowed from the packet on the way in
/// (`&[u8]`), shared on the way out (`Arc<[u8]>`). `P` is the body, see [`Payload`](crate::Payload).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<N, P> {
    /// A peer opens a session.
    Hello {
        /// The id that it wants to be known by; empty to be given one.
        id: N,
        /// How often it wants, and offers, a sign of life.
        heartbeat: Span,
        /// How many intervals of silence mean that a side is gone.
        liveness: u8,
    },
    /// The broker accepts a session.
    Welcome {
        /// The id under which the broker knows the peer.
        id: N,
        /// The interval agreed: the longer of the two sides'.
        heartbeat: Span,
        /// The liveness agreed: the larger of the two sides'.
        liveness: u8,
        /// The largest frame that the broker takes, in bytes.
        frame_bytes: u64,
    },
    /// A worker offers a service.
    Ready {
        /// The service's name, `package.Service`.
        service: N,
        /// How many of its calls the worker takes at once.
        capacity: u32,
        /// The identity of the contract that the worker was built with, if it says so.
        schema: Option<SchemaHash>,
    },
    /// A call.
    Request {
        /// The sender's name for the call.
        call: u64,
        /// The time left until its deadline.
        timeout: Span,
        /// Whether the method may be run more than once.
        idempotent: bool,
        /// Towards a worker: which attempt this is, from 1.
        attempt: u8,
        /// Towards the broker: the only worker that is wanted, or empty. Towards a worker: the
        /// client's id.
        peer: N,
        /// How many messages go which way.
        kind: CallKind,
        /// Path, metadata and, unless requests stream, payload.
        body: P,
    },
    /// A part of a stream.
    Data {
        /// The receiver's name for the call; towards the broker from a client, the client's.
        call: u64,
        /// Whose stream.
        of: Direction,
        /// The part.
        part: Part<P>,
    },
    /// The other side may send more items of a stream.
    Credit {
        /// The receiver's name for the call; towards the broker from a client, the client's.
        call: u64,
        /// Whose stream: that of the receiver.
        of: Direction,
        /// How many units more, see [`units`](super::units).
        units: u32,
    },
    /// The end of a call.
    Final {
        /// The receiver's name for the call.
        call: u64,
        /// How it ended.
        code: Code,
        /// No handler was started for it.
        not_started: bool,
        /// Towards a client: how many attempts were made.
        attempt: u8,
        /// Towards a client: the worker that answered, or empty.
        peer: N,
        /// The reply, or the status that explains the code.
        reply: Reply<P>,
    },
    /// Towards a client: the broker hands the call back. No handler was started, and it may be made
    /// again on a new session.
    Cancel {
        /// The client's name for the call.
        call: u64,
    },
    /// The sender is alive.
    Heartbeat,
    /// From a worker: no new calls. From the broker: there will be none.
    Drain,
    /// The session is over.
    Disconnect(DisconnectReason),
}

/// How many messages go which way in a call.
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
    /// The kind with these streams.
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

    /// Whether there is a stream at all.
    pub const fn is_stream(self) -> bool {
        !matches!(self, CallKind::Unary)
    }
}

/// One of the two ways of a call.
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
    /// The handler has begun the stream of replies; what it says beforehand is in the metadata.
    /// Comes once at the most, before the first item, and costs no credit.
    Open(P),
    /// A message.
    Item(P),
    /// There are no more requests. Costs no credit.
    End,
}

/// What a FINAL carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<P> {
    /// Bytes of the other side: a reply, or a status already encoded.
    Body(P),
    /// A failure that a machine found itself, still to be encoded as a status. Only on the way out.
    Refused(Box<Refusal>),
    /// What a service of the broker's own answers, still to be encoded. Only on the way out.
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

/// A record that no machine takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A number that is no command of version 1.
    #[error("command {0} is not one of MDP/RPC version 1")]
    UnknownCommand(u8),
}

impl<'a, P> Record<&'a [u8], P> {
    /// The record that `head`, decoded from `packet`, stands for. `body` is asked for the body of a
    /// REQUEST or a FINAL.
    ///
    /// # Errors
    ///
    /// The command is not known.
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
            Command::Heartbeat => Record::Heartbeat,
            Command::Drain => Record::Drain,
            Command::Disconnect => Record::Disconnect(DisconnectReason::from_u32(head.arg)),
        })
    }
}

/// The count of a DATA that opens a stream.
pub(super) const OPEN: u8 = 1;

fn direction(head: &Head) -> Direction {
    if head.flags.has(Flags::REPLIES) { Direction::Replies } else { Direction::Requests }
}

/// A payload of another length than that of a hash is none: it may come from a newer worker (R30).
fn schema(head: &Head, packet: &[u8]) -> Option<SchemaHash> {
    match head.body {
        Body::Inline(payload) => payload.of(packet).try_into().ok(),
        Body::Frame(_) => None,
    }
}

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
            Record::Heartbeat => Command::Heartbeat,
            Record::Drain => Command::Drain,
            Record::Disconnect(_) => Command::Disconnect,
        }
    }

    /// The highest version that a DISCONNECT names.
    pub(super) const VERSIONS: u8 = VERSION;
}
