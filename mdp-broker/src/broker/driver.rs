//! The broker's thread: waits, takes a burst of messages, handles them, sends.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use mdp_protocol::broker::{
    Action, Broker, Config, Input, Report, Sender, Stats, ToClassic, Verdict,
};
use mdp_protocol::wire::classic::{ClassicError, Form};
use mdp_protocol::wire::{self, DisconnectReason, Head, Record};
use mdp_protocol::{Identity, Key, Limit, Limits, Span, Time};
use tokio::sync::oneshot;

use super::classic;
use super::hook_pool::HookPool;
use super::outbox::{Failed, Failure, Outbox, answer_packet};
use super::pending_commands::PendingCommands;
use super::queue_spans::QueueSpans;
use super::refusals::Refusals;
use crate::error::{BindError, BrokerFailure};
use crate::observe;
use crate::policy::Policy;
use mdp_call::body::{BURST_WEIGHT, Body, CALL_WEIGHT, reason_for, weight_of};
use mdp_transport::clock::Clock;
use mdp_transport::security::KeyPair;
use mdp_transport::spin::Spin;
use mdp_transport::{
    Content, Context, Frame, InPacket, Loss, Registration, Router, SocketError, Unproven, Waker,
    Wakeups,
};

/// The number of verdicts that are handled at a time. Further ones are handled with the next message or in the next
/// turn.
const VERDICTS: usize = 64;
/// How soon the broker checks again whether a worker has read its messages, while calls wait for that.
const LOOK_AGAIN: Span = Span::from_ms(5);

/// The commands of the broker's handles.
#[derive(Debug)]
pub(super) enum BrokerCommand {
    Shutdown(Span),
    Stats(oneshot::Sender<Stats>),
    Report(oneshot::Sender<Arc<Report>>),
    Policy(Policy),
    Verdict {
        call: u64,
        verdict: Verdict<Body>,
    },
    /// A thread that the broker needs has ended.
    Failed(BrokerFailure),
}

/// A peer that a message could not be sent to, with the REQUESTs that it has not seen.
struct Lost {
    session: Key,
    /// The limit that the peer reached because it does not read.
    limit: Option<Limit>,
    requests: Vec<(u64, Body)>,
}

pub(super) struct BrokerDriver {
    clock: Clock,
    router: Router,
    core: Broker<Body>,
    limits: Limits,
    outbox: Outbox,
    /// Whether the current message came from a peer of this process.
    local: bool,
    heads: Vec<Head>,
    actions: Vec<Action<Body>>,
    /// The frames of the current classic MDP message.
    frames: Vec<Frame>,
    writer: classic::Writer,
    /// Failed sends that are still to be reported to the core.
    lost: VecDeque<Lost>,
    hook_pool: Option<HookPool>,
    queue_spans: QueueSpans,
    /// Questions that the hooks' queue had no room for.
    unasked: VecDeque<(u64, Verdict<Body>)>,
    pending: PendingCommands,
    refusals: Refusals,
    waker: Arc<Waker>,
    spin: Spin,
    failure: Option<BrokerFailure>,
    closed: bool,
}

impl BrokerDriver {
    pub(super) fn bind(
        context: &Context,
        mut config: Config,
        endpoints: &[String],
        curve: Option<(&KeyPair, Registration)>,
        hook_pool: Option<HookPool>,
        waker: Arc<Waker>,
        wakeups: Wakeups,
    ) -> Result<Self, BindError> {
        let router = Router::bind(context, &config.limits, endpoints, curve, wakeups)?;
        config.pauses_reading = router.can_pause();
        Ok(BrokerDriver {
            clock: Clock::start(),
            router,
            limits: config.limits.clone(),
            outbox: Outbox::new(config.limits.clone()),
            core: Broker::new(config),
            local: false,
            heads: Vec::new(),
            actions: Vec::new(),
            frames: Vec::new(),
            writer: classic::Writer::default(),
            lost: VecDeque::new(),
            hook_pool,
            queue_spans: QueueSpans::default(),
            unasked: VecDeque::new(),
            pending: PendingCommands::default(),
            refusals: Refusals::default(),
            waker,
            failure: None,
            spin: Spin::default(),
            closed: false,
        })
    }

    pub(super) fn with_queue_spans(self, queue_spans: QueueSpans) -> Self {
        BrokerDriver { queue_spans, ..self }
    }

