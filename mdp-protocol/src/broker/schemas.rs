//! What the services are, as their workers say: `mmi.schema` (`wire.md` R100).
//!
//! The broker asks one worker of each contract when somebody wants to know, keeps the answer within limits, and gives
//! it to all who asked in the meantime. It looks into none of it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Broker;
use super::calls::{Call, End};
use super::io::{Action, Name};
use super::mmi::{NOT_FOUND, NOT_IMPLEMENTED, TIMED_OUT, TRY_LATER};
use super::refusals::denied;
use super::refusing::final_of;
use super::requests::Request;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::names::MAX_NAME;
use crate::payload::Payload;
use crate::policy::Grant;
use crate::slab::Key;
use crate::status::Code;
use crate::time::{Span, Time};
use crate::wire::listing::Listing;
use crate::wire::plain::Form;
use crate::wire::{CallKind, Marks, Reply, SchemaHash, put_frame};

/// The method by which a worker tells its service's schema (`wire.md` R99).
const METHOD: &[u8] = b"/-schema";
/// The status of an answer with a contract (RFC 8).
const STATUS: &[u8] = b"200";
/// How long a worker has for its answer.
const PATIENCE: Span = Span::from_secs(2);
/// How soon another worker is looked for, if the last one could not be asked or is gone.
const AGAIN: Span = Span::from_ms(50);
/// Contracts that are asked for at once, and who waits for them.
const LOOKUPS_MOST: usize = 64;
const ASKERS_MOST: usize = 1_024;
/// The same of one principal; without a policy, of one session.
const LOOKUPS_EACH: usize = LOOKUPS_MOST / 4;
const ASKERS_EACH: usize = ASKERS_MOST / 4;

/// What is known, and what is being asked for.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    known: BTreeMap<(Name, SchemaHash), Known>,
    /// Bytes of what is known.
    bytes: usize,
    /// How often something known was used.
    uses: u64,
    lookups: Vec<Lookup>,
}

#[derive(Debug)]
struct Known {
    answer: Arc<[u8]>,
    last_use: u64,
}

/// A contract that a worker is asked for.
#[derive(Debug)]
struct Lookup {
    service: Key,
    name: Name,
    hash: SchemaHash,
    until: Time,
    /// When to see to it again.
    next: Time,
    /// The call to the worker, once one has a free slot.
    call: Option<Key>,
    tries: u8,
    /// Whose question began it, as in [`Waits`].
    who: Key,
    askers: Vec<Waits>,
}

/// A question that waits, and whose it is: a principal's, or without a policy a session's.
#[derive(Clone, Debug)]
struct Waits {
    who: Key,
    asker: Asker,
}

/// Who waits for an answer. A plain client has a session only while something of its own goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asker {
    Session { session: Key, call: u64 },
    Plain { route: Arc<[u8]>, form: Form, identity: Identity },
}

impl Schemas {
    /// When a lookup is to be seen to.
    pub(super) fn next(&self) -> Option<Time> {
        self.lookups.iter().map(|lookup| lookup.next.min(lookup.until)).min()
    }

    fn find(&mut self, name: &Name, hash: SchemaHash) -> Option<Listing> {
        let known = self.known.get_mut(&(name.clone(), hash))?;
        self.uses += 1;
        known.last_use = self.uses;
        Some(Listing::Schema(known.answer.clone()))
    }

