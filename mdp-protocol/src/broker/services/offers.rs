//! Which services the workers offer: READY, and the loss of a worker.

use alloc::vec::Vec;

use super::{Lost, Offer, Registration};
use crate::broker::io::{Action, Note};
use crate::broker::refusals::worker_gone;
use crate::broker::routing::MANAGEMENT;
use crate::broker::sessions::Session;
use crate::broker::{Broker, PlantedBug};
use crate::limits::Limit;
use crate::names;
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Time;
use crate::wire::DisconnectReason;

impl<P: Payload> Broker<P> {
    /// READY: a worker offers a service.
    pub(in crate::broker) fn ready(
        &mut self,
        now: Time,
        from: Key,
        offer: Offer<'_>,
        out: &mut Vec<Action<P>>,
    ) {
        let reason = match self.check_ready(from, offer.service, offer.capacity, out) {
            Some(reason) => Some(reason),
            None if self.claim_id(now, from, out) => None,
            None => Some(DisconnectReason::IdTaken),
        };
        if let Some(reason) = reason {
            self.note_refused_ready(from, offer.service, reason, out);
            return self.disconnect(now, from, reason, out);
        }
        let key = self.services.named_or_new(offer.service);
        let held_back = self.starts_held_back(from);
        let worker = Registration::new(from, key, &offer, held_back);
        let (worker, differing) = self.services.add_worker(worker);
        let Some(session) = self.sessions.get_mut(from) else { return };
        session.add_registration(worker);
        let (id, draining) = (session.id().clone(), session.is_draining());
        let who = session.who();
        let Some(entry) = self.services.get_mut(key) else { return };
        let service = entry.name().clone();
        if entry.workers() == 1 {
            let row = self.method_stats.of_service(&service, key, self.config.limits.methods);
            entry.set_row(row);
        }
        let capacity = offer.capacity;
        out.push(Action::Note(Note::WorkerReady {
            id: id.clone(),
            who,
            service: service.clone(),
            capacity,
        }));
        if let Some((schema, other)) = differing {
            out.push(Action::Note(Note::SchemasDiffer { id, service, schema, other }));
        }
        if draining {
            return self.retire(now, worker);
        }
        self.services.reload(worker);
        self.pump(now, key, out);
    }

    /// Why a worker may not offer a service, if it may not.
    fn check_ready(
        &mut self,
        from: Key,
        service: &[u8],
        capacity: u32,
        out: &mut Vec<Action<P>>,
    ) -> Option<DisconnectReason> {
        // RFC 8 M2: no worker may register under `mmi.`.
        if names::check(service).is_err() || service.starts_with(MANAGEMENT) {
            return Some(DisconnectReason::BadName);
        }
        if !self.may_serve(from, service) {
            self.stats.denied += 1;
            return Some(DisconnectReason::Denied);
        }
        let limits = &self.config.limits;
        if capacity == 0 || capacity > limits.capacity {
            self.note_limit(from, Limit::Capacity, out);
            return Some(DisconnectReason::LimitReached);
        }
        let session = self.sessions.get(from)?;
        let found = self.services.named(service);
        if found.is_some_and(|service| self.registration_of(session, service).is_some()) {
            return Some(DisconnectReason::Unexpected); // RFC 7 W3: no further READY
        }
        if session.registrations().len() >= limits.services_per_worker {
            self.note_limit(from, Limit::ServicesPerWorker, out);
            return Some(DisconnectReason::LimitReached);
        }
        if self.services.count_workers() >= limits.registrations {
            self.note_limit(from, Limit::Registrations, out);
            return Some(DisconnectReason::LimitReached);
        }
        let served = found
            .and_then(|service| self.services.get(service))
            .is_some_and(|service| service.workers() > 0);
        if !served && self.services.len() - self.services.unserved() >= limits.services {
            self.note_limit(from, Limit::Services, out);
            return Some(DisconnectReason::LimitReached);
        }
        None
    }

    /// The worker that a session is for a service.
    pub(in crate::broker) fn registration_of(
        &self,
        session: &Session,
        service: Key,
    ) -> Option<Key> {
        let mut own = session.registrations().iter().copied();
        own.find(|worker| self.services.service_of(*worker) == Some(service))
    }

    /// No new calls to this worker. If it was the last that took any, the calls that wait for its service wait for a
    /// worker from now on.
    pub(in crate::broker) fn retire(&mut self, now: Time, worker: Key) {
        let Some(service) = self.services.retire(worker) else { return };
        for call in self.services.waiting(service, &self.calls) {
            self.arm_waiting(now, call);
        }
    }

    /// Ends the calls that wait for this worker and no other.
    pub(in crate::broker) fn refuse_pinned(
        &mut self,
        now: Time,
        worker: Key,
        out: &mut Vec<Action<P>>,
    ) {
        while let Some(call) = self.services.worker(worker).and_then(|own| own.pinned().front()) {
            self.refuse_waiting(now, call, worker_gone, out);
        }
    }

    /// A worker is gone: its calls wait for another one where that is allowed, or end.
    pub(in crate::broker) fn lose_worker(
        &mut self,
        now: Time,
        worker: Key,
        out: &mut Vec<Action<P>>,
    ) -> Lost {
        self.retire(now, worker);
        self.refuse_pinned(now, worker, out);
        let mut lost = Lost::default();
        while let Some(call) = self.services.worker(worker).and_then(|own| own.calls().front()) {
            if self.planted(PlantedBug::ForgetLostWorkersCalls) {
                break;
            }
            if self.lose_call(now, call, worker, out) {
                lost.moved += 1;
            } else {
                lost.ended += 1;
            }
        }
        lost.service = self.services.remove_worker(worker);
        lost
    }
}
