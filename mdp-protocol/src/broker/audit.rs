//! What must always be true of the broker's tables. Debug builds check it while they run, the
//! simulation after every step.

use alloc::format;
use alloc::string::String;

use super::Broker;
use super::calls::{BrokerCall, CallState, UNCOUNTED};
use crate::list::List;
use crate::payload::Payload;
use crate::slab::Key;

/// Above this many entries a debug build audits every 256th time only.
#[cfg(debug_assertions)]
const SMALL: usize = 512;

impl<P: Payload> Broker<P> {
    #[cfg(debug_assertions)]
    pub(super) fn audit_sometimes(&mut self) {
        let size = self.calls.len() + self.sessions.len() + self.services.count_workers();
        self.handled += 1;
        let due = size <= SMALL || self.handled.is_multiple_of(256);
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
        self.audit_unread()?;
        self.audit_paused()?;
        self.audit_sessions()
    }

    /// Whether nothing is left of any call: no entry, no queue, no timer, no byte.
    #[doc(hidden)]
    pub fn is_quiet(&self) -> bool {
        self.calls.is_quiet()
            && self.services.turns().next().is_none()
            && self.services.workers().all(|(_, worker)| worker.running() == 0)
    }

    fn audit_calls(&self) -> Result<(), String> {
        let (mut held, mut numbered) = (0, 0);
        let mut running = 0;
        for (key, call) in self.calls.iter() {
            held += call.bytes() + Self::backlog_bytes(call);
            let number = call.client().map(|client| (client, call.number()));
            if number
                .is_some_and(|(client, number)| self.calls.numbered(client, number) != Some(key))
            {
                return Err(format!("call {key:?} is not found by its number"));
            }
            numbered += usize::from(number.is_some());
            running += usize::from(call.is_running());
            let unended = call.is_waiting() || call.is_unlisted();
            if unended && call.client().is_none() {
                return Err(format!("call {key:?} waits for nobody"));
            }
            if call.is_waiting() && call.flow().has_begun() {
                return Err(format!("call {key:?} waits though its streams have begun"));
            }
        }
        self.audit_places()?;
        let (timers, numbers) = self.calls.counted();
        same("numbered calls", numbered, numbers)?;
        same("held bytes", held, self.calls.held_bytes())?;
        same("running calls", running, self.calls.running())?;
        let counted = self.calls.iter().filter(|(_, call)| call.usage() != UNCOUNTED);
        let of_principals =
            counted.fold((0, 0), |(calls, bytes), (_, call)| (calls + 1, bytes + call.bytes()));
        if of_principals != self.principals.counted() {
            return Err(format!(
                "principals use {of_principals:?}, {:?} kept",
                self.principals.counted()
            ));
        }
        self.audit_owners()?;
        let (schemas, kept) = self.schemas.recount();
        same("bytes of contracts", schemas, kept)?;
        same("call timers", self.calls.len(), timers)
    }

    /// A call that its client has given up counts for it, and for its principal, until it is over.
    fn audit_owners(&self) -> Result<(), String> {
        let mut abandoned = self.services.new_map();
        for (key, call) in self.calls.iter().filter(|(_, call)| call.owner() != Key::NOWHERE) {
            if call.client().is_none() {
                *abandoned.entry(call.owner()).or_insert(0) += 1;
            }
            if self.has_principal(call.owner()) && call.usage() == UNCOUNTED {
                return Err(format!("call {key:?} counts for no principal"));
            }
        }
        for (key, session) in self.sessions.iter() {
            let counted = abandoned.remove(&key).unwrap_or(0);
            same("calls that were given up", counted, session.abandoned())?;
        }
        Ok(())
    }

    /// Each call is in the list of its state, and in no other.
    fn audit_places(&self) -> Result<(), String> {
        let unlisted = self.calls.iter().filter(|(_, call)| call.is_unlisted());
        let mut listed = unlisted.count();
        let mut check = |list: &List, fits: &dyn Fn(CallState) -> bool| {
            for key in self.calls.in_place(list) {
                listed += 1;
                let state = self.calls.get(key).map(BrokerCall::state);
                if !state.is_some_and(fits) {
                    return Err(format!("call {key:?} is in a list though its state is {state:?}"));
                }
            }
            Ok(())
        };
        for (key, turn) in self.services.turns() {
            check(turn.calls(), &|state| state == CallState::Queued(key))?;
        }
        for (key, worker) in self.services.workers() {
            check(worker.pinned(), &|state| state == CallState::Pinned(key))?;
            let held = [CallState::Running(key), CallState::Overdue(key)];
            check(worker.calls(), &|state| held.contains(&state))?;
        }
        same("calls in lists", listed, self.calls.len())
    }

