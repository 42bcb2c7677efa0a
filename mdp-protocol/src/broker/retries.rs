//! Another attempt at a call: its worker is gone, has not begun, or was never reached.

use alloc::string::String;
use alloc::vec::Vec;

use super::calls::CallState;
use super::io::Action;
use super::refusals::{limit_refusal, worker_gone, worker_lost};
use super::{Broker, PlantedBug};
use crate::limits::Limit;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Refusal;
use crate::time::Time;

impl<P: Payload> Broker<P> {
    /// The worker that held this call is gone. Whether the call waits for another one.
    pub(super) fn lose_call(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        out: &mut Vec<Action<P>>,
    ) -> bool {
        self.unlink_worker(key, worker);
        if self.may_retry(now, key) {
            self.stats.redispatched += 1;
            if let Some(call) = self.calls.get_mut(key) {
                call.set_maybe_started();
            }
            self.count_loss(key);
            self.requeue(now, key);
            return true;
        }
        let id = self
            .services
            .session_of(worker)
            .and_then(|session| self.sessions.get(session))
            .map(|session| String::from_utf8_lossy(session.id()).into_owned())
            .unwrap_or_default();
        let attempts = self.config.limits.attempts;
        let max = match self.calls.get(key) {
            Some(call) if call.is_idempotent() => attempts,
            _ => 1,
        };
        if self.calls.get(key).is_some_and(|call| call.client().is_some()) {
            self.stats.refused += 1;
        }
        self.send_refusal(now, key, |attempt| worker_lost(&id, attempt, max), out);
        self.remove(key);
        false
    }

    pub(super) fn may_retry(&self, now: Time, key: Key) -> bool {
        self.calls.get(key).is_some_and(|call| {
            call.is_running()
                && (!call.flow().has_begun() || self.planted(PlantedBug::MoveBegunCalls))
                && call.client().is_some()
                && call.is_kept()
                && !call.is_targeted()
                && now < call.deadline()
                && self.closing.is_none()
        })
    }

    /// Back into the queue, before its client's other calls. Limits do not count here: the call was
    /// accepted once.
    pub(super) fn requeue(&mut self, now: Time, key: Key) {
        let wait = self.config.classic.queue_expiry;
        if let Some(call) = self.calls.get_mut(key) {
            call.wait_again(now, now + wait);
        }
        self.enqueue(key, true);
        self.arm_waiting(now, key);
    }

    /// A REQUEST that the transport did not take: no handler has seen it.
    pub(super) fn undelivered(
        &mut self,
        now: Time,
        to: Key,
        call: u64,
        body: P,
        out: &mut Vec<Action<P>>,
    ) {
        self.stop_dispatch(now, to);
        let Some(key) = Key::from_u64(call) else { return };
        let Some(call) = self.calls.get_mut(key) else { return };
        let CallState::Running(worker) = call.state() else { return };
        if self.services.session_of(worker) != Some(to) {
            return;
        }
        call.undo_attempt();
        self.stats.dispatched = self.stats.dispatched.saturating_sub(1);
        self.unlink_worker(key, worker);
        self.release_body(key);
        match self.check_again(key, body.size()) {
            None => {
                self.keep_body(key, body.detach());
                self.requeue(now, key);
                if self.closing.is_some() {
                    self.send_back(now, key, out);
                }
            }
            Some(refusal) => {
                self.send_refusal(now, key, |_| refusal, out);
                self.remove(key);
            }
        }
        self.free_slot(now, worker, out);
    }

    /// Why a call whose REQUEST came back cannot wait for another worker.
    fn check_again(&self, key: Key, size: usize) -> Option<Refusal> {
        let call = self.calls.get(key)?;
        if call.is_targeted() || call.client().is_none() {
            return Some(worker_gone(0));
        }
        let full = !self.calls.has_room(size, &self.config.limits);
        full.then(|| limit_refusal(Limit::HeldBytes))
    }
}
