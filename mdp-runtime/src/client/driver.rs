//! The client's task: it owns the socket and drives the state machine. It sends the outcome of each call to the call's
//! future.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mdp_protocol::client::{Action, Call, Config, Event, Outcome};
use mdp_protocol::wire::Part;
use mdp_protocol::wire::classic::Form;
use mdp_protocol::{ConnectionState, Key, SessionAction, Span, Time};
use tokio::sync::{mpsc, watch};

use super::ClientLink;
use super::sessions::{At, Sessions};
use crate::classic::Side;
use crate::classic::calls::Calls;
use crate::connection::together;
use crate::peer::{Alarm, Broken, ConnectOptions, Peer};
use crate::secondary_map::SecondaryMap;
use crate::stream::Flow;
use mdp_call::body::{BURST, BURST_WEIGHT, Body, CALL_WEIGHT};
use mdp_transport::Faults;
use mdp_transport::clock::Clock;
use mdp_transport::spin::Spin;

/// How long calls may still run after the last handle is dropped. Their own deadlines end them earlier.
const LAST_GRACE: Span = Span::from_secs(24 * 3600);

/// The commands of the client's handles.
pub(crate) enum ClientCommand {
    Call {
        call: Call<Body, ResultSender>,
        /// The call ends when no broker has a worker for it.
        no_wait: bool,
    },
    /// The caller no longer waits for this call.
    Cancel(Key),
    /// A part of a stream of requests.
    Part(Arc<Flow>, Part<Body>),
    /// The reader took this many units of a stream of replies.
    Taken(Arc<Flow>, u32),
    /// A stream of requests was dropped before its end.
    Abandon(Arc<Flow>),
    Close(Span),
}

pub(super) struct ClientDriver {
    /// One for each session.
    peers: Vec<Peer>,
    sessions: Sessions,
    /// The state of all sessions together.
    state: watch::Sender<ConnectionState>,
    inbox: mpsc::UnboundedReceiver<ClientCommand>,
    commands: Vec<ClientCommand>,
    actions: Vec<At>,
    /// The flows of the calls with streams.
    flows: SecondaryMap<Arc<Flow>>,
    orphaned: bool,
    clock: Clock,
    spin: Spin,
    closed: bool,
}

impl ClientDriver {
    pub(super) fn new(
        options: ConnectOptions,
        config: Config,
        inbox: mpsc::UnboundedReceiver<ClientCommand>,
        state: watch::Sender<ConnectionState>,
    ) -> Self {
        ClientDriver {
            peers: vec![Peer::new("client", options, state.clone())],
            sessions: Sessions::one(config),
            state,
            inbox,
            commands: Vec::with_capacity(BURST),
            actions: Vec::new(),
            flows: SecondaryMap::default(),
            orphaned: false,
            clock: Clock::start(),
            spin: Spin::default(),
            closed: false,
        }
    }

    /// The same driver with a session for each endpoint.
    pub(super) fn over_brokers(self, options: &ConnectOptions, config: Config) -> Self {
        let (brokers, faults) = (options.endpoints.len(), self.faults());
        let peer = |_| {
            let state = watch::Sender::new(ConnectionState::Connecting { endpoint: 0 });
            Peer::new("client", options.clone(), state).noting(faults.clone())
        };
        let peers = (0..brokers).map(peer).collect();
        ClientDriver { peers, sessions: Sessions::many(config, brokers), ..self }
    }

    /// The same driver for a broker that speaks classic MDP of this form.
    pub(super) fn over_classic(self, form: Form) -> Self {
        let classic = |peer: Peer| peer.over_classic(Side::Client(Box::new(Calls::new(form))));
        ClientDriver { peers: self.peers.into_iter().map(classic).collect(), ..self }
    }

    /// The handshakes that have failed.
    pub(super) fn faults(&self) -> Faults {
        self.peers.first().map(Peer::faults).unwrap_or_default()
    }

