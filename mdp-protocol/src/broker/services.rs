//! Services: the queue of waiting calls, and which worker is next.
//!
//! Waiting calls are first in, first out for each client and go round robin between clients: a
//! service has a ring of [`Turn`]s, one for each client that waits. Workers stand in 64 lists by
//! load, so the least loaded one, and among equals the one used longest ago, is found in O(1).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::calls::Place;
use super::io::{Action, Name, Note};
use super::overload::Pace;
use super::requests::MANAGEMENT;
use super::unread::Given;
use super::{BY_PLACE, Broker, PlantedBug};
use crate::limits::Limit;
use crate::list::{Link, Linked, List};
use crate::names;
use crate::payload::Payload;
use crate::slab::{Key, Slab};
use crate::time::Time;
use crate::wire::listing::Tally;
use crate::wire::{DisconnectReason, SchemaHash};

/// A name that has workers, or calls that wait for one.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: Name,
    /// Workers registered, draining ones included.
    pub(super) workers: usize,
    /// Workers that get new calls.
    serving: usize,
    /// Where its calls count that have no row of their own.
    pub(super) row: Option<Key>,
    /// The contracts of those that get new calls and said theirs, and how many say each.
    schemas: BTreeMap<SchemaHash, usize>,
    free: FreeWorkers,
    /// The clients that wait, in the order of their turns.
    turns: List,
    /// The slots of workers that get new calls.
    slots: u64,
    pub(super) pace: Pace,
    /// Where most is waiting, as far as that was seen when a call came.
    longest: Option<Key>,
    queued: usize,
    pub(super) queued_bytes: usize,
    /// What of this wants one worker and no other.
    pub(super) pinned: usize,
    pub(super) pinned_bytes: usize,
}

/// Workers with a free slot, by load.
#[derive(Debug, Default)]
struct FreeWorkers {
    /// Bit n: list n has somebody.
    occupied: u64,
    /// Grown as far as it is used.
    by_load: Vec<List>,
}

/// What a READY says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) service: &'a [u8],
    pub(super) capacity: u32,
    pub(super) schema: Option<SchemaHash>,
}

/// One worker's offer of one service.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) session: Key,
    pub(super) service: Key,
    pub(super) capacity: u32,
    /// What one slot is of the load, in 2^-32 of a list: a multiplication costs less than a division.
    share: u64,
    pub(super) schema: Option<SchemaHash>,
    /// Slots taken; equal to the length of `calls`.
    pub(super) running: u32,
    pub(super) tally: Tally,
    /// The calls that it holds.
    pub(super) calls: List,
    /// Calls that want this worker and no other.
    pub(super) pinned: List,
    /// Its last free slot went to one of these though others waited, so the next one is for the others.
    pub(super) pinned_last: bool,
    /// The list of [`FreeWorkers`] that it stands in.
    load: Option<u8>,
    /// It gets no new calls.
    pub(super) retired: bool,
    /// It gets no new calls until it has read what it was sent.
    pub(super) held_back: bool,
    /// What it was given within the input that is handled.
    pub(super) given: Given,
    link: Link,
}

/// The waiting calls of one client for one service.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) session: Key,
    pub(super) service: Key,
    pub(super) calls: List,
    bytes: usize,
    link: Link,
}

/// What a worker's loss did to the calls that it held.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) service: Option<Key>,
    pub(super) moved: usize,
    pub(super) ended: usize,
}

impl Linked<BY_PLACE> for Registration {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }
    fn link_ref(&self) -> &Link {
        &self.link
    }
}

impl Linked<BY_PLACE> for Turn {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }
    fn link_ref(&self) -> &Link {
        &self.link
    }
}

impl Service {
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// The slots of workers that get new calls, taken ones included.
    pub(super) fn slots(&self) -> u64 {
        self.slots
    }

    /// Clients that wait.
    pub(super) fn turns(&self) -> usize {
        self.turns.len()
    }

    fn count_queued(&mut self, now: Time, bytes: usize) {
        self.queued += 1;
        self.queued_bytes += bytes;
        self.pace.begin(now);
    }

