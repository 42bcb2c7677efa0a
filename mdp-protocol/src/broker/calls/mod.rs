//! One call's life in the broker.
//!
//! ```text
//! accept ──▶ Queued, Pinned ── dispatch ──▶ Running ── take_final ──▶ end_attempt ── conclude ──▶ remove
//!               ▲      │                     │   │                        │
//!               │      │ refuse_waiting,     │   │ expire_running,        │ not started
//!               │      │ send_back, abandon  │   │ abandon                │
//!               │      ▼                     │   ▼                        │
//!               │    remove                  │ Overdue ── take_final or reclaim ──▶ remove
//!               └───────── requeue ◀─────────┴────────────────────────────┘
//!                             worker lost
//!
//! slot free:      accept ── dispatch ──▶ Running
//! with hooks:     accept ── ask_about_request ──▶ Asked ── take_verdict ──▶ Queued, Pinned, Running or remove
//!                 conclude ── ask_about_reply ──▶ Asked ── take_verdict ──▶ remove, or Silenced until the deadline
//! with a backlog: end_attempt ── conclude_later ──▶ Ending ── conclude ──▶ remove
//! ```
//!
//! Each step has one verb:
//!
//! | verb | step | in |
//! |---|---|---|
//! | `accept` | A REQUEST becomes a call. | `routing` |
//! | `refuse_request`, `send_back_request` | A REQUEST does not become a call: its client is sent a refusal, or CANCEL. | `refusing` |
//! | `resolve`, `find_route`, `follow` | What the path means, where the call goes, and the way there. | `routing` |
//! | `ask_about_request`, `ask_about_reply`, `take_verdict` | The hooks are asked, and say what happens. | `hooks` |
//! | `enqueue`, `pin`, `unqueue` | The call waits for a worker, or no longer. | `services` |
//! | `dispatch` | A worker is given the call. | `routing` |
//! | `take_final`, `end_attempt` | A worker's FINAL ends its attempt. | `concluding` |
//! | `free_slot`, `fill_slots` | The slot is free again; a call that waits gets it. | `concluding` |
//! | `lose_call`, `requeue` | Its worker is lost; the call waits for another attempt. | `retries` |
//! | `conclude`, `conclude_later` | The call ends with what its worker said; later, where items wait for credit. | `concluding`, `backlog` |
//! | `send_reply`, `send_refusal` | The client is sent FINAL: the worker's, or the broker's own. | `concluding`, `refusing` |
//! | `refuse`, `refuse_waiting` | The broker ends a call that is in no list, or one that waits. | `refusing` |
//! | `send_back` | A waiting call ends with CANCEL to its client, which may make it again. | `refusing` |
//! | `expire_waiting`, `expire_running`, `expire_asked` | The time is up. | `expiring` |
//! | `abandon` | The client waits no longer: it has sent CANCEL, or has left. | `abandoning` |
//! | `hold_slot`, `reclaim` | The worker keeps its slot for a while, and then loses it. | `abandoning`, `expiring` |
//! | `remove` | The entry goes. | `concluding` |
//!
//! A client is sent one end: the first of FINAL, deadline, loss or refusal ends the call for it.

mod table;

use alloc::boxed::Box;

use super::backlog::Backlog;
use super::flow::Flow;
use super::io::Name;
use super::routing::Request;
use super::services::RunNumber;
use super::{BY_STATE, Broker};
use crate::list::{Linked, ListLink};
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Code;
use crate::time::{Span, Time};
use crate::wire::Reply;
pub(super) use table::Calls;

/// A call that has not ended, or whose slot is still taken.
#[derive(Debug)]
pub(super) struct BrokerCall<P> {
    /// The client's session, which may be gone; [`Key::NOWHERE`] for a call of the broker's own.
    owner: Key,
    /// The client is there, and waits for an answer.
    waits: bool,
    /// The client's name for the call.
    number: u64,
    /// The service whose worker it is for; [`Key::NOWHERE`] until that is known.
    service: Key,
    state: CallState,
    deadline: Time,
    /// When it ends if it still waits then: before its deadline, so that its client hears of it in time. A leased call
    /// waits until its deadline.
    wait_until: Time,
    /// It waits for a worker only where there is one.
    no_wait: bool,
    /// The deadline is for waiting or for running, and set anew when that changes.
    leased: bool,
    /// Frames of classic MDP, not a method's message.
    raw: bool,
    /// How often it was given to a worker.
    attempt: u8,
    idempotent: bool,
    /// It wants one worker and no other.
    targeted: bool,
    /// A worker was lost while it held the call, so a handler may have run.
    maybe_started: bool,
    /// The path that its client called, if the broker has hooks: they may have sent the call elsewhere.
    path: Option<Box<Name>>,
    /// Where it counts.
    row: Option<Key>,
    /// When it came, was lost by a worker, or was given to one: the low bits of the milliseconds.
    since: u32,
    /// How long it waited for its worker, in milliseconds.
    waited: u32,
    flow: Flow,
    /// Items of a worker without credit, beyond its client's credit.
    backlog: Option<Box<Backlog<P>>>,
    /// Kept while it waits, and for another attempt if that is safe.
    body: Option<P>,
    /// The body's size while it is kept, in bytes.
    bytes: u32,
    /// The run of its worker that it belongs to, if the replies to that are timed; else 0.
    run: RunNumber,
    /// The place of what its caller's principal uses, which stays there while it counts this call; or [`UNCOUNTED`].
    usage: u32,
    by_state: ListLink,
    by_client: ListLink,
}

