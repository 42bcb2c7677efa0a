//! The processes of a world: each holds one real state machine, a clock and an inbox.

use std::collections::{BTreeMap, VecDeque};

use mdp_protocol::broker::{Broker, Question};
use mdp_protocol::client::Client;
use mdp_protocol::wire::{CallKind, Direction};
use mdp_protocol::worker::{Offer, Worker};
use mdp_protocol::{Code, Key, Time};

use crate::body::{Body, Msg};
use crate::net::{ConnId, SocketId};
use crate::streams::Streams;

/// What every process has, whatever runs in it.
#[derive(Debug, Default)]
pub(crate) struct Process {
    /// Grows with each restart; what was meant for an earlier life is dropped.
    pub(crate) life: u32,
    pub(crate) up: bool,
    pub(crate) frozen: bool,
    /// When it was last frozen, in the world's time.
    pub(crate) thawed_at: u64,
    /// Its clock less the world's.
    skew: i64,
    /// The latest reading of its clock.
    last: u64,
    /// When its timer fires.
    pub(crate) wake_at: Option<u64>,
    /// What came while it was frozen.
    pub(crate) inbox: VecDeque<Letter>,
    /// A second, and how often the timer fired in it without any effect.
    idle: (u64, u32),
}

/// Something for a process to handle.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A record for the broker.
    FromPeer(ConnId, Msg),
    /// A record for a peer.
    FromBroker(SocketId, Msg),
    /// The connection of a peer's socket is lost.
    Lost(SocketId),
    /// A handler is done.
    Done(Finish),
    /// A user or a handler looks after its streams.
    Pulse(Key),
    /// The broker's hooks know what is to become of a call.
    Verdict(u64),
}

/// The end of a handler's run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish {
    pub(crate) call: Key,
    pub(crate) run: u32,
    pub(crate) code: Code,
    /// It goes on after an abort and answers nevertheless.
    pub(crate) deaf: bool,
}

/// Above this many timers without effect in one second a process is said to spin. The wheel fires
/// some timers early, so a few are right.
const MAX_IDLE: u32 = 100;

impl Process {
    /// What its clock shows, as its driver passes it on: it may jump back.
    pub(crate) fn clock(&mut self, now: u64) -> Time {
        let reading = now.saturating_add_signed(self.skew);
        self.last = self.last.max(reading);
        Time::from_ms(reading)
    }

    /// The time as its machine takes it: it never goes back.
    pub(crate) fn machine_time(&self, now: u64) -> u64 {
        self.last.max(now.saturating_add_signed(self.skew))
    }

    /// When its clock will show `at`.
    pub(crate) fn world_time(&self, now: u64, at: Time) -> u64 {
        at.as_ms().saturating_add_signed(-self.skew).max(now)
    }

    pub(crate) fn step_clock(&mut self, now: u64, by: i64) {
        let behind = self.machine_time(now) - now.saturating_add_signed(self.skew);
        if by > 0 || behind == 0 {
            self.skew += by;
        }
    }

    /// A new life: nothing of the old one is left, but for its clock.
    pub(crate) fn restart(&mut self) {
        let (life, skew) = (self.life + 1, self.skew);
        *self = Process { life, skew, up: true, ..Process::default() };
    }

    /// Counts a timer that had no effect. Whether there were too many.
    pub(crate) fn spins(&mut self, now: u64) -> bool {
        let second = now / 1_000;
        let before = if self.idle.0 == second { self.idle.1 } else { 0 };
        self.idle = (second, before + 1);
        before + 1 > MAX_IDLE
    }
}

/// The broker's process. `machine` is `None` while it is down.
#[derive(Debug, Default)]
pub(crate) struct BrokerActor {
    pub(crate) process: Process,
    pub(crate) machine: Option<Broker<Body>>,
    /// Sessions that were opened and not closed.
    pub(crate) open: BTreeMap<Key, Opened>,
    /// When it last stood still or its clock jumped, by its clock.
    pub(crate) paused: u64,
    /// Its handles of the calls that it gave to workers last.
    pub(crate) handles: VecDeque<u64>,
    /// What its driver has reported as unread, by session.
    pub(crate) unread: BTreeMap<Key, Unread>,
    /// What its hooks have been asked and have not said yet.
    pub(crate) questions: BTreeMap<u64, Question<Body>>,
}

/// What was reported of a connection that has, or had, a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unread {
    pub(crate) conn: ConnId,
    pub(crate) bytes: usize,
}

/// A session as its driver sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) conn: ConnId,
    /// When the peer was last heard, by the broker's clock.
    pub(crate) heard: u64,
    /// The silence after which it is gone, as its WELCOME says.
    pub(crate) expiry: u64,
}

/// A peer's process.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) process: Process,
    /// The id that it says HELLO with; empty for clients.
    pub(crate) id: Vec<u8>,
    pub(crate) socket: Option<SocketId>,
    /// Between its wish to connect and the loss of the session: the only time in which it may send.
    pub(crate) linked: bool,
    /// It has been told WELCOME.
    pub(crate) connected: bool,
    pub(crate) role: Role,
}

/// What runs in a peer's process.
#[derive(Debug)]
pub(crate) enum Role {
    Worker(WorkerActor),
    Client(ClientActor),
    Hostile(HostileActor),
}

/// A worker and its handlers.
#[derive(Debug)]
pub(crate) struct WorkerActor {
    pub(crate) machine: Worker,
    pub(crate) offers: Vec<Offer>,
    /// The runs that the machine counts on, and the place of their service.
    pub(crate) running: BTreeMap<Key, (u32, usize)>,
    /// The streams of those that have any.
    pub(crate) streams: BTreeMap<Key, Streams>,
}

/// A client and how many calls its user waits for.
#[derive(Debug)]
pub(crate) struct ClientActor {
    pub(crate) machine: Client<Body, u32>,
    /// The call that the last input made.
    pub(crate) made: Option<Key>,
    pub(crate) waiting: usize,
    /// The streams of those that have any.
    pub(crate) streams: BTreeMap<Key, Streams>,
}

impl ClientActor {
    /// The call that the last input made, if it has not ended.
    pub(crate) fn newest(&self) -> Option<Key> {
        self.made.filter(|call| self.machine.token(*call).is_some())
    }
}

/// Somebody who says whatever comes to mind.
#[derive(Debug, Default)]
pub(crate) struct HostileActor {
    /// Calls that the broker gave to it, by the broker's handle.
    pub(crate) held: Vec<(u64, u32, CallKind)>,
    /// The numbers of its own calls.
    pub(crate) own: Vec<u64>,
    /// Streams for which it was given credit.
    pub(crate) rich: Vec<(u64, Direction)>,
    /// It keeps to the protocol most of the time, and what it has said on this socket.
    pub(crate) sly: bool,
    pub(crate) greeted: u32,
}
