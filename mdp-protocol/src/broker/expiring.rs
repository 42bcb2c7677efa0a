//! Expiring: what happens when the timer of a call fires. A waiting call is refused, a running one is refused and keeps
//! its slot for a while, and then the slot is taken from its worker.

use alloc::vec::Vec;

use super::calls::{BrokerCall, CallState, Stage};
use super::io::{Action, Note};
use super::refusals::{deadline_refusal, no_service, no_verdict};
use super::{Broker, PlantedBug};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::{Span, Time};
use crate::wire::DisconnectReason;

impl<P: Payload> Broker<P> {
    /// A call's timer fired.
    pub(super) fn call_due(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(call) = self.calls.get(key) else { return };
        match call.state() {
            CallState::Queued(_) | CallState::Pinned(_) => self.waiting_due(now, key, out),
            CallState::Running(worker) => {
                if !self.planted(PlantedBug::NoDeadlineInFlight) {
                    self.expire_running(now, key, worker, out);
                }
            }
            CallState::Overdue(worker) => self.reclaim(now, key, worker, out),
            CallState::Asked(stage) | CallState::Silenced(stage) => {
                self.expire_asked(now, key, stage, out)
            }
            CallState::Ending => {
                self.stats.expired += 1;
                self.send_refusal(now, key, |_| deadline_refusal(true), out);
                self.remove(key);
            }
        }
    }

    /// The timer of a waiting call fired.
    fn waiting_due(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(call) = self.calls.get(key) else { return };
        // Also when its time is up: the service has no worker, and the client is to hear that.
        if !call.is_leased() && !self.services.is_served(call.service()) {
            self.stats.refused += 1;
            return self.refuse_waiting(now, key, no_service, out);
        }
        // Else a worker came in the meantime, though it has no free slot; or calls do not take as long as they did.
        if !self.refuse_hopeless(now, key, out)
            && let Some(call) = self.calls.get(key)
        {
            let at = self.latest_start(call).max(now + Span::from_ms(1));
            self.calls.set_timer(key, at);
        }
    }

    /// The time of a waiting call is up.
    pub(super) fn expire_waiting(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let started = self.calls.get(key).is_some_and(BrokerCall::maybe_started);
        self.stats.expired += 1;
        self.refuse_waiting(now, key, |_| deadline_refusal(started), out);
    }

    /// The time of a running call is up. Its worker keeps the slot for a while.
    pub(super) fn expire_running(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        out: &mut Vec<Action<P>>,
    ) {
        self.stats.expired += 1;
        self.send_refusal(now, key, |_| deadline_refusal(true), out);
        self.hold_slot(now, key, worker);
    }

    /// The timer of a call fired while the hooks are asked about it.
    pub(super) fn expire_asked(
        &mut self,
        now: Time,
        key: Key,
        stage: Stage,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(call) = self.calls.get(key) else { return };
        let started = stage == Stage::Reply || call.maybe_started();
        let end = if stage == Stage::Request { call.waits_until() } else { call.deadline() };
        if now < end {
            return self.refuse(now, key, no_verdict(started), out);
        }
        self.stats.expired += 1;
        self.send_refusal(now, key, |_| deadline_refusal(started), out);
        self.remove(key);
    }

    /// Sets the timer of a waiting call: the end of its time to wait, or an earlier time if its service has no worker.
    pub(super) fn arm_waiting(&mut self, now: Time, key: Key) {
        let Some(call) = self.calls.get(key) else { return };
        let mut at = self.latest_start(call);
        if !call.is_leased() && !self.services.is_served(call.service()) {
            let wait = if call.has_no_wait() { Span::ZERO } else { self.config.unserved_wait };
            at = at.min(now + wait);
        }
        self.calls.set_timer(key, at);
    }

    /// The worker has not given the slot back in time: the slot is taken from it.
    pub(super) fn reclaim(&mut self, now: Time, key: Key, worker: Key, out: &mut Vec<Action<P>>) {
        if self.classic_form(worker).is_some() {
            // A classic worker has one request at a time, so it must not get another one before it has ended this.
            let Some(session) = self.services.session_of(worker) else {
                return;
            };
            return self.disconnect(now, session, DisconnectReason::Silence, out);
        }
        self.count_duration(now, key);
        self.unlink_worker(key, worker);
        let service = self.calls.get(key).and_then(|call| self.services.get(call.service()));
        let service = service.map(|service| service.name().clone());
        self.remove(key);
        let Some(from) = self.services.session_of(worker) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(from) else { return };
        let unanswered = session.lost_slot(now, self.config.overrun);
        let id = session.id().clone();
        out.extend(service.map(|service| Action::Note(Note::SlotReclaimed { id, service })));
        if unanswered >= self.config.limits.unanswered {
            // The worker lives and does not work: its other calls are better off with another one.
            return self.disconnect(now, from, DisconnectReason::Silence, out);
        }
        self.free_slot(now, worker, out);
    }
}