    /// The sender of the connection's state.
    pub(super) fn state(&self) -> watch::Sender<ConnectionState> {
        self.state.clone()
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) async fn run(mut self) {
        let mut alarm = Alarm::new();
        while !self.closed {
            self.take_commands();
            let more = self.receive();
            self.sessions.tick(self.now(), &mut self.actions);
            self.perform();
            self.flush();
            if more {
                // Tasks whose calls have ended make their next calls meanwhile.
                tokio::task::yield_now().await;
            } else if !self.closed && !self.spin().await {
                self.wait(&mut alarm).await;
            }
        }
        for peer in self.peers {
            peer.close().await;
        }
        self.state.send_replace(ConnectionState::Closed);
    }

    /// Under load, waits without sleeping. `true`: there is work.
    async fn spin(&mut self) -> bool {
        if !self.peers.iter().all(Peer::can_poll) {
            return false;
        }
        // The borrow is exclusive, because a socket may move between threads but must not be shared.
        let (peers, inbox) = (&mut self.peers, &self.inbox);
        let is_readable = || !inbox.is_empty() || peers.iter_mut().any(Peer::is_readable);
        self.spin.wait_in_task(is_readable).await
    }

    async fn wait(&mut self, alarm: &mut Alarm) {
        let deadline = self.sessions.next_deadline();
        let clock = self.clock;
        tokio::select! {
            biased;
            count = self.inbox.recv_many(&mut self.commands, BURST), if !self.orphaned => {
                self.orphaned = count == 0;
                if self.orphaned {
                    self.commands.push(ClientCommand::Close(LAST_GRACE));
                }
            }
            () = any_ready(&mut self.peers) => {}
            () = alarm.wait(&clock, deadline) => {}
        }
    }

    fn take_commands(&mut self) {
        while self.commands.len() < BURST {
            let Ok(command) = self.inbox.try_recv() else { break };
            self.commands.push(command);
        }
        let mut commands = std::mem::take(&mut self.commands);
        let now = self.now();
        for command in commands.drain(..) {
            match command {
                ClientCommand::Call { call, no_wait } => self.call(now, call, no_wait),
                ClientCommand::Cancel(call) => self.cancel(now, call),
                ClientCommand::Part(flow, part) => {
                    // A flow without a key belongs to a call that has ended.
                    if let Some(call) = flow.call() {
                        self.sessions.part(now, call, part, &mut self.actions);
                        self.perform();
                    }
                }
                ClientCommand::Taken(flow, units) => {
                    if let Some(call) = flow.call() {
                        self.sessions.taken(now, call, units, &mut self.actions);
                        self.perform();
                    }
                }
                ClientCommand::Abandon(flow) => {
                    if let Some(call) = flow.call() {
                        self.cancel(now, call);
                    }
                }
                ClientCommand::Close(grace) => {
                    self.sessions.close(now, grace, &mut self.actions);
                    self.perform();
                }
            }
        }
        self.commands = commands;
    }

    fn call(&mut self, now: Time, call: Call<Body, ResultSender>, no_wait: bool) {
        if call.token.is_abandoned() {
            return;
        }
        let made = self.sessions.call(now, call, no_wait, &mut self.actions);
        self.perform();
        let Some(key) = made else { return };
        // The call may have ended meanwhile.
        let Some(token) = self.sessions.token(key) else { return };
        if let Some(flow) = token.flow() {
            flow.name(key);
            self.flows.insert(key, Arc::clone(flow));
        }
        if !token.name(key) {
            self.cancel(now, key);
        }
    }

    fn cancel(&mut self, now: Time, call: Key) {
        self.flows.remove(call);
        self.sessions.cancel(now, call, &mut self.actions);
        self.perform();
    }

    /// Handles the messages that have arrived. `true`: there may be more.
    fn receive(&mut self) -> bool {
        let (mut weight, mut more) = (0, false);
        for broker in 0..self.peers.len() {
            let read = self.receive_from(broker);
            weight += read;
            more |= read >= BURST_WEIGHT;
        }
        self.spin.heard(weight / CALL_WEIGHT);
        more
    }

