//! Dispatching: a call is given to a worker with a free slot, and a slot that is free again to a call that waits.

use alloc::vec::Vec;

use super::calls::no_name;
use super::io::{Action, Name};
use super::unread::UNREAD_STEP;
use super::{Broker, PlantedBug};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Time;
use crate::wire::Record;

impl<P: Payload> Broker<P> {
    /// Gives a call that is in no list and whose body is kept to a worker.
    pub(super) fn dispatch_held(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        out: &mut Vec<Action<P>>,
    ) {
        if let Some(body) = self.release_body(key) {
            self.dispatch(now, key, worker, body, out);
        }
    }

    /// Gives a call that is in no list to a worker, with this body.
    pub(super) fn dispatch(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        body: P,
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
        self.count_dispatch(now, key, &body);
        let Some(registration) = self.services.worker_mut(worker) else { return };
        let Some(call) = self.calls.start(key, worker, now + run_timeout) else { return };
        let (deadline, session) = (call.deadline(), registration.session());
        let (kind, attempt) = (call.flow().kind(), call.attempt());
        // Another attempt is a comfort: without room for the body the call has only this one.
        let again = (call.is_idempotent() || keep_all) && attempt < self.config.limits.attempts;
        let kept = (again && room).then(|| body.keep());
        let record = Record::Request {
            call: key.as_u64(),
            timeout: deadline - now,
            idempotent: call.is_idempotent(),
            attempt,
            peer,
            kind,
            body,
        };
        let given = registration.take(&mut self.calls, key, self.unread.input(), size);
        self.services.reload(worker);
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

    /// The name of a call's client for its worker: the id, and behind a space the principal, if that is known.
    pub(super) fn caller(&self, key: Key) -> Name {
        let client = self.calls.get(key).and_then(|call| call.client());
        let Some(session) = client.and_then(|key| self.sessions.get(key)) else { return no_name() };
        session.who()
    }

    /// A worker no longer holds a call. The slot is still taken.
    pub(super) fn unlink_worker(&mut self, key: Key, worker: Key) {
        if let Some(registration) = self.services.worker_mut(worker) {
            registration.unlink(&mut self.calls, key);
        }
        self.calls.stop(key);
    }

    /// A slot of a worker is free again. The calls that want this worker and the queue of its service take turns, so
    /// that neither keeps the other out.
    pub(super) fn free_slot(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(registration) = self.services.worker_mut(key) else { return };
        let (service, session) = (registration.service(), registration.session());
        if registration.free_slot() {
            self.disconnect_drained(now, session, out);
        }
        self.services.reload(key);
        self.ask_first(now, key, out);
        if self.planted(PlantedBug::NoPumpAfterFinal) {
            return;
        }
        self.fill_slots(now, key, service, out);
    }

    /// Gives waiting calls to this registration and to the others of its service.
    pub(super) fn fill_slots(
        &mut self,
        now: Time,
        key: Key,
        service: Key,
        out: &mut Vec<Action<P>>,
    ) {
        while let Some(registration) = self.services.worker_mut(key) {
            if !registration.takes_calls() {
                break;
            }
            if registration.owes_others() {
                self.pump(now, service, out);
                continue;
            }
            let Some(call) = registration.next_pinned() else { break };
            self.start_waiting(now, service, call, key, out);
        }
        self.pump(now, service, out);
    }

    /// Gives waiting calls to free workers while there are both.
    pub(super) fn pump(&mut self, now: Time, service: Key, out: &mut Vec<Action<P>>) {
        while let Some(worker) = self.services.free_worker(service) {
            let Some(call) = self.services.next_waiting(service) else { break };
            self.start_waiting(now, service, call, worker, out);
        }
    }

    /// Gives a waiting call to a worker, unless it cannot end in its time any more.
    fn start_waiting(
        &mut self,
        now: Time,
        service: Key,
        call: Key,
        worker: Key,
        out: &mut Vec<Action<P>>,
    ) {
        if self.refuse_hopeless(now, call, out) {
            return;
        }
        if let Some(service) = self.services.get_mut(service) {
            service.pace_mut().advance(now);
        }
        self.unqueue(call);
        self.dispatch_held(now, call, worker, out);
    }
}
