//! A session, and the table of sessions: by key, by routing id, by the ids of workers, and by their timers.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::broker::classic::Classic;
use crate::broker::io::Name;
use crate::broker::mmi::Lists;
use crate::broker::rights::Rights;
use crate::hash::BytesState;
use crate::list::List;
use crate::slab::{Key, Slab};
use crate::time::{Span, Time};
use crate::wheel::Wheel;
use crate::wire::classic::{Form, Side};

/// The broker sends a heartbeat by this part of an interval before it is due.
const EARLY_PART: u64 = 16;
/// The steps of an interval at which heartbeats go out.
const STEPS: u64 = 256;

/// A peer that said HELLO. It may be a client, a worker or both.
#[derive(Debug)]
pub(in crate::broker) struct Session {
    route: Box<[u8]>,
    id: Name,
    seen: Time,
    sent: Time,
    heartbeat: Span,
    expiry: Span,
    /// The services it offers, as a worker.
    registrations: Vec<Key>,
    /// The calls it made, as a client, and waits for.
    calls: List,
    /// The calls that it made and no longer waits for, and that are not over: a worker holds them.
    abandoned: usize,
    /// FINALs that may still come for calls that were taken from it.
    late: u32,
    /// How often slots were taken from it since it last answered a call, and when that counted last.
    unanswered: (u8, Time),
    draining: bool,
    /// It is to end when it holds no call.
    dismissed: bool,
    /// It has made a call.
    called: bool,
    /// It speaks classic MDP.
    classic: Option<Classic>,
    rights: Rights,
    lists: Lists,
}

impl Session {
    pub(in crate::broker) fn new(
        now: Time,
        route: &[u8],
        id: Name,
        heartbeat: Span,
        expiry: Span,
        classic: Option<Classic>,
        rights: Rights,
    ) -> Self {
        Session {
            route: route.into(),
            id,
            seen: now,
            sent: now,
            heartbeat,
            expiry,
            registrations: Vec::new(),
            calls: List::default(),
            abandoned: 0,
            late: 0,
            unanswered: (0, now),
            draining: false,
            dismissed: false,
            called: false,
            classic,
            rights,
            lists: Lists::default(),
        }
    }

    /// The text that names this peer to others: its id, and after a space its principal, if known.
    pub(in crate::broker) fn who(&self) -> Name {
        self.rights.shown().unwrap_or(&self.id).clone()
    }

    #[inline]
    pub(in crate::broker) fn id(&self) -> &Name {
        &self.id
    }

    pub(in crate::broker) fn route(&self) -> &[u8] {
        &self.route
    }

    /// The peer lives.
    #[inline]
    pub(in crate::broker) fn heard(&mut self, now: Time) {
        self.seen = now;
    }

    /// Whether it was heard before `now`.
    pub(super) fn heard_before(&self, now: Time) -> bool {
        self.seen < now
    }

    /// Whether it was not heard for so long.
    pub(super) fn is_silent(&self, now: Time, span: Span) -> bool {
        now - self.seen >= span
    }

    /// How long it may be silent.
    pub(super) fn expiry(&self) -> Span {
        self.expiry
    }

    pub(super) fn heartbeat(&self) -> Span {
        self.heartbeat
    }

    /// Whether it is to be sent a heartbeat.
    pub(super) fn wants_heartbeat(&self, now: Time) -> bool {
        now >= self.heartbeat_at()
    }

    /// When it is sent a heartbeat, or was silent for `expiry`; not before `grace` in that case.
    pub(super) fn next_look(&self, expiry: Span, grace: Time) -> Time {
        self.heartbeat_at().min((self.seen + expiry).max(grace))
    }

    /// When it is sent a heartbeat if nothing else is sent to it. That is before the peer's own heartbeat is due, so that
    /// the peer sends it as an answer: both wake up once for the two. And it is in steps, so that the heartbeats to many
    /// peers share a wake-up of the broker. A peer of classic MDP does not answer heartbeats.
    fn heartbeat_at(&self) -> Time {
        let due = self.sent + self.heartbeat;
        if self.is_classic() {
            return due;
        }
        let early = due.before(self.heartbeat.part(EARLY_PART));
        early.rounded_down(self.heartbeat.part(STEPS)).max(self.sent + Span::from_ms(1))
    }

