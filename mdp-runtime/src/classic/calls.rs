//! A client's calls in tunnels. It plays the broker for the client's state machine.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use mdp_protocol::wire::classic::{self, Form, Reader};
use mdp_protocol::wire::{CallKind, Direction, Part, Record, units};
use mdp_protocol::{Code, Limits, Payload, Reason, SessionAction, names};

use super::inbound::Inbound;
use super::socket::Socket;
use super::tunnel::{self, Tunnel};
use crate::peer::{Broken, ConnectOptions};
use mdp_call::body::Body;
use mdp_transport::{Closing, SocketError};

/// The maximum of a stream that is kept beyond its reader's window, in units of 256 bytes: 4 MiB.
const MAX_KEPT: u32 = 16_384;
/// The same maximum for all streams together: 64 MiB.
const MAX_KEPT_OF_ALL: u32 = 16 * MAX_KEPT;

pub(crate) struct Calls {
    form: Form,
    limits: Limits,
    socket: Option<Socket>,
    /// The socket is connected, and the state machine has received WELCOME.
    open: bool,
    /// The id that the client asked for.
    id: Arc<[u8]>,
    inbound: VecDeque<Inbound>,
    calls: HashMap<u64, Open>,
    /// The kept items of all streams, in units.
    kept_units: u32,
}

/// A call that was sent.
struct Open {
    service: Arc<[u8]>,
    /// The replies stream.
    streams: bool,
    /// A part of the stream has arrived.
    begun: bool,
    /// The credit of the reader, in units.
    credit: i64,
    /// Parts of the stream that arrived without credit, in order. `kept_units` is their cost.
    kept: VecDeque<Tunnel>,
    kept_units: u32,
}

impl Calls {
    pub(crate) fn new(form: Form) -> Self {
        Calls {
            form,
            limits: super::limits(),
            socket: None,
            open: false,
            id: Arc::from([]),
            inbound: VecDeque::new(),
            calls: HashMap::new(),
            kept_units: 0,
        }
    }

    pub(super) fn perform(
        &mut self,
        options: &ConnectOptions,
        action: SessionAction<Body>,
    ) -> Result<(), Broken> {
        match action {
            SessionAction::Connect { endpoint } => self.connect(options, endpoint),
            SessionAction::Send(record) => {
                self.say(record);
                Ok(())
            }
            SessionAction::State(_) => Ok(()),
        }
    }

    fn connect(&mut self, options: &ConnectOptions, endpoint: usize) -> Result<(), Broken> {
        // No data of an old connection may reach the new one.
        self.inbound.clear();
        self.calls.clear();
        self.kept_units = 0;
        self.open = false;
        self.socket = None;
        match Socket::watched(options, endpoint, self.form) {
            Ok(socket) => {
                self.socket = Some(socket);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(who = "client", endpoint, %error, "could not connect");
                Err(Broken::Connection)
            }
        }
    }

    /// Handles a record from the client's state machine.
    fn say(&mut self, record: Record<Arc<[u8]>, Body>) {
        match &record {
            Record::Hello { id, .. } => self.id = Arc::clone(id),
            Record::Heartbeat if self.open => self.inbound.push_back(Inbound::Heartbeat),
            Record::Request { call, kind, body, .. } => self.request(*call, *kind, body, &record),
            Record::Credit { call, of: Direction::Replies, units } => self.credit(*call, *units),
            // The worker continues; its reply is dropped here.
            Record::Cancel { call } => self.forget(*call),
            _ => {}
        }
    }

