//! The link to a broker over MDP/RPC: one socket, packets in both directions.

use std::future::pending;

use mdp_protocol::wire::{Command, Head, Record};
use mdp_protocol::{ConnectionState, Limits, LossCause, SessionAction};

use crate::peer::{Broken, ConnectOptions};
use mdp_call::body::Body;
use mdp_call::pack::{Gather, Received, weight_of};
use mdp_transport::Faults;
use mdp_transport::{Closing, Dealer, SocketError};

/// The socket of a worker or a client, and its queue of packets.
pub(crate) struct RpcLink {
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
    pub(crate) fn new(who: &'static str, faults: Faults) -> Self {
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
    pub(crate) fn endpoint(&self) -> usize {
        self.endpoint
    }

    pub(crate) fn perform(
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
    pub(crate) fn explained(&mut self, state: ConnectionState) -> ConnectionState {
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
        self.gather.clear();
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
    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        let Some(socket) = self.socket.take() else { return Ok(()) };
        self.socket = Some(socket.moved().map_err(|error| self.broken(error))?);
        Ok(())
    }

    /// Receives the socket's next message, if there is one.
    fn receive(&mut self, options: &ConnectOptions) -> Result<Option<Received>, Broken> {
        loop {
            let Some(socket) = &mut self.socket else { return Ok(None) };
            let lost = socket.is_lost();
            let received = socket.receive(&self.limits).map_err(|error| self.broken(error))?;
            if let Some(received) = received {
                if std::mem::take(&mut self.faulty) {
                    self.faults.set(self.endpoint, None);
                }
                return Ok(Some(received.into()));
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
    pub(crate) fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.made)
    }

    /// Closes the socket and drops its messages.
    fn discard(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        if let Err(error) = socket.discard() {
            tracing::debug!(who = self.who, %error, "a closed socket may still write its messages");
        }
    }

    /// Takes the calls whose REQUESTs no socket has accepted, in order.
    pub(crate) fn take_unsent(&mut self) -> Vec<u64> {
        let mut calls = Vec::new();
        for message in self.gather.take() {
            let mut heads = Vec::new();
            if message.decode(&self.limits, &mut heads).is_err() {
                continue;
            }
            let requests = heads.iter().filter(|head| head.command() == Some(Command::Request));
            calls.extend(requests.map(|head| head.call));
        }
        calls
    }

    /// Passes the records of the next message to `take`, up to the first invalid one. Returns the weight of the
    /// message.
    pub(crate) fn receive_one(
        &mut self,
        options: &ConnectOptions,
        mut take: impl FnMut(Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        let Some(message) = self.receive(options)? else { return Ok(None) };
        let mut heads = std::mem::take(&mut self.heads);
        let result = match message.decode(&self.limits, &mut heads) {
            Err(error) => {
                tracing::warn!(who = self.who, %error, "message of the broker dropped");
                Err(Broken::Invalid)
            }
            Ok(()) => heads.iter().try_fold(weight_of(&heads), |weight, head| {
                let record = Record::read(head, &message.packet, |head| message.body(head));
                take(record.map_err(|_| Broken::Invalid)?);
                Ok(weight)
            }),
        };
        heads.clear();
        self.heads = heads;
        result.map(Some)
    }

    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        self.gather.flush(|packet| socket.send(packet)).map_err(|error| self.broken(error))
    }

    /// Whether the next receive returns a message or an error.
    pub(crate) fn is_readable(&self) -> bool {
        self.socket.as_ref().is_some_and(Dealer::is_readable)
    }

    fn broken(&self, error: SocketError) -> Broken {
        tracing::warn!(who = self.who, %error, "the socket failed");
        Broken::Connection
    }

    /// Ends the socket after it has written its messages.
    pub(crate) fn take_socket(&mut self) -> Option<Closing> {
        self.socket.take().map(Dealer::into_closing)
    }

    /// Waits for a message, for the loss of the connection, or for room for a waiting packet.
    pub(crate) async fn ready(&mut self) {
        match &mut self.socket {
            Some(socket) => socket.ready(!self.gather.is_empty()).await,
            None => pending().await,
        }
    }
}

impl Drop for RpcLink {
    fn drop(&mut self) {
        drop(self.take_socket());
    }
}
