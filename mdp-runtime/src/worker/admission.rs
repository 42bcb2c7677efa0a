//! Which calls of a service may start their handlers: as many as the service's capacity has permits for.
//!
//! The broker counts a call's slot as free once the call has ended, but a handler may run on: a thread cannot be stopped, a
//! handler that detaches shall not be. So a REQUEST may come for which there is no permit. Its call waits here, in its slot, for
//! the next permit: the broker sees that this worker is busy, gives calls to others first, and lets the rest wait in its queue,
//! where clients take turns. Refused at once, such calls would go round between broker and worker, and with permits that
//! are always taken again by whoever calls most, others would hardly ever get one. A call waits for half of its time at most,
//! so that another worker has the other half, and never longer than [`LONGEST`].

use std::collections::VecDeque;
use std::sync::Arc;

use mdp_protocol::{Key, Span, Time};
use tokio::sync::Notify;

use super::context::CallContext;
use super::permits::ServicePermits;

/// How long a call waits for a permit at most, however much time it has.
const LONGEST: Span = Span::from_secs(5);

/// What starts a call's handler.
pub(super) trait Start {
    fn cx(&self) -> &CallContext;
}

/// The calls of all services, started and waiting.
pub(super) struct Admission<W> {
    services: Vec<Place<W>>,
    /// Calls in all queues, those that have ended there included.
    waiting: usize,
    /// When the first of them has waited long enough, or earlier.
    due: Option<Time>,
}

struct Place<W> {
    permits: Arc<ServicePermits>,
    waiting: VecDeque<Waiting<W>>,
    /// How many of those that wait have ended.
    ended: usize,
}

struct Waiting<W> {
    call: Key,
    until: Time,
    work: W,
}

/// A call that has waited for its permit long enough.
pub(super) struct Refused {
    pub(super) call: Key,
    /// The service's place in the worker's configuration.
    pub(super) service: usize,
    pub(super) capacity: u32,
    /// Calls that have ended while a handler of theirs runs.
    pub(super) outlasting: u32,
}

impl<W: Start> Place<W> {
    /// The first call that waits and has not ended.
    fn pop(&mut self) -> Option<Waiting<W>> {
        loop {
            let first = self.waiting.pop_front()?;
            if first.work.cx().permit().grant() {
                return Some(first);
            }
            self.ended = self.ended.saturating_sub(1);
        }
    }
}

impl<W: Start> Admission<W> {
    /// `bell` rings when a permit comes back that outlasted its call.
    pub(super) fn new(capacities: impl Iterator<Item = u32>, bell: &Arc<Notify>) -> Self {
        let place = |(service, capacity)| Place {
            permits: Arc::new(ServicePermits::new(service, capacity, bell)),
            waiting: VecDeque::new(),
            ended: 0,
        };
        Admission { services: capacities.enumerate().map(place).collect(), waiting: 0, due: None }
    }

    /// What the calls of a service share.
    pub(super) fn permits(&self, service: usize) -> Option<Arc<ServicePermits>> {
        self.services.get(service).map(|place| Arc::clone(&place.permits))
    }

    /// How many calls have ended while a handler of theirs runs.
    pub(super) fn outlasting(&self) -> u32 {
        self.services.iter().map(|place| place.permits.outlasting()).sum()
    }

    /// Takes a permit for a call that has just come. `false`: there is none, and the call has to [wait](Self::wait).
    #[inline]
    pub(super) fn start(&self, service: usize) -> bool {
        let Some(place) = self.services.get(service) else { return true };
        let free = place.waiting.is_empty() && place.permits.is_free();
        if free {
            place.permits.start();
        }
        free
    }

    /// The call waits for a permit.
    pub(super) fn wait(&mut self, now: Time, call: Key, service: usize, deadline: Time, work: W) {
        let Some(place) = self.services.get_mut(service) else { return };
        work.cx().permit().wait();
        let half = Span::from_ms((deadline - now).as_ms() / 2);
        let until = now + half.min(LONGEST);
        place.waiting.push_back(Waiting { call, until, work });
        self.waiting += 1;
        self.due = Some(self.due.map_or(until, |due| due.min(until)));
    }

    /// The next call for which there is a permit now.
    pub(super) fn next(&mut self) -> Option<W> {
        if self.waiting == 0 {
            return None;
        }
        let mut found = None;
        for place in &mut self.services {
            if found.is_none() && !place.waiting.is_empty() && place.permits.is_free() {
                found = place.pop();
                if found.is_some() {
                    place.permits.start();
                }
            }
        }
        self.waiting = self.services.iter().map(|place| place.waiting.len()).sum();
        found.map(|waiting| waiting.work)
    }

    /// A call has ended.
    pub(super) fn end(&mut self, cx: &CallContext) {
        let had_one = cx.permit().end();
        let service = cx.permit().service().map(|permits| permits.service);
        let Some(place) = service.and_then(|service| self.services.get_mut(service)) else {
            return;
        };
        if had_one {
            return place.permits.end();
        }
        // Taken out together, once they are half of the queue: one by one each would cost a walk.
        place.ended += 1;
        if place.ended > place.waiting.len() / 2 {
            let before = place.waiting.len();
            place.waiting.retain(|waiting| !waiting.work.cx().permit().is_over());
            place.ended = 0;
            self.waiting = self.waiting.saturating_sub(before - place.waiting.len());
        }
    }

    /// The calls that wait and have not ended. Each is to be [ended](Self::end).
    pub(super) fn waiting(&self) -> Vec<Key> {
        let waiting = self.services.iter().flat_map(|place| &place.waiting);
        let waiting = waiting.filter(|one| !one.work.cx().permit().is_over());
        waiting.map(|one| one.call).collect()
    }

    /// When [`refuse`](Self::refuse) has something to do, or earlier.
    pub(super) fn due(&self) -> Option<Time> {
        self.due.filter(|_| self.waiting > 0)
    }

    /// The calls that have waited long enough. Each is to be [ended](Self::end).
    pub(super) fn refuse(&mut self, now: Time) -> Vec<Refused> {
        let mut refused = Vec::new();
        if self.due().is_none_or(|due| due > now) {
            return refused;
        }
        self.due = None;
        for (service, place) in self.services.iter().enumerate() {
            let waiting = place.waiting.iter().filter(|one| !one.work.cx().permit().is_over());
            for Waiting { call, until, .. } in waiting {
                if *until > now {
                    self.due = Some(self.due.map_or(*until, |due| due.min(*until)));
                    continue;
                }
                let (capacity, outlasting) = (place.permits.capacity, place.permits.outlasting());
                refused.push(Refused { call: *call, service, capacity, outlasting });
            }
        }
        refused
    }
}
