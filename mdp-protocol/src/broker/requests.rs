//! REQUESTs as they come in: what is refused, and where the others go.

use alloc::vec::Vec;

use super::calls::BrokerCall;
use super::io::{Action, Note};
use super::refusals::{bad_path, deadline_refusal, hidden_call, looks_like_a_path};
use super::routing::{Called, Wish};
use super::sessions::Session;
use super::{Broker, PlantedBug};
use crate::limits::Limit;
use crate::names;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Refusal;
use crate::time::{Span, Time};
use crate::wire::{CallKind, Command, DisconnectReason, Marks};

/// A REQUEST without its body.
pub(super) struct Request<'a> {
    pub(super) call: u64,
    pub(super) timeout: Span,
    pub(super) idempotent: bool,
    /// The only worker that is wanted, or empty.
    pub(super) target: &'a [u8],
    pub(super) kind: CallKind,
    /// It has no deadline of its own: the time is for waiting, and another one for running.
    pub(super) leased: bool,
    /// Where it counts, once that is known.
    pub(super) row: Option<Key>,
    /// The fields of its metadata for the broker, after that was read.
    pub(super) marks: Marks,
}

impl<P: Payload> Broker<P> {
    pub(super) fn request(
        &mut self,
        now: Time,
        from: Key,
        mut request: Request<'_>,
        body: P,
        out: &mut Vec<Action<P>>,
    ) {
        if self.calls.has_number(from, request.call) {
            self.stats.invalid += 1;
            return self.disconnect(now, from, DisconnectReason::Unexpected, out);
        }
        if body.path().starts_with(MANAGEMENT) {
            return self.manage(now, from, request.call, &body, out);
        }
        if self.closing.is_some() {
            return self.send_back_request(now, from, request.call, &body, out);
        }
        let route = match self.admit(now, from, &mut request, &body, out) {
            Ok(called) if self.config.hooks.requests => {
                request.row = called.row;
                return self.ask_about_request(now, from, &request, body, out);
            }
            Ok(called) => {
                request.row = called.row;
                let Request { target, leased, kind, timeout: left, .. } = request;
                let no_wait = request.marks.no_wait;
                let wish = Wish { target, leased, no_wait, left, kind };
                self.find_route(from, called, wish, &body, out)
            }
            Err(refusal) => Err(refusal),
        };
        match route {
            Ok(route) => {
                let key = self.accept(now, from, &request, &body, out);
                self.follow(now, key, route, body, out);
            }
            Err(refusal) => {
                self.stats.refused += 1;
                self.refuse_request(now, from, request.call, &body, refusal, out);
            }
        }
    }

    /// A call in no list yet, of a client that may make it.
    pub(super) fn accept(
        &mut self,
        now: Time,
        from: Key,
        request: &Request<'_>,
        body: &P,
        out: &mut Vec<Action<P>>,
    ) -> Key {
        self.stats.requests += 1;
        let mut call = BrokerCall::new(now, from, request, body.is_raw());
        if self.has_hooks() {
            call.set_path(body.path());
        }
        self.count_request(request.row);
        self.count_call(from, &mut call);
        let key = self.calls.insert(call);
        let Some(session) = self.sessions.get_mut(from) else { return key };
        self.calls.link_client(session.calls_mut(), from, request.call, key);
        if session.is_classic()
            && let Some(call) = self.calls.get_mut(key)
        {
            call.flow_mut().grant(self.config.limits.window);
        }
        if session.is_first_call() {
            let who = session.who();
            out.push(Action::Note(Note::ClientSeen { who }));
        }
        key
    }

    /// The service that a client calls, or why it may not.
    fn admit<'b>(
        &mut self,
        now: Time,
        from: Key,
        request: &mut Request<'_>,
        body: &'b P,
        out: &mut Vec<Action<P>>,
    ) -> Result<Called<'b>, Refusal> {
        if request.timeout == Span::ZERO && !request.leased {
            return Err(deadline_refusal(false));
        }
        self.check_body(body)?;
        let called = self.resolve(body).map_err(bad_path)?;
        self.check_rights(now, from, called, body.size())?;
        request.marks = self.marks_of_request(body)?;
        self.check_calls(from).map_err(|limit| self.refusal_of(from, limit, out))?;
        if !self.unread.is_empty() {
            self.check_unread(from, out)?;
        }
        Ok(called)
    }

    /// Whether a request is what it says, however it came: from a client of any dialect, or from a hook.
    pub(super) fn check_body(&self, body: &P) -> Result<(), Refusal> {
        if !body.is_raw() {
            return Ok(());
        }
        if body.tunnel(&self.config.limits) == Some(Command::Request)
            && !self.planted(PlantedBug::LetTunnelsPass)
        {
            return Err(hidden_call());
        }
        if self.has_hooks() && body.path().contains(&b'/') {
            return Err(looks_like_a_path());
        }
        Ok(())
    }

    fn check_calls(&self, from: Key) -> Result<(), Limit> {
        let limits = &self.config.limits;
        let own = self.sessions.get(from).map_or(0, Session::calls_made);
        if own >= limits.calls_per_client {
            return Err(Limit::CallsPerClient);
        }
        if self.calls.len() >= limits.calls {
            return Err(Limit::Calls);
        }
        Ok(())
    }
}

/// How the names of the broker's own services begin (RFC 8, "Namespace").
pub(super) const MANAGEMENT: &[u8] = b"mmi.";

/// The service of a request: the whole name of a raw one, and of a typed one the path without its method.
pub(super) fn service_of<P: Payload>(body: &P) -> Result<&str, names::NameError> {
    let name = names::check(body.path())?;
    if body.is_raw() { Ok(name) } else { names::split(name).map(|(service, _)| service) }
}
