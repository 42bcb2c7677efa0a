//! The common part of the drivers of worker and client: the connection to a broker, its state, timers.
//!
//! There are two ways to a broker ([`BrokerLink`]): a socket and packets of MDP/RPC ([`RpcLink`]), or classic MDP with
//! its translation.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::Pin;

use mdp_protocol::wire::{self, Head, Record};
use mdp_protocol::{ConnectionState, Limits, LossCause, SessionAction, Time};
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::classic::Side;
use crate::connection::{self, Connection};
use mdp_call::body::{Body, Packer, weight_of};
use mdp_transport::clock::Clock;
use mdp_transport::endpoint;
use mdp_transport::security::CurveClient;
use mdp_transport::{
    ClientKeys, Closing, Context, Dealer, EndpointError, Faults, InPacket, SocketError, Transport,
    Unusable, close_all,
};

/// How a worker or a client reaches its broker, as its builder collects it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectSettings {
    /// In the order in which they are tried.
    pub(crate) endpoints: Vec<String>,
    /// `None`: the context of the process.
    pub(crate) context: Option<Context>,
    pub(crate) curve: Option<CurveClient>,
}

impl ConnectSettings {
    /// Checks the endpoints.
    pub(crate) fn check(&self) -> Result<(), EndpointError> {
        endpoint::check_all(&self.endpoints)
    }

    /// Chooses the context and prepares the keys.
    pub(crate) fn into_options(self) -> Result<ConnectOptions, Unusable> {
        let context = self.context.unwrap_or_else(|| Context::global().clone());
        let count = self.endpoints.len();
        let keys = self.curve.map(|curve| curve.prepare(context.has_curve(), count)).transpose()?;
        Ok(ConnectOptions { context, endpoints: self.endpoints, keys })
    }
}

/// The endpoints and keys of a worker or a client.
#[derive(Clone)]
pub(crate) struct ConnectOptions {
    pub(crate) context: Context,
    pub(crate) endpoints: Vec<String>,
    pub(crate) keys: Option<ClientKeys>,
}

/// A worker or a client with its link to a broker.
pub(crate) struct Peer {
    pub(crate) clock: Clock,
    connection: Connection,
    /// The time of the state machine's next attempt to connect, if the state machine waits for it.
    pub(crate) next_attempt: Option<Time>,
    way: ConnectOptions,
    link: BrokerLink,
    faults: Faults,
    state: watch::Sender<ConnectionState>,
}

/// The reason why the session cannot continue with this socket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broken {
    /// The broker sent an invalid message.
    Invalid,
    /// The socket could not be made, or failed, or its connection was lost.
    Connection,
    /// The handshake has failed, and another attempt would fail, too.
    Refused,
}

impl Peer {
    pub(crate) fn new(
        who: &'static str,
        way: ConnectOptions,
        state: watch::Sender<ConnectionState>,
    ) -> Self {
        let faults = Faults::default();
        Peer {
            clock: Clock::start(),
            connection: Connection::new(who),
            next_attempt: None,
            way,
            link: BrokerLink::Rpc(RpcLink::new(who, faults.clone())),
            faults,
            state,
        }
    }

    /// The same peer, which notes failed handshakes here.
    pub(crate) fn noting(self, faults: Faults) -> Self {
        let link = BrokerLink::Rpc(RpcLink::new(self.connection.who(), faults.clone()));
        Peer { link, faults, ..self }
    }

