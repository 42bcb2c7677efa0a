//! What becomes of workers and connections, as `tracing` events. Nothing behaves otherwise for it.

use std::sync::Arc;
use std::time::Duration;

use mdp_call::bounded;
use mdp_call::log::shown;
use mdp_protocol::{LossCause, Span};

/// A worker refuses a call because handlers of ended calls use all its capacity.
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

/// The runtime of a worker's handlers has stalled.
pub(crate) fn stalled(after: Duration, not_started: usize, running: usize) {
    bounded!(
        error,
        ?after,
        not_started,
        running,
        "the tokio runtime of the handlers is stalled: does a handler block it? The worker leaves its broker until the runtime runs again"
    );
}

pub(crate) fn moves() {
    bounded!(warn, "the tokio runtime of the handlers runs again; the worker comes back");
}

/// A line of the log about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Connecting,
    Connected { endpoint: String, id: Arc<[u8]> },
    Lost { cause: LossCause, again: u64, next: Option<Span> },
    Closed,
}

/// A change of a connection to a broker.
pub(crate) fn connection(who: &'static str, services: Option<&str>, endpoint: &str, line: &Line) {
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
