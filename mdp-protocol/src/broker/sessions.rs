//! Sessions: HELLO to DISCONNECT, signs of life, and what leaves with a peer.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::io::{Action, Cause, Name, Note, Sender};
use super::mmi::Lists;
use super::plain::Plain;
use super::rights::Rights;
use super::{Broker, PlantedBug};
use crate::identity::Identity;
use crate::list::List;
use crate::names::{self, MAX_NAME};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::{Span, Time};
use crate::wire::plain::Side;
use crate::wire::{DisconnectReason, Record};
use crate::z85;

/// The most liveness that a peer may ask for.
const LIVENESS_MOST: u8 = 10;

/// A peer that said HELLO. It may be a client, a worker or both.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) route: Box<[u8]>,
    pub(super) id: Name,
    pub(super) seen: Time,
    pub(super) sent: Time,
    heartbeat: Span,
    expiry: Span,
    /// The services it offers, as a worker.
    pub(super) registrations: Vec<Key>,
    /// The calls it made, as a client, and waits for.
    pub(super) calls: List,
    /// The calls that it made and no longer waits for, and that are not over: a worker holds them.
    pub(super) abandoned: usize,
    /// FINALs that may still come for calls that were taken from it.
    pub(super) late: u32,
    /// How often slots were taken from it since it last answered a call, and when that counted last.
    pub(super) unanswered: (u8, Time),
    pub(super) draining: bool,
    /// It is to end when it holds no call.
    pub(super) dismissed: bool,
    /// It has made a call.
    pub(super) called: bool,
    /// It speaks plain MDP.
    pub(super) plain: Option<Plain>,
    pub(super) rights: Rights,
    pub(super) lists: Lists,
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
        self.rights.shown.as_ref().unwrap_or(&self.id).clone()
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
        let id = if id.is_empty() { self.new_id() } else { Name::from(id) };
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
        self.refused(from.identity, id, reason, out);
        self.reject(from.route, reason, out);
    }

    /// Notes that a peer gets no session.
    pub(super) fn refused(
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
    pub(super) fn refused_ready(
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
        let (id, route, first) =
            (session.id.clone(), session.route.clone(), now + session.heartbeat);
        let key = self.sessions.insert(session);
        self.by_route.insert(route.clone(), key);
        self.session_timer.set(key.index(), first);
        self.show(key);
        out.push(Action::Open { session: key, route });
        out.push(Action::Note(Note::SessionOpened { id }));
        key
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

    /// Gives the session its id among the workers, unless another live one has it.
    pub(super) fn claim_id(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) -> bool {
        let Some(session) = self.sessions.get(key) else { return false };
        match self.by_id.get(&session.id).copied() {
            Some(holder) if holder != key => {
                // If the holder's connection is gone, sending shows it and frees the id.
                self.send(now, holder, Record::Heartbeat, out);
                false
            }
            _ => {
                self.by_id.insert(session.id.clone(), key);
                true
            }
        }
    }

    pub(super) fn drain(&mut self, now: Time, from: Key, out: &mut Vec<Action<P>>) {
        self.stop_dispatch(now, from);
        let Some(session) = self.sessions.get_mut(from) else { return };
        session.draining = true;
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

    /// A sign of life is due, or none has come.
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
        self.session_timer.set(key.index(), next);
    }

    /// A plain client has no heartbeats; its session is there for its calls.
    fn client_due(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get(key) else { return };
        let idle = session.calls.is_empty() && now - session.seen >= session.heartbeat;
        if idle {
            return self.close_session(now, key, Cause::Idle, out);
        }
        self.session_timer.set(key.index(), now + session.heartbeat);
    }

    fn is_busy(&self, session: &Session) -> bool {
        let registrations = session.registrations.iter();
        registrations.filter_map(|key| self.registrations.get(*key)).any(|found| found.running > 0)
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
        let busy = self.registrations.iter().filter(|(_, worker)| worker.running > 0);
        let mut sessions: Vec<Key> = busy.map(|(_, worker)| worker.session).collect();
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
        self.session_timer.clear(key.index());
        let Some(session) = self.sessions.remove(key) else { return };
        self.unread_of_gone(key);
        if !services.is_empty() {
            let names = services.iter().filter_map(|service| self.services.get(*service));
            let services = names.map(|service| service.name.clone()).collect();
            out.push(Action::Note(Note::WorkerLeft { who: session.who(), services, cause }));
        }
        self.by_route.remove(&session.route);
        if self.by_id.get(&session.id) == Some(&key) {
            self.by_id.remove(&session.id);
        }
        out.push(Action::Close { session: key });
        out.push(Action::Note(Note::SessionClosed { id: session.id, cause, moved, ended }));
        for service in services {
            self.pump(now, service, out);
            self.drop_if_unused(service);
        }
    }
}
