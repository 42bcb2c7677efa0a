//! Sessions: HELLO to DISCONNECT, heartbeats, and what ends with a session.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::io::{Action, Cause, Name, Note, Sender};
use super::mmi::Lists;
use super::plain::Plain;
use super::rights::Rights;
use super::{Broker, PlantedBug};
use crate::hash::BytesState;
use crate::identity::Identity;
use crate::list::List;
use crate::names::{self, MAX_NAME};
use crate::payload::Payload;
use crate::slab::{Key, Slab};
use crate::time::{Span, Time};
use crate::wheel::Wheel;
use crate::wire::plain::{Form, Side};
use crate::wire::{DisconnectReason, Record};
use crate::z85;

/// The most liveness that a peer may ask for.
const LIVENESS_MOST: u8 = 10;

/// A peer that said HELLO. It may be a client, a worker or both.
#[derive(Debug)]
pub(super) struct Session {
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
    /// It speaks plain MDP.
    plain: Option<Plain>,
    rights: Rights,
    lists: Lists,
}

impl Session {
    pub(super) fn new(
        now: Time,
        route: &[u8],
        id: Name,
        heartbeat: Span,
        expiry: Span,
        plain: Option<Plain>,
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
            plain,
            rights,
            lists: Lists::default(),
        }
    }

    /// How others are told of it: its id, and behind a space its principal, if that is known.
    pub(super) fn who(&self) -> Name {
        self.rights.shown().unwrap_or(&self.id).clone()
    }

    #[inline]
    pub(super) fn id(&self) -> &Name {
        &self.id
    }

    pub(super) fn route(&self) -> &[u8] {
        &self.route
    }

    /// The peer lives.
    #[inline]
    pub(super) fn heard(&mut self, now: Time) {
        self.seen = now;
    }

    /// A message goes out to it.
    #[inline]
    pub(super) fn sent(&mut self, now: Time) {
        self.sent = now;
    }

    /// The services it offers, as a worker.
    pub(super) fn registrations(&self) -> &[Key] {
        &self.registrations
    }

    pub(super) fn add_registration(&mut self, registration: Key) {
        self.registrations.push(registration);
    }

    /// The calls it made, as a client, and waits for.
    pub(super) fn calls(&self) -> &List {
        &self.calls
    }

    #[inline]
    pub(super) fn calls_mut(&mut self) -> &mut List {
        &mut self.calls
    }

    /// The calls that it made and that are not over, whether it waits for them or not.
    #[inline]
    pub(super) fn calls_made(&self) -> usize {
        self.calls.len() + self.abandoned
    }

    /// The calls that it made and no longer waits for, and that are not over.
    pub(super) fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// It waits for one of its calls no longer.
    pub(super) fn count_abandoned(&mut self) {
        self.abandoned += 1;
    }

    /// A call that it did not wait for is over.
    pub(super) fn uncount_abandoned(&mut self) {
        self.abandoned = self.abandoned.saturating_sub(1);
    }

    /// It makes a call. Whether that is its first.
    #[inline]
    pub(super) fn is_first_call(&mut self) -> bool {
        !core::mem::replace(&mut self.called, true)
    }

    /// It has answered a call in time.
    #[inline]
    pub(super) fn answered(&mut self) {
        self.unanswered.0 = 0;
    }

    /// It answers a call whose slot was taken from it. `false`: there is no such call.
    pub(super) fn answered_late(&mut self) -> bool {
        if self.late == 0 {
            return false;
        }
        self.late -= 1;
        self.answered();
        true
    }

    /// A slot was taken from it. How often that was since it last answered a call. Many slots at once may be a short
    /// pause of an honest worker, so they count as one.
    pub(super) fn lost_slot(&mut self, now: Time, overrun: Span) -> u8 {
        self.late = self.late.saturating_add(1);
        let (times, counted) = self.unanswered;
        if times == 0 || now - counted >= overrun {
            self.unanswered = (times.saturating_add(1), now);
        }
        self.unanswered.0
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// It gets no new calls from now on. Whether that is a change.
    pub(super) fn start_drain(&mut self) -> bool {
        !core::mem::replace(&mut self.draining, true)
    }

    pub(super) fn is_dismissed(&self) -> bool {
        self.dismissed
    }

    /// It is to end when it holds no call.
    pub(super) fn dismiss(&mut self) {
        self.dismissed = true;
    }

    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// How a plain peer's messages look.
    #[inline]
    pub(super) fn form(&self) -> Option<Form> {
        self.plain.map(|plain| plain.form())
    }

    /// The same, and whose they are.
    pub(super) fn plain(&self) -> Option<(Form, Side)> {
        self.plain.map(|plain| (plain.form(), plain.side()))
    }

    pub(super) fn plain_mut(&mut self) -> Option<&mut Plain> {
        self.plain.as_mut()
    }

    #[inline]
    pub(super) fn rights(&self) -> &Rights {
        &self.rights
    }

    #[inline]
    pub(super) fn rights_mut(&mut self) -> &mut Rights {
        &mut self.rights
    }

    /// The lists that it was given of late.
    pub(super) fn lists_mut(&mut self) -> &mut Lists {
        &mut self.lists
    }
}

