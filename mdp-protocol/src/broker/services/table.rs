//! The table of services: by key, by name, with their workers and their queues.

mod shared;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::runs::{FEW_WORKERS, Place, RunNumber, Runs};
use super::{FreeWorkers, Given, Registration, Service, Turn};
use crate::broker::BY_STATE;
use crate::broker::calls::{CallState, Calls};
use crate::broker::io::Name;
use crate::broker::overload::Pace;
use crate::limits::Limits;
use crate::list::{List, ListLink};
use crate::slab::{Key, Slab};
use crate::time::Time;
use crate::wire::SchemaHash;
pub(super) use shared::{Demand, SharedSlots};

#[derive(Debug)]
pub(in crate::broker) struct Services {
    table: Slab<Service>,
    by_name: HashMap<Name, Key, FixedState>,
    /// Services without a worker.
    unserved: usize,
    workers: Slab<Registration>,
    turns: Slab<Turn>,
    /// By client and service.
    by_turn: HashMap<(Key, Key), Key, FixedState>,
    /// Services whose calls want more or fewer shared slots than their workers were told.
    wanting: Vec<Key>,
}

/// A client that waits with most of a queue.
pub(in crate::broker) struct Longest {
    pub(in crate::broker) client: Key,
    /// Its call that came last.
    pub(in crate::broker) last: Key,
    /// How much of the queue its calls take.
    pub(in crate::broker) share: usize,
}

/// A call that a worker is given.
pub(in crate::broker) struct Start {
    pub(in crate::broker) now: Time,
    /// The number of the input that is handled.
    pub(in crate::broker) input: u64,
    /// The bytes of the call's body.
    pub(in crate::broker) size: usize,
    /// It may begin a run or be one of it.
    pub(in crate::broker) shares: bool,
}

/// A slot that is free again.
pub(in crate::broker) struct Freed {
    /// The session of its worker.
    pub(in crate::broker) session: Key,
    pub(in crate::broker) service: Key,
    /// Its worker gets no new calls, and holds none any more.
    pub(in crate::broker) is_last: bool,
    /// Calls wait for the service, or the slot is owed to some.
    pub(in crate::broker) is_wanted: bool,
}

impl Services {
    pub(in crate::broker) fn new(hash: impl Fn() -> FixedState) -> Self {
        Services {
            table: Slab::new(),
            by_name: HashMap::with_hasher(hash()),
            unserved: 0,
            workers: Slab::new(),
            turns: Slab::new(),
            by_turn: HashMap::with_hasher(hash()),
            wanting: Vec::new(),
        }
    }

    #[inline]
    pub(in crate::broker) fn get(&self, key: Key) -> Option<&Service> {
        self.table.get(key)
    }

    #[inline]
    pub(in crate::broker) fn get_mut(&mut self, key: Key) -> Option<&mut Service> {
        self.table.get_mut(key)
    }

    pub(in crate::broker) fn iter(&self) -> impl Iterator<Item = (Key, &Service)> {
        self.table.iter()
    }

    pub(in crate::broker) fn len(&self) -> usize {
        self.table.len()
    }

    /// Services without a worker.
    pub(in crate::broker) fn unserved(&self) -> usize {
        self.unserved
    }

    #[inline]
    pub(in crate::broker) fn named(&self, name: &[u8]) -> Option<Key> {
        self.by_name.get(name).copied()
    }

    /// Whether a service has a worker that gets new calls.
    #[inline]
    pub(in crate::broker) fn is_served(&self, key: Key) -> bool {
        self.get(key).is_some_and(Service::is_served)
    }

    /// A map of services, or of what counts for them.
    pub(in crate::broker) fn new_map<K, V>(&self) -> HashMap<K, V, FixedState> {
        HashMap::with_hasher(self.by_name.hasher().clone())
    }

