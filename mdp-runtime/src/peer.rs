//! What the drivers of worker and client share: the socket to a broker, packets both ways, timers.

use std::future::{pending, poll_fn};
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
use crate::pack::{CALL_WEIGHT, Gather, weight_of};
use crate::plain::Side;

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
}

impl Peer {
    pub(crate) fn new(
        who: &'static str,
        runtime: Runtime,
        endpoints: Vec<String>,
        state: watch::Sender<ConnectionState>,
    ) -> Self {
        // What a broker sends is bounded by what it was sent; only the largest payload is not ours.
        let limits = Limits { frame_bytes: 64 << 20, frames: 1_024, ..Limits::default() };
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
            plain: None,
        }
    }

    /// A peer whose broker speaks plain MDP. `side` translates.
    pub(crate) fn over_plain(self, side: Side) -> Self {
        Peer { plain: Some(side), ..self }
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
                    plain.perform(now, &self.runtime, &self.endpoints, action)
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
                self.tell(state);
                Ok(())
            }
        }
    }

    fn tell(&self, state: ConnectionState) {
        // Closed is said when the socket is, by `close`.
        if state != ConnectionState::Closed {
            observe::state(self.who, &state);
            self.state.send_replace(state);
        }
    }

    /// A new socket each time (RFC 7 W6): nothing of an old session reaches the new one.
    fn connect(&mut self, endpoint: usize) -> Result<(), Broken> {
        self.gather.clear();
        self.link = None;
        let Some(endpoint) = self.endpoints.get(endpoint) else { return Err(Broken::Connection) };
        match Link::connect(&self.runtime, endpoint) {
            Ok(link) => {
                self.link = Some(link);
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
        if let Some(plain) = &mut self.plain {
            return plain.moved();
        }
        let Some(link) = self.link.take() else { return Ok(()) };
        self.link = Some(link.moved().map_err(|error| self.broken(error))?);
        Ok(())
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
        let Some(link) = &mut self.link else { return Ok(None) };
        let received = link.receive(&self.limits).map_err(|error| self.broken(error))?;
        let Some(message) = received else { return Ok(None) };
        let mut heads = std::mem::take(&mut self.heads);
        let result = match message.decode(&self.limits, &mut heads) {
            Err(error) => {
                tracing::warn!(who = self.who, %error, "message of the broker dropped");
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
        if let Some(plain) = &mut self.plain {
            return plain.flush();
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        self.gather.flush(|packer| link.send(packer)).map_err(|error| self.broken(error))
    }

    /// Whether there is something to receive. A broken socket says yes, and shows at the next receive.
    pub(crate) fn is_readable(&mut self) -> bool {
        if let Some(plain) = &mut self.plain {
            return plain.is_readable();
        }
        self.link.as_ref().is_some_and(Link::is_readable)
    }

    fn broken(&self, error: zmq::Error) -> Broken {
        tracing::warn!(who = self.who, %error, "the socket failed");
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
        let mut sockets: Vec<zmq::Socket> =
            self.link.take().map(Link::into_socket).into_iter().collect();
        sockets.extend(self.plain.take().into_iter().flat_map(|plain| plain.into_sockets()));
        if !sockets.is_empty() {
            let runtime = self.runtime;
            let closing = tokio::task::spawn_blocking(move || {
                sockets.into_iter().for_each(|socket| close::close(&runtime, socket));
            });
            // An error means that tokio itself is being shut down.
            let _ = closing.await;
        }
        observe::state(self.who, &ConnectionState::Closed);
        self.state.send_replace(ConnectionState::Closed);
    }

    /// Waits until there is something to receive, or room for what waits to be sent.
    pub(crate) async fn ready(&mut self) {
        if let Some(plain) = &mut self.plain {
            return poll_fn(|cx| plain.poll_ready(cx)).await;
        }
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
