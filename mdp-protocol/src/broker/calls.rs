//! One call's life in the broker.
//!
//! ```text
//!              no slot                       slot
//! REQUEST ──────────────▶ Queued / Pinned ──────────▶ Running ──── FINAL ───▶ ended
//!    │  slot free                 ▲                   │  │  │
//!    └────────────────────────────┼───────────────────┘  │  └─ deadline, CANCEL ─▶ Overdue ─▶ slot back
//!                                 └── worker lost, safe ─┘
//! ```
//!
//! A client is told once: the first of FINAL, deadline, loss or refusal ends the call for it.

use alloc::boxed::Box;

use super::backlog::Backlog;
use super::io::Name;
use super::requests::Request;
use super::streams::Flow;
use super::{BY_CLIENT, BY_PLACE, Broker, PlantedBug};
use crate::list::{Link, Linked};
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Code;
use crate::time::{Span, Time};
use crate::wire::Reply;

/// A call that has not ended, or whose slot is still taken.
#[derive(Debug)]
pub(super) struct Call<P> {
    /// The client's session, which may be gone; [`Key::NOWHERE`] for a call of the broker's own.
    owner: Key,
    /// The client is there, and waits for an answer.
    pub(super) waits: bool,
    /// The client's name for the call.
    pub(super) client_call: u64,
    /// The service whose worker it is for; [`Key::NOWHERE`] until that is known.
    pub(super) service: Key,
    pub(super) place: Place,
    pub(super) deadline: Time,
    /// When it ends if it still waits then: before its deadline, so that its client hears of it in time. A leased call
    /// waits until its deadline.
    wait_until: Time,
    /// It waits for a worker only where there is one.
    pub(super) no_wait: bool,
    /// The deadline is for waiting or for running, and set anew when that changes.
    pub(super) leased: bool,
    /// Frames of plain MDP, not a method's message.
    pub(super) raw: bool,
    /// How often it was given to a worker.
    pub(super) attempt: u8,
    pub(super) idempotent: bool,
    /// It wants one worker and no other.
    pub(super) targeted: bool,
    /// A worker was lost while it held the call, so a handler may have run.
    pub(super) maybe_started: bool,
    /// What its client called, where there are hooks: they may have sent it elsewhere.
    pub(super) path: Option<Box<Name>>,
    /// Where it counts.
    pub(super) row: Option<Key>,
    /// When it came, was lost by a worker, or was given to one: the low bits of the milliseconds.
    since: u32,
    /// How long it waited for its worker, in milliseconds.
    pub(super) waited: u32,
    pub(super) flow: Flow,
    /// What a worker without credit sent beyond what its client allowed.
    pub(super) backlog: Option<Box<Backlog<P>>>,
    /// Kept while it waits, and for another attempt if that is safe.
    body: Option<P>,
    /// The body's size while it is kept, in bytes.
    pub(super) bytes: u32,
    /// The place of what its caller's principal uses, which stays there while it counts this call; or [`UNCOUNTED`].
    pub(super) usage: u32,
    by_place: Link,
    by_client: Link,
}

/// The usage of a call that counts for no principal.
pub(super) const UNCOUNTED: u32 = u32::MAX;

/// The longest that the end of a call which waits comes before its deadline.
const HEAD_START: u64 = 250;

/// How long a call may wait for a worker (`wire.md` R41): the broker's answer is to be with the client before the client's own
/// timer ends the call, which cannot know whether a handler was started.
fn longest_wait(request: &Request<'_>) -> Span {
    let time = request.timeout.as_ms();
    let wait = match u64::from(request.marks.wait_ms) {
        0 => time,
        wait => wait.min(time),
    };
    Span::from_ms(wait.saturating_sub((wait / 8).clamp(1, HEAD_START)))
}

fn low_bits(now: Time) -> u32 {
    now.as_ms() as u32
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the queue of its service, in the turn of its client.
    Queued(Key),
    /// Behind the one worker that it wants.
    Pinned(Key),
    /// With a worker.
    Running(Key),
    /// With a worker, though nobody waits any more: the time is up, or it was cancelled.
    Overdue(Key),
    /// With the hooks.
    Asked(Stage),
    /// The hooks want that its client is told nothing.
    Silenced(Stage),
    /// Its worker has ended it; the client is still to take what is in the backlog.
    Ending,
}

/// What the hooks are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Request,
    Reply,
}

/// A worker's FINAL without its addresses.
pub(super) struct End<P> {
    pub(super) code: Code,
    pub(super) not_started: bool,
    pub(super) reply: Reply<P>,
}

