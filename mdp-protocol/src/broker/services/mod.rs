//! Services: the queue of waiting calls, and which worker is next.
//!
//! Waiting calls are first in, first out for each client and go round robin between clients: a
//! service has a ring of [`Turn`]s, one for each client that waits. Workers stand in 64 lists by
//! load, so the least loaded one, and among equals the one used longest ago, is found in O(1). Under load it gets several
//! calls in a row ([`runs`]).

mod offers;
mod queue;
mod runs;
mod table;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::BY_STATE;
use super::calls::Calls;
use super::io::Name;
use super::overload::Pace;
use crate::list::{Linked, List, ListLink};
use crate::slab::Key;
use crate::time::Time;
use crate::wire::SchemaHash;
use crate::wire::listing::CallStats;
pub(super) use runs::RunNumber;
use runs::{ReplyTimes, Runs};
use table::{Demand, SharedSlots};
pub(super) use table::{Services, Start};

/// A name that has workers, or calls that wait for one.
#[derive(Debug)]
pub(super) struct Service {
    name: Name,
    /// Workers registered, draining ones included.
    workers: usize,
    /// Workers that get new calls.
    serving: usize,
    /// Where its calls count that have no row of their own.
    row: Option<Key>,
    /// The contracts of those that get new calls and said theirs, and how many say each.
    schemas: BTreeMap<SchemaHash, usize>,
    free: FreeWorkers,
    /// The clients that wait, in the order of their turns.
    turns: List,
    /// The slots of workers that get new calls.
    slots: u64,
    pace: Pace,
    runs: Runs,
    /// Where most is waiting, as far as that was seen when a call came.
    longest: Option<Key>,
    queued: usize,
    queued_bytes: usize,
    /// Waiting calls, and their bytes, that are not refused to make room for others.
    spared: (usize, usize),
    /// What of this wants one worker and no other.
    pinned: usize,
    pinned_bytes: usize,
    demand: Demand,
}

/// Workers with a free slot, by load.
#[derive(Debug, Default)]
struct FreeWorkers {
    /// Bit n: list n is not empty.
    occupied: u64,
    /// Grown as far as it is used.
    by_load: Vec<List>,
}

/// The content of a READY.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) service: &'a [u8],
    pub(super) capacity: u32,
    /// The worker shares its slots between brokers.
    pub(super) shared: bool,
    pub(super) schema: Option<SchemaHash>,
}

/// One worker's offer of one service.
#[derive(Debug)]
pub(super) struct Registration {
    session: Key,
    service: Key,
    /// The slots that this broker may use.
    capacity: u32,
    /// The slots that the worker shares between brokers.
    shared: Option<SharedSlots>,
    /// What one slot is of the load, in 2^-32 of a list: a multiplication costs less than a division.
    share: u64,
    schema: Option<SchemaHash>,
    /// Slots taken; equal to the length of `calls`.
    running: u32,
    call_stats: CallStats,
    /// The calls that it holds.
    calls: List,
    /// Calls that want this worker and no other.
    pinned: List,
    /// Its last free slot went to one of these though others waited, so the next one is for the others.
    pinned_last: bool,
    /// The list of [`FreeWorkers`] that it stands in.
    load: Option<u8>,
    /// It gets no new calls.
    retired: bool,
    /// It gets no new calls until it has read what it was sent.
    held_back: bool,
    /// What it was given within the input that is handled.
    given: Given,
    reply_times: ReplyTimes,
    link: ListLink,
}

/// Bytes that were given to a worker for one service within one input, and that the transport has not reported yet.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    input: u64,
    bytes: usize,
}

/// The waiting calls of one client for one service.
#[derive(Debug)]
pub(super) struct Turn {
    session: Key,
    service: Key,
    calls: List,
    bytes: usize,
    link: ListLink,
}

/// The effect of a worker's loss on the calls that it held.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) service: Option<Key>,
    pub(super) moved: usize,
    pub(super) ended: usize,
}

impl Linked<BY_STATE> for Registration {
    fn link(&mut self) -> &mut ListLink {
        &mut self.link
    }
    fn link_ref(&self) -> &ListLink {
        &self.link
    }
}

impl Linked<BY_STATE> for Turn {
    fn link(&mut self) -> &mut ListLink {
        &mut self.link
    }
    fn link_ref(&self) -> &ListLink {
        &self.link
    }
}

impl Service {
    #[inline]
    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Workers registered, draining ones included.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// Whether it has a worker that gets new calls.
    #[inline]
    pub(super) fn is_served(&self) -> bool {
        self.serving > 0
    }

    /// Where its calls count that have no row of their own.
    #[inline]
    pub(super) fn row(&self) -> Option<Key> {
        self.row
    }

    pub(super) fn set_row(&mut self, row: Option<Key>) {
        self.row = row;
    }

    /// Calls that wait.
    #[inline]
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Bytes of calls that wait, and of backlogs.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Waiting calls that are not refused to make room for others, and their bytes.
    pub(super) fn spared(&self) -> (usize, usize) {
        self.spared
    }

    fn count_spared(&mut self, spared: bool, bytes: usize) {
        if spared {
            self.spared.0 += 1;
            self.spared.1 += bytes;
        }
    }

    fn uncount_spared(&mut self, spared: bool, bytes: usize) {
        if spared {
            self.spared.0 = self.spared.0.saturating_sub(1);
            self.spared.1 = self.spared.1.saturating_sub(bytes);
        }
    }

