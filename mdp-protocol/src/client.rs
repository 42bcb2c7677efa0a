//! The client: takes calls and gives one outcome for each.
//!
//! A call that was never sent waits for a session. A call that was sent when its session is lost is sent again if its
//! method is idempotent; otherwise it ends with UNAVAILABLE, which says that the handler may have run. In any case a
//! call ends at its deadline.
//!
//! A call may have streams: parts are sent within the credit that the machine reports, and received within the credit
//! that it gave. After the first part the call is not sent again.

mod balancer;
mod io;

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use balancer::{Balancer, BalancerConfig, Event, MAX_BROKERS};
pub use io::{Action, Call, Input, Outcome, Returned};

use crate::limits::Limit;
use crate::list::{Linked, List, ListLink};
use crate::names;
use crate::payload::Payload;
use crate::session::{Heard, LossCause, PeerSession, SessionConfig, Ticked};
use crate::slab::{Key, Slab};
use crate::status::{Code, Reason, Refusal};
use crate::stream::{DEFAULT_WINDOW, Ends};
use crate::time::{Span, Time};
use crate::wheel::Wheel;
use crate::wire::{Direction, DisconnectReason, Part, Record, Reply};

/// Settings of a client.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the client reaches a broker.
    pub session: SessionConfig,
    /// Calls at once. A further call ends at once with RESOURCE_EXHAUSTED. Default: 10,000.
    pub calls: usize,
    /// How often an idempotent call is sent at most. Default: 3.
    pub attempts: u8,
    /// Units of credit for each stream of replies; see [`units`](crate::wire::units). Default: 4,096.
    pub window: u32,
    /// The client is one of several, each with a broker of its own. A call that this broker cannot begin, or that would
    /// wait for its next session, is [returned](Action::Returned), so that it can go on with another broker. Default:
    /// `false`.
    pub returns: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            session: SessionConfig::default(),
            calls: 10_000,
            attempts: 3,
            window: DEFAULT_WINDOW,
            returns: false,
        }
    }
}

/// The client's state machine. The [crate's guide](crate) shows how to drive it.
#[derive(Debug)]
pub struct Client<P, T> {
    config: Config,
    session: PeerSession,
    calls: Slab<Pending<P, T>>,
    /// Calls for the next session, in order.
    waiting: List,
    /// Calls with the broker, in order.
    sent: List,
    timer: Wheel,
    /// The broker takes no new calls.
    draining: bool,
    last_loss: Option<LossCause>,
    /// The last path that was found to be one, or nothing: calls of the same method are not checked again.
    known: Vec<u8>,
    closing: Option<Time>,
    closed: bool,
    /// The millisecond whose timers have been handled.
    timers_done: Option<Time>,
}

#[derive(Debug)]
struct Pending<P, T> {
    token: T,
    deadline: Time,
    /// When a call with a stream has to have begun, at the latest.
    begin_by: Time,
    idempotent: bool,
    worker: Arc<[u8]>,
    body: P,
    ends: Ends,
    /// How often it was sent, not counting those times that the broker handed it back.
    attempt: u8,
    /// It was sent on a session that was lost, so a handler may have run.
    maybe_started: bool,
    sent: bool,
    link: ListLink,
}

impl<P, T> Linked<0> for Pending<P, T> {
    fn link(&mut self) -> &mut ListLink {
        &mut self.link
    }
    fn link_ref(&self) -> &ListLink {
        &self.link
    }
}

impl<P, T> Pending<P, T> {
    fn may_have_started(&self) -> bool {
        self.sent || self.maybe_started
    }
}

impl<P: Payload, T> Client<P, T> {
    /// Makes a client that connects at the first input.
    pub fn new(config: Config) -> Self {
        Client {
            session: PeerSession::new(config.session.clone()),
            config,
            calls: Slab::new(),
            waiting: List::default(),
            sent: List::default(),
            timer: Wheel::new(),
            draining: false,
            last_loss: None,
            known: Vec::new(),
            closing: None,
            closed: false,
            timers_done: None,
        }
    }

