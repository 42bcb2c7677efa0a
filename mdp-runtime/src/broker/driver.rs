//! The broker's thread: wait, drain a burst, handle, send.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use mdp_protocol::broker::{
    Action, Broker, Config, Input, Report, Sender, Stats, ToPlain, Verdict,
};
use mdp_protocol::wire::plain::{Form, PlainError};
use mdp_protocol::wire::{Command as WireCommand, DisconnectReason, Head, Record, SIGNATURE};
use mdp_protocol::{Identity, Key, Limit, Limits, Span, Time};
use tokio::sync::oneshot;

use crate::transport::libzmq::identity::{Identities, Unproven};
use super::judges::Judges;
use crate::transport::libzmq::losses::Losses;
use super::outbox::{Failed, Failure, Outbox, answer_packet};
use super::plain;
use super::refusals::Refusals;
use crate::transport::libzmq::router::set_up;
use super::taken::Taken;
use super::waits::Waits;
use crate::transport::libzmq::waker::Waker;
use crate::body::Body;
use crate::clock::Clock;
use crate::transport::libzmq::close;
use crate::transport::Runtime;
use crate::error::{BindError, BrokerFailure};
use crate::transport::libzmq::frame::Frame;
use crate::observe;
use crate::pack::{CALL_WEIGHT, Received, reason_for, retry_interrupted, weight_of};
use crate::peer::BURST_WEIGHT;
use crate::policy::Policy;
use crate::transport::libzmq::zap::Registration;
use crate::security::{KeyPair, set_up_server};
use crate::spin::Spin;

/// How many verdicts count at a time. What waits beyond them counts with the next message, or in the next turn.
const VERDICTS: usize = 64;
const INPROC: &str = "inproc://";
/// How soon the broker looks at whether a worker has read what it was sent, while it holds back calls for that.
const LOOK_AGAIN_MS: i64 = 5;

/// What the handle asks of the thread.
#[derive(Debug)]
pub(super) enum Command {
    Shutdown(Span),
    Stats(oneshot::Sender<Stats>),
    Report(oneshot::Sender<Arc<Report>>),
    Policy(Policy),
    Verdict {
        call: u64,
        verdict: Verdict<Body>,
    },
    /// A thread has ended that the broker cannot do without.
    Failed(BrokerFailure),
}

/// A peer that could not be sent something, and the REQUESTs that it has not seen.
struct Lost {
    session: Key,
    /// The limit that it met, because it does not read.
    limit: Option<Limit>,
    requests: Vec<(u64, Body)>,
}

pub(super) struct Driver {
    runtime: Runtime,
    clock: Clock,
    router: zmq::Socket,
    losses: Losses,
    endpoints: Vec<String>,
    core: Broker<Body>,
    limits: Limits,
    outbox: Outbox,
    /// There is an endpoint for peers of this process.
    inproc: bool,
    /// The message that is handled came from such a peer.
    local: bool,
    heads: Vec<Head>,
    actions: Vec<Action<Body>>,
    /// A message of plain MDP.
    frames: Vec<Frame>,
    writer: plain::Writer,
    /// What could not be sent, and is still to be told.
    lost: VecDeque<Lost>,
    judges: Option<Judges>,
    waits: Waits,
    /// Questions that the hooks had no room for.
    unasked: VecDeque<(u64, Verdict<Body>)>,
    taken: Taken,
    refusals: Refusals,
    waker: Arc<Waker>,
    identities: Identities,
    spin: Spin,
    failure: Option<BrokerFailure>,
    closed: bool,
}

