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
use alloc::vec::Vec;

use super::backlog::Backlog;
use super::io::{Action, Name};
use super::refusals::{
    broker_gone, deadline_refusal, hidden_reply, no_service, no_tunnel, worker_lost,
};
use super::requests::Request;
use super::streams::Flow;
use super::unread::UNREAD_STEP;
use super::{BY_CLIENT, BY_PLACE, Broker, PlantedBug, final_of};
use crate::list::{Link, Linked};
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::{Code, Refusal};
use crate::time::{Span, Time};
use crate::wire::{DisconnectReason, Record, Reply};

/// A call that has not ended, or whose slot is still taken.
#[derive(Debug)]
pub(super) struct Call<P> {
    /// The client's session, which may be gone; [`Key::NOWHERE`] for a call of the broker's own.
    owner: Key,
    /// The client is there, and waits for an answer.
    waits: bool,
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
    /// The timer of a waiting call: the end of its time to wait, or sooner if nobody serves what it asks for.
    pub(super) fn arm_waiting(&mut self, now: Time, key: Key) {
        let Some(call) = self.calls.get(key) else { return };
        let mut at = self.latest_start(call);
        if !call.leased && !self.is_served(call.service) {
            let wait = if call.no_wait { Span::ZERO } else { self.config.unserved_wait };
            at = at.min(now + wait);
        }
        self.call_timer.set(key.index(), at);
    }

