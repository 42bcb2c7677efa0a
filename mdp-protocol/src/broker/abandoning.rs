//! Abandoning: the client of a call waits no longer. It has sent CANCEL, has left, or was told that the time is up.
//!
//! The worker's slot stays taken until its FINAL comes, which a worker sends at once when it hears
//! CANCEL, or until the worker had time enough for it.

use alloc::vec::Vec;

use super::calls::{BrokerCall, CallState};
use super::io::Action;
use super::{Broker, PlantedBug};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Time;
use crate::wire::Record;

impl<P: Payload> Broker<P> {
    /// CANCEL from a client. One that has crossed with FINAL finds nothing.
    pub(super) fn cancel(&mut self, now: Time, from: Key, call: u64, out: &mut Vec<Action<P>>) {
        let Some(key) = self.calls.numbered(from, call) else {
            return self.schemas.forget(from, call);
        };
        self.stats.cancelled += 1;
        self.abandon(now, key, None, out);
    }

    /// A client is gone: all its calls are abandoned.
    pub(super) fn abandon_calls_of(&mut self, now: Time, client: Key, out: &mut Vec<Action<P>>) {
        let mut at = self.sessions.get(client).and_then(|session| session.calls().front());
        while let Some(key) = at {
            at = self.calls.next_of_client(key);
            let waiting = self.calls.get(key).is_some_and(BrokerCall::is_waiting);
            if !(waiting && self.planted(PlantedBug::KeepDeadClientsCalls)) {
                self.abandon(now, key, Some(client), out);
            }
        }
    }

    /// The client of a call waits no longer. A waiting call ends; a running one is cancelled at its worker and keeps
    /// the slot. Nothing is sent to the session `leaves`, which may be the worker's.
    pub(super) fn abandon(
        &mut self,
        now: Time,
        key: Key,
        leaves: Option<Key>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(state) = self.calls.get(key).map(BrokerCall::state) else { return };
        match state {
            CallState::Queued(_) | CallState::Pinned(_) => self.remove_waiting(key),
            CallState::Running(worker) => {
                let session = self.services.session_of(worker);
                if let Some(session) = session.filter(|session| leaves != Some(*session)) {
                    self.send(now, session, Record::Cancel { call: key.as_u64() }, out);
                }
                self.hold_slot(now, key, worker);
            }
            CallState::Overdue(_) => {}
            CallState::Asked(_) | CallState::Silenced(_) | CallState::Ending => self.remove(key),
        }
    }

    /// A running call keeps its slot, and no client waits for it. The slot comes back with FINAL, or when that takes
    /// too long.
    pub(super) fn hold_slot(&mut self, now: Time, key: Key, worker: Key) {
        self.release_body(key);
        self.drop_backlog(key);
        self.detach_client(key);
        self.calls.set_state(key, CallState::Overdue(worker));
        let overrun = match self.classic_form(worker) {
            // A classic worker gets no CANCEL: it ends the call in its own time.
            Some(_) => self.config.classic.busy_expiry,
            None => self.config.overrun,
        };
        self.calls.set_timer(key, now + overrun);
    }

    /// The client waits for the call no longer. What the call takes of a quota or a limit stays taken until it is over:
    /// a worker may be at work on it.
    pub(super) fn detach_client(&mut self, key: Key) {
        if !self.unlink_client(key) {
            return;
        }
        if self.planted(PlantedBug::ForgetAbandonedCalls) {
            self.uncount_call(key);
        }
        let owner = self.calls.get(key).map(BrokerCall::owner);
        if let Some(session) = owner.and_then(|owner| self.sessions.get_mut(owner)) {
            session.count_abandoned();
        }
    }
}
