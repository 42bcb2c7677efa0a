//! A worker of classic MDP: one service, one request at a time.
//!
//! ```text
//!            start / back-off over
//! Waiting ─────────────────────────▶ Open, on a new socket, with READY on it
//!    ▲                                │ DISCONNECT, silence, an invalid message
//!    └────────────────────────────────┘ the socket is closed
//! ```
//!
//! The worker sends READY once on each socket, as the first message, and sends nothing after DISCONNECT (RFC 7 and RFC
//! 18, "Opening and Closing a Connection"). Heartbeats always go both ways, also while a handler works on a request.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::session::{Backoff, ConnectionState, LossCause, SessionConfig};
use crate::time::{Span, Time};
use crate::wire::classic::{Command, Dialect};

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// The dialect of the worker.
    pub dialect: Dialect,
    /// How the worker reaches a broker. `heartbeat` is the interval of its heartbeats. The broker counts as gone after
    /// `liveness` times that interval without a message. The two sides agree on no interval, so the broker's should not
    /// be longer. `id` and `handshake` are ignored.
    pub session: SessionConfig,
}

/// An input of the worker. `P` is a body.
#[derive(Debug)]
pub enum Input<'a, P> {
    /// A message arrived from the broker.
    Heard {
        /// Its command.
        command: Command<'a>,
        /// Its body. Only the body of a request is used.
        body: P,
    },
    /// A message arrived that cannot be read.
    Invalid,
    /// The socket could not be made, or failed.
    Broken,
    /// Sends an answer to a request.
    Answer {
        /// The request, as [`Action::Start`] named it. Ignored if the request is over.
        task: u64,
        /// Whether this is the last answer. In MDP/0.1 all others are ignored.
        last: bool,
        /// The answer.
        body: P,
    },
    /// There will be no answer to a request: the worker leaves the broker and comes back on a new socket, so that the
    /// broker learns it.
    Forfeit {
        /// The request.
        task: u64,
    },
    /// Leave the broker until [`Input::Resume`]: the runtime of the handlers hangs.
    Pause,
    /// Come back to the broker.
    Resume,
    /// No event; time has passed.
    Tick,
    /// The worker has to leave: the running request gets up to `grace` to end.
    Stop {
        /// The longest time to wait.
        grace: Span,
    },
}

/// An action that the driver has to perform.
#[derive(Debug)]
pub enum Action<P> {
    /// Open a new socket to this endpoint. No socket is open now.
    Connect {
        /// The endpoint's position in the list.
        endpoint: usize,
    },
    /// Send a message.
    Say(Word<P>),
    /// Close the socket. Messages that were sent before are still written; incoming messages are no longer read.
    Hang,
    /// The state has changed. Connected means that the worker has heard its broker. The id is empty, because classic
    /// MDP has no ids.
    State(ConnectionState),
    /// Work on a request.
    Start {
        /// A number for it, never used twice.
        task: u64,
        /// The request.
        body: P,
    },
    /// No client waits for the answer to a request any more.
    Abort {
        /// The request.
        task: u64,
    },
    /// The worker is closed and accepts no more input.
    Closed,
}

/// A message of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<P> {
    /// The worker offers its service.
    Ready,
    /// The worker is alive.
    Heartbeat,
    /// The worker leaves.
    Disconnect,
    /// An answer.
    Answer {
        /// The address of the request.
        address: Arc<[u8]>,
        /// Whether this is the last answer.
        last: bool,
        /// The answer.
        body: P,
    },
}

/// The worker's state machine. The [crate's guide](crate) shows how to drive it.
#[derive(Debug)]
pub struct Worker {
    config: Config,
    backoff: Backoff,
    phase: Phase,
    held: Option<Held>,
    /// The number of the last request.
    tasks: u64,
    seen: Time,
    said: Time,
    last: Time,
    grace_until: Time,
    /// Until when to wait for the request that runs.
    stopping: Option<Time>,
}

#[derive(Debug)]
enum Phase {
    Waiting {
        until: Time,
    },
    /// Until it is to come back.
    Paused,
    Open {
        /// The broker was heard.
        heard: bool,
    },
    Closed,
}

#[derive(Debug)]
struct Held {
    task: u64,
    address: Arc<[u8]>,
}

impl Worker {
    /// Makes a worker that connects at the first input.
    pub fn new(config: Config) -> Self {
        Worker {
            backoff: Backoff::new(config.session.seed),
            config,
            phase: Phase::Waiting { until: Time::default() },
            held: None,
            tasks: 0,
            seen: Time::default(),
            said: Time::default(),
            last: Time::default(),
            grace_until: Time::default(),
            stopping: None,
        }
    }

    /// Handles an input and appends the actions for the driver, in order.
    pub fn handle<P>(&mut self, now: Time, input: Input<'_, P>, out: &mut Vec<Action<P>>) {
        let now = self.advance(now);
        match (&self.phase, input) {
            (Phase::Closed, _) => return,
            (Phase::Open { .. }, Input::Heard { command, body }) => {
                self.heard(now, command, body, out);
            }
            (Phase::Open { .. }, Input::Invalid) => self.lost(now, LossCause::Invalid, out),
            (_, Input::Broken) => self.lost(now, LossCause::Broken, out),
            (_, Input::Answer { task, last, body }) => self.answer(now, task, last, body, out),
            (_, Input::Forfeit { task }) => {
                if self.held.as_ref().is_some_and(|held| held.task == task) {
                    self.held = None;
                    self.say(now, Word::Disconnect, out);
                    self.lost(now, LossCause::Broken, out);
                }
            }
            (_, Input::Stop { grace }) => {
                let until = now + grace;
                self.stopping = Some(self.stopping.map_or(until, |before| before.min(until)));
            }
            (_, Input::Pause) => self.pause(now, out),
            (Phase::Paused, Input::Resume) => self.phase = Phase::Waiting { until: now },
            // Messages on a socket that is being closed are ignored.
            (Phase::Waiting { .. } | Phase::Paused, Input::Heard { .. } | Input::Invalid)
            | (_, Input::Tick | Input::Resume) => {}
        }
        self.tick(now, out);
    }

