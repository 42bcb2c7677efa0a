//! Sessions: HELLO to DISCONNECT, heartbeats, and what ends with a session.

mod table;

use alloc::vec::Vec;

use super::io::{Action, Cause, Name, Note, Sender};
use super::{Broker, PlantedBug};
use crate::identity::Identity;
use crate::names::{self, MAX_NAME};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::{Span, Time};
use crate::wire::classic::Side;
use crate::wire::{DisconnectReason, Record};
use crate::z85;
pub(super) use table::{Session, Sessions};

/// The most liveness that a peer may ask for.
const MAX_LIVENESS: u8 = 10;

impl<P: Payload> Broker<P> {
    /// HELLO: a peer opens a session.
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
        let heartbeat = heartbeat.min(self.config.max_heartbeat).max(self.config.heartbeat);
        let liveness = liveness.min(MAX_LIVENESS).max(self.config.liveness);
        let expiry = heartbeat.times(liveness.into());
        let session = Session::new(now, route, id.clone(), heartbeat, expiry, None, rights);
        let key = self.open(session, out);
        let frame_bytes = self.config.limits.frame_bytes as u64;
        let welcome = Record::Welcome { id: id.clone(), heartbeat, liveness, frame_bytes };
        self.send(now, key, welcome, out);
    }

    /// A peer gets no session.
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
        let principal = who.get(session.id().len() + 1..).unwrap_or_default();
        let service = service.get(..service.len().min(MAX_NAME)).unwrap_or_default();
        out.push(Action::Note(Note::Refused {
            id: session.id().clone(),
            principal: Name::from(principal),
            service: Some(Name::from(service)),
            reason,
        }));
    }

    /// A session begins.
    pub(super) fn open(&mut self, session: Session, out: &mut Vec<Action<P>>) -> Key {
        let (id, route) = (session.id().clone(), session.route().into());
        let key = self.sessions.open(session);
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

    /// DRAIN: a worker wants no new calls.
    pub(super) fn drain(&mut self, now: Time, from: Key, out: &mut Vec<Action<P>>) {
        self.stop_dispatch(now, from);
        let Some(session) = self.sessions.get_mut(from) else { return };
        session.start_drain();
        let id = session.id().clone();
        let registrations = session.registrations().to_vec();
        for registration in registrations {
            self.refuse_pinned(now, registration, out);
        }
        self.send(now, from, Record::Drain, out);
        out.push(Action::Note(Note::WorkerDraining { id }));
    }

    /// A peer has closed its side: no call goes to it, also none of a service that it has offered before that and that is
    /// read only now.
    pub(super) fn leaving(&mut self, now: Time, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.start_drain();
        self.stop_dispatch(now, key);
    }

    /// No new calls to this worker.
    pub(super) fn stop_dispatch(&mut self, now: Time, session: Key) {
        let Some(session) = self.sessions.get(session) else { return };
        for registration in session.registrations().to_vec() {
            self.retire(now, registration);
        }
    }

    /// A session's timer fired: a heartbeat is due, or the peer was silent for too long.
    pub(super) fn session_due(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get(key) else { return };
        let expiry = match session.classic() {
            Some((_, Side::Client)) => return self.client_due(now, key, out),
            Some((_, Side::Worker)) if self.is_busy(session) => self.config.classic.busy_expiry,
            _ => session.expiry(),
        };
        let silent = session.is_silent(now, expiry);
        if silent && now >= self.grace_until && !self.planted(PlantedBug::NoExpiry) {
            // RFC 7, RFC 18 B14 and B15.
            self.send(now, key, Record::Disconnect(DisconnectReason::Silence), out);
            return self.close_session(now, key, Cause::Silence, out);
        }
        if session.wants_heartbeat(now) {
            // RFC 7, RFC 18 B13; not while other records go out, B16.
            self.send(now, key, Record::Heartbeat, out);
        }
        let Some(session) = self.sessions.get(key) else { return };
        let next = session.next_look(expiry, self.grace_until).max(now + Span::from_ms(1));
        self.sessions.set_timer(key, next);
    }

    /// A classic client has no heartbeats; its session is there for its calls.
    fn client_due(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get(key) else { return };
        let idle = session.calls().is_empty()
            && session.is_silent(now, session.heartbeat())
            && !self.paused.has(key);
        if idle {
            return self.close_session(now, key, Cause::Idle, out);
        }
        let next = now + session.heartbeat();
        self.sessions.set_timer(key, next);
    }

    /// Whether a worker holds a call.
    fn is_busy(&self, session: &Session) -> bool {
        let registrations = session.registrations().iter();
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
        sessions.retain(|key| self.sessions.get(*key).is_some_and(|found| found.heard_before(now)));
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
        self.drop_paused(key, out);
        self.abandon_calls_of(now, key, out);
        self.stop_dispatch(now, key);
        let Some(session) = self.sessions.get_mut(key) else { return };
        let registrations = session.take_registrations();
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
        let id = session.id().clone();
        out.push(Action::Close { session: key });
        out.push(Action::Note(Note::SessionClosed { id, cause, moved, ended }));
        for service in services {
            self.pump(now, service, out);
            self.services.drop_if_unused(service);
        }
    }
}