    /// Handles the messages of a broker, and returns their weight.
    fn receive_from(&mut self, broker: usize) -> usize {
        let mut weight = 0;
        while weight < BURST_WEIGHT {
            match self.receive_one(broker) {
                Ok(Some(more)) => weight += more,
                Ok(None) => break,
                Err(broken) => {
                    self.lose_session(broker, broken);
                    return 0;
                }
            }
        }
        let Some(peer) = self.peers.get_mut(broker) else { return weight };
        let (made, alive) = (peer.take_made(), peer.take_alive());
        if made {
            self.handle(broker, Event::Made);
        }
        if alive {
            self.handle(broker, Event::Alive);
        }
        weight
    }

    /// Handles the records of one message, and returns their weight.
    fn receive_one(&mut self, broker: usize) -> Result<Option<usize>, Broken> {
        let (sessions, actions) = (&mut self.sessions, &mut self.actions);
        let Some(peer) = self.peers.get_mut(broker) else { return Ok(None) };
        let read = peer.receive_one(|now, record| {
            sessions.event(now, broker, Event::Record(record), actions);
        });
        self.perform();
        read
    }

    fn handle(&mut self, broker: usize, event: Event<'_, Body>) {
        self.sessions.event(self.now(), broker, event, &mut self.actions);
        self.perform();
    }

    fn perform(&mut self) {
        let (mut broken, mut has_news) = (Vec::new(), false);
        let mut actions = std::mem::take(&mut self.actions);
        for (broker, action) in actions.drain(..) {
            match action {
                Action::Session(action) => {
                    let action = self.sessions.placed(broker, action);
                    has_news |= matches!(action, SessionAction::State(_));
                    let Some(peer) = self.peers.get_mut(broker) else { continue };
                    peer.next_attempt = self.sessions.next_attempt(broker);
                    if let Err(error) = peer.perform(action) {
                        broken.push((broker, error));
                    }
                }
                Action::Part { call, part } => {
                    if let Some(flow) = self.flows.get(call) {
                        flow.half().put(part);
                    }
                }
                Action::Credit { call, units } => {
                    if let Some(flow) = self.flows.get(call) {
                        flow.half().credit(units);
                    }
                }
                Action::Done { token, outcome } => {
                    if let Some(call) = token.flow().and_then(|flow| flow.call()) {
                        self.flows.remove(call);
                    }
                    token.send(outcome);
                }
                // The machine of several brokers sends these calls to another one.
                Action::Returned(call) => {
                    let (token, outcome) = call.into_outcome();
                    token.send(outcome);
                }
                Action::Closed => self.closed = self.sessions.is_closed(),
            }
        }
        self.actions = actions;
        if has_news && self.peers.len() > 1 {
            self.tell_state();
        }
        for (broker, broken) in broken {
            self.lose_session(broker, broken);
        }
    }

    /// Reports the state of all sessions together, if it has changed.
    fn tell_state(&self) {
        let states: Vec<_> = self.peers.iter().map(|peer| peer.state().borrow().clone()).collect();
        if let Some(state) = together(states.iter()) {
            self.state.send_if_modified(|before| {
                let is_new = *before != state;
                if is_new {
                    *before = state;
                }
                is_new
            });
        }
    }

    /// Ends a session, which cannot continue.
    fn lose_session(&mut self, broker: usize, broken: Broken) {
        // These calls never left the client, regardless of what happened to the others.
        let unsent = self.peers.get_mut(broker).map(Peer::take_unsent);
        for call in unsent.unwrap_or_default() {
            self.handle(broker, Event::Unsent(call));
        }
        self.handle(
            broker,
            match broken {
                Broken::Invalid => Event::Invalid,
                Broken::Connection | Broken::Refused => Event::Broken,
            },
        );
    }

