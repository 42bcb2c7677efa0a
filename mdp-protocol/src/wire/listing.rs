//! What the broker's own services answer, before it is written as JSON: lists of services, workers and methods, and
//! counters.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::plain::Dialect;
use crate::limits::Limits;
use crate::names::Name;
use crate::status::{Code, Reason};
use crate::time::{Span, Time};

/// The identity of a service's contract: equal for equal contracts. The core only compares it.
pub type SchemaHash = [u8; 16];

/// What a service of the broker's own answers: a status, then what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listing {
    /// A status of RFC 8 and nothing more: 200, 403, 404, 501, 503 or 504.
    Status(u16),
    /// The services.
    Services(Vec<ServiceLine>),
    /// The workers of a service, or of all.
    Workers(Vec<WorkerLine>),
    /// The counters.
    Counters(Box<Stats>),
    /// The counters of methods.
    Methods(Vec<MethodLine>),
    /// How many workers are to end.
    Drained(usize),
    /// What a service is: the whole answer as a raw payload (`wire.md` R85), in memory that all answers share. Its
    /// frames are the status, what a worker told (a `google.protobuf.FileDescriptorSet`), and the identity of the
    /// contract.
    Schema(Arc<[u8]>),
    /// The broker's settings, as far as they concern others.
    Broker(Box<BrokerLine>),
}

/// The broker, as `mmi.broker` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerLine {
    /// How often it sends and wants heartbeats.
    pub heartbeat: Span,
    /// How many silent intervals mean that a peer is gone.
    pub liveness: u8,
    /// It takes no new calls: it is to end.
    pub draining: bool,
    /// It has a policy.
    pub guarded: bool,
    /// What it accepts.
    pub limits: Limits,
}

impl Listing {
    /// The status of RFC 8.
    pub const fn status(&self) -> u16 {
        match self {
            Listing::Status(status) => *status,
            _ => 200,
        }
    }
}

/// One service, as `mmi.services` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLine {
    /// Its name.
    pub service: Name,
    /// Its workers, draining ones included.
    pub workers: usize,
    /// Calls that they take at once, together.
    pub capacity: u64,
    /// Calls that they hold.
    pub running: u64,
    /// Calls that wait.
    pub queued: usize,
    /// Its workers that take no new calls.
    pub draining: usize,
    /// The contracts that its other workers say they have.
    pub schemas: Vec<SchemaHash>,
}

/// One worker of a service, as `mmi.workers` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerLine {
    /// Its id.
    pub id: Name,
    /// The service that it offers.
    pub service: Name,
    /// What it speaks; `None` is MDP/RPC.
    pub dialect: Option<Dialect>,
    /// Calls that it takes at once.
    pub capacity: u32,
    /// Calls that it holds.
    pub running: u32,
    /// It takes no new ones.
    pub draining: bool,
    /// The contract that it says it has.
    pub schema: Option<SchemaHash>,
    /// What it has done so far.
    pub tally: Tally,
    /// How long ago its last error was.
    pub since_error: Option<Span>,
}

/// Counters of a method, a service or a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Calls accepted; of a worker, calls given to it.
    pub requests: u64,
    /// Calls that ended otherwise than with OK, as their clients were told.
    pub errors: u64,
    /// Calls that went to another worker after the first was lost.
    pub redispatched: u64,
    /// How long calls waited for a worker, together. In whole milliseconds each, rounded so that sums are right.
    pub queued: Span,
    /// How long workers held calls till they answered, together.
    pub running: Span,
    /// The last error, and when that was.
    pub last_error: Option<(Code, Time)>,
}

/// The counters of a method or of a whole service, as `mmi.methods` lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodLine {
    /// The service.
    pub service: Name,
    /// The method; empty for raw calls, and for typed ones of methods that no worker has.
    pub method: Name,
    /// What was counted.
    pub tally: Tally,
    /// How long ago the last error was.
    pub since_error: Option<Span>,
}

impl Tally {
    /// Adds what another row has counted.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.redispatched += other.redispatched;
        self.queued = self.queued + other.queued;
        self.running = self.running + other.running;
        self.last_error = match (self.last_error, other.last_error) {
            (Some(own), Some(other)) if own.1 > other.1 => Some(own),
            (own, other) => other.or(own),
        };
    }

    /// A call has ended with this code.
    pub(crate) fn count_error(&mut self, now: Time, code: Code) {
        if code != Code::Ok {
            self.errors += 1;
            self.last_error = Some((code, now));
        }
    }
}

/// Counters since the start, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sessions now.
    pub sessions: usize,
    /// Services now, with or without a worker.
    pub services: usize,
    /// Calls that wait for a worker now.
    pub queued: usize,
    /// Calls that workers hold now.
    pub running: usize,
    /// Bytes of calls held now, waiting or kept for another attempt.
    pub held_bytes: usize,
    /// Bytes now that peers have not read, as far as a peer has 16 KiB of them or more.
    pub unread_bytes: usize,
    /// REQUESTs accepted.
    pub requests: u64,
    /// REQUESTs given to a worker, each attempt counted.
    pub dispatched: u64,
    /// REQUESTs given to another worker after the first was lost.
    pub redispatched: u64,
    /// FINALs of workers passed on to clients.
    pub replies: u64,
    /// Calls ended by their deadline.
    pub expired: u64,
    /// Calls that their clients gave up.
    pub cancelled: u64,
    /// Calls refused or ended by the broker for other reasons.
    pub refused: u64,
    /// Calls refused because their client does not read what it is sent; `refused` counts them, too.
    pub unread_refused: u64,
    /// Sessions ended because their peers did not read what they were sent.
    pub unread_ended: u64,
    /// Calls whose clients are told nothing, as the hooks wanted it.
    pub discarded: u64,
    /// FINALs, and what workers said of streams, dropped because the call had ended.
    pub late: u64,
    /// Calls, offers and questions that the policy did not allow.
    pub denied: u64,
    /// Replies of workers that their clients cannot take, and that were dropped: partial ones for a client that
    /// takes one reply, or frames that are no message of a typed call.
    pub unwanted: u64,
    /// Raw calls of plain clients that the broker ended, for which plain MDP has no words.
    pub unanswered: u64,
    /// Messages that could not be read, records that have no place, and metadata that could not be read.
    pub invalid: u64,
    /// Peers without a session that were told so.
    pub turned_away: u64,
    /// How often a worker left because its handlers could not run.
    pub stalled: u64,
    /// Calls that the broker itself ended, by the reason that their clients were given.
    pub reasons: Reasons,
}

/// How often each reason was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons([u64; Reason::ALL.len()]);

impl Reasons {
    /// A client is given this reason.
    pub(crate) fn count(&mut self, reason: Reason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.0)
    }
}
