//! Decides which calls of a service may start their handlers: as many as the service's capacity has permits for.
//!
//! The broker counts a call's slot as free once the call has ended, but the handler may run on: a thread cannot be
//! stopped, and a handler that detaches must not be stopped. So a REQUEST may arrive without a free permit. Its call
//! waits here, in its slot, for the next permit: the broker sees that this worker is busy, prefers other workers, and
//! keeps further calls in its queue, where clients take turns. If such calls were refused at once, they would go back
//! and forth between broker and worker, and the client with the most calls would take nearly all permits. A call waits
//! for at most half of its time, so that another worker has the other half, and never longer than [`LONGEST`].

use std::collections::VecDeque;
use std::sync::Arc;

use mdp_protocol::{Key, Span, Time};
use tokio::sync::Notify;

use crate::call::{CallContext, ServicePermits};

/// The maximum time that a call waits for a permit.
const LONGEST: Span = Span::from_secs(5);

/// The work that starts a call's handler.
pub(super) trait Start {
    fn cx(&self) -> &CallContext;
}

/// The calls of all services, started and waiting.
pub(super) struct Admission<W> {
    services: Vec<Place<W>>,
    /// The number of calls in all queues, including those that have ended there.
    waiting: usize,
    /// The earliest moment at which a waiting call may have to be refused.
    due: Option<Time>,
}

struct Place<W> {
    permits: Arc<ServicePermits>,
    waiting: VecDeque<Waiting<W>>,
    /// The number of calls in `waiting` that have ended.
    ended: usize,
}

struct Waiting<W> {
    call: Key,
    until: Time,
    work: W,
}

/// A call that has waited too long for its permit.
pub(super) struct Refused {
    pub(super) call: Key,
    /// The index of the service in the worker's configuration.
    pub(super) service: usize,
    pub(super) capacity: u32,
    /// The number of calls that have ended while their handler still runs.
    pub(super) outlasting: u32,
}

impl<W: Start> Place<W> {
    /// The first waiting call that has not ended.
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
    /// `bell` is notified when a permit that outlasted its call is returned.
    pub(super) fn new(capacities: impl Iterator<Item = u32>, bell: &Arc<Notify>) -> Self {
        let place = |(service, capacity)| Place {
            permits: Arc::new(ServicePermits::new(service, capacity, bell)),
            waiting: VecDeque::new(),
            ended: 0,
        };
        Admission { services: capacities.enumerate().map(place).collect(), waiting: 0, due: None }
    }

    /// The permits that the calls of a service share.
    pub(super) fn permits(&self, service: usize) -> Option<Arc<ServicePermits>> {
        self.services.get(service).map(|place| Arc::clone(&place.permits))
    }

    /// The number of calls that have ended while their handler still runs.
    pub(super) fn outlasting(&self) -> u32 {
        self.services.iter().map(|place| place.permits.outlasting()).sum()
    }

    /// Takes a permit for a new call. `false`: no permit is free, and the call has to [wait](Self::wait).
    #[inline]
    pub(super) fn start(&self, service: usize) -> bool {
        let Some(place) = self.services.get(service) else { return true };
        let free = place.waiting.is_empty() && place.permits.is_free();
        if free {
            place.permits.start();
        }
        free
    }

    /// Lets the call wait for a permit.
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

    /// Records that a call has ended while it waited for a permit.
    pub(super) fn leave(&mut self, cx: &CallContext) {
        let service = cx.permit().service().map(|permits| permits.service);
        let Some(place) = service.and_then(|service| self.services.get_mut(service)) else {
            return;
        };
        // Ended calls are removed together, once they are half of the queue: removing each one would cost a scan.
        place.ended += 1;
        if place.ended > place.waiting.len() / 2 {
            let before = place.waiting.len();
            place.waiting.retain(|waiting| !waiting.work.cx().permit().is_over());
            place.ended = 0;
            self.waiting = self.waiting.saturating_sub(before - place.waiting.len());
        }
    }

    /// The waiting calls that have not ended. Each must be ended, and then [leaves](Self::leave).
    pub(super) fn waiting(&self) -> Vec<Key> {
        let waiting = self.services.iter().flat_map(|place| &place.waiting);
        let waiting = waiting.filter(|one| !one.work.cx().permit().is_over());
        waiting.map(|one| one.call).collect()
    }

    /// The moment at which [`refuse`](Self::refuse) may have work, or an earlier one.
    pub(super) fn due(&self) -> Option<Time> {
        self.due.filter(|_| self.waiting > 0)
    }

    /// The calls that have waited too long. Each must be ended, and then [leaves](Self::leave).
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