impl Driver {
    pub(super) fn bind(
        runtime: &Runtime,
        config: Config,
        endpoints: &[String],
        curve: Option<(&KeyPair, Registration)>,
        judges: Option<Judges>,
        waker: Arc<Waker>,
    ) -> Result<Self, BindError> {
        let mut router = runtime.socket(zmq::ROUTER).map_err(BindError::Socket)?;
        set_up(&mut router, &config.limits).map_err(BindError::Socket)?;
        if let Some((keys, registration)) = &curve {
            set_up_server(&mut router, keys, registration.domain()).map_err(BindError::Socket)?;
        }
        let mut bound = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            let failed = |source| BindError::Bind { endpoint: endpoint.clone(), source };
            // With it, libzmq shows an IPv4 address in IPv6's form.
            router.set_ipv6(endpoint.contains('[')).map_err(failed)?;
            router.bind(endpoint).map_err(failed)?;
            let last = router.get_last_endpoint().map_err(failed)?;
            bound.push(last.unwrap_or_else(|_| endpoint.clone()));
        }
        Ok(Driver {
            runtime: runtime.clone(),
            clock: Clock::start(),
            losses: Losses::watch(runtime, &router).map_err(BindError::Socket)?,
            router,
            endpoints: bound,
            limits: config.limits.clone(),
            outbox: Outbox::new(config.limits.clone()),
            core: Broker::new(config),
            inproc: endpoints.iter().any(|endpoint| endpoint.starts_with(INPROC)),
            local: false,
            heads: Vec::new(),
            actions: Vec::new(),
            frames: Vec::new(),
            writer: plain::Writer::default(),
            lost: VecDeque::new(),
            judges,
            waits: Waits::default(),
            unasked: VecDeque::new(),
            taken: Taken::default(),
            refusals: Refusals::default(),
            waker,
            identities: Identities::new(curve.map(|(_, registration)| registration)),
            failure: None,
            spin: Spin::default(),
            closed: false,
        })
    }

    pub(super) fn with_waits(self, waits: Waits) -> Self {
        Driver { waits, ..self }
    }

    pub(super) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    pub(super) fn run(
        mut self,
        inbox: &mpsc::Receiver<Command>,
        wakeups: &zmq::Socket,
    ) -> Result<(), BrokerFailure> {
        while !self.closed {
            if let Err(error) = self.turn(inbox, wakeups) {
                tracing::error!(%error, "the broker's socket failed; the broker stops");
                self.failure = Some(BrokerFailure::Socket(error));
                break;
            }
        }
        close::close(&self.runtime, self.router);
        tracing::info!("broker stopped");
        self.failure.map_or(Ok(()), Err)
    }

    /// A broker that can let nobody in stops: what it would still do is less than what it promised.
    fn watch_out(&mut self) {
        if self.identities.is_blind() {
            self.fail(BrokerFailure::Authenticator);
        }
    }

    fn fail(&mut self, failure: BrokerFailure) {
        if self.failure.is_none() {
            tracing::error!(error = %failure, "the broker stops");
            self.failure = Some(failure);
            self.handle(Input::Shutdown { grace: Span::ZERO });
        }
    }

    fn turn(&mut self, inbox: &mpsc::Receiver<Command>, wakeups: &zmq::Socket) -> zmq::Result<()> {
        self.look(false);
        let more = self.receive(inbox)?;
        self.watch_out();
        self.commands(inbox);
        if self.taken.is_asked() {
            self.look(true);
            self.taken.answer(&self.core);
        }
        // Also after a pause of the process: what waited in the socket was read above.
        let now = self.clock.now();
        let lost = self.losses.due(now);
        self.handle_at(now, if lost { Input::ConnectionLost } else { Input::Tick });
        self.flush();
        if !more && !self.closed && !self.waker.is_called() && !self.spin() {
            self.wait(wakeups)?;
        }
        Ok(())
    }

    /// Under load, waits awake. `true`: there is something to receive.
    fn spin(&mut self) -> bool {
        let (router, waker) = (&self.router, &self.waker);
        // An error shows at the next receive.
        let readable = || router.get_events().map_or(true, |found| found.contains(zmq::POLLIN));
        self.spin.wait(|| waker.is_called() || readable())
    }

    fn wait(&self, wakeups: &zmq::Socket) -> zmq::Result<()> {
        let deadlines = [self.core.next_deadline(), self.losses.next()];
        let timeout = match deadlines.into_iter().flatten().min() {
            Some(at) => (at - self.clock.now()).as_ms().min(60_000) as i64,
            None => -1,
        };
        let timeout = match self.core.holds_workers_back() {
            true if timeout < 0 => LOOK_AGAIN_MS,
            true => timeout.min(LOOK_AGAIN_MS),
            false => timeout,
        };
        let router = self.router.as_poll_item(zmq::POLLIN);
        let mut items = [router, wakeups.as_poll_item(zmq::POLLIN), self.losses.as_poll_item()];
        match zmq::poll(&mut items, timeout) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        let [_, woken, _] = &items;
        if woken.is_readable() {
            while wakeups.recv_msg(zmq::DONTWAIT).is_ok() {}
        }
        Ok(())
    }

    /// Handles what has come. `true`: there may be more.
    fn receive(&mut self, inbox: &mpsc::Receiver<Command>) -> zmq::Result<bool> {
        let mut weight = 0;
        let mut plain = 0;
        while weight < BURST_WEIGHT {
            let mut route = match retry_interrupted(|| self.router.recv_msg(zmq::DONTWAIT)) {
                Ok(route) => route,
                Err(zmq::Error::EAGAIN) => break,
                Err(error) => return Err(error),
            };
            let first = match route.get_more() {
                true => retry_interrupted(|| self.router.recv_msg(zmq::DONTWAIT))?,
                false => zmq::Message::new(),
            };
            let identity = match self.identities.of(&mut route, self.core.config().policy.is_some())
            {
                Ok(identity) => identity,
                Err(unproven) => {
                    observe::unproven(&route, unproven == Unproven::Route);
                    weight += CALL_WEIGHT;
                    self.pass_over(first)?;
                    continue;
                }
            };
            self.local = self.inproc && self.runtime.is_insider(&route);
            // What was asked before this message was sent counts for it: a policy, above all.
            if self.waker.is_called() {
                self.commands(inbox);
            }
            if first.first() == Some(&SIGNATURE) {
                let message = Received::rest(&self.router, first, &self.limits)?;
                weight += self.message(&route, identity, &message);
            } else {
                self.plain_message(&route, identity, first)?;
                weight += CALL_WEIGHT;
                plain += CALL_WEIGHT;
            }
            if self.refusals.has_new() {
                self.refusals.tell(Instant::now(), route.gets("Peer-Address"));
            }
        }
        // Plain peers are sent one message for each request: waiting awake for the next takes from them.
        self.spin.heard((weight - plain) / CALL_WEIGHT);
        Ok(weight >= BURST_WEIGHT)
    }

    /// Reads the rest of a message that counts for nothing.
    fn pass_over(&self, mut frame: zmq::Message) -> zmq::Result<()> {
        while frame.get_more() {
            frame = retry_interrupted(|| self.router.recv_msg(zmq::DONTWAIT))?;
        }
        Ok(())
    }

    /// Handles a message, and gives the weight of its records.
    fn message(&mut self, route: &[u8], identity: Identity, message: &Received) -> usize {
        let now = self.clock.now();
        let mut heads = std::mem::take(&mut self.heads);
        if let Err(error) = message.decode(&self.limits, &mut heads) {
            observe::invalid(route, &error);
            let (from, reason) = (self.core.sender(route, identity), reason_for(error));
            self.handle_at(now, Input::Invalid { from, reason });
        }
        let from = self.core.sender(route, identity);
        self.look_at(now, from);
        for head in &heads {
            match Record::read(head, &message.packet, |head| message.body(head)) {
                Ok(record) => {
                    self.waits.came(from, &record);
                    self.handle_at(now, Input::Record { from, record });
                }
                Err(error) => {
                    observe::unknown(route, &error);
                    self.handle_at(now, Input::Invalid { from, reason: error.into() });
                }
            }
        }
        let weight = weight_of(&heads);
        heads.clear();
        self.heads = heads;
        weight
    }

    /// Handles a message that is not one of MDP/RPC.
    fn plain_message(
        &mut self,
        route: &[u8],
        identity: Identity,
        first: zmq::Message,
    ) -> zmq::Result<()> {
        let mut frames = std::mem::take(&mut self.frames);
        let mut more = first.get_more();
        frames.push(Frame(first));
        while more {
            let next = retry_interrupted(|| self.router.recv_msg(zmq::DONTWAIT))?;
            more = next.get_more();
            // One beyond the limit shows that it was too many.
            if frames.len() <= self.limits.frames {
                frames.push(Frame(next));
            }
        }
        let now = self.clock.now();
        let read = plain::read(&mut frames, &self.limits);
        let from = self.core.sender(route, identity);
        self.look_at(now, from);
        match read {
            Ok(mut read) => {
                let form = read.form;
                self.handle_at(now, Input::Plain { from, form, said: read.said() });
            }
            Err(error) => {
                observe::invalid_plain(route, &error);
                let input = match error {
                    PlainError::Wrong { form, side, .. } => {
                        Input::InvalidPlain { from, form, side }
                    }
                    PlainError::Signature => {
                        Input::Invalid { from, reason: DisconnectReason::Malformed }
                    }
                };
                self.handle_at(now, input);
            }
        }
        frames.clear();
        self.frames = frames;
        Ok(())
    }

    /// Takes all commands that wait. A policy and a shutdown count at once, whatever waits before them: a message that
    /// is handled next was sent after them. Verdicts count in their order, some at a time, and who asks for figures is
    /// answered once a turn: neither keeps the thread from its socket.
    fn commands(&mut self, inbox: &mpsc::Receiver<Command>) {
        self.waker.look();
        while let Ok(command) = inbox.try_recv() {
            match command {
                Command::Verdict { call, verdict } => {
                    self.taken.verdicts.push_back((call, verdict));
                }
                Command::Shutdown(grace) => self.handle(Input::Shutdown { grace }),
                Command::Failed(failure) => self.fail(failure),
                Command::Policy(policy) => {
                    let principals = policy.principals().count();
                    tracing::info!(principals, "policy in force");
                    self.handle(Input::Policy(policy.core));
                }
                Command::Stats(answer) => self.taken.stats.push(answer),
                Command::Report(answer) => self.taken.reports.push(answer),
            }
        }
        for _ in 0..VERDICTS {
            let Some((call, verdict)) = self.taken.verdicts.pop_front() else { return };
            self.handle(Input::Verdict { call, verdict });
        }
        if !self.taken.verdicts.is_empty() {
            self.waker.look_again();
        }
    }

    fn handle(&mut self, input: Input<'_, Body>) {
        self.handle_at(self.clock.now(), input);
    }

    fn handle_at(&mut self, now: Time, input: Input<'_, Body>) {
        self.outbox.begin();
        let mut actions = std::mem::take(&mut self.actions);
        self.core.handle(now, input, &mut actions);
        for action in actions.drain(..) {
            self.perform(action);
        }
        self.actions = actions;
        self.tell_lost(now);
    }

    /// What peers have read meanwhile.
    fn look(&mut self, all: bool) {
        self.outbox.look(all);
        if self.outbox.has_reports() {
            self.tell_lost(self.clock.now());
        }
    }

    fn look_at(&mut self, now: Time, from: Sender<'_>) {
        if let Some(session) = from.session() {
            self.outbox.look_at(session);
            self.tell_lost(now);
        }
    }

    /// What could not be sent, or asked, and what peers have not read, is told one after another: the calls may go to
    /// somebody else who is gone.
    fn tell_lost(&mut self, now: Time) {
        if self.lost.is_empty() && self.unasked.is_empty() && !self.outbox.has_reports() {
            return;
        }
        let mut actions = std::mem::take(&mut self.actions);
        loop {
            self.outbox.begin();
            if let Some((call, verdict)) = self.unasked.pop_front() {
                self.core.handle(now, Input::Verdict { call, verdict }, &mut actions);
            } else if let Some(lost) = self.lost.pop_front() {
                let to = lost.session;
                for (call, body) in lost.requests {
                    self.core.handle(now, Input::Undelivered { to, call, body }, &mut actions);
                }
                let end = match lost.limit {
                    Some(limit) => Input::Overfull { session: to, limit },
                    None => Input::Unreachable { session: to },
                };
                self.core.handle(now, end, &mut actions);
            } else if let Some((session, bytes)) = self.outbox.next_report() {
                self.core.handle(now, Input::Unread { session, bytes }, &mut actions);
            } else {
                break;
            }
            for action in actions.drain(..) {
                self.perform(action);
            }
        }
        self.actions = actions;
    }

    fn perform(&mut self, action: Action<Body>) {
        match action {
            Action::Send { to, record } => {
                self.waits.sent(&self.core, to, &record);
                if let Err(failed) = self.outbox.put(&mut self.router, to, &record) {
                    self.failed(failed);
                }
            }
            Action::Answer { route, record } => {
                let (router, outbox) = (&mut self.router, &mut self.outbox);
                outbox.answer(None, &route, |limits, account| {
                    answer_packet(router, &route, &record, limits, account);
                });
            }
            Action::SendPlain { to, form, message } => {
                if let ToPlain::Task { call, .. } = &message {
                    self.waits.dispatched(&self.core, *call);
                }
                self.send_plain(to, form, message);
            }
            Action::AnswerPlain { route, form, message } => {
                let session = self.core.session_at(&route);
                let (router, writer) = (&mut self.router, &mut self.writer);
                self.outbox.answer(session, &route, |limits, account| {
                    // As above.
                    let _ = writer.send(router, &route, form, message, limits, account);
                });
            }
            Action::Open { session, route } => self.outbox.open(session, route, self.local),
            Action::Close { session } => {
                self.waits.closed(session);
                self.outbox.close(&mut self.router, session);
            }
            Action::Ask(question) => {
                let call = question.call;
                let asked = self.judges.as_mut().map(|judges| judges.ask(*question));
                if let Some(Err(verdict)) = asked {
                    self.unasked.push_back((call, verdict));
                }
            }
            Action::Note(note) => {
                if !self.refusals.heard(&note) {
                    observe::broker(&note);
                }
                if let Some(judges) = &mut self.judges {
                    judges.note(&note);
                }
            }
            Action::Closed => self.closed = true,
        }
    }

    fn send_plain(&mut self, to: Key, form: Form, message: ToPlain<Body>) {
        let (router, writer) = (&mut self.router, &mut self.writer);
        let sent = self.outbox.send_by(to, |route, limits, account| {
            writer.send(router, route, form, message, limits, account)
        });
        if let Some(Err(failed)) = sent {
            let limit = met(failed.failure);
            let requests = failed.request.into_iter().collect();
            self.lost.push_back(Lost { session: to, limit, requests });
        }
    }

    fn flush(&mut self) {
        while let Err(failed) = self.outbox.flush(&mut self.router) {
            self.failed(failed);
            self.tell_lost(self.clock.now());
        }
    }

    /// A packet did not go out: its REQUESTs were seen by nobody, and its receiver is gone.
    fn failed(&mut self, failed: Failed) {
        let limit = met(failed.failure);
        let mut heads = Vec::new();
        let mut lost = Lost { session: failed.session, limit, requests: Vec::new() };
        if failed.packet.decode(&self.limits, &mut heads).is_ok() {
            let requests = heads.iter().filter(|head| head.command() == Some(WireCommand::Request));
            lost.requests.extend(requests.map(|head| (head.call, failed.packet.body(head))));
        }
        self.lost.push_back(lost);
    }
}

/// The limit that a message met that was not sent, if it was one.
fn met(failure: Failure) -> Option<Limit> {
    match failure {
        Failure::Unread(limit) => Some(limit),
        Failure::Socket(error) => {
            observe::unreachable(&error);
            None
        }
    }
}

#[cfg(test)]
mod command_tests;
