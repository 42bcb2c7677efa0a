//! The broker: its sessions, the rights and limits of each peer, and the route of every call and reply.
//!
//! One [`Broker`] holds the parts, each of which owns its state: `sessions`, `services` (with workers and queues),
//! `calls`, `principals` (their use of quotas; `rights` has their rights), `method_stats` (statistics), `unread` (bytes
//! that peers have not read), `lookups` (schemas of services; `schemas` asks their workers). This file dispatches the
//! records of peers; `classic` dispatches the messages of peers of classic MDP.
//!
//! A call's steps are in files of the same names: `routing` (from a REQUEST to a worker), `streams` with `backlog` (items
//! without credit), `concluding` (from a worker's FINAL to a free slot), `refusing` with `refusals` (the errors for
//! clients), `expiring`, `abandoning`, `retries`, `hooks`. `overload` with `durations` refuses calls that cannot end in
//! their time, and `pausing` slows down classic clients, which hear no refusal. `to_classic` writes records as messages of
//! classic MDP, `mmi` and `drain` are the broker's own services, `report` has all counters, and `audit` checks the
//! invariants.

mod abandoning;
mod audit;
mod backlog;
mod calls;
mod classic;
mod concluding;
mod config;
mod drain;
mod durations;
mod expiring;
mod flow;
mod hooks;
mod io;
mod lookups;
mod method_stats;
mod mmi;
mod overload;
mod pausing;
mod principals;
mod refusals;
mod refusing;
mod report;
mod retries;
mod rights;
mod routing;
mod schemas;
mod services;
mod sessions;
mod streams;
mod to_classic;
mod unread;

use alloc::boxed::Box;
use alloc::vec::Vec;

use foldhash::fast::FixedState;

pub use classic::{FromClassic, Incoming};
pub use config::{ClassicConfig, Config, DrainConfig, PlantedBug};
pub use hooks::{About, HookConfig, Question, Target, Verdict};
pub use io::Input;
pub use io::{Action, Cause, Name, Note, Outgoing, Sender};
pub use report::Report;
pub use to_classic::{Content, ToClassic};
pub use unread::UNREAD_STEP;

pub use crate::wire::listing::{
    BrokerLine, CallStats, Listing, MethodLine, ServiceLine, Stats, WorkerLine,
};

use crate::identity::Identity;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Code;
use crate::time::{Span, Time};
use crate::wire::{DisconnectReason, Marks, Record, RecordError};
use calls::{BrokerCall, Calls};
use principals::Principals;
use routing::Request;
use services::{Offer, Services};
use sessions::Sessions;

/// The broker's state machine. The [crate's guide](crate) shows how to drive it.
#[derive(Debug)]
pub struct Broker<P> {
    config: Config,
    last: Time,
    /// Until this time no peer counts as dead, because the broker itself did not run.
    grace_until: Time,
    closing: Option<Time>,
    closed: bool,
    /// The millisecond whose timers have been handled.
    timers_done: Option<Time>,
    gone: classic::Gone,
    /// Lists that peers without a principal were given.
    open_lists: mmi::Lists,
    schemas: lookups::Schemas,
    principals: Principals,
    /// A peer without a session whose calls were handed back, and that gets DISCONNECT when its message ends.
    away: Option<Box<[u8]>>,

    sessions: Sessions,

    services: Services,

    calls: Calls<P>,
    paused: pausing::Paused<P>,
    unread: unread::Unread,
    method_stats: method_stats::MethodStats,
    stats: Stats,
    /// Inputs so far, for the audit of debug builds.
    #[cfg(debug_assertions)]
    handled: u64,
}

impl<P: Payload> Broker<P> {
    /// Makes a broker without sessions.
    pub fn new(config: Config) -> Self {
        let hash = || FixedState::with_seed(config.seed);
        Broker {
            last: Time::default(),
            grace_until: Time::default(),
            closing: None,
            closed: false,
            timers_done: None,
            gone: classic::Gone::new(config.seed),
            open_lists: mmi::Lists::default(),
            schemas: lookups::Schemas::default(),
            principals: Principals::new(hash),
            away: None,
            sessions: Sessions::new(config.seed),
            services: Services::new(hash),
            calls: Calls::new(config.seed),
            paused: pausing::Paused::new(hash()),
            unread: unread::Unread::new(hash),
            method_stats: method_stats::MethodStats::new(hash),
            stats: Stats::default(),
            #[cfg(debug_assertions)]
            handled: 0,
            config,
        }
    }