    pub(super) fn schemas(&self) -> &BTreeMap<SchemaHash, usize> {
        &self.schemas
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
    /// 0 to 63: the part of the capacity that is in use. `None`: no slot is free.
    pub(super) fn load_now(&self) -> Option<u8> {
        if self.retired || self.held_back || self.running >= self.capacity {
            return None;
        }
        Some(((u64::from(self.running) * self.share) >> 32).min(63) as u8)
    }
}

impl FreeWorkers {
    fn next(&self) -> Option<Key> {
        self.by_load.get(self.occupied.trailing_zeros() as usize)?.front()
    }

    fn add(&mut self, all: &mut Slab<Registration>, load: u8, key: Key) {
        if self.by_load.len() <= load.into() {
            self.by_load.resize(usize::from(load) + 1, List::default());
        }
        let Some(list) = self.by_load.get_mut(usize::from(load)) else { return };
        list.push_back(all, key);
        self.occupied |= 1 << load;
    }

    /// Whether a list has one worker only.
    fn is_alone(&self, load: u8) -> bool {
        self.by_load.get(usize::from(load)).is_some_and(|list| list.len() == 1)
    }

    fn remove(&mut self, all: &mut Slab<Registration>, load: u8, key: Key) {
        let Some(list) = self.by_load.get_mut(usize::from(load)) else { return };
        list.remove(all, key);
        if list.is_empty() {
            self.occupied &= !(1 << load);
        }
    }
}

impl<P: Payload> Broker<P> {
    pub(super) fn ready(
        &mut self,
        now: Time,
        from: Key,
        offer: Offer<'_>,
        out: &mut Vec<Action<P>>,
    ) {
        let Offer { service, capacity, schema } = offer;
        let reason = match self.refuse_ready(from, service, capacity, out) {
            Some(reason) => Some(reason),
            None if self.claim_id(now, from, out) => None,
            None => Some(DisconnectReason::IdTaken),
        };
        if let Some(reason) = reason {
            self.refused_ready(from, service, reason, out);
            return self.disconnect(now, from, reason, out);
        }
        let key = self.service_or_new(service);
        let held_back = self.starts_held_back(from);
        let registration = self.registrations.insert(Registration {
            session: from,
            service: key,
            capacity,
            share: (64_u64 << 32).div_ceil(u64::from(capacity.max(1))),
            schema,
            running: 0,
            tally: Tally::default(),
            calls: List::default(),
            pinned: List::default(),
            pinned_last: false,
            load: None,
            retired: false,
            held_back,
            given: Given::default(),
            link: Link::default(),
        });
        let Some(session) = self.sessions.get_mut(from) else { return };
        session.add_registration(registration);
        let (id, draining) = (session.id().clone(), session.is_draining());
        let who = session.who();
        let Some(entry) = self.services.get_mut(key) else { return };
        if entry.workers == 0 {
            self.unserved -= 1;
            entry.row = self.tallies.of_service(&entry.name, key, self.config.limits.methods);
        }
        entry.workers += 1;
        entry.serving += 1;
        entry.slots += u64::from(capacity);
        let service = entry.name.clone();
        let differing = entry.add_schema(schema);
        out.push(Action::Note(Note::WorkerReady {
            id: id.clone(),
            who,
            service: service.clone(),
            capacity,
        }));
        if let Some((schema, other)) = differing {
            out.push(Action::Note(Note::SchemasDiffer { id, service, schema, other }));
        }
        if draining {
            return self.retire(now, registration);
        }
        self.reload(registration);
        self.pump(now, key, out);
    }

