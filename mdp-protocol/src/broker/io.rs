//! What goes into the broker and what comes out.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::hooks::{Question, Verdict};
use super::plain::FromPlain;
use super::to_plain::ToPlain;
use crate::identity::Identity;
use crate::limits::Limit;
pub use crate::names::Name;
use crate::policy::Policy;
use crate::slab::Key;
use crate::time::Span;
use crate::wire::plain::{Form, Side};
use crate::wire::{DisconnectReason, Record, SchemaHash};

/// A record on its way out.
pub type Outgoing<P> = Record<Name, P>;

/// Who sent the message in hand: its routing id, and the identity that the transport has proven for it.
/// [`Broker::sender`](super::Broker::sender) makes one, for each message anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    pub(super) route: &'a [u8],
    pub(super) identity: Identity,
    /// The session that the routing id had when this was made. What happens since then is looked at again.
    pub(super) session: Option<Key>,
}

impl Sender<'_> {
    /// The session that the message belongs to, as far as that was known when this was made.
    pub const fn session(&self) -> Option<Key> {
        self.session
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a, P> {
    /// A record came.
    Record {
        /// From whom.
        from: Sender<'a>,
        /// The record.
        record: Record<&'a [u8], P>,
    },
    /// A message of plain MDP came.
    Plain {
        /// From whom.
        from: Sender<'a>,
        /// How it looks.
        form: Form,
        /// What it says.
        said: FromPlain<'a, P>,
    },
    /// A message came that begins as one of plain MDP and cannot be read; it was dropped whole.
    InvalidPlain {
        /// From whom.
        from: Sender<'a>,
        /// How it looks.
        form: Form,
        /// Whose conversation it belongs to.
        side: Side,
    },
    /// Something came that is no record; it was dropped whole.
    Invalid {
        /// From whom.
        from: Sender<'a>,
        /// What to tell the sender.
        reason: DisconnectReason,
    },
    /// A REQUEST could not be given to the transport. [`Input::Unreachable`] is to follow.
    Undelivered {
        /// For whom it was.
        to: Key,
        /// The broker's handle of the call.
        call: u64,
        /// The body, back again.
        body: P,
    },
    /// The transport cannot reach this peer, or it takes nothing more.
    Unreachable {
        /// The peer.
        session: Key,
    },
    /// How much a peer has not read: bytes that the transport has taken for it and has not written yet. It counts for
    /// the connection, so it goes on after the session's end, until all is written or the connection is gone. To be
    /// said when it has changed by [`UNREAD_STEP`](super::UNREAD_STEP) or more since it was said last, with 0 for
    /// everything below that; and after each [`handle`](super::Broker::handle) that sent the session that much or more.
    Unread {
        /// The session, also one that has ended.
        session: Key,
        /// The bytes now.
        bytes: usize,
    },
    /// A peer would have more unread than it may: what is to be sent to it cannot be sent.
    Overfull {
        /// The peer.
        session: Key,
        /// Which limit that is.
        limit: Limit,
    },
    /// The transport lost a connection and cannot tell whose. Workers that hold calls and are not
    /// heard just now get a HEARTBEAT: sending it finds out.
    ConnectionLost,
    /// From now on this is who may do what.
    Policy(Arc<Policy>),
    /// What the hooks say to an [`Action::Ask`].
    Verdict {
        /// The call that was asked about.
        call: u64,
        /// What is to become of it.
        verdict: Verdict<P>,
    },
    /// Nothing; time has passed.
    Tick,
    /// Take no new calls, let the running ones end for at most `grace`, then close.
    Shutdown {
        /// How long to wait for running calls.
        grace: Span,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Action<P> {
    /// A session begins: `Send` and `Close` will name it by its key.
    Open {
        /// The session.
        session: Key,
        /// The routing id behind it.
        route: Box<[u8]>,
    },
    /// Send a record to a session.
    Send {
        /// The session.
        to: Key,
        /// The record.
        record: Outgoing<P>,
    },
    /// Send a message to a session of a plain peer.
    SendPlain {
        /// The session.
        to: Key,
        /// How its messages look.
        form: Form,
        /// The message.
        message: ToPlain<P>,
    },
    /// Send a message to a plain peer without a session.
    AnswerPlain {
        /// The routing id.
        route: Box<[u8]>,
        /// How its messages look.
        form: Form,
        /// The message.
        message: ToPlain<P>,
    },
    /// Send a record to somebody without a session.
    Answer {
        /// The routing id.
        route: Box<[u8]>,
        /// The record.
        record: Outgoing<P>,
    },
    /// Send what is gathered for a session, then forget it.
    Close {
        /// The session.
        session: Key,
    },
    /// Ask the hooks; [`Input::Verdict`] is the answer. Without one the call ends after
    /// [`HookConfig::wait`](super::HookConfig::wait).
    Ask(Box<Question<P>>),
    /// Tell the operator.
    Note(Note),
    /// All is done; the broker takes no more input.
    Closed,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The peer said DISCONNECT.
    Said(DisconnectReason),
    /// The peer was told to go.
    Expelled(DisconnectReason),
    /// No message for the agreed time.
    Silence,
    /// The transport could not reach it.
    Unreachable,
    /// It did not read what was sent to it, and met this limit.
    Unread(Limit),
    /// A plain client had nothing to ask any more.
    Idle,
}

/// What an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A session began.
    SessionOpened {
        /// The peer's id.
        id: Name,
    },
    /// A session ended.
    SessionClosed {
        /// The peer's id.
        id: Name,
        /// Why.
        cause: Cause,
        /// Calls that it held and that wait for another worker.
        moved: usize,
        /// Calls that it held and that ended with it.
        ended: usize,
    },
    /// A session made its first call.
    ClientSeen {
        /// The client's id, and behind a space its principal, if that is known.
        who: Name,
    },
    /// A worker offers a service.
    WorkerReady {
        /// The worker's id.
        id: Name,
        /// The same, and behind a space its principal, if that is known.
        who: Name,
        /// The service.
        service: Name,
        /// Calls at once.
        capacity: u32,
    },
    /// A worker is gone, with all the services that it offered.
    WorkerLeft {
        /// The worker's id, and behind a space its principal, if that is known.
        who: Name,
        /// The services.
        services: Box<[Name]>,
        /// Why.
        cause: Cause,
    },
    /// A worker offers a service by another contract than a worker that is there.
    SchemasDiffer {
        /// The new worker's id.
        id: Name,
        /// The service.
        service: Name,
        /// Its contract.
        schema: SchemaHash,
        /// Another worker's contract.
        other: SchemaHash,
    },
    /// A worker wants no new calls.
    WorkerDraining {
        /// The worker's id.
        id: Name,
    },
    /// A request or a registration met a limit.
    LimitReached {
        /// The peer's id.
        id: Name,
        /// The limit.
        limit: Limit,
    },
    /// Calls of a service are refused, since it has more to do than it can do in their time. Said once in 10 s.
    Overloaded {
        /// The service.
        service: Name,
        /// How long a call would wait now.
        wait: Span,
    },
    /// A slot was taken from a call that its worker held beyond the deadline.
    SlotReclaimed {
        /// The worker's id.
        id: Name,
        /// The service.
        service: Name,
    },
    /// A message came under the routing id of another peer's session: the key of its connection is another one. It
    /// was dropped.
    Impostor {
        /// The routing id.
        route: Box<[u8]>,
    },
    /// A peer was refused: it gets no session, or may not serve what it offers.
    Refused {
        /// The id that it wishes for, or was given.
        id: Name,
        /// Its principal, else its key in Z85; empty if it has neither.
        principal: Name,
        /// The service that it offers; `None` if it gets no session.
        service: Option<Name>,
        /// Why.
        reason: DisconnectReason,
    },
    /// Somebody without a session was turned away.
    TurnedAway {
        /// The routing id.
        route: Box<[u8]>,
        /// What was said.
        reason: DisconnectReason,
    },
}
