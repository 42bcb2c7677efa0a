//! The counters of methods, services and workers, at each step of a call.

use alloc::vec::Vec;

use super::Broker;
use super::services::Service;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Code;
use crate::time::{Span, Time};
use crate::wire::listing::{CallStats, MethodLine};

impl<P: Payload> Broker<P> {
    /// Where a call counts: for its method, or for its service. Nowhere, if there is no service yet or too many have
    /// rows.
    fn call_stats(&mut self, call: Key) -> Option<&mut CallStats> {
        let call = self.calls.get_mut(call)?;
        if call.row().is_none_or(|row| !self.method_stats.has(row)) {
            call.set_row(self.services.get(call.service()).and_then(Service::row));
        }
        self.method_stats.of(call.row())
    }

    /// A call is accepted.
    pub(super) fn count_request(&mut self, row: Option<Key>) {
        if let Some(call_stats) = self.method_stats.of(row) {
            call_stats.requests += 1;
        }
    }

    /// The client of a call gets its result.
    pub(super) fn count_end(&mut self, now: Time, call: Key, code: Code) {
        if code != Code::Ok
            && let Some(call_stats) = self.call_stats(call)
        {
            call_stats.count_error(now, code);
        }
    }

    /// A worker that held this call was lost, and another one gets it.
    pub(super) fn count_loss(&mut self, call: Key) {
        if let Some(call_stats) = self.call_stats(call) {
            call_stats.redispatched += 1;
        }
    }

    /// A call is given to a worker. One that came before its service had any worker counts from here.
    pub(super) fn count_dispatch(&mut self, now: Time, key: Key, body: &P) {
        let Some(call) = self.calls.get_mut(key) else { return };
        if call.client().is_none() {
            return; // the broker's own
        }
        let (waited, uncounted) = (call.end_wait(now), call.row().is_none());
        if uncounted {
            self.find_row(key, body);
        }
        if let Some(call_stats) = self.call_stats(key) {
            call_stats.requests += u64::from(uncounted);
            call_stats.queued = call_stats.queued + waited;
        }
    }

    #[cold]
    fn find_row(&mut self, key: Key, body: &P) {
        let row = self.resolve(body).ok().and_then(|called| called.row);
        if let Some(call) = self.calls.get_mut(key) {
            call.set_row(row);
        }
    }

    /// A worker has answered a call that it held.
    pub(super) fn count_answer(&mut self, now: Time, key: Key, worker: Key, code: Code) {
        let Some(call) = self.calls.get(key) else { return };
        let held = call.passed(now);
        if let Some(row) = call.row() {
            self.method_stats.answered(row, code, self.config.limits.methods);
            if let Some(call_stats) = self.call_stats(key) {
                call_stats.running = call_stats.running + held;
            }
        }
        let Some(worker) = self.services.worker_mut(worker) else { return };
        let call_stats = worker.call_stats_mut();
        call_stats.running = call_stats.running + held;
        call_stats.count_error(now, code);
    }

    /// A worker has held a call till now: it has ended, or its slot is taken back.
    pub(super) fn count_duration(&mut self, now: Time, key: Key) {
        let call = self.calls.get(key).filter(|call| !call.flow().kind().is_stream());
        let Some(call) = call else { return };
        let held = call.passed(now);
        self.method_stats.count_duration(call.row(), held);
    }

    /// How long a call waited until it was given to the worker that holds it; `call` is its name in the REQUEST to that
    /// worker. `None`: no worker holds it.
    pub fn waited(&self, call: u64) -> Option<Span> {
        let call = self.calls.get(Key::from_u64(call)?)?;
        call.is_running().then(|| call.waited())
    }

    /// The counters of a service, or of all: a line for each method, and one without method for the rest of its calls.
    pub fn method_lines(&self, service: Option<&[u8]>) -> Vec<MethodLine> {
        self.method_stats.lines(self.last, service)
    }
}
