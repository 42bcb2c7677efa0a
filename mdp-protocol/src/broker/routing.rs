//! Routing: a REQUEST's way to a worker. What is refused, what the path means, where the call goes: to a worker now, into a
//! queue, or behind the one worker that it wants. At its end the call is dispatched: a worker is given it.

use alloc::vec::Vec;

use super::calls::{BrokerCall, no_name};
use super::io::{Action, Name, Note};
use super::method_stats::Known;
use super::refusals::{
    Rejection, bad_metadata, bad_path, deadline_refusal, hidden_call, looks_like_a_path,
    no_service, worker_gone,
};
use super::services::Start;
use super::sessions::Session;
use super::unread::UNREAD_STEP;
use super::{Broker, PlantedBug};
use crate::limits::Limit;
use crate::names;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Refusal;
use crate::time::{Span, Time};
use crate::wire::{CallKind, Command, DisconnectReason, Marks, Record, read_marks};

/// A REQUEST without its body.
pub(super) struct Request<'a> {
    pub(super) call: u64,
    pub(super) timeout: Span,
    pub(super) idempotent: bool,
    /// The only worker that is wanted, or empty.
    pub(super) target: &'a [u8],
    pub(super) kind: CallKind,
    /// It has no deadline of its own: the time is for waiting, and another one for running.
    pub(super) leased: bool,
    /// It was counted as one of the calls that its principal may make in a second.
    pub(super) charged: bool,
    /// Where it counts, once that is known.
    pub(super) row: Option<Key>,
    /// The fields of its metadata for the broker, after that was read.
    pub(super) marks: Marks,
}

/// The meaning of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'a> {
    pub(super) name: &'a [u8],
    /// The service, if it is known.
    pub(super) service: Option<Key>,
    /// Where the call counts, if that is known by now.
    pub(super) row: Option<Key>,
}

/// Where a request wants to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    /// The only worker that is wanted, or empty.
    pub(super) target: &'a [u8],
    /// As in [`Request`].
    pub(super) leased: bool,
    /// If there is no room, its client is paused.
    pub(super) pauses: bool,
    /// As in [`Marks`].
    pub(super) no_wait: bool,
    /// The time until its deadline.
    pub(super) left: Span,
    pub(super) kind: CallKind,
}

/// Where a request may go.
pub(super) enum Route {
    /// To this worker, which is next, now. `counts`: for the runs of the service.
    Next { worker: Key, counts: bool },
    /// To this worker, which is the one that is wanted, now.
    Wanted(Key),
    /// Into the queue of this service.
    Queue(Key),
    /// Behind this worker.
    Pin(Key),
}

impl<P: Payload> Broker<P> {
    pub(super) fn request(
        &mut self,
        now: Time,
        from: Key,
        mut request: Request<'_>,
        body: P,
        out: &mut Vec<Action<P>>,
    ) {
        if self.calls.has_number(from, request.call) {
            self.stats.invalid += 1;
            return self.disconnect(now, from, DisconnectReason::Unexpected, out);
        }
        if body.path().starts_with(MANAGEMENT) {
            return self.manage(now, from, request.call, &body, out);
        }
        if self.closing.is_some() {
            return self.send_back_request(now, from, request.call, &body, out);
        }
        let route = match self.admit(now, from, &mut request, &body) {
            Ok(called) if self.config.hooks.requests => {
                request.row = called.row;
                if self.calls.has_room(body.size(), &self.config.limits) {
                    return self.ask_about_request(now, from, &request, body, out);
                }
                Err(Rejection::Limit(Limit::HeldBytes))
            }
            Ok(called) => {
                request.row = called.row;
                let Request { target, leased, kind, timeout: left, .. } = request;
                let (no_wait, pauses) = (request.marks.no_wait, self.pauses(leased));
                let wish = Wish { target, leased, pauses, no_wait, left, kind };
                self.find_route(from, called, wish, &body, out)
            }
            Err(rejection) => Err(rejection),
        };
        match route {
            Ok(route) => {
                let key = self.accept(now, from, &request, &body, out);
                self.follow(now, key, route, body, out);
            }
            Err(rejection) if self.may_pause(from, &request, &body, &rejection) => {
                self.keep_for_later(now, from, &request, body);
            }
            Err(rejection) => {
                self.stats.refused += 1;
                let refusal = self.refusal_of(from, rejection, out);
                self.refuse_request(now, from, request.call, &body, refusal, out);
            }
        }
    }

