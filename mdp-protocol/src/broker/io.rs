//! The inputs and actions of the broker.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::classic::FromClassic;
use super::hooks::{Question, Verdict};
use super::to_classic::ToClassic;
use crate::identity::Identity;
use crate::limits::Limit;
pub use crate::names::Name;
use crate::policy::Policy;
use crate::slab::Key;
use crate::time::Span;
use crate::wire::classic::{Form, Side};
use crate::wire::{DisconnectReason, Record, SchemaHash};

/// A record that the broker sends.
pub type Outgoing<P> = Record<Name, P>;

/// The sender of one message: its routing id, and the identity that the transport has proven for it.
/// [`Broker::sender`](super::Broker::sender) makes a new one for each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    pub(super) route: &'a [u8],
    pub(super) identity: Identity,
    /// The session that the routing id had when this was made. The broker checks it again at each use.
    pub(super) session: Option<Key>,
}

impl Sender<'_> {
    /// The session of the message at the time when this was made. `None`: there was none.
    pub const fn session(&self) -> Option<Key> {
        self.session
    }
}

/// An input of the broker.
#[derive(Debug)]
pub enum Input<'a, P> {
    /// A record arrived.
    Record {
        /// The sender.
        from: Sender<'a>,
        /// The record.
        record: Record<&'a [u8], P>,
    },
    /// A message of classic MDP arrived.
    Classic {
        /// The sender.
        from: Sender<'a>,
        /// The form of the message.
        form: Form,
        /// The content of the message.
        said: FromClassic<'a, P>,
    },
    /// A message arrived that begins as classic MDP and cannot be read. It was dropped as a whole.
    InvalidClassic {
        /// The sender.
        from: Sender<'a>,
        /// The form of the message.
        form: Form,
        /// The side of the conversation, client or worker.
        side: Side,
    },
    /// A message arrived that is not valid. It was dropped as a whole.
    Invalid {
        /// The sender.
        from: Sender<'a>,
        /// The reason for the sender.
        reason: DisconnectReason,
    },
    /// A REQUEST was not given to the transport: nobody has seen it. The end of the session has to follow.
    Undelivered {
        /// The receiver of the REQUEST.
        to: Key,
        /// The broker's handle of the call.
        call: u64,
        /// The body of the REQUEST.
        body: P,
    },
    /// A peer has closed its side of the connection, and what it has sent before is not all read. A worker is given no
    /// further call; its replies count. [`Input::Unreachable`] has to follow.
    Leaving {
        /// The peer.
        session: Key,
    },
    /// The transport cannot reach this peer, or accepts no more data for it.
    Unreachable {
        /// The peer.
        session: Key,
    },
    /// A part of a message came from this peer, or waits because the transport does not read it now. So the peer lives: its
    /// heartbeats come after the message.
    Alive {
        /// The peer.
        session: Key,
    },
    /// The unread bytes of a peer: data that the transport has accepted for it and has not written yet. They count for
    /// the connection, so the driver reports them also after the session's end, until all data is written or the
    /// connection is gone. Report them when they have changed by [`UNREAD_STEP`](super::UNREAD_STEP) or more since the
    /// last report, with 0 for all values below that, and after each [`handle`](super::Broker::handle) that sent the
    /// session this much or more.
    Unread {
        /// The session. It may have ended.
        session: Key,
        /// The current number of bytes.
        bytes: usize,
    },
    /// Data for a peer cannot be sent, because its unread bytes would exceed a limit.
    Overfull {
        /// The peer.
        session: Key,
        /// The limit.
        limit: Limit,
    },
    /// The transport lost a connection and does not know which peer had it. The broker sends a HEARTBEAT to each worker
    /// that holds calls and was not heard just now: sending finds the lost one.
    ConnectionLost,
    /// A new policy, valid from now on.
    Policy(Arc<Policy>),
    /// The hooks' answer to an [`Action::Ask`].
    Verdict {
        /// The call of the question.
        call: u64,
        /// The verdict.
        verdict: Verdict<P>,
    },
    /// No event; time has passed.
    Tick,
    /// The broker has to close: it takes no new calls, and gives running calls up to `grace` to end.
    Shutdown {
        /// The longest time to wait for running calls.
        grace: Span,
    },
}

