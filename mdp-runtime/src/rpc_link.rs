//! The way to a broker that speaks MDP/RPC: one socket, packets both ways.

use std::future::pending;

use mdp_protocol::wire::{Command, Head, Record};
use mdp_protocol::{ConnectionState, Limits, LossCause, SessionAction};

use crate::peer::{Broken, Way};
use mdp_call::body::Body;
use mdp_call::pack::{Gather, Received, weight_of};
use mdp_transport::Faults;
use mdp_transport::{Closing, Dealer, SocketError};

/// The socket of a worker or a client, and what waits to be sent on it.
pub(crate) struct RpcLink {
    /// Whose it is, for the log.
    who: &'static str,
    socket: Option<Dealer>,
    /// Of the socket.
    endpoint: usize,
    /// The handshake with this endpoint has failed.
    faulty: bool,
    /// The socket has its connection, and nobody was told yet.
    made: bool,
    faults: Faults,
    gather: Gather,
    limits: Limits,
    heads: Vec<Head>,
}

impl RpcLink {
    pub(crate) fn new(who: &'static str, faults: Faults) -> Self {
        // What a broker sends is bounded by what it was sent; only the largest payload is not ours.
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

    /// The endpoint that the socket is, or was, connected to.
    pub(crate) fn endpoint(&self) -> usize {
        self.endpoint
    }

    pub(crate) fn perform(&mut self, way: &Way, action: SessionAction<Body>) -> Result<(), Broken> {
        match action {
            SessionAction::Connect { endpoint } => self.connect(way, endpoint),
            SessionAction::Send(record) => match self.gather.put(&record) {
                true => self.flush(),
                false => Ok(()),
            },
            // The peer's to say.
            SessionAction::State(_) => Ok(()),
        }
    }

    /// The machine knows that nobody answered, and not why.
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

    /// A new socket each time (RFC 7 W6): nothing of an old session reaches the new one.
    fn connect(&mut self, way: &Way, endpoint: usize) -> Result<(), Broken> {
        self.gather.clear();
        // Else a broker that comes late would open a session for whoever is not there any more.
        self.discard();
        (self.endpoint, self.faulty, self.made) = (endpoint, false, false);
        let keys = way.keys.as_ref().map(|keys| (keys, endpoint));
        let Some(endpoint) = way.endpoints.get(endpoint) else {
            return Err(Broken::Connection);
        };
        match Dealer::connect(&way.runtime, endpoint, keys) {
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

    /// Goes on on the tokio runtime that this is called on.
    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        let Some(socket) = self.socket.take() else { return Ok(()) };
        self.socket = Some(socket.moved().map_err(|error| self.broken(error))?);
        Ok(())
    }

    /// The next message of the socket, if one is there.
    fn receive(&mut self, way: &Way) -> Result<Option<Received>, Broken> {
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
                // The socket would go on with another connection, on which nobody knows this peer.
                self.discard();
                return Err(Broken::Connection);
            }
            let Some(socket) = &mut self.socket else { return Ok(None) };
            let fault = socket.look_around();
            self.made |= socket.take_made();
            // What came before the connection was lost is read before that is said.
            let lost = socket.is_lost();
            if let Some(fault) = fault {
                let endpoint = way.endpoints.get(self.endpoint);
                let (who, known) = (self.who, self.faults.of(self.endpoint) == Some(fault));
                // Told once: it fails at each attempt.
                match known {
                    true => tracing::debug!(who, ?endpoint, %fault, "the handshake failed"),
                    false => tracing::warn!(who, ?endpoint, %fault, "the handshake failed"),
                }
                self.faults.set(self.endpoint, Some(fault));
                self.faulty = true;
                // The socket has given the connection up.
                if fault.is_final() {
                    return Err(Broken::Refused);
                }
            }
            if !lost {
                return Ok(None);
            }
        }
    }

    /// Whether the socket has got its connection since this was asked last.
    pub(crate) fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.made)
    }

    /// Closes the socket, and what it still holds goes nowhere.
    fn discard(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        if let Err(error) = socket.discard() {
            tracing::debug!(who = self.who, %error, "a socket may still write what it holds");
        }
    }

    /// The calls whose REQUESTs were given to no socket, in order. They are forgotten here.
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

    /// Hands the records of the next message to `take`, which stops at the first that cannot be read, and gives their
    /// weight.
    pub(crate) fn receive_one(
        &mut self,
        way: &Way,
        mut take: impl FnMut(Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        let Some(message) = self.receive(way)? else { return Ok(None) };
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

    /// Whether there is something to receive. A broken socket says yes, and shows at the next receive.
    pub(crate) fn is_readable(&self) -> bool {
        self.socket.as_ref().is_some_and(Dealer::is_readable)
    }

    fn broken(&self, error: SocketError) -> Broken {
        tracing::warn!(who = self.who, %error, "the socket failed");
        Broken::Connection
    }

    /// The socket, to be closed when it has written what it holds.
    pub(crate) fn take_socket(&mut self) -> Option<Closing> {
        self.socket.take().map(Dealer::into_closing)
    }

    /// Waits until there is something to receive, the connection is lost, or there is room for what waits to be sent.
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
