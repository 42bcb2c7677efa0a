//! What must always be true of the broker's tables. Debug builds check it while they run, the
//! simulation after every step.

use alloc::format;
use alloc::string::String;

use super::calls::{Call, Place};
use super::{BY_CLIENT, BY_PLACE, Broker};
use crate::payload::Payload;
use crate::slab::Key;

/// Above this many entries a debug build audits every 256th time only.
#[cfg(debug_assertions)]
const SMALL: usize = 512;

impl<P: Payload> Broker<P> {
    #[cfg(debug_assertions)]
    pub(super) fn audit_sometimes(&self) {
        let size = self.calls.len() + self.sessions.len() + self.registrations.len();
        let due = size <= SMALL || self.stats.requests.is_multiple_of(256);
        if due && let Err(fault) = self.audit() {
            panic!("the broker broke an invariant: {fault}");
        }
    }

    /// Recounts everything that is counted and follows every link.
    ///
    /// # Errors
    ///
    /// The first invariant that does not hold, in words.
    #[doc(hidden)]
    pub fn audit(&self) -> Result<(), String> {
        self.audit_calls()?;
        self.audit_services()?;
        self.audit_registrations()?;
        self.audit_sessions()
    }

    /// Whether nothing is left of any call: no entry, no queue, no timer, no byte.
    #[doc(hidden)]
    pub fn is_quiet(&self) -> bool {
        self.calls.is_empty()
            && self.turns.is_empty()
            && self.by_turn.is_empty()
            && self.call_timer.len() == 0
            && self.held_bytes == 0
            && self.running == 0
            && self.registrations.iter().all(|(_, registration)| registration.running == 0)
    }

    fn audit_calls(&self) -> Result<(), String> {
        let mut held = 0;
        let mut running = 0;
        for (key, call) in self.calls.iter() {
            held += call.bytes;
            running += usize::from(call.is_running());
            let list = match call.place {
                Place::Queued(turn) => self.turns.get(turn).map(|turn| turn.calls),
                Place::Pinned(worker) => self.registrations.get(worker).map(|at| at.pinned),
                Place::Running(worker) | Place::Overdue(worker) => {
                    self.registrations.get(worker).map(|at| at.calls)
                }
            };
            let Some(list) = list else {
                return Err(format!("call {key:?} is at {:?}, which is gone", call.place));
            };
            if !list.iter::<BY_PLACE, Call<P>>(&self.calls).any(|other| other == key) {
                return Err(format!("call {key:?} is not in the list of {:?}", call.place));
            }
            if call.is_waiting() && call.client.is_none() {
                return Err(format!("call {key:?} waits for nobody"));
            }
        }
        same("held bytes", held, self.held_bytes)?;
        same("running calls", running, self.running)?;
        same("call timers", self.calls.len(), self.call_timer.len())
    }

    fn audit_services(&self) -> Result<(), String> {
        let mut unserved = 0;
        for (key, service) in self.services.iter() {
            let mut queued = self.pinned_calls(key);
            for turn in self.waiting_turns(service) {
                let turn = self.turns.get(turn).ok_or("a turn is gone")?;
                if turn.calls.is_empty() {
                    return Err(format!("service {key:?} has an empty turn"));
                }
                queued += turn.calls.len();
            }
            same("queued calls", queued, service.queued())?;
            let workers = self.registrations.iter().filter(|(_, at)| at.service == key).count();
            same("workers", workers, service.workers)?;
            unserved += usize::from(service.workers == 0);
            if service.workers == 0 && queued == 0 {
                return Err(format!("service {key:?} is of no use"));
            }
            let waiting = self.waiting_turns(service).next().is_some();
            if waiting && self.free_worker(key).is_some() {
                return Err(format!("service {key:?} has waiting calls and a free worker"));
            }
        }
        same("unserved services", unserved, self.unserved)?;
        same("service names", self.services.len(), self.by_name.len())?;
        same("turns", self.turns.len(), self.by_turn.len())
    }

    fn pinned_calls(&self, service: Key) -> usize {
        let own = self.registrations.iter().filter(|(_, at)| at.service == service);
        own.map(|(_, at)| at.pinned.len()).sum()
    }

    fn audit_registrations(&self) -> Result<(), String> {
        for (key, registration) in self.registrations.iter() {
            same("slots in use", registration.calls.len(), registration.running as usize)?;
            if registration.running > registration.capacity {
                return Err(format!("worker {key:?} has more calls than it offered to take"));
            }
            let session = self.sessions.get(registration.session);
            if !session.is_some_and(|session| session.registrations.contains(&key)) {
                return Err(format!("worker {key:?} has no session"));
            }
        }
        Ok(())
    }

    fn audit_sessions(&self) -> Result<(), String> {
        same("routes", self.sessions.len(), self.by_route.len())?;
        same("session timers", self.sessions.len(), self.session_timer.len())?;
        for (key, session) in self.sessions.iter() {
            let own = |call: Key| self.calls.get(call).is_some_and(|call| call.client == Some(key));
            if !session.calls.iter::<BY_CLIENT, Call<P>>(&self.calls).all(own) {
                return Err(format!("session {key:?} lists a call that is not its own"));
            }
        }
        let owned = self.calls.iter().filter(|(_, call)| call.client.is_some()).count();
        same("owned calls", owned, self.sessions.iter().map(|(_, s)| s.calls.len()).sum())
    }
}

fn same(what: &str, counted: usize, kept: usize) -> Result<(), String> {
    if counted == kept {
        return Ok(());
    }
    Err(format!("{what}: {counted} counted, {kept} kept"))
}
