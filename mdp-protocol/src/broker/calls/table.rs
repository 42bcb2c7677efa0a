//! The table of calls: by key, by the numbers of their clients, by their timers, and in the lists of their places.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::{BY_CLIENT, BrokerCall, CallState, low_bits};
use crate::broker::BY_STATE;
use crate::hash::NumberState;
use crate::limits::Limits;
use crate::list::List;
use crate::slab::{Key, Slab};
use crate::time::Time;
use crate::wheel::Wheel;

/// The calls: by key, by the numbers of their clients, and by their timers.
#[derive(Debug)]
pub(in crate::broker) struct Calls<P> {
    table: Slab<BrokerCall<P>>,
    /// The calls that a client waits for, by the client and its number.
    by_number: HashMap<(Key, u64), Key, NumberState>,
    timer: Wheel,
    /// Calls in [`CallState::Running`].
    running: usize,
    /// Bytes of bodies and backlogs.
    held_bytes: usize,
}

/// A call that is over.
pub(in crate::broker) struct Ended {
    /// The client that waited for it until now.
    pub(in crate::broker) client: Option<Key>,
    /// The usage that its body counted for.
    pub(in crate::broker) usage: u32,
    pub(in crate::broker) bytes: usize,
}

impl<P> Calls<P> {
    pub(in crate::broker) fn new(seed: u64) -> Self {
        Calls {
            table: Slab::new(),
            by_number: HashMap::with_hasher(NumberState::with_seed(seed)),
            timer: Wheel::new(),
            running: 0,
            held_bytes: 0,
        }
    }

    #[inline]
    pub(in crate::broker) fn get(&self, key: Key) -> Option<&BrokerCall<P>> {
        self.table.get(key)
    }

    #[inline]
    pub(in crate::broker) fn get_mut(&mut self, key: Key) -> Option<&mut BrokerCall<P>> {
        self.table.get_mut(key)
    }

    pub(in crate::broker) fn iter(&self) -> impl Iterator<Item = (Key, &BrokerCall<P>)> {
        self.table.iter()
    }

    /// The calls that a test is true of.
    pub(in crate::broker) fn keys_of(&self, test: impl Fn(&BrokerCall<P>) -> bool) -> Vec<Key> {
        self.table.iter().filter(|(_, call)| test(call)).map(|(key, _)| key).collect()
    }

    pub(in crate::broker) fn len(&self) -> usize {
        self.table.len()
    }

    /// Calls in [`CallState::Running`].
    pub(in crate::broker) fn running(&self) -> usize {
        self.running
    }

    /// Bytes of bodies and backlogs.
    pub(in crate::broker) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether `size` more bytes may be held.
    #[inline]
    pub(in crate::broker) fn has_room(&self, size: usize, limits: &Limits) -> bool {
        self.held_bytes + size <= limits.held_bytes
    }

    #[inline]
    pub(in crate::broker) fn count_held(&mut self, bytes: usize) {
        self.held_bytes += bytes;
    }

    #[inline]
    pub(in crate::broker) fn uncount_held(&mut self, bytes: usize) {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }

    /// Whether there was such a call, and is not any more.
    pub(in crate::broker) fn was_removed(&self, key: Key) -> bool {
        self.table.was_removed(key)
    }

    /// A call that a client waits for, by the client's number.
    #[inline]
    pub(in crate::broker) fn numbered(&self, client: Key, number: u64) -> Option<Key> {
        self.by_number.get(&(client, number)).copied()
    }

    #[inline]
    pub(in crate::broker) fn has_number(&self, client: Key, number: u64) -> bool {
        self.by_number.contains_key(&(client, number))
    }

    /// A call that is in no list.
    #[inline]
    pub(in crate::broker) fn insert(&mut self, call: BrokerCall<P>) -> Key {
        self.table.insert(call)
    }

    /// Puts a call into the list of its client's calls, and makes it known by the client's number.
    #[inline]
    pub(in crate::broker) fn link_client(
        &mut self,
        list: &mut List,
        client: Key,
        number: u64,
        key: Key,
    ) {
        list.push_back::<BY_CLIENT, _>(&mut self.table, key);
        self.by_number.insert((client, number), key);
    }

    /// No client waits for a call any more. Returns the client that did.
    #[inline]
    pub(in crate::broker) fn stop_waiting(&mut self, key: Key) -> Option<Key> {
        let call = self.table.get_mut(key)?;
        let client = call.client()?;
        call.waits = false;
        let number = call.number;
        self.by_number.remove(&(client, number));
        Some(client)
    }

