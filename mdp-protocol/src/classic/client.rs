//! A client of classic MDP: raw requests, one at a time on a connection.
//!
//! A reply of classic MDP does not say which request it answers. So the client sends the next request after the last
//! reply to the previous one. If that reply does not come in time, or the user gives the request up, the client closes
//! the socket and opens a new one: a late reply is then never read (RFC 7, "Reliability").
//!
//! Tunnel calls (wire.md R86) have numbers, so any number of them share a connection. They are calls of
//! [`client::Client`](crate::client::Client), whose driver writes its records into tunnels.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::session::{Backoff, ConnectionState, LossCause, SessionConfig};
use crate::slab::{Key, Slab};
use crate::time::{Span, Time};
use crate::wheel::Wheel;

/// Settings of a client.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the client reaches a broker. `handshake` is the longest time for a connection. `id`, `heartbeat` and
    /// `liveness` are ignored.
    pub session: SessionConfig,
    /// Requests that may be open at once, waiting ones included. Default: 1,000.
    pub requests: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { session: SessionConfig::default(), requests: 1_000 }
    }
}

/// An input of the client. `P` is a body. `T` is a value that comes back to the driver with the end of a request.
#[derive(Debug)]
pub enum Input<'a, P, T> {
    /// The user makes a request.
    Request {
        /// A value that comes back with its end.
        token: T,
        /// The service.
        service: Arc<[u8]>,
        /// The longest time to wait for each reply, including the wait for the request's turn.
        patience: Span,
        /// The request.
        body: P,
    },
    /// The user gives a request up. No end is reported for it.
    Cancel(Key),
    /// The socket is connected.
    Connected,
    /// The socket could not be made, it failed, or its connection broke.
    Broken,
    /// A reply arrived.
    Reply {
        /// The service that the reply names.
        service: &'a [u8],
        /// Whether this is the last reply.
        last: bool,
        /// The reply.
        body: P,
    },
    /// Another message arrived.
    Invalid,
    /// No event; time has passed.
    Tick,
    /// The client has to close: open requests get up to `grace` to end.
    Close {
        /// The longest time to wait.
        grace: Span,
    },
}

/// An action that the driver has to perform.
#[derive(Debug)]
pub enum Action<P, T> {
    /// Open a new socket to this endpoint. No socket is open now.
    Connect {
        /// The endpoint's position in the list.
        endpoint: usize,
    },
    /// Close the socket.
    Hang,
    /// The state has changed. Connected means that the socket is connected, not that a broker answers: a classic broker
    /// sends a client only replies. The id is empty.
    State(ConnectionState),
    /// Send a request.
    Send {
        /// The service.
        service: Arc<[u8]>,
        /// The request.
        body: P,
    },
    /// A partial reply.
    Part {
        /// The request.
        request: Key,
        /// The reply.
        body: P,
    },
    /// A request has ended.
    Done {
        /// The request's token.
        token: T,
        /// The last reply, or the reason for its absence.
        end: Result<P, Failure>,
    },
    /// The client is closed. New requests end with [`Failure::Closed`].
    Closed,
}

/// Why a request got no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No reply arrived in time. A worker may have begun if the request was `sent`.
    Timeout {
        /// Whether the request had been sent.
        sent: bool,
    },
    /// The connection was lost after the request was sent. A worker may have begun.
    Lost(LossCause),
    /// Too many requests are open.
    TooMany,
    /// The client is closed. A worker may have begun if the request was `sent`.
    Closed {
        /// Whether the request had been sent.
        sent: bool,
    },
}

/// The client's state machine. The [crate's guide](crate) shows how to drive it.
#[derive(Debug)]
pub struct Client<P, T> {
    config: Config,
    backoff: Backoff,
    phase: Phase,
    requests: Slab<Open<P, T>>,
    /// Those that wait for their turn. Some of them may have ended.
    waiting: VecDeque<Key>,
    /// The one that was sent.
    current: Option<Key>,
    timer: Wheel,
    closing: Option<Time>,
    last: Time,
}

