//! What the state machines note, as `tracing` events. Nothing behaves otherwise for it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mdp_protocol::broker::{Cause, Note};
use mdp_protocol::wire::plain::PlainError;
use mdp_protocol::wire::{DisconnectReason, RecordError, WireError};

use crate::connection::{self, Line};
use mdp_transport::Unsent;

/// Bytes of a peer as text that cannot break a log line.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lines of one kind in a second that peers can cause. A line costs the broker's thread more than the message behind it, so
/// without a bound a peer could slow all others by what is said about it, and fill a disk.
const LINES_A_SECOND: u32 = 20;

/// Bounds the lines of one kind.
struct Bound(Mutex<Second>);

struct Second {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Bound {
    const fn new() -> Self {
        Bound(Mutex::new(Second { since: None, lines: 0, left_out: 0 }))
    }

    /// Whether there is room for a line now, and then how many were left out before it, if any were.
    fn room(&self, now: Instant) -> Option<Option<u64>> {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second.since.is_none_or(|since| now - since >= Duration::from_secs(1)) {
            (second.since, second.lines) = (Some(now), 0);
        }
        if second.lines >= LINES_A_SECOND {
            second.left_out += 1;
            return None;
        }
        second.lines += 1;
        Some(Some(std::mem::take(&mut second.left_out)).filter(|left_out| *left_out > 0))
    }
}

/// An event if there is room for one of its kind; `others` were left out before it.
macro_rules! bounded {
    ($level:ident, $($rest:tt)*) => {{
        static BOUND: Bound = Bound::new();
        if let Some(others) = BOUND.room(Instant::now()) {
            tracing::$level!(others, $($rest)*);
        }
    }};
}

pub(crate) fn broker(note: &Note) {
    match note {
        Note::SessionOpened { id } => tracing::debug!(id = shown(id), "session opened"),
        Note::SessionClosed { id, cause: Cause::Said(DisconnectReason::Stalled), moved, ended } => {
            let id = shown(id);
            bounded!(warn, id, moved, ended, "worker left: its handlers cannot run");
        }
        Note::SessionClosed { id, cause: cause @ (Cause::Said(_) | Cause::Idle), moved, ended } => {
            tracing::debug!(id = shown(id), ?cause, moved, ended, "session closed");
        }
        Note::SessionClosed { id, cause, moved, ended } => {
            bounded!(warn, id = shown(id), ?cause, moved, ended, "session lost");
        }
        Note::WorkerReady { id, service, capacity, .. } => {
            bounded!(info, id = shown(id), service = shown(service), capacity, "worker ready");
        }
        Note::SchemasDiffer { id, service, schema, other } => {
            bounded!(
                warn,
                id = shown(id),
                service = shown(service),
                schema = hex(schema),
                other = hex(other),
                "workers of one service were built with different schemas"
            );
        }
        Note::WorkerDraining { id } => bounded!(info, id = shown(id), "worker draining"),
        Note::LimitReached { id, limit } => {
            bounded!(warn, id = shown(id), limit = limit.name(), "limit reached");
        }
        Note::Overloaded { service, wait } => {
            bounded!(
                warn,
                service = shown(service),
                wait_ms = wait.as_ms(),
                "service overloaded: calls are refused that could not end in their time"
            );
        }
        Note::SlotReclaimed { id, service } => {
            bounded!(
                warn,
                id = shown(id),
                service = shown(service),
                "a worker held a call beyond its deadline; its slot was given back"
            );
        }
        Note::TurnedAway { route, reason } => {
            tracing::debug!(route = shown(route), %reason, "peer without a session turned away");
        }
        Note::Impostor { route } => {
            bounded!(
                warn,
                route = shown(route),
                "message dropped: another key has the session of its routing id"
            );
        }
        Note::ClientSeen { who } => tracing::debug!(who = shown(who), "first call"),
        // The session's end is told besides.
        Note::WorkerLeft { .. } => {}
        note => tracing::debug!(?note, "broker"),
    }
}

pub(crate) fn invalid(route: &[u8], error: &WireError) {
    bounded!(warn, route = shown(route), %error, "message dropped");
}

pub(crate) fn invalid_plain(route: &[u8], error: &PlainError) {
    bounded!(warn, route = shown(route), %error, "message dropped");
}

/// A message on a routing id that another peer has a session under.
/// `chosen`: there is a key, and a routing id of the peer's choice.
pub(crate) fn unproven(route: &[u8], chosen: bool) {
    let why = match chosen {
        true => {
            "its peer has a key and sets its routing id itself: it must leave that to the broker"
        }
        false => "its connection should have a key, and has none",
    };
    bounded!(warn, route = shown(route), why, "message dropped");
}

pub(crate) fn unknown(route: &[u8], error: &RecordError) {
    bounded!(warn, route = shown(route), %error, "record dropped");
}

pub(crate) fn unreachable(error: Unsent) {
    tracing::debug!(%error, "a packet could not be sent");
}

/// A worker refuses a call, for its capacity is taken by handlers whose calls have ended.
pub(crate) fn no_permit(service: &[u8], capacity: u32, outlasting: u32) {
    let service = shown(service);
    bounded!(
        warn,
        service,
        capacity,
        outlasting,
        "call refused: handlers of calls that have ended still run"
    );
}

/// The runtime of a worker's handlers does not move, or moves again.
pub(crate) fn stalled(after: Duration, not_started: usize, running: usize) {
    bounded!(
        error,
        ?after,
        not_started,
        running,
        "the tokio runtime of the handlers does not move: does a handler block it? The worker leaves its broker until it moves"
    );
}

pub(crate) fn moves() {
    bounded!(warn, "the tokio runtime of the handlers moves again; the worker comes back");
}

/// A peer gets no session, or a worker may not serve what it offers.
pub(crate) fn refused(
    id: &[u8],
    principal: &[u8],
    service: Option<&[u8]>,
    address: Option<&str>,
    reason: DisconnectReason,
    attempts: u64,
) {
    let (id, principal, service) = (shown(id), shown(principal), service.map(shown));
    bounded!(warn, id, principal, service, address, %reason, attempts, "peer refused");
}

/// What has become of a connection to a broker.
pub(crate) fn connection(
    who: &'static str,
    services: Option<&str>,
    endpoint: &str,
    line: &connection::Line,
) {
    match line {
        Line::Connecting => tracing::debug!(who, services, endpoint, "connecting"),
        Line::Connected { endpoint, id } => {
            tracing::info!(who, services, endpoint, id = shown(id), "connected");
        }
        Line::Lost { cause, again, next } => {
            let next_attempt_ms = next.map(|next| next.as_ms());
            let times = again;
            tracing::warn!(who, services, endpoint, %cause, times, next_attempt_ms, "disconnected");
        }
        Line::Closed => tracing::debug!(who, services, "closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_there_are_so_many_lines_in_a_second() {
        let (bound, start) = (Bound::new(), Instant::now());
        let lines = |ms: u64, tries: u32| {
            let now = start + Duration::from_millis(ms);
            (0..tries).filter_map(|_| bound.room(now)).collect::<Vec<_>>()
        };
        assert_eq!(lines(0, 5), [None; 5]);
        assert_eq!(lines(999, 100), [None; 15]);
        let next = lines(1_000, 100);
        assert_eq!(next.len(), 20);
        assert_eq!((next[0], next[1]), (Some(85), None), "what was left out is told");
        assert_eq!(lines(5_000, 1), [Some(80)]);
    }
}
