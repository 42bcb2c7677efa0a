//! Slots that a worker has once and shares between several brokers (wire.md R107 to R110).
//!
//! A worker process has a session, and a [`Worker`](super::Worker), for each broker. [`SharedSlots`] decides how many of
//! the slots of a service each broker may use, so that never more calls run than there are slots, and so that a busy
//! broker can have them all.
//!
//! A broker's number is raised with a GRANT. It is lowered with a GRANT, too, and counts as lowered when the broker has
//! answered that GRANT: a REQUEST that was on its way still finds its slot. Slots that no broker wants stay where they
//! are.

use alloc::vec::Vec;

use crate::time::{Span, Time};

/// Maximum number of brokers that a worker has a session with.
pub const MAX_BROKERS: usize = 64;
/// How long a slot stays with a broker while calls of another one wait that has none.
const TURN: Span = Span::from_ms(20);

/// The slots of a worker, by service and session.
///
/// ```
/// use mdp_protocol::Time;
/// use mdp_protocol::worker::SharedSlots;
///
/// let (mut slots, mut grants) = (SharedSlots::new(&[4], 2), Vec::new());
/// slots.opened(0, &mut grants);
/// assert_eq!((grants[0].session, grants[0].slots), (0, 4));
/// slots.opened(1, &mut grants);
/// // Half of them go to the new broker, as soon as the other one has answered.
/// assert_eq!((grants[1].session, grants[1].slots), (0, 2));
/// slots.answered(0, 0, grants[1].number, &mut grants);
/// assert_eq!((grants[2].session, grants[2].slots), (1, 2));
/// assert!(slots.start(1, 0).is_some());
/// ```
#[derive(Debug)]
pub struct SharedSlots {
    services: Vec<Service>,
}

/// A number of slots that a broker is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The session.
    pub session: usize,
    /// The index of the service in [`Config::services`](super::Config::services).
    pub service: usize,
    /// The number of calls at once.
    pub slots: u32,
    /// The number of this GRANT. The broker's answer names it.
    pub number: u64,
}

/// A slot that a call uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenSlot {
    session: usize,
    service: usize,
    life: u64,
}

#[derive(Debug)]
struct Service {
    capacity: u32,
    brokers: Vec<Broker>,
    /// The broker that the slots which cannot be shared evenly go to first.
    turn: usize,
    turned: Time,
    /// A broker has too few slots, and others wait for their turn.
    is_contended: bool,
}

#[derive(Clone, Debug, Default)]
struct Broker {
    is_open: bool,
    /// Counts the broker's sessions.
    life: u64,
    /// The number in the last GRANT.
    told: u32,
    /// The number that the broker may still go by: it has not answered the last GRANT.
    heeded: u32,
    number: u64,
    running: u32,
    /// Calls that still run, of sessions that are over.
    orphans: u32,
    /// Calls that wait at the broker for more slots.
    wanted: u32,
    /// The slots that it is to have.
    target: u32,
}

impl Broker {
    /// The slots that nobody else may use.
    fn occupied(&self) -> u32 {
        self.heeded.max(self.running).saturating_add(self.orphans)
    }

    /// The slots that it can make use of.
    fn need(&self) -> u32 {
        match (self.is_open, self.wanted) {
            (false, _) => 0,
            (true, 0) => self.running,
            // These calls wait although it uses what it has.
            (true, wanted) => self.told.max(self.running).saturating_add(wanted),
        }
    }

    fn grant(&mut self, slots: u32) {
        self.wanted = self.wanted.saturating_sub(slots.saturating_sub(self.told));
        self.told = slots;
        self.heeded = self.heeded.max(slots);
        self.number += 1;
    }
}