impl<P> Linked<BY_PLACE> for Call<P> {
    fn link(&mut self) -> &mut Link {
        &mut self.by_place
    }
    fn link_ref(&self) -> &Link {
        &self.by_place
    }
}

impl<P> Linked<BY_CLIENT> for Call<P> {
    fn link(&mut self) -> &mut Link {
        &mut self.by_client
    }
    fn link_ref(&self) -> &Link {
        &self.by_client
    }
}

impl<P> Call<P> {
    /// A call that is in no list yet.
    pub(super) fn new(now: Time, client: Key, request: &Request<'_>, raw: bool) -> Self {
        Call {
            owner: client,
            waits: client != Key::NOWHERE,
            client_call: request.call,
            service: Key::NOWHERE,
            place: Place::Ending,
            deadline: now + request.timeout,
            wait_until: now + longest_wait(request),
            no_wait: request.marks.no_wait,
            leased: request.leased,
            raw,
            attempt: 0,
            idempotent: request.idempotent,
            targeted: !request.target.is_empty(),
            maybe_started: false,
            path: None,
            row: request.row,
            since: low_bits(now),
            waited: 0,
            flow: Flow::new(request.kind),
            backlog: None,
            body: None,
            bytes: 0,
            usage: UNCOUNTED,
            by_place: Link::default(),
            by_client: Link::default(),
        }
    }

    /// How long ago [`since`](Self::since) is, which begins anew. Calls last for less than 49 days: their time has 32 bits on the wire.
    pub(super) fn lap(&mut self, now: Time) -> Span {
        let passed = self.passed(now);
        self.since = low_bits(now);
        passed
    }

    /// How long ago [`since`](Self::since) is.
    pub(super) fn passed(&self, now: Time) -> Span {
        Span::from_ms(low_bits(now).wrapping_sub(self.since).into())
    }

    /// When it ends if it still waits then.
    pub(super) fn waits_until(&self) -> Time {
        if self.leased { self.deadline } else { self.wait_until }
    }

    /// The client, while it is there and waits for an answer.
    pub(super) fn client(&self) -> Option<Key> {
        self.waits.then_some(self.owner)
    }

    /// The session of the client that made it, which may be gone.
    pub(super) fn owner(&self) -> Key {
        self.owner
    }

    /// Its body is here, for another attempt.
    pub(super) fn is_kept(&self) -> bool {
        self.body.is_some()
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.place, Place::Queued(_) | Place::Pinned(_))
    }

    pub(super) fn is_ending(&self) -> bool {
        self.place == Place::Ending
    }

    pub(super) fn is_asked_about(&self) -> bool {
        matches!(self.place, Place::Asked(_))
    }

    /// In no list of a place.
    pub(super) fn is_unlisted(&self) -> bool {
        matches!(self.place, Place::Asked(_) | Place::Silenced(_) | Place::Ending)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.place, Place::Running(_))
    }
}

impl<P: Payload> Broker<P> {
    pub(super) fn keep_body(&mut self, key: Key, body: P) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.bytes = u32::try_from(body.size()).unwrap_or(u32::MAX);
        call.body = Some(body);
        let (bytes, usage) = (call.bytes as usize, call.usage);
        self.held_bytes += bytes;
        self.count_bytes(usage, bytes);
    }

    pub(super) fn release_body(&mut self, key: Key) -> Option<P> {
        let call = self.calls.get_mut(key)?;
        let (usage, body) = (call.usage, call.body.take());
        let bytes = core::mem::take(&mut call.bytes) as usize;
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
        self.uncount_bytes(usage, bytes);
        body
    }

    pub(super) fn remove_waiting(&mut self, key: Key) {
        let service = self.calls.get(key).map(|call| call.service);
        self.unqueue(key);
        self.remove(key);
        if let Some(service) = service {
            self.drop_if_unused(service);
        }
    }

    /// The client waits for the call no longer. What the call takes of a quota or a limit stays taken until it is over:
    /// a worker may be at work on it.
    pub(super) fn detach_client(&mut self, key: Key) {
        if !self.unlink_client(key) {
            return;
        }
        if self.planted(PlantedBug::ForgetAbandonedCalls) {
            self.uncount_call(key);
        }
        let owner = self.calls.get(key).map(Call::owner);
        if let Some(session) = owner.and_then(|owner| self.sessions.get_mut(owner)) {
            session.abandoned += 1;
        }
    }
}

pub(super) fn no_name() -> Name {
    Name::from([])
}
