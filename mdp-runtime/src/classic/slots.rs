//! Workers of classic MDP, one for each concurrent request: a state machine and a socket each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use mdp_protocol::classic::worker::{Action, Config, Input, Word, Worker};
use mdp_protocol::wire::classic::{self, Command, Form, Reader};
use mdp_protocol::{ConnectionState, Limits, LossCause, SessionConfig, Span, Time};

use super::socket::Socket;
use crate::peer::ConnectOptions;
use mdp_transport::{Closing, SocketError};

/// The maximum number of messages of one worker that wait for the socket. Beyond it, the senders have to wait.
const MAX_OUT: usize = 64;
/// The number of messages of one broker that are handled before the other slots.
const BURST: usize = 64;

pub(super) struct Slots {
    options: ConnectOptions,
    form: Form,
    limits: Limits,
    slots: Vec<Slot>,
    actions: Vec<Action<Vec<Bytes>>>,
    events: VecDeque<Event>,
    /// The combined state of all slots.
    state: ConnectionState,
    /// Sockets of workers that have left. They may still have messages to write.
    left: Vec<Closing>,
}

struct Slot {
    worker: Worker,
    service: Arc<[u8]>,
    socket: Option<Socket>,
    /// There may be a message to receive.
    ready: bool,
    state: ConnectionState,
}

/// An event of a slot.
pub(super) enum Event {
    /// A request has arrived.
    Start {
        /// The slot.
        slot: usize,
        /// The slot's number for the request.
        task: u64,
        /// The request.
        body: Vec<Bytes>,
    },
    /// The answer is not needed any more.
    Abort {
        /// The slot. A slot has one request at a time.
        slot: usize,
    },
}

impl Slots {
    /// Makes as many workers for each service as its capacity. They connect at the first [`tick`](Self::tick).
    pub(super) fn new(
        options: ConnectOptions,
        form: Form,
        session: &SessionConfig,
        services: &[(Arc<[u8]>, u32)],
    ) -> Self {
        let mut slots = Vec::new();
        for (service, capacity) in services {
            for _ in 0..*capacity {
                // Different seeds: otherwise all workers would reconnect at the same moment.
                let seed = session.seed.wrapping_add(slots.len() as u64);
                let session = SessionConfig { seed, ..session.clone() };
                slots.push(Slot {
                    worker: Worker::new(Config { dialect: form.dialect, session }),
                    service: Arc::clone(service),
                    socket: None,
                    ready: false,
                    state: ConnectionState::Connecting { endpoint: 0 },
                });
            }
        }
        Slots {
            options,
            form,
            limits: super::limits(),
            slots,
            actions: Vec::new(),
            events: VecDeque::new(),
            state: ConnectionState::Connecting { endpoint: 0 },
            left: Vec::new(),
        }
    }

    pub(super) fn endpoints(&self) -> &[String] {
        &self.options.endpoints
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn service(&self, slot: usize) -> &[u8] {
        self.slots.get(slot).map_or(&[], |slot| &slot.service)
    }

    /// The combined state: connected while at least one slot is connected.
    pub(super) fn state(&self) -> &ConnectionState {
        &self.state
    }

    /// Whether all workers have left permanently.
    pub(super) fn are_closed(&self) -> bool {
        self.slots.iter().all(|slot| slot.worker.is_closed())
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.slots.iter().filter_map(|slot| slot.worker.next_deadline()).min()
    }

    /// Handles timers that are due, and receives messages.
    pub(super) fn tick(&mut self, now: Time) {
        for number in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(number) else { continue };
            if std::mem::take(&mut slot.ready) {
                self.receive(now, number);
            }
            let Some(slot) = self.slots.get_mut(number) else { continue };
            if slot.worker.next_deadline().is_some_and(|due| due <= now) {
                self.handle(now, number, Input::Tick);
            }
        }
    }

    /// Sends an answer to a request.
    pub(super) fn answer(
        &mut self,
        now: Time,
        slot: usize,
        task: u64,
        last: bool,
        body: Vec<Bytes>,
    ) {
        self.handle(now, slot, Input::Answer { task, last, body });
    }

    /// Reports that a request gets no answer.
    pub(super) fn forfeit(&mut self, now: Time, slot: usize, task: u64) {
        self.handle(now, slot, Input::Forfeit { task });
    }

    /// Whether the socket has accepted almost all messages of a slot.
    pub(super) fn has_room(&self, slot: usize) -> bool {
        let socket = self.slots.get(slot).and_then(|slot| slot.socket.as_ref());
        socket.is_none_or(|socket| socket.waiting() < MAX_OUT)
    }

    /// Lets all workers finish their requests, for at most `grace`, and leave.
    pub(super) fn stop(&mut self, now: Time, grace: Span) {
        for number in 0..self.slots.len() {
            self.handle(now, number, Input::Stop { grace });
        }
    }

    /// Makes all workers leave until [`resume`](Self::resume).
    pub(super) fn pause(&mut self, now: Time) {
        for number in 0..self.slots.len() {
            self.handle(now, number, Input::Pause);
        }
    }

    /// Lets the paused workers come back.
    pub(super) fn resume(&mut self, now: Time) {
        for number in 0..self.slots.len() {
            self.handle(now, number, Input::Resume);
        }
    }