impl SharedSlots {
    /// Slots for services of these capacities, and for this number of sessions, none of which is open.
    pub fn new(capacities: &[u32], sessions: usize) -> Self {
        let service = |capacity: &u32| Service {
            capacity: *capacity,
            brokers: alloc::vec![Broker::default(); sessions],
            turn: 0,
            turned: Time::default(),
            is_contended: false,
        };
        SharedSlots { services: capacities.iter().map(service).collect() }
    }

    /// A broker has this worker's offers.
    pub fn opened(&mut self, session: usize, out: &mut Vec<Grant>) {
        for (place, service) in self.services.iter_mut().enumerate() {
            if let Some(broker) = service.brokers.get_mut(session) {
                let Broker { life, number, orphans, .. } = *broker;
                *broker =
                    Broker { is_open: true, life: life + 1, number, orphans, ..Broker::default() };
                service.settle(place, out);
            }
        }
    }

    /// A session is over. Its calls still run until [`end`](Self::end) is told.
    pub fn closed(&mut self, session: usize, out: &mut Vec<Grant>) {
        for (place, service) in self.services.iter_mut().enumerate() {
            if let Some(broker) = service.brokers.get_mut(session) {
                let Broker { life, number, orphans, running, .. } = *broker;
                let orphans = orphans + running;
                *broker = Broker { life: life + 1, number, orphans, ..Broker::default() };
                service.settle(place, out);
            }
        }
    }

    /// A broker has this number of calls that wait for more slots.
    pub fn demanded(&mut self, session: usize, service: usize, calls: u32, out: &mut Vec<Grant>) {
        self.change(session, service, out, |broker| broker.wanted = calls);
    }

    /// A broker has answered the GRANT of this number.
    pub fn answered(&mut self, session: usize, service: usize, number: u64, out: &mut Vec<Grant>) {
        self.change(session, service, out, |broker| {
            if broker.number == number {
                broker.heeded = broker.told;
            }
        });
    }

    /// A call of a broker takes a slot. `None`: the broker has used all its slots.
    pub fn start(&mut self, session: usize, service: usize) -> Option<TakenSlot> {
        let broker = self.services.get_mut(service)?.brokers.get_mut(session)?;
        (broker.is_open && broker.running < broker.heeded).then(|| {
            broker.running += 1;
            TakenSlot { session, service, life: broker.life }
        })
    }

    /// The handler of a call has ended.
    pub fn end(&mut self, slot: TakenSlot, out: &mut Vec<Grant>) {
        let Some(service) = self.services.get_mut(slot.service) else { return };
        let Some(broker) = service.brokers.get_mut(slot.session) else { return };
        let before = broker.occupied();
        let running = match broker.life == slot.life {
            true => &mut broker.running,
            false => &mut broker.orphans,
        };
        *running = running.saturating_sub(1);
        if broker.occupied() < before || service.is_contended {
            service.settle(slot.service, out);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Grant>) {
        for (place, service) in self.services.iter_mut().enumerate() {
            if service.is_contended && now >= service.turned + TURN {
                service.turned = now;
                service.next_turn();
                service.settle(place, out);
            }
        }
    }

    /// When to call [`tick`](Self::tick), at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        let contended = self.services.iter().filter(|service| service.is_contended);
        contended.map(|service| service.turned + TURN).min()
    }

    /// The number of calls of a service that run.
    pub fn running(&self, service: usize) -> u32 {
        let brokers = self.services.get(service).into_iter().flat_map(|found| &found.brokers);
        brokers.map(|broker| broker.running + broker.orphans).sum()
    }

    fn change(
        &mut self,
        session: usize,
        service: usize,
        out: &mut Vec<Grant>,
        change: impl FnOnce(&mut Broker),
    ) {
        let Some(found) = self.services.get_mut(service) else { return };
        let Some(broker) = found.brokers.get_mut(session).filter(|broker| broker.is_open) else {
            return;
        };
        change(broker);
        found.settle(service, out);
    }
}

