//! Pausing: a raw request of a classic client that meets a limit waits here, and the transport reads nothing more from
//! that client until the request is taken. Classic MDP has no words for a refusal (`wire.md` R89); so the client is
//! slowed down instead, and its next requests wait in its own connection. Only raw calls of classic clients are *leased*.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Broker;
use super::io::Action;
use super::refusals::Rejection;
use super::rights::SOON;
use super::routing::Request;
use super::services::Service;
use crate::limits::Limit;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Reason;
use crate::time::{Span, Time};
use crate::wire::classic::Form;

/// The most requests that are tried after a call has ended, at most once in a millisecond.
const TRIES: usize = 16;
/// The most requests that are tried each [`SOON`].
const TIMED_TRIES: usize = 1_024;

/// The request of a paused client.
#[derive(Debug)]
struct Waiting<P> {
    form: Form,
    body: P,
    /// Until then it waits for a worker, here or in a queue.
    until: Time,
}

/// The paused clients.
#[derive(Debug)]
pub(super) struct Paused<P> {
    requests: HashMap<Key, Waiting<P>, FixedState>,
    /// The bytes of all of them.
    bytes: usize,
    /// Whose request is tried next. May have clients that are not paused any more.
    order: VecDeque<Key>,
    /// There may be room that was not there at the last try, and when that try was.
    room: bool,
    tried: Time,
    /// When the requests are tried again in any case: room may come with time alone, as a quota does.
    due: Option<Time>,
}

