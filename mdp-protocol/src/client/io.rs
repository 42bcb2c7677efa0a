//! What the client's driver tells the machine, and what the machine tells the driver.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::session::SessionAction;
use crate::slab::Key;
use crate::status::{Code, Refusal};
use crate::time::Span;
use crate::wire::{CallKind, Part, Record};

use super::Pending;

/// An input of the client. `T` is a value that comes back to the driver with the outcome; the machine never reads it.
#[derive(Debug)]
pub enum Input<'a, P, T> {
    /// The user makes a call.
    Call(Call<P, T>),
    /// The user gives a call up: it ends without an outcome.
    Cancel(Key),
    /// The user has an item for a stream of requests, or ends it.
    Part {
        /// The call.
        call: Key,
        /// The part. An item needs credit, see [`Action::Credit`]. Without credit the call ends with INTERNAL.
        part: Part<P>,
    },
    /// The user has taken items of a stream of replies.
    Taken {
        /// The call.
        call: Key,
        /// The cost of these items, in units.
        units: u32,
    },
    /// A record arrived from the broker.
    Record(Record<&'a [u8], P>),
    /// A message arrived that cannot be read.
    Invalid,
    /// The socket has its connection: from now on the broker can answer HELLO.
    Made,
    /// A part of a message came, so the broker lives.
    Alive,
    /// The call's REQUEST was not given to a connection, and will not be: [`Broken`](Input::Broken) has to follow. The
    /// call waits as if it had not been sent.
    Unsent(u64),
    /// The socket could not be made, it failed, or its connection is known to be broken. Calls that were sent end, or are
    /// sent again (wire.md R49).
    Broken,
    /// A call that this or another client has [returned](Action::Returned): it goes on here.
    Again(Returned<P, T>),
    /// No event; time has passed.
    Tick,
    /// The client has to close: running calls get up to `grace` to end. New calls end with CANCELLED.
    Close {
        /// The longest time to wait.
        grace: Span,
    },
}

/// A call of the user.
#[derive(Debug)]
pub struct Call<P, T> {
    /// A value that comes back with the outcome.
    pub token: T,
    /// The time until its deadline.
    pub timeout: Span,
    /// The time within which a worker has to confirm that a call with a stream has begun. Not used for other calls.
    pub begin_within: Span,
    /// Whether its method may run more than once.
    pub idempotent: bool,
    /// The id of the only worker that may get the call, or empty.
    pub worker: Arc<[u8]>,
    /// The streams of the call.
    pub kind: CallKind,
    /// Path, metadata and, unless requests stream, payload.
    pub body: P,
}

/// An action that the driver has to perform.
#[derive(Debug)]
pub enum Action<P, T> {
    /// An action of the session.
    Session(SessionAction<P>),
    /// A part of a call's stream of replies has arrived.
    Part {
        /// The call.
        call: Key,
        /// The opening, or an item.
        part: Part<P>,
    },
    /// The user may send more items.
    Credit {
        /// The call.
        call: Key,
        /// The additional credit, in units.
        units: u32,
    },
    /// A call has ended.
    Done {
        /// The call's token.
        token: T,
        /// The outcome.
        outcome: Outcome<P>,
    },
    /// A call has not begun here, and may go on with another broker; see [`Config::returns`](super::Config::returns).
    Returned(Returned<P, T>),
    /// The client is closed and accepts no more input.
    Closed,
}

/// A call that has not begun, with the outcome that it has if it goes nowhere else.
#[derive(Debug)]
pub struct Returned<P, T> {
    pub(super) call: Pending<P, T>,
    pub(super) outcome: Outcome<P>,
}

/// The outcome of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<P> {
    /// A worker, or the broker for it, ended the call. Unless the code is OK the body is a status.
    Final {
        /// The code.
        code: Code,
        /// Whether it is certain that no handler was started.
        not_started: bool,
        /// The number of attempts that the broker made.
        attempt: u8,
        /// The reply or the status.
        body: P,
    },
    /// The client itself ended the call.
    Refused(Box<Refusal>),
}

impl<P, T> From<SessionAction<P>> for Action<P, T> {
    fn from(action: SessionAction<P>) -> Self {
        Action::Session(action)
    }
}

impl<P, T> Returned<P, T> {
    /// The call's token, and the outcome.
    pub fn into_outcome(self) -> (T, Outcome<P>) {
        (self.call.token, self.outcome)
    }
}