    /// The service of a name. A name without a worker and without a waiting call is a new service.
    pub(in crate::broker) fn named_or_new(&mut self, name: &[u8]) -> Key {
        if let Some(key) = self.by_name.get(name) {
            return *key;
        }
        let name = Name::from(name);
        let key = self.table.insert(Service {
            name: name.clone(),
            workers: 0,
            serving: 0,
            row: None,
            schemas: BTreeMap::new(),
            free: FreeWorkers::default(),
            turns: List::default(),
            slots: 0,
            pace: Pace::default(),
            runs: Runs::default(),
            longest: None,
            queued: 0,
            queued_bytes: 0,
            spared: (0, 0),
            pinned: 0,
            pinned_bytes: 0,
            demand: Demand::default(),
        });
        self.unserved += 1;
        self.by_name.insert(name, key);
        key
    }

    /// A name without workers and without waiting calls is forgotten.
    pub(in crate::broker) fn drop_if_unused(&mut self, key: Key) {
        let Some(service) = self.table.get(key) else { return };
        if service.workers == 0 && service.queued == 0 {
            self.by_name.remove(&service.name);
            self.table.remove(key);
            self.unserved -= 1;
        }
    }

    // Workers.

    #[inline]
    pub(in crate::broker) fn worker(&self, key: Key) -> Option<&Registration> {
        self.workers.get(key)
    }

    #[inline]
    pub(in crate::broker) fn worker_mut(&mut self, key: Key) -> Option<&mut Registration> {
        self.workers.get_mut(key)
    }

    /// The session of a worker.
    #[inline]
    pub(in crate::broker) fn session_of(&self, worker: Key) -> Option<Key> {
        self.workers.get(worker).map(Registration::session)
    }

    /// The service of a worker.
    #[inline]
    pub(in crate::broker) fn service_of(&self, worker: Key) -> Option<Key> {
        self.workers.get(worker).map(Registration::service)
    }

    /// All workers, once for each service that they offer.
    pub(in crate::broker) fn workers(&self) -> impl Iterator<Item = (Key, &Registration)> {
        self.workers.iter()
    }

    /// The workers of a service.
    pub(in crate::broker) fn workers_of(
        &self,
        service: Key,
    ) -> impl Iterator<Item = (Key, &Registration)> {
        self.workers.iter().filter(move |(_, worker)| worker.service == service)
    }

    pub(in crate::broker) fn count_workers(&self) -> usize {
        self.workers.len()
    }

    /// A worker offers a service. It is given no call before [`reload`](Self::reload). Gives its key, and its contract
    /// and that of another worker, if they differ.
    pub(in crate::broker) fn add_worker(
        &mut self,
        worker: Registration,
    ) -> (Key, Option<(SchemaHash, SchemaHash)>) {
        let (service, schema, capacity) = (worker.service, worker.schema, worker.capacity);
        let key = self.workers.insert(worker);
        let Some(entry) = self.table.get_mut(service) else { return (key, None) };
        if entry.workers == 0 {
            self.unserved -= 1;
        }
        entry.workers += 1;
        entry.serving += 1;
        entry.slots += u64::from(capacity);
        let differing = entry.add_schema(schema);
        self.begin_sharing(key);
        (key, differing)
    }

    /// A worker without calls is gone. Gives its service.
    pub(in crate::broker) fn remove_worker(&mut self, key: Key) -> Option<Key> {
        self.end_sharing(key);
        let worker = self.workers.remove(key)?;
        if let Some(service) = self.table.get_mut(worker.service) {
            service.workers -= 1;
            if service.workers == 0 {
                self.unserved += 1;
            }
        }
        Some(worker.service)
    }

    /// The worker that is next for a service, if one has a free slot.
    #[inline]
    pub(in crate::broker) fn free_worker(&self, service: Key) -> Option<Key> {
        self.table.get(service)?.free.next()
    }

    /// The worker that is next for a call of a service: the one whose run goes on, or that with the lowest load. With it,
    /// whether the call counts for runs.
    #[inline]
    pub(in crate::broker) fn next_worker(&self, now: Time, service: Key) -> Option<(Key, bool)> {
        let entry = self.table.get(service)?;
        if entry.serving <= FEW_WORKERS {
            return Some((entry.free.next()?, false));
        }
        let takes = |key: &Key| self.workers.get(*key).is_some_and(Registration::takes_calls);
        let worker = entry.runs.worker(now).filter(takes).or_else(|| entry.free.next());
        Some((worker?, true))
    }

