//! A peer's side of its session with a broker: connect, HELLO, heartbeats, silence, back-off.
//!
//! ```text
//!            start / back-off over            WELCOME
//! Waiting ─────────────────────────▶ Greeting ───────▶ Open
//!    ▲                                  │ no answer      │ silence, DISCONNECT, drained
//!    └──────────────────────────────────┴────────────────┘         each on a new socket
//! ```
//!
//! Worker and client share this code. Each decides itself what a loss means for its calls.

mod backoff;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::time::{HEARTBEAT, LIVENESS, Span, Time};
use crate::wire::{DisconnectReason, Record};
pub(crate) use backoff::Backoff;

/// Settings of a session, for workers and clients alike.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The id of this peer. Empty: the broker chooses one. `to_worker` names a worker by its id.
    pub id: Vec<u8>,
    /// The number of endpoints of brokers, at least 1. They are tried in turn.
    pub endpoints: usize,
    /// The wanted interval of heartbeats. The broker may demand a longer one. Default: [`HEARTBEAT`](crate::HEARTBEAT).
    pub heartbeat: Span,
    /// The number of silent intervals after which the broker counts as gone. Default: [`LIVENESS`](crate::LIVENESS).
    pub liveness: u8,
    /// The time in which the broker has to answer the first HELLO. It starts again when the socket is connected, and
    /// doubles after each failure, up to eight times the setting. Default: 1 s.
    pub handshake: Span,
    /// The first pause before a further attempt. It doubles after each failure; the actual pause is a random time
    /// between half and all of it. Default: 100 ms.
    pub backoff_first: Span,
    /// The longest pause. Default: 5 s.
    pub max_backoff: Span,
    /// Seed of the random pauses: random in production, fixed in tests.
    pub seed: u64,
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig {
            id: Vec::new(),
            endpoints: 1,
            heartbeat: HEARTBEAT,
            liveness: LIVENESS,
            handshake: Span::from_secs(1),
            backoff_first: Span::from_ms(100),
            max_backoff: Span::from_secs(5),
            seed: 0,
        }
    }
}

/// The connection state of a worker or a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Connecting: HELLO is sent to this endpoint.
    Connecting {
        /// The endpoint's position in the list.
        endpoint: usize,
    },
    /// The session is open: the broker sent WELCOME.
    Connected {
        /// The endpoint's position in the list.
        endpoint: usize,
        /// The id under which the broker knows this peer.
        id: Arc<[u8]>,
    },
    /// Waiting before the next attempt.
    Disconnected(LossCause),
    /// Closed by its owner.
    Closed,
}

/// Why a session was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossCause {
    /// The broker sent DISCONNECT.
    Said(DisconnectReason),
    /// The broker did not answer HELLO.
    NoAnswer,
    /// The broker sent nothing for the agreed time.
    Silence,
    /// The broker sent a message that cannot be read, or an unexpected record.
    Invalid,
    /// The broker takes no new calls, and the running ones have ended.
    Drained,
    /// The broker sent DISCONNECT in classic MDP, which carries no reason.
    Dismissed,
    /// The connection broke, or could not be made.
    Broken,
    /// The handshake failed: keys or mechanisms of the two sides do not match. Reported by drivers, which know more
    /// about a connection than the machines.
    Handshake,
    /// The runtime of the worker's handlers hangs, so the worker has left until it runs again.
    Stalled,
}

impl LossCause {
    /// Whether the broker refused this peer: a further attempt fails, too, until the peer, its rights or the broker's
    /// limits change.
    pub const fn is_refusal(self) -> bool {
        match self {
            LossCause::Handshake => true,
            // Named one by one, so that a new reason is decided on.
            LossCause::Said(reason) => match reason {
                DisconnectReason::Shutdown
                | DisconnectReason::NoSession
                | DisconnectReason::Silence
                | DisconnectReason::Drained
                | DisconnectReason::Stalled => false,
                DisconnectReason::Unexpected
                | DisconnectReason::Malformed
                | DisconnectReason::UnknownCommand
                | DisconnectReason::Version
                | DisconnectReason::IdTaken
                | DisconnectReason::BadName
                | DisconnectReason::LimitReached
                | DisconnectReason::Denied
                | DisconnectReason::Other(_) => true,
            },
            _ => false,
        }
    }
}

impl core::fmt::Display for LossCause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            LossCause::Said(reason) => write!(f, "the broker ended the session: {reason}"),
            LossCause::NoAnswer => f.write_str("the broker did not answer"),
            LossCause::Silence => f.write_str("the broker fell silent"),
            LossCause::Invalid => f.write_str("the broker broke the protocol"),
            LossCause::Drained => f.write_str("the broker takes no new calls"),
            LossCause::Dismissed => f.write_str("the broker said DISCONNECT"),
            LossCause::Broken => f.write_str("the connection broke"),
            LossCause::Handshake => f.write_str("there was no secure connection to the broker"),
            LossCause::Stalled => f.write_str("the runtime of the handlers does not move"),
        }
    }
}