    /// The service that a client calls, or why it may not.
    fn admit<'b>(
        &mut self,
        now: Time,
        from: Key,
        request: &mut Request<'_>,
        body: &'b P,
    ) -> Result<Called<'b>, Rejection> {
        if request.timeout == Span::ZERO && !request.leased {
            return Err(deadline_refusal(false).into());
        }
        self.check_body(body)?;
        let called = self.resolve(body).map_err(bad_path)?;
        self.check_rights(now, from, called, body.size())?;
        request.charged = true;
        request.marks = self.marks_of_request(body)?;
        self.check_calls(from, self.pauses(request.leased)).map_err(Rejection::Limit)?;
        if !self.unread.is_empty() {
            self.check_unread(from)?;
        }
        Ok(called)
    }

    /// Whether a request is what it says, however it came: from a client of any dialect, or from a hook.
    pub(super) fn check_body(&self, body: &P) -> Result<(), Refusal> {
        if !body.is_raw() {
            return Ok(());
        }
        if body.tunnel(&self.config.limits) == Some(Command::Request)
            && !self.planted(PlantedBug::LetTunnelsPass)
        {
            return Err(hidden_call());
        }
        if self.has_hooks() && body.path().contains(&b'/') {
            return Err(looks_like_a_path());
        }
        Ok(())
    }

    /// The meaning of a request's path.
    pub(super) fn resolve<'b>(&mut self, body: &'b P) -> Result<Called<'b>, names::NameError> {
        if body.is_raw() {
            let name = names::check(body.path())?.as_bytes();
            let service = self.services.named(name);
            let row = service.and_then(|service| self.services.get(service)?.row());
            return Ok(Called { name, service, row });
        }
        let path = body.path();
        if let Some(Known { row, name, service }) = self.method_stats.find(path) {
            let row = Some(row);
            if self.services.get(service).is_some() {
                return Ok(Called { name, service: Some(service), row });
            }
            let service = self.services.named(name);
            self.method_stats.set_service(row, service);
            return Ok(Called { name, service, row });
        }
        let (name, _) = names::split(names::check(path)?)?;
        let name = name.as_bytes();
        let service = self.services.named(name);
        let of = service.and_then(|key| Some((key, self.services.get(key)?)));
        let row =
            of.and_then(|(key, of)| self.method_stats.on_trial(path, name.len(), of.row(), key));
        Ok(Called { name, service, row })
    }

    /// The fields of a client's metadata for the broker, if it can be read.
    fn marks_of_request(&mut self, body: &P) -> Result<Marks, Refusal> {
        read_marks(body.metadata()).map_err(|error| {
            self.stats.invalid += 1;
            bad_metadata(error)
        })
    }

    pub(super) fn check_calls(&self, from: Key, pauses: bool) -> Result<(), Limit> {
        let limits = &self.config.limits;
        let own = self.sessions.get(from).map_or(0, Session::calls_made);
        // With hooks, calls are queued after the verdict: a client without refusals takes half of a queue here already.
        let half_queue = limits.queued_calls_per_service.div_ceil(2);
        let most = if pauses && self.has_hooks() { half_queue } else { usize::MAX };
        if own >= limits.calls_per_client.min(most) {
            return Err(Limit::CallsPerClient);
        }
        if self.calls.len() >= limits.calls {
            return Err(Limit::Calls);
        }
        Ok(())
    }

    /// Where a request goes, or why nowhere.
    pub(super) fn find_route(
        &mut self,
        from: Key,
        called: Called<'_>,
        wish: Wish<'_>,
        body: &P,
        out: &mut Vec<Action<P>>,
    ) -> Result<Route, Rejection> {
        let Called { name, service: found, row } = called;
        if !wish.target.is_empty() {
            return self.route_to_worker(called, wish, body, out);
        }
        let next = found.and_then(|service| self.services.next_worker(self.last, service));
        if let Some((worker, counts)) = next {
            return Ok(Route::Next { worker, counts });
        }
        if (wish.no_wait || self.config.unserved_wait == Span::ZERO)
            && !wish.leased
            && !found.is_some_and(|service| self.services.is_served(service))
        {
            return Err(no_service(0).into());
        }
        if !wish.leased {
            let ahead = self.calls_ahead(from, found);
            self.check_wait(found, ahead, wish, row, out)?;
        }
        if wish.pauses {
            self.check_half(found, body.size()).map_err(Rejection::Limit)?;
        }
        if let Err(limit) = self.check_queue(found, body.size()) {
            let room =
                found.is_some_and(|found| self.make_room(self.last, from, found, body.size(), out));
            if !room {
                return Err(Rejection::Limit(limit));
            }
        }
        Ok(Route::Queue(self.services.named_or_new(name)))
    }

    fn route_to_worker(
        &mut self,
        called: Called<'_>,
        wish: Wish<'_>,
        body: &P,
        out: &mut Vec<Action<P>>,
    ) -> Result<Route, Rejection> {
        let Called { service, row, .. } = called;
        let worker = self.worker_of(wish.target, service).ok_or_else(|| worker_gone(0))?;
        let Some(registration) = self.services.worker(worker) else {
            return Err(worker_gone(0).into());
        };
        if registration.has_free_slot() && !registration.is_held_back() {
            return Ok(Route::Wanted(worker));
        }
        if !wish.leased {
            // The others that wait for the service get each second slot of this worker at the most.
            let (own, all) = (registration.pinned().len(), u64::from(registration.all_slots()));
            let of_others = self.slots_beside(service, all);
            let ahead = own.saturating_mul(2).saturating_mul(of_others);
            self.check_wait(service, ahead, wish, row, out)?;
        }
        let size = body.size();
        let check = self.check_queue(service, size).and_then(|()| self.check_pinned(service, size));
        check.map_err(Rejection::Limit)?;
        Ok(Route::Pin(worker))
    }

    /// A call in no list yet, of a client that may make it.
    pub(super) fn accept(
        &mut self,
        now: Time,
        from: Key,
        request: &Request<'_>,
        body: &P,
        out: &mut Vec<Action<P>>,
    ) -> Key {
        self.stats.requests += 1;
        let mut call = BrokerCall::new(now, from, request, body.is_raw());
        if self.has_hooks() {
            call.set_path(body.path());
        }
        if let Some(call_stats) = self.method_stats.of(request.row) {
            call_stats.requests += 1;
        }
        self.count_call(from, &mut call);
        let key = self.calls.insert(call);
        let Some(session) = self.sessions.get_mut(from) else { return key };
        self.calls.link_client(session.calls_mut(), from, request.call, key);
        if session.is_classic()
            && let Some(call) = self.calls.get_mut(key)
        {
            call.flow_mut().grant(self.config.limits.window);
        }
        if session.is_first_call() {
            let who = session.who();
            out.push(Action::Note(Note::ClientSeen { who }));
        }
        key
    }

    /// Gives a call that is in no list to a worker, or puts it where it waits for one.
    pub(super) fn follow(
        &mut self,
        now: Time,
        key: Key,
        route: Route,
        body: P,
        out: &mut Vec<Action<P>>,
    ) {
        let service = match route {
            Route::Queue(service) => Some(service),
            Route::Next { worker, .. } | Route::Wanted(worker) | Route::Pin(worker) => {
                self.services.service_of(worker)
            }
        };
        let Some((call, service)) = self.calls.get_mut(key).zip(service) else { return };
        call.set_service(service);
        match route {
            Route::Next { worker, counts } => {
                self.dispatch(now, key, worker, body, counts, out);
            }
            Route::Wanted(worker) => self.dispatch(now, key, worker, body, false, out),
            Route::Queue(_) => {
                self.keep_body(key, body.detach());
                self.enqueue(key, false);
                self.arm_waiting(now, key);
            }
            Route::Pin(worker) => {
                self.keep_body(key, body.detach());
                self.pin(key, worker);
                self.arm_waiting(now, key);
            }
        }
    }

    /// Gives a call that is in no list to a worker, with this body. `shares`: the call may begin a run or be one of it.
    pub(super) fn dispatch(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        body: P,
        shares: bool,
        out: &mut Vec<Action<P>>,
    ) {
        if let Some(refusal) = self.cannot_take(key, worker) {
            return self.refuse(now, key, refusal, out);
        }
        let run_timeout = self.config.classic.run_timeout;
        let peer = self.caller(key);
        let keep_all = self.planted(PlantedBug::RedispatchEverything);
        let size = body.size();
        let room = self.calls.has_room(size, &self.config.limits);
        let Some(session) = self.services.session_of(worker) else { return };
        let Some(call) = self.calls.start(now, key, worker, now + run_timeout) else { return };
        let (deadline, kind, attempt) = (call.deadline(), call.flow().kind(), call.attempt());
        let idempotent = call.is_idempotent();
        self.count_dispatch(key, &body);
        // Another attempt is a comfort: without room for the body the call has only this one.
        let again = (idempotent || keep_all) && attempt < self.config.limits.attempts;
        let kept = (again && room).then(|| body.keep());
        let record = Record::Request {
            call: key.as_u64(),
            timeout: deadline - now,
            idempotent,
            attempt,
            peer,
            kind,
            body,
        };
        // The reply to a call with streams tells nothing about a run.
        let shares = shares && !kind.is_stream();
        let start = Start { now, input: self.unread.input(), size, shares };
        let given = self.services.start(&mut self.calls, worker, key, &start);
        self.stats.dispatched += 1;
        self.calls.set_timer(key, deadline);
        if let Some(kept) = kept {
            self.keep_body(key, kept);
        }
        self.send(now, session, record, out);
        if given >= UNREAD_STEP {
            self.count_given(session, given);
        }
        if kind.is_stream() {
            self.catch_up(now, key, session, out);
        }
    }

    /// Gives a call that is in no list and whose body is kept to a worker.
    pub(super) fn dispatch_held(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        out: &mut Vec<Action<P>>,
    ) {
        if let Some(body) = self.release_body(key) {
            self.dispatch(now, key, worker, body, false, out);
        }
    }

    /// The name of a call's client for its worker: the id, and behind a space the principal, if that is known.
    pub(super) fn caller(&self, key: Key) -> Name {
        let client = self.calls.get(key).and_then(|call| call.client());
        let Some(session) = client.and_then(|key| self.sessions.get(key)) else { return no_name() };
        session.who()
    }

    /// Whether a worker of this id serves this, and takes calls.
    pub(super) fn is_there(&self, worker: &[u8], service: Option<Key>) -> bool {
        self.worker_of(worker, service).is_some()
    }

    fn worker_of(&self, worker: &[u8], service: Option<Key>) -> Option<Key> {
        let session = self.sessions.get(self.sessions.with_id(worker)?)?;
        if session.is_draining() {
            return None;
        }
        self.registration_of(session, service?)
    }

    pub(super) fn check_queue(&self, service: Option<Key>, size: usize) -> Result<(), Limit> {
        let limits = &self.config.limits;
        if !self.calls.has_room(size, limits) {
            return Err(Limit::HeldBytes);
        }
        match service.and_then(|service| self.services.get(service)) {
            None if self.services.unserved() >= limits.unserved_services => {
                Err(Limit::UnservedServices)
            }
            None if size > limits.queued_bytes_per_service => Err(Limit::QueuedBytesPerService),
            None if limits.queued_calls_per_service == 0 => Err(Limit::QueuedCallsPerService),
            None => Ok(()),
            Some(service) if service.queued() >= limits.queued_calls_per_service => {
                Err(Limit::QueuedCallsPerService)
            }
            Some(service) if service.queued_bytes() + size > limits.queued_bytes_per_service => {
                Err(Limit::QueuedBytesPerService)
            }
            Some(_) => Ok(()),
        }
    }

    /// Calls that want one worker have no turns, so they get no more than half of the queue.
    fn check_pinned(&self, service: Option<Key>, size: usize) -> Result<(), Limit> {
        let limits = &self.config.limits;
        let Some(service) = service.and_then(|service| self.services.get(service)) else {
            return Ok(());
        };
        let (pinned, pinned_bytes) = service.pinned();
        if pinned > 0 && 2 * pinned >= limits.queued_calls_per_service {
            return Err(Limit::QueuedCallsPerService);
        }
        if pinned > 0 && 2 * (pinned_bytes + size) > limits.queued_bytes_per_service {
            return Err(Limit::QueuedBytesPerService);
        }
        Ok(())
    }
}

/// How the names of the broker's own services begin (RFC 8, "Namespace").
pub(super) const MANAGEMENT: &[u8] = b"mmi.";

/// The service of a request: the whole name of a raw one, and of a typed one the path without its method.
pub(super) fn service_of<P: Payload>(body: &P) -> Result<&str, names::NameError> {
    let name = names::check(body.path())?;
    if body.is_raw() { Ok(name) } else { names::split(name).map(|(service, _)| service) }
}
