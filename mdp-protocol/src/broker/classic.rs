//! Peers of classic MDP (RFC 7 and RFC 18): their sessions, and what they say, as records.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::calls::End;
use super::io::{Action, Cause, Name, Note, Sender};
use super::refusing::final_of;
use super::routing::{MANAGEMENT, Request, service_of};
use super::services::Offer;
use super::sessions::Session;
use super::to_classic::{Content, ToClassic, classic_final, streams_fit};
use super::{Broker, Whose, refusals};
use crate::hash::BytesState;
use crate::limits::Limit;
use crate::names;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::{Code, Reason, Refusal};
use crate::time::{Span, Time};
use crate::wire::classic::{Dialect, Form, Side};
use crate::wire::{CallKind, Direction, DisconnectReason, Marks, Part, Record, Reply};

/// How many peers that got DISCONNECT are remembered, and for how long.
const MAX_GONE: usize = 1_024;
const GONE_FOR: Span = Span::from_secs(60);

/// The content of a message from a classic peer.
#[derive(Debug)]
pub enum FromClassic<'a, P> {
    /// A request of a client.
    Request {
        /// The service that the client calls.
        service: &'a [u8],
        /// The body.
        content: Incoming<'a, P>,
    },
    /// A worker offers a service.
    Ready {
        /// The service.
        service: &'a [u8],
    },
    /// A worker's reply.
    Answer {
        /// The address that came with the request.
        address: &'a [u8],
        /// Whether this is the last reply.
        last: bool,
        /// The body.
        content: Incoming<'a, P>,
    },
    /// A worker is alive.
    Heartbeat,
    /// A worker leaves.
    Disconnect,
}

/// The body of a message from a classic peer.
#[derive(Debug)]
pub enum Incoming<'a, P> {
    /// Frames.
    Raw(P),
    /// The record of a tunnel (R86).
    Call(Box<Record<&'a [u8], P>>),
}

/// The part of a session that only classic peers have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classic {
    form: Form,
    side: Side,
    /// The number of the next raw call.
    next_call: u64,
}

/// Peers that got DISCONNECT, or sent it: they get no second answer.
#[derive(Debug)]
pub(super) struct Gone {
    until: HashMap<Name, Time, BytesState>,
    order: VecDeque<Name>,
}

impl Gone {
    pub(super) fn new(seed: u64) -> Self {
        let until = HashMap::with_hasher(BytesState::with_seed(seed));
        Gone { until, order: VecDeque::new() }
    }

    fn add(&mut self, now: Time, route: &[u8]) {
        let route = Name::from(route);
        if self.until.insert(route.clone(), now + GONE_FOR).is_some() {
            return;
        }
        self.order.push_back(route);
        if self.order.len() > MAX_GONE
            && let Some(first) = self.order.pop_front()
        {
            self.until.remove(&first);
        }
    }

    fn has(&self, now: Time, route: &[u8]) -> bool {
        self.until.get(route).is_some_and(|until| now < *until)
    }
}

/// The same in the words of MDP/RPC.
fn reason_of(refusal: &Refusal) -> DisconnectReason {
    match refusal.reason {
        Reason::Denied => DisconnectReason::Denied,
        Reason::LimitReached => DisconnectReason::LimitReached,
        _ => DisconnectReason::Shutdown,
    }
}

impl Classic {
    /// How the peer's messages look.
    #[inline]
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Whose they are.
    pub(super) fn side(&self) -> Side {
        self.side
    }
}

/// Whether this is the session of a classic worker.
fn is_worker(session: &Session) -> bool {
    session.classic().is_some_and(|(_, side)| side == Side::Worker)
}