    fn request(
        &mut self,
        call: u64,
        kind: CallKind,
        body: &Body,
        record: &Record<Arc<[u8]>, Body>,
    ) {
        let streams = kind.streams(Direction::Replies);
        let no_place = kind.streams(Direction::Requests) || (streams && self.form == Form::V01);
        if no_place {
            let message = match self.form {
                Form::V01 => "MDP/0.1 has no streams",
                _ => "MDP/0.2 has no streams of requests",
            };
            let (code, reason) = (Code::Unimplemented, Reason::NotDispatched);
            let refused = Inbound::refused(call, code, reason, true, message.to_owned());
            return self.inbound.push_back(refused);
        }
        // The state machine sends no other paths.
        let path = std::str::from_utf8(body.path()).unwrap_or_default();
        let service = names::split(path).map(|(service, _)| service).unwrap_or_default();
        if let Some(socket) = &mut self.socket {
            let command = classic::Command::Request { service: service.as_bytes() };
            socket.say(command, tunnel::write(record));
        }
        let open = Open {
            service: Arc::from(service.as_bytes()),
            streams,
            begun: false,
            credit: 0,
            kept: VecDeque::new(),
            kept_units: 0,
        };
        self.calls.insert(call, open);
    }

    fn credit(&mut self, call: u64, units: u32) {
        let Some(open) = self.calls.get_mut(&call) else { return };
        open.credit += i64::from(units);
        let mut ended = false;
        while let Some(tunnel) = open.kept.front() {
            match Kind::of(tunnel) {
                Kind::Item(_) if open.credit <= 0 => break,
                Kind::Item(cost) => {
                    open.credit -= i64::from(cost);
                    open.kept_units = open.kept_units.saturating_sub(cost);
                    self.kept_units = self.kept_units.saturating_sub(cost);
                }
                kind => ended |= matches!(kind, Kind::Final),
            }
            self.inbound.extend(open.kept.pop_front().map(Inbound::Tunnel));
        }
        if ended {
            self.forget(call);
        }
    }

    fn forget(&mut self, call: u64) {
        if let Some(open) = self.calls.remove(&call) {
            self.kept_units = self.kept_units.saturating_sub(open.kept_units);
        }
    }

    /// Returns the next record for the client's state machine.
    pub(super) fn receive(&mut self) -> Result<Option<Inbound>, Broken> {
        loop {
            if let Some(inbound) = self.inbound.pop_front() {
                return Ok(Some(inbound));
            }
            let Some(socket) = &mut self.socket else { return Ok(None) };
            match socket.receive(&self.limits).map_err(broken)? {
                Some(frames) => self.hear(&frames)?,
                None if !self.look_whether_connected()? => return Ok(None),
                None => {}
            }
        }
    }

    /// Checks the connection. `true`: its state has changed.
    fn look_whether_connected(&mut self) -> Result<bool, Broken> {
        let Some(socket) = &mut self.socket else { return Ok(false) };
        match (self.open, socket.look_whether_connected()) {
            (false, true) => {
                self.open = true;
                self.inbound.push_back(Inbound::Welcome { id: Arc::clone(&self.id) });
                Ok(true)
            }
            (true, false) => {
                self.socket = None;
                self.open = false;
                Err(Broken::Connection)
            }
            _ => Ok(false),
        }
    }

    fn hear(&mut self, frames: &[bytes::Bytes]) -> Result<(), Broken> {
        let message = classic::read(Reader::Peer, frames, &self.limits).map_err(|error| {
            tracing::warn!(who = "client", %error, "message of the broker dropped");
            Broken::Invalid
        })?;
        let classic::Command::Reply { service, last } = message.command else {
            tracing::warn!(who = "client", "the broker sent a message that is not for clients");
            return Err(Broken::Invalid);
        };
        let body = frames.get(message.body..).unwrap_or_default();
        match Tunnel::read(body, &self.limits) {
            Some(tunnel) => self.hear_tunnel(service, last, tunnel),
            None => self.hear_raw(service, last),
        }
        Ok(())
    }