    /// Handles an input and appends the actions for the driver, in order. Returns the call that the input made, for
    /// [`Input::Cancel`]. `None`: the input made no call, or the call has already ended.
    pub fn handle(
        &mut self,
        now: Time,
        input: Input<'_, P, T>,
        out: &mut Vec<Action<P, T>>,
    ) -> Option<Key> {
        if self.closed {
            if let Input::Call(call) = input {
                done(call.token, Outcome::Refused(Box::new(closed_refusal())), out);
            }
            return None;
        }
        let now = self.session.at(now);
        let mut made = None;
        // As in the broker: once in a millisecond is enough.
        let timers_due = self.timers_done != Some(now) || matches!(input, Input::Tick);
        match input {
            Input::Call(call) => made = self.call(now, call, out),
            Input::Cancel(call) => self.cancel(now, call, out),
            Input::Part { call, part } => self.send_part(now, call, part, out),
            Input::Taken { call, units } => self.taken(now, call, units, out),
            Input::Record(record) => match self.session.record(now, record, out) {
                Heard::Nothing => {}
                Heard::Opened => self.opened(now, out),
                Heard::Lost(cause) => self.lost(now, cause, out),
                Heard::Record(record) => self.record(now, record, out),
            },
            Input::Made => self.session.made(now),
            Input::Alive => self.session.alive(now),
            Input::Invalid => self.lost(now, LossCause::Invalid, out),
            Input::Unsent(call) => {
                if let Some(key) = self.sent_call(call) {
                    self.take_back(key, out);
                }
            }
            Input::Again(returned) => made = self.again(now, returned, out),
            // The broken socket has already been given up.
            Input::Broken if self.session.is_waiting() => {}
            Input::Broken => self.lost(now, LossCause::Broken, out),
            Input::Tick => {}
            Input::Close { grace } => {
                let until = now + grace;
                self.closing = Some(self.closing.map_or(until, |before| before.min(until)));
            }
        }
        if timers_due {
            self.timers_done = Some(now);
            self.timers(now, out);
        }
        if self.draining && self.sent.is_empty() {
            self.lost(now, LossCause::Drained, out);
        }
        self.maybe_close(now, out);
        made.filter(|call| self.calls.get(*call).is_some())
    }

    /// The latest time for the driver to call `handle` with [`Input::Tick`].
    pub fn next_deadline(&self) -> Option<Time> {
        if self.closed {
            return None;
        }
        let timers = [self.session.next_deadline(), self.timer.next(), self.closing];
        timers.into_iter().flatten().min()
    }

    /// The time of the next attempt to connect, if the client waits for one.
    pub fn next_attempt(&self) -> Option<Time> {
        self.session.next_attempt()
    }

    /// The token of a call. `None`: the call has ended.
    pub fn token(&self, call: Key) -> Option<&T> {
        self.calls.get(call).map(|call| &call.token)
    }

    /// Calls that have not ended.
    pub fn pending(&self) -> usize {
        self.calls.len()
    }

    fn call(&mut self, now: Time, call: Call<P, T>, out: &mut Vec<Action<P, T>>) -> Option<Key> {
        if let Err(refusal) = self.check(&call) {
            done(call.token, Outcome::Refused(Box::new(refusal)), out);
            return None;
        }
        let deadline = now + call.timeout;
        let begin_by = match call.kind.is_stream() {
            true => deadline.min(now + call.begin_within),
            false => deadline,
        };
        let key = self.calls.insert(Pending {
            token: call.token,
            deadline,
            begin_by,
            idempotent: call.idempotent,
            worker: call.worker,
            body: call.body,
            ends: Ends::new(call.kind, Direction::Requests),
            attempt: 0,
            maybe_started: false,
            sent: false,
            link: ListLink::default(),
        });
        self.timer.set(key.index(), begin_by);
        if self.can_send() {
            self.send(now, key, out);
        } else {
            self.waiting.push_back(&mut self.calls, key);
        }
        Some(key)
    }