impl<P: Payload> Broker<P> {
    pub(super) fn classic(
        &mut self,
        now: Time,
        from: Sender<'_>,
        form: Form,
        said: FromClassic<'_, P>,
        out: &mut Vec<Action<P>>,
    ) {
        let key = match self.whose(&from, out) {
            Whose::Stranger => return self.classic_stranger(now, from, form, said, out),
            Whose::Session(key) => key,
            Whose::Nobody => return,
        };
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.heard(now);
        let classic = session.classic();
        let Some((_, side)) = classic.filter(|(own, _)| own.dialect == form.dialect) else {
            // Another dialect than that of the session.
            self.stats.invalid += 1;
            return self.disconnect(now, key, DisconnectReason::Unexpected, out);
        };
        match (side, said) {
            (Side::Client, FromClassic::Request { service, content }) => {
                self.classic_request(now, key, form, service, content, out);
            }
            (Side::Worker, FromClassic::Answer { address, last, content }) => {
                self.classic_answer(now, key, address, last, content, out);
            }
            (Side::Worker, FromClassic::Heartbeat) => {}
            (Side::Worker, FromClassic::Disconnect) => {
                let route: Option<Box<[u8]>> =
                    self.sessions.get(key).map(|session| session.route().into());
                self.close_session(now, key, Cause::Said(DisconnectReason::Shutdown), out);
                route.into_iter().for_each(|route| self.gone.add(now, &route));
            }
            // RFC 7 and RFC 18 B10: a second READY, a worker that asks, a client that offers.
            _ => {
                self.stats.invalid += 1;
                self.disconnect_classic(now, key, out);
            }
        }
    }

    fn classic_stranger(
        &mut self,
        now: Time,
        from: Sender<'_>,
        form: Form,
        said: FromClassic<'_, P>,
        out: &mut Vec<Action<P>>,
    ) {
        let route = from.route;
        match said {
            FromClassic::Request { service, content } => {
                match self.open_classic(now, from, form, Side::Client, out) {
                    Ok(key) => self.classic_request(now, key, form, service, content, out),
                    Err(refusal) => {
                        self.refuse_stranger(route, form, service, &content, refusal, out)
                    }
                }
            }
            FromClassic::Ready { service } => {
                match self.open_classic(now, from, form, Side::Worker, out) {
                    Ok(key) => {
                        let offer = Offer { service, capacity: 1, shared: false, schema: None };
                        self.ready(now, key, offer, out);
                    }
                    Err(refusal) => {
                        self.note_refused(from.identity, b"", reason_of(&refusal), out);
                        self.reject_classic(now, route, form, out);
                    }
                }
            }
            // RFC 7 W5: it may be said at any time.
            FromClassic::Disconnect => self.gone.add(now, route),
            FromClassic::Heartbeat | FromClassic::Answer { .. } => {
                self.reject_classic(now, route, form, out);
            }
        }
    }

    /// A typed call of a peer that cannot have a session.
    fn refuse_stranger(
        &mut self,
        route: &[u8],
        form: Form,
        service: &[u8],
        content: &Incoming<'_, P>,
        refusal: Refusal,
        out: &mut Vec<Action<P>>,
    ) {
        let call = match content {
            Incoming::Call(record) => match **record {
                Record::Request { call, .. } => Some(call),
                _ => None,
            },
            Incoming::Raw(_) => None,
        };
        let Some(call) = call else {
            self.stats.unanswered += 1;
            return;
        };
        self.stats.refused += 1;
        let content = Content::Call(Box::new(final_of(call, 0, refusal)));
        let message = ToClassic::Reply { service: Name::from(service), last: true, content };
        out.push(Action::AnswerClassic { route: route.into(), form, message });
    }