impl Service {
    /// The next broker that has more calls than slots comes first.
    fn next_turn(&mut self) {
        let count = self.brokers.len();
        let after = (1..=count).map(|step| (self.turn + step) % count);
        let mut after = after.filter(|place| {
            self.brokers.get(*place).is_some_and(|broker| broker.need() > broker.told)
        });
        if let Some(next) = after.next() {
            self.turn = next;
        }
    }

    /// Computes how many slots each broker is to have: first what each can use, the same for all that can use more, then
    /// what is left, so that all have about as many.
    fn aim(&mut self) {
        for broker in &mut self.brokers {
            broker.target = 0;
        }
        let mut left = self.capacity;
        left = self.raise(left, |broker| broker.need());
        self.is_contended = left == 0
            && self.brokers.iter().any(|broker| broker.is_open && broker.need() > broker.target);
        self.raise(left, |_| u32::MAX);
    }

    /// Raises the lowest targets by one, again and again, as far as the slots and `most` of each broker go. Returns the
    /// slots that are left.
    fn raise(&mut self, mut left: u32, most: impl Fn(&Broker) -> u32) -> u32 {
        while left > 0 {
            let open = self.brokers.iter().filter(|broker| broker.is_open);
            let lowest =
                open.filter(|broker| broker.target < most(broker)).map(|broker| broker.target);
            let Some(lowest) = lowest.min() else { break };
            let count = self.brokers.len();
            for step in 0..count {
                let place = (self.turn + step) % count;
                let Some(broker) = self.brokers.get_mut(place) else { break };
                if left > 0
                    && broker.is_open
                    && broker.target == lowest
                    && broker.target < most(broker)
                {
                    broker.target += 1;
                    left -= 1;
                }
            }
        }
        left
    }

    fn settle(&mut self, place: usize, out: &mut Vec<Grant>) {
        self.aim();
        let occupied: u32 = self.brokers.iter().map(Broker::occupied).sum();
        let mut spare = self.capacity.saturating_sub(occupied);
        // Slots that are to come back are not asked for again.
        let coming = |broker: &Broker| broker.occupied() - broker.told.min(broker.occupied());
        let coming: u32 = self.brokers.iter().map(coming).sum();
        // Without calls that wait, only a broker that has just come is given slots of others.
        let open = self.brokers.iter().filter(|broker| broker.is_open).count();
        let each_has_one = self.capacity as usize >= open;
        let lacking = |broker: &&Broker| {
            let lacks = broker.wanted > 0 || (broker.told == 0 && each_has_one);
            broker.is_open && broker.told < broker.target && lacks
        };
        let lacking = self.brokers.iter().filter(lacking);
        let lacking: u32 = lacking.map(|broker| broker.target - broker.told).sum();
        let mut take_back = lacking.saturating_sub(spare.saturating_add(coming));

        // Brokers that want none give theirs first.
        for idle in [true, false] {
            for (session, broker) in self.brokers.iter_mut().enumerate() {
                let surplus = broker.told.saturating_sub(broker.target);
                let back = surplus.min(take_back);
                if back > 0 && (broker.wanted == 0) == idle {
                    take_back -= back;
                    broker.grant(broker.told - back);
                    let Broker { told: slots, number, .. } = *broker;
                    out.push(Grant { session, service: place, slots, number });
                }
            }
        }

        // Brokers that want some get theirs first.
        let count = self.brokers.len();
        for wants in [true, false] {
            for step in 0..count {
                let session = (self.turn + step) % count;
                let Some(broker) = self.brokers.get_mut(session) else { break };
                let more = broker.target.saturating_sub(broker.told).min(spare);
                if more > 0 && broker.is_open && (broker.wanted > 0) == wants {
                    // What it may still go by is its own already.
                    let before = broker.occupied();
                    broker.grant(broker.told + more);
                    spare = spare.saturating_sub(broker.occupied() - before);
                    let Broker { told: slots, number, .. } = *broker;
                    out.push(Grant { session, service: place, slots, number });
                }
            }
        }
    }
}
