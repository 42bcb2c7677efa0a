//! The streams of calls: items pass through at once and are never kept, within the credit that their
//! receiver gave.

use alloc::vec::Vec;

use super::calls::{BrokerCall, CallState};
use super::io::Action;
use super::refusals::bad_reply_metadata;
use super::{Broker, PlantedBug};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Time;
use crate::wire::{Direction, DisconnectReason, MetadataError, Part, Record, check_metadata};

impl<P: Payload> Broker<P> {
    /// DATA: requests from a client, replies from a worker.
    pub(super) fn data(
        &mut self,
        now: Time,
        from: Key,
        call: u64,
        of: Direction,
        part: Part<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let key = match of {
            Direction::Requests => self.made_by(from, call),
            Direction::Replies => {
                let Some(key) = self.held_by(now, from, call, out) else { return };
                return self.reply_part(now, from, key, part, out);
            }
        };
        let Some(key) = key else { return };
        if self.take_part(key, of, &part, false) {
            self.pass_to_worker(now, key, out, |call| Record::Data { call, of, part });
        } else {
            self.unexpected(now, from, out);
        }
    }

    /// A part of the replies, from the worker that holds the call.
    pub(super) fn reply_part(
        &mut self,
        now: Time,
        from: Key,
        key: Key,
        part: Part<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let of = Direction::Replies;
        let from_classic = self.is_classic(from);
        let Some(call) = self.calls.get(key) else { return };
        let to_classic = call.client().is_some_and(|client| self.is_classic(client));
        let item = match &part {
            Part::Item(item) => Some(item),
            _ => None,
        };
        // Parts that the client cannot use (R88).
        let no_message = item.is_some_and(|item| item.is_raw() && !call.is_raw());
        let hidden = item.is_some_and(|item| self.hides_reply(call, item));
        if no_message || hidden || (from_classic && !call.flow().kind().streams(of)) {
            self.stats.unwanted += 1;
            return;
        }
        let waits = call.has_backlog() || call.flow().reply_units() == 0;
        if from_classic && !to_classic && waits && item.is_some() {
            if let (Part::Item(item), Some(call)) = (part, self.calls.get_mut(key)) {
                call.flow_mut().begin_replies();
                self.release_body_if_begun(key);
                self.keep_back(now, key, item, out);
            }
            return;
        }
        let size = item.map(Payload::size);
        if !self.take_part(key, of, &part, from_classic && to_classic) {
            if from_classic {
                self.stats.unwanted += 1;
                return;
            }
            return self.unexpected(now, from, out);
        }
        if let Part::Open(body) = &part
            && let Err(error) = check_metadata(body.metadata())
        {
            return self.refuse_badly_opened(now, key, error, out);
        }
        self.pass_to_client(now, key, out, |call| Record::Data { call, of, part });
        if let Some(size) = size.filter(|_| to_classic && !from_classic) {
            self.return_credit(now, key, size, out);
        }
    }

    fn return_credit(&mut self, now: Time, key: Key, size: usize, out: &mut Vec<Action<P>>) {
        let max = self.config.limits.window;
        let Some(call) = self.calls.get_mut(key) else { return };
        if let Some(units) = call.flow_mut().return_credit(size, max) {
            let of = Direction::Replies;
            self.pass_to_worker(now, key, out, |call| Record::Credit { call, of, units });
        }
    }

    fn is_classic(&self, session: Key) -> bool {
        self.sessions.get(session).is_some_and(|session| session.is_classic())
    }

    /// Whether a part may come now; if so it has come.
    fn take_part(&mut self, key: Key, of: Direction, part: &Part<P>, free: bool) -> bool {
        let free = free || self.planted(PlantedBug::ForgetCredit);
        let Some(found) = self.calls.get_mut(key) else { return false };
        let flow = found.flow_mut();
        let had_begun = flow.has_begun();
        if !flow.take(of, part, free) {
            return false;
        }
        if !had_begun {
            self.release_body_if_begun(key);
        }
        true
    }