/// The sessions: by key, by routing id, by the ids of workers, and by their timers.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Slab<Session>,
    by_route: HashMap<Box<[u8]>, Key, BytesState>,
    /// Of workers only.
    by_id: HashMap<Name, Key, FixedState>,
    timer: Wheel,
    ids_given: u64,
}

impl Sessions {
    pub(super) fn new(seed: u64) -> Self {
        Sessions {
            table: Slab::new(),
            by_route: HashMap::with_hasher(BytesState::with_seed(seed)),
            by_id: HashMap::with_hasher(FixedState::with_seed(seed)),
            timer: Wheel::new(),
            ids_given: 0,
        }
    }

    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<&Session> {
        self.table.get(key)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Session> {
        self.table.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &Session)> {
        self.table.iter()
    }

    /// All keys.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.table.iter().map(|(key, _)| key).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The session of a routing id. The peer is not proven by that.
    #[inline]
    pub(super) fn at_route(&self, route: &[u8]) -> Option<Key> {
        self.by_route.get(route).copied()
    }

    /// The worker of this id.
    pub(super) fn with_id(&self, id: &[u8]) -> Option<Key> {
        self.by_id.get(id).copied()
    }

    /// An id that no worker has now.
    pub(super) fn new_id(&mut self) -> Name {
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
    fn claim_id(&mut self, key: Key) -> Result<(), Option<Key>> {
        let Some(session) = self.table.get(key) else { return Err(None) };
        match self.by_id.get(&session.id).copied() {
            Some(holder) if holder != key => Err(Some(holder)),
            _ => {
                self.by_id.insert(session.id.clone(), key);
                Ok(())
            }
        }
    }

    fn open(&mut self, now: Time, session: Session) -> Key {
        let (route, first) = (session.route.clone(), now + session.heartbeat);
        let key = self.table.insert(session);
        self.by_route.insert(route, key);
        self.set_timer(key, first);
        key
    }

    fn close(&mut self, key: Key) -> Option<Session> {
        self.timer.clear(key.index());
        let session = self.table.remove(key)?;
        self.by_route.remove(&session.route);
        if self.by_id.get(&session.id) == Some(&key) {
            self.by_id.remove(&session.id);
        }
        Some(session)
    }

    fn set_timer(&mut self, key: Key, at: Time) {
        self.timer.set(key.index(), at);
    }

    /// A session whose timer fires by now.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Key> {
        loop {
            let index = self.timer.pop(now)?;
            if let Some(key) = self.table.key_at(index) {
                return Some(key);
            }
        }
    }

    /// When the next timer fires.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.timer.next()
    }

    /// Routes and timers, for the audit.
    pub(super) fn counted(&self) -> (usize, usize) {
        (self.by_route.len(), self.timer.len())
    }
}