    fn audit_services(&self) -> Result<(), String> {
        let mut bytes = self.services.new_map();
        for (_, call) in self.calls.iter() {
            let waits = if call.is_waiting() { call.bytes() } else { 0 };
            *bytes.entry(call.service()).or_insert(0) += waits + Self::backlog_bytes(call);
        }
        let mut unserved = 0;
        for (key, service) in self.services.iter() {
            let mut queued = self.pinned_calls(key);
            same("pinned calls", queued, service.pinned().0)?;
            let mut spared = 0;
            for turn in self.services.turns_of(service) {
                if turn.calls().is_empty() {
                    return Err(format!("service {key:?} has an empty turn"));
                }
                queued += turn.calls().len();
                let calls = self.calls.in_place(turn.calls());
                let calls = calls.filter_map(|call| self.calls.get(call));
                spared += calls.filter(|call| self.pauses(call.is_leased())).count();
            }
            same("queued calls", queued, service.queued())?;
            same("spared calls", spared, service.spared().0)?;
            same("queued bytes", bytes.remove(&key).unwrap_or(0), service.queued_bytes())?;
            let workers = self.services.workers_of(key).count();
            same("workers", workers, service.workers())?;
            let said = self.services.workers_of(key);
            let said = said.filter(|(_, at)| !at.is_retired() && at.schema().is_some());
            same("workers with a contract", said.count(), service.schemas().values().sum())?;
            unserved += usize::from(service.workers() == 0);
            if service.workers() == 0 && queued == 0 {
                return Err(format!("service {key:?} is of no use"));
            }
            let waiting = self.services.turns_of(service).next().is_some();
            if waiting && self.services.free_worker(key).is_some() {
                return Err(format!("service {key:?} has waiting calls and a free worker"));
            }
        }
        same("unserved services", unserved, self.services.unserved())?;
        let (turns, by_turn, names) = self.services.counted();
        same("service names", self.services.len(), names)?;
        same("turns", turns, by_turn)
    }

    fn pinned_calls(&self, service: Key) -> usize {
        self.services.workers_of(service).map(|(_, at)| at.pinned().len()).sum()
    }

    fn audit_registrations(&self) -> Result<(), String> {
        for (key, registration) in self.services.workers() {
            same("slots in use", registration.calls().len(), registration.running() as usize)?;
            if registration.running() > registration.all_slots() {
                return Err(format!("worker {key:?} has more calls than it offered to take"));
            }
            let session = self.sessions.get(registration.session());
            if !session.is_some_and(|session| session.registrations().contains(&key)) {
                return Err(format!("worker {key:?} has no session"));
            }
        }
        Ok(())
    }

    fn audit_sessions(&self) -> Result<(), String> {
        let (routes, timers) = self.sessions.counted();
        same("routes", self.sessions.len(), routes)?;
        same("session timers", self.sessions.len(), timers)?;
        for (key, session) in self.sessions.iter() {
            if self.is_drained(key) {
                return Err(format!("session {key:?} is dismissed and was not told to go"));
            }
            let own =
                |call: Key| self.calls.get(call).is_some_and(|call| call.client() == Some(key));
            if !self.calls.of_client(session.calls()).all(own) {
                return Err(format!("session {key:?} lists a call that is not its own"));
            }
        }
        let owned = self.calls.iter().filter(|(_, call)| call.client().is_some()).count();
        same("owned calls", owned, self.sessions.iter().map(|(_, s)| s.calls().len()).sum())
    }
}

fn same(what: &str, counted: usize, kept: usize) -> Result<(), String> {
    if counted == kept {
        return Ok(());
    }
    Err(format!("{what}: {counted} counted, {kept} kept"))
}