#[derive(Debug)]
enum Phase {
    Waiting { until: Time },
    Connecting { until: Time },
    Open,
    Closed,
}

#[derive(Debug)]
struct Open<P, T> {
    token: T,
    service: Arc<[u8]>,
    patience: Span,
    /// Until it is sent.
    body: Option<P>,
}

impl<P, T> Client<P, T> {
    /// Makes a client that connects at the first input.
    pub fn new(config: Config) -> Self {
        Client {
            backoff: Backoff::new(config.session.seed),
            config,
            phase: Phase::Waiting { until: Time::default() },
            requests: Slab::new(),
            waiting: VecDeque::new(),
            current: None,
            timer: Wheel::new(),
            closing: None,
            last: Time::default(),
        }
    }

    /// Handles an input and appends the actions for the driver, in order. Returns the request that the input made, for
    /// [`Input::Cancel`]. `None`: the input made no request, or the request has already ended.
    pub fn handle(
        &mut self,
        now: Time,
        input: Input<'_, P, T>,
        out: &mut Vec<Action<P, T>>,
    ) -> Option<Key> {
        let now = now.max(self.last);
        self.last = now;
        let mut made = None;
        match input {
            Input::Request { token, service, patience, body } => {
                made = self.request(now, Open { token, service, patience, body: Some(body) }, out);
            }
            Input::Cancel(request) => {
                self.remove(request);
                if self.current == Some(request) {
                    self.renew(now, out);
                }
            }
            Input::Connected => self.connected(out),
            Input::Broken => self.lost(now, LossCause::Broken, out),
            Input::Invalid => self.lost(now, LossCause::Invalid, out),
            Input::Reply { service, last, body } => self.reply(now, service, last, body, out),
            Input::Tick => {}
            Input::Close { grace } => {
                let until = now + grace;
                self.closing = Some(self.closing.map_or(until, |before| before.min(until)));
            }
        }
        self.tick(now, out);
        self.send(out);
        made.filter(|request| self.requests.get(*request).is_some())
    }

    /// The latest time for the driver to call `handle` with [`Input::Tick`].
    pub fn next_deadline(&self) -> Option<Time> {
        let own = match self.phase {
            Phase::Waiting { until } | Phase::Connecting { until } => Some(until),
            Phase::Open => None,
            Phase::Closed => return None,
        };
        [own, self.timer.next(), self.closing].into_iter().flatten().min()
    }

    /// The number of requests that have not ended.
    pub fn pending(&self) -> usize {
        self.requests.len()
    }

    fn request(&mut self, now: Time, open: Open<P, T>, out: &mut Vec<Action<P, T>>) -> Option<Key> {
        if self.closing.is_some() || matches!(self.phase, Phase::Closed) {
            done(open.token, Err(Failure::Closed { sent: false }), out);
            return None;
        }
        if self.requests.len() >= self.config.requests {
            done(open.token, Err(Failure::TooMany), out);
            return None;
        }
        let until = now + open.patience;
        let key = self.requests.insert(open);
        self.timer.set(key.index(), until);
        if self.waiting.len() >= self.config.requests.saturating_mul(2) {
            // Of those that ended while they waited.
            self.waiting.retain(|key| self.requests.get(*key).is_some());
        }
        self.waiting.push_back(key);
        Some(key)
    }

    /// Sends the next request, if it is its turn.
    fn send(&mut self, out: &mut Vec<Action<P, T>>) {
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        while self.current.is_none() {
            let Some(key) = self.waiting.pop_front() else { return };
            let Some(open) = self.requests.get_mut(key) else { continue };
            let Some(body) = open.body.take() else { continue };
            self.current = Some(key);
            out.push(Action::Send { service: Arc::clone(&open.service), body });
        }
    }