    /// A worker is given a call. Returns the bytes that it was given within this input.
    #[inline]
    pub(in crate::broker) fn start<P>(
        &mut self,
        calls: &mut Calls<P>,
        worker: Key,
        call: Key,
        start: &Start,
    ) -> usize {
        let Some(entry) = self.workers.get_mut(worker) else { return 0 };
        entry.running += 1;
        entry.call_stats.requests += 1;
        calls.push_back(&mut entry.calls, call);
        if entry.given.input != start.input {
            entry.given = Given { input: start.input, bytes: 0 };
        }
        entry.given.bytes += start.size;
        let given = entry.given.bytes;
        if start.shares
            && let Some(number) = self.count_start(start.now, worker)
            && let Some(call) = calls.get_mut(call)
        {
            call.set_run(number);
        }
        self.reload(worker);
        given
    }

    /// Counts a call for the runs of its service. Returns the number of its run if its reply is to be timed.
    #[inline]
    fn count_start(&mut self, now: Time, worker: Key) -> Option<RunNumber> {
        let entry = self.workers.get_mut(worker)?;
        let service = self.table.get_mut(entry.service)?;
        match service.runs.started(now, worker, entry.capacity) {
            Place::Alone => None,
            Place::First => {
                let (number, late) = entry.reply_times.begin(now);
                if let Some((waited, calls)) = late {
                    service.runs.count(waited, calls);
                }
                service.runs.measure(number);
                (number != 0).then_some(number)
            }
            Place::Next(number) => entry.reply_times.join(number).then_some(number),
        }
    }

    /// A worker has answered a call of a run. `has_run`: its handler has run to its end.
    pub(in crate::broker) fn answered_in_run(
        &mut self,
        now: Time,
        worker: Key,
        run: RunNumber,
        has_run: bool,
    ) {
        let Some(entry) = self.workers.get_mut(worker) else { return };
        let Some((waited, calls)) = entry.reply_times.answered(now, run, has_run) else { return };
        if let Some(service) = self.table.get_mut(entry.service) {
            service.runs.count(waited, calls);
        }
    }

    /// A slot of a worker is free again.
    #[inline]
    pub(in crate::broker) fn free_slot(&mut self, worker: Key) -> Option<Freed> {
        let entry = self.workers.get_mut(worker)?;
        entry.running = entry.running.saturating_sub(1);
        let (session, service) = (entry.session, entry.service);
        let is_last = entry.retired && entry.running == 0;
        let owes_others = entry.pinned_last;
        self.reload(worker);
        let waits = self.table.get(service).is_some_and(|service| service.queued > 0);
        Some(Freed { session, service, is_last, is_wanted: waits || owes_others })
    }

    /// Puts a worker where its load belongs, behind those of the same load.
    pub(in crate::broker) fn reload(&mut self, key: Key) {
        let Some(worker) = self.workers.get_mut(key) else { return };
        let (was, is) = (worker.load, worker.load_now());
        worker.load = is;
        let Some(service) = self.table.get_mut(worker.service) else { return };
        if was == is && is.is_some_and(|load| service.free.is_alone(load)) {
            return;
        }
        if let Some(load) = was {
            service.free.remove(&mut self.workers, load, key);
        }
        if let Some(load) = is {
            service.free.add(&mut self.workers, load, key);
        }
    }

    /// No new calls to this worker. Gives its service, if it was the last that took any.
    pub(in crate::broker) fn retire(&mut self, key: Key) -> Option<Key> {
        let worker = self.workers.get_mut(key)?;
        if core::mem::replace(&mut worker.retired, true) {
            return None;
        }
        let (service, schema, capacity) = (worker.service, worker.schema, worker.capacity);
        self.reload(key);
        self.end_sharing(key);
        let entry = self.table.get_mut(service)?;
        entry.serving -= 1;
        entry.slots = entry.slots.saturating_sub(capacity.into());
        entry.remove_schema(schema);
        (entry.serving == 0).then_some(service)
    }