    /// CREDIT: for replies from a client, for requests from a worker.
    pub(super) fn credit(
        &mut self,
        now: Time,
        from: Key,
        call: u64,
        of: Direction,
        units: u32,
        out: &mut Vec<Action<P>>,
    ) {
        let found = match of {
            Direction::Requests => self.held_by(now, from, call, out),
            Direction::Replies => self.made_by(from, call),
        };
        let Some(key) = found else { return };
        let max = self.config.limits.window;
        let Some(found) = self.calls.get_mut(key) else { return };
        if !found.flow().kind().streams(of) {
            return self.unexpected(now, from, out);
        }
        let units = found.flow_mut().add_credit(of, units, max);
        if units == 0 {
            return;
        }
        match of {
            Direction::Requests => {
                found.flow_mut().begin();
                self.release_body_if_begun(key);
                self.pass_to_client(now, key, out, |call| Record::Credit { call, of, units });
            }
            Direction::Replies if found.has_backlog() => self.send_backlog(now, key, out),
            Direction::Replies => {
                self.pass_to_worker(now, key, out, |call| Record::Credit { call, of, units });
            }
        }
    }

    /// The client's records about its streams while the call waited, right after its REQUEST.
    pub(super) fn catch_up(&mut self, now: Time, key: Key, session: Key, out: &mut Vec<Action<P>>) {
        let Some(flow) = self.calls.get(key).map(BrokerCall::flow) else { return };
        let (units, ended, call) = (flow.reply_units(), flow.has_ended(), key.as_u64());
        if units > 0 {
            let of = Direction::Replies;
            self.send(now, session, Record::Credit { call, of, units }, out);
        }
        if ended && !self.planted(PlantedBug::ForgetEnd) {
            let (of, part) = (Direction::Requests, Part::End);
            self.send(now, session, Record::Data { call, of, part }, out);
        }
    }

    /// There is no other attempt for a call that has begun, so nothing is kept for one.
    fn release_body_if_begun(&mut self, key: Key) {
        let begun = self.calls.get(key).is_some_and(|call| call.flow().has_begun());
        if begun && !self.planted(PlantedBug::MoveBegunCalls) {
            self.release_body(key);
        }
    }

    /// A call by its client's number. One that has ended meanwhile is not there.
    fn made_by(&self, client: Key, call: u64) -> Option<Key> {
        self.calls.numbered(client, call)
    }

    /// The call of this handle, if the worker holds it and its client waits for it.
    pub(super) fn held_by(
        &mut self,
        now: Time,
        worker: Key,
        call: u64,
        out: &mut Vec<Action<P>>,
    ) -> Option<Key> {
        let key = Key::from_u64(call);
        let state = key.and_then(|key| Some(self.calls.get(key)?.state()));
        let holder = match state {
            Some(CallState::Running(holder) | CallState::Overdue(holder)) => {
                self.services.session_of(holder)
            }
            _ => None,
        };
        let ended = state.is_none() && key.is_some_and(|key| self.calls.was_removed(key));
        if holder != Some(worker) && !ended {
            self.unexpected(now, worker, out);
            return None;
        }
        if !matches!(state, Some(CallState::Running(_))) {
            self.stats.late += 1;
            return None;
        }
        key
    }

    fn unexpected(&mut self, now: Time, from: Key, out: &mut Vec<Action<P>>) {
        self.stats.invalid += 1;
        self.disconnect(now, from, DisconnectReason::Unexpected, out);
    }

    fn pass_to_worker(
        &mut self,
        now: Time,
        key: Key,
        out: &mut Vec<Action<P>>,
        record: impl FnOnce(u64) -> super::io::Outgoing<P>,
    ) {
        // A call that waits gets it with `catch_up`.
        let Some(CallState::Running(worker)) = self.calls.get(key).map(BrokerCall::state) else {
            return;
        };
        let Some(session) = self.services.session_of(worker) else {
            return;
        };
        self.send(now, session, record(key.as_u64()), out);
    }

    pub(super) fn pass_to_client(
        &mut self,
        now: Time,
        key: Key,
        out: &mut Vec<Action<P>>,
        record: impl FnOnce(u64) -> super::io::Outgoing<P>,
    ) {
        let Some(call) = self.calls.get(key) else { return };
        let Some(client) = call.client() else { return };
        let number = call.number();
        self.send(now, client, record(number), out);
    }

    /// A worker has opened its replies with metadata that cannot be read: the call ends, and its handler is stopped.
    pub(super) fn refuse_badly_opened(
        &mut self,
        now: Time,
        key: Key,
        error: MetadataError,
        out: &mut Vec<Action<P>>,
    ) {
        self.stats.invalid += 1;
        self.stats.refused += 1;
        self.send_refusal(now, key, |_| bad_reply_metadata(error), out);
        self.abandon(now, key, None, out);
    }
}
