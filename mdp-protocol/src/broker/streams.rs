//! The streams of calls: items pass through at once and are never kept, within the credit that their
//! receiver gave.

use alloc::vec::Vec;

use super::calls::{Call, Place};
use super::io::Action;
use super::{Broker, PlantedBug};
use crate::payload::Payload;
use crate::slab::Key;
use crate::stream::{Balance, DEFAULT_WINDOW};
use crate::time::Time;
use crate::wire::{CallKind, Direction, DisconnectReason, Part, Record, check_metadata, units};

/// What the broker knows of a call's streams.
#[derive(Debug)]
pub(super) struct Flow {
    kind: CallKind,
    requests: Balance,
    replies: Balance,
    /// The client has said END.
    ended: bool,
    /// The worker has said OPEN.
    opened: bool,
    /// Units that a plain client has taken, and that the worker is still to get back.
    owed: u32,
    /// Client and worker have heard of each other: the call cannot begin again elsewhere.
    begun: bool,
}

impl Flow {
    pub(super) fn new(kind: CallKind) -> Self {
        let (requests, replies) = (Balance::default(), Balance::default());
        Flow { kind, requests, replies, ended: false, opened: false, owed: 0, begun: false }
    }

    pub(super) fn kind(&self) -> CallKind {
        self.kind
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Credit for replies in the name of a plain client, which knows of none (R91).
    pub(super) fn grant(&mut self, window: u32) {
        if self.kind.streams(Direction::Replies) {
            self.replies.add(DEFAULT_WINDOW.min(window), window);
        }
    }

    /// Its worker has begun the replies.
    fn begin_replies(&mut self) {
        self.begun = true;
        self.opened = true;
    }

    /// Takes what a reply of this size costs; `false` if there is no credit.
    pub(super) fn pay(&mut self, size: usize) -> bool {
        self.replies.take(units(size))
    }

    /// A plain client has taken a reply of this size: what is now to be given back to the worker.
    fn return_credit(&mut self, size: usize, most: u32) -> Option<u32> {
        self.owed = self.owed.saturating_add(units(size));
        if self.owed < DEFAULT_WINDOW.min(most) / 2 {
            return None;
        }
        Some(self.replies.add(core::mem::take(&mut self.owed), most)).filter(|units| *units > 0)
    }

    fn balance(&mut self, of: Direction) -> &mut Balance {
        match of {
            Direction::Requests => &mut self.requests,
            Direction::Replies => &mut self.replies,
        }
    }

    /// Whether such a part may come now; if so it has come.
    fn take<P: Payload>(&mut self, of: Direction, part: &Part<P>, free: bool) -> bool {
        let over = match of {
            Direction::Requests => self.ended,
            Direction::Replies => false,
        };
        if over || !self.kind.streams(of) {
            return false;
        }
        match (part, of) {
            (Part::Item(item), _) => {
                self.begun = true;
                self.opened |= of == Direction::Replies;
                free || self.balance(of).take(units(item.size()))
            }
            (Part::Open(_), Direction::Replies) => {
                self.begun = true;
                !core::mem::replace(&mut self.opened, true)
            }
            (Part::End, Direction::Requests) => {
                self.ended = true;
                true
            }
            (Part::Open(_), Direction::Requests) | (Part::End, Direction::Replies) => false,
        }
    }
}

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
        let from_plain = self.is_plain(from);
        let Some(call) = self.calls.get(key) else { return };
        let to_plain = call.client().is_some_and(|client| self.is_plain(client));
        let item = match &part {
            Part::Item(item) => Some(item),
            _ => None,
        };
        // What the client has no use for (R88).
        let no_message = item.is_some_and(|item| item.is_raw() && !call.is_raw());
        let hidden = item.is_some_and(|item| self.hides_reply(call, item));
        if no_message || hidden || (from_plain && !call.flow().kind.streams(of)) {
            self.stats.unwanted += 1;
            return;
        }
        let waits = call.has_backlog() || call.flow().replies.units() == 0;
        if from_plain && !to_plain && waits && item.is_some() {
            if let (Part::Item(item), Some(call)) = (part, self.calls.get_mut(key)) {
                call.flow_mut().begin_replies();
                self.release_body_if_begun(key);
                self.keep_back(now, key, item, out);
            }
            return;
        }
        let size = item.map(Payload::size);
        if !self.take_part(key, of, &part, from_plain && to_plain) {
            if from_plain {
                self.stats.unwanted += 1;
                return;
            }
            return self.unexpected(now, from, out);
        }
        if let Part::Open(body) = &part
            && let Err(error) = check_metadata(body.metadata())
        {
            return self.end_badly_opened(now, key, error, out);
        }
        self.pass_to_client(now, key, out, |call| Record::Data { call, of, part });
        if let Some(size) = size.filter(|_| to_plain && !from_plain) {
            self.return_credit(now, key, size, out);
        }
    }

    fn return_credit(&mut self, now: Time, key: Key, size: usize, out: &mut Vec<Action<P>>) {
        let most = self.config.limits.window;
        let Some(call) = self.calls.get_mut(key) else { return };
        if let Some(units) = call.flow_mut().return_credit(size, most) {
            let of = Direction::Replies;
            self.pass_to_worker(now, key, out, |call| Record::Credit { call, of, units });
        }
    }

    fn is_plain(&self, session: Key) -> bool {
        self.sessions.get(session).is_some_and(|session| session.is_plain())
    }

    /// Whether a part may come now; if so it has come.
    fn take_part(&mut self, key: Key, of: Direction, part: &Part<P>, free: bool) -> bool {
        let free = free || self.planted(PlantedBug::ForgetCredit);
        let Some(found) = self.calls.get_mut(key) else { return false };
        let flow = found.flow_mut();
        let had_begun = flow.begun;
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
        let most = self.config.limits.window;
        let Some(found) = self.calls.get_mut(key) else { return };
        if !found.flow().kind.streams(of) {
            return self.unexpected(now, from, out);
        }
        let units = found.flow_mut().balance(of).add(units, most);
        if units == 0 {
            return;
        }
        match of {
            Direction::Requests => {
                found.flow_mut().begun = true;
                self.release_body_if_begun(key);
                self.pass_to_client(now, key, out, |call| Record::Credit { call, of, units });
            }
            Direction::Replies if found.has_backlog() => self.send_backlog(now, key, out),
            Direction::Replies => {
                self.pass_to_worker(now, key, out, |call| Record::Credit { call, of, units });
            }
        }
    }

    /// What the client said about its streams while the call waited, right behind its REQUEST.
    pub(super) fn catch_up(&mut self, now: Time, key: Key, session: Key, out: &mut Vec<Action<P>>) {
        let Some(flow) = self.calls.get(key).map(Call::flow) else { return };
        let (units, ended, call) = (flow.replies.units(), flow.ended, key.as_u64());
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
        let begun = self.calls.get(key).is_some_and(|call| call.flow().begun);
        if begun && !self.planted(PlantedBug::MoveBegunCalls) {
            self.release_body(key);
        }
    }

    /// A call by its client's number. One that has ended meanwhile is not there.
    fn made_by(&self, client: Key, call: u64) -> Option<Key> {
        self.calls.numbered(client, call)
    }

    /// The call of this handle, if the worker holds it and somebody waits for it.
    pub(super) fn held_by(
        &mut self,
        now: Time,
        worker: Key,
        call: u64,
        out: &mut Vec<Action<P>>,
    ) -> Option<Key> {
        let key = Key::from_u64(call);
        let place = key.and_then(|key| Some(self.calls.get(key)?.place()));
        let holder = match place {
            Some(Place::Running(holder) | Place::Overdue(holder)) => {
                self.services.session_of(holder)
            }
            _ => None,
        };
        let ended = place.is_none() && key.is_some_and(|key| self.calls.was_removed(key));
        if holder != Some(worker) && !ended {
            self.unexpected(now, worker, out);
            return None;
        }
        if !matches!(place, Some(Place::Running(_))) {
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
        let Some(Place::Running(worker)) = self.calls.get(key).map(Call::place) else {
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
}