    pub(super) fn hold(&mut self, key: Key, body: P) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.bytes = u32::try_from(body.size()).unwrap_or(u32::MAX);
        call.body = Some(body);
        let (bytes, usage) = (call.bytes as usize, call.usage);
        self.held_bytes += bytes;
        self.count_bytes(usage, bytes);
    }

    pub(super) fn let_go(&mut self, key: Key) -> Option<P> {
        let call = self.calls.get_mut(key)?;
        let (usage, body) = (call.usage, call.body.take());
        let bytes = core::mem::take(&mut call.bytes) as usize;
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
        self.uncount_bytes(usage, bytes);
        body
    }

    /// Gives a call that is in no list to a worker.
    pub(super) fn dispatch_held(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        out: &mut Vec<Action<P>>,
    ) {
        if let Some(body) = self.let_go(key) {
            self.dispatch(now, key, worker, body, out);
        }
    }

    pub(super) fn dispatch(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        body: P,
        out: &mut Vec<Action<P>>,
    ) {
        if let Some(refusal) = self.cannot_take(key, worker) {
            self.stats.refused += 1;
            self.tell(now, key, |_| refusal, out);
            return self.remove(key);
        }
        let run_timeout = self.config.plain.run_timeout;
        let peer = self.caller(key);
        let keep_all = self.planted(PlantedBug::RedispatchEverything);
        let size = body.size();
        let room = self.held_bytes + size <= self.config.limits.held_bytes;
        self.count_dispatch(now, key, &body);
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(registration) = self.registrations.get_mut(worker) else { return };
        call.attempt = call.attempt.saturating_add(1);
        call.place = Place::Running(worker);
        if call.leased {
            call.deadline = now + run_timeout;
        }
        let (deadline, session, kind) = (call.deadline, registration.session, call.flow.kind());
        // Another attempt is a comfort: without room for the body the call has only this one.
        let again = (call.idempotent || keep_all) && call.attempt < self.config.limits.attempts;
        let kept = (again && room).then(|| body.keep());
        let record = Record::Request {
            call: key.as_u64(),
            timeout: deadline - now,
            idempotent: call.idempotent,
            attempt: call.attempt,
            peer,
            kind,
            body,
        };
        registration.running += 1;
        let given = registration.given.add(self.unread.input(), size);
        registration.tally.requests += 1;
        registration.calls.push_back::<BY_PLACE, _>(&mut self.calls, key);
        self.reload(worker);
        self.running += 1;
        self.stats.dispatched += 1;
        self.call_timer.set(key.index(), deadline);
        if let Some(kept) = kept {
            self.hold(key, kept);
        }
        self.send(now, session, record, out);
        if given >= UNREAD_STEP {
            self.gave(session, given);
        }
        if kind.is_stream() {
            self.catch_up(now, key, session, out);
        }
    }

    /// Who made a call, as its worker is told.
    pub(super) fn caller(&self, key: Key) -> Name {
        let client = self.calls.get(key).and_then(|call| call.client());
        let Some(session) = client.and_then(|key| self.sessions.get(key)) else { return no_name() };
        session.who()
    }

    /// FINAL: counts only from the worker that holds the call.
    pub(super) fn finish(
        &mut self,
        now: Time,
        from: Key,
        call: u64,
        end: End<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let key = Key::from_u64(call);
        let Some((key, place)) = key.and_then(|key| Some((key, self.calls.get(key)?.place))) else {
            return self.stray(now, from, key, out);
        };
        let holder = match place {
            Place::Running(worker) | Place::Overdue(worker) => {
                self.registrations.get(worker).map(|found| (worker, found.session))
            }
            Place::Queued(_)
            | Place::Pinned(_)
            | Place::Asked(_)
            | Place::Silenced(_)
            | Place::Ending => None,
        };
        match holder {
            Some((worker, session))
                if session == from || self.planted(PlantedBug::AnyoneMayReply) =>
            {
                self.end_attempt(now, key, worker, end, out);
            }
            _ => self.stray(now, from, Some(key), out),
        }
    }

    fn end_attempt(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        mut end: End<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let running = self.calls.get(key).is_some_and(Call::is_running);
        // Who has sent a part of a stream cannot say that no handler was started.
        end.not_started &= !self.calls.get(key).is_some_and(|call| call.flow.has_begun());
        self.leave_worker(key, worker);
        let holder = self.registrations.get(worker).map(|worker| worker.session);
        if let Some(holder) = holder.and_then(|holder| self.sessions.get_mut(holder)) {
            holder.unanswered.0 = 0;
        }
        if running && end.not_started && self.may_retry(now, key) {
            self.requeue(now, key);
            return self.free_slot(now, worker, out);
        }
        let end = if running { self.with_readable_metadata(end) } else { end };
        self.count_answer(now, key, worker, end.code);
        if !end.not_started && end.code != Code::Cancelled {
            self.count_duration(now, key);
        }
        if running {
            let id = self
                .registrations
                .get(worker)
                .and_then(|worker| self.sessions.get(worker.session))
                .map_or_else(no_name, |session| session.id.clone());
            self.stats.replies += 1;
            if self.calls.get(key).is_some_and(|call| call.backlog.is_some()) {
                self.end_later(key, end, id);
                return self.free_slot(now, worker, out);
            }
            self.conclude(now, key, end, id, out);
            return self.free_slot(now, worker, out);
        }
        self.stats.late += 1;
        let orphan = self.calls.get(key).is_some_and(|call| call.client().is_none());
        self.remove(key);
        if orphan && self.planted(PlantedBug::LeakSlotOfDeadClient) {
            return;
        }
        self.free_slot(now, worker, out);
    }

    pub(super) fn reply(
        &mut self,
        now: Time,
        key: Key,
        end: End<P>,
        peer: Name,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(call) = self.calls.get(key) else { return };
        let Some(client) = call.client() else { return self.schema_told(now, key, &end, out) };
        let no_message = matches!(&end.reply, Reply::Body(body) if body.is_raw() && !call.raw);
        if no_message {
            return self.tell(now, key, |_| no_tunnel(), out);
        }
        if matches!(&end.reply, Reply::Body(body) if self.hides_reply(call, body)) {
            return self.tell(now, key, |_| hidden_reply(), out);
        }
        let code = end.code;
        let record = if end.not_started && call.maybe_started {
            // The worker speaks for its own attempt only.
            final_of(call.client_call, call.attempt, Refusal::of_last_attempt(end.code))
        } else {
            Record::Final {
                call: call.client_call,
                code: end.code,
                not_started: end.not_started,
                attempt: call.attempt,
                peer,
                reply: end.reply,
            }
        };
        self.count_end(now, key, code);
        self.send(now, client, record, out);
    }

    /// Takes a call out of its worker's hands; the slot is still counted.
    pub(super) fn leave_worker(&mut self, key: Key, worker: Key) {
        if let Some(registration) = self.registrations.get_mut(worker) {
            registration.calls.remove::<BY_PLACE, Call<P>>(&mut self.calls, key);
        }
        if self.calls.get(key).is_some_and(Call::is_running) {
            self.running -= 1;
        }
    }

    /// A FINAL for a call that this worker does not hold. Late ones happen; others are a fault.
    pub(super) fn stray(
        &mut self,
        now: Time,
        from: Key,
        call: Option<Key>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(session) = self.sessions.get_mut(from) else { return };
        let was_one = call.is_some_and(|call| self.calls.was_removed(call));
        if session.late > 0 && was_one {
            session.late -= 1;
            session.unanswered.0 = 0;
            self.stats.late += 1;
            return;
        }
        self.stats.invalid += 1;
        // RFC 7, RFC 18 B10: a reply without a request.
        self.expel(now, from, DisconnectReason::Unexpected, out);
    }

    /// A call's timer fired.
    pub(super) fn call_due(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(call) = self.calls.get(key) else { return };
        match call.place {
            Place::Queued(_) | Place::Pinned(_) => self.waiting_due(now, key, out),
            Place::Running(worker) => {
                if !self.planted(PlantedBug::NoDeadlineInFlight) {
                    self.become_overdue(now, key, worker, out);
                }
            }
            Place::Overdue(worker) => self.reclaim(now, key, worker, out),
            Place::Asked(stage) | Place::Silenced(stage) => self.unjudged(now, key, stage, out),
            Place::Ending => {
                self.stats.expired += 1;
                self.tell(now, key, |_| deadline_refusal(true), out);
                self.remove(key);
            }
        }
    }

    fn waiting_due(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(call) = self.calls.get(key) else { return };
        // Also at the end of its time: that nobody serves it is the truth then, too.
        if !call.leased && !self.is_served(call.service) {
            self.stats.refused += 1;
            return self.refuse_waiting(now, key, no_service, out);
        }
        // Else a worker came in the meantime, though it has no free slot; or calls do not take as long as they did.
        if !self.end_hopeless(now, key, out)
            && let Some(call) = self.calls.get(key)
        {
            let at = self.latest_start(call).max(now + Span::from_ms(1));
            self.call_timer.set(key.index(), at);
        }
    }

    /// The time of a waiting call is up.
    pub(super) fn expire_waiting(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let started = self.calls.get(key).is_some_and(|call| call.maybe_started);
        self.stats.expired += 1;
        self.refuse_waiting(now, key, |_| deadline_refusal(started), out);
    }

    /// Tells the client of a call how it ended.
    pub(super) fn tell(
        &mut self,
        now: Time,
        key: Key,
        refusal: impl FnOnce(u8) -> Refusal,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(call) = self.calls.get(key) else { return };
        if let Some(client) = call.client() {
            let mut refusal = refusal(call.attempt);
            refusal.not_started &= !call.maybe_started;
            self.stats.reasons.count(refusal.reason);
            let code = refusal.code;
            let record = final_of(call.client_call, call.attempt, refusal);
            self.count_end(now, key, code);
            self.send(now, client, record, out);
        }
    }

    /// Ends a waiting call with a refusal.
    pub(super) fn refuse_waiting(
        &mut self,
        now: Time,
        key: Key,
        refusal: impl FnOnce(u8) -> Refusal,
        out: &mut Vec<Action<P>>,
    ) {
        self.tell(now, key, refusal, out);
        self.drop_waiting(key);
    }

    /// Hands a waiting call back to its client, which may make it again elsewhere. One whose
    /// handler may have run is refused instead.
    pub(super) fn give_back(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(call) = self.calls.get(key) else { return };
        let Some(client) = call.client().filter(|_| !call.maybe_started) else {
            return self.refuse_waiting(now, key, |attempt| worker_lost("", attempt, attempt), out);
        };
        let record = Record::Cancel { call: call.client_call };
        self.send(now, client, record, out);
        self.drop_waiting(key);
    }

    /// Ends the running calls that may not run twice, for the broker leaves. After this a client
    /// knows that such a call without an answer was never read.
    pub(super) fn tell_running(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        // A plain client does not know that it should ask again.
        let is_plain = |call: &Call<P>| {
            let client = call.client().and_then(|client| self.sessions.get(client));
            client.is_some_and(|client| client.plain.is_some())
        };
        let told = |call: &Call<P>| match call.place {
            Place::Running(_) => !call.idempotent || is_plain(call),
            Place::Asked(Stage::Reply) | Place::Silenced(Stage::Reply) => {
                !call.idempotent || is_plain(call)
            }
            Place::Asked(Stage::Request) | Place::Silenced(Stage::Request) => is_plain(call),
            Place::Ending => true,
            _ => false,
        };
        let calls = self.calls.iter().filter(|(_, call)| told(call));
        let running: Vec<Key> = calls.map(|(key, _)| key).collect();
        for call in running {
            self.tell(now, call, broker_gone, out);
        }
    }

    pub(super) fn drop_waiting(&mut self, key: Key) {
        let service = self.calls.get(key).map(|call| call.service);
        self.unqueue(key);
        self.remove(key);
        if let Some(service) = service {
            self.drop_if_unused(service);
        }
    }

    /// The call is over: it is in no list of a place any more, and holds no slot.
    pub(super) fn remove(&mut self, key: Key) {
        self.let_go(key);
        self.drop_backlog(key);
        if !self.leave_client(key) {
            self.uncount_abandoned(key);
        }
        self.uncount_call(key);
        self.call_timer.clear(key.index());
        self.calls.discard(key);
    }

    /// The client waits for the call no longer. What the call takes of a quota or a limit stays taken until it is over:
    /// a worker may be at work on it.
    pub(super) fn forget_caller(&mut self, key: Key) {
        if !self.leave_client(key) {
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

    /// Takes a call from its client. `false`: none waited for it.
    fn leave_client(&mut self, key: Key) -> bool {
        let Some(call) = self.calls.get_mut(key) else { return false };
        let Some(client) = call.client() else { return false };
        call.waits = false;
        let number = call.client_call;
        self.by_number.remove(&(client, number));
        if let Some(session) = self.sessions.get_mut(client) {
            session.calls.remove::<BY_CLIENT, Call<P>>(&mut self.calls, key);
        }
        true
    }

    /// A call that its client has given up is over.
    fn uncount_abandoned(&mut self, key: Key) {
        let owner = self.calls.get(key).map(Call::owner);
        if let Some(client) = owner.and_then(|owner| self.sessions.get_mut(owner)) {
            client.abandoned = client.abandoned.saturating_sub(1);
        }
    }
}

pub(super) fn no_name() -> Name {
    Name::from([])
}