    /// A session for a classic peer, or the reason for a refusal: there are too many, the broker leaves, or the peer
    /// may do nothing.
    fn open_classic(
        &mut self,
        now: Time,
        from: Sender<'_>,
        form: Form,
        side: Side,
        out: &mut Vec<Action<P>>,
    ) -> Result<Key, Refusal> {
        if self.closing.is_some() {
            return Err(refusals::sent_back(0));
        }
        if self.sessions.len() >= self.config.limits.sessions {
            return Err(refusals::limit_refusal(Limit::Sessions));
        }
        let Some(rights) = self.rights_of_newcomer(from.identity) else {
            self.stats.denied += 1;
            return Err(refusals::denied(b"anything"));
        };
        let id = self.sessions.new_id();
        let (heartbeat, expiry) = (self.config.heartbeat, self.config.classic.idle_expiry);
        let classic = Classic { form, side, next_call: 0 };
        let classic = Some(classic);
        let session = Session::new(now, from.route, id, heartbeat, expiry, classic, rights);
        Ok(self.open(session, out))
    }

    /// Tells a worker without a session to go (RFC 7 and RFC 18 B10), once.
    pub(super) fn reject_classic(
        &mut self,
        now: Time,
        route: &[u8],
        form: Form,
        out: &mut Vec<Action<P>>,
    ) {
        if self.gone.has(now, route) {
            return;
        }
        self.stats.turned_away += 1;
        self.gone.add(now, route);
        let message = ToClassic::Disconnect;
        out.push(Action::AnswerClassic { route: route.into(), form, message });
        let reason = DisconnectReason::NoSession;
        out.push(Action::Note(Note::TurnedAway { route: route.into(), reason }));
    }

    /// Remembers a classic worker that got DISCONNECT.
    pub(super) fn remember_gone(&mut self, now: Time, key: Key) {
        let session = self.sessions.get(key).filter(|session| is_worker(session));
        if let Some(session) = session {
            self.gone.add(now, session.route());
        }
    }

    /// Tells a classic peer to go that spoke as a worker, whatever its session is.
    fn disconnect_classic(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get(key) else { return };
        if is_worker(session) {
            return self.disconnect(now, key, DisconnectReason::Unexpected, out);
        }
        let (route, form) = (Box::<[u8]>::from(session.route()), session.form());
        self.close_session(now, key, Cause::Expelled(DisconnectReason::Unexpected), out);
        if let Some(form) = form {
            self.reject_classic(now, &route, form, out);
        }
    }

    /// A classic message that could not be read. Clients have no command for an error: they are forgotten.
    pub(super) fn invalid_classic(
        &mut self,
        now: Time,
        from: Sender<'_>,
        form: Form,
        side: Side,
        out: &mut Vec<Action<P>>,
    ) {
        let whose = self.whose(&from, out);
        self.stats.invalid += u64::from(!matches!(whose, Whose::Nobody));
        match whose {
            Whose::Session(key) => self.disconnect(now, key, DisconnectReason::Malformed, out),
            Whose::Stranger if side == Side::Worker => {
                self.reject_classic(now, from.route, form, out);
            }
            Whose::Stranger | Whose::Nobody => {}
        }
    }

    fn classic_request(
        &mut self,
        now: Time,
        from: Key,
        form: Form,
        service: &[u8],
        content: Incoming<'_, P>,
        out: &mut Vec<Action<P>>,
    ) {
        if let Some(classic) = self.sessions.get_mut(from).and_then(|session| session.classic_mut())
        {
            classic.form = form;
        }
        // No name is cut to fit: it would be another one. What begins with `mmi.` is the broker's own, whatever
        // follows (RFC 8 M1).
        let own = service.starts_with(MANAGEMENT) && service.len() <= names::MAX_NAME;
        if names::check(service).is_err() && !own {
            self.stats.refused += 1;
            self.stats.unanswered += 1;
            return;
        }
        match content {
            Incoming::Raw(body) => {
                let paused = self.paused.has(from);
                self.raw_request(now, from, form, self.config.classic.queue_expiry, body, out);
                if self.paused.has(from) && !paused {
                    out.push(Action::Pause { session: from });
                }
            }
            Incoming::Call(record) => {
                self.tunnelled_request(now, from, form, service, *record, out);
            }
        }
    }

