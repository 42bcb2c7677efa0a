//! Hooks: the broker asks the operator's own code about each request and each reply before it passes them on.
//!
//! The machine asks with an action and continues with all other work; the verdict comes back as an input. A call that
//! hooks are asked about is in no queue and at no worker. It ends by its deadline, by CANCEL, or when the verdict takes
//! too long. So code that does not answer affects only the calls that it was asked about.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Broker;
use super::calls::{BrokerCall, CallState, End, Stage, no_name};
use super::io::{Action, Name};
use super::refusals::{bad_metadata_of_hook, bad_path, begun, limit_refusal};
use super::routing::{Request, Wish};
use crate::limits::Limit;
use crate::payload::Payload;
use crate::policy::PeerKey;
use crate::slab::Key;
use crate::status::Code;
use crate::time::{Span, Time};
use crate::wire::{CallKind, Reply, check_metadata};

/// Settings of hooks: the questions, and how long a call waits for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// Ask about each request that the policy and the limits allow. Default: `false`.
    pub requests: bool,
    /// Ask about each reply that ends a call. Default: `false`.
    pub replies: bool,
    /// How long a verdict may take. After that the call ends with INTERNAL. Default: 1 s.
    pub wait: Span,
}

impl Default for HookConfig {
    fn default() -> Self {
        HookConfig { requests: false, replies: false, wait: Span::from_secs(1) }
    }
}

/// A question to the hooks.
#[derive(Debug)]
pub struct Question<P> {
    /// The broker's handle of the call. The answer has to name it.
    pub call: u64,
    /// The caller: its id, and after a space its principal, if known.
    pub caller: Name,
    /// The caller's key, as the transport has proven it. One principal may have several keys.
    pub key: Option<PeerKey>,
    /// The method's path, or the service of a raw call.
    pub path: Name,
    /// Whether it is a raw call.
    pub raw: bool,
    /// The request, or the reply to it.
    pub about: About<P>,
}

/// The subject of a question.
#[derive(Debug)]
pub enum About<P> {
    /// A request that has not been given to a worker.
    Request {
        /// The time that is left.
        timeout: Span,
        /// Whether the call may be made again if its worker is lost.
        idempotent: bool,
        /// The streams of the call.
        kind: CallKind,
        /// The id of the only worker that may get the call, or empty.
        target: Name,
        /// The body.
        body: P,
    },
    /// A reply that has not been given to the client.
    Reply {
        /// The worker's id.
        worker: Name,
        /// The status code.
        code: Code,
        /// Whether it is certain that no handler was started.
        not_started: bool,
        /// The body, or a refusal.
        reply: Reply<P>,
    },
}

/// The answer of the hooks about a call.
#[derive(Debug)]
pub enum Verdict<P> {
    /// The call goes to a worker. The body's path names the service.
    Dispatch {
        /// The request, unchanged or changed.
        body: P,
        /// The worker.
        to: Target,
    },
    /// The call ends with this result.
    End {
        /// The status code.
        code: Code,
        /// Whether it is certain that no handler was started.
        not_started: bool,
        /// The id of the worker that the client sees, or empty.
        worker: Name,
        /// The body, or a refusal.
        reply: Reply<P>,
    },
    /// The client gets no answer before the call's deadline, and then DEADLINE_EXCEEDED.
    Discard,
}

/// The worker that gets a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any worker of the service.
    Any,
    /// Only this worker.
    Only(Name),
    /// This worker if it is there, else any.
    Rather(Name),
}

impl<P: Payload> Broker<P> {
    /// Whether the broker asks the hooks at all.
    pub(super) fn has_hooks(&self) -> bool {
        self.config.hooks.requests || self.config.hooks.replies
    }

    /// Accepts a request and asks the hooks about it.
    pub(super) fn ask_about_request(
        &mut self,
        now: Time,
        from: Key,
        request: &Request<'_>,
        body: P,
        out: &mut Vec<Action<P>>,
    ) {
        let key = self.accept(now, from, request, &body, out);
        let about = About::Request {
            timeout: request.timeout,
            idempotent: request.idempotent,
            kind: request.kind,
            target: Name::from(request.target),
            body: body.detach(),
        };
        self.ask(now, key, Stage::Request, about, out);
    }

    /// Asks the hooks about the end of a call.
    pub(super) fn ask_about_reply(
        &mut self,
        now: Time,
        key: Key,
        end: End<P>,
        worker: Name,
        out: &mut Vec<Action<P>>,
    ) {
        let End { code, not_started, reply } = end;
        let reply = match reply {
            Reply::Body(body) => Reply::Body(body.detach()),
            refused => refused,
        };
        self.release_body(key);
        if !self.calls.has_room(size_of(&reply), &self.config.limits) {
            let mut refusal = limit_refusal(Limit::HeldBytes);
            refusal.not_started = not_started;
            return self.refuse(now, key, refusal, out);
        }
        let about = About::Reply { worker, code, not_started, reply };
        self.ask(now, key, Stage::Reply, about, out);
    }