    fn keep(&mut self, limits: &Limits, name: Name, hash: SchemaHash, answer: Arc<[u8]>) {
        let len = told(&answer);
        if len > limits.schema_bytes || limits.schemas == 0 {
            return;
        }
        while self.bytes + len > limits.schema_bytes || self.known.len() >= limits.schemas {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.last_use);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            let gone = self.known.remove(&oldest);
            self.bytes -= gone.map_or(0, |known| told(&known.answer));
        }
        self.uses += 1;
        self.bytes += len;
        let before = self.known.insert((name, hash), Known { answer, last_use: self.uses });
        self.bytes -= before.map_or(0, |known| told(&known.answer));
    }

    fn askers(&self) -> usize {
        self.lookups.iter().map(|lookup| lookup.askers.len()).sum()
    }

    /// Whether somebody has as many questions waiting as one may have.
    fn is_full_for(&self, who: Key) -> bool {
        let askers = self.lookups.iter().flat_map(|lookup| &lookup.askers);
        askers.filter(|waits| waits.who == who).count() >= ASKERS_EACH
    }

    /// Whether there is room for another lookup of somebody.
    fn has_room_for(&self, who: Key) -> bool {
        let own = self.lookups.iter().filter(|lookup| lookup.who == who).count();
        own < LOOKUPS_EACH && self.lookups.len() < LOOKUPS_MOST
    }

    /// Bytes of what is known: counted, and kept.
    pub(super) fn recount(&self) -> (usize, usize) {
        (self.known.values().map(|known| told(&known.answer)).sum(), self.bytes)
    }
}

/// What stands before the bytes of an answer's frames: the length of each.
const LENGTHS: usize = 3 * 4;

/// The answer with what a worker told, made once for all who ask.
fn answer(set: &[u8], hash: &SchemaHash) -> Arc<[u8]> {
    let mut payload = Vec::with_capacity(LENGTHS + STATUS.len() + set.len() + hash.len());
    for frame in [STATUS, set, hash] {
        put_frame(&mut payload, frame);
    }
    Arc::from(payload)
}

/// The bytes in an answer that a worker told.
fn told(answer: &[u8]) -> usize {
    answer.len().saturating_sub(LENGTHS + STATUS.len() + size_of::<SchemaHash>())
}

impl<P: Payload> Broker<P> {
    /// The answer to `mmi.schema`, if it is known at once; else it is told later.
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
        let full =
            self.schemas.askers() >= ASKERS_MOST || self.calls.len() >= self.config.limits.calls;
        let Some(waits) = self.waits(from, call).filter(|_| !full && self.closing.is_none()) else {
            return refused(TRY_LATER);
        };
        let who = waits.who;
        if self.schemas.is_full_for(who) {
            return refused(TRY_LATER);
        }
        let lookups = &mut self.schemas.lookups;
        if let Some(same) =
            lookups.iter_mut().find(|same| same.service == service && same.hash == hash)
        {
            same.askers.push(waits);
            return None;
        }
        if !self.schemas.has_room_for(who) || !self.may_list(now, from) {
            return refused(TRY_LATER);
        }
        let (until, askers) = (now + PATIENCE, Vec::from([waits]));
        let (call, tries) = (None, 0);
        let lookup = Lookup { service, name, hash, until, next: now, call, tries, who, askers };
        self.schemas.lookups.push(lookup);
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

    fn waits(&self, from: Key, call: u64) -> Option<Waits> {
        let session = self.sessions.get(from)?;
        let identity = *session.rights().identity();
        let asker = match session.form() {
            Some(form) => Asker::Plain { route: Arc::from(session.route()), form, identity },
            None => Asker::Session { session: from, call },
        };
        Some(Waits { who: session.rights().usage().unwrap_or(from), asker })
    }

    /// Whether who asked for a service's contract may still have it: there may be another policy by now, or another
    /// peer behind the routing id.
    fn may_still_ask(&self, asker: &Asker, service: &[u8]) -> bool {
        match asker {
            Asker::Session { session, .. } => self.may_manage(*session, SERVICE, service),
            Asker::Plain { route, identity, .. } => {
                let there = self.sessions.at_route(route).and_then(|key| self.sessions.get(key));
                let same = there.is_none_or(|session| session.rights().identity() == identity);
                let allows = |grant: &Arc<Grant>| grant.manage || grant.may_call(service);
                let policy = self.config.policy.as_ref();
                same && policy.is_none_or(|policy| policy.of(identity).is_some_and(allows))
            }
        }
    }

    /// Whether a client's number is that of a question which is not answered yet.
    pub(super) fn is_asked(&self, session: Key, call: u64) -> bool {
        let asker = Asker::Session { session, call };
        self.schemas
            .lookups
            .iter()
            .any(|lookup| lookup.askers.iter().any(|waits| waits.asker == asker))
    }