    /// A call is over: its body is dropped, and no client waits for it any more.
    #[inline]
    pub(in crate::broker) fn end(&mut self, key: Key) -> Option<Ended> {
        let call = self.table.get_mut(key)?;
        self.running -= usize::from(call.is_running());
        call.body = None;
        let (usage, bytes) = (call.usage, core::mem::take(&mut call.bytes) as usize);
        self.uncount_held(bytes);
        Some(Ended { client: self.stop_waiting(key), usage, bytes })
    }

    /// Takes a call out of the list of its client's calls.
    #[inline]
    pub(in crate::broker) fn unlink_client(&mut self, list: &mut List, key: Key) {
        list.remove::<BY_CLIENT, BrokerCall<P>>(&mut self.table, key);
    }

    /// The calls of a client, from the first.
    pub(in crate::broker) fn of_client(
        &self,
        list: &List,
    ) -> impl Iterator<Item = Key> + use<'_, P> {
        list.iter::<BY_CLIENT, BrokerCall<P>>(&self.table)
    }

    /// The call behind this one in the list of its client's calls.
    pub(in crate::broker) fn next_of_client(&self, key: Key) -> Option<Key> {
        List::after::<BY_CLIENT, BrokerCall<P>>(&self.table, key)
    }

    /// Puts a call to the end of the list of its state.
    #[inline]
    pub(in crate::broker) fn push_back(&mut self, list: &mut List, key: Key) {
        list.push_back::<BY_STATE, _>(&mut self.table, key);
    }

    /// Puts a call to the front of the list of its state.
    pub(in crate::broker) fn push_front(&mut self, list: &mut List, key: Key) {
        list.push_front::<BY_STATE, _>(&mut self.table, key);
    }

    /// Takes a call out of the list of its state.
    #[inline]
    pub(in crate::broker) fn unlink(&mut self, list: &mut List, key: Key) {
        list.remove::<BY_STATE, BrokerCall<P>>(&mut self.table, key);
    }

    /// The calls of a state, from the first.
    pub(in crate::broker) fn in_place(
        &self,
        list: &List,
    ) -> impl Iterator<Item = Key> + use<'_, P> {
        list.iter::<BY_STATE, BrokerCall<P>>(&self.table)
    }

    /// A worker gets the call, which has waited for it until now. `run_until`: the deadline of a leased call.
    #[inline]
    pub(in crate::broker) fn start(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        run_until: Time,
    ) -> Option<&mut BrokerCall<P>> {
        let call = self.table.get_mut(key)?;
        if call.client().is_some() {
            call.waited = call.passed(now).as_wire_ms();
            call.since = low_bits(now);
        }
        call.attempt = call.attempt.saturating_add(1);
        call.run = 0;
        call.state = CallState::Running(worker);
        if call.leased {
            call.deadline = run_until;
        }
        self.running += 1;
        Some(call)
    }

    /// A call gets another state than [`CallState::Running`], which [`start`](Self::start) gives it.
    pub(in crate::broker) fn set_state(&mut self, key: Key, state: CallState) {
        let Some(call) = self.table.get_mut(key) else { return };
        self.running -= usize::from(call.is_running());
        call.state = state;
    }

    /// The timer of a call fires then, and not before.
    #[inline]
    pub(in crate::broker) fn set_timer(&mut self, key: Key, at: Time) {
        self.timer.set(key.index(), at);
    }

    /// A call whose timer fires by now.
    pub(in crate::broker) fn pop_due(&mut self, now: Time) -> Option<Key> {
        loop {
            let index = self.timer.pop(now)?;
            if let Some(key) = self.table.key_at(index) {
                return Some(key);
            }
        }
    }

    /// When the next timer fires.
    pub(in crate::broker) fn next_due(&self) -> Option<Time> {
        self.timer.next()
    }

    /// A call is over, and in no list.
    #[inline]
    pub(in crate::broker) fn discard(&mut self, key: Key) {
        self.timer.clear(key.index());
        self.table.discard(key);
    }

    /// Timers and numbers, for the audit.
    pub(in crate::broker) fn counted(&self) -> (usize, usize) {
        (self.timer.len(), self.by_number.len())
    }

    /// Whether nothing is left of any call.
    pub(in crate::broker) fn is_quiet(&self) -> bool {
        self.table.is_empty()
            && self.by_number.is_empty()
            && self.timer.len() == 0
            && self.held_bytes == 0
            && self.running == 0
    }
}