    /// The same peer, as a worker of these services.
    pub(crate) fn of_services<'a>(mut self, names: impl Iterator<Item = &'a [u8]>) -> Self {
        self.connection.set_services(names);
        self
    }

    /// The same peer, for a broker of classic MDP. `side` translates between the protocols.
    pub(crate) fn over_classic(mut self, side: Side) -> Self {
        self.link = BrokerLink::Classic(side);
        self
    }

    /// The endpoint of the current or the last connection.
    pub(crate) fn endpoint(&self) -> &str {
        let endpoint = self.link.endpoint().unwrap_or_default();
        self.way.endpoints.get(endpoint).map_or("", String::as_str)
    }

    pub(crate) fn perform(&mut self, action: SessionAction<Body>) -> Result<(), Broken> {
        match action {
            SessionAction::State(state) => {
                if let ConnectionState::Disconnected(cause) = &state {
                    self.link.leave(cause);
                }
                if let Some(state) = self.link.explained(state) {
                    self.tell(state);
                }
                Ok(())
            }
            action => self.link.perform(&self.clock, &self.way, action),
        }
    }

    fn tell(&mut self, state: ConnectionState) {
        // `close` reports `Closed` after the socket is closed.
        if state != ConnectionState::Closed {
            self.log(&state);
            self.state.send_replace(state);
        }
    }

    fn log(&mut self, state: &ConnectionState) {
        let endpoint = connection::endpoint(state, &self.way.endpoints, self.link.endpoint());
        self.connection.changed(self.clock.now(), state, &endpoint, self.next_attempt);
    }

    /// The sender of the state.
    pub(crate) fn state(&self) -> watch::Sender<ConnectionState> {
        self.state.clone()
    }

    /// The failed handshakes.
    pub(crate) fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Moves the link to the tokio runtime of the caller.
    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        self.link.moved()
    }

    /// Whether the connection was made since the last call.
    pub(crate) fn take_made(&mut self) -> bool {
        self.link.take_made()
    }

    /// Whether a part of a message came since the last call.
    pub(crate) fn take_alive(&mut self) -> bool {
        self.link.take_alive()
    }

    /// Takes the calls whose REQUESTs no socket has accepted, in order.
    pub(crate) fn take_unsent(&mut self) -> Vec<u64> {
        self.link.take_unsent()
    }

    /// Passes the records of the next message to `take`, up to the first invalid one. Returns the weight of the
    /// message.
    pub(crate) fn receive_one(
        &mut self,
        mut take: impl FnMut(Time, Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        let now = self.clock.now();
        let received = self.link.receive_one(now, &self.way, |record| take(now, record));
        self.tell_news();
        received
    }

    /// Reports the link's state if the link reports it itself, and if it is new.
    fn tell_news(&mut self) {
        let Some(state) = self.link.state() else { return };
        if *self.state.borrow() != *state {
            self.tell(state.clone());
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        self.connection.settle(&self.clock);
        self.link.flush()
    }

    /// Whether the next receive returns a message or an error.
    pub(crate) fn is_readable(&mut self) -> bool {
        self.link.is_readable()
    }

    /// Whether messages can arrive while the task does not wait, so that polling may find one.
    pub(crate) fn can_poll(&self) -> bool {
        self.way.context.transport() != Transport::Native
    }

    /// The latest moment of the next receive, even if no message arrives.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.link.next_deadline()
    }

    /// Closes the socket after it has written its messages, and reports `Closed`.
    pub(crate) async fn close(mut self) {
        // A failed socket has lost its messages anyway.
        let _ = self.flush();
        let sockets = self.link.take_sockets();
        close_all(&self.way.context, sockets).await;
        self.log(&ConnectionState::Closed);
        self.state.send_replace(ConnectionState::Closed);
    }

    /// Waits for a message, for the loss of the connection, or for room for a waiting message.
    pub(crate) async fn ready(&mut self) {
        self.link.ready().await;
    }
}

/// The link between the state machine of a worker or a client and its broker.
#[allow(clippy::large_enum_variant)] // There is one for each peer, and calls go through it.
enum BrokerLink {
    /// A socket for MDP/RPC.
    Rpc(RpcLink),
    /// Sockets for classic MDP, and the translation between the protocols.
    Classic(Side),
}

