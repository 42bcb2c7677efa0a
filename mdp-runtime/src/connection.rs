//! Decides which changes of a connection to a broker are logged. A new cause is logged at once, the same cause once a
//! minute.
//!
//! A refused peer connects again and again, and a broker may send WELCOME before it refuses the next record. Two lines
//! for each attempt would fill a disk with known facts.

use std::sync::Arc;

use mdp_protocol::{ConnectionState, LossCause, Span, Time};

use crate::observe::{self, Line};
use mdp_transport::clock::Clock;

/// The time between two lines with the same cause.
const AGAIN_AFTER: Span = Span::from_secs(60);
/// After a refusal, a connection must last this long before it is logged.
const SETTLED: Span = Span::from_secs(1);

/// The state of one connection's log.
#[derive(Debug)]
pub(crate) struct Connection {
    who: &'static str,
    /// The services of the worker, if this is a worker's connection.
    services: Option<String>,
    lost: Option<Lost>,
    /// The connection is up, but this is not logged yet.
    untold: Option<(Time, String, Arc<[u8]>)>,
}

#[derive(Debug)]
struct Lost {
    cause: LossCause,
    told: Time,
    /// How often the connection was lost since the last line.
    again: u64,
}

/// The endpoint that a state is about. If the state does not name an endpoint, it is that of the `last` attempt, or all
/// endpoints if there was no attempt.
pub(crate) fn endpoint(
    state: &ConnectionState,
    endpoints: &[String],
    last: Option<usize>,
) -> String {
    let place = match state {
        ConnectionState::Connecting { endpoint } | ConnectionState::Connected { endpoint, .. } => {
            Some(*endpoint)
        }
        ConnectionState::Disconnected(_) | ConnectionState::Closed => last,
    };
    match place {
        Some(place) => endpoints.get(place).cloned().unwrap_or_default(),
        None => endpoints.join(" "),
    }
}

/// The state of a client or a worker with several brokers: connected while it is with one of them.
pub(crate) fn together<'a>(
    states: impl Iterator<Item = &'a ConnectionState>,
) -> Option<ConnectionState> {
    let rank = |state: &ConnectionState| match state {
        ConnectionState::Connected { .. } => 3,
        ConnectionState::Connecting { .. } => 2,
        ConnectionState::Disconnected(_) => 1,
        ConnectionState::Closed => 0,
    };
    // Of several that are connected, the first.
    let best = states.reduce(|best, state| if rank(state) > rank(best) { state } else { best });
    best.cloned()
}

impl Connection {
    pub(crate) fn new(who: &'static str) -> Self {
        Connection { who, services: None, lost: None, untold: None }
    }

    /// What this peer is, for the log.
    pub(crate) fn who(&self) -> &'static str {
        self.who
    }

    /// Sets the services of the worker.
    pub(crate) fn set_services<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>) {
        let names: Vec<String> = names.map(|name| name.escape_ascii().to_string()).collect();
        self.services = Some(names.join(" "));
    }

    /// Logs a change of the state. `next`: the time of the next attempt.
    pub(crate) fn changed(
        &mut self,
        now: Time,
        state: &ConnectionState,
        endpoint: &str,
        next: Option<Time>,
    ) {
        if let Some(line) = self.line(now, state, endpoint, next) {
            observe::connection(self.who, self.services.as_deref(), endpoint, &line);
        }
    }

    /// Logs a connection that has lasted long enough.
    pub(crate) fn settle(&mut self, clock: &Clock) {
        if self.untold.is_some() {
            self.settle_at(clock.now());
        }
    }

    fn settle_at(&mut self, now: Time) {
        let settled = self.untold.as_ref().is_some_and(|(since, ..)| now - *since >= SETTLED);
        if settled && let Some((_, endpoint, id)) = self.untold.take() {
            self.lost = None;
            let line = Line::Connected { endpoint: endpoint.clone(), id };
            observe::connection(self.who, self.services.as_deref(), &endpoint, &line);
        }
    }

    fn line(
        &mut self,
        now: Time,
        state: &ConnectionState,
        endpoint: &str,
        next: Option<Time>,
    ) -> Option<Line> {
        self.untold = None;
        match state {
            ConnectionState::Connecting { .. } => Some(Line::Connecting),
            ConnectionState::Connected { id, .. } => {
                let (endpoint, id) = (endpoint.to_owned(), Arc::clone(id));
                if self.lost.as_ref().is_some_and(|lost| lost.cause.is_refusal()) {
                    self.untold = Some((now, endpoint, id));
                    return None;
                }
                self.lost = None;
                Some(Line::Connected { endpoint, id })
            }
            ConnectionState::Disconnected(cause) => {
                let same = self.lost.as_mut().filter(|lost| lost.cause == *cause);
                let again = match same {
                    Some(lost) if now - lost.told < AGAIN_AFTER => {
                        lost.again += 1;
                        return None;
                    }
                    Some(lost) => lost.again + 1,
                    None => 1,
                };
                self.lost = Some(Lost { cause: *cause, told: now, again: 0 });
                Some(Line::Lost { cause: *cause, again, next: next.map(|next| next - now) })
            }
            ConnectionState::Closed => Some(Line::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use mdp_protocol::wire::DisconnectReason;

    use super::*;

    const DENIED: LossCause = LossCause::Said(DisconnectReason::Denied);

    fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    fn lost(connection: &mut Connection, ms: u64, cause: LossCause) -> Option<u64> {
        let state = ConnectionState::Disconnected(cause);
        match connection.line(at(ms), &state, "here", Some(at(ms + 70))) {
            Some(Line::Lost { again, next, .. }) => {
                assert_eq!(next, Some(Span::from_ms(70)));
                Some(again)
            }
            _ => None,
        }
    }

    fn connected(connection: &mut Connection, ms: u64) -> bool {
        let state = ConnectionState::Connected { endpoint: 0, id: Arc::from(&b"w"[..]) };
        connection.line(at(ms), &state, "here", None).is_some()
    }

    #[test]
    fn a_refusal_is_told_once_a_minute_however_often_it_comes() {
        let mut connection = Connection::new("worker");
        assert!(connected(&mut connection, 0));
        assert_eq!(lost(&mut connection, 1, DENIED), Some(1));
        for ms in 0..700 {
            assert!(
                !connected(&mut connection, 80 * ms + 80),
                "the broker may refuse it again at once"
            );
            assert_eq!(lost(&mut connection, 80 * ms + 81, DENIED), None);
        }
        assert_eq!(lost(&mut connection, 60_001, DENIED), Some(701));
        assert_eq!(lost(&mut connection, 60_002, LossCause::Silence), Some(1), "another cause");
        assert!(connected(&mut connection, 60_003));
    }

    #[test]
    fn a_connection_that_stays_after_a_refusal_is_told() {
        let mut connection = Connection::new("worker");
        assert_eq!(lost(&mut connection, 0, DENIED), Some(1));
        assert!(!connected(&mut connection, 100));
        connection.settle_at(at(1_099));
        assert!(connection.untold.is_some());
        connection.settle_at(at(1_100));
        assert!(connection.untold.is_none());
        assert_eq!(lost(&mut connection, 2_000, DENIED), Some(1), "a new cause is logged");
    }
}