    /// Calls that wait for one worker and no other, and their bytes.
    pub(super) fn pinned(&self) -> (usize, usize) {
        (self.pinned, self.pinned_bytes)
    }

    /// Bytes of a backlog are held.
    pub(super) fn count_bytes(&mut self, bytes: usize) {
        self.queued_bytes += bytes;
    }

    /// Bytes of a backlog are held no longer.
    pub(super) fn uncount_bytes(&mut self, bytes: usize) {
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
    }

    /// The slots of workers that get new calls, taken ones included.
    pub(super) fn slots(&self) -> u64 {
        self.slots
    }

    /// Clients that wait.
    pub(super) fn turns(&self) -> usize {
        self.turns.len()
    }

    /// How fast its queue moves.
    #[inline]
    pub(super) fn pace_mut(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// The contracts of its workers that get new calls, and how many of them say each.
    pub(super) fn schemas(&self) -> &BTreeMap<SchemaHash, usize> {
        &self.schemas
    }

    fn count_queued(&mut self, now: Time, bytes: usize) {
        self.queued += 1;
        self.queued_bytes += bytes;
        self.pace.begin(now);
    }

    fn uncount_queued(&mut self, now: Time, bytes: usize) {
        self.queued = self.queued.saturating_sub(1);
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        if self.queued == 0 {
            self.pace.end(now);
        }
    }

    /// Counts a worker's contract. Gives it and another one, if there is another one.
    fn add_schema(&mut self, schema: Option<SchemaHash>) -> Option<(SchemaHash, SchemaHash)> {
        let schema = schema?;
        *self.schemas.entry(schema).or_default() += 1;
        let other = self.schemas.keys().find(|other| **other != schema)?;
        Some((schema, *other))
    }

    fn remove_schema(&mut self, schema: Option<SchemaHash>) {
        let Some(schema) = schema else { return };
        let Some(workers) = self.schemas.get_mut(&schema) else { return };
        *workers -= 1;
        if *workers == 0 {
            self.schemas.remove(&schema);
        }
    }
}

impl Registration {
    /// A worker without calls.
    pub(super) fn new(session: Key, service: Key, offer: &Offer<'_>, held_back: bool) -> Self {
        // Of shared slots, only those count that a GRANT names.
        let shared = offer.shared.then(|| SharedSlots::new(offer.capacity));
        let capacity = if offer.shared { 0 } else { offer.capacity };
        Registration {
            session,
            service,
            capacity,
            shared,
            share: share_of(capacity),
            schema: offer.schema,
            running: 0,
            call_stats: CallStats::default(),
            calls: List::default(),
            pinned: List::default(),
            pinned_last: false,
            load: None,
            retired: false,
            held_back,
            given: Given::default(),
            reply_times: ReplyTimes::default(),
            link: ListLink::default(),
        }
    }

    #[inline]
    pub(super) fn session(&self) -> Key {
        self.session
    }

    #[inline]
    pub(super) fn service(&self) -> Key {
        self.service
    }

    /// The slots that this broker may use.
    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    fn set_capacity(&mut self, capacity: u32) {
        self.capacity = capacity;
        self.share = share_of(capacity);
    }

    /// The slots that the worker has, also those that other brokers use.
    pub(super) fn all_slots(&self) -> u32 {
        self.shared.as_ref().map_or(self.capacity, SharedSlots::all)
    }

    pub(super) fn schema(&self) -> Option<SchemaHash> {
        self.schema
    }

    /// Slots taken.
    pub(super) fn running(&self) -> u32 {
        self.running
    }

    pub(super) fn has_free_slot(&self) -> bool {
        self.running < self.capacity
    }

    /// It gets no new calls.
    #[inline]
    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// It gets no new calls until it has read what it was sent.
    pub(super) fn is_held_back(&self) -> bool {
        self.held_back
    }

    pub(super) fn hold_back(&mut self, held: bool) {
        self.held_back = held;
    }

    /// The counters of the worker so far.
    pub(super) fn call_stats(&self) -> &CallStats {
        &self.call_stats
    }

    #[inline]
    pub(super) fn call_stats_mut(&mut self) -> &mut CallStats {
        &mut self.call_stats
    }

    /// The calls that it holds.
    pub(super) fn calls(&self) -> &List {
        &self.calls
    }

    /// The calls that want this worker and no other.
    pub(super) fn pinned(&self) -> &List {
        &self.pinned
    }

    /// It no longer holds a call. The slot is still counted.
    #[inline]
    pub(super) fn unlink<P>(&mut self, calls: &mut Calls<P>, key: Key) {
        calls.unlink(&mut self.calls, key);
    }

    /// Whether its next free slot is for calls that any worker may have: the last one went to a call that wants this
    /// worker.
    #[inline]
    pub(super) fn owes_others(&mut self) -> bool {
        core::mem::take(&mut self.pinned_last)
    }

    /// The first call that wants this worker; the next free slot is for the others.
    #[inline]
    pub(super) fn next_pinned(&mut self) -> Option<Key> {
        let call = self.pinned.front()?;
        self.pinned_last = true;
        Some(call)
    }
}

/// What one of so many slots is of the load.
fn share_of(capacity: u32) -> u64 {
    (64_u64 << 32).div_ceil(u64::from(capacity.max(1)))
}

impl Turn {
    /// The waiting calls of its client.
    pub(super) fn calls(&self) -> &List {
        &self.calls
    }
}
