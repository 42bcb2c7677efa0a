//! The schemas of services, from their workers: `mmi.schema` (`wire.md` R100).
//!
//! The broker asks one worker of each contract when a peer wants the schema, keeps the answer within limits, and gives
//! it to all peers that asked in the meantime. It never decodes an answer.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Broker;
use super::calls::{BrokerCall, End};
use super::io::{Action, Name};
use super::lookups::{Ask, Asker, Step, Waiter, answer};
use super::mmi::{NOT_FOUND, NOT_IMPLEMENTED, TIMED_OUT, TRY_LATER};
use super::refusals::denied;
use super::refusing::final_of;
use super::routing::Request;
use crate::names::MAX_NAME;
use crate::payload::Payload;
use crate::policy::Grant;
use crate::slab::Key;
use crate::status::Code;
use crate::time::Time;
use crate::wire::listing::Listing;
use crate::wire::{CallKind, Marks, Reply, SchemaHash};

/// The method by which a worker tells its service's schema (`wire.md` R99).
const METHOD: &[u8] = b"/-schema";

impl<P: Payload> Broker<P> {
    /// The answer to `mmi.schema`, if it is known at once. Otherwise the answer follows later.
    pub(super) fn look_up_schema(
        &mut self,
        now: Time,
        from: Key,
        call: u64,
        about: &[u8],
        out: &mut Vec<Action<P>>,
    ) -> Option<Listing> {
        let refused = |status| Some(Listing::Status(status));
        let (service, wanted) = asked_for(about);
        let found = self.services.named(service);
        let Some(service) = found.filter(|service| self.services.is_served(*service)) else {
            return refused(NOT_FOUND);
        };
        let Some((name, hash)) = self.contract_of(service, wanted) else {
            return refused(if wanted.is_some() { NOT_FOUND } else { NOT_IMPLEMENTED });
        };
        if let Some(known) = self.schemas.find(&name, hash) {
            return Some(known);
        }
        let waiter = self.waiter(from, call).filter(|waiter| {
            self.closing.is_none()
                && self.calls.len() < self.config.limits.calls
                && self.schemas.may_wait(waiter)
        });
        let Some(waiter) = waiter else { return refused(TRY_LATER) };
        let waiter = self.schemas.join(service, hash, waiter)?;
        if !self.schemas.may_begin(&waiter) || !self.may_list(now, from) {
            return refused(TRY_LATER);
        }
        self.schemas.begin(now, service, name, hash, waiter);
        self.see_to_lookups(now, out);
        None
    }

    /// The wanted contract of a service, or that of most workers, of those that say theirs and take calls.
    fn contract_of(&self, service: Key, wanted: Option<SchemaHash>) -> Option<(Name, SchemaHash)> {
        let service = self.services.get(service)?;
        let known = service.schemas();
        let hash = match wanted {
            Some(hash) => known.contains_key(&hash).then_some(hash)?,
            None => *known.iter().max_by_key(|(_, workers)| **workers)?.0,
        };
        Some((service.name().clone(), hash))
    }

    fn waiter(&self, from: Key, call: u64) -> Option<Waiter> {
        let session = self.sessions.get(from)?;
        let identity = *session.rights().identity();
        let asker = match session.form() {
            Some(form) => Asker::Classic { route: Arc::from(session.route()), form, identity },
            None => Asker::Session { session: from, call },
        };
        Some(Waiter::new(session.rights().usage().unwrap_or(from), asker))
    }

    /// Whether the peer that asked for a service's contract may still have it: there may be another policy by now, or
    /// another peer behind the routing id.
    fn may_still_ask(&self, asker: &Asker, service: &[u8]) -> bool {
        match asker {
            Asker::Session { session, .. } => self.may_manage(*session, SERVICE, service),
            Asker::Classic { route, identity, .. } => {
                let there = self.sessions.at_route(route).and_then(|key| self.sessions.get(key));
                let same = there.is_none_or(|session| session.rights().identity() == identity);
                let allows = |grant: &Arc<Grant>| grant.manage || grant.may_call(service);
                let policy = self.config.policy.as_ref();
                same && policy.is_none_or(|policy| policy.of(identity).is_some_and(allows))
            }
        }
    }

    /// Asks a worker for each lookup that has none yet, and ends the lookups that take too long.
    pub(super) fn see_to_lookups(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        let mut place = 0;
        while let Some(is_due) = self.schemas.is_due(now, place) {
            match is_due.then(|| self.see_to_lookup(now, place, out)).flatten() {
                Some(status) => self.end_lookup(now, place, &Listing::Status(status), out),
                None => place += 1,
            }
        }
    }

    /// Why a lookup ends, if it does.
    fn see_to_lookup(&mut self, now: Time, place: usize, out: &mut Vec<Action<P>>) -> Option<u16> {
        let attempts = self.config.limits.attempts;
        let Step { service, hash, tries, call, is_over } = self.schemas.see_to(now, place)?;
        if is_over {
            return Some(TIMED_OUT);
        }
        if call.is_some_and(|call| self.calls.get(call).is_some_and(BrokerCall::is_running)) {
            return None;
        }
        self.schemas.not_asked(place);
        if !self.services.is_served(service) {
            return Some(NOT_FOUND);
        }
        if tries >= attempts {
            return Some(TRY_LATER);
        }
        let workers = self.services.workers_of(service);
        let workers =
            workers.filter(|(_, worker)| worker.schema() == Some(hash) && !worker.is_retired());
        // One with a free slot, if there is one.
        let worker = workers.max_by_key(|(_, worker)| worker.has_free_slot());
        match worker.map(|(key, worker)| (key, worker.has_free_slot())) {
            Some((worker, true)) => self.ask_worker(now, place, worker, out),
            Some(_) => None,
            None => Some(TRY_LATER),
        }
    }