    pub(super) fn endpoints(&self) -> &[String] {
        self.router.endpoints()
    }

    pub(super) fn run(
        mut self,
        inbox: &mpsc::Receiver<BrokerCommand>,
    ) -> Result<(), BrokerFailure> {
        while !self.closed {
            if let Err(error) = self.turn(inbox) {
                tracing::error!(%error, "the broker's socket failed; the broker stops");
                self.failure = Some(BrokerFailure::Socket(error));
                break;
            }
        }
        self.router.close();
        tracing::info!("broker stopped");
        self.failure.map_or(Ok(()), Err)
    }

    /// Stops a broker that cannot accept new peers: such a broker no longer does its whole work.
    fn watch_out(&mut self) {
        if self.router.is_blind() {
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

    fn turn(&mut self, inbox: &mpsc::Receiver<BrokerCommand>) -> Result<(), SocketError> {
        self.look(false);
        self.leaving();
        let more = self.receive(inbox)?;
        self.watch_out();
        self.commands(inbox);
        if self.pending.is_asked() {
            self.look(true);
            self.pending.answer(&self.core);
        }
        // Also after a pause of the process: the messages that waited in the socket were read above.
        let now = self.clock.now();
        self.lost_connections(now);
        self.signs_of_life(now);
        // A session that ends now, for its silence say, was given what it was given.
        self.flush();
        self.handle_at(now, Input::Tick);
        self.flush();
        if !more && !self.closed && !self.waker.is_called() && !self.spin() {
            self.wait()?;
        }
        Ok(())
    }

    /// Reports the peers that have closed their side. A worker among them gets no call any more, and those that it was not
    /// sent come back; what it has sent before is still read.
    fn leaving(&mut self) {
        for route in self.router.leaving() {
            let now = self.clock.now();
            if let Some(session) = self.core.session_at(route.as_bytes()) {
                self.handle_at(now, Input::Leaving { session });
                self.take_back(now, session);
            }
        }
    }

    /// Reports the connections that were lost.
    fn lost_connections(&mut self, now: Time) {
        while let Some(loss) = self.router.next_loss(now) {
            // What a lost peer was given within this turn fails now, and counts as not given to it.
            self.flush();
            match loss {
                Loss::Of(route) => {
                    if let Some(session) = self.core.session_at(route.as_bytes()) {
                        self.handle_at(now, Input::Unreachable { session });
                    }
                }
                Loss::Unknown => return self.handle_at(now, Input::ConnectionLost),
            }
        }
    }

    /// Reports the peers whose heartbeats wait behind a message that is on its way.
    fn signs_of_life(&mut self, now: Time) {
        for route in self.router.alive() {
            if let Some(session) = self.core.session_at(route.as_bytes()) {
                self.handle_at(now, Input::Alive { session });
            }
        }
    }

    /// Under load, waits without sleeping. `true`: there are messages or commands.
    fn spin(&mut self) -> bool {
        let (router, waker) = (&mut self.router, &self.waker);
        self.spin.wait(|| waker.is_called() || router.is_readable())
    }

    fn wait(&mut self) -> Result<(), SocketError> {
        let deadlines = [self.core.next_deadline(), self.router.next_look()];
        let due = deadlines.into_iter().flatten().min().map(|at| at - self.clock.now());
        let timeout = match self.core.holds_workers_back() {
            true => Some(due.map_or(LOOK_AGAIN, |due| due.min(LOOK_AGAIN))),
            false => due,
        };
        self.router.wait(timeout)
    }

    /// Handles the messages that have arrived. `true`: there may be more.
    fn receive(&mut self, inbox: &mpsc::Receiver<BrokerCommand>) -> Result<bool, SocketError> {
        let mut weight = 0;
        let mut classic = 0;
        while weight < BURST_WEIGHT {
            let guarded = self.core.config().policy.is_some();
            let Some(arrival) = self.router.receive(guarded, &mut self.frames)? else { break };
            let mut from = arrival.from;
            let identity = match arrival.identity {
                Ok(identity) => identity,
                Err(unproven) => {
                    observe::unproven(from.route(), unproven == Unproven::Route);
                    weight += CALL_WEIGHT;
                    continue;
                }
            };
            self.local = arrival.local;
            // Commands from before this message apply to it, above all a policy.
            if self.waker.is_called() {
                self.commands(inbox);
            }
            match arrival.content {
                Content::Packet(packet) => weight += self.message(from.route(), identity, packet),
                Content::Frames => {
                    self.classic_message(from.route(), identity);
                    weight += CALL_WEIGHT;
                    classic += CALL_WEIGHT;
                }
            }
            if self.refusals.has_new() {
                self.refusals.tell(Instant::now(), from.address());
            }
        }
        // Each classic request is a separate message, so waiting without sleeping would take processor time from
        // classic peers.
        self.spin.heard((weight - classic) / CALL_WEIGHT);
        Ok(weight >= BURST_WEIGHT)
    }

    /// Handles a message, and returns the weight of its records.
    fn message(&mut self, route: &[u8], identity: Identity, packet: InPacket) -> usize {
        let InPacket { first: packet, frames } = packet;
        let now = self.clock.now();
        let mut heads = std::mem::take(&mut self.heads);
        let body = |head: &Head| Body::of(head, &packet, &frames);
        let records = match wire::read(&packet, &frames, &self.limits, &mut heads, body) {
            Ok(records) => Some(records),
            Err(error) => {
                observe::invalid(route, &error);
                let from = self.core.sender(route, identity);
                self.invalid(now, from, reason_for(error));
                None
            }
        };
        let weight = records.as_ref().map_or(1, |records| weight_of(records.heads()));
        let from = self.core.sender(route, identity);
        self.look_at(now, from);
        for record in records.into_iter().flatten() {
            match record {
                Ok(record) => {
                    if matches!(record, Record::Disconnect(_)) {
                        self.take_back_from(now, from);
                    }
                    self.queue_spans.came(from, &record);
                    self.handle_at(now, Input::Record { from, record });
                }
                Err(error) => {
                    observe::unknown(route, &error);
                    self.invalid(now, from, error.into());
                }
            }
        }
        heads.clear();
        self.heads = heads;
        weight
    }

    /// Refuses a message that is not valid. Its sender's session ends, so what it was not sent comes back.
    fn invalid(&mut self, now: Time, from: Sender<'_>, reason: DisconnectReason) {
        self.take_back_from(now, from);
        self.handle_at(now, Input::Invalid { from, reason });
    }

    /// Handles a message of classic MDP.
    fn classic_message(&mut self, route: &[u8], identity: Identity) {
        let mut frames = std::mem::take(&mut self.frames);
        let now = self.clock.now();
        let read = classic::read(&mut frames, &self.limits);
        let from = self.core.sender(route, identity);
        self.look_at(now, from);
        match read {
            Ok(mut read) => {
                let form = read.form;
                self.handle_at(now, Input::Classic { from, form, said: read.said() });
            }
            Err(error) => {
                observe::invalid_classic(route, &error);
                let input = match error {
                    ClassicError::Wrong { form, side, .. } => {
                        Input::InvalidClassic { from, form, side }
                    }
                    ClassicError::Signature => {
                        self.take_back_from(now, from);
                        Input::Invalid { from, reason: DisconnectReason::Malformed }
                    }
                };
                self.handle_at(now, input);
            }
        }
        frames.clear();
        self.frames = frames;
    }

    /// Takes all waiting commands. A policy and a shutdown apply at once, before any other waiting command: the next
    /// message was sent after them. Verdicts apply in order, a limited number at a time, and requests for statistics
    /// are answered once a turn, so neither keeps the thread from its socket.
    fn commands(&mut self, inbox: &mpsc::Receiver<BrokerCommand>) {
        self.waker.look();
        while let Ok(command) = inbox.try_recv() {
            match command {
                BrokerCommand::Verdict { call, verdict } => {
                    self.pending.verdicts.push_back((call, verdict));
                }
                BrokerCommand::Shutdown(grace) => self.handle(Input::Shutdown { grace }),
                BrokerCommand::Failed(failure) => self.fail(failure),
                BrokerCommand::Policy(policy) => {
                    // The sessions that it ends were given what they were given.
                    self.flush();
                    let principals = policy.principals().count();
                    tracing::info!(principals, "policy in force");
                    self.handle(Input::Policy(policy.core));
                }
                BrokerCommand::Stats(answer) => self.pending.stats.push(answer),
                BrokerCommand::Report(answer) => self.pending.reports.push(answer),
            }
        }
        for _ in 0..VERDICTS {
            let Some((call, verdict)) = self.pending.verdicts.pop_front() else { return };
            self.handle(Input::Verdict { call, verdict });
        }
        if !self.pending.verdicts.is_empty() {
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

    /// Checks what peers have read meanwhile.
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

    /// Reports failed sends, failed questions and unread bytes to the core, one after another: the core may then send
    /// the calls to another peer that has gone, too.
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
                // Each one goes to the front of its queue, so the last one comes first.
                for (call, body) in lost.requests.into_iter().rev() {
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
                self.queue_spans.sent(&self.core, &self.clock, to, &record);
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
            Action::SendClassic { to, form, message } => {
                if let ToClassic::Task { call, .. } = &message {
                    self.queue_spans.dispatched(&self.core, *call);
                }
                self.send_classic(to, form, message);
            }
            Action::AnswerClassic { route, form, message } => {
                let session = self.core.session_at(&route);
                let (router, writer) = (&mut self.router, &mut self.writer);
                self.outbox.answer(session, &route, |limits, account| {
                    // A failed answer is not reported, as above.
                    let _ = writer.send(router, &route, form, message, limits, account);
                });
            }
            Action::Open { session, route } => self.outbox.open(session, route, self.local),
            Action::Close { session } => {
                self.queue_spans.closed(session);
                self.outbox.close(&mut self.router, session);
            }
            Action::Pause { session } => self.pause(session, true),
            Action::Resume { session } => self.pause(session, false),
            Action::Ask(question) => {
                let call = question.call;
                let asked = self.hook_pool.as_mut().map(|hook_pool| hook_pool.ask(*question));
                if let Some(Err(verdict)) = asked {
                    self.unasked.push_back((call, verdict));
                }
            }
            Action::Note(note) => {
                if !self.refusals.heard(&note) {
                    observe::broker(&note);
                }
                if let Some(hook_pool) = &mut self.hook_pool {
                    hook_pool.note(&note);
                }
            }
            Action::Closed => self.closed = true,
        }
    }

    fn pause(&mut self, session: Key, paused: bool) {
        if let Some(route) = self.outbox.route(session) {
            self.router.pause(route, paused);
        }
    }

    fn send_classic(&mut self, to: Key, form: Form, message: ToClassic<Body>) {
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

    /// Records a packet that was not sent: no peer has seen its REQUESTs, and its receiver is gone. Packets of one receiver
    /// are reported together, since its session ends with the report.
    fn failed(&mut self, failed: Failed) {
        let session = failed.session;
        let requests = self.requests_of(failed.packet);
        match self.lost.iter_mut().find(|lost| lost.session == session) {
            Some(lost) => lost.requests.extend(requests),
            None => self.lost.push_back(Lost { session, limit: met(failed.failure), requests }),
        }
    }

    /// Takes back the REQUESTs that a peer was to be sent, and that it leaves before: nobody has seen them.
    fn take_back(&mut self, now: Time, to: Key) {
        let Some(packet) = self.outbox.take(to) else { return };
        // Each one goes to the front of its queue, so the last one comes first.
        for (call, body) in self.requests_of(packet).into_iter().rev() {
            self.handle_at(now, Input::Undelivered { to, call, body });
        }
    }

    fn take_back_from(&mut self, now: Time, from: Sender<'_>) {
        if let Some(session) = self.core.session_of(&from) {
            self.take_back(now, session);
        }
    }

    /// The REQUESTs of a packet that was not sent.
    fn requests_of(&self, packet: InPacket) -> Vec<(u64, Body)> {
        let InPacket { first: packet, frames } = packet;
        let mut heads = Vec::new();
        let body = |head: &Head| Body::of(head, &packet, &frames);
        let records = wire::read(&packet, &frames, &self.limits, &mut heads, body);
        let requests = records.into_iter().flatten().filter_map(|record| match record {
            Ok(Record::Request { call, body, .. }) => Some((call, body)),
            _ => None,
        });
        requests.collect()
    }
}

/// The limit that kept a message from being sent, if there was one.
fn met(failure: Failure) -> Option<Limit> {
    match failure {
        Failure::Unread(limit) => Some(limit),
        Failure::Socket(error) => {
            observe::unreachable(error);
            None
        }
    }
}

#[cfg(test)]
mod command_tests;