impl BrokerLink {
    fn perform(
        &mut self,
        clock: &Clock,
        options: &ConnectOptions,
        action: SessionAction<Body>,
    ) -> Result<(), Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.perform(options, action),
            BrokerLink::Classic(side) => side.perform(clock.now(), options, action),
        }
    }

    /// Closes the socket of a session that is over, so that the broker does not take this peer for a living one.
    fn leave(&mut self, cause: &LossCause) {
        if let BrokerLink::Rpc(rpc) = self {
            rpc.leave(cause);
        }
    }

    /// The state to report when the state machine reports this one. `None`: the link reports the state itself.
    fn explained(&mut self, state: ConnectionState) -> Option<ConnectionState> {
        match self {
            BrokerLink::Rpc(rpc) => Some(rpc.explained(state)),
            BrokerLink::Classic(side) => side.state().is_none().then_some(state),
        }
    }

    /// The state, if the link reports it itself.
    fn state(&self) -> Option<&ConnectionState> {
        match self {
            BrokerLink::Rpc(_) => None,
            BrokerLink::Classic(side) => side.state(),
        }
    }

    /// The endpoint of the only connection. `None`: there are several connections, and the state machine names the
    /// endpoint.
    fn endpoint(&self) -> Option<usize> {
        match self {
            BrokerLink::Rpc(rpc) => Some(rpc.endpoint()),
            BrokerLink::Classic(_) => None,
        }
    }

    /// Moves the link to the tokio runtime of the caller.
    fn moved(&mut self) -> Result<(), Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.moved(),
            BrokerLink::Classic(side) => side.moved(),
        }
    }

    /// Passes the records of the next message to `take`, and returns their weight.
    fn receive_one(
        &mut self,
        now: Time,
        options: &ConnectOptions,
        take: impl FnMut(Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.receive_one(options, take),
            BrokerLink::Classic(side) => side.receive_one(now, take),
        }
    }

    /// Whether the connection was made since the last call. The link may not be able to detect this.
    fn take_made(&mut self) -> bool {
        match self {
            BrokerLink::Rpc(rpc) => rpc.take_made(),
            BrokerLink::Classic(_) => false,
        }
    }

    /// Whether a part of a message came since the last call. The link may not be able to detect this.
    fn take_alive(&mut self) -> bool {
        match self {
            BrokerLink::Rpc(rpc) => rpc.socket.as_mut().is_some_and(Dealer::take_alive),
            BrokerLink::Classic(_) => false,
        }
    }

    /// Takes the calls whose REQUESTs no socket has accepted, in order.
    fn take_unsent(&mut self) -> Vec<u64> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.take_unsent(),
            BrokerLink::Classic(_) => Vec::new(),
        }
    }

    fn flush(&mut self) -> Result<(), Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.flush(),
            BrokerLink::Classic(side) => side.flush(),
        }
    }

    /// Whether the next receive returns a message or an error.
    fn is_readable(&mut self) -> bool {
        match self {
            BrokerLink::Rpc(rpc) => rpc.is_readable(),
            BrokerLink::Classic(side) => side.is_readable(),
        }
    }

    /// The latest moment of the next receive, even if no message arrives.
    fn next_deadline(&self) -> Option<Time> {
        match self {
            BrokerLink::Rpc(_) => None,
            BrokerLink::Classic(side) => side.next_deadline(),
        }
    }

    /// Waits for a message, for the loss of a connection, or for room for a waiting message.
    async fn ready(&mut self) {
        match self {
            BrokerLink::Rpc(rpc) => rpc.ready().await,
            BrokerLink::Classic(side) => poll_fn(|cx| side.poll_ready(cx)).await,
        }
    }

    /// Takes the sockets, to close them after all messages are written.
    fn take_sockets(&mut self) -> Vec<Closing> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.take_socket().into_iter().collect(),
            BrokerLink::Classic(side) => side.take_sockets(),
        }
    }
}

/// The socket of a worker or a client, and its queue of packets.
struct RpcLink {
    /// The role of the socket's owner, for the log.
    who: &'static str,
    socket: Option<Dealer>,
    /// The index of the socket's endpoint.
    endpoint: usize,
    /// The handshake with this endpoint has failed.
    faulty: bool,
    /// The connection was made, and this was not reported yet.
    made: bool,
    faults: Faults,
    gather: Gather,
    limits: Limits,
    heads: Vec<Head>,
}

impl RpcLink {
    fn new(who: &'static str, faults: Faults) -> Self {
        // A broker sends only what its peers have sent, so its messages are limited. Only the largest payload may come
        // from another peer.
        let limits = Limits { frame_bytes: 64 << 20, frames: 1_024, ..Limits::default() };
        RpcLink {
            who,
            socket: None,
            endpoint: 0,
            faulty: false,
            made: false,
            faults,
            gather: Gather::default(),
            limits,
            heads: Vec::new(),
        }
    }

    /// The endpoint of the current or the last socket.
    fn endpoint(&self) -> usize {
        self.endpoint
    }