    /// CANCEL for what is no call: perhaps a question.
    pub(super) fn forget_question(&mut self, session: Key, call: u64) {
        let asker = Asker::Session { session, call };
        for lookup in &mut self.schemas.lookups {
            lookup.askers.retain(|other| other.asker != asker);
        }
    }

    /// Asks a worker for each lookup that has none yet, and ends the lookups that take too long.
    pub(super) fn see_to_lookups(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        let mut place = 0;
        while let Some(lookup) = self.schemas.lookups.get(place) {
            if lookup.next.min(lookup.until) > now {
                place += 1;
            } else if let Some(status) = self.see_to_lookup(now, place, out) {
                self.end_lookup(now, place, &Listing::Status(status), out);
            } else {
                place += 1;
            }
        }
    }

    /// Why a lookup ends, if it does.
    fn see_to_lookup(&mut self, now: Time, place: usize, out: &mut Vec<Action<P>>) -> Option<u16> {
        let attempts = self.config.limits.attempts;
        let lookup = self.schemas.lookups.get_mut(place)?;
        lookup.next = now + AGAIN;
        if now >= lookup.until {
            return Some(TIMED_OUT);
        }
        if lookup.call.is_some_and(|call| self.calls.get(call).is_some_and(Call::is_running)) {
            return None;
        }
        lookup.call = None;
        let (service, hash, tries) = (lookup.service, lookup.hash, lookup.tries);
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
        if self.schemas.lookups.is_empty() {
            return;
        }
        let Some(found) = self.services.worker(worker) else { return };
        let free = found.has_free_slot() && !found.is_retired();
        let (service, hash) = (found.service(), found.schema());
        let waits = |lookup: &Lookup| {
            lookup.call.is_none() && lookup.service == service && Some(lookup.hash) == hash
        };
        let Some(place) = self.schemas.lookups.iter().position(waits).filter(|_| free) else {
            return;
        };
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
        let lookup = self.schemas.lookups.get_mut(place)?;
        let path = [&*lookup.name, METHOD].concat();
        let Some(body) =
            Some(path).filter(|path| path.len() <= MAX_NAME).and_then(|path| P::request(&path))
        else {
            return Some(NOT_IMPLEMENTED);
        };
        let request = Request {
            call: 0,
            timeout: lookup.until - now,
            idempotent: false,
            target: b"",
            kind: CallKind::Unary,
            leased: false,
            row: None,
            marks: Marks::default(),
        };
        let mut call = Call::new(now, Key::NOWHERE, &request, false);
        call.set_service(lookup.service);
        let key = self.calls.insert(call);
        lookup.call = Some(key);
        lookup.tries = lookup.tries.saturating_add(1);
        self.dispatch(now, key, worker, body, out);
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
        let found = self.schemas.lookups.iter().position(|lookup| lookup.call == Some(call));
        let Some((place, lookup)) = found.and_then(|at| Some((at, self.schemas.lookups.get(at)?)))
        else {
            return;
        };
        let (name, hash) = (lookup.name.clone(), lookup.hash);
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
        while !self.schemas.lookups.is_empty() {
            self.end_lookup(now, 0, &Listing::Status(TRY_LATER), out);
        }
    }

    fn end_lookup(&mut self, now: Time, place: usize, listing: &Listing, out: &mut Vec<Action<P>>) {
        if place >= self.schemas.lookups.len() {
            return;
        }
        let Lookup { name, askers, .. } = self.schemas.lookups.swap_remove(place);
        for Waits { asker, .. } in askers {
            let may = self.may_still_ask(&asker, &name);
            match asker {
                Asker::Session { session, call } if may => {
                    self.answer_management(now, session, call, listing.clone(), out);
                }
                Asker::Session { session, call } => {
                    self.send(now, session, final_of(call, 0, denied(SERVICE)), out);
                }
                Asker::Plain { .. } if !may => {}
                Asker::Plain { route, form, .. } => {
                    let message = super::mmi::plain_reply(SERVICE, listing.clone());
                    out.push(Action::AnswerPlain { route: (&*route).into(), form, message });
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