/// An action that the driver has to perform.
#[derive(Debug)]
pub enum Action<P> {
    /// A session begins. `Send` and `Close` name it by its key.
    Open {
        /// The session.
        session: Key,
        /// The routing id of its peer.
        route: Box<[u8]>,
    },
    /// Send a record to a session.
    Send {
        /// The session.
        to: Key,
        /// The record.
        record: Outgoing<P>,
    },
    /// Send a message to a session of a classic peer.
    SendClassic {
        /// The session.
        to: Key,
        /// The form of its messages.
        form: Form,
        /// The message.
        message: ToClassic<P>,
    },
    /// Send a message to a classic peer without a session.
    AnswerClassic {
        /// The routing id.
        route: Box<[u8]>,
        /// The form of its messages.
        form: Form,
        /// The message.
        message: ToClassic<P>,
    },
    /// Send a record to a peer without a session.
    Answer {
        /// The routing id.
        route: Box<[u8]>,
        /// The record.
        record: Outgoing<P>,
    },
    /// Send all gathered records of a session, then drop the session.
    Close {
        /// The session.
        session: Key,
    },
    /// Stop reading from a session's connection, until [`Resume`](Self::Resume): a request of the session waits for room.
    /// A message that the driver hands over all the same is handled as any other, and may overtake that request. Only
    /// with [`Config::pauses_reading`].
    ///
    /// [`Config::pauses_reading`]: super::Config::pauses_reading
    Pause {
        /// The session.
        session: Key,
    },
    /// Read from a session's connection again. Comes before [`Close`](Self::Close) of a paused session, too.
    Resume {
        /// The session.
        session: Key,
    },
    /// Ask the hooks. [`Input::Verdict`] is the answer. Without an answer the call ends after
    /// [`HookConfig::wait`](super::HookConfig::wait).
    Ask(Box<Question<P>>),
    /// Report an event to the operator.
    Note(Note),
    /// The broker is closed and accepts no more input.
    Closed,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The peer sent DISCONNECT.
    Said(DisconnectReason),
    /// The broker sent DISCONNECT.
    Expelled(DisconnectReason),
    /// The peer sent no message for the agreed time.
    Silence,
    /// The transport could not reach the peer.
    Unreachable,
    /// The peer did not read its data and exceeded this limit.
    Unread(Limit),
    /// A classic client had no more open calls.
    Idle,
}

/// An event for the operator's log.
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
        /// The cause.
        cause: Cause,
        /// Number of its calls that now wait for another worker.
        moved: usize,
        /// Number of its calls that ended with the session.
        ended: usize,
    },
    /// A session made its first call.
    ClientSeen {
        /// The client's id, and after a space its principal, if known.
        who: Name,
    },
    /// A worker offers a service.
    WorkerReady {
        /// The worker's id.
        id: Name,
        /// The worker's id, and after a space its principal, if known.
        who: Name,
        /// The service.
        service: Name,
        /// The number of calls that the worker takes at once.
        capacity: u32,
    },
    /// A worker is gone, with all the services that it offered.
    WorkerLeft {
        /// The worker's id, and after a space its principal, if known.
        who: Name,
        /// The services.
        services: Box<[Name]>,
        /// The cause.
        cause: Cause,
    },
    /// A worker offers a service with a contract that differs from another worker's.
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
    /// A worker drains and takes no new calls.
    WorkerDraining {
        /// The worker's id.
        id: Name,
    },
    /// A request or a registration exceeded a limit.
    LimitReached {
        /// The peer's id.
        id: Name,
        /// The limit.
        limit: Limit,
    },
    /// Calls of a service are refused because they could not end in their time. Reported at most once in 10 s.
    Overloaded {
        /// The service.
        service: Name,
        /// The time that a new call would wait.
        wait: Span,
    },
    /// A slot was taken from a call that its worker held beyond the deadline.
    SlotReclaimed {
        /// The worker's id.
        id: Name,
        /// The service.
        service: Name,
    },
    /// A message arrived under the routing id of another peer's session, over a connection with another key. It was
    /// dropped.
    Impostor {
        /// The routing id.
        route: Box<[u8]>,
    },
    /// A peer was refused: it gets no session, or may not serve the service that it offers.
    Refused {
        /// The id that it wants, or that the broker gave it.
        id: Name,
        /// Its principal, else its key in Z85; empty if it has neither.
        principal: Name,
        /// The service that it offers; `None` if it gets no session.
        service: Option<Name>,
        /// The cause.
        reason: DisconnectReason,
    },
    /// A peer without a session was refused.
    TurnedAway {
        /// The routing id.
        route: Box<[u8]>,
        /// The reason that was sent.
        reason: DisconnectReason,
    },
}
