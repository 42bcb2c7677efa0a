//! What the drivers of worker and client share: the socket to a broker, packets both ways, timers.

use std::future::{pending, poll_fn};
use std::pin::Pin;

use mdp_protocol::wire::{Command, Head, Record};
use mdp_protocol::{ConnectionState, Limits, LossCause, SessionAction, Time};
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::body::Body;
use crate::clock::Clock;
use crate::connection::{self, Connection};
use crate::pack::{CALL_WEIGHT, Gather, Received, weight_of};
use crate::plain::Side;
use crate::security::{ClientKeys, Faults};
use crate::transport::{Closing, Dealer, Runtime, SocketError, close_all};

/// Calls that are handled before the other side of a driver's loop has its turn. So few that they
/// are on their way again while the next ones come: the sides of a call work at the same time.
pub(crate) const BURST: usize = 128;

/// The same in what records weigh: items of streams are more.
pub(crate) const BURST_WEIGHT: usize = BURST * CALL_WEIGHT;

/// Where a worker or a client connects to, and with which keys.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) runtime: Runtime,
    pub(crate) endpoints: Vec<String>,
    pub(crate) keys: Option<ClientKeys>,
}

/// The socket of a worker or a client, and what waits to be sent on it.
pub(crate) struct Peer {
    pub(crate) clock: Clock,
    connection: Connection,
    /// When the machine makes its next attempt to connect, if it waits for that.
    pub(crate) next_attempt: Option<Time>,
    way: Way,
    link: Option<Dealer>,
    /// Of the link's endpoint.
    endpoint: usize,
    /// The handshake with this link's endpoint has failed.
    faulty: bool,
    /// The link has its connection, and nobody was told yet.
    made: bool,
    faults: Faults,
    gather: Gather,
    limits: Limits,
    heads: Vec<Head>,
    state: watch::Sender<ConnectionState>,
    /// What stands here in place of the socket, if the broker speaks plain MDP.
    plain: Option<Side>,
}

/// Why the session cannot go on with this socket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broken {
    /// The broker sent what cannot be read.
    Invalid,
    /// The socket could not be made, or failed, or its connection broke.
    Connection,
    /// The handshake has failed, and will again.
    Refused,
}

impl Peer {
    pub(crate) fn new(who: &'static str, way: Way, state: watch::Sender<ConnectionState>) -> Self {
        // What a broker sends is bounded by what it was sent; only the largest payload is not ours.
        let limits = Limits { frame_bytes: 64 << 20, frames: 1_024, ..Limits::default() };
        Peer {
            clock: Clock::start(),
            connection: Connection::new(who),
            next_attempt: None,
            way,
            link: None,
            endpoint: 0,
            faulty: false,
            made: false,
            faults: Faults::default(),
            gather: Gather::default(),
            limits,
            heads: Vec::new(),
            state,
            plain: None,
        }
    }

