//! The task of a client for raw requests: it owns the socket and drives the state machine.

use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use mdp_protocol::classic::client::{Action, Client, Config, Failure, Input};
use mdp_protocol::wire::classic::{self, Form, Reader};
use mdp_protocol::wire::units;
use mdp_protocol::{ConnectionState, Key, Limits, Span};
use tokio::sync::{mpsc, watch};

use super::{RawError, RawReply};
use crate::classic::socket::Socket;
use crate::connection::{self, Connection};
use crate::peer::{Alarm, ConnectOptions};
use crate::secondary_map::SecondaryMap;
use mdp_transport::clock::Clock;

/// The number of replies that are handled before commands.
const BURST: usize = 64;

/// The commands of the client's handles.
pub(super) enum RawClientCommand {
    Request { line: Line, service: Arc<[u8]>, frames: Vec<Bytes>, patience: Span },
    Cancel(u64),
    Close(Span),
}

impl RawClientCommand {
    /// Ends the request with [`RawError::Closed`]: the client is closed.
    pub(super) fn refuse(self) {
        if let RawClientCommand::Request { line, .. } = self {
            line.end(Err(RawError::Closed { sent: false }));
        }
    }
}

/// The sender of a request's replies.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) id: u64,
    pub(super) replies: mpsc::UnboundedSender<Result<RawReply, RawError>>,
    /// The units of partial replies that are not read yet.
    pub(super) waiting: Arc<AtomicU32>,
}

impl Line {
    /// Sends the last result of the request. The receiver may be gone.
    pub(super) fn end(&self, end: Result<RawReply, RawError>) {
        let _ = self.replies.send(end);
    }
}

/// The units of a reply that waits for its reader.
pub(super) fn cost(frames: &[Bytes]) -> u32 {
    units(frames.iter().map(Bytes::len).sum())
}

pub(super) struct RawClientDriver {
    options: ConnectOptions,
    form: Form,
    limits: Limits,
    clock: Clock,
    core: Client<Vec<Bytes>, Line>,
    window: u32,
    inbox: mpsc::UnboundedReceiver<RawClientCommand>,
    state: watch::Sender<ConnectionState>,
    socket: Option<Socket>,
    /// Whether the core has been notified of the connection.
    connected: bool,
    keys: HashMap<u64, Key>,
    lines: SecondaryMap<Line>,
    actions: Vec<Action<Vec<Bytes>, Line>>,
    connection: Connection,
    /// Whether all handles are dropped.
    orphaned: bool,
    closed: bool,
}