    pub(super) fn flush(&mut self, now: Time) {
        for number in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(number) else { continue };
            let Some(socket) = &mut slot.socket else { continue };
            if socket.waiting() > 0
                && let Err(error) = socket.flush()
            {
                self.failed(now, number, error);
            }
        }
    }

    pub(super) fn moved(&mut self, now: Time) {
        for number in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(number) else { continue };
            let Some(socket) = slot.socket.take() else { continue };
            match socket.moved() {
                Ok(socket) => slot.socket = Some(socket),
                Err(error) => self.failed(now, number, error),
            }
        }
    }

    pub(super) fn is_readable(&mut self) -> bool {
        let mut any = false;
        for slot in &mut self.slots {
            slot.ready |= slot.socket.as_mut().is_some_and(Socket::is_readable);
            any |= slot.ready;
        }
        any
    }

    /// Waits until [`tick`](Self::tick) or [`flush`](Self::flush) has work.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut any = false;
        for slot in &mut self.slots {
            let Some(socket) = &mut slot.socket else { continue };
            slot.ready |= socket.poll_ready(cx).is_ready();
            any |= slot.ready;
        }
        if any { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn take_sockets(&mut self) -> Vec<Closing> {
        let open = self.slots.iter_mut().filter_map(|slot| slot.socket.take());
        std::mem::take(&mut self.left).into_iter().chain(open.map(Socket::into_closing)).collect()
    }

    fn receive(&mut self, now: Time, number: usize) {
        for _ in 0..BURST {
            let Some(slot) = self.slots.get_mut(number) else { return };
            let Some(socket) = &mut slot.socket else { return };
            let frames = match socket.receive(&self.limits) {
                Ok(Some(frames)) => frames,
                Ok(None) => return,
                Err(error) => return self.failed(now, number, error),
            };
            match classic::read(Reader::Peer, &frames, &self.limits) {
                Ok(message) => {
                    let body = frames.get(message.body..).unwrap_or_default().to_vec();
                    let command = message.command;
                    self.handle(now, number, Input::Heard { command, body });
                }
                Err(error) => {
                    tracing::warn!(who = "worker", %error, "message of the broker dropped");
                    self.handle(now, number, Input::Invalid);
                }
            }
        }
        if let Some(slot) = self.slots.get_mut(number) {
            slot.ready = true;
        }
    }

    fn failed(&mut self, now: Time, number: usize, error: SocketError) {
        tracing::warn!(who = "worker", %error, "the socket failed");
        self.handle(now, number, Input::Broken);
    }

    fn handle(&mut self, now: Time, number: usize, input: Input<'_, Vec<Bytes>>) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let mut actions = std::mem::take(&mut self.actions);
        slot.worker.handle(now, input, &mut actions);
        let mut broken = false;
        for action in actions.drain(..) {
            match action {
                Action::Connect { endpoint } => broken |= !self.connect(number, endpoint),
                Action::Say(word) => self.say(number, word),
                Action::Hang => self.hang(number),
                Action::State(state) => self.tell(number, state),
                Action::Start { task, body } => {
                    self.events.push_back(Event::Start { slot: number, task, body });
                }
                Action::Abort { .. } => self.events.push_back(Event::Abort { slot: number }),
                Action::Closed => {}
            }
        }
        self.actions = actions;
        if broken {
            self.handle(now, number, Input::Broken);
        }
    }

    fn connect(&mut self, number: usize, endpoint: usize) -> bool {
        let Some(slot) = self.slots.get_mut(number) else { return true };
        match Socket::connect(&self.options, endpoint, self.form) {
            Ok(socket) => {
                slot.socket = Some(socket);
                slot.ready = true;
                true
            }
            Err(error) => {
                tracing::warn!(who = "worker", endpoint, %error, "could not connect");
                false
            }
        }
    }

    fn say(&mut self, number: usize, word: Word<Vec<Bytes>>) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let Some(socket) = &mut slot.socket else { return };
        match word {
            Word::Ready => socket.say(Command::Ready { service: &slot.service }, Vec::new()),
            Word::Heartbeat if socket.waiting() > MAX_OUT => {}
            Word::Heartbeat => socket.say(Command::Heartbeat, Vec::new()),
            Word::Disconnect => socket.say(Command::Disconnect, Vec::new()),
            Word::Answer { address, last, body } => {
                socket.say(Command::Answer { address: &address, last }, body);
            }
        }
    }

    fn hang(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let Some(mut socket) = slot.socket.take() else { return };
        // A failed socket has lost its messages anyway.
        let _ = socket.flush();
        if slot.worker.is_closed() {
            self.left.push(socket.into_closing());
        }
    }

    fn tell(&mut self, number: usize, state: ConnectionState) {
        if let Some(slot) = self.slots.get_mut(number) {
            slot.state = state;
        }
        let rank = |state: &ConnectionState| match state {
            ConnectionState::Connected { .. } => 3,
            ConnectionState::Connecting { .. } => 2,
            ConnectionState::Disconnected(_) => 1,
            ConnectionState::Closed => 0,
        };
        let best = self.slots.iter().map(|slot| &slot.state).max_by_key(|state| rank(state));
        self.state = match best {
            // `Closed` is reported only when the sockets are closed.
            Some(ConnectionState::Closed) | None => {
                ConnectionState::Disconnected(LossCause::Drained)
            }
            Some(state) => state.clone(),
        };
    }
}
