//! What the drivers of worker and client share: the socket to a broker, packets both ways, timers.

use std::future::pending;
use std::pin::Pin;

use mdp_protocol::wire::{Head, Record};
use mdp_protocol::{ConnectionState, Limits, SessionAction, Time};
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::body::Body;
use crate::clock::Clock;
use crate::close;
use crate::context::Runtime;
use crate::link::Link;
use crate::observe;
use crate::pack::{CALL_WEIGHT, Gather, Received, weight_of};

/// Calls that are handled before the other side of a driver's loop has its turn. So few that they
/// are on their way again while the next ones come: the sides of a call work at the same time.
pub(crate) const BURST: usize = 128;

/// The same in what records weigh: items of streams are more.
pub(crate) const BURST_WEIGHT: usize = BURST * CALL_WEIGHT;

/// The socket of a worker or a client, and what waits to be sent on it.
pub(crate) struct Peer {
    pub(crate) clock: Clock,
    who: &'static str,
    runtime: Runtime,
    endpoints: Vec<String>,
    link: Option<Link>,
    gather: Gather,
    limits: Limits,
    heads: Vec<Head>,
    state: watch::Sender<ConnectionState>,
}

/// The session cannot go on with this socket.
pub(crate) struct Broken;

impl Peer {
    pub(crate) fn new(
        who: &'static str,
        runtime: Runtime,
        endpoints: Vec<String>,
        state: watch::Sender<ConnectionState>,
    ) -> Self {
        // What a broker sends is bounded by what it was sent; only the largest payload is not ours.
        let limits = Limits { frame_bytes: 64 << 20, ..Limits::default() };
        Peer {
            clock: Clock::start(),
            who,
            runtime,
            endpoints,
            link: None,
            gather: Gather::default(),
            limits,
            heads: Vec::new(),
            state,
        }
    }

    pub(crate) fn perform(&mut self, action: SessionAction<Body>) -> Result<(), Broken> {
        match action {
            SessionAction::Connect { endpoint } => self.connect(endpoint),
            SessionAction::Send(record) => match self.gather.put(&record) {
                true => self.flush(),
                false => Ok(()),
            },
            // Said when the socket is closed, by `close`.
            SessionAction::State(ConnectionState::Closed) => Ok(()),
            SessionAction::State(state) => {
                observe::state(self.who, &state);
                self.state.send_replace(state);
                Ok(())
            }
        }
    }

    /// A new socket each time (RFC 7 W6): nothing of an old session reaches the new one.
    fn connect(&mut self, endpoint: usize) -> Result<(), Broken> {
        self.gather.clear();
        self.link = None;
        let Some(endpoint) = self.endpoints.get(endpoint) else { return Err(Broken) };
        match Link::connect(&self.runtime, endpoint) {
            Ok(link) => {
                self.link = Some(link);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(who = self.who, endpoint, %error, "could not connect");
                Err(Broken)
            }
        }
    }

    /// Goes on on the tokio runtime that this is called on.
    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        let Some(link) = self.link.take() else { return Ok(()) };
        self.link = Some(link.moved().map_err(|error| self.broken(error))?);
        Ok(())
    }

    pub(crate) fn receive(&mut self) -> Result<Option<Received>, Broken> {
        let Some(link) = &mut self.link else { return Ok(None) };
        link.receive(&self.limits).map_err(|error| self.broken(error))
    }

    /// Hands the records of a message to `take`, which stops at the first that cannot be read, and
    /// gives their weight.
    pub(crate) fn records(
        &mut self,
        message: &Received,
        mut take: impl FnMut(Time, Record<&[u8], Body>),
    ) -> Result<usize, Broken> {
        let now = self.clock.now();
        let mut heads = std::mem::take(&mut self.heads);
        let result = match message.decode(&self.limits, &mut heads) {
            Err(error) => {
                tracing::warn!(who = self.who, %error, "message of the broker dropped");
                Err(Broken)
            }
            Ok(()) => heads.iter().try_fold(weight_of(&heads), |weight, head| {
                let record = Record::read(head, &message.packet, |head| message.body(head));
                take(now, record.map_err(|_| Broken)?);
                Ok(weight)
            }),
        };
        heads.clear();
        self.heads = heads;
        result
    }

    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        let Some(link) = &mut self.link else { return Ok(()) };
        self.gather.flush(|packer| link.send(packer)).map_err(|error| self.broken(error))
    }

    /// Whether there is something to receive. A broken socket says yes, and shows at the next receive.
    pub(crate) fn is_readable(&mut self) -> bool {
        self.link.as_ref().is_some_and(Link::is_readable)
    }

    fn broken(&self, error: zmq::Error) -> Broken {
        tracing::warn!(who = self.who, %error, "the socket failed");
        Broken
    }

    /// Closes the socket once it has written what it held, and says so.
    pub(crate) async fn close(mut self) {
        // A broken socket has lost it anyway.
        let _ = self.flush();
        if let Some(link) = self.link.take() {
            let (runtime, socket) = (self.runtime, link.into_socket());
            let closing = tokio::task::spawn_blocking(move || close::close(&runtime, socket));
            // An error means that tokio itself is being shut down.
            let _ = closing.await;
        }
        observe::state(self.who, &ConnectionState::Closed);
        self.state.send_replace(ConnectionState::Closed);
    }

    /// Waits until there is something to receive, or room for what waits to be sent.
    pub(crate) async fn ready(&mut self) {
        match &mut self.link {
            // An error shows again at the next receive.
            Some(link) => drop(link.ready(!self.gather.is_empty()).await),
            None => pending().await,
        }
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