    /// The latest time for the driver to call `handle` with [`Input::Tick`].
    pub fn next_deadline(&self) -> Option<Time> {
        let own = match self.phase {
            Phase::Waiting { until } => until,
            Phase::Open { .. } => {
                (self.said + self.config.session.heartbeat).min(self.silent_until())
            }
            Phase::Paused => return self.stopping,
            Phase::Closed => return None,
        };
        Some(self.stopping.map_or(own, |until| own.min(until)))
    }

    /// Whether the worker works on a request.
    pub fn is_busy(&self) -> bool {
        self.held.is_some()
    }

    /// Whether the worker has left for good.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    fn advance(&mut self, now: Time) -> Time {
        let now = now.max(self.last);
        if now - self.last > self.config.session.heartbeat.times(2) {
            // This process was away: what waits in the socket is read before the broker is given up.
            self.grace_until = now + self.config.session.heartbeat;
        }
        self.last = now;
        now
    }

    fn silent_until(&self) -> Time {
        let session = &self.config.session;
        let expiry = session.heartbeat.times(session.liveness.max(1).into());
        (self.seen + expiry).max(self.grace_until)
    }

    fn heard<P>(&mut self, now: Time, command: Command<'_>, body: P, out: &mut Vec<Action<P>>) {
        self.seen = now;
        match command {
            Command::Disconnect => return self.lost(now, LossCause::Dismissed, out),
            Command::Heartbeat => {}
            // A broker has one request at a time for a worker.
            Command::Task { address } if self.held.is_none() => {
                self.tasks += 1;
                let (task, address) = (self.tasks, Arc::from(address));
                self.held = Some(Held { task, address });
                out.push(Action::Start { task, body });
            }
            _ => return self.lost(now, LossCause::Invalid, out),
        }
        if let Phase::Open { heard: heard @ false } = &mut self.phase {
            *heard = true;
            self.backoff.succeeded();
            let endpoint = self.backoff.endpoint();
            let id = Arc::from([]);
            out.push(Action::State(ConnectionState::Connected { endpoint, id }));
        }
    }

    fn answer<P>(&mut self, now: Time, task: u64, last: bool, body: P, out: &mut Vec<Action<P>>) {
        let Some(held) = self.held.as_ref().filter(|held| held.task == task) else { return };
        if !last && self.config.dialect == Dialect::V01 {
            return;
        }
        let address = Arc::clone(&held.address);
        if last {
            self.held = None;
        }
        self.say(now, Word::Answer { address, last, body }, out);
    }

    fn say<P>(&mut self, now: Time, word: Word<P>, out: &mut Vec<Action<P>>) {
        self.said = now;
        out.push(Action::Say(word));
    }

    /// The session is over: nothing more is said on its socket, and the next one comes after a pause.
    fn lost<P>(&mut self, now: Time, cause: LossCause, out: &mut Vec<Action<P>>) {
        if !matches!(self.phase, Phase::Open { .. }) {
            return;
        }
        if matches!(cause, LossCause::Silence | LossCause::Invalid) {
            // Should the broker be there, it need not wait for this worker.
            self.say(now, Word::Disconnect, out);
        }
        self.abort(out);
        out.push(Action::Hang);
        let pause = self.backoff.failed(&self.config.session);
        self.phase = Phase::Waiting { until: now + pause };
        out.push(Action::State(ConnectionState::Disconnected(cause)));
    }

    fn pause<P>(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        if let Phase::Open { .. } = self.phase {
            self.say(now, Word::Disconnect, out);
            self.abort(out);
            out.push(Action::Hang);
        }
        self.phase = Phase::Paused;
        out.push(Action::State(ConnectionState::Disconnected(LossCause::Stalled)));
    }

    fn abort<P>(&mut self, out: &mut Vec<Action<P>>) {
        if let Some(Held { task, .. }) = self.held.take() {
            out.push(Action::Abort { task });
        }
    }

    fn tick<P>(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        if let Some(until) = self.stopping
            && (self.held.is_none() || now >= until)
        {
            return self.leave(now, out);
        }
        match self.phase {
            Phase::Waiting { until } if now >= until => self.connect(now, out),
            Phase::Open { .. } if now >= self.silent_until() => {
                self.lost(now, LossCause::Silence, out);
            }
            Phase::Open { .. } if now - self.said >= self.config.session.heartbeat => {
                self.say(now, Word::Heartbeat, out);
            }
            _ => {}
        }
    }

    fn connect<P>(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        let endpoint = self.backoff.endpoint();
        self.phase = Phase::Open { heard: false };
        // READY starts the time that the broker has to be heard.
        self.seen = now;
        out.push(Action::State(ConnectionState::Connecting { endpoint }));
        out.push(Action::Connect { endpoint });
        self.say(now, Word::Ready, out);
    }

    fn leave<P>(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        self.abort(out);
        if let Phase::Open { .. } = self.phase {
            self.say(now, Word::Disconnect, out);
            out.push(Action::Hang);
        }
        self.phase = Phase::Closed;
        out.push(Action::State(ConnectionState::Closed));
        out.push(Action::Closed);
    }
}
