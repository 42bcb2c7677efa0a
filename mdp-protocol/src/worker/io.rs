//! What the worker's driver tells the machine, and what the machine tells the driver.

use alloc::string::String;

use crate::session::SessionAction;
use crate::slab::Key;
use crate::status::Code;
use crate::time::{Span, Time};
use crate::wire::{CallKind, Part, Record};

/// An input of the worker.
#[derive(Debug)]
pub enum Input<'a, P> {
    /// A record arrived from the broker.
    Record(Record<&'a [u8], P>),
    /// A message arrived that cannot be read.
    Invalid,
    /// The socket has its connection: from now on the broker can answer HELLO.
    Made,
    /// A part of a message came, so the broker lives.
    Alive,
    /// The socket could not be made, it failed, or its connection is known to be broken.
    Broken,
    /// The broker refuses this worker's key, or the two have no security mechanism in common.
    Refused,
    /// The runtime of the handlers hangs: the worker leaves its broker, so that its calls move to others. The driver
    /// has to report calls without a started handler before this, with [`Input::NotStarted`].
    Stalled,
    /// The runtime runs again: the worker comes back.
    Moves,
    /// A handler has ended.
    Done {
        /// The call, as [`Action::Start`] named it.
        call: Key,
        /// The status code.
        code: Code,
        /// The reply, or the status that explains the code.
        reply: P,
    },
    /// No handler was started for a call, and none will be: the worker got no room for it in time. The call ends with
    /// UNAVAILABLE and NOT_STARTED (wire.md R35).
    NotStarted {
        /// The call, as [`Action::Start`] named it.
        call: Key,
        /// The reason, for people.
        message: String,
    },
    /// A handler opens its stream of replies, or has an item for it.
    Part {
        /// The call.
        call: Key,
        /// The part. An item needs credit, see [`Action::Credit`]. Without credit the call ends with INTERNAL.
        part: Part<P>,
    },
    /// A handler has taken items of its stream of requests.
    Taken {
        /// The call.
        call: Key,
        /// The cost of these items, in units.
        units: u32,
    },
    /// The broker may use this number of slots; see [`Config::shares_slots`](super::Config::shares_slots).
    Grant {
        /// The index of the service in [`Config::services`](super::Config::services).
        service: usize,
        /// The number of its calls at once.
        slots: u32,
        /// The number of this GRANT.
        number: u64,
    },
    /// No event; time has passed.
    Tick,
    /// The worker has to close: it takes no new calls, and running calls get up to `grace` to end.
    Drain {
        /// The longest time to wait.
        grace: Span,
    },
}

/// An action that the driver has to perform.
#[derive(Debug)]
pub enum Action<P> {
    /// An action of the session.
    Session(SessionAction<P>),
    /// Run the handler.
    Start {
        /// The call; [`Input::Done`] names it.
        call: Key,
        /// The index of its service in [`Config::services`](super::Config::services).
        service: usize,
        /// The index of its method in [`Config::methods`](super::Config::methods). `None`: the path is not one of these, or the call is raw.
        method: Option<usize>,
        /// The call's deadline.
        deadline: Time,
        /// The number of this attempt, from 1.
        attempt: u8,
        /// The streams of the call.
        kind: CallKind,
        /// Path, metadata and, unless requests stream, payload.
        body: P,
    },
    /// A part of the call's stream of requests has arrived.
    Part {
        /// The call.
        call: Key,
        /// An item, or the end.
        part: Part<P>,
    },
    /// The handler may send more items.
    Credit {
        /// The call.
        call: Key,
        /// The additional credit, in units.
        units: u32,
    },
    /// Stop the handler: no client waits for its reply.
    Abort {
        /// The call.
        call: Key,
        /// The cause.
        cause: AbortCause,
    },
    /// The broker has the worker's offers: it can be granted slots.
    Offered,
    /// The broker keeps to the GRANT of this number.
    Granted {
        /// The index of the service in [`Config::services`](super::Config::services).
        service: usize,
        /// The number of the GRANT.
        number: u64,
    },
    /// Calls wait at the broker for more slots.
    Demand {
        /// The index of the service in [`Config::services`](super::Config::services).
        service: usize,
        /// The number of calls. 0: none any more.
        calls: u32,
    },
    /// The worker, or its broker, is about to leave: notify the running handlers, and those that begin as long as
    /// [`Worker::is_draining`](super::Worker::is_draining).
    Draining,
    /// The worker is closed and accepts no more input.
    Closed,
}

/// Why a handler is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortCause {
    /// The call's time is up.
    Deadline,
    /// The client gave the call up.
    Cancelled,
    /// The session with the broker is lost, so the reply has nowhere to go.
    SessionLost,
    /// The worker leaves, and its grace period is over.
    Shutdown,
    /// The worker, or its broker, is about to leave, and the call has streams.
    Drained,
    /// The handler sent an item that is too large, or without credit.
    BadItem,
}

impl<P> From<SessionAction<P>> for Action<P> {
    fn from(action: SessionAction<P>) -> Self {
        Action::Session(action)
    }
}