    /// Handles an input and appends the actions for the driver, in order.
    pub fn handle(&mut self, now: Time, input: Input<'_, P>, out: &mut Vec<Action<P>>) {
        if self.closed {
            return;
        }
        let now = self.advance(now);
        // Time counts in milliseconds: the first record within one handles the timers for all.
        self.reject_away(&input, out);
        self.unread.begin();
        let timers_due =
            self.timers_done != Some(now) || matches!(input, Input::Tick | Input::ConnectionLost);
        match input {
            Input::Record { from, record } => match self.whose(&from, out) {
                Whose::Session(session) => self.record(now, session, record, out),
                Whose::Stranger => self.stranger(now, from, record, out),
                Whose::Nobody => {}
            },
            Input::Classic { from, form, said } => self.classic(now, from, form, said, out),
            Input::InvalidClassic { from, form, side } => {
                self.invalid_classic(now, from, form, side, out);
            }
            Input::Invalid { from, reason } => self.invalid(now, from, reason, out),
            Input::Undelivered { to, call, body } => self.undelivered(now, to, call, body, out),
            Input::Leaving { session } => self.leaving(now, session),
            Input::Unreachable { session } => {
                self.close_session(now, session, Cause::Unreachable, out);
            }
            Input::Alive { session } => {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.heard(now);
                }
            }
            Input::Unread { session, bytes } => self.unread(now, session, bytes, out),
            Input::Overfull { session, limit } => self.overfull(now, session, limit, out),
            Input::ConnectionLost => self.look_for_lost(now, out),
            Input::Policy(policy) => self.new_policy(now, policy, out),
            Input::Verdict { call, verdict } => self.take_verdict(now, call, verdict, out),
            Input::Tick => {}
            Input::Shutdown { grace } => self.shut_down(now, grace, out),
        }
        if timers_due {
            self.timers_done = Some(now);
            self.timers(now, out);
        }
        self.try_paused(now, out);
        self.see_to_demand(now, out);
        self.maybe_close(now, out);
        #[cfg(debug_assertions)]
        self.audit_sometimes();
    }

    /// The latest time for the driver to call `handle` with [`Input::Tick`].
    pub fn next_deadline(&self) -> Option<Time> {
        let away = self.away.is_some().then_some(self.last);
        let lookups = self.schemas.next();
        let (sessions, calls) = (self.sessions.next_due(), self.calls.next_due());
        let timers = [sessions, calls, self.paused.next_due(), self.closing, away, lookups];
        if self.closed { None } else { timers.into_iter().flatten().min() }
    }

    /// The sender of one message: its routing id, and the identity that the transport has proven for this message.
    /// Valid for all records of the message, also if the session ends between two of them.
    pub fn sender<'r>(&self, route: &'r [u8], identity: Identity) -> Sender<'r> {
        Sender { route, identity, session: self.sessions.at_route(route) }
    }

    /// The session of a routing id, for sending to it. It does not prove the peer's identity.
    pub fn session_at(&self, route: &[u8]) -> Option<Key> {
        self.sessions.at_route(route)
    }

    /// Finds the session of a message, now. This is the only place that assigns sessions to messages.
    /// The session of a sender whose identity is that of the session.
    pub fn session_of(&self, from: &Sender<'_>) -> Option<Key> {
        let key = from.session.or_else(|| self.sessions.at_route(from.route))?;
        let session = self.sessions.get(key)?;
        (*session.rights().identity() == from.identity).then_some(key)
    }

    fn whose(&mut self, from: &Sender<'_>, out: &mut Vec<Action<P>>) -> Whose {
        // A key that was valid once is never valid for another session.
        let known = from.session.and_then(|key| Some((key, self.sessions.get(key)?)));
        let now = || {
            let key = self.sessions.at_route(from.route)?;
            Some((key, self.sessions.get(key)?))
        };
        let Some((key, session)) = known.or_else(now) else { return Whose::Stranger };
        let identity = session.rights().identity();
        let forgotten = self.planted(PlantedBug::ForgetIdentity) && identity.key().is_none();
        if *identity == from.identity || forgotten {
            return Whose::Session(key);
        }
        self.stats.invalid += 1;
        out.push(Action::Note(Note::Impostor { route: from.route.into() }));
        Whose::Nobody
    }

    /// The owner of a call, by the handle that its worker knows: the client's session, and the client's number for the
    /// call. `None` if it is over, or no client waits for it.
    pub fn caller_of(&self, call: u64) -> Option<(Key, u64)> {
        let call = self.calls.get(Key::from_u64(call)?)?;
        Some((call.client()?, call.number()))
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The counters so far, and the current numbers.
    pub fn stats(&self) -> Stats {
        Stats {
            sessions: self.sessions.len(),
            services: self.services.len(),
            queued: self.services.iter().map(|(_, service)| service.queued()).sum(),
            running: self.calls.running(),
            held_bytes: self.calls.held_bytes(),
            unread_bytes: self.unread.all(),
            paused: self.paused.len(),
            ..self.stats
        }
    }

    fn advance(&mut self, now: Time) -> Time {
        let now = now.max(self.last);
        // After a pause of the whole process the peers' heartbeats wait in the socket: they are read
        // before anybody is taken for dead.
        if now - self.last > self.config.heartbeat.times(2) {
            self.grace_until = now + self.config.heartbeat;
        }
        self.last = now;
        now
    }

    fn record(&mut self, now: Time, from: Key, record: Record<&[u8], P>, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get_mut(from) else { return };
        session.heard(now); // any record counts as life
        if session.is_classic() {
            // wire.md R2: a session belongs to one dialect.
            self.stats.invalid += 1;
            return self.disconnect(now, from, DisconnectReason::Unexpected, out);
        }
        match record {
            Record::Request { call, timeout, idempotent, attempt: _, peer, kind, body } => {
                let (target, leased) = (peer, false);
                let (charged, row, marks) = (false, None, Marks::default());
                let request = Request {
                    call,
                    timeout,
                    idempotent,
                    target,
                    kind,
                    leased,
                    charged,
                    row,
                    marks,
                };
                self.request(now, from, request, body, out);
            }
            Record::Final { call, code, not_started, attempt: _, peer: _, reply } => {
                let not_started = not_started && code != Code::Ok;
                self.take_final(now, from, call, calls::End { code, not_started, reply }, out);
            }
            Record::Data { call, of, part } => self.data(now, from, call, of, part, out),
            Record::Credit { call, of, units } => self.credit(now, from, call, of, units, out),
            Record::Ready { service, capacity, shared, schema } => {
                self.ready(now, from, Offer { service, capacity, shared, schema }, out);
            }
            Record::Grant { service, slots, number } => {
                self.take_grant(now, from, service, slots, number, out);
            }
            Record::Heartbeat => {}
            Record::Drain => self.drain(now, from, out),
            Record::Disconnect(reason) => {
                self.stats.stalled += u64::from(reason == DisconnectReason::Stalled);
                self.close_session(now, from, Cause::Said(reason), out);
            }
            Record::Cancel { call } => self.cancel(now, from, call, out),
            Record::Hello { .. } | Record::Welcome { .. } | Record::Demand { .. } => {
                // RFC 7, RFC 18 B10: a valid but unexpected command.
                self.disconnect(now, from, DisconnectReason::Unexpected, out);
            }
        }
    }

    fn stranger(
        &mut self,
        now: Time,
        from: Sender<'_>,
        record: Record<&[u8], P>,
        out: &mut Vec<Action<P>>,
    ) {
        let mut from = from;
        if from.session.is_some() && self.planted(PlantedBug::ForgetIdentity) {
            from.identity = Identity::anonymous();
        }
        let route = from.route;
        match record {
            Record::Hello { id, heartbeat, liveness } => {
                self.hello(now, from, id, heartbeat, liveness, out);
            }
            // Never an answer to an answer.
            Record::Disconnect(_) => {}
            // The call goes back to its client with CANCEL: the client may make it again. It stops listening at
            // DISCONNECT, so that waits for the other calls of the message.
            Record::Request { call, .. } => {
                self.answer(route, Record::Cancel { call }, out);
                self.away = Some(route.into());
            }
            // They belong to calls that were handed back, or to no call.
            Record::Data { .. } | Record::Credit { .. } | Record::Cancel { .. }
                if self.away.as_deref() == Some(route) => {}
            _ => self.reject(route, DisconnectReason::NoSession, out),
        }
    }

    /// Sends DISCONNECT to a peer without a session whose calls were handed back, as soon as another message comes than
    /// its next REQUEST and the records of it.
    fn reject_away(&mut self, input: &Input<'_, P>, out: &mut Vec<Action<P>>) {
        let Some(away) = self.away.take() else { return };
        match input {
            Input::Record {
                from,
                record:
                    Record::Request { .. }
                    | Record::Data { .. }
                    | Record::Credit { .. }
                    | Record::Cancel { .. },
            } if *from.route == *away => self.away = Some(away),
            _ => self.reject(&away, DisconnectReason::NoSession, out),
        }
    }

    fn invalid(
        &mut self,
        now: Time,
        from: Sender<'_>,
        reason: DisconnectReason,
        out: &mut Vec<Action<P>>,
    ) {
        let whose = self.whose(&from, out);
        self.stats.invalid += u64::from(!matches!(whose, Whose::Nobody));
        match whose {
            // RFC 7, RFC 18 B11: drop the message and treat the peer as invalid.
            Whose::Session(from) => self.disconnect(now, from, reason, out),
            Whose::Stranger => self.reject(from.route, reason, out),
            // It was counted.
            Whose::Nobody => {}
        }
    }

    fn reject(&mut self, route: &[u8], reason: DisconnectReason, out: &mut Vec<Action<P>>) {
        self.stats.turned_away += 1;
        self.answer(route, Record::Disconnect(reason), out);
        out.push(Action::Note(Note::TurnedAway { route: route.into(), reason }));
    }

    fn answer(&mut self, route: &[u8], record: Outgoing<P>, out: &mut Vec<Action<P>>) {
        out.push(Action::Answer { route: route.into(), record });
    }

    fn send(&mut self, now: Time, to: Key, record: Outgoing<P>, out: &mut Vec<Action<P>>) {
        let Some(session) = self.sessions.get_mut(to) else { return };
        if session.is_classic() {
            return self.send_classic(now, to, record, out);
        }
        session.sent(now);
        out.push(Action::Send { to, record });
    }

    fn timers(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        while let Some(call) = self.calls.pop_due(now) {
            self.call_due(now, call, out);
        }
        while let Some(session) = self.sessions.pop_due(now) {
            self.session_due(now, session, out);
        }
        self.see_to_lookups(now, out);
    }

    fn shut_down(&mut self, now: Time, grace: Span, out: &mut Vec<Action<P>>) {
        let until = now + grace;
        self.closing = Some(self.closing.map_or(until, |before| before.min(until)));
        for session in self.sessions.keys() {
            self.send(now, session, Record::Drain, out);
        }
        for call in self.calls.keys_of(BrokerCall::is_waiting) {
            self.send_back(now, call, out);
        }
        self.drop_all_paused(out);
        self.end_lookups(now, out);
    }

    fn maybe_close(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        let Some(until) = self.closing else { return };
        let ending =
            || self.calls.iter().any(|(_, call)| call.is_ending() || call.is_asked_about());
        if now < until && (self.calls.running() > 0 || ending()) {
            return;
        }
        self.refuse_running(now, out);
        for session in self.sessions.keys() {
            self.send(now, session, Record::Disconnect(DisconnectReason::Shutdown), out);
        }
        self.closed = true;
        out.push(Action::Closed);
    }

    fn planted(&self, bug: PlantedBug) -> bool {
        self.config.planted(bug)
    }
}

/// The owner of a message.
enum Whose {
    Session(Key),
    Stranger,
    /// Another peer has the session of this routing id: the message is ignored.
    Nobody,
}

/// Why a record that could be decoded is invalid in a session.
impl From<RecordError> for DisconnectReason {
    fn from(_: RecordError) -> Self {
        DisconnectReason::UnknownCommand
    }
}

/// The list of a worker's or a turn's calls, of a service's turns, and of its free workers.
const BY_STATE: usize = 0;