impl<P: Payload> Broker<P> {
    pub(super) fn hello(
        &mut self,
        now: Time,
        from: Sender<'_>,
        id: &[u8],
        heartbeat: Span,
        liveness: u8,
        out: &mut Vec<Action<P>>,
    ) {
        let route = from.route;
        if !id.is_empty() && names::check(id).is_err() {
            return self.refuse_hello(from, id, DisconnectReason::BadName, out);
        }
        if self.sessions.len() >= self.config.limits.sessions {
            return self.refuse_hello(from, id, DisconnectReason::LimitReached, out);
        }
        if self.closing.is_some() {
            return self.reject(route, DisconnectReason::Shutdown, out);
        }
        let Some(rights) = self.rights_of_newcomer(from.identity) else {
            self.stats.denied += 1;
            return self.refuse_hello(from, id, DisconnectReason::Denied, out);
        };
        let id = if id.is_empty() { self.sessions.new_id() } else { Name::from(id) };
        let heartbeat = heartbeat.min(self.config.heartbeat_most).max(self.config.heartbeat);
        let liveness = liveness.min(LIVENESS_MOST).max(self.config.liveness);
        let expiry = heartbeat.times(liveness.into());
        let session = Session::new(now, route, id.clone(), heartbeat, expiry, None, rights);
        let key = self.open(now, session, out);
        let frame_bytes = self.config.limits.frame_bytes as u64;
        let welcome = Record::Welcome { id: id.clone(), heartbeat, liveness, frame_bytes };
        self.send(now, key, welcome, out);
    }

    fn refuse_hello(
        &mut self,
        from: Sender<'_>,
        id: &[u8],
        reason: DisconnectReason,
        out: &mut Vec<Action<P>>,
    ) {
        self.note_refused(from.identity, id, reason, out);
        self.reject(from.route, reason, out);
    }

    /// Notes that a peer gets no session.
    pub(super) fn note_refused(
        &self,
        identity: Identity,
        id: &[u8],
        reason: DisconnectReason,
        out: &mut Vec<Action<P>>,
    ) {
        let policy = self.config.policy.as_ref();
        let known = policy.and_then(|policy| policy.of(&identity)).map(|grant| grant.name.clone());
        let key = || identity.key().map(|key| Name::from(z85::encode(key).as_slice()));
        let principal = known.or_else(key).unwrap_or_else(|| Name::from([]));
        let id = Name::from(id.get(..id.len().min(MAX_NAME)).unwrap_or_default());
        out.push(Action::Note(Note::Refused { id, principal, service: None, reason }));
    }

    /// Notes that a worker may not serve what it offers.
    pub(super) fn note_refused_ready(
        &self,
        from: Key,
        service: &[u8],
        reason: DisconnectReason,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(session) = self.sessions.get(from) else { return };
        let who = session.who();
        let principal = who.get(session.id.len() + 1..).unwrap_or_default();
        let service = service.get(..service.len().min(MAX_NAME)).unwrap_or_default();
        out.push(Action::Note(Note::Refused {
            id: session.id.clone(),
            principal: Name::from(principal),
            service: Some(Name::from(service)),
            reason,
        }));
    }

    pub(super) fn open(&mut self, now: Time, session: Session, out: &mut Vec<Action<P>>) -> Key {
        let (id, route) = (session.id.clone(), session.route.clone());
        let key = self.sessions.open(now, session);
        self.show(key);
        out.push(Action::Open { session: key, route });
        out.push(Action::Note(Note::SessionOpened { id }));
        key
    }

    /// Gives the session its id among the workers, unless another live one has it.
    pub(super) fn claim_id(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) -> bool {
        let claimed = self.sessions.claim_id(key);
        if let Err(Some(holder)) = claimed {
            // If the holder's connection is gone, sending shows it and frees the id.
            self.send(now, holder, Record::Heartbeat, out);
        }
        claimed.is_ok()
    }

    pub(super) fn drain(&mut self, now: Time, from: Key, out: &mut Vec<Action<P>>) {
        self.stop_dispatch(now, from);
        let Some(session) = self.sessions.get_mut(from) else { return };
        session.start_drain();
        let id = session.id.clone();
        let registrations = session.registrations.clone();
        for registration in registrations {
            self.refuse_pinned(now, registration, out);
        }
        self.send(now, from, Record::Drain, out);
        out.push(Action::Note(Note::WorkerDraining { id }));
    }

    /// No new calls to this worker.
    pub(super) fn stop_dispatch(&mut self, now: Time, session: Key) {
        let Some(session) = self.sessions.get(session) else { return };
        for registration in session.registrations.clone() {
            self.retire(now, registration);
        }
    }

