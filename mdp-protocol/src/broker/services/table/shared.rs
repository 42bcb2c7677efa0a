//! Slots that a worker shares between brokers (wire.md R107 to R110): how many of them this broker may use, and for how
//! many calls it has asked for more.

use alloc::vec::Vec;

use super::{Registration, Services};
use crate::broker::Broker;
use crate::broker::io::Action;
use crate::payload::Payload;
use crate::slab::{Key, Slab};
use crate::time::Time;
use crate::wire::{DisconnectReason, Record};

/// The shared slots of one worker for one service.
#[derive(Debug)]
pub(in crate::broker) struct SharedSlots {
    /// The number of slots that the worker has for all its brokers.
    all: u32,
    /// The calls that the worker was told of, and that it has not granted slots for since.
    asked: u32,
    /// The last DEMAND named another number.
    is_stale: bool,
}

/// What a service wants of its workers with shared slots.
#[derive(Debug, Default)]
pub(in crate::broker) struct Demand {
    /// The workers that share their slots and take new calls.
    workers: Vec<Key>,
    /// Where the next worker to ask is looked for.
    next: usize,
    /// The sum of what workers were asked for.
    asked: u64,
    /// All workers were asked for all that they have.
    is_exhausted: bool,
    /// The service is in the list of services to see to.
    is_listed: bool,
    /// Workers whose last DEMAND named another number.
    stale: Vec<Key>,
}

impl SharedSlots {
    pub(in crate::broker) fn new(all: u32) -> Self {
        SharedSlots { all, asked: 0, is_stale: false }
    }

    pub(in crate::broker) fn all(&self) -> u32 {
        self.all
    }

    /// The number of further slots that the worker can be asked for.
    fn room(&self, granted: u32) -> u32 {
        self.all.saturating_sub(granted).saturating_sub(self.asked)
    }
}

impl Demand {
    /// Asks workers in turn for as many slots as calls wait, each for about the same number.
    fn ask(&mut self, workers: &mut Slab<Registration>, queued: u64) {
        let count = self.workers.len();
        let mut missing = queued.saturating_sub(self.asked);
        while missing > 0 {
            let each = missing.div_ceil(count.max(1) as u64);
            let before = missing;
            for _ in 0..count {
                let place = self.next % count;
                self.next = place + 1;
                let Some(worker) = self.workers.get(place).copied() else { break };
                let Some(found) = workers.get_mut(worker) else { continue };
                let Some(shared) = &mut found.shared else { continue };
                let more = u64::from(shared.room(found.capacity)).min(each).min(missing);
                if more > 0 {
                    missing -= more;
                    self.asked += more;
                    self.change(worker, shared, shared.asked + more as u32);
                }
            }
            if missing == before {
                self.is_exhausted = true;
                break;
            }
        }
    }

    /// No call waits any more.
    fn clear(&mut self, workers: &mut Slab<Registration>) {
        self.is_exhausted = false;
        self.asked = 0;
        for place in 0..self.workers.len() {
            let Some(worker) = self.workers.get(place).copied() else { break };
            let shared = workers.get_mut(worker).and_then(|found| found.shared.as_mut());
            if let Some(shared) = shared.filter(|shared| shared.asked > 0) {
                self.change(worker, shared, 0);
            }
        }
    }

    fn change(&mut self, worker: Key, shared: &mut SharedSlots, asked: u32) {
        shared.asked = asked;
        if !core::mem::replace(&mut shared.is_stale, true) {
            self.stale.push(worker);
        }
    }
}

impl Services {
    /// A worker that shares its slots takes calls from now on.
    pub(super) fn begin_sharing(&mut self, worker: Key) {
        let Some(entry) = self.workers.get(worker).filter(|entry| entry.shared.is_some()) else {
            return;
        };
        let service = entry.service;
        if let Some(service) = self.table.get_mut(service) {
            service.demand.workers.push(worker);
            service.demand.is_exhausted = false;
        }
        self.count_demand(service);
    }

    /// A worker takes no new calls from now on.
    pub(super) fn end_sharing(&mut self, worker: Key) {
        let Some(entry) = self.workers.get_mut(worker) else { return };
        let Some(shared) = &mut entry.shared else { return };
        let asked = core::mem::take(&mut shared.asked);
        shared.is_stale = false;
        let service = entry.service;
        if let Some(service) = self.table.get_mut(service) {
            service.demand.workers.retain(|other| *other != worker);
            service.demand.asked = service.demand.asked.saturating_sub(asked.into());
        }
        self.count_demand(service);
    }