impl<P: Payload> Paused<P> {
    pub(super) fn new(hash: FixedState) -> Self {
        let requests = HashMap::with_hasher(hash);
        Paused {
            requests,
            bytes: 0,
            order: VecDeque::new(),
            room: false,
            tried: Time::default(),
            due: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn has(&self, client: Key) -> bool {
        !self.requests.is_empty() && self.requests.contains_key(&client)
    }

    /// A call has ended, or has left its queue.
    #[inline]
    pub(super) fn see_room(&mut self) {
        self.room = true;
    }

    /// When the requests are tried again at the latest.
    pub(super) fn next_due(&self) -> Option<Time> {
        let soon = self.tried + Span::from_ms(1);
        if self.room && !self.requests.is_empty() { Some(soon) } else { self.due }
    }

    fn add(&mut self, now: Time, client: Key, waiting: Waiting<P>) {
        self.bytes += waiting.body.size();
        self.requests.insert(client, waiting);
        self.order.push_back(client);
        self.due.get_or_insert(now + SOON);
    }

    fn take(&mut self, client: Key) -> Option<Waiting<P>> {
        let waiting = self.requests.remove(&client)?;
        self.bytes = self.bytes.saturating_sub(waiting.body.size());
        Some(waiting)
    }

    /// A client is paused no longer. Whether it was.
    fn forget(&mut self, client: Key) -> bool {
        let known = !self.requests.is_empty() && self.take(client).is_some();
        if self.requests.is_empty() {
            self.order.clear();
            self.due = None;
        }
        known
    }

    /// How many requests to try now.
    fn tries(&mut self, now: Time) -> usize {
        if self.requests.is_empty() {
            return 0;
        }
        let most = if self.due.is_some_and(|due| due <= now) {
            self.due = Some(now + SOON);
            TIMED_TRIES
        } else if self.room && self.tried < now {
            TRIES
        } else {
            return 0;
        };
        (self.room, self.tried) = (false, now);
        most.min(self.requests.len())
    }

    /// Takes the request that is tried next.
    fn next(&mut self) -> Option<(Key, Waiting<P>)> {
        loop {
            let client = self.order.pop_front()?;
            if let Some(waiting) = self.take(client) {
                return Some((client, waiting));
            }
        }
    }
}

impl<P: Payload> Broker<P> {
    /// Whether a request that is not taken waits for room instead of being refused.
    pub(super) fn may_pause(
        &self,
        from: Key,
        request: &Request<'_>,
        body: &P,
        rejection: &Rejection,
    ) -> bool {
        self.pauses(request.leased)
            && rejection.may_pass()
            && self.closing.is_none()
            && !self.paused.has(from)
            && !self.is_one_name_too_many(body.path())
            && self.may_ever_call(from, body.size())
            && body.size() <= half(self.config.limits.queued_bytes_per_service)
            && self.paused.bytes + body.size() <= self.config.limits.held_bytes / 4
    }

    /// Whether a call of this service would wait for a worker under a name for which there is no room. The client's
    /// requests for services with a worker are not to wait behind it.
    fn is_one_name_too_many(&self, name: &[u8]) -> bool {
        self.services.named(name).is_none()
            && self.services.unserved() >= self.config.limits.unserved_services
    }

    /// Whether requests of this kind wait for room. Only raw calls of classic clients are leased.
    pub(super) fn pauses(&self, leased: bool) -> bool {
        leased && self.config.pauses_reading
    }

    /// Keeps a request until there is room for it.
    pub(super) fn keep_for_later(&mut self, now: Time, from: Key, request: &Request<'_>, body: P) {
        let Some(session) = self.sessions.get(from) else { return };
        let Some(form) = session.form() else { return };
        if request.charged
            && let Some(principal) = session.rights().usage()
        {
            self.principals.give_token_back(principal);
        }
        let waiting = Waiting { form, body: body.detach(), until: now + request.timeout };
        self.paused.add(now, from, waiting);
    }

    /// Whether a raw call may join those that wait for a service. Raw calls take half of a queue, so that calls whose
    /// clients hear a refusal find room.
    pub(super) fn check_half(&self, service: Option<Key>, size: usize) -> Result<(), Limit> {
        let limits = &self.config.limits;
        let service = service.and_then(|service| self.services.get(service));
        let (calls, bytes) = service.map_or((0, 0), Service::spared);
        if calls >= half(limits.queued_calls_per_service) {
            return Err(Limit::QueuedCallsPerService);
        }
        if bytes + size > half(limits.queued_bytes_per_service) {
            return Err(Limit::QueuedBytesPerService);
        }
        Ok(())
    }

    /// Whether it makes sense to try a request again now, as far as that is cheap to see.
    fn has_room(&self, client: Key, body: &P) -> bool {
        let service = self.services.named(body.path());
        let is_free = service.is_some_and(|service| self.services.free_worker(service).is_some());
        self.check_calls(client, true).is_ok()
            && (is_free || self.check_half(service, body.size()).is_ok())
    }

    /// Tries requests of paused clients again, if there may be room.
    pub(super) fn try_paused(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        for _ in 0..self.paused.tries(now) {
            let Some((client, waiting)) = self.paused.next() else { break };
            match waiting.until - now {
                Span::ZERO => {
                    self.stats.expired += 1;
                    self.stats.unanswered += 1;
                    self.stats.reasons.count(Reason::DeadlineExceeded);
                }
                _ if !self.has_room(client, &waiting.body) => self.paused.add(now, client, waiting),
                left => self.raw_request(now, client, waiting.form, left, waiting.body, out),
            }
            self.resume(client, out);
        }
    }

    /// A client's session ends: its request is dropped. Its connection, which may go on, is read again.
    pub(super) fn drop_paused(&mut self, client: Key, out: &mut Vec<Action<P>>) {
        if self.paused.forget(client) {
            self.stats.unanswered += 1;
            out.push(Action::Resume { session: client });
        }
    }

    /// Drops all requests that wait, since the broker shuts down.
    pub(super) fn drop_all_paused(&mut self, out: &mut Vec<Action<P>>) {
        while let Some((client, _)) = self.paused.next() {
            self.stats.unanswered += 1;
            self.stats.reasons.count(Reason::NotDispatched);
            self.resume(client, out);
        }
    }

    pub(super) fn audit_paused(&self) -> Result<(), String> {
        let gone = self.paused.requests.keys().find(|key| self.sessions.get(**key).is_none());
        if let Some(gone) = gone {
            return Err(format!("session {gone:?} is paused and has ended"));
        }
        let bytes: usize = self.paused.requests.values().map(|waiting| waiting.body.size()).sum();
        if bytes != self.paused.bytes {
            return Err(format!("{bytes} bytes of paused clients, {} kept", self.paused.bytes));
        }
        let listed = |key: &&Key| self.paused.order.contains(key);
        match self.paused.requests.keys().find(|key| !listed(key)) {
            Some(key) => Err(format!("the request of {key:?} is never tried again")),
            None if self.paused.due.is_none() && !self.paused.requests.is_empty() => {
                Err("requests wait and are never due".into())
            }
            None => Ok(()),
        }
    }

    /// Lets the transport read from a client again, unless its request still waits.
    fn resume(&mut self, client: Key, out: &mut Vec<Action<P>>) {
        if self.paused.has(client) {
            return;
        }
        self.paused.forget(client);
        if self.sessions.get(client).is_some() {
            out.push(Action::Resume { session: client });
        }
    }
}

fn half(limit: usize) -> usize {
    limit.div_ceil(2)
}
