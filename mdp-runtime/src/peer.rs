//! The common part of the drivers of worker and client: the link to a broker, its state, timers.

use std::future::pending;
use std::pin::Pin;

use mdp_protocol::wire::Record;
use mdp_protocol::{ConnectionState, SessionAction, Time};
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::broker_link::BrokerLink;
use crate::classic::Side;
use crate::connection::{self, Connection};
use crate::rpc_link::RpcLink;
use mdp_call::body::Body;
use mdp_transport::clock::Clock;
use mdp_transport::{ClientKeys, Faults};
use mdp_transport::{Context, close_all};

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