    fn check(&mut self, call: &Call<P, T>) -> Result<(), Refusal> {
        if self.closing.is_some() {
            return Err(closed_refusal());
        }
        if call.timeout == Span::ZERO {
            let message = "the deadline had passed before the call was made";
            return Err(refusal(Code::DeadlineExceeded, Reason::DeadlineExceeded, message));
        }
        if self.calls.len() >= self.config.calls {
            let message = format!("the client's limit of {} calls is reached", self.config.calls);
            return Err(refusal(Code::ResourceExhausted, Reason::LimitReached, &message));
        }
        self.check_path(&call.body)?;
        if !call.worker.is_empty()
            && let Err(error) = names::check(&call.worker)
        {
            let message = format!("the worker's id cannot be sent: {error}");
            return Err(refusal(Code::InvalidArgument, Reason::BadRequest, &message));
        }
        self.check_size(&call.body)
    }

    fn check_path(&mut self, body: &P) -> Result<(), Refusal> {
        let raw = body.is_raw();
        if !raw && !self.known.is_empty() && body.path() == self.known {
            return Ok(());
        }
        let path = names::check(body.path());
        let path = if raw { path.map(|_| ()) } else { path.and_then(names::split).map(|_| ()) };
        path.map_err(|error| {
            let message = format!("the method's path cannot be sent: {error}");
            refusal(Code::InvalidArgument, Reason::BadRequest, &message)
        })?;
        if !raw {
            self.known.clear();
            self.known.extend_from_slice(body.path());
        }
        Ok(())
    }

    /// A frame above the broker's limit would end the connection, so it is never sent.
    fn check_size(&self, body: &P) -> Result<(), Refusal> {
        let max = self.session.frame_bytes().unwrap_or(u64::MAX);
        if body.largest_frame() as u64 <= max {
            return Ok(());
        }
        let message = format!(
            "the request has {} bytes and the broker's limit {} is {max}",
            body.largest_frame(),
            Limit::FrameBytes
        );
        Err(refusal(Code::ResourceExhausted, Reason::LimitReached, &message))
    }

    fn can_send(&self) -> bool {
        self.session.is_open() && !self.draining
    }