impl RawClientDriver {
    pub(super) fn new(
        options: ConnectOptions,
        form: Form,
        config: Config,
        window: u32,
        inbox: mpsc::UnboundedReceiver<RawClientCommand>,
        state: watch::Sender<ConnectionState>,
    ) -> Self {
        RawClientDriver {
            options,
            form,
            limits: crate::classic::limits(),
            clock: Clock::start(),
            core: Client::new(config),
            window,
            inbox,
            state,
            socket: None,
            connected: false,
            keys: HashMap::new(),
            lines: SecondaryMap::default(),
            actions: Vec::new(),
            connection: Connection::new("client"),
            orphaned: false,
            closed: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut alarm = Alarm::new();
        self.handle(Input::Tick);
        while !self.closed {
            let command = self.wait(&mut alarm).await;
            self.obey(command);
            self.receive();
            self.handle(Input::Tick);
        }
        self.inbox.close();
        while let Ok(command) = self.inbox.try_recv() {
            command.refuse();
        }
        self.log(&ConnectionState::Closed);
        self.state.send_replace(ConnectionState::Closed);
    }

    fn log(&mut self, state: &ConnectionState) {
        let endpoint = connection::endpoint(state, &self.options.endpoints, None);
        self.connection.changed(self.clock.now(), state, &endpoint, None);
    }

    async fn wait(&mut self, alarm: &mut Alarm) -> Option<RawClientCommand> {
        let deadline = self.core.next_deadline();
        let (socket, inbox) = (&mut self.socket, &mut self.inbox);
        let ready = async {
            match socket {
                Some(socket) => poll_fn(|cx| socket.poll_ready(cx)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            command = inbox.recv(), if !self.orphaned => {
                self.orphaned = command.is_none();
                Some(command.unwrap_or(RawClientCommand::Close(Span::ZERO)))
            }
            () = ready => None,
            () = alarm.wait(&self.clock, deadline) => None,
        }
    }

    fn obey(&mut self, command: Option<RawClientCommand>) {
        match command {
            Some(RawClientCommand::Request { line, service, frames, patience }) => {
                let (token, id) = (line.clone(), line.id);
                self.handle_request(
                    Input::Request { token, service, patience, body: frames },
                    |driver, key| {
                        driver.keys.insert(id, key);
                        driver.lines.insert(key, line);
                    },
                );
            }
            Some(RawClientCommand::Cancel(id)) => {
                if let Some(key) = self.keys.remove(&id) {
                    self.lines.remove(key);
                    self.handle(Input::Cancel(key));
                }
            }
            Some(RawClientCommand::Close(grace)) => self.handle(Input::Close { grace }),
            None => {}
        }
    }

    /// Handles a request. The request's key is stored before the resulting actions are performed.
    fn handle_request(
        &mut self,
        input: Input<'_, Vec<Bytes>, Line>,
        name: impl FnOnce(&mut Self, Key),
    ) {
        let made = self.core.handle(self.clock.now(), input, &mut self.actions);
        if let Some(key) = made {
            name(self, key);
        }
        self.perform();
    }

    fn receive(&mut self) {
        for _ in 0..BURST {
            let Some(socket) = &mut self.socket else { return };
            match socket.receive(&self.limits) {
                Ok(Some(frames)) => self.hear(&frames),
                Ok(None) => return self.look_whether_connected(),
                Err(error) => {
                    tracing::warn!(who = "client", %error, "the socket failed");
                    return self.handle(Input::Broken);
                }
            }
        }
    }

    fn look_whether_connected(&mut self) {
        let Some(socket) = &mut self.socket else { return };
        let connected = socket.look_whether_connected();
        if std::mem::replace(&mut self.connected, connected) != connected {
            self.handle(if connected { Input::Connected } else { Input::Broken });
        }
    }

    fn hear(&mut self, frames: &[Bytes]) {
        match classic::read(Reader::Peer, frames, &self.limits) {
            Ok(classic::Message {
                command: classic::Command::Reply { service, last },
                body,
                ..
            }) => {
                let body = frames.get(body..).unwrap_or_default().to_vec();
                self.handle(Input::Reply { service, last, body });
            }
            other => {
                tracing::warn!(who = "client", ?other, "message of the broker dropped");
                self.handle(Input::Invalid);
            }
        }
    }

    fn handle(&mut self, input: Input<'_, Vec<Bytes>, Line>) {
        self.core.handle(self.clock.now(), input, &mut self.actions);
        self.perform();
    }

    fn perform(&mut self) {
        let mut broken = false;
        let mut given_up = None;
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Connect { endpoint } => broken |= !self.connect(endpoint),
                Action::Hang => self.hang(),
                Action::State(ConnectionState::Closed) => {}
                Action::State(state) => {
                    self.log(&state);
                    self.state.send_replace(state);
                }
                Action::Send { service, body } => {
                    let Some(socket) = &mut self.socket else { continue };
                    socket.say(classic::Command::Request { service: &service }, body);
                }
                Action::Part { request, body } => {
                    if !self.pass_on(request, body) {
                        given_up = Some(request);
                    }
                }
                Action::Done { token, end } => {
                    if let Some(key) = self.keys.remove(&token.id) {
                        self.lines.remove(key);
                    }
                    let end = end.map(|frames| RawReply { frames, last: true });
                    token.end(end.map_err(failure));
                }
                Action::Closed => self.closed = true,
            }
        }
        self.actions = actions;
        if let Some(socket) = &mut self.socket
            && let Err(error) = socket.flush()
        {
            tracing::warn!(who = "client", %error, "the socket failed");
            broken = true;
        }
        if let Some(request) = given_up {
            self.handle(Input::Cancel(request));
        }
        if broken {
            self.handle(Input::Broken);
        }
    }

    /// Passes a partial reply on. `false`: its reader is too slow.
    fn pass_on(&mut self, request: Key, frames: Vec<Bytes>) -> bool {
        let Some(line) = self.lines.get(request) else { return true };
        let cost = cost(&frames);
        let before = line.waiting.fetch_add(cost, Ordering::AcqRel);
        if before < self.window {
            line.end(Ok(RawReply { frames, last: false }));
            return true;
        }
        line.end(Err(RawError::TooSlow));
        self.keys.remove(&line.id);
        self.lines.remove(request);
        false
    }

    fn connect(&mut self, endpoint: usize) -> bool {
        match Socket::watched(&self.options, endpoint, self.form) {
            Ok(socket) => {
                self.socket = Some(socket);
                true
            }
            Err(error) => {
                tracing::warn!(who = "client", endpoint, %error, "could not connect");
                false
            }
        }
    }

    fn hang(&mut self) {
        self.connected = false;
        // Written messages are still sent; no further message is sent that the client would have to wait for.
        self.socket = None;
    }
}

fn failure(failure: Failure) -> RawError {
    match failure {
        Failure::Timeout { sent } => RawError::Timeout { sent },
        Failure::Lost(cause) => RawError::Lost(cause),
        Failure::TooMany => RawError::TooMany,
        Failure::Closed { sent } => RawError::Closed { sent },
    }
}