    // Queues.

    /// The turns of a service, in order.
    pub(in crate::broker) fn turns_of(&self, service: &Service) -> impl Iterator<Item = &Turn> {
        let turns = service.turns.iter::<BY_STATE, Turn>(&self.turns);
        turns.filter_map(|turn| self.turns.get(turn))
    }

    /// All turns.
    pub(in crate::broker) fn turns(&self) -> impl Iterator<Item = (Key, &Turn)> {
        self.turns.iter()
    }

    /// Turns and names, for the audit.
    pub(in crate::broker) fn counted(&self) -> (usize, usize, usize) {
        (self.turns.len(), self.by_turn.len(), self.by_name.len())
    }

    /// The calls in the queue of a service.
    pub(in crate::broker) fn waiting<P>(&self, service: Key, calls: &Calls<P>) -> Vec<Key> {
        let Some(service) = self.get(service) else { return Vec::new() };
        self.turns_of(service).flat_map(|turn| calls.in_place(&turn.calls)).collect()
    }

    /// How many calls of a client wait for a service, those for one worker aside.
    pub(in crate::broker) fn waiting_of(&self, client: Key, service: Key) -> usize {
        self.turn_of(client, service).map_or(0, |turn| turn.calls.len())
    }

    fn turn_of(&self, client: Key, service: Key) -> Option<&Turn> {
        self.turns.get(*self.by_turn.get(&(client, service))?)
    }

    /// The first call of the client whose turn it is; the turn goes to the next client.
    pub(in crate::broker) fn next_waiting(&mut self, service: Key) -> Option<Key> {
        let service = self.table.get_mut(service)?;
        let turn = service.turns.front()?;
        service.turns.rotate(&mut self.turns);
        self.turns.get(turn)?.calls.front()
    }

    /// Puts a call into the queue of its service, behind its client's other calls or before them. `spared` calls are
    /// counted by themselves. `may_be_longest`: its client may lose calls to make room for others.
    #[allow(clippy::too_many_arguments)] // One caller.
    pub(in crate::broker) fn enqueue<P>(
        &mut self,
        calls: &mut Calls<P>,
        now: Time,
        key: Key,
        front: bool,
        spared: bool,
        may_be_longest: bool,
        limits: &Limits,
    ) {
        let Some(call) = calls.get(key) else { return };
        let (Some(client), service, bytes) = (call.client(), call.service(), call.bytes()) else {
            return;
        };
        let turn = self.turn_or_new(client, service);
        let Some(entry) = self.turns.get_mut(turn) else { return };
        if front {
            calls.push_front(&mut entry.calls, key);
        } else {
            calls.push_back(&mut entry.calls, key);
        }
        entry.bytes += bytes;
        calls.set_state(key, CallState::Queued(turn));
        let longest = self.table.get(service).and_then(|service| service.longest);
        let is_longest =
            may_be_longest && self.share_of(Some(turn), limits) >= self.share_of(longest, limits);
        if let Some(entry) = self.table.get_mut(service) {
            entry.count_queued(now, bytes);
            entry.count_spared(spared, bytes);
            if is_longest {
                entry.longest = Some(turn);
            }
        }
        self.count_demand(service);
    }

    /// Puts a call behind the one worker that it wants.
    pub(in crate::broker) fn pin<P>(
        &mut self,
        calls: &mut Calls<P>,
        now: Time,
        key: Key,
        worker: Key,
    ) {
        let Some(entry) = self.workers.get_mut(worker) else { return };
        calls.push_back(&mut entry.pinned, key);
        let service = entry.service;
        calls.set_state(key, CallState::Pinned(worker));
        let Some(call) = calls.get(key) else { return };
        if let Some(service) = self.table.get_mut(service) {
            service.count_queued(now, call.bytes());
            service.pinned += 1;
            service.pinned_bytes += call.bytes();
        }
        self.count_demand_of(worker);
    }