    /// The same of a worker of these services.
    pub(crate) fn of_services<'a>(mut self, names: impl Iterator<Item = &'a [u8]>) -> Self {
        self.connection.set_services(names);
        self
    }

    /// The endpoint that the peer is, or was, connected to.
    pub(crate) fn endpoint(&self) -> &str {
        self.way.endpoints.get(self.endpoint).map_or("", String::as_str)
    }

    /// A peer whose broker speaks plain MDP. `side` translates.
    pub(crate) fn over_plain(mut self, side: Side) -> Self {
        self.plain = Some(side);
        self
    }

    pub(crate) fn perform(&mut self, action: SessionAction<Body>) -> Result<(), Broken> {
        if let Some(plain) = &mut self.plain {
            return match action {
                SessionAction::State(state) if plain.state().is_none() => {
                    self.tell(state);
                    Ok(())
                }
                action => {
                    let now = self.clock.now();
                    plain.perform(now, &self.way, action)
                }
            };
        }
        match action {
            SessionAction::Connect { endpoint } => self.connect(endpoint),
            SessionAction::Send(record) => match self.gather.put(&record) {
                true => self.flush(),
                false => Ok(()),
            },
            SessionAction::State(state) => {
                let state = self.explained(state);
                self.tell(state);
                Ok(())
            }
        }
    }

    fn tell(&mut self, state: ConnectionState) {
        // Closed is said when the socket is, by `close`.
        if state != ConnectionState::Closed {
            self.log(&state);
            self.state.send_replace(state);
        }
    }

    fn log(&mut self, state: &ConnectionState) {
        // Of several connections the machine knows which one it is about.
        let last = self.plain.is_none().then_some(self.endpoint);
        let endpoint = connection::endpoint(state, &self.way.endpoints, last);
        self.connection.changed(self.clock.now(), state, &endpoint, self.next_attempt);
    }

    /// Where the state is told.
    pub(crate) fn state(&self) -> watch::Sender<ConnectionState> {
        self.state.clone()
    }

    /// What is known of handshakes that have failed.
    pub(crate) fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// The machine knows that nobody answered, and not why.
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

    /// A new socket each time (RFC 7 W6): nothing of an old session reaches the new one.
    fn connect(&mut self, endpoint: usize) -> Result<(), Broken> {
        self.gather.clear();
        // Else a broker that comes late would open a session for whoever is not there any more.
        self.discard();
        (self.endpoint, self.faulty, self.made) = (endpoint, false, false);
        let keys = self.way.keys.as_ref().map(|keys| (keys, endpoint));
        let Some(endpoint) = self.way.endpoints.get(endpoint) else {
            return Err(Broken::Connection);
        };
        match Dealer::connect(&self.way.runtime, endpoint, keys) {
            Ok(link) => {
                self.link = Some(link);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(who = self.connection.who(), endpoint, %error, "could not connect");
                Err(Broken::Connection)
            }
        }
    }

    /// Goes on on the tokio runtime that this is called on.
    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        if let Some(plain) = &mut self.plain {
            return plain.moved();
        }
        let Some(link) = self.link.take() else { return Ok(()) };
        self.link = Some(link.moved().map_err(|error| self.broken(error))?);
        Ok(())
    }

    /// The next message of the socket, if one is there.
    fn receive(&mut self) -> Result<Option<Received>, Broken> {
        loop {
            let Some(link) = &mut self.link else { return Ok(None) };
            let lost = link.is_lost();
            let received = link.receive(&self.limits).map_err(|error| self.broken(error))?;
            if received.is_some() {
                if std::mem::take(&mut self.faulty) {
                    self.faults.set(self.endpoint, None);
                }
                return Ok(received.map(Received::from));
            }
            if lost {
                // libzmq would go on with another connection, on which nobody knows this peer.
                self.discard();
                return Err(Broken::Connection);
            }
            let Some(link) = &mut self.link else { return Ok(None) };
            let fault = link.look_around();
            self.made |= link.take_made();
            // What came before the connection was lost is read before that is said.
            let lost = link.is_lost();
            if let Some(fault) = fault {
                let endpoint = self.way.endpoints.get(self.endpoint);
                let (who, known) =
                    (self.connection.who(), self.faults.of(self.endpoint) == Some(fault));
                // Told once: it fails at each attempt.
                match known {
                    true => tracing::debug!(who, ?endpoint, %fault, "the handshake failed"),
                    false => tracing::warn!(who, ?endpoint, %fault, "the handshake failed"),
                }
                self.faults.set(self.endpoint, Some(fault));
                self.faulty = true;
                // libzmq has given the connection up.
                if fault.is_final() {
                    return Err(Broken::Refused);
                }
            }
            if !lost {
                return Ok(None);
            }
        }
    }

    /// Whether the link has got its connection since this was asked last.
    pub(crate) fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.made)
    }

    /// Closes the socket, and what it still holds goes nowhere.
    fn discard(&mut self) {
        let Some(link) = self.link.take() else { return };
        if let Err(error) = link.discard() {
            tracing::debug!(who = self.connection.who(), %error, "a socket may still write what it holds");
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

    /// The socket, to be closed.
    fn unlink(&mut self) -> Option<Closing> {
        self.link.take().map(Dealer::into_closing)
    }

    /// Hands the records of the next message to `take`, which stops at the first that cannot be read, and gives their
    /// weight.
    pub(crate) fn receive_one(
        &mut self,
        mut take: impl FnMut(Time, Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        let now = self.clock.now();
        if let Some(plain) = &mut self.plain {
            let received = plain.receive_one(now, |record| take(now, record));
            self.tell_news();
            return received;
        }
        let Some(message) = self.receive()? else { return Ok(None) };
        let mut heads = std::mem::take(&mut self.heads);
        let result = match message.decode(&self.limits, &mut heads) {
            Err(error) => {
                tracing::warn!(who = self.connection.who(), %error, "message of the broker dropped");
                Err(Broken::Invalid)
            }
            Ok(()) => heads.iter().try_fold(weight_of(&heads), |weight, head| {
                let record = Record::read(head, &message.packet, |head| message.body(head));
                take(now, record.map_err(|_| Broken::Invalid)?);
                Ok(weight)
            }),
        };
        heads.clear();
        self.heads = heads;
        result.map(Some)
    }

    /// Says what state the connections of plain MDP are in, if that is theirs to say and new.
    fn tell_news(&mut self) {
        let Some(state) = self.plain.as_ref().and_then(|plain| plain.state()) else { return };
        if *self.state.borrow() != *state {
            self.tell(state.clone());
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        self.connection.settle(&self.clock);
        if let Some(plain) = &mut self.plain {
            return plain.flush();
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        self.gather.flush(|packet| link.send(packet)).map_err(|error| self.broken(error))
    }

    /// Whether there is something to receive. A broken socket says yes, and shows at the next receive.
    pub(crate) fn is_readable(&mut self) -> bool {
        if let Some(plain) = &mut self.plain {
            return plain.is_readable();
        }
        self.link.as_ref().is_some_and(Dealer::is_readable)
    }

    fn broken(&self, error: SocketError) -> Broken {
        tracing::warn!(who = self.connection.who(), %error, "the socket failed");
        Broken::Connection
    }

    /// When there is something to receive at the latest, though nothing comes.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.plain.as_ref().and_then(|plain| plain.next_deadline())
    }

    /// Closes the socket once it has written what it held, and says so.
    pub(crate) async fn close(mut self) {
        // A broken socket has lost it anyway.
        let _ = self.flush();
        let mut sockets: Vec<Closing> = self.unlink().into_iter().collect();
        sockets.extend(self.plain.take().into_iter().flat_map(|plain| plain.into_sockets()));
        close_all(&self.way.runtime, sockets).await;
        self.log(&ConnectionState::Closed);
        self.state.send_replace(ConnectionState::Closed);
    }

    /// Waits until there is something to receive, the connection is lost, or there is room for what waits to be sent.
    pub(crate) async fn ready(&mut self) {
        if let Some(plain) = &mut self.plain {
            return poll_fn(|cx| plain.poll_ready(cx)).await;
        }
        match &mut self.link {
            Some(link) => link.ready(!self.gather.is_empty()).await,
            None => pending().await,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.unlink());
    }
}

/// A timer that is set anew only when that makes it fire sooner: it may fire too early, never too
/// late, and costs nothing while deadlines move away.
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
