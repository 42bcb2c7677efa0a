//! The queue of a service: its waiting calls, and the choice of the client that makes room in a full queue.

use alloc::vec::Vec;

use crate::broker::Broker;
use crate::broker::calls::BrokerCall;
use crate::broker::io::Action;
use crate::broker::refusals::Rejection;
use crate::limits::Limit;
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Time;

impl<P: Payload> Broker<P> {
    /// Puts a call into the queue of its service, behind its client's other calls or before them.
    pub(in crate::broker) fn enqueue(&mut self, key: Key, front: bool) {
        let spared = self.is_spared(key);
        let service = self.calls.get(key).map(BrokerCall::service);
        // Beyond their half, which hooks let them reach, they lose calls as all others do.
        let is_last = !spared || self.check_half(service, 0).is_err();
        let limits = &self.config.limits;
        self.services.enqueue(&mut self.calls, self.last, key, front, spared, is_last, limits);
    }

    /// Whether a call is not refused to make room for others, because its client is paused instead.
    fn is_spared(&self, key: Key) -> bool {
        self.calls.get(key).is_some_and(|call| self.pauses(call.is_leased()))
    }

    /// Puts a call behind the one worker that it wants.
    pub(in crate::broker) fn pin(&mut self, key: Key, worker: Key) {
        self.services.pin(&mut self.calls, self.last, key, worker);
    }

    /// Takes a waiting call out of its queue.
    pub(in crate::broker) fn unqueue(&mut self, key: Key) {
        let spared = self.is_spared(key);
        self.services.unqueue(&mut self.calls, self.last, key, spared);
        self.paused.see_room();
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
            self.stats.refused += 1;
            let refusal = self.refusal_of(longest.client, Rejection::Limit(limit), out);
            self.refuse_waiting(now, longest.last, |_| refusal, out);
        }
    }
}