    fn flush(&mut self) {
        for broker in 0..self.peers.len() {
            if let Some(Err(broken)) = self.peers.get_mut(broker).map(Peer::flush) {
                self.lose_session(broker, broken);
            }
        }
    }
}

/// Waits until a peer is ready.
async fn any_ready(peers: &mut [Peer]) {
    if let [peer] = peers {
        return peer.ready().await;
    }
    let mut all: Vec<_> = peers.iter_mut().map(|peer| Box::pin(peer.ready())).collect();
    poll_fn(|cx| match all.iter_mut().any(|ready| ready.as_mut().poll(cx).is_ready()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// The driver has not taken the call yet.
const NEW: u64 = 0;
/// The caller no longer waits.
const ABANDONED: u64 = u64::MAX;

/// What both ends of a call share.
struct Shared {
    /// [`NEW`], then the call's key, or [`ABANDONED`].
    call: AtomicU64,
    state: Mutex<State>,
}

enum State {
    Open(Option<Waker>),
    Ended(Outcome<Body>),
    /// The outcome was taken, or there will be no outcome.
    Over,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, state: State) {
        let before = std::mem::replace(&mut *self.state(), state);
        if let State::Open(Some(waker)) = before {
            waker.wake();
        }
    }
}

/// The driver's end of a call. Dropping it without an outcome means that the client is closed.
pub(crate) struct ResultSender {
    shared: Arc<Shared>,
    /// The call's streams.
    flow: Option<Arc<Flow>>,
}

impl ResultSender {
    /// Both ends of a new call.
    pub(super) fn new(
        link: Arc<ClientLink>,
        flow: Option<Arc<Flow>>,
    ) -> (ResultSender, ResultReceiver) {
        let state = Mutex::new(State::Open(None));
        let shared = Arc::new(Shared { call: AtomicU64::new(NEW), state });
        (ResultSender { shared: Arc::clone(&shared), flow }, ResultReceiver { shared, link })
    }

    fn flow(&self) -> Option<&Arc<Flow>> {
        self.flow.as_ref()
    }

    /// Whether the caller no longer waits for the answer.
    fn is_abandoned(&self) -> bool {
        self.shared.call.load(Ordering::Acquire) == ABANDONED
    }

    /// Gives the waiting end the key with which it can cancel the call. `false`: the call was cancelled already.
    fn name(&self, call: Key) -> bool {
        let call = call.as_u64();
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.shared.call.compare_exchange(NEW, call, success, failure).is_ok()
    }

    fn send(self, outcome: Outcome<Body>) {
        self.shared.end(State::Ended(outcome));
    }
}

impl Drop for ResultSender {
    fn drop(&mut self) {
        let open = matches!(*self.shared.state(), State::Open(_));
        if open {
            self.shared.end(State::Over);
        }
        if let Some(flow) = &self.flow {
            flow.half().close();
        }
    }
}

/// The end that the call's future holds.
pub(crate) struct ResultReceiver {
    shared: Arc<Shared>,
    link: Arc<ClientLink>,
}

impl ResultReceiver {
    /// The outcome; `None` if the client was closed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome<Body>>> {
        let mut state = self.shared.state();
        match std::mem::replace(&mut *state, State::Over) {
            State::Ended(outcome) => Poll::Ready(Some(outcome)),
            State::Over => Poll::Ready(None),
            State::Open(waker) => {
                let waker = match waker {
                    Some(waker) if waker.will_wake(cx.waker()) => waker,
                    _ => cx.waker().clone(),
                };
                *state = State::Open(Some(waker));
                Poll::Pending
            }
        }
    }
}

impl Drop for ResultReceiver {
    fn drop(&mut self) {
        if !matches!(*self.shared.state(), State::Open(_)) {
            return;
        }
        let call = self.shared.call.swap(ABANDONED, Ordering::AcqRel);
        if let Some(call) = Key::from_u64(call) {
            // A client that is closed has already ended the call.
            drop(self.link.command(ClientCommand::Cancel(call)));
        }
    }
}
