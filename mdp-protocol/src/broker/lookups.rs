//! The table behind `mmi.schema`: contracts that are known, and those that workers are asked for.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::io::Name;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::slab::Key;
use crate::time::{Span, Time};
use crate::wire::classic::Form;
use crate::wire::listing::Listing;
use crate::wire::{SchemaHash, put_frame};

/// The status of an answer with a contract (RFC 8).
const STATUS: &[u8] = b"200";
/// How long a worker has for its answer.
const PATIENCE: Span = Span::from_secs(2);
/// How soon another worker is looked for, if the last one could not be asked or is gone.
const AGAIN: Span = Span::from_ms(50);
/// Contracts that the broker is asking for, and the questions that wait for them.
const MAX_LOOKUPS: usize = 64;
const MAX_ASKERS: usize = 1_024;
/// The same of one principal; without a policy, of one session.
const LOOKUPS_EACH: usize = MAX_LOOKUPS / 4;
const ASKERS_EACH: usize = MAX_ASKERS / 4;

/// The known contracts, and the running lookups.
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
    /// The owner of the question that began it, as in [`Waiter`].
    who: Key,
    askers: Vec<Waiter>,
}

/// A question that waits, and its owner: a principal, or without a policy a session.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    who: Key,
    asker: Asker,
}

impl Waiter {
    pub(super) fn new(who: Key, asker: Asker) -> Self {
        Waiter { who, asker }
    }
}

/// The current question of a lookup.
pub(super) struct Step {
    pub(super) service: Key,
    pub(super) hash: SchemaHash,
    /// How many workers were asked.
    pub(super) tries: u8,
    /// The call to a worker, if one was made.
    pub(super) call: Option<Key>,
    /// It takes too long.
    pub(super) is_over: bool,
}

/// The question to a worker, and the time for its answer.
pub(super) struct Ask {
    pub(super) service: Key,
    pub(super) name: Name,
    pub(super) until: Time,
}

/// A peer that waits for an answer. A classic client has a session only while it has an open call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Session { session: Key, call: u64 },
    Classic { route: Arc<[u8]>, form: Form, identity: Identity },
}

impl Schemas {
    /// When a lookup is to be seen to.
    pub(super) fn next(&self) -> Option<Time> {
        self.lookups.iter().map(|lookup| lookup.next.min(lookup.until)).min()
    }

    /// A contract that is known.
    pub(super) fn find(&mut self, name: &Name, hash: SchemaHash) -> Option<Listing> {
        let known = self.known.get_mut(&(name.clone(), hash))?;
        self.uses += 1;
        known.last_use = self.uses;
        Some(Listing::Schema(known.answer.clone()))
    }