    fn send(&mut self, now: Time, key: Key, out: &mut Vec<Action<P, T>>) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.attempt = call.attempt.saturating_add(1);
        call.sent = true;
        let record = Record::Request {
            call: key.as_u64(),
            timeout: call.deadline - now,
            idempotent: call.idempotent,
            attempt: call.attempt,
            peer: call.worker.clone(),
            kind: call.ends.kind(),
            body: call.body.keep(),
        };
        let (kind, ended) = (call.ends.kind(), call.ends.has_ended());
        if kind.is_stream() {
            call.ends = Ends::new(kind, Direction::Requests);
        }
        self.sent.push_back(&mut self.calls, key);
        self.session.send(now, record, out);
        if !kind.is_stream() {
            return;
        }
        self.taken(now, key, self.config.window, out);
        if ended {
            self.send_part(now, key, Part::End, out);
        }
    }

    /// The user sends a part of its stream, or the end of it before the call was sent.
    fn send_part(&mut self, now: Time, key: Key, part: Part<P>, out: &mut Vec<Action<P, T>>) {
        let too_large = match &part {
            Part::Item(body) => self.check_size(body).err(),
            Part::Open(_) | Part::End => None,
        };
        let Some(call) = self.calls.get_mut(key) else { return };
        let fault = match too_large {
            Some(refusal) => Some(refusal),
            None if !call.ends.send(&part) => {
                let message = "an item was sent without credit, or a part that has no place";
                Some(refusal(Code::Internal, Reason::MaybeExecuted, message))
            }
            None => None,
        };
        let (sent, started) = (call.sent, call.may_have_started());
        let fault = fault.map(|refusal| Refusal { not_started: !started, ..refusal });
        if let Some(refusal) = fault {
            if sent {
                self.session.send(now, Record::Cancel { call: key.as_u64() }, out);
            }
            return self.end(key, Outcome::Refused(Box::new(refusal)), out);
        }
        if sent {
            let (call, of) = (key.as_u64(), Direction::Requests);
            self.session.send(now, Record::Data { call, of, part }, out);
        }
    }

    /// The user has room for more replies.
    fn taken(&mut self, now: Time, key: Key, units: u32, out: &mut Vec<Action<P, T>>) {
        let Some(call) = self.calls.get_mut(key).filter(|call| call.sent) else { return };
        if units > 0 && call.ends.grant(units) {
            let (call, of) = (key.as_u64(), Direction::Replies);
            self.session.send(now, Record::Credit { call, of, units }, out);
        }
    }

    fn opened(&mut self, now: Time, out: &mut Vec<Action<P, T>>) {
        self.draining = false;
        while let Some(key) = self.waiting.front() {
            let Some(call) = self.calls.get(key) else { return };
            if now >= call.deadline {
                self.expire(now, key, out);
                continue;
            }
            if let Err(mut refusal) = self.check_size(&call.body) {
                refusal.not_started = !call.maybe_started;
                self.end(key, Outcome::Refused(Box::new(refusal)), out);
                continue;
            }
            self.waiting.remove(&mut self.calls, key);
            self.send(now, key, out);
        }
    }

    fn record(&mut self, now: Time, record: Record<&[u8], P>, out: &mut Vec<Action<P, T>>) {
        match record {
            Record::Final { call, code, not_started, attempt, peer: _, reply } => {
                let Some(key) = self.sent_call(call) else { return };
                let not_started = not_started && code != Code::Ok;
                let earlier = self.calls.get(key).is_some_and(|call| call.maybe_started);
                let outcome = match reply {
                    // The broker speaks for what it was sent on this session only.
                    _ if not_started && earlier => {
                        Outcome::Refused(Box::new(Refusal::of_last_attempt(code)))
                    }
                    Reply::Body(body) => Outcome::Final { code, not_started, attempt, body },
                    Reply::Refused(refusal) => Outcome::Refused(refusal),
                    // No peer sends it in this form.
                    Reply::Listing(_) => return self.lost(now, LossCause::Invalid, out),
                };
                if self.config.returns && not_started && code == Code::Unavailable {
                    if let Some(mut call) = self.forget(key) {
                        call.sent = false;
                        call.link = ListLink::default();
                        out.push(Action::Returned(Returned { call, outcome }));
                    }
                    return;
                }
                self.end(key, outcome, out);
            }
            Record::Data { call, of, part } => {
                let Some(key) = self.sent_call(call) else { return };
                let Some(call) = self.calls.get_mut(key) else { return };
                if !call.ends.heard(of, &part) {
                    return self.lost(now, LossCause::Invalid, out);
                }
                out.push(Action::Part { call: key, part });
            }
            Record::Credit { call, of, units } => {
                let Some(key) = self.sent_call(call) else { return };
                let Some(call) = self.calls.get_mut(key) else { return };
                if !call.ends.heard_credit(of, units) {
                    return self.lost(now, LossCause::Invalid, out);
                }
                out.push(Action::Credit { call: key, units });
            }
            Record::Cancel { call } => {
                let Some(key) = self.sent_call(call) else { return };
                // A client that has seen a part of the call knows that a handler has begun.
                if self.calls.get(key).is_some_and(|call| call.ends.has_begun()) {
                    return self.lost(now, LossCause::Invalid, out);
                }
                self.take_back(key, out);
            }
            Record::Drain => self.draining = true,
            // The broker says nothing else to a client.
            _ => self.lost(now, LossCause::Invalid, out),
        }
    }

    /// The call that the broker means, if it is there and was sent. A late answer finds nothing.
    fn sent_call(&self, call: u64) -> Option<Key> {
        let key = Key::from_u64(call)?;
        self.calls.get(key).filter(|call| call.sent).map(|_| key)
    }

    /// No broker has read this call: it waits for the next session, or goes elsewhere.
    fn take_back(&mut self, key: Key, out: &mut Vec<Action<P, T>>) {
        self.sent.remove(&mut self.calls, key);
        if let Some(call) = self.calls.get_mut(key) {
            call.sent = false;
            call.attempt = call.attempt.saturating_sub(1);
        }
        self.waiting.push_back(&mut self.calls, key);
        if self.config.returns {
            self.send_back(key, "the broker has handed the call back", out);
        }
    }

    /// Returns a call that waits for a session.
    fn send_back(&mut self, key: Key, why: &str, out: &mut Vec<Action<P, T>>) {
        let Some(call) = self.forget(key) else { return };
        let mut refusal = match call.maybe_started {
            true => refusal(Code::Unavailable, Reason::MaybeExecuted, why),
            false => refusal(Code::Unavailable, Reason::NotDispatched, why),
        };
        refusal.not_started = !call.maybe_started;
        let outcome = Outcome::Refused(Box::new(refusal));
        out.push(Action::Returned(Returned { call, outcome }));
    }

    /// Returns the calls that wait for a session, in their order.
    pub(crate) fn send_back_waiting(&mut self, out: &mut Vec<Action<P, T>>) {
        let cause = self.last_loss;
        while let Some(key) = self.waiting.front() {
            let why = match cause {
                Some(cause) => format!("the call could not be sent: {cause}"),
                None => "the call could not be sent: the broker has not answered yet".into(),
            };
            self.send_back(key, &why, out);
        }
    }

    /// A call that another client, or this one, has returned.
    fn again(
        &mut self,
        now: Time,
        returned: Returned<P, T>,
        out: &mut Vec<Action<P, T>>,
    ) -> Option<Key> {
        let Returned { mut call, outcome } = returned;
        if now >= call.deadline || self.closing.is_some() {
            done(call.token, outcome, out);
            return None;
        }
        if self.can_send()
            && let Err(mut refusal) = self.check_size(&call.body)
        {
            refusal.not_started = !call.maybe_started;
            done(call.token, Outcome::Refused(Box::new(refusal)), out);
            return None;
        }
        call.ends = Ends::new(call.ends.kind(), Direction::Requests);
        let (deadline, begin_by) = (call.deadline, call.begin_by);
        let key = self.calls.insert(call);
        self.timer.set(key.index(), if begin_by > now { begin_by } else { deadline });
        if self.can_send() {
            self.send(now, key, out);
        } else {
            self.waiting.push_back(&mut self.calls, key);
        }
        Some(key)
    }

    /// Whether the broker takes calls.
    pub(crate) fn is_open(&self) -> bool {
        self.can_send()
    }

    fn lost(&mut self, now: Time, cause: LossCause, out: &mut Vec<Action<P, T>>) {
        self.last_loss = Some(cause);
        self.draining = false;
        // Calls wait, each for its own time: how often the client was refused before is nothing to them.
        let _ = self.session.lose(now, cause, out);
        // A broker that shuts down has answered every call that it took and that may not run twice:
        // it has not read the others.
        let unread = cause == LossCause::Said(DisconnectReason::Shutdown);
        // From the last to the first, so that they stand before the waiting ones in their order.
        let sent: Vec<Key> = self.sent.iter(&self.calls).collect();
        for key in sent.into_iter().rev() {
            let Some(call) = self.calls.get_mut(key) else { continue };
            let begun = call.ends.has_begun();
            let again = call.idempotent && call.attempt < self.config.attempts;
            if !begun && (again || (unread && !call.idempotent)) {
                call.sent = false;
                call.maybe_started |= call.idempotent;
                self.sent.remove(&mut self.calls, key);
                self.waiting.push_front(&mut self.calls, key);
            } else {
                let message =
                    format!("{cause} while the call was with it; the handler may have run");
                let mut refusal = refusal(Code::Unavailable, Reason::MaybeExecuted, &message);
                refusal.not_started = false;
                self.end(key, Outcome::Refused(Box::new(refusal)), out);
            }
        }
        if self.config.returns {
            self.send_back_waiting(out);
        }
    }

    fn cancel(&mut self, now: Time, key: Key, out: &mut Vec<Action<P, T>>) {
        if self.forget(key).is_some_and(|call| call.sent) {
            self.session.send(now, Record::Cancel { call: key.as_u64() }, out);
        }
    }

    fn end(&mut self, key: Key, outcome: Outcome<P>, out: &mut Vec<Action<P, T>>) {
        if let Some(call) = self.forget(key) {
            done(call.token, outcome, out);
        }
    }

    fn forget(&mut self, key: Key) -> Option<Pending<P, T>> {
        if self.calls.get(key)?.sent {
            self.sent.remove(&mut self.calls, key);
        } else {
            self.waiting.remove(&mut self.calls, key);
        }
        self.timer.clear(key.index());
        self.calls.remove(key)
    }

    fn timers(&mut self, now: Time, out: &mut Vec<Action<P, T>>) {
        while let Some(index) = self.timer.pop(now) {
            if let Some(key) = self.calls.key_at(index) {
                self.expire(now, key, out);
            }
        }
        if let Ticked::Lost(cause) = self.session.tick(now, out) {
            self.lost(now, cause, out);
        }
    }

    fn expire(&mut self, now: Time, key: Key, out: &mut Vec<Action<P, T>>) {
        let Some(call) = self.calls.get(key) else { return };
        if now < call.deadline {
            return self.begin_too_late(now, key, out);
        }
        let started = call.may_have_started();
        let message = match (started, self.last_loss) {
            (true, _) => {
                "the deadline passed before an answer came; the handler may have run".into()
            }
            (false, Some(cause)) => {
                format!("the deadline passed before the call could be sent: {cause}")
            }
            (false, None) => "the deadline passed before the call could be sent: no broker \
                              has answered yet"
                .into(),
        };
        let mut refusal = refusal(Code::DeadlineExceeded, Reason::DeadlineExceeded, &message);
        refusal.not_started = !started;
        self.end(key, Outcome::Refused(Box::new(refusal)), out);
    }

    /// A call with a stream has not begun in time, unless it has meanwhile.
    fn begin_too_late(&mut self, now: Time, key: Key, out: &mut Vec<Action<P, T>>) {
        let Some(call) = self.calls.get(key) else { return };
        if call.ends.has_begun() {
            return self.timer.set(key.index(), call.deadline);
        }
        let (sent, started) = (call.sent, call.may_have_started());
        if sent {
            // The broker would go on until the deadline.
            self.session.send(now, Record::Cancel { call: key.as_u64() }, out);
        }
        let message = match self.last_loss {
            _ if started => "no worker has begun the stream in time".into(),
            Some(cause) => format!("the stream could not be begun in time: {cause}"),
            None => "the stream could not be begun in time: no broker has answered yet".into(),
        };
        let mut refusal = refusal(Code::DeadlineExceeded, Reason::DeadlineExceeded, &message);
        refusal.not_started = !started;
        self.end(key, Outcome::Refused(Box::new(refusal)), out);
    }

    fn maybe_close(&mut self, now: Time, out: &mut Vec<Action<P, T>>) {
        let Some(until) = self.closing else { return };
        if !self.calls.is_empty() && now < until {
            return;
        }
        let left: Vec<Key> = self.calls.iter().map(|(key, _)| key).collect();
        for key in left {
            let started = self.calls.get(key).is_some_and(Pending::may_have_started);
            let refusal = if started { closed_too_late() } else { closed_refusal() };
            self.end(key, Outcome::Refused(Box::new(refusal)), out);
        }
        self.session.close(now, out);
        self.closed = true;
        out.push(Action::Closed);
    }
}

fn done<P, T>(token: T, outcome: Outcome<P>, out: &mut Vec<Action<P, T>>) {
    out.push(Action::Done { token, outcome });
}

fn refusal(code: Code, reason: Reason, message: &str) -> Refusal {
    let message = message.into();
    Refusal { code, reason, message, not_started: true, retry_after: None }
}

fn closed_refusal() -> Refusal {
    refusal(Code::Cancelled, Reason::NotDispatched, "the client was closed")
}

fn closed_too_late() -> Refusal {
    let message = "the client was closed while the broker had the call; the handler may have run";
    let refusal = refusal(Code::Cancelled, Reason::MaybeExecuted, message);
    Refusal { not_started: false, ..refusal }
}