    fn refuse_ready(
        &mut self,
        from: Key,
        service: &[u8],
        capacity: u32,
        out: &mut Vec<Action<P>>,
    ) -> Option<DisconnectReason> {
        // RFC 8 M2: nobody registers under `mmi.`.
        if names::check(service).is_err() || service.starts_with(MANAGEMENT) {
            return Some(DisconnectReason::BadName);
        }
        if !self.may_serve(from, service) {
            self.stats.denied += 1;
            return Some(DisconnectReason::Denied);
        }
        let limits = &self.config.limits;
        if capacity == 0 || capacity > limits.capacity {
            self.limit_note(from, Limit::Capacity, out);
            return Some(DisconnectReason::LimitReached);
        }
        let session = self.sessions.get(from)?;
        let found = self.by_name.get(service).copied();
        if found.is_some_and(|service| self.registration_of(session, service).is_some()) {
            return Some(DisconnectReason::Unexpected); // RFC 7 W3: no further READY
        }
        if session.registrations().len() >= limits.services_per_worker {
            self.limit_note(from, Limit::ServicesPerWorker, out);
            return Some(DisconnectReason::LimitReached);
        }
        if self.registrations.len() >= limits.registrations {
            self.limit_note(from, Limit::Registrations, out);
            return Some(DisconnectReason::LimitReached);
        }
        let served = found
            .and_then(|service| self.services.get(service))
            .is_some_and(|service| service.workers > 0);
        if !served && self.services.len() - self.unserved >= limits.services {
            self.limit_note(from, Limit::Services, out);
            return Some(DisconnectReason::LimitReached);
        }
        None
    }

    pub(super) fn registration_of(
        &self,
        session: &super::sessions::Session,
        service: Key,
    ) -> Option<Key> {
        session.registrations().iter().copied().find(|registration| {
            self.registrations.get(*registration).is_some_and(|found| found.service == service)
        })
    }

    pub(super) fn service_or_new(&mut self, name: &[u8]) -> Key {
        if let Some(key) = self.by_name.get(name) {
            return *key;
        }
        let name = Name::from(name);
        let key = self.services.insert(Service {
            name: name.clone(),
            workers: 0,
            serving: 0,
            row: None,
            schemas: BTreeMap::new(),
            free: FreeWorkers::default(),
            turns: List::default(),
            slots: 0,
            pace: Pace::default(),
            longest: None,
            queued: 0,
            queued_bytes: 0,
            pinned: 0,
            pinned_bytes: 0,
        });
        self.unserved += 1;
        self.by_name.insert(name, key);
        key
    }

    /// A name without workers and without waiting calls is forgotten.
    pub(super) fn drop_if_unused(&mut self, key: Key) {
        let Some(service) = self.services.get(key) else { return };
        if service.workers == 0 && service.queued == 0 {
            self.by_name.remove(&service.name);
            self.services.remove(key);
            self.unserved -= 1;
        }
    }

    /// The worker that is next for a service, if one has a free slot.
    pub(super) fn free_worker(&self, service: Key) -> Option<Key> {
        self.services.get(service)?.free.next()
    }

    /// Puts a worker where its load belongs, behind those of the same load.
    pub(super) fn reload(&mut self, key: Key) {
        let Some(registration) = self.registrations.get_mut(key) else { return };
        let (was, is) = (registration.load, registration.load_now());
        registration.load = is;
        let Some(service) = self.services.get_mut(registration.service) else { return };
        if was == is && is.is_some_and(|load| service.free.is_alone(load)) {
            return;
        }
        if let Some(load) = was {
            service.free.remove(&mut self.registrations, load, key);
        }
        if let Some(load) = is {
            service.free.add(&mut self.registrations, load, key);
        }
    }

    /// No new calls to this registration. If it was the last that took any, the calls that wait for
    /// its service wait for a worker from now on.
    pub(super) fn retire(&mut self, now: Time, key: Key) {
        let Some(registration) = self.registrations.get_mut(key) else { return };
        if core::mem::replace(&mut registration.retired, true) {
            return;
        }
        let (service, schema) = (registration.service, registration.schema);
        let capacity = registration.capacity;
        self.reload(key);
        let Some(entry) = self.services.get_mut(service) else { return };
        entry.serving -= 1;
        entry.slots = entry.slots.saturating_sub(capacity.into());
        entry.remove_schema(schema);
        if entry.serving == 0 {
            let turns = entry.turns.iter::<BY_PLACE, Turn>(&self.turns);
            let calls = turns.filter_map(|turn| self.turns.get(turn));
            let waiting: Vec<Key> =
                calls.flat_map(|turn| self.calls.in_place(&turn.calls)).collect();
            for call in waiting {
                self.arm_waiting(now, call);
            }
        }
    }

