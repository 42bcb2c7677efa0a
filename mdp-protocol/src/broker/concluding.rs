//! Concluding: the FINAL of a worker ends its attempt, the client is given the reply, and the slot that is free again goes
//! to a call that waits.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::calls::{BrokerCall, CallState, End, no_name};
use super::io::{Action, Name};
use super::refusals::{bad_reply_metadata, hidden_reply, no_tunnel};
use super::refusing::final_of;
use super::{Broker, PlantedBug};
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::{Code, Reason, Refusal};
use crate::time::Time;
use crate::wire::{DisconnectReason, Record, Reply, check_metadata};

impl<P: Payload> Broker<P> {
    /// FINAL: counts only from the worker that holds the call.
    pub(super) fn take_final(
        &mut self,
        now: Time,
        from: Key,
        call: u64,
        end: End<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let key = Key::from_u64(call);
        let Some((key, state)) = key.and_then(|key| Some((key, self.calls.get(key)?.state())))
        else {
            return self.unmatched_final(now, from, key, out);
        };
        let holder = match state {
            CallState::Running(worker) | CallState::Overdue(worker) => {
                self.services.session_of(worker).map(|session| (worker, session))
            }
            CallState::Queued(_)
            | CallState::Pinned(_)
            | CallState::Asked(_)
            | CallState::Silenced(_)
            | CallState::Ending => None,
        };
        match holder {
            Some((worker, session))
                if session == from || self.planted(PlantedBug::AnyoneMayReply) =>
            {
                self.end_attempt(now, key, worker, session, end, out);
            }
            _ => self.unmatched_final(now, from, Some(key), out),
        }
    }