    fn perform(
        &mut self,
        options: &ConnectOptions,
        action: SessionAction<Body>,
    ) -> Result<(), Broken> {
        match action {
            SessionAction::Connect { endpoint } => self.connect(options, endpoint),
            SessionAction::Send(record) => match self.gather.put(&record) {
                true => self.flush(),
                false => Ok(()),
            },
            // `Peer` reports the state.
            SessionAction::State(_) => Ok(()),
        }
    }

    /// Adds the reason: the state machine knows only that no broker answered. A failed handshake explains this.
    fn explained(&mut self, state: ConnectionState) -> ConnectionState {
        match state {
            ConnectionState::Disconnected(
                LossCause::NoAnswer | LossCause::Invalid | LossCause::Broken | LossCause::Handshake,
            ) if self.faulty => ConnectionState::Disconnected(LossCause::Handshake),
            ConnectionState::Disconnected(_) => {
                self.faults.set(self.endpoint, None);
                state
            }
            state => state,
        }
    }

    /// Makes a new socket for each connection (RFC 7 W6), so that no message of an old session reaches the new one.
    fn connect(&mut self, options: &ConnectOptions, endpoint: usize) -> Result<(), Broken> {
        self.gather.packets.clear();
        // Otherwise a broker that starts late would open a session for a peer that has gone.
        self.discard();
        (self.endpoint, self.faulty, self.made) = (endpoint, false, false);
        let keys = options.keys.as_ref().map(|keys| (keys, endpoint));
        let Some(endpoint) = options.endpoints.get(endpoint) else {
            return Err(Broken::Connection);
        };
        match Dealer::connect(&options.context, endpoint, keys) {
            Ok(socket) => {
                self.socket = Some(socket);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(who = self.who, endpoint, %error, "could not connect");
                Err(Broken::Connection)
            }
        }
    }

    /// Moves the socket to the tokio runtime of the caller.
    fn moved(&mut self) -> Result<(), Broken> {
        let Some(socket) = self.socket.take() else { return Ok(()) };
        self.socket = Some(socket.moved().map_err(|error| self.broken(error))?);
        Ok(())
    }

    /// Receives the socket's next message, if there is one.
    fn receive(&mut self, options: &ConnectOptions) -> Result<Option<InPacket>, Broken> {
        loop {
            let Some(socket) = &mut self.socket else { return Ok(None) };
            let lost = socket.is_lost();
            let received = socket.receive(&self.limits).map_err(|error| self.broken(error))?;
            if let Some(received) = received {
                if std::mem::take(&mut self.faulty) {
                    self.faults.set(self.endpoint, None);
                }
                return Ok(Some(received));
            }
            if lost {
                // The socket would continue with a new connection, on which the broker does not know this peer.
                self.discard();
                return Err(Broken::Connection);
            }
            let Some(socket) = &mut self.socket else { return Ok(None) };
            let fault = socket.look_around();
            self.made |= socket.take_made();
            // Messages that arrived before the loss are read before the loss is reported.
            let lost = socket.is_lost();
            if let Some(fault) = fault {
                let endpoint = options.endpoints.get(self.endpoint);
                let (who, known) = (self.who, self.faults.of(self.endpoint) == Some(fault));
                // Logged as a warning once, because each attempt fails in the same way.
                match known {
                    true => tracing::debug!(who, ?endpoint, %fault, "the handshake failed"),
                    false => tracing::warn!(who, ?endpoint, %fault, "the handshake failed"),
                }
                self.faults.set(self.endpoint, Some(fault));
                self.faulty = true;
                // The socket has given up the connection.
                if fault.is_final() {
                    return Err(Broken::Refused);
                }
            }
            if !lost {
                return Ok(None);
            }
        }
    }

