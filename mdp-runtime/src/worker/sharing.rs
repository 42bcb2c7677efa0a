//! The slots of a worker that has a session with each of several brokers. Each session has a driver of its own; what one
//! of them learns may change what the brokers of the others are granted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mdp_protocol::worker::{Grant, SharedSlots, TakenSlot};
use mdp_protocol::{Key, Time};
use tokio::sync::mpsc;

use super::driver::WorkerCommand;
use crate::secondary_map::SecondaryMap;
use mdp_transport::clock::Clock;

/// The slots of all sessions.
pub(super) struct SharedPool {
    /// The clock of the slots: each driver has another one.
    clock: Clock,
    slots: Mutex<SharedSlots>,
    /// The drivers, by session.
    drivers: Vec<mpsc::WeakUnboundedSender<WorkerCommand>>,
}

/// One session's part in it.
pub(super) struct Sharing {
    pool: Arc<SharedPool>,
    session: usize,
    /// The slots of the calls that have not ended.
    taken: SecondaryMap<(usize, TakenSlot)>,
    /// The slots of calls that have ended while a handler may still run, by service.
    ended: Vec<Vec<TakenSlot>>,
}

impl SharedPool {
    /// Slots for services of these capacities.
    pub(super) fn new(
        capacities: &[u32],
        drivers: Vec<mpsc::WeakUnboundedSender<WorkerCommand>>,
    ) -> Arc<Self> {
        let slots = Mutex::new(SharedSlots::new(capacities, drivers.len()));
        Arc::new(SharedPool { clock: Clock::start(), slots, drivers })
    }

    fn lock(&self) -> MutexGuard<'_, SharedSlots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the slots, and tells the drivers what their brokers are granted.
    fn change<R>(&self, change: impl FnOnce(&mut SharedSlots, &mut Vec<Grant>) -> R) -> R {
        let mut grants = Vec::new();
        let mut slots = self.lock();
        let changed = change(&mut slots, &mut grants);
        // Within the lock: a driver must not hear of two grants in another order.
        for grant in grants {
            let driver = self.drivers.get(grant.session).and_then(|driver| driver.upgrade());
            if let Some(driver) = driver {
                // A driver that has ended has closed its session.
                let _ = driver.send(WorkerCommand::Grant(grant));
            }
        }
        changed
    }
}

impl Sharing {
    pub(super) fn new(pool: Arc<SharedPool>, session: usize, services: usize) -> Self {
        let ended = (0..services).map(|_| Vec::new()).collect();
        Sharing { pool, session, taken: SecondaryMap::default(), ended }
    }

    /// The broker has the worker's offers.
    pub(super) fn opened(&self) {
        self.pool.change(|slots, out| slots.opened(self.session, out));
    }

    /// The session is over.
    pub(super) fn closed(&self) {
        self.pool.change(|slots, out| slots.closed(self.session, out));
    }

    pub(super) fn answered(&self, service: usize, number: u64) {
        self.pool.change(|slots, out| slots.answered(self.session, service, number, out));
    }

    pub(super) fn demanded(&self, service: usize, calls: u32) {
        self.pool.change(|slots, out| slots.demanded(self.session, service, calls, out));
    }

    /// Takes a slot for a call. `false`: the broker has used all that it was granted.
    pub(super) fn start(&mut self, call: Key, service: usize) -> bool {
        let Some(slot) = self.pool.lock().start(self.session, service) else { return false };
        self.taken.insert(call, (service, slot));
        true
    }

    /// A call has ended. Returns its service.
    pub(super) fn end(&mut self, call: Key) -> Option<usize> {
        let (service, slot) = self.taken.remove(call)?;
        self.ended.get_mut(service)?.push(slot);
        Some(service)
    }

    /// Gives back the slots of calls that have ended, but those of `outlasting` handlers, which still run.
    pub(super) fn release(&mut self, service: usize, outlasting: u32) {
        let Some(ended) = self.ended.get_mut(service) else { return };
        let over = ended.len().saturating_sub(outlasting as usize);
        if over > 0 {
            let over = ended.drain(..over);
            self.pool.change(|slots, out| over.for_each(|slot| slots.end(slot, out)));
        }
    }

    /// Whether slots of this service are kept by handlers that outlast their calls.
    pub(super) fn has_ended(&self, service: usize) -> bool {
        self.ended.get(service).is_some_and(|ended| !ended.is_empty())
    }

    /// Time has passed. Returns when to call this again, by the clock of the driver.
    pub(super) fn tick(&self, clock: &Clock) -> Option<Time> {
        let now = self.pool.clock.now();
        let due = self.pool.lock().next_deadline()?;
        if due <= now {
            self.pool.change(|slots, out| slots.tick(now, out));
        }
        let next = self.pool.lock().next_deadline()?;
        Some(clock.now() + (next - now))
    }
}