    /// The worker that holds a call has sent its FINAL. `holder`: the worker's session.
    fn end_attempt(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        holder: Key,
        mut end: End<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(call) = self.calls.get(key) else { return };
        let (running, run, has_backlog) = (call.is_running(), call.run(), call.has_backlog());
        // A worker that has sent a part of a stream has started a handler, whatever it says.
        end.not_started &= !call.flow().has_begun();
        if run != 0 {
            self.services.answered_in_run(now, worker, run, running && !end.not_started);
        }
        self.unlink_worker(key, worker);
        let id = self.sessions.get_mut(holder).map(|holder| {
            holder.answered();
            holder.id().clone()
        });
        if running && end.not_started && self.may_retry(now, key) {
            self.requeue(now, key);
            return self.free_slot(now, worker, out);
        }
        let end = if running { self.with_readable_metadata(end) } else { end };
        self.count_answer(now, key, worker, end.code, end.not_started);
        if running {
            let id = id.unwrap_or_else(no_name);
            self.stats.replies += 1;
            if has_backlog {
                self.conclude_later(key, end, id);
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

    /// A worker no longer holds a call. The slot is still taken.
    pub(super) fn unlink_worker(&mut self, key: Key, worker: Key) {
        if let Some(registration) = self.services.worker_mut(worker) {
            registration.unlink(&mut self.calls, key);
        }
    }

    /// The end of a call, as its client may hear it: INTERNAL if its metadata cannot be read.
    pub(super) fn with_readable_metadata(&mut self, end: End<P>) -> End<P> {
        let Reply::Body(body) = &end.reply else { return end };
        let Err(error) = check_metadata(body.metadata()) else { return end };
        self.stats.invalid += 1;
        let mut refusal = bad_reply_metadata(error);
        if end.not_started {
            (refusal.not_started, refusal.reason) = (true, Reason::NotDispatched);
        }
        self.stats.reasons.count(refusal.reason);
        let (code, not_started) = (refusal.code, refusal.not_started);
        End { code, not_started, reply: Reply::Refused(Box::new(refusal)) }
    }

    /// A call ends with this, unless the hooks say otherwise. The call is in no list.
    pub(super) fn conclude(
        &mut self,
        now: Time,
        key: Key,
        end: End<P>,
        worker: Name,
        out: &mut Vec<Action<P>>,
    ) {
        let own = || self.calls.get(key).is_some_and(|call| call.client().is_none());
        if self.config.hooks.replies && !own() {
            return self.ask_about_reply(now, key, end, worker, out);
        }
        self.send_reply(now, key, end, worker, out);
        self.remove(key);
    }

    /// Sends the client of a call the end that a worker or a hook gave it.
    pub(super) fn send_reply(
        &mut self,
        now: Time,
        key: Key,
        end: End<P>,
        peer: Name,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(call) = self.calls.get(key) else { return };
        let Some(client) = call.client() else { return self.take_schema(now, key, &end, out) };
        let no_message = matches!(&end.reply, Reply::Body(body) if body.is_raw() && !call.is_raw());
        if no_message {
            return self.send_refusal(now, key, |_| no_tunnel(), out);
        }
        if matches!(&end.reply, Reply::Body(body) if self.hides_reply(call, body)) {
            return self.send_refusal(now, key, |_| hidden_reply(), out);
        }
        let code = end.code;
        let record = if end.not_started && call.maybe_started() {
            // The worker speaks for its own attempt only.
            final_of(call.number(), call.attempt(), Refusal::of_last_attempt(end.code))
        } else {
            Record::Final {
                call: call.number(),
                code: end.code,
                not_started: end.not_started,
                attempt: call.attempt(),
                peer,
                reply: end.reply,
            }
        };
        if code != Code::Ok {
            self.count_failure(now, key, code);
        }
        self.send(now, client, record, out);
    }

    /// A FINAL for a call that this worker does not hold. Late ones happen; others are a fault.
    pub(super) fn unmatched_final(
        &mut self,
        now: Time,
        from: Key,
        call: Option<Key>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(session) = self.sessions.get_mut(from) else { return };
        let was_one = call.is_some_and(|call| self.calls.was_removed(call));
        if was_one && session.answered_late() {
            self.stats.late += 1;
            return;
        }
        self.stats.invalid += 1;
        // RFC 7, RFC 18 B10: a reply without a request.
        self.disconnect(now, from, DisconnectReason::Unexpected, out);
    }

    /// The call is over: it is in no list of a state any more, and holds no slot.
    pub(super) fn remove(&mut self, key: Key) {
        let Some(ended) = self.calls.end(key) else { return };
        self.principals.uncount_bytes(ended.usage, ended.bytes);
        self.drop_backlog(key);
        match ended.client.map(|client| self.sessions.get_mut(client)) {
            Some(Some(session)) => self.calls.unlink_client(session.calls_mut(), key),
            Some(None) => {}
            None => self.uncount_abandoned(key),
        }
        self.uncount_call(key);
        self.calls.discard(key);
        self.paused.see_room();
    }

    /// Takes a call from its client. `false`: no client waited for it.
    pub(super) fn unlink_client(&mut self, key: Key) -> bool {
        let Some(client) = self.calls.stop_waiting(key) else { return false };
        if let Some(session) = self.sessions.get_mut(client) {
            self.calls.unlink_client(session.calls_mut(), key);
        }
        true
    }

    /// A call that its client has given up is over.
    fn uncount_abandoned(&mut self, key: Key) {
        let owner = self.calls.get(key).map(BrokerCall::owner);
        if let Some(client) = owner.and_then(|owner| self.sessions.get_mut(owner)) {
            client.uncount_abandoned();
        }
    }

    /// A slot of a worker is free again. The calls that want this worker and the queue of its service take turns, so
    /// that neither keeps the other out.
    pub(super) fn free_slot(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(freed) = self.services.free_slot(key) else { return };
        if freed.is_last {
            self.disconnect_drained(now, freed.session, out);
        }
        self.ask_first(now, key, out);
        let wanted = freed.is_wanted || freed.is_last;
        if wanted && !self.planted(PlantedBug::NoPumpAfterFinal) {
            self.fill_slots(now, key, freed.service, out);
        }
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