    /// A message goes out to it.
    #[inline]
    pub(in crate::broker) fn sent(&mut self, now: Time) {
        self.sent = now;
    }

    /// The services it offers, as a worker.
    pub(in crate::broker) fn registrations(&self) -> &[Key] {
        &self.registrations
    }

    pub(super) fn take_registrations(&mut self) -> Vec<Key> {
        core::mem::take(&mut self.registrations)
    }

    pub(in crate::broker) fn add_registration(&mut self, registration: Key) {
        self.registrations.push(registration);
    }

    /// The calls it made, as a client, and waits for.
    pub(in crate::broker) fn calls(&self) -> &List {
        &self.calls
    }

    #[inline]
    pub(in crate::broker) fn calls_mut(&mut self) -> &mut List {
        &mut self.calls
    }

    /// The calls that it made and that are not over, whether it waits for them or not.
    #[inline]
    pub(in crate::broker) fn calls_made(&self) -> usize {
        self.calls.len() + self.abandoned
    }

    /// The calls that it made and no longer waits for, and that are not over.
    pub(in crate::broker) fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// It waits for one of its calls no longer.
    pub(in crate::broker) fn count_abandoned(&mut self) {
        self.abandoned += 1;
    }

    /// A call that it did not wait for is over.
    pub(in crate::broker) fn uncount_abandoned(&mut self) {
        self.abandoned = self.abandoned.saturating_sub(1);
    }

    /// It makes a call. Whether that is its first.
    #[inline]
    pub(in crate::broker) fn is_first_call(&mut self) -> bool {
        !core::mem::replace(&mut self.called, true)
    }

    /// It has answered a call in time.
    #[inline]
    pub(in crate::broker) fn answered(&mut self) {
        self.unanswered.0 = 0;
    }

    /// The worker answers a call whose slot was taken from it. `false`: there is no such call.
    pub(in crate::broker) fn answered_late(&mut self) -> bool {
        if self.late == 0 {
            return false;
        }
        self.late -= 1;
        self.answered();
        true
    }

    /// A slot was taken from it. How often that was since it last answered a call. Many slots at once may be a short
    /// pause of an honest worker, so they count as one.
    pub(in crate::broker) fn lost_slot(&mut self, now: Time, overrun: Span) -> u8 {
        self.late = self.late.saturating_add(1);
        let (times, counted) = self.unanswered;
        if times == 0 || now - counted >= overrun {
            self.unanswered = (times.saturating_add(1), now);
        }
        self.unanswered.0
    }

    pub(in crate::broker) fn is_draining(&self) -> bool {
        self.draining
    }

    /// It gets no new calls from now on. Whether that is a change.
    pub(in crate::broker) fn start_drain(&mut self) -> bool {
        !core::mem::replace(&mut self.draining, true)
    }

    pub(in crate::broker) fn is_dismissed(&self) -> bool {
        self.dismissed
    }

    /// It is to end when it holds no call.
    pub(in crate::broker) fn dismiss(&mut self) {
        self.dismissed = true;
    }

    #[inline]
    pub(in crate::broker) fn is_classic(&self) -> bool {
        self.classic.is_some()
    }

    /// How a classic peer's messages look.
    #[inline]
    pub(in crate::broker) fn form(&self) -> Option<Form> {
        self.classic.map(|classic| classic.form())
    }

    /// The same, and whose they are.
    pub(in crate::broker) fn classic(&self) -> Option<(Form, Side)> {
        self.classic.map(|classic| (classic.form(), classic.side()))
    }

    pub(in crate::broker) fn classic_mut(&mut self) -> Option<&mut Classic> {
        self.classic.as_mut()
    }

