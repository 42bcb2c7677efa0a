//! The queue of a service: its waiting calls, and the choice of the client that makes room in a full queue.

use alloc::vec::Vec;

use crate::broker::Broker;
use crate::broker::io::Action;
use crate::limits::Limit;
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Time;

impl<P: Payload> Broker<P> {
    /// Puts a call into the queue of its service, behind its client's other calls or before them.
    pub(in crate::broker) fn enqueue(&mut self, key: Key, front: bool) {
        let limits = &self.config.limits;
        self.services.enqueue(&mut self.calls, self.last, key, front, limits);
    }

    /// Puts a call behind the one worker that it wants.
    pub(in crate::broker) fn pin(&mut self, key: Key, worker: Key) {
        self.services.pin(&mut self.calls, self.last, key, worker);
    }

    /// Takes a waiting call out of its queue.
    pub(in crate::broker) fn unqueue(&mut self, key: Key) {
        self.services.unqueue(&mut self.calls, self.last, key);
    }

    /// Makes room in a full queue for a call of this size. The client with the largest share loses its latest calls, as
    /// long as that share is larger than the one of the new call's client. So no client keeps the others out. Whether
    /// there is room now.
    pub(in crate::broker) fn make_room(
        &mut self,
        now: Time,
        from: Key,
        service: Key,
        size: usize,
        out: &mut Vec<Action<P>>,
    ) -> bool {
        let own = self.services.share_with(from, service, size, &self.config.limits);
        loop {
            let limit = match self.check_queue(Some(service), size) {
                Ok(()) => return true,
                // The other calls need not be of this service.
                Err(Limit::HeldBytes) => return false,
                Err(limit) => limit,
            };
            let longest = self.services.longest(service, &self.config.limits);
            let longest = longest.filter(|longest| longest.share > own && longest.client != from);
            let Some(longest) = longest else { return false };
            // A client that was not paused hears of it.
            if self.calls.get(longest.last).is_some_and(|call| self.pauses(call.is_leased())) {
                return false;
            }
            self.stats.refused += 1;
            let refusal = self.refusal_of(longest.client, limit, false, out);
            self.refuse_waiting(now, longest.last, |_| refusal, out);
        }
    }
}
