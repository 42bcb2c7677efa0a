//! The answers of the broker's own services, before they are written as JSON: lists of services, workers and methods,
//! and counters.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::classic::Dialect;
use crate::limits::Limits;
use crate::names::Name;
use crate::status::{Code, Reason};
use crate::time::{Span, Time};

/// The identity of a service's contract: equal for equal contracts. The machines only compare it.
pub type SchemaHash = [u8; 16];

/// The answer of one of the broker's own services: a status, then the requested list or values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Only a status of RFC 8: 200, 403, 404, 501, 503 or 504.
    Status(u16),
    /// The services.
    Services(Vec<ServiceLine>),
    /// The workers of a service, or of all.
    Workers(Vec<WorkerLine>),
    /// Returns the counters.
    Counters(Box<Stats>),
    /// The counters of methods.
    Methods(Vec<MethodLine>),
    /// The number of workers that were asked to end.
    Drained(usize),
    /// The schema of a service: the whole answer as a raw payload (`wire.md` R85), in memory that all answers share.
    /// Its frames are the status, the worker's descriptors (a `google.protobuf.FileDescriptorSet`), and the identity of
    /// the contract.
    Schema(Arc<[u8]>),
    /// The broker's settings that matter to peers.
    Broker(Box<BrokerLine>),
}

/// The broker, as `mmi.broker` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerLine {
    /// The interval at which the broker sends and expects heartbeats.
    pub heartbeat: Span,
    /// The number of silent intervals after which a peer counts as gone.
    pub liveness: u8,
    /// The broker drains: it takes no new calls.
    pub draining: bool,
    /// Whether the broker has a policy.
    pub guarded: bool,
    /// The broker's limits.
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
    /// The service's name.
    pub service: Name,
    /// The number of its workers, draining ones included.
    pub workers: usize,
    /// Calls that these workers take at once, together.
    pub capacity: u64,
    /// Calls that these workers hold.
    pub running: u64,
    /// Calls that wait for a worker.
    pub queued: usize,
    /// The number of its workers that take no new calls.
    pub draining: usize,
    /// The contracts that its other workers announced.
    pub schemas: Vec<SchemaHash>,
}

/// One worker of a service, as `mmi.workers` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerLine {
    /// The worker's id.
    pub id: Name,
    /// The service that the worker offers.
    pub service: Name,
    /// The worker's dialect of classic MDP. `None`: it speaks MDP/RPC.
    pub dialect: Option<Dialect>,
    /// Calls that the worker takes at once.
    pub capacity: u32,
    /// Calls that the worker holds.
    pub running: u32,
    /// Whether the worker drains and takes no new calls.
    pub draining: bool,
    /// The contract that the worker announced.
    pub schema: Option<SchemaHash>,
    /// The worker's counters so far.
    pub call_stats: CallStats,
    /// The time since its last error.
    pub since_error: Option<Span>,
}

/// Counters of a method, a service or a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallStats {
    /// Calls accepted. For a worker: calls given to it.
    pub requests: u64,
    /// Calls that ended with a status other than OK for their clients.
    pub errors: u64,
    /// Calls that were given to another worker after the first was lost.
    pub redispatched: u64,
    /// The sum of the times that calls waited for a worker. Each time is in whole milliseconds, rounded so that sums
    /// are right.
    pub queued: Span,
    /// The sum of the times from giving a call to a worker until its answer.
    pub running: Span,
    /// The last error and its time.
    pub last_error: Option<(Code, Time)>,
}

/// The counters of a method or of a whole service, as `mmi.methods` lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodLine {
    /// The service.
    pub service: Name,
    /// The method; empty for raw calls, and for typed ones of methods that no worker has.
    pub method: Name,
    /// Returns the counters.
    pub call_stats: CallStats,
    /// The time since the last error.
    pub since_error: Option<Span>,
}

impl CallStats {
    /// Adds the counters of another row.
    pub(crate) fn add(&mut self, other: &CallStats) {
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

    /// Counts the end of a call with this code.
    pub(crate) fn count_error(&mut self, now: Time, code: Code) {
        self.errors += 1;
        self.last_error = Some((code, now));
    }
}

/// Counters since the start, and current numbers.
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
    /// Bytes now that peers have not read. Only peers with at least 16 KiB count.
    pub unread_bytes: usize,
    /// Classic clients now that the broker does not read, because a request of theirs waits for room.
    pub paused: usize,
    /// REQUESTs accepted.
    pub requests: u64,
    /// REQUESTs given to a worker; each attempt counts.
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
    /// Calls refused because their client does not read its data; `refused` counts them, too.
    pub unread_refused: u64,
    /// Sessions ended because their peers did not read their data.
    pub unread_ended: u64,
    /// Calls that hooks discarded: their clients get no answer.
    pub discarded: u64,
    /// FINALs and stream records of workers that were dropped because the call had ended.
    pub late: u64,
    /// Calls, registrations and management requests that the policy did not allow.
    pub denied: u64,
    /// Replies of workers that were dropped because their clients cannot take them: partial replies for a client that
    /// takes one reply, or frames that are not a message of a typed call.
    pub unwanted: u64,
    /// Raw calls of classic clients that the broker ended without an answer, because classic MDP cannot express a
    /// failure.
    pub unanswered: u64,
    /// Messages and metadata that could not be read, and unexpected records.
    pub invalid: u64,
    /// Answers to peers that have no session.
    pub turned_away: u64,
    /// The number of times that a worker left because its handlers could not run.
    pub stalled: u64,
    /// Calls that the broker itself ended, by the reason that their clients got.
    pub reasons: Reasons,
}

/// The number of calls that ended with each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons([u64; Reason::ALL.len()]);

impl Reasons {
    /// Counts one call with this reason.
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