/// The list of a client's calls.
const BY_CLIENT: usize = 1;

/// The usage of a call that counts for no principal.
pub(super) const UNCOUNTED: u32 = u32::MAX;

/// The longest that the end of a call which waits comes before its deadline.
const HEAD_START: u64 = 250;

/// How long a call may wait for a worker (`wire.md` R41): the broker's answer is to be with the client before the
/// client's own timer ends the call, which cannot know whether a handler was started.
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

/// The state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallState {
    /// In the queue of its service, in the turn of its client.
    Queued(Key),
    /// Behind the one worker that it wants.
    Pinned(Key),
    /// With a worker.
    Running(Key),
    /// With a worker, and no client waits: the time is up, or the call was abandoned.
    Overdue(Key),
    /// With the hooks.
    Asked(Stage),
    /// The hooks discarded the call: its client gets no answer.
    Silenced(Stage),
    /// Its worker has ended it; the client is still to take what is in the backlog.
    Ending,
}

/// The subject of the question to the hooks.
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

impl<P> Linked<BY_STATE> for BrokerCall<P> {
    fn link(&mut self) -> &mut ListLink {
        &mut self.by_state
    }
    fn link_ref(&self) -> &ListLink {
        &self.by_state
    }
}

impl<P> Linked<BY_CLIENT> for BrokerCall<P> {
    fn link(&mut self) -> &mut ListLink {
        &mut self.by_client
    }
    fn link_ref(&self) -> &ListLink {
        &self.by_client
    }
}

impl<P> BrokerCall<P> {
    /// A call that is in no list yet.
    pub(super) fn new(now: Time, client: Key, request: &Request<'_>, raw: bool) -> Self {
        BrokerCall {
            owner: client,
            waits: client != Key::NOWHERE,
            number: request.call,
            service: Key::NOWHERE,
            state: CallState::Ending,
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
            run: 0,
            usage: UNCOUNTED,
            by_state: ListLink::default(),
            by_client: ListLink::default(),
        }
    }

    /// Its REQUEST came back unread: this was no attempt.
    pub(super) fn undo_attempt(&mut self) {
        self.attempt = self.attempt.saturating_sub(1);
    }

    /// It waits for a worker again. `wait_until`: the deadline of a leased call.
    pub(super) fn wait_again(&mut self, now: Time, wait_until: Time) {
        self.lap(now);
        if self.leased {
            self.deadline = wait_until;
        }
    }

    /// A worker was lost while it held the call.
    pub(super) fn set_maybe_started(&mut self) {
        self.maybe_started = true;
    }

    /// The hooks want another reply: one handler has run, whatever becomes of the next.
    pub(super) fn begin_anew(&mut self) {
        self.maybe_started = true;
        self.attempt = 0;
    }

    pub(super) fn set_targeted(&mut self, targeted: bool) {
        self.targeted = targeted;
    }

    pub(super) fn set_service(&mut self, service: Key) {
        self.service = service;
    }

    pub(super) fn set_path(&mut self, path: &[u8]) {
        self.path = Some(Box::new(Name::from(path)));
    }

    /// Where it counts.
    #[inline]
    pub(super) fn row(&self) -> Option<Key> {
        self.row
    }

    pub(super) fn set_row(&mut self, row: Option<Key>) {
        self.row = row;
    }

    /// Its reply is timed with the others of this run.
    pub(super) fn set_run(&mut self, run: RunNumber) {
        self.run = run;
    }

    /// The run whose replies are timed together with its own; 0: none.
    #[inline]
    pub(super) fn run(&self) -> RunNumber {
        self.run
    }

    /// Counts the call for the principal with the usage at this index, or for none, with [`UNCOUNTED`]. Returns the
    /// previous index.
    #[inline]
    pub(super) fn set_usage(&mut self, usage: u32) -> u32 {
        core::mem::replace(&mut self.usage, usage)
    }

    #[inline]
    pub(super) fn usage(&self) -> u32 {
        self.usage
    }

    /// How long it waited for the worker that holds it.
    pub(super) fn waited(&self) -> Span {
        Span::from_ms(self.waited.into())
    }

    /// How long ago [`since`](Self::since) is, which begins anew. Calls last for less than 49 days: their time has 32
    /// bits on the wire.
    fn lap(&mut self, now: Time) -> Span {
        let passed = self.passed(now);
        self.since = low_bits(now);
        passed
    }

