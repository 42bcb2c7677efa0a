//! What the drivers of worker and client share: the way to a broker, its state, timers.

use std::future::pending;
use std::pin::Pin;

use mdp_protocol::wire::Record;
use mdp_protocol::{ConnectionState, SessionAction, Time};
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::broker_link::BrokerLink;
use crate::connection::{self, Connection};
use crate::plain::Side;
use crate::rpc_link::RpcLink;
use mdp_call::body::Body;
use mdp_transport::clock::Clock;
use mdp_transport::{ClientKeys, Faults};
use mdp_transport::{Runtime, close_all};

/// Where a worker or a client connects to, and with which keys.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) runtime: Runtime,
    pub(crate) endpoints: Vec<String>,
    pub(crate) keys: Option<ClientKeys>,
}

/// A worker or a client towards its broker.
pub(crate) struct Peer {
    pub(crate) clock: Clock,
    connection: Connection,
    /// When the machine makes its next attempt to connect, if it waits for that.
    pub(crate) next_attempt: Option<Time>,
    way: Way,
    link: BrokerLink,
    faults: Faults,
    state: watch::Sender<ConnectionState>,
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

    /// The same of a worker of these services.
    pub(crate) fn of_services<'a>(mut self, names: impl Iterator<Item = &'a [u8]>) -> Self {
        self.connection.set_services(names);
        self
    }

    /// A peer whose broker speaks plain MDP. `side` translates.
    pub(crate) fn over_plain(mut self, side: Side) -> Self {
        self.link = BrokerLink::Plain(side);
        self
    }

    /// The endpoint that the peer is, or was, connected to.
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
        // Closed is said when the socket is, by `close`.
        if state != ConnectionState::Closed {
            self.log(&state);
            self.state.send_replace(state);
        }
    }

    fn log(&mut self, state: &ConnectionState) {
        let endpoint = connection::endpoint(state, &self.way.endpoints, self.link.endpoint());
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

    /// Goes on on the tokio runtime that this is called on.
    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        self.link.moved()
    }

    /// Whether the link has got its connection since this was asked last.
    pub(crate) fn take_made(&mut self) -> bool {
        self.link.take_made()
    }

    /// The calls whose REQUESTs were given to no socket, in order. They are forgotten here.
    pub(crate) fn take_unsent(&mut self) -> Vec<u64> {
        self.link.take_unsent()
    }

    /// Hands the records of the next message to `take`, which stops at the first that cannot be read, and gives their
    /// weight.
    pub(crate) fn receive_one(
        &mut self,
        mut take: impl FnMut(Time, Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        let now = self.clock.now();
        let received = self.link.receive_one(now, &self.way, |record| take(now, record));
        self.tell_news();
        received
    }

    /// Says what state the link is in, if that is the link's to say and new.
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

    /// Whether there is something to receive. A broken socket says yes, and shows at the next receive.
    pub(crate) fn is_readable(&mut self) -> bool {
        self.link.is_readable()
    }

    /// When there is something to receive at the latest, though nothing comes.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.link.next_deadline()
    }

    /// Closes the socket once it has written what it held, and says so.
    pub(crate) async fn close(mut self) {
        // A broken socket has lost it anyway.
        let _ = self.flush();
        let sockets = self.link.take_sockets();
        close_all(&self.way.runtime, sockets).await;
        self.log(&ConnectionState::Closed);
        self.state.send_replace(ConnectionState::Closed);
    }

    /// Waits until there is something to receive, the connection is lost, or there is room for what waits to be sent.
    pub(crate) async fn ready(&mut self) {
        self.link.ready().await;
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