    fn ask(
        &mut self,
        now: Time,
        key: Key,
        stage: Stage,
        about: About<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let caller = self.caller(key);
        let client = self.calls.get(key).and_then(|call| self.sessions.get(call.client()?));
        let own = client.and_then(|client| client.rights().key());
        self.calls.set_state(key, CallState::Asked(stage));
        let Some(call) = self.calls.get(key) else { return };
        let path = call.path().cloned().unwrap_or_else(no_name);
        let end = match stage {
            Stage::Request => call.waits_until(),
            Stage::Reply => call.deadline(),
        };
        let (raw, until) = (call.is_raw(), end.min(now + self.config.hooks.wait));
        self.calls.set_timer(key, until);
        self.count_body(key, about.size());
        let question = Question { call: key.as_u64(), caller, key: own, path, raw, about };
        out.push(Action::Ask(Box::new(question)));
    }

    /// Handles the verdict on a call. A verdict that comes too late has no effect.
    pub(super) fn take_verdict(
        &mut self,
        now: Time,
        call: u64,
        verdict: Verdict<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(key) = Key::from_u64(call) else { return };
        let Some(CallState::Asked(stage)) = self.calls.get(key).map(BrokerCall::state) else {
            return;
        };
        self.release_body(key);
        match verdict {
            Verdict::Dispatch { body, to } => self.send_on(now, key, stage, body, to, out),
            Verdict::End { code, not_started, worker, reply } => {
                if stage == Stage::Request && code != Code::Ok {
                    self.stats.refused += 1;
                }
                let not_started = not_started && code != Code::Ok;
                let end = self.with_readable_metadata(End { code, not_started, reply });
                self.send_reply(now, key, end, worker, out);
                self.remove(key);
            }
            Verdict::Discard => {
                self.stats.discarded += 1;
                // The call is kept until its deadline: a client that has no answer when the broker leaves assumes that
                // no worker has read the call (R49).
                self.calls.set_state(key, CallState::Silenced(stage));
                if let Some(deadline) = self.calls.get(key).map(BrokerCall::deadline) {
                    self.calls.set_timer(key, deadline);
                }
            }
        }
    }

    /// Gives a call that was asked about to a worker or a queue.
    fn send_on(
        &mut self,
        now: Time,
        key: Key,
        stage: Stage,
        body: P,
        to: Target,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(client) = call.client() else { return };
        if stage == Stage::Reply {
            if call.flow().has_begun() {
                return self.refuse(now, key, begun(), out);
            }
            call.begin_anew();
        }
        call.set_targeted(matches!(to, Target::Only(_)));
        let (leased, no_wait) = (call.is_leased(), call.has_no_wait());
        let (left, kind) = (call.deadline() - now, call.flow().kind());
        // The request was taken, so it waits for no room.
        let pauses = false;
        let wish = |target| Wish { leased, pauses, no_wait, left, kind, target };
        if self.closing.is_some() {
            return self.send_back(now, key, out);
        }
        let called = check_metadata(body.metadata())
            .map_err(bad_metadata_of_hook)
            .and_then(|()| self.check_body(&body))
            .and_then(|()| self.resolve(&body).map_err(bad_path));
        let found = match (called, &to) {
            (Err(refusal), _) => Err(refusal.into()),
            (Ok(called), Target::Rather(worker)) if !self.is_there(worker, called.service) => {
                self.find_route(client, called, wish(&[]), &body, out)
            }
            (Ok(called), to) => self.find_route(client, called, wish(to.worker()), &body, out),
        };
        match found {
            Ok(route) => self.follow(now, key, route, body, out),
            Err(rejection) => {
                let refusal = self.refusal_of(client, rejection, out);
                self.refuse(now, key, refusal, out);
            }
        }
    }
}

impl<P: Payload> About<P> {
    fn size(&self) -> usize {
        match self {
            About::Request { body, .. } => body.size(),
            About::Reply { reply, .. } => size_of(reply),
        }
    }
}

impl Target {
    fn worker(&self) -> &[u8] {
        match self {
            Target::Any => &[],
            Target::Only(worker) | Target::Rather(worker) => worker,
        }
    }
}

/// The bytes of a reply that count for the limits.
fn size_of<P: Payload>(reply: &Reply<P>) -> usize {
    match reply {
        Reply::Body(body) => body.size(),
        Reply::Refused(refusal) => refusal.message.len(),
        Reply::Listing(_) => 0,
    }
}