    /// How long ago [`since`](Self::since) is.
    #[inline]
    pub(super) fn passed(&self, now: Time) -> Span {
        Span::from_ms(low_bits(now).wrapping_sub(self.since).into())
    }

    /// When it ends if it still waits then.
    pub(super) fn waits_until(&self) -> Time {
        if self.leased { self.deadline } else { self.wait_until }
    }

    #[inline]
    pub(super) fn deadline(&self) -> Time {
        self.deadline
    }

    /// The client, while it is there and waits for an answer.
    #[inline]
    pub(super) fn client(&self) -> Option<Key> {
        self.waits.then_some(self.owner)
    }

    /// The session of the client that made it, which may be gone.
    pub(super) fn owner(&self) -> Key {
        self.owner
    }

    /// The client's name for the call.
    #[inline]
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The service whose worker it is for; [`Key::NOWHERE`] until that is known.
    #[inline]
    pub(super) fn service(&self) -> Key {
        self.service
    }

    #[inline]
    pub(super) fn state(&self) -> CallState {
        self.state
    }

    /// How often it was given to a worker.
    #[inline]
    pub(super) fn attempt(&self) -> u8 {
        self.attempt
    }

    /// The path that its client called, if the broker has hooks: they may have sent the call elsewhere.
    #[inline]
    pub(super) fn path(&self) -> Option<&Name> {
        self.path.as_deref()
    }

    #[inline]
    pub(super) fn flow(&self) -> &Flow {
        &self.flow
    }

    #[inline]
    pub(super) fn flow_mut(&mut self) -> &mut Flow {
        &mut self.flow
    }

    /// Items of a worker without credit, beyond its client's credit.
    pub(super) fn backlog(&self) -> Option<&Backlog<P>> {
        self.backlog.as_deref()
    }

    pub(super) fn backlog_mut(&mut self) -> &mut Option<Box<Backlog<P>>> {
        &mut self.backlog
    }

    #[inline]
    pub(super) fn has_backlog(&self) -> bool {
        self.backlog.is_some()
    }

    /// The body's size while it is kept, in bytes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Its body is here, for another attempt.
    pub(super) fn is_kept(&self) -> bool {
        self.body.is_some()
    }

    /// The method may be run more than once.
    #[inline]
    pub(super) fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The deadline is for waiting or for running, and set anew when that changes.
    #[inline]
    pub(super) fn is_leased(&self) -> bool {
        self.leased
    }

    /// Frames of classic MDP, not a method's message.
    #[inline]
    pub(super) fn is_raw(&self) -> bool {
        self.raw
    }

    /// It wants one worker and no other.
    pub(super) fn is_targeted(&self) -> bool {
        self.targeted
    }

    /// It waits for a worker only where there is one.
    pub(super) fn has_no_wait(&self) -> bool {
        self.no_wait
    }

    /// A handler may have run in an earlier attempt.
    #[inline]
    pub(super) fn maybe_started(&self) -> bool {
        self.maybe_started
    }

    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, CallState::Queued(_) | CallState::Pinned(_))
    }

    pub(super) fn is_ending(&self) -> bool {
        self.state == CallState::Ending
    }

    pub(super) fn is_asked_about(&self) -> bool {
        matches!(self.state, CallState::Asked(_))
    }

    /// In no list of a state.
    pub(super) fn is_unlisted(&self) -> bool {
        matches!(self.state, CallState::Asked(_) | CallState::Silenced(_) | CallState::Ending)
    }

    #[inline]
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, CallState::Running(_))
    }
}

impl<P: Payload> Broker<P> {
    /// Keeps the body of a call while it waits, or for another attempt.
    pub(super) fn keep_body(&mut self, key: Key, body: P) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.bytes = u32::try_from(body.size()).unwrap_or(u32::MAX);
        call.body = Some(body);
        let (bytes, usage) = (call.bytes(), call.usage);
        self.calls.count_held(bytes);
        self.principals.count_bytes(usage, bytes);
    }

    /// The body of a call is elsewhere, and counts here all the same.
    pub(super) fn count_body(&mut self, key: Key, bytes: usize) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let (bytes, usage) = (call.bytes(), call.usage);
        self.calls.count_held(bytes);
        self.principals.count_bytes(usage, bytes);
    }

    /// Takes the body of a call, if it is kept. It counts no longer.
    pub(super) fn release_body(&mut self, key: Key) -> Option<P> {
        let call = self.calls.get_mut(key)?;
        let (usage, body) = (call.usage, call.body.take());
        let bytes = core::mem::take(&mut call.bytes) as usize;
        self.calls.uncount_held(bytes);
        self.principals.uncount_bytes(usage, bytes);
        body
    }

    pub(super) fn remove_waiting(&mut self, key: Key) {
        let service = self.calls.get(key).map(BrokerCall::service);
        self.unqueue(key);
        self.remove(key);
        if let Some(service) = service {
            self.services.drop_if_unused(service);
        }
    }
}

pub(super) fn no_name() -> Name {
    Name::from([])
}