    /// A call of this service waits.
    pub(super) fn count_demand(&mut self, service: Key) {
        let Some(entry) = self.table.get(service) else { return };
        let demand = &entry.demand;
        let wants = entry.queued as u64 > demand.asked && !demand.is_exhausted;
        if wants && !demand.workers.is_empty() {
            self.list(service);
        }
    }

    /// A call waits for this worker and no other.
    pub(super) fn count_demand_of(&mut self, worker: Key) {
        let Some(entry) = self.workers.get_mut(worker) else { return };
        let (service, granted) = (entry.service, entry.capacity);
        let Some(shared) = &mut entry.shared else { return };
        if entry.running >= granted && !entry.retired && shared.room(granted) > 0 {
            if let Some(service) = self.table.get_mut(service) {
                service.demand.asked += 1;
                service.demand.change(worker, shared, shared.asked + 1);
            }
            self.list(service);
        }
    }

    /// A call of this service no longer waits.
    pub(super) fn uncount_demand(&mut self, service: Key) {
        if self.table.get(service).is_some_and(|it| it.queued == 0 && it.demand.asked > 0) {
            self.list(service);
        }
    }

    fn list(&mut self, service: Key) {
        if let Some(entry) = self.table.get_mut(service)
            && !core::mem::replace(&mut entry.demand.is_listed, true)
        {
            self.wanting.push(service);
        }
    }

    /// The next service whose workers are to be told of its demand.
    #[inline]
    fn next_wanting(&mut self) -> Option<Key> {
        let service = self.wanting.pop()?;
        if let Some(entry) = self.table.get_mut(service) {
            entry.demand.is_listed = false;
        }
        Some(service)
    }

    /// Brings the demand of a service in line with its queue. Returns the workers that are to be told another number, and
    /// their new numbers.
    fn settle_demand(&mut self, service: Key) -> Vec<(Key, u32)> {
        let Some(entry) = self.table.get_mut(service) else { return Vec::new() };
        let demand = &mut entry.demand;
        if entry.queued == 0 {
            demand.clear(&mut self.workers);
        } else {
            demand.ask(&mut self.workers, entry.queued as u64);
        }
        let mut told = Vec::new();
        for worker in demand.stale.drain(..) {
            let shared = self.workers.get_mut(worker).and_then(|found| found.shared.as_mut());
            if let Some(shared) = shared.filter(|shared| shared.is_stale) {
                shared.is_stale = false;
                told.push((worker, shared.asked));
            }
        }
        told
    }

    /// A worker grants another number of its shared slots. `None`: it may not.
    fn grant(&mut self, worker: Key, slots: u32) -> Option<()> {
        let entry = self.workers.get_mut(worker)?;
        let shared = entry.shared.as_mut().filter(|shared| slots <= shared.all)?;
        let (before, service) = (entry.capacity, entry.service);
        let met = shared.asked.min(slots.saturating_sub(before));
        shared.asked -= met;
        entry.set_capacity(slots);
        if let Some(service) = self.table.get_mut(service) {
            service.demand.asked = service.demand.asked.saturating_sub(met.into());
            service.demand.is_exhausted = false;
            if self.workers.get(worker).is_some_and(|entry| !entry.retired) {
                service.slots = service.slots.saturating_sub(before.into()) + u64::from(slots);
            }
        }
        self.reload(worker);
        Some(())
    }
}

impl<P: Payload> Broker<P> {
    /// GRANT: a worker says how many of its shared slots this broker may use (wire.md R108).
    pub(in crate::broker) fn take_grant(
        &mut self,
        now: Time,
        from: Key,
        service: &[u8],
        slots: u32,
        number: u64,
        out: &mut Vec<Action<P>>,
    ) {
        let worker = self.sessions.get(from).zip(self.services.named(service)).and_then(
            |(session, service)| self.registration_of(session, service).zip(Some(service)),
        );
        let granted = worker.and_then(|(worker, _)| self.services.grant(worker, slots));
        let Some(((worker, key), ())) = worker.zip(granted) else {
            return self.disconnect(now, from, DisconnectReason::Unexpected, out);
        };
        let Some(name) = self.services.get(key).map(|service| service.name().clone()) else {
            return;
        };
        self.send(now, from, Record::Grant { service: name, slots, number }, out);
        self.fill_slots(now, worker, key, out);
        self.services.count_demand(key);
    }

    /// Tells workers with shared slots how many calls wait for more of them (wire.md R109).
    #[inline]
    pub(in crate::broker) fn see_to_demand(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        while let Some(service) = self.services.next_wanting() {
            for (worker, calls) in self.services.settle_demand(service) {
                let session = self.services.session_of(worker);
                let name = self.services.get(service).map(|service| service.name().clone());
                if let Some((session, service)) = session.zip(name) {
                    self.send(now, session, Record::Demand { service, calls }, out);
                }
            }
        }
    }
}