    fn hear_tunnel(&mut self, service: &[u8], last: bool, mut tunnel: Tunnel) {
        let call = tunnel.head.call;
        let Some(open) = self.calls.get_mut(&call).filter(|open| *open.service == *service) else {
            // The reply is late: the call has ended.
            return;
        };
        let cost = match (Kind::of(&tunnel), last) {
            (Kind::Final, true) => {
                // A broker of another project does not count attempts.
                tunnel.head.count = tunnel.head.count.max(1);
                0
            }
            (Kind::Open | Kind::Item(_), false) if !open.streams => return,
            // OPEN is not allowed after the first item.
            (Kind::Open, false) if open.begun => return,
            (Kind::Open, false) => 0,
            (Kind::Item(cost), false) => cost,
            _ => {
                let message = "a worker answered the call with an invalid answer";
                return self.end(call, Code::Internal, Reason::MaybeExecuted, message);
            }
        };
        open.begun = true;
        if open.kept.is_empty() && (cost == 0 || open.credit > 0) {
            open.credit -= i64::from(cost);
            if last {
                self.forget(call);
            }
            return self.inbound.push_back(Inbound::Tunnel(tunnel));
        }
        let too_much = open.kept_units.saturating_add(cost) > MAX_KEPT
            || self.kept_units.saturating_add(cost) > MAX_KEPT_OF_ALL;
        if too_much {
            let message = "the reader of the stream is too slow, and classic MDP has no flow \
                           control: 4 MiB are kept of a stream, 64 MiB of all streams of a client";
            return self.end(call, Code::ResourceExhausted, Reason::LimitReached, message);
        }
        open.kept_units += cost;
        self.kept_units += cost;
        open.kept.push_back(tunnel);
    }

    /// Handles a reply from a worker that does not support tunnels. The reply names no call, so it counts only if the
    /// service has exactly one call.
    fn hear_raw(&mut self, service: &[u8], last: bool) {
        let mut of_service = self.calls.iter().filter(|(_, open)| *open.service == *service);
        let only = match (of_service.next(), of_service.next()) {
            (Some((call, _)), None) => Some(*call),
            _ => None,
        };
        match only {
            Some(call) if last => {
                let message =
                    "the worker of the service uses classic MDP and does not support typed calls";
                self.end(call, Code::Internal, Reason::MaybeExecuted, message);
            }
            _ => {
                let service = service.escape_ascii().to_string();
                tracing::warn!(service, "a reply without a typed call was dropped");
            }
        }
    }

    fn end(&mut self, call: u64, code: Code, reason: Reason, message: &str) {
        self.forget(call);
        let refused = Inbound::refused(call, code, reason, false, message.to_owned());
        self.inbound.push_back(refused);
    }

    pub(super) fn flush(&mut self) -> Result<(), Broken> {
        match &mut self.socket {
            Some(socket) => socket.flush().map_err(broken),
            None => Ok(()),
        }
    }

    pub(super) fn is_readable(&mut self) -> bool {
        !self.inbound.is_empty() || self.socket.as_mut().is_some_and(Socket::is_readable)
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.inbound.is_empty() {
            return Poll::Ready(());
        }
        match &mut self.socket {
            Some(socket) => socket.poll_ready(cx),
            None => Poll::Pending,
        }
    }

    pub(super) fn take_sockets(&mut self) -> Vec<Closing> {
        self.socket.take().into_iter().map(Socket::into_closing).collect()
    }
}

/// The record in a worker's tunnel.
enum Kind {
    Open,
    /// An item with its cost in units.
    Item(u32),
    Final,
    Other,
}

impl Kind {
    fn of(tunnel: &Tunnel) -> Self {
        match tunnel.record() {
            Some(Record::Data { of: Direction::Replies, part, .. }) => match part {
                Part::Open(_) => Kind::Open,
                Part::Item(body) => Kind::Item(units(body.size())),
                Part::End => Kind::Other,
            },
            Some(Record::Final { .. }) => Kind::Final,
            _ => Kind::Other,
        }
    }
}

fn broken(error: SocketError) -> Broken {
    tracing::warn!(who = "client", %error, "the socket failed");
    Broken::Connection
}