/// An action of a session, as part of a worker's or a client's actions.
#[derive(Debug)]
pub enum SessionAction<P> {
    /// Close the socket, if there is one, and open a new one to this endpoint.
    Connect {
        /// The endpoint's position in the list.
        endpoint: usize,
    },
    /// Send a record.
    Send(Record<Arc<[u8]>, P>),
    /// The state has changed.
    State(ConnectionState),
}

/// The result of [`PeerSession::record`].
pub(crate) enum Heard<'a, P> {
    /// The session handled it.
    Nothing,
    /// The session is open now.
    Opened,
    /// The session is lost.
    Lost(LossCause),
    /// The record is for the worker or the client.
    Record(Record<&'a [u8], P>),
}

/// The result of [`PeerSession::tick`].
pub(crate) enum Ticked {
    /// No event that concerns calls.
    Nothing,
    /// There is a new socket, with HELLO on it.
    SaidHello,
    /// The session is lost.
    Lost(LossCause),
}

#[derive(Debug)]
pub(crate) struct PeerSession {
    config: SessionConfig,
    backoff: Backoff,
    phase: Phase,
    seen: Time,
    sent: Time,
    last: Time,
    grace_until: Time,
}

#[derive(Debug)]
enum Phase {
    Waiting {
        until: Time,
    },
    /// It does not want a session.
    Paused,
    Greeting {
        until: Time,
    },
    Open {
        since: Time,
        heartbeat: Span,
        expiry: Span,
        frame_bytes: u64,
    },
    Closed,
}

impl PeerSession {
    /// A session that connects at the first [`tick`](Self::tick).
    pub(crate) fn new(config: SessionConfig) -> Self {
        PeerSession {
            backoff: Backoff::new(config.seed),
            config,
            phase: Phase::Waiting { until: Time::default() },
            seen: Time::default(),
            sent: Time::default(),
            last: Time::default(),
            grace_until: Time::default(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// The socket is connected: the broker's time to answer HELLO begins now. Otherwise a broker that has just started
    /// might welcome a peer that has given it up.
    pub(crate) fn made(&mut self, now: Time) {
        let patience = self.backoff.patience(&self.config);
        if let Phase::Greeting { until } = &mut self.phase {
            *until = (*until).max(now + patience);
        }
    }

    /// A part of a message came. The broker's heartbeats come after it.
    pub(crate) fn alive(&mut self, now: Time) {
        self.seen = now;
    }

    /// Whether there is neither a session nor an attempt to open one.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// The largest frame that the broker takes, while there is a session.
    pub(crate) fn frame_bytes(&self) -> Option<u64> {
        match self.phase {
            Phase::Open { frame_bytes, .. } => Some(frame_bytes),
            _ => None,
        }
    }

    /// The time of the next attempt, if the session waits for one.
    pub(crate) fn next_attempt(&self) -> Option<Time> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            _ => None,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Waiting { until } | Phase::Greeting { until } => Some(until),
            Phase::Open { heartbeat, expiry, .. } => {
                let silence = (self.seen + expiry).max(self.grace_until);
                Some((self.sent + heartbeat).min(silence))
            }
            Phase::Paused | Phase::Closed => None,
        }
    }

    /// The time of an input: it never goes back.
    #[inline]
    pub(crate) fn at(&self, now: Time) -> Time {
        now.max(self.last)
    }

    pub(crate) fn send<P, A>(&mut self, now: Time, record: Record<Arc<[u8]>, P>, out: &mut Vec<A>)
    where
        A: From<SessionAction<P>>,
    {
        self.sent = now;
        out.push(SessionAction::Send(record).into());
    }

    pub(crate) fn record<'a, P, A>(
        &mut self,
        now: Time,
        record: Record<&'a [u8], P>,
        out: &mut Vec<A>,
    ) -> Heard<'a, P>
    where
        A: From<SessionAction<P>>,
    {
        self.seen = now;
        match (&self.phase, record) {
            (Phase::Greeting { .. }, Record::Welcome { id, heartbeat, liveness, frame_bytes }) => {
                // Only a broker that breaks the rules agrees on no interval at all.
                let heartbeat =
                    if heartbeat == Span::ZERO { self.config.heartbeat } else { heartbeat };
                let expiry = heartbeat.times(liveness.max(1).into());
                self.phase = Phase::Open { since: now, heartbeat, expiry, frame_bytes };
                let endpoint = self.backoff.endpoint();
                let state = ConnectionState::Connected { endpoint, id: Arc::from(id) };
                out.push(SessionAction::State(state).into());
                Heard::Opened
            }
            (Phase::Greeting { .. } | Phase::Open { .. }, Record::Disconnect(reason)) => {
                Heard::Lost(LossCause::Said(reason))
            }
            (&Phase::Open { heartbeat, .. }, Record::Heartbeat) => {
                if now - self.sent >= heartbeat.part(2).max(Span::from_ms(1)) {
                    // It goes out with this wake-up, which spares one of its own.
                    self.send(now, Record::Heartbeat, out);
                }
                Heard::Nothing
            }
            (Phase::Open { .. }, Record::Hello { .. } | Record::Welcome { .. }) => {
                Heard::Lost(LossCause::Invalid)
            }
            (Phase::Open { .. }, record) => Heard::Record(record),
            // Before WELCOME, and after the end, nothing else counts.
            _ => Heard::Nothing,
        }
    }

