//! Refusing: how the broker reports to a client that it ends or hands back a call itself. The errors are in `refusals`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Broker;
use super::calls::{BrokerCall, CallState, Stage};
use super::io::{Action, Name, Note, Outgoing};
use super::refusals::{
    Rejection, broker_gone, limit_refusal, sent_back, unread_refusal, worker_lost,
};
use crate::limits::Limit;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Refusal;
use crate::time::Time;
use crate::wire::{Record, Reply};

impl<P: Payload> Broker<P> {
    /// Ends a request that never became a call.
    pub(super) fn refuse_request(
        &mut self,
        now: Time,
        from: Key,
        call: u64,
        body: &P,
        refusal: Refusal,
        out: &mut Vec<Action<P>>,
    ) {
        self.stats.reasons.count(refusal.reason);
        let record = final_of(call, 0, refusal);
        match self.sessions.get(from).and_then(|session| session.form()) {
            None => self.send(now, from, record, out),
            Some(form) => self.refuse_classic(from, form, body, record, out),
        }
    }

    /// Sends the client of a call the end that the broker gave it. The call itself is not removed.
    pub(super) fn send_refusal(
        &mut self,
        now: Time,
        key: Key,
        refusal: impl FnOnce(u8) -> Refusal,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(call) = self.calls.get(key) else { return };
        if let Some(client) = call.client() {
            let mut refusal = refusal(call.attempt());
            refusal.not_started &= !call.maybe_started();
            self.stats.reasons.count(refusal.reason);
            let code = refusal.code;
            let record = final_of(call.number(), call.attempt(), refusal);
            self.count_failure(now, key, code);
            self.send(now, client, record, out);
        }
    }

    /// Ends a call that is in no list with a refusal.
    pub(super) fn refuse(
        &mut self,
        now: Time,
        key: Key,
        refusal: Refusal,
        out: &mut Vec<Action<P>>,
    ) {
        self.stats.refused += 1;
        self.send_refusal(now, key, |_| refusal, out);
        self.remove(key);
    }

    /// Ends a waiting call with a refusal.
    pub(super) fn refuse_waiting(
        &mut self,
        now: Time,
        key: Key,
        refusal: impl FnOnce(u8) -> Refusal,
        out: &mut Vec<Action<P>>,
    ) {
        self.send_refusal(now, key, refusal, out);
        self.remove_waiting(key);
    }

    /// Refuses the running calls that may not run twice, since the broker shuts down. After this a client knows that
    /// such a call without an answer was never read.
    pub(super) fn refuse_running(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        // A classic client does not know that it should ask again.
        let is_classic = |call: &BrokerCall<P>| {
            let client = call.client().and_then(|client| self.sessions.get(client));
            client.is_some_and(|client| client.is_classic())
        };
        let told = |call: &BrokerCall<P>| match call.state() {
            CallState::Running(_) => !call.is_idempotent() || is_classic(call),
            CallState::Asked(Stage::Reply) | CallState::Silenced(Stage::Reply) => {
                !call.is_idempotent() || is_classic(call)
            }
            CallState::Asked(Stage::Request) | CallState::Silenced(Stage::Request) => {
                is_classic(call)
            }
            CallState::Ending => true,
            _ => false,
        };
        for call in self.calls.keys_of(told) {
            self.send_refusal(now, call, broker_gone, out);
        }
    }

    /// Hands back a request that never became a call, since the broker shuts down.
    pub(super) fn send_back_request(
        &mut self,
        now: Time,
        from: Key,
        call: u64,
        body: &P,
        out: &mut Vec<Action<P>>,
    ) {
        match self.sessions.get(from).and_then(|session| session.form()) {
            None => self.send(now, from, Record::Cancel { call }, out),
            Some(_) => self.refuse_request(now, from, call, body, sent_back(0), out),
        }
    }

    /// Hands a waiting call back to its client, which may make it again elsewhere. One whose
    /// handler may have run is refused instead.
    pub(super) fn send_back(&mut self, now: Time, key: Key, out: &mut Vec<Action<P>>) {
        let Some(call) = self.calls.get(key) else { return };
        let Some(client) = call.client().filter(|_| !call.maybe_started()) else {
            return self.refuse_waiting(now, key, |attempt| worker_lost("", attempt, attempt), out);
        };
        let record = Record::Cancel { call: call.number() };
        self.send(now, client, record, out);
        self.remove_waiting(key);
    }

    /// The error for a client whose request is not taken. The operator hears of a limit.
    pub(super) fn refusal_of(
        &mut self,
        from: Key,
        rejection: Rejection,
        out: &mut Vec<Action<P>>,
    ) -> Refusal {
        match rejection {
            Rejection::Limit(limit) => {
                self.note_limit(from, limit, out);
                limit_refusal(limit)
            }
            Rejection::Unread(limit) => {
                self.stats.unread_refused += 1;
                self.note_limit(from, limit, out);
                unread_refusal(limit)
            }
            Rejection::Refused(refusal) => refusal,
        }
    }

    /// Notes that a peer has met a limit.
    pub(super) fn note_limit(&self, key: Key, limit: Limit, out: &mut Vec<Action<P>>) {
        if let Some(session) = self.sessions.get(key) {
            out.push(Action::Note(Note::LimitReached { id: session.id().clone(), limit }));
        }
    }
}

/// The FINAL of a call that the broker ends.
pub(super) fn final_of<P>(call: u64, attempt: u8, refusal: Refusal) -> Outgoing<P> {
    Record::Final {
        call,
        code: refusal.code,
        not_started: refusal.not_started,
        attempt,
        peer: Name::from([]),
        reply: Reply::Refused(Box::new(refusal)),
    }
}