    /// A session's timer fired: a heartbeat is due, or the peer was silent for too long.
    pub(super) fn session_due(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get(key) else { return };
        let expiry = match session.plain() {
            Some((_, Side::Client)) => return self.client_due(now, key, out),
            Some((_, Side::Worker)) if self.is_busy(session) => self.config.plain.busy_expiry,
            _ => session.expiry,
        };
        let silent = now - session.seen >= expiry;
        if silent && now >= self.grace_until && !self.planted(PlantedBug::NoExpiry) {
            // RFC 7, RFC 18 B14 and B15.
            self.send(now, key, Record::Disconnect(DisconnectReason::Silence), out);
            return self.close_session(now, key, Cause::Silence, out);
        }
        let heartbeat = session.heartbeat;
        if now - session.sent >= heartbeat {
            // RFC 7, RFC 18 B13; not while other records go out, B16.
            self.send(now, key, Record::Heartbeat, out);
        }
        let Some(session) = self.sessions.get(key) else { return };
        let silence = (session.seen + expiry).max(self.grace_until);
        let next = (session.sent + heartbeat).min(silence);
        let next = next.max(now + Span::from_ms(1));
        self.sessions.set_timer(key, next);
    }

    /// A plain client has no heartbeats; its session is there for its calls.
    fn client_due(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get(key) else { return };
        let idle = session.calls.is_empty() && now - session.seen >= session.heartbeat;
        if idle {
            return self.close_session(now, key, Cause::Idle, out);
        }
        let next = now + session.heartbeat;
        self.sessions.set_timer(key, next);
    }

    fn is_busy(&self, session: &Session) -> bool {
        let registrations = session.registrations.iter();
        registrations.filter_map(|key| self.services.worker(*key)).any(|found| found.running() > 0)
    }

    /// Tells a peer to go; nothing is sent to it after that (RFC 7, RFC 18 B8 and B10).
    pub(super) fn disconnect(
        &mut self,
        now: Time,
        key: Key,
        reason: DisconnectReason,
        out: &mut Vec<Action<P>>,
    ) {
        self.send(now, key, Record::Disconnect(reason), out);
        self.remember_gone(now, key);
        self.close_session(now, key, Cause::Expelled(reason), out);
    }

    /// A connection is gone, perhaps that of a worker whose calls had better move on now than when
    /// its next HEARTBEAT is due.
    pub(super) fn look_for_lost(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        let busy = self.services.workers().filter(|(_, worker)| worker.running() > 0);
        let mut sessions: Vec<Key> = busy.map(|(_, worker)| worker.session()).collect();
        sessions.dedup();
        sessions.retain(|key| self.sessions.get(*key).is_some_and(|found| found.seen < now));
        for session in sessions {
            self.send(now, session, Record::Heartbeat, out);
        }
    }

    /// A session is over: what it asked for is forgotten, what it held moves on or ends.
    pub(super) fn close_session(
        &mut self,
        now: Time,
        key: Key,
        cause: Cause,
        out: &mut Vec<Action<P>>,
    ) {
        self.abandon_calls_of(now, key, out);
        self.stop_dispatch(now, key);
        let Some(session) = self.sessions.get_mut(key) else { return };
        let registrations = core::mem::take(&mut session.registrations);
        let (mut moved, mut ended) = (0, 0);
        let mut services = Vec::with_capacity(registrations.len());
        for registration in registrations {
            let lost = self.lose_worker(now, registration, out);
            moved += lost.moved;
            ended += lost.ended;
            services.extend(lost.service);
        }
        let Some(session) = self.sessions.close(key) else { return };
        self.unread_of_gone(key);
        if !services.is_empty() {
            let names = services.iter().filter_map(|service| self.services.get(*service));
            let services = names.map(|service| service.name().clone()).collect();
            out.push(Action::Note(Note::WorkerLeft { who: session.who(), services, cause }));
        }
        out.push(Action::Close { session: key });
        out.push(Action::Note(Note::SessionClosed { id: session.id, cause, moved, ended }));
        for service in services {
            self.pump(now, service, out);
            self.services.drop_if_unused(service);
        }
    }
}