    /// Takes a waiting call out of its queue.
    pub(in crate::broker) fn unqueue<P>(
        &mut self,
        calls: &mut Calls<P>,
        now: Time,
        key: Key,
        spared: bool,
    ) {
        let Some(call) = calls.get(key) else { return };
        let bytes = call.bytes();
        let spared = spared && matches!(call.state(), CallState::Queued(_));
        let service = match call.state() {
            CallState::Queued(turn) => self.leave_turn(calls, turn, key, bytes),
            CallState::Pinned(worker) => {
                let Some(entry) = self.workers.get_mut(worker) else { return };
                calls.unlink(&mut entry.pinned, key);
                let service = entry.service;
                if let Some(service) = self.table.get_mut(service) {
                    service.pinned = service.pinned.saturating_sub(1);
                    service.pinned_bytes = service.pinned_bytes.saturating_sub(bytes);
                }
                Some(service)
            }
            CallState::Running(_)
            | CallState::Overdue(_)
            | CallState::Asked(_)
            | CallState::Silenced(_)
            | CallState::Ending => None,
        };
        let Some(key) = service else { return };
        if let Some(service) = self.table.get_mut(key) {
            service.uncount_queued(now, bytes);
            service.uncount_spared(spared, bytes);
        }
        self.uncount_demand(key);
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
            link: ListLink::default(),
        });
        self.by_turn.insert((client, service), turn);
        if let Some(service) = self.table.get_mut(service) {
            service.turns.push_back(&mut self.turns, turn);
        }
        turn
    }

    fn leave_turn<P>(
        &mut self,
        calls: &mut Calls<P>,
        turn: Key,
        call: Key,
        bytes: usize,
    ) -> Option<Key> {
        let entry = self.turns.get_mut(turn)?;
        entry.bytes = entry.bytes.saturating_sub(bytes);
        calls.unlink(&mut entry.calls, call);
        let service = entry.service;
        if entry.calls.is_empty() {
            let client = entry.session;
            if let Some(service) = self.table.get_mut(service) {
                service.turns.remove(&mut self.turns, turn);
            }
            self.turns.remove(turn);
            self.by_turn.remove(&(client, service));
        }
        Some(service)
    }

    /// How much of a queue the calls of a client would take with one more call of `size` bytes.
    pub(in crate::broker) fn share_with(
        &self,
        client: Key,
        service: Key,
        size: usize,
        limits: &Limits,
    ) -> usize {
        let turn = self.by_turn.get(&(client, service)).copied();
        self.share_of(turn, limits) + share(1, size, limits)
    }

    /// The client whose calls take most of a queue, as far as that was seen when a call came.
    pub(in crate::broker) fn longest(&self, service: Key, limits: &Limits) -> Option<Longest> {
        let longest = self.get(service)?.longest?;
        let turn = self.turns.get(longest)?;
        let share = self.share_of(Some(longest), limits);
        Some(Longest { client: turn.session, last: turn.calls.back()?, share })
    }

    /// How much of its queue the calls of a client take, in calls; bytes count as the calls that they leave no room
    /// for.
    fn share_of(&self, turn: Option<Key>, limits: &Limits) -> usize {
        let turn = turn.and_then(|turn| self.turns.get(turn));
        turn.map_or(0, |turn| share(turn.calls.len(), turn.bytes, limits))
    }
}

impl Registration {
    /// Whether it is given a call now.
    pub(in crate::broker) fn takes_calls(&self) -> bool {
        self.load_now().is_some()
    }

    /// 0 to 63: the part of the capacity that is in use. `None`: no slot is free.
    fn load_now(&self) -> Option<u8> {
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

fn share(calls: usize, bytes: usize, limits: &Limits) -> usize {
    let bytes_a_call = limits.queued_bytes_per_service / limits.queued_calls_per_service.max(1);
    calls + bytes / bytes_a_call.max(1)
}