    /// Whether the connection was made since the last call.
    fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.made)
    }

    /// Closes the socket after the loss of the session. A worker that leaves while its runtime is stalled has said so, and
    /// that is still written.
    fn leave(&mut self, cause: &LossCause) {
        if *cause == LossCause::Stalled {
            // An error means that the connection is lost anyway.
            let _ = self.flush();
            drop(self.take_socket());
        } else {
            self.discard();
        }
        self.gather.packets.clear();
    }

    /// Closes the socket and drops its messages.
    fn discard(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        if let Err(error) = socket.discard() {
            tracing::debug!(who = self.who, %error, "a closed socket may still write its messages");
        }
    }

    /// Takes the calls whose REQUESTs no socket has accepted, in order.
    fn take_unsent(&mut self) -> Vec<u64> {
        let mut calls = Vec::new();
        for mut packer in self.gather.packets.drain(..) {
            let InPacket { first: packet, frames } = packer.take();
            let mut heads = Vec::new();
            let records = wire::read(&packet, &frames, &self.limits, &mut heads, |_| ());
            calls.extend(records.into_iter().flatten().filter_map(|record| match record {
                Ok(Record::Request { call, .. }) => Some(call),
                _ => None,
            }));
        }
        calls
    }

    /// Passes the records of the next message to `take`, up to the first invalid one. Returns the weight of the
    /// message.
    fn receive_one(
        &mut self,
        options: &ConnectOptions,
        mut take: impl FnMut(Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        let Some(InPacket { first: packet, frames }) = self.receive(options)? else {
            return Ok(None);
        };
        let mut heads = std::mem::take(&mut self.heads);
        let body = |head: &Head| Body::of(head, &packet, &frames);
        let result = match wire::read(&packet, &frames, &self.limits, &mut heads, body) {
            Err(error) => {
                tracing::warn!(who = self.who, %error, "message of the broker dropped");
                Err(Broken::Invalid)
            }
            Ok(mut records) => {
                let weight = weight_of(records.heads());
                records
                    .try_for_each(|record| record.map(&mut take))
                    .map_err(|_| Broken::Invalid)
                    .map(|()| weight)
            }
        };
        heads.clear();
        self.heads = heads;
        result.map(Some)
    }

    fn flush(&mut self) -> Result<(), Broken> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        self.gather.flush(socket).map_err(|error| self.broken(error))
    }

    /// Whether the next receive returns a message or an error.
    fn is_readable(&self) -> bool {
        self.socket.as_ref().is_some_and(Dealer::is_readable)
    }

    fn broken(&self, error: SocketError) -> Broken {
        tracing::warn!(who = self.who, %error, "the socket failed");
        Broken::Connection
    }

    /// Ends the socket after it has written its messages.
    fn take_socket(&mut self) -> Option<Closing> {
        self.socket.take().map(Dealer::into_closing)
    }

    /// Waits for a message, for the loss of the connection, or for room for a waiting packet.
    async fn ready(&mut self) {
        match &mut self.socket {
            Some(socket) => socket.ready(!self.gather.packets.is_empty()).await,
            None => pending().await,
        }
    }
}

impl Drop for RpcLink {
    fn drop(&mut self) {
        drop(self.take_socket());
    }
}

/// Packets for one socket that may be full. Packets that cannot be sent now wait in order.
#[derive(Default)]
struct Gather {
    packets: VecDeque<Packer>,
    /// An empty packer, kept to use its buffers again.
    spare: Option<Packer>,
}

impl Gather {
    /// Adds a record. `true`: its packet is full and should be sent.
    fn put<N: AsRef<[u8]>>(&mut self, record: &Record<N, Body>) -> bool {
        if self.packets.back().is_none_or(Packer::is_full) {
            self.packets.push_back(self.spare.take().unwrap_or_default());
        }
        self.packets.back_mut().is_some_and(|packer| {
            packer.put(record);
            packer.is_full()
        })
    }

    /// Sends until all packets are sent, or the socket has no more room.
    fn flush(&mut self, socket: &mut Dealer) -> Result<(), SocketError> {
        while let Some(packer) = self.packets.front_mut() {
            if !socket.send(packer.packet())? {
                return Ok(());
            }
            packer.clear();
            self.spare = self.packets.pop_front();
        }
        Ok(())
    }
}

/// A timer that is reset only to fire sooner. It may fire too early, but never too late, and costs nothing while
/// deadlines move into the future.
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    armed: bool,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Alarm {
            sleep: Box::pin(tokio::time::sleep_until(tokio::time::Instant::now())),
            armed: false,
        }
    }

    pub(crate) async fn wait(&mut self, clock: &Clock, deadline: Option<Time>) {
        let Some(deadline) = deadline else { return pending().await };
        let at = tokio::time::Instant::from_std(clock.instant(deadline));
        if !self.armed || at < self.sleep.deadline() {
            self.sleep.as_mut().reset(at);
            self.armed = true;
        }
        self.sleep.as_mut().await;
        self.armed = false;
    }
}