    /// Keeps a contract within the limits.
    pub(super) fn keep(
        &mut self,
        limits: &Limits,
        name: Name,
        hash: SchemaHash,
        answer: Arc<[u8]>,
    ) {
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

    /// Whether an owner has as many questions waiting as it may have.
    fn is_full_for(&self, who: Key) -> bool {
        let askers = self.lookups.iter().flat_map(|lookup| &lookup.askers);
        askers.filter(|waiter| waiter.who == who).count() >= ASKERS_EACH
    }

    /// Whether there is room for another lookup of this owner.
    fn has_room_for(&self, who: Key) -> bool {
        let own = self.lookups.iter().filter(|lookup| lookup.who == who).count();
        own < LOOKUPS_EACH && self.lookups.len() < MAX_LOOKUPS
    }

    /// Whether a question may wait.
    pub(super) fn may_wait(&self, waiter: &Waiter) -> bool {
        self.askers() < MAX_ASKERS && !self.is_full_for(waiter.who)
    }

    /// Whether a question may begin a lookup.
    pub(super) fn may_begin(&self, waiter: &Waiter) -> bool {
        self.has_room_for(waiter.who)
    }

    /// Lets a question wait for a running lookup. Returns the question if there is none.
    pub(super) fn join(
        &mut self,
        service: Key,
        hash: SchemaHash,
        waiter: Waiter,
    ) -> Option<Waiter> {
        let mut same = self.lookups.iter_mut();
        match same.find(|same| same.service == service && same.hash == hash) {
            Some(same) => {
                same.askers.push(waiter);
                None
            }
            None => Some(waiter),
        }
    }

    /// A question begins a lookup.
    pub(super) fn begin(
        &mut self,
        now: Time,
        service: Key,
        name: Name,
        hash: SchemaHash,
        waiter: Waiter,
    ) {
        let (who, until) = (waiter.who, now + PATIENCE);
        let askers = Vec::from([waiter]);
        let (call, tries) = (None, 0);
        let lookup = Lookup { service, name, hash, until, next: now, call, tries, who, askers };
        self.lookups.push(lookup);
    }

    /// Whether a session's question of this number is not answered yet.
    pub(super) fn is_asked(&self, session: Key, call: u64) -> bool {
        let asker = Asker::Session { session, call };
        let mut askers = self.lookups.iter().flat_map(|lookup| &lookup.askers);
        askers.any(|waiter| waiter.asker == asker)
    }

    /// A session no longer waits for the answer to its question of this number.
    pub(super) fn forget(&mut self, session: Key, call: u64) {
        let asker = Asker::Session { session, call };
        for lookup in &mut self.lookups {
            lookup.askers.retain(|other| other.asker != asker);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lookups.is_empty()
    }

    /// Whether the lookup of this place is due now. `None`: there is no such lookup.
    pub(super) fn is_due(&self, now: Time, place: usize) -> Option<bool> {
        self.lookups.get(place).map(|lookup| lookup.next.min(lookup.until) <= now)
    }

    /// The current question of the lookup at this index. The lookup is due again after a while.
    pub(super) fn see_to(&mut self, now: Time, place: usize) -> Option<Step> {
        let lookup = self.lookups.get_mut(place)?;
        lookup.next = now + AGAIN;
        let Lookup { service, hash, tries, call, .. } = *lookup;
        Some(Step { service, hash, tries, call, is_over: now >= lookup.until })
    }

    /// The lookup that waits for a worker of this service with this contract.
    pub(super) fn waiting(&self, service: Key, hash: Option<SchemaHash>) -> Option<usize> {
        let waiter = |lookup: &Lookup| {
            lookup.call.is_none() && lookup.service == service && Some(lookup.hash) == hash
        };
        self.lookups.iter().position(waiter)
    }

    /// The question of the lookup at this index to a worker.
    pub(super) fn ask(&self, place: usize) -> Option<Ask> {
        let lookup = self.lookups.get(place)?;
        let (service, until) = (lookup.service, lookup.until);
        Some(Ask { service, name: lookup.name.clone(), until })
    }

    /// A worker is asked with this call.
    pub(super) fn asked(&mut self, place: usize, call: Key) {
        if let Some(lookup) = self.lookups.get_mut(place) {
            lookup.call = Some(call);
            lookup.tries = lookup.tries.saturating_add(1);
        }
    }

    /// The worker that was asked is gone, or has not been asked.
    pub(super) fn not_asked(&mut self, place: usize) {
        if let Some(lookup) = self.lookups.get_mut(place) {
            lookup.call = None;
        }
    }

    /// The lookup that asks a worker with this call: its place, and the contract.
    pub(super) fn with_call(&self, call: Key) -> Option<(usize, Name, SchemaHash)> {
        let place = self.lookups.iter().position(|lookup| lookup.call == Some(call))?;
        let lookup = self.lookups.get(place)?;
        Some((place, lookup.name.clone(), lookup.hash))
    }

    /// Ends a lookup. Returns the service's name, and the questions that wait for the answer.
    pub(super) fn end(&mut self, place: usize) -> Option<(Name, Vec<Asker>)> {
        if place >= self.lookups.len() {
            return None;
        }
        let Lookup { name, askers, .. } = self.lookups.swap_remove(place);
        Some((name, askers.into_iter().map(|waiter| waiter.asker).collect()))
    }

    /// Bytes of what is known: counted, and kept.
    pub(super) fn recount(&self) -> (usize, usize) {
        (self.known.values().map(|known| told(&known.answer)).sum(), self.bytes)
    }
}

/// The bytes before an answer's frames: the length of each.
const LENGTHS: usize = 3 * 4;

/// The answer with a worker's schema, made once for all peers that ask.
pub(super) fn answer(set: &[u8], hash: &SchemaHash) -> Arc<[u8]> {
    let mut payload = Vec::with_capacity(LENGTHS + STATUS.len() + set.len() + hash.len());
    for frame in [STATUS, set, hash] {
        put_frame(&mut payload, frame);
    }
    Arc::from(payload)
}

/// The bytes of a worker's schema in an answer.
fn told(answer: &[u8]) -> usize {
    answer.len().saturating_sub(LENGTHS + STATUS.len() + size_of::<SchemaHash>())
}