    /// The first call of the client whose turn it is; the turn goes to the next client.
    pub(super) fn next_waiting(&mut self, key: Key) -> Option<Key> {
        let service = self.services.get_mut(key)?;
        let turn = service.turns.front()?;
        service.turns.rotate(&mut self.turns);
        self.turns.get(turn)?.calls.front()
    }

    /// Puts a call into the queue of its service, behind its client's other calls or before them.
    pub(super) fn enqueue(&mut self, key: Key, front: bool) {
        let Some(call) = self.calls.get(key) else { return };
        let (Some(client), service, bytes) = (call.client(), call.service(), call.bytes())
        else {
            return;
        };
        let turn = self.turn_or_new(client, service);
        let Some(entry) = self.turns.get_mut(turn) else { return };
        if front {
            self.calls.push_front(&mut entry.calls, key);
        } else {
            self.calls.push_back(&mut entry.calls, key);
        }
        entry.bytes += bytes;
        if let Some(call) = self.calls.get_mut(key) {
            call.set_place(Place::Queued(turn));
        }
        let longest = self.services.get(service).and_then(|service| service.longest);
        let is_longest = self.share_of(Some(turn)) >= self.share_of(longest);
        if let Some(service) = self.services.get_mut(service) {
            service.count_queued(self.last, bytes);
            if is_longest {
                service.longest = Some(turn);
            }
        }
    }

    /// How much of its queue the calls of a client take, in calls; bytes count as the calls that they leave no room for.
    fn share_of(&self, turn: Option<Key>) -> usize {
        let turn = turn.and_then(|turn| self.turns.get(turn));
        turn.map_or(0, |turn| self.share(turn.calls.len(), turn.bytes))
    }

    fn share(&self, calls: usize, bytes: usize) -> usize {
        let limits = &self.config.limits;
        let bytes_a_call = limits.queued_bytes_per_service / limits.queued_calls_per_service.max(1);
        calls + bytes / bytes_a_call.max(1)
    }

    /// Makes room in a queue that is full: of the client that takes most of it the calls that came last end, if even so it
    /// takes no less than the one that has come. So nobody keeps the others out. Whether there is room now.
    pub(super) fn make_room(
        &mut self,
        now: Time,
        from: Key,
        service: Key,
        size: usize,
        out: &mut Vec<Action<P>>,
    ) -> bool {
        let own = self.share_of(self.by_turn.get(&(from, service)).copied()) + self.share(1, size);
        loop {
            let limit = match self.check_queue(Some(service), size) {
                Ok(()) => return true,
                // The other calls need not be of this service.
                Err(Limit::HeldBytes) => return false,
                Err(limit) => limit,
            };
            let longest = self.services.get(service).and_then(|service| service.longest);
            let Some(turn) = longest.and_then(|turn| self.turns.get(turn)) else { return false };
            let (client, call) = (turn.session, turn.calls.back());
            let Some(call) = call.filter(|_| self.share_of(longest) > own && client != from) else {
                return false;
            };
            self.stats.refused += 1;
            let refusal = self.over(client, limit, out);
            self.refuse_waiting(now, call, |_| refusal, out);
        }
    }

    fn turn_or_new(&mut self, client: Key, service: Key) -> Key {
        if let Some(turn) = self.by_turn.get(&(client, service)) {
            return *turn;
        }
        let turn = self.turns.insert(Turn {
            session: client,
            service,
            calls: List::default(),
            bytes: 0,
            link: Link::default(),
        });
        self.by_turn.insert((client, service), turn);
        if let Some(service) = self.services.get_mut(service) {
            service.turns.push_back(&mut self.turns, turn);
        }
        turn
    }

