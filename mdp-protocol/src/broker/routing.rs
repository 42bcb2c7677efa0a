//! Routing: what the path of a request means, and where the request goes: to a worker, into a queue, or behind the one
//! worker that it wants.

use alloc::vec::Vec;

use super::Broker;
use super::io::Action;
use super::method_stats::Known;
use super::refusals::{no_service, worker_gone};
use crate::limits::Limit;
use crate::names;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Refusal;
use crate::time::{Span, Time};
use crate::wire::CallKind;

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
        if let Some(worker) = found.and_then(|service| self.services.free_worker(service)) {
            return Ok(Route::Now(worker));
        }
        if (wish.no_wait || self.config.unserved_wait == Span::ZERO)
            && !wish.leased
            && !found.is_some_and(|service| self.services.is_served(service))
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
                return Err(self.refusal_of(from, limit, out));
            }
        }
        Ok(Route::Queue(self.services.named_or_new(name)))
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
        let Some(registration) = self.services.worker(worker) else {
            return Err(worker_gone(0));
        };
        if registration.has_free_slot() && !registration.is_held_back() {
            return Ok(Route::Now(worker));
        }
        if !wish.leased {
            // The others that wait for the service get each second slot of this worker at the most.
            let (own, all) = (registration.pinned().len(), u64::from(registration.capacity()));
            let of_others = self.slots_beside(service, all);
            let ahead = own.saturating_mul(2).saturating_mul(of_others);
            self.check_wait(service, ahead, wish, row, out)?;
        }
        let size = body.size();
        let check = self.check_queue(service, size).and_then(|()| self.check_pinned(service, size));
        check.map_err(|limit| self.refusal_of(from, limit, out))?;
        Ok(Route::Pin(worker))
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
            Route::Now(worker) | Route::Pin(worker) => self.services.service_of(worker),
        };
        let Some((call, service)) = self.calls.get_mut(key).zip(service) else { return };
        call.set_service(service);
        match route {
            Route::Now(worker) => self.dispatch(now, key, worker, body, out),
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