    #[inline]
    pub(in crate::broker) fn rights(&self) -> &Rights {
        &self.rights
    }

    #[inline]
    pub(in crate::broker) fn rights_mut(&mut self) -> &mut Rights {
        &mut self.rights
    }

    /// The lists that it was given of late.
    pub(in crate::broker) fn lists_mut(&mut self) -> &mut Lists {
        &mut self.lists
    }
}

/// The sessions: by key, by routing id, by the ids of workers, and by their timers.
#[derive(Debug)]
pub(in crate::broker) struct Sessions {
    table: Slab<Session>,
    by_route: HashMap<Box<[u8]>, Key, BytesState>,
    /// Of workers only.
    by_id: HashMap<Name, Key, FixedState>,
    timer: Wheel,
    ids_given: u64,
}

impl Sessions {
    pub(in crate::broker) fn new(seed: u64) -> Self {
        Sessions {
            table: Slab::new(),
            by_route: HashMap::with_hasher(BytesState::with_seed(seed)),
            by_id: HashMap::with_hasher(FixedState::with_seed(seed)),
            timer: Wheel::new(),
            ids_given: 0,
        }
    }

    #[inline]
    pub(in crate::broker) fn get(&self, key: Key) -> Option<&Session> {
        self.table.get(key)
    }

    #[inline]
    pub(in crate::broker) fn get_mut(&mut self, key: Key) -> Option<&mut Session> {
        self.table.get_mut(key)
    }

    pub(in crate::broker) fn iter(&self) -> impl Iterator<Item = (Key, &Session)> {
        self.table.iter()
    }

    /// All keys.
    pub(in crate::broker) fn keys(&self) -> Vec<Key> {
        self.table.iter().map(|(key, _)| key).collect()
    }

    pub(in crate::broker) fn len(&self) -> usize {
        self.table.len()
    }

    /// The session of a routing id. The peer is not proven by that.
    #[inline]
    pub(in crate::broker) fn at_route(&self, route: &[u8]) -> Option<Key> {
        self.by_route.get(route).copied()
    }

    /// The worker of this id.
    pub(in crate::broker) fn with_id(&self, id: &[u8]) -> Option<Key> {
        self.by_id.get(id).copied()
    }

    /// An id that no worker has now.
    pub(in crate::broker) fn new_id(&mut self) -> Name {
        loop {
            self.ids_given += 1;
            let id = format!("p-{:x}", self.ids_given);
            if !self.by_id.contains_key(id.as_bytes()) {
                return Name::from(id.as_bytes());
            }
        }
    }

    /// Gives a session its id among the workers.
    ///
    /// # Errors
    ///
    /// Another session has the id, or there is no such session.
    pub(super) fn claim_id(&mut self, key: Key) -> Result<(), Option<Key>> {
        let Some(session) = self.table.get(key) else { return Err(None) };
        match self.by_id.get(&session.id).copied() {
            Some(holder) if holder != key => Err(Some(holder)),
            _ => {
                self.by_id.insert(session.id.clone(), key);
                Ok(())
            }
        }
    }

    pub(super) fn open(&mut self, session: Session) -> Key {
        let (route, first) = (session.route.clone(), session.heartbeat_at());
        let key = self.table.insert(session);
        self.by_route.insert(route, key);
        self.set_timer(key, first);
        key
    }

    pub(super) fn close(&mut self, key: Key) -> Option<Session> {
        self.timer.clear(key.index());
        let session = self.table.remove(key)?;
        self.by_route.remove(&session.route);
        if self.by_id.get(&session.id) == Some(&key) {
            self.by_id.remove(&session.id);
        }
        Some(session)
    }

    pub(super) fn set_timer(&mut self, key: Key, at: Time) {
        self.timer.set(key.index(), at);
    }

    /// A session whose timer fires by now.
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

    /// Routes and timers, for the audit.
    pub(in crate::broker) fn counted(&self) -> (usize, usize) {
        (self.by_route.len(), self.timer.len())
    }
}