    /// Takes a waiting call out of its queue.
    pub(super) fn unqueue(&mut self, key: Key) {
        let Some(call) = self.calls.get(key) else { return };
        let bytes = call.bytes();
        let service = match call.place() {
            Place::Queued(turn) => self.leave_turn(turn, key, bytes),
            Place::Pinned(registration) => {
                let Some(entry) = self.registrations.get_mut(registration) else { return };
                self.calls.unlink(&mut entry.pinned, key);
                let service = entry.service;
                if let Some(service) = self.services.get_mut(service) {
                    service.pinned = service.pinned.saturating_sub(1);
                    service.pinned_bytes = service.pinned_bytes.saturating_sub(bytes);
                }
                Some(service)
            }
            Place::Running(_)
            | Place::Overdue(_)
            | Place::Asked(_)
            | Place::Silenced(_)
            | Place::Ending => None,
        };
        if let Some(service) = service.and_then(|service| self.services.get_mut(service)) {
            service.queued = service.queued.saturating_sub(1);
            service.queued_bytes = service.queued_bytes.saturating_sub(bytes);
            if service.queued == 0 {
                service.pace.end(self.last);
            }
        }
    }

    fn leave_turn(&mut self, turn: Key, call: Key, bytes: usize) -> Option<Key> {
        let entry = self.turns.get_mut(turn)?;
        entry.bytes = entry.bytes.saturating_sub(bytes);
        self.calls.unlink(&mut entry.calls, call);
        let service = entry.service;
        if entry.calls.is_empty() {
            let client = entry.session;
            if let Some(service) = self.services.get_mut(service) {
                service.turns.remove(&mut self.turns, turn);
            }
            self.turns.remove(turn);
            self.by_turn.remove(&(client, service));
        }
        Some(service)
    }

    /// Puts a call behind the one worker that it wants.
    pub(super) fn pin(&mut self, key: Key, registration: Key) {
        let Some(entry) = self.registrations.get_mut(registration) else { return };
        self.calls.push_back(&mut entry.pinned, key);
        let service = entry.service;
        let Some(call) = self.calls.get_mut(key) else { return };
        call.set_place(Place::Pinned(registration));
        if let Some(service) = self.services.get_mut(service) {
            service.count_queued(self.last, call.bytes());
            service.pinned += 1;
            service.pinned_bytes += call.bytes();
        }
    }

    /// Ends the calls that wait for this worker and no other.
    pub(super) fn refuse_pinned(&mut self, now: Time, registration: Key, out: &mut Vec<Action<P>>) {
        while let Some(call) =
            self.registrations.get(registration).and_then(|entry| entry.pinned.front())
        {
            self.refuse_waiting(now, call, super::refusals::worker_gone, out);
        }
    }

    /// A worker is gone: its calls wait for another one where that is allowed, or end.
    pub(super) fn lose_worker(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) -> Lost {
        self.retire(now, key);
        self.refuse_pinned(now, key, out);
        let mut lost = Lost::default();
        while let Some(call) = self.registrations.get(key).and_then(|entry| entry.calls.front()) {
            if self.planted(PlantedBug::ForgetLostWorkersCalls) {
                break;
            }
            if self.lose_call(now, call, key, out) {
                lost.moved += 1;
            } else {
                lost.ended += 1;
            }
        }
        let Some(registration) = self.registrations.remove(key) else { return lost };
        lost.service = Some(registration.service);
        if let Some(service) = self.services.get_mut(registration.service) {
            service.workers -= 1;
            if service.workers == 0 {
                self.unserved += 1;
            }
        }
        lost
    }

    /// Whether a service has a worker that is not about to leave.
    pub(super) fn is_served(&self, service: Key) -> bool {
        self.services.get(service).is_some_and(|service| service.serving > 0)
    }

    /// The turns of a service, in order.
    pub(super) fn waiting_turns(&self, service: &Service) -> impl Iterator<Item = Key> {
        service.turns.iter::<BY_PLACE, Turn>(&self.turns)
    }
}