    /// A slot of a worker is free. A lookup of its contract comes before the waiting calls.
    pub(super) fn ask_first(&mut self, now: Time, worker: Key, out: &mut Vec<Action<P>>) {
        if self.schemas.is_empty() {
            return;
        }
        let Some(found) = self.services.worker(worker) else { return };
        let free = found.has_free_slot() && !found.is_retired();
        let (service, hash) = (found.service(), found.schema());
        let Some(place) = self.schemas.waiting(service, hash).filter(|_| free) else { return };
        if let Some(status) = self.ask_worker(now, place, worker, out) {
            self.end_lookup(now, place, &Listing::Status(status), out);
        }
    }

    /// Asks a worker that has a free slot. Why that cannot be, if it cannot.
    fn ask_worker(
        &mut self,
        now: Time,
        place: usize,
        worker: Key,
        out: &mut Vec<Action<P>>,
    ) -> Option<u16> {
        let Ask { service, name, until } = self.schemas.ask(place)?;
        let path = [&*name, METHOD].concat();
        let Some(body) =
            Some(path).filter(|path| path.len() <= MAX_NAME).and_then(|path| P::request(&path))
        else {
            return Some(NOT_IMPLEMENTED);
        };
        let request = Request {
            call: 0,
            timeout: until - now,
            idempotent: false,
            target: b"",
            kind: CallKind::Unary,
            leased: false,
            charged: false,
            row: None,
            marks: Marks::default(),
        };
        let mut call = BrokerCall::new(now, Key::NOWHERE, &request, false);
        call.set_service(service);
        let key = self.calls.insert(call);
        self.schemas.asked(place, key);
        self.dispatch(now, key, worker, body, false, out);
        None
    }

    /// A worker's FINAL for a call that the broker made itself.
    pub(super) fn take_schema(
        &mut self,
        now: Time,
        call: Key,
        end: &End<P>,
        out: &mut Vec<Action<P>>,
    ) {
        // Nothing was passed on to a client.
        self.stats.replies = self.stats.replies.saturating_sub(1);
        let Some((place, name, hash)) = self.schemas.with_call(call) else { return };
        let set = match (end.code, &end.reply) {
            (Code::Ok, Reply::Body(body)) => body.message().map(|set| answer(set, &hash)),
            _ => None,
        };
        let listing = match (set, end.code) {
            (Some(answer), _) => {
                self.schemas.keep(&self.config.limits, name, hash, answer.clone());
                Listing::Schema(answer)
            }
            (None, Code::Ok | Code::Unimplemented) => Listing::Status(NOT_IMPLEMENTED),
            (None, Code::DeadlineExceeded) => Listing::Status(TIMED_OUT),
            (None, _) => Listing::Status(TRY_LATER),
        };
        self.end_lookup(now, place, &listing, out);
    }

    /// The broker shuts down: all lookups end.
    pub(super) fn end_lookups(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        while !self.schemas.is_empty() {
            self.end_lookup(now, 0, &Listing::Status(TRY_LATER), out);
        }
    }

    fn end_lookup(&mut self, now: Time, place: usize, listing: &Listing, out: &mut Vec<Action<P>>) {
        let Some((name, askers)) = self.schemas.end(place) else { return };
        for asker in askers {
            let may = self.may_still_ask(&asker, &name);
            match asker {
                Asker::Session { session, call } if may => {
                    self.answer_management(now, session, call, listing.clone(), out);
                }
                Asker::Session { session, call } => {
                    self.send(now, session, final_of(call, 0, denied(SERVICE)), out);
                }
                Asker::Classic { .. } if !may => {}
                Asker::Classic { route, form, .. } => {
                    let message = super::mmi::classic_reply(SERVICE, listing.clone());
                    out.push(Action::AnswerClassic { route: (&*route).into(), form, message });
                }
            }
        }
    }
}

/// The service that a question is about, and the one contract of it that is wanted: `SERVICE`, or `SERVICE HASH` with
/// the hash in hex.
pub(super) fn asked_for(about: &[u8]) -> (&[u8], Option<SchemaHash>) {
    let split = || {
        let (rest, digits) = about.split_last_chunk::<HASH_DIGITS>()?;
        let service = rest.strip_suffix(b" ")?;
        let mut hash = SchemaHash::default();
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                let value = char::from(*digit).to_digit(16)?;
                *byte = *byte << 4 | value as u8;
            }
        }
        Some((service, hash))
    };
    split().map_or((about, None), |(service, hash)| (service, Some(hash)))
}

/// A hash in hex.
const HASH_DIGITS: usize = 2 * size_of::<SchemaHash>();

/// The service of the broker's own that is answered here.
pub(super) const SERVICE: &[u8] = b"mmi.schema";
