//! Drains workers, or the broker itself, for an operator (`wire.md` R101).
//!
//! A dismissed worker gets no new calls, finishes the calls that it holds, and then gets DISCONNECT for good.

use alloc::vec::Vec;

use super::Broker;
use super::io::{Action, Note};
use super::mmi::{NOT_FOUND, NOT_IMPLEMENTED};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Time;
use crate::wire::listing::Listing;
use crate::wire::{DisconnectReason, Record};

/// The prefix of these services' names.
pub(super) const SERVICES: &[u8] = b"mmi.drain.";
/// The service that ends the broker.
pub(super) const BROKER: &[u8] = b"mmi.drain.broker";

const FORBIDDEN: u16 = 403;

impl<P: Payload> Broker<P> {
    /// Answers `mmi.drain.` and starts the drain. The broker itself begins to drain after the answer is sent.
    pub(super) fn asked_to_drain(
        &mut self,
        now: Time,
        from: Key,
        service: &[u8],
        about: &[u8],
        out: &mut Vec<Action<P>>,
    ) -> Listing {
        if !self.may_drain(from) {
            self.stats.denied += 1;
            return Listing::Status(FORBIDDEN);
        }
        let found: Vec<Key> = match service {
            b"mmi.drain.worker" => self.sessions.with_id(about).into_iter().collect(),
            b"mmi.drain.service" => self.workers_of(about),
            BROKER => return Listing::Drained(0),
            _ => return Listing::Status(NOT_IMPLEMENTED),
        };
        if found.is_empty() {
            return Listing::Status(NOT_FOUND);
        }
        for session in &found {
            self.dismiss(now, *session, out);
        }
        Listing::Drained(found.len())
    }

    fn workers_of(&self, service: &[u8]) -> Vec<Key> {
        let Some(service) = self.services.named(service) else { return Vec::new() };
        self.services.workers_of(service).map(|(_, worker)| worker.session()).collect()
    }

    fn dismiss(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.dismiss();
        if session.start_drain() {
            let id = session.id().clone();
            self.stop_dispatch(now, key);
            let registrations =
                self.sessions.get(key).map(|session| session.registrations().to_vec());
            for registration in registrations.unwrap_or_default() {
                self.refuse_pinned(now, registration, out);
            }
            if !self.is_drained(key) {
                // Its handlers hear of it. A worker that has not asked for this is to do nothing else.
                self.send(now, key, Record::Drain, out);
            }
            out.push(Action::Note(Note::WorkerDraining { id }));
        }
        self.disconnect_drained(now, key, out);
    }

    /// Sends DISCONNECT to a dismissed worker as soon as it holds no call.
    pub(super) fn disconnect_drained(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        if self.is_drained(key) {
            self.disconnect(now, key, DisconnectReason::Drained, out);
        }
    }

    /// Whether a worker is dismissed and holds no call.
    pub(super) fn is_drained(&self, key: Key) -> bool {
        let Some(session) = self.sessions.get(key).filter(|session| session.is_dismissed()) else {
            return false;
        };
        let mut own = session.registrations().iter().filter_map(|key| self.services.worker(*key));
        own.all(|found| found.running() == 0)
    }
}
