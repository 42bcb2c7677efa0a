//! A client of plain MDP: raw requests, one at a time on a connection.
//!
//! A reply of plain MDP does not say which request it answers. So the next request goes out when the one before has
//! had its last reply. If that does not come in time, or nobody wants it any more, the socket is closed and a new one
//! taken: a late reply then has nowhere to go (RFC 7, "Reliability").
//!
//! Tunnel calls (wire.md R86) have numbers, so any number of them share a connection: they are calls of
//! [`client::Client`](crate::client::Client), whose driver writes its records into tunnels.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::backoff::Backoff;
use crate::session::{ConnectionState, LossCause, SessionConfig};
use crate::slab::{Key, Slab};
use crate::time::{Span, Time};
use crate::wheel::Wheel;

/// Settings of a client.
#[derive(Clone, Debug)]
pub struct Config {
    /// How it reaches a broker. `handshake` is how long a connection may take; `id`, `heartbeat` and `liveness` say nothing
    /// here.
    pub session: SessionConfig,
    /// Requests that may be open at once, those that wait for their turn included. 1,000.
    pub requests: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { session: SessionConfig::default(), requests: 1_000 }
    }
}

/// What happened. `P` is a body; `T` is what the driver wants back with the end of a request.
#[derive(Debug)]
pub enum Input<'a, P, T> {
    /// The user makes a request.
    Request {
        /// Comes back with its end.
        token: T,
        /// The service.
        service: Arc<[u8]>,
        /// How long to wait for each reply, the time in which it waits for its turn included.
        patience: Span,
        /// The request.
        body: P,
    },
    /// Nobody wants a request's replies any more: it ends without an end.
    Cancel(Key),
    /// The socket is connected.
    Connected,
    /// The socket could not be made, it failed, or its connection broke.
    Broken,
    /// A reply came.
    Reply {
        /// The service that it names.
        service: &'a [u8],
        /// It is the last one.
        last: bool,
        /// The reply.
        body: P,
    },
    /// Something else came.
    Invalid,
    /// Nothing; time has passed.
    Tick,
    /// Finish what is open for at most `grace`, then close.
    Close {
        /// How long to wait.
        grace: Span,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Action<P, T> {
    /// Open a new socket to the endpoint of this number. There is none now.
    Connect {
        /// The endpoint's place in the list.
        endpoint: usize,
    },
    /// Close the socket.
    Hang,
    /// The state has changed. Connected says that there is a connection, not who is at its end: a broker of plain MDP
    /// says nothing to a client but replies. The id is empty.
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
        /// Whose.
        token: T,
        /// The last reply, or why there is none.
        end: Result<P, Failure>,
    },
    /// All is done; requests that are made now end with [`Failure::Closed`].
    Closed,
}

/// Why a request has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// None came in time. A worker may have begun, unless the request was not `sent`.
    Timeout {
        /// The request had gone out.
        sent: bool,
    },
    /// The connection was lost under it. A worker may have begun.
    Lost(LossCause),
    /// There are too many requests.
    TooMany,
    /// The client is closed. A worker may have begun, if the request was `sent`.
    Closed {
        /// The request had gone out.
        sent: bool,
    },
}

/// The client's state machine. See the [crate's guide](crate) for how it is driven.
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
    /// A client that connects at the first input.
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

    /// Takes in what happened and appends what is to be done, in order. Gives the request that the input made, for
    /// [`Input::Cancel`]; `None` if it made none, or one that has ended by now.
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

    /// When `handle` wants to be called with [`Input::Tick`] at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        let own = match self.phase {
            Phase::Waiting { until } | Phase::Connecting { until } => Some(until),
            Phase::Open => None,
            Phase::Closed => return None,
        };
        [own, self.timer.next(), self.closing].into_iter().flatten().min()
    }

    /// Requests that have not ended.
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
            // Nobody has asked for it.
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
