//! REQUESTs as they come in: what is refused, and where the others go.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::calls::Call;
use super::io::{Action, Name, Note};
use super::refusals::{
    bad_path, deadline_refusal, hidden_call, limit_refusal, looks_like_a_path, no_service,
    worker_gone,
};
use super::tallies::Called;
use super::{Broker, PlantedBug};
use crate::limits::Limit;
use crate::names;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Refusal;
use crate::time::{Span, Time};
use crate::wire::{CallKind, Command, DisconnectReason, Marks};

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
    /// Where it counts, once that is known.
    pub(super) row: Option<Key>,
    /// What its metadata says to the broker, once that was read.
    pub(super) marks: Marks,
}

/// Where a request wants to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    /// The only worker that is wanted, or empty.
    pub(super) target: &'a [u8],
    /// As in [`Request`].
    pub(super) leased: bool,
    /// As in [`Marks`].
    pub(super) no_wait: bool,
    /// The time until its deadline.
    pub(super) left: Span,
    pub(super) kind: CallKind,
}

/// Where a request may go.
pub(super) enum Route {
    /// To this worker, now.
    Now(Key),
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
        if self.by_number.contains_key(&(from, request.call)) {
            self.stats.invalid += 1;
            return self.expel(now, from, DisconnectReason::Unexpected, out);
        }
        if body.path().starts_with(MANAGEMENT) {
            return self.manage(now, from, request.call, &body, out);
        }
        if self.closing.is_some() {
            return self.hand_back(now, from, request.call, &body, out);
        }
        let route = match self.admit(now, from, &mut request, &body, out) {
            Ok(called) if self.config.hooks.requests => {
                request.row = called.row;
                return self.ask_about_request(now, from, &request, body, out);
            }
            Ok(called) => {
                request.row = called.row;
                let Request { target, leased, kind, timeout: left, .. } = request;
                let no_wait = request.marks.no_wait;
                let wish = Wish { target, leased, no_wait, left, kind };
                self.find_route(from, called, wish, &body, out)
            }
            Err(refusal) => Err(refusal),
        };
        match route {
            Ok(route) => {
                let key = self.accept(now, from, &request, &body, out);
                self.take_route(now, key, route, body, out);
            }
            Err(refusal) => {
                self.stats.refused += 1;
                self.refuse(now, from, request.call, &body, refusal, out);
            }
        }
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
        let mut call = Call::new(now, from, request, body.is_raw());
        if self.has_hooks() {
            call.path = Some(Box::new(Name::from(body.path())));
        }
        self.count_request(request.row);
        self.count_call(from, &mut call);
        let key = self.calls.insert(call);
        let Some(session) = self.sessions.get_mut(from) else { return key };
        super::push_by_client(&mut session.calls, &mut self.calls, key);
        self.by_number.insert((from, request.call), key);
        if session.plain.is_some()
            && let Some(call) = self.calls.get_mut(key)
        {
            call.flow.grant(self.config.limits.window);
        }
        if !core::mem::replace(&mut session.called, true) {
            let who = session.who();
            out.push(Action::Note(Note::ClientSeen { who }));
        }
        key
    }

    /// Gives a call that is in no list to a worker, or puts it where it waits for one.
    pub(super) fn take_route(
        &mut self,
        now: Time,
        key: Key,
        route: Route,
        body: P,
        out: &mut Vec<Action<P>>,
    ) {
        let service = match route {
            Route::Queue(service) => Some(service),
            Route::Now(worker) | Route::Pin(worker) => {
                self.registrations.get(worker).map(|worker| worker.service)
            }
        };
        let Some((call, service)) = self.calls.get_mut(key).zip(service) else { return };
        call.service = service;
        match route {
            Route::Now(worker) => self.dispatch(now, key, worker, body, out),
            Route::Queue(_) => {
                self.hold(key, body.detach());
                self.enqueue(key, false);
                self.arm_waiting(now, key);
            }
            Route::Pin(worker) => {
                self.hold(key, body.detach());
                self.pin(key, worker);
                self.arm_waiting(now, key);
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
        out: &mut Vec<Action<P>>,
    ) -> Result<Called<'b>, Refusal> {
        if request.timeout == Span::ZERO && !request.leased {
            return Err(deadline_refusal(false));
        }
        self.check_body(body)?;
        let called = self.called(body).map_err(bad_path)?;
        self.check_rights(now, from, called, body.size())?;
        request.marks = self.marks_of_request(body)?;
        self.check_calls(from).map_err(|limit| self.over(from, limit, out))?;
        if !self.unread.is_empty() {
            self.check_unread(from, out)?;
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

    /// Where a request goes, or why nowhere.
    pub(super) fn find_route(
        &mut self,
        from: Key,
        called: Called<'_>,
        wish: Wish<'_>,
        body: &P,
        out: &mut Vec<Action<P>>,
    ) -> Result<Route, Refusal> {
        let Called { name, service: found, row } = called;
        if !wish.target.is_empty() {
            return self.route_to_worker(from, called, wish, body, out);
        }
        if let Some(worker) = found.and_then(|service| self.free_worker(service)) {
            return Ok(Route::Now(worker));
        }
        if (wish.no_wait || self.config.unserved_wait == Span::ZERO)
            && !wish.leased
            && !found.is_some_and(|service| self.is_served(service))
        {
            return Err(no_service(0));
        }
        if !wish.leased {
            let ahead = self.calls_ahead(from, found);
            self.check_wait(found, ahead, wish, row, out)?;
        }
        if let Err(limit) = self.check_queue(found, body.size()) {
            let room =
                found.is_some_and(|found| self.make_room(self.last, from, found, body.size(), out));
            if !room {
                return Err(self.over(from, limit, out));
            }
        }
        Ok(Route::Queue(self.service_or_new(name)))
    }

    /// Whether a worker of this id serves this, and takes calls.
    pub(super) fn is_there(&self, worker: &[u8], service: Option<Key>) -> bool {
        self.worker_of(worker, service).is_some()
    }

    fn worker_of(&self, worker: &[u8], service: Option<Key>) -> Option<Key> {
        let session = self.sessions.get(*self.by_id.get(worker)?)?;
        if session.draining {
            return None;
        }
        self.registration_of(session, service?)
    }

    fn route_to_worker(
        &mut self,
        from: Key,
        called: Called<'_>,
        wish: Wish<'_>,
        body: &P,
        out: &mut Vec<Action<P>>,
    ) -> Result<Route, Refusal> {
        let Called { service, row, .. } = called;
        let worker = self.worker_of(wish.target, service).ok_or_else(|| worker_gone(0))?;
        let Some(registration) = self.registrations.get(worker) else {
            return Err(worker_gone(0));
        };
        if registration.running < registration.capacity && !registration.held_back {
            return Ok(Route::Now(worker));
        }
        if !wish.leased {
            // The others that wait for the service get each second slot of this worker at the most.
            let (own, all) = (registration.pinned.len(), u64::from(registration.capacity));
            let of_others = self.slots_beside(service, all);
            let ahead = own.saturating_mul(2).saturating_mul(of_others);
            self.check_wait(service, ahead, wish, row, out)?;
        }
        let size = body.size();
        let check = self.check_queue(service, size).and_then(|()| self.check_pinned(service, size));
        check.map_err(|limit| self.over(from, limit, out))?;
        Ok(Route::Pin(worker))
    }

    /// Calls that want one worker have no turns, so they get no more than half of the queue.
    fn check_pinned(&self, service: Option<Key>, size: usize) -> Result<(), Limit> {
        let limits = &self.config.limits;
        let Some(service) = service.and_then(|service| self.services.get(service)) else {
            return Ok(());
        };
        if service.pinned > 0 && 2 * service.pinned >= limits.queued_calls_per_service {
            return Err(Limit::QueuedCallsPerService);
        }
        let bytes = service.pinned_bytes + size;
        if service.pinned > 0 && 2 * bytes > limits.queued_bytes_per_service {
            return Err(Limit::QueuedBytesPerService);
        }
        Ok(())
    }

    fn check_calls(&self, from: Key) -> Result<(), Limit> {
        let limits = &self.config.limits;
        let own =
            self.sessions.get(from).map_or(0, |session| session.calls.len() + session.abandoned);
        if own >= limits.calls_per_client {
            return Err(Limit::CallsPerClient);
        }
        if self.calls.len() >= limits.calls {
            return Err(Limit::Calls);
        }
        Ok(())
    }

    pub(super) fn check_queue(&self, service: Option<Key>, size: usize) -> Result<(), Limit> {
        let limits = &self.config.limits;
        if self.held_bytes + size > limits.held_bytes {
            return Err(Limit::HeldBytes);
        }
        match service.and_then(|service| self.services.get(service)) {
            None if self.unserved >= limits.unserved_services => Err(Limit::UnservedServices),
            None if size > limits.queued_bytes_per_service => Err(Limit::QueuedBytesPerService),
            None if limits.queued_calls_per_service == 0 => Err(Limit::QueuedCallsPerService),
            None => Ok(()),
            Some(service) if service.queued() >= limits.queued_calls_per_service => {
                Err(Limit::QueuedCallsPerService)
            }
            Some(service) if service.queued_bytes + size > limits.queued_bytes_per_service => {
                Err(Limit::QueuedBytesPerService)
            }
            Some(_) => Ok(()),
        }
    }

    pub(super) fn over(&self, from: Key, limit: Limit, out: &mut Vec<Action<P>>) -> Refusal {
        self.limit_note(from, limit, out);
        limit_refusal(limit)
    }
}

/// How the names of the broker's own services begin (RFC 8, "Namespace").
pub(super) const MANAGEMENT: &[u8] = b"mmi.";

/// The service of a request: the whole name of a raw one, and of a typed one the path without its method.
pub(super) fn service_of<P: Payload>(body: &P) -> Result<&str, names::NameError> {
    let name = names::check(body.path())?;
    if body.is_raw() { Ok(name) } else { names::split(name).map(|(service, _)| service) }
}