    /// Performs the work that is due at `now`. Call it in each millisecond that has an input.
    pub(crate) fn tick<P, A>(&mut self, now: Time, out: &mut Vec<A>) -> Ticked
    where
        A: From<SessionAction<P>>,
    {
        if now - self.last > self.config.heartbeat.times(2) {
            // This process did not run for a while: messages that wait in the socket are read before the broker counts
            // as gone.
            self.grace_until = now + self.config.heartbeat;
        }
        self.last = now;
        match self.phase {
            Phase::Waiting { until } if now >= until => {
                self.connect(now, out);
                return Ticked::SaidHello;
            }
            Phase::Greeting { until } if now >= until => return Ticked::Lost(LossCause::NoAnswer),
            Phase::Open { heartbeat, expiry, .. } => {
                if now >= (self.seen + expiry).max(self.grace_until) {
                    return Ticked::Lost(LossCause::Silence);
                }
                if now - self.sent >= heartbeat {
                    // RFC 7, RFC 18 W8: also while calls run.
                    self.send(now, Record::Heartbeat, out);
                }
            }
            _ => {}
        }
        Ticked::Nothing
    }

    fn connect<P, A>(&mut self, now: Time, out: &mut Vec<A>)
    where
        A: From<SessionAction<P>>,
    {
        self.phase = Phase::Greeting { until: now + self.backoff.patience(&self.config) };
        let endpoint = self.backoff.endpoint();
        out.push(SessionAction::State(ConnectionState::Connecting { endpoint }).into());
        out.push(SessionAction::Connect { endpoint }.into());
        let hello = Record::Hello {
            id: Arc::from(self.config.id.as_slice()),
            heartbeat: self.config.heartbeat,
            liveness: self.config.liveness,
        };
        self.send(now, hello, out);
    }

    /// The session is lost: after a pause the next endpoint is tried on a new socket (RFC 7 W6, W7). `true`: the broker had
    /// taken this peer. A WELCOME alone does not say so, for a broker may refuse what comes behind HELLO,
    /// or a READY after it.
    pub(crate) fn lose<P, A>(&mut self, now: Time, cause: LossCause, out: &mut Vec<A>) -> bool
    where
        A: From<SessionAction<P>>,
    {
        let taken = match self.phase {
            Phase::Closed | Phase::Paused | Phase::Waiting { .. } => return false,
            Phase::Greeting { .. } => false,
            Phase::Open { since, .. } => {
                !cause.is_refusal() || now - since >= self.config.max_backoff
            }
        };
        if taken {
            self.backoff.succeeded();
        }
        let pause = self.backoff.failed(&self.config);
        self.phase = Phase::Waiting { until: now + pause };
        out.push(SessionAction::State(ConnectionState::Disconnected(cause)).into());
        taken
    }

    /// Leaves the broker, if there is one, until [`resume`](Self::resume).
    pub(crate) fn pause<P, A>(&mut self, now: Time, out: &mut Vec<A>)
    where
        A: From<SessionAction<P>>,
    {
        if matches!(self.phase, Phase::Closed | Phase::Paused) {
            return;
        }
        if self.is_open() {
            self.send(now, Record::Disconnect(DisconnectReason::Stalled), out);
        }
        self.phase = Phase::Paused;
        let state = ConnectionState::Disconnected(LossCause::Stalled);
        out.push(SessionAction::State(state).into());
    }

    /// Connects again, at the next [`tick`](Self::tick).
    pub(crate) fn resume(&mut self, now: Time) {
        if let Phase::Paused = self.phase {
            self.phase = Phase::Waiting { until: now };
        }
    }

    /// Sends DISCONNECT if there is a broker; sends nothing after it.
    pub(crate) fn close<P, A>(&mut self, now: Time, out: &mut Vec<A>)
    where
        A: From<SessionAction<P>>,
    {
        if self.is_open() {
            self.send(now, Record::Disconnect(DisconnectReason::Shutdown), out);
        }
        self.phase = Phase::Closed;
        out.push(SessionAction::State(ConnectionState::Closed).into());
    }
}