    /// A raw request of a classic client, which waits for a worker for at most `wait`.
    pub(super) fn raw_request(
        &mut self,
        now: Time,
        from: Key,
        form: Form,
        wait: Span,
        body: P,
        out: &mut Vec<Action<P>>,
    ) {
        let request = Request {
            call: self.next_raw_call(from),
            timeout: wait,
            idempotent: self.config.classic.redispatch,
            target: &[],
            kind: CallKind::new(false, form.dialect == Dialect::V02),
            leased: true,
            charged: false,
            row: None,
            marks: Marks::default(),
        };
        self.request(now, from, request, body, out);
    }

    fn tunnelled_request(
        &mut self,
        now: Time,
        from: Key,
        form: Form,
        service: &[u8],
        record: Record<&[u8], P>,
        out: &mut Vec<Action<P>>,
    ) {
        let Record::Request { call, timeout, idempotent, attempt: _, peer, kind, body } = record
        else {
            return self.disconnect(now, from, DisconnectReason::Unexpected, out);
        };
        let refusal = match service_of(&body) {
            Err(error) => Some(refusals::bad_path(error)),
            Ok(found) if found.as_bytes() != service => Some(refusals::other_service()),
            Ok(_) if !streams_fit(form, kind) => Some(refusals::no_such_stream()),
            Ok(_) => None,
        };
        if let Some(refusal) = refusal {
            self.stats.refused += 1;
            self.stats.reasons.count(refusal.reason);
            // The answer names the service of the message (RFC 7 and RFC 18 F1), which need not be that of the path.
            return out.push(classic_final(from, form, service, final_of(call, 0, refusal)));
        }
        let (target, row, marks) = (peer, None, Marks::default());
        let (leased, charged) = (false, false);
        let request =
            Request { call, timeout, idempotent, target, kind, leased, charged, row, marks };
        self.request(now, from, request, body, out);
    }

    fn next_raw_call(&mut self, from: Key) -> u64 {
        loop {
            let Some(classic) =
                self.sessions.get_mut(from).and_then(|session| session.classic_mut())
            else {
                return 0;
            };
            // Clients count their typed calls from below.
            classic.next_call = classic.next_call.wrapping_sub(1);
            let call = classic.next_call;
            if !self.calls.has_number(from, call) {
                return call;
            }
        }
    }

    fn classic_answer(
        &mut self,
        now: Time,
        from: Key,
        address: &[u8],
        last: bool,
        content: Incoming<'_, P>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(call) = handle(address) else { return self.unmatched_final(now, from, None, out) };
        if last {
            let end = match content {
                Incoming::Raw(body) => Some((Code::Ok, false, Reply::Body(body))),
                Incoming::Call(record) => match *record {
                    Record::Final { code, not_started, reply, .. } => {
                        Some((code, not_started && code != Code::Ok, reply))
                    }
                    _ => None,
                },
            };
            let (code, not_started, reply) = end.unwrap_or_else(|| {
                let refusal = refusals::no_tunnel();
                (refusal.code, false, Reply::Refused(Box::new(refusal)))
            });
            return self.take_final(now, from, call, End { code, not_started, reply }, out);
        }
        let part = match content {
            Incoming::Raw(body) => Some(Part::Item(body)),
            Incoming::Call(record) => match *record {
                Record::Data { of: Direction::Replies, part, .. } => Some(part),
                _ => None,
            },
        };
        let known = Key::from_u64(call).is_some_and(|key| self.calls.get(key).is_some());
        if !known {
            // It has ended the call itself: a classic worker's calls are never taken from it.
            return self.unmatched_final(now, from, None, out);
        }
        let Some(key) = self.held_by(now, from, call, out) else { return };
        match part {
            Some(part) => self.reply_part(now, from, key, part, out),
            None => self.stats.unwanted += 1,
        }
    }
}

/// The broker's handle in an address.
fn handle(address: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(address.try_into().ok()?))
}