    fn connected(&mut self, out: &mut Vec<Action<P, T>>) {
        if let Phase::Connecting { .. } = self.phase {
            self.phase = Phase::Open;
            self.backoff.succeeded();
            let (endpoint, id) = (self.backoff.endpoint(), Arc::from([]));
            out.push(Action::State(ConnectionState::Connected { endpoint, id }));
        }
    }

    fn reply(
        &mut self,
        now: Time,
        service: &[u8],
        last: bool,
        body: P,
        out: &mut Vec<Action<P, T>>,
    ) {
        let current = self.current.and_then(|key| Some((key, self.requests.get(key)?)));
        let Some((key, open)) = current.filter(|(_, open)| *open.service == *service) else {
            // The client has not asked for it.
            return self.lost(now, LossCause::Invalid, out);
        };
        if last {
            self.end(key, Ok(body), out);
            self.current = None;
        } else {
            self.timer.set(key.index(), now + open.patience);
            out.push(Action::Part { request: key, body });
        }
    }

    fn remove(&mut self, request: Key) -> Option<Open<P, T>> {
        let open = self.requests.remove(request)?;
        self.timer.clear(request.index());
        Some(open)
    }

    fn end(&mut self, request: Key, end: Result<P, Failure>, out: &mut Vec<Action<P, T>>) {
        if let Some(open) = self.remove(request) {
            done(open.token, end, out);
        }
    }

    /// A new socket to the same endpoint: what comes on the old one would be taken for something else.
    fn renew(&mut self, now: Time, out: &mut Vec<Action<P, T>>) {
        self.current = None;
        if !matches!(self.phase, Phase::Waiting { .. } | Phase::Closed) {
            out.push(Action::Hang);
            self.connect(now, out);
        }
    }

    fn connect(&mut self, now: Time, out: &mut Vec<Action<P, T>>) {
        let endpoint = self.backoff.endpoint();
        let patience = self.backoff.patience(&self.config.session);
        self.phase = Phase::Connecting { until: now + patience };
        out.push(Action::State(ConnectionState::Connecting { endpoint }));
        out.push(Action::Connect { endpoint });
    }

    fn lost(&mut self, now: Time, cause: LossCause, out: &mut Vec<Action<P, T>>) {
        if matches!(self.phase, Phase::Waiting { .. } | Phase::Closed) {
            return;
        }
        out.push(Action::Hang);
        if let Some(current) = self.current.take() {
            self.end(current, Err(Failure::Lost(cause)), out);
        }
        let pause = self.backoff.failed(&self.config.session);
        self.phase = Phase::Waiting { until: now + pause };
        out.push(Action::State(ConnectionState::Disconnected(cause)));
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Action<P, T>>) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        while let Some(index) = self.timer.pop(now) {
            let Some(key) = self.requests.key_at(index) else { continue };
            let sent = self.current == Some(key);
            self.end(key, Err(Failure::Timeout { sent }), out);
            if sent {
                self.renew(now, out);
            }
        }
        match self.phase {
            Phase::Waiting { until } if now >= until => self.connect(now, out),
            Phase::Connecting { until } if now >= until => self.lost(now, LossCause::NoAnswer, out),
            _ => {}
        }
        if let Some(until) = self.closing
            && (self.requests.is_empty() || now >= until)
        {
            self.close(out);
        }
    }

    fn close(&mut self, out: &mut Vec<Action<P, T>>) {
        let open: Vec<Key> = self.requests.iter().map(|(key, _)| key).collect();
        for key in open {
            let sent = self.current == Some(key);
            self.end(key, Err(Failure::Closed { sent }), out);
        }
        if !matches!(self.phase, Phase::Waiting { .. }) {
            out.push(Action::Hang);
        }
        self.phase = Phase::Closed;
        out.push(Action::State(ConnectionState::Closed));
        out.push(Action::Closed);
    }
}

fn done<P, T>(token: T, end: Result<P, Failure>, out: &mut Vec<Action<P, T>>) {
    out.push(Action::Done { token, end });
}
