//! What classic workers send beyond the credit of a client: classic MDP has none, so it waits here, within
//! limits (`wire.md` R91). It is the only place where the broker keeps items of streams.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Broker;
use super::calls::{BrokerCall, CallState, End};
use super::io::{Action, Name};
use super::refusals::limit_refusal;
use crate::limits::Limit;
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Time;
use crate::wire::{Direction, Part, Record};

/// The bytes that count for an item in addition to its own, so that empty items are bounded, too.
const ITEM_OVERHEAD: usize = 64;

/// Items that wait for credit, and the end of the call if that is behind them.
pub(super) struct Backlog<P> {
    items: VecDeque<P>,
    bytes: usize,
    end: Option<(End<P>, Name)>,
}

impl<P> core::fmt::Debug for Backlog<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Backlog")
            .field("items", &self.items.len())
            .field("bytes", &self.bytes)
            .field("ended", &self.end.is_some())
            .finish()
    }
}

impl<P: Payload> Broker<P> {
    /// Keeps an item until its client gives credit, or ends the call if there is no room.
    pub(super) fn keep_back(&mut self, now: Time, key: Key, item: P, out: &mut Vec<Action<P>>) {
        let size = item.size() + ITEM_OVERHEAD;
        let limits = &self.config.limits;
        let room = self.calls.has_room(size, limits);
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(service) = self.services.get_mut(call.service()) else { return };
        let limit = if !room {
            Some(Limit::HeldBytes)
        } else if service.queued_bytes() + size > limits.queued_bytes_per_service {
            Some(Limit::QueuedBytesPerService)
        } else {
            None
        };
        if let Some(limit) = limit {
            return self.refuse_overflow(now, key, limit, out);
        }
        let empty = || Box::new(Backlog { items: VecDeque::new(), bytes: 0, end: None });
        let backlog = call.backlog_mut().get_or_insert_with(empty);
        backlog.items.push_back(item.detach());
        backlog.bytes += size;
        service.count_bytes(size);
        self.calls.count_held(size);
    }

    fn refuse_overflow(&mut self, now: Time, key: Key, limit: Limit, out: &mut Vec<Action<P>>) {
        let Some(CallState::Running(worker)) = self.calls.get(key).map(BrokerCall::state) else {
            return;
        };
        self.stats.refused += 1;
        let refusal = |_| {
            let mut refusal = limit_refusal(limit);
            refusal.not_started = false;
            refusal
        };
        self.send_refusal(now, key, refusal, out);
        self.hold_slot(now, key, worker);
    }

    /// The worker has ended the call; its client hears of that behind what waits for it.
    pub(super) fn conclude_later(&mut self, key: Key, end: End<P>, worker: Name) {
        self.calls.set_state(key, CallState::Ending);
        let Some(call) = self.calls.get_mut(key) else { return };
        if let Some(backlog) = call.backlog_mut() {
            backlog.end = Some((end, worker));
        }
    }

    /// The client has given credit: what waits for it goes on.
    pub(super) fn send_backlog(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        while let Some(item) = self.next_in_backlog(key) {
            let (of, part) = (Direction::Replies, Part::Item(item));
            self.pass_to_client(now, key, out, |call| Record::Data { call, of, part });
        }
        let Some(call) = self.calls.get_mut(key) else { return };
        if !call.backlog().is_some_and(|backlog| backlog.items.is_empty()) {
            return;
        }
        let Some((end, worker)) = call.backlog_mut().take().and_then(|backlog| backlog.end) else {
            return;
        };
        self.conclude(now, key, end, worker, out);
    }

    fn next_in_backlog(&mut self, key: Key) -> Option<P> {
        let call = self.calls.get_mut(key)?;
        let size = call.backlog()?.items.front()?.size();
        if !call.flow_mut().pay(size) {
            return None;
        }
        let service = call.service();
        let backlog = call.backlog_mut().as_mut()?;
        let kept = size + ITEM_OVERHEAD;
        backlog.bytes = backlog.bytes.saturating_sub(kept);
        let item = backlog.items.pop_front();
        self.forget_bytes(service, kept);
        item
    }

    /// No client waits for the items of the backlog any more.
    pub(super) fn drop_backlog(&mut self, key: Key) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(backlog) = call.backlog_mut().take() else { return };
        let service = call.service();
        self.forget_bytes(service, backlog.bytes);
    }

    fn forget_bytes(&mut self, service: Key, bytes: usize) {
        self.calls.uncount_held(bytes);
        if let Some(service) = self.services.get_mut(service) {
            service.uncount_bytes(bytes);
        }
    }

    /// The bytes in a call's backlog.
    pub(super) fn backlog_bytes(call: &BrokerCall<P>) -> usize {
        call.backlog().map_or(0, |backlog| backlog.bytes)
    }
}
