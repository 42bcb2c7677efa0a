//! The client's task: it owns the socket and drives the state machine. It sends the outcome of each call to the call's
//! future.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mdp_protocol::client::{Action, Call, Client, Config, Input, Outcome};
use mdp_protocol::wire::Part;
use mdp_protocol::wire::classic::Form;
use mdp_protocol::{ConnectionState, Key, Span, Time};
use tokio::sync::{mpsc, watch};

use super::ClientLink;
use crate::classic::Side;
use crate::classic::calls::Calls;
use crate::peer::{Alarm, Broken, ConnectOptions, Peer};
use crate::secondary_map::SecondaryMap;
use crate::stream::Flow;
use mdp_call::body::{BURST, BURST_WEIGHT, Body, CALL_WEIGHT};
use mdp_transport::Faults;
use mdp_transport::spin::Spin;

/// How long calls may still run after the last handle is dropped. Their own deadlines end them earlier.
const LAST_GRACE: Span = Span::from_secs(24 * 3600);

/// The commands of the client's handles.
pub(crate) enum ClientCommand {
    Call(Call<Body, ResultSender>),
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
    peer: Peer,
    core: Client<Body, ResultSender>,
    inbox: mpsc::UnboundedReceiver<ClientCommand>,
    commands: Vec<ClientCommand>,
    actions: Vec<Action<Body, ResultSender>>,
    /// The flows of the calls with streams.
    flows: SecondaryMap<Arc<Flow>>,
    orphaned: bool,
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
            peer: Peer::new("client", options, state),
            core: Client::new(config),
            inbox,
            commands: Vec::with_capacity(BURST),
            actions: Vec::new(),
            flows: SecondaryMap::default(),
            orphaned: false,
            spin: Spin::default(),
            closed: false,
        }
    }

    /// The same driver for a broker that speaks classic MDP of this form.
    pub(super) fn over_classic(self, form: Form) -> Self {
        ClientDriver {
            peer: self.peer.over_classic(Side::Client(Box::new(Calls::new(form)))),
            ..self
        }
    }

    /// The handshakes that have failed.
    pub(super) fn faults(&self) -> Faults {
        self.peer.faults()
    }

    /// The sender of the connection's state.
    pub(super) fn state(&self) -> watch::Sender<ConnectionState> {
        self.peer.state()
    }

    pub(super) async fn run(mut self) {
        let mut alarm = Alarm::new();
        while !self.closed {
            self.take_commands();
            let more = self.receive();
            self.handle(Input::Tick);
            self.flush();
            if more {
                // Tasks whose calls have ended make their next calls meanwhile.
                tokio::task::yield_now().await;
            } else if !self.closed && !self.spin().await {
                self.wait(&mut alarm).await;
            }
        }
        self.peer.close().await;
    }

    /// Under load, waits without sleeping. `true`: there is work.
    async fn spin(&mut self) -> bool {
        if !self.peer.can_poll() {
            return false;
        }
        // The borrow is exclusive, because a socket may move between threads but must not be shared.
        let (peer, inbox) = (&mut self.peer, &self.inbox);
        self.spin.wait_in_task(|| !inbox.is_empty() || peer.is_readable()).await
    }

    async fn wait(&mut self, alarm: &mut Alarm) {
        let deadline = self.core.next_deadline();
        let clock = self.peer.clock;
        tokio::select! {
            biased;
            count = self.inbox.recv_many(&mut self.commands, BURST), if !self.orphaned => {
                self.orphaned = count == 0;
                if self.orphaned {
                    self.commands.push(ClientCommand::Close(LAST_GRACE));
                }
            }
            () = self.peer.ready() => {}
            () = alarm.wait(&clock, deadline) => {}
        }
    }

    fn take_commands(&mut self) {
        while self.commands.len() < BURST {
            let Ok(command) = self.inbox.try_recv() else { break };
            self.commands.push(command);
        }
        let mut commands = std::mem::take(&mut self.commands);
        let now = self.peer.clock.now();
        for command in commands.drain(..) {
            match command {
                ClientCommand::Call(call) => self.call(now, call),
                ClientCommand::Cancel(call) => self.cancel(now, call),
                ClientCommand::Part(flow, part) => {
                    // A flow without a key belongs to a call that has ended.
                    if let Some(call) = flow.call() {
                        self.handle_at(now, Input::Part { call, part });
                    }
                }
                ClientCommand::Taken(flow, units) => {
                    if let Some(call) = flow.call() {
                        self.handle_at(now, Input::Taken { call, units });
                    }
                }
                ClientCommand::Abandon(flow) => {
                    if let Some(call) = flow.call() {
                        self.cancel(now, call);
                    }
                }
                ClientCommand::Close(grace) => self.handle_at(now, Input::Close { grace }),
            }
        }
        self.commands = commands;
    }

    fn call(&mut self, now: Time, call: Call<Body, ResultSender>) {
        if call.token.is_abandoned() {
            return;
        }
        let made = self.core.handle(now, Input::Call(call), &mut self.actions);
        self.perform();
        let Some(key) = made else { return };
        // The call may have ended meanwhile.
        let Some(token) = self.core.token(key) else { return };
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
        self.handle_at(now, Input::Cancel(call));
    }

    /// Handles the messages that have arrived. `true`: there may be more.
    fn receive(&mut self) -> bool {
        let mut weight = 0;
        while weight < BURST_WEIGHT {
            match self.receive_one() {
                Ok(Some(more)) => weight += more,
                Ok(None) => break,
                Err(broken) => {
                    self.lose_session(broken);
                    return false;
                }
            }
        }
        if self.peer.take_made() {
            self.handle(Input::Made);
        }
        if self.peer.take_alive() {
            self.handle(Input::Alive);
        }
        self.spin.heard(weight / CALL_WEIGHT);
        weight >= BURST_WEIGHT
    }

    /// Handles the records of one message, and returns their weight.
    fn receive_one(&mut self) -> Result<Option<usize>, Broken> {
        let (core, actions) = (&mut self.core, &mut self.actions);
        let read = self.peer.receive_one(|now, record| {
            core.handle(now, Input::Record(record), actions);
        });
        self.perform();
        read
    }

    fn handle(&mut self, input: Input<'_, Body, ResultSender>) {
        self.handle_at(self.peer.clock.now(), input);
    }

    fn handle_at(&mut self, now: Time, input: Input<'_, Body, ResultSender>) {
        self.core.handle(now, input, &mut self.actions);
        self.perform();
    }

    fn perform(&mut self) {
        let mut broken = None;
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Session(action) => {
                    self.peer.next_attempt = self.core.next_attempt();
                    broken = self.peer.perform(action).err().or(broken);
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
                Action::Closed => self.closed = true,
            }
        }
        self.actions = actions;
        if let Some(broken) = broken {
            self.lose_session(broken);
        }
    }

    /// Ends the session, which cannot continue.
    fn lose_session(&mut self, broken: Broken) {
        // These calls never left the client, regardless of what happened to the others.
        for call in self.peer.take_unsent() {
            self.handle(Input::Unsent(call));
        }
        self.handle(match broken {
            Broken::Invalid => Input::Invalid,
            Broken::Connection | Broken::Refused => Input::Broken,
        });
    }

    fn flush(&mut self) {
        if let Err(broken) = self.peer.flush() {
            self.lose_session(broken);
        }
    }
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
