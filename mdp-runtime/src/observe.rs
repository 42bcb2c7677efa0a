//! What the state machines note, as `tracing` events. Nothing behaves otherwise for it.

use mdp_protocol::ConnectionState;
use mdp_protocol::broker::{Cause, Note};
use mdp_protocol::wire::plain::PlainError;
use mdp_protocol::wire::{RecordError, WireError};

/// Bytes of a peer as text that cannot break a log line.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn broker(note: &Note) {
    match note {
        Note::SessionOpened { id } => tracing::debug!(id = shown(id), "session opened"),
        Note::SessionClosed { id, cause: cause @ (Cause::Said(_) | Cause::Idle), moved, ended } => {
            tracing::debug!(id = shown(id), ?cause, moved, ended, "session closed");
        }
        Note::SessionClosed { id, cause, moved, ended } => {
            tracing::warn!(id = shown(id), ?cause, moved, ended, "session lost");
        }
        Note::WorkerReady { id, service, capacity, .. } => {
            tracing::info!(id = shown(id), service = shown(service), capacity, "worker ready");
        }
        Note::SchemasDiffer { id, service, schema, other } => {
            tracing::warn!(
                id = shown(id),
                service = shown(service),
                schema = hex(schema),
                other = hex(other),
                "workers of one service were built with different schemas"
            );
        }
        Note::WorkerDraining { id } => tracing::info!(id = shown(id), "worker draining"),
        Note::LimitReached { id, limit } => {
            tracing::warn!(id = shown(id), limit = limit.name(), "limit reached");
        }
        Note::SlotReclaimed { id, service } => {
            tracing::warn!(
                id = shown(id),
                service = shown(service),
                "a worker held a call beyond its deadline; its slot was given back"
            );
        }
        Note::TurnedAway { route, reason } => {
            tracing::debug!(route = shown(route), %reason, "peer without a session turned away");
        }
        Note::ClientSeen { who } => tracing::debug!(who = shown(who), "first call"),
        // The session's end is told besides.
        Note::WorkerLeft { .. } => {}
        note => tracing::debug!(?note, "broker"),
    }
}

pub(crate) fn invalid(route: &[u8], error: &WireError) {
    tracing::warn!(route = shown(route), %error, "message dropped");
}

pub(crate) fn invalid_plain(route: &[u8], error: &PlainError) {
    tracing::warn!(route = shown(route), %error, "message dropped");
}

/// A message on a routing id that another peer has a session under.
pub(crate) fn another_key(route: &[u8]) {
    tracing::warn!(route = shown(route), "message of another key dropped");
}

pub(crate) fn unknown(route: &[u8], error: &RecordError) {
    tracing::warn!(route = shown(route), %error, "record dropped");
}

pub(crate) fn unreachable(error: &zmq::Error) {
    tracing::debug!(%error, "a packet could not be sent");
}

pub(crate) fn state(who: &'static str, state: &ConnectionState) {
    match state {
        ConnectionState::Connecting { endpoint } => tracing::debug!(who, endpoint, "connecting"),
        ConnectionState::Connected { endpoint, id } => {
            tracing::info!(who, endpoint, id = shown(id), "connected");
        }
        ConnectionState::Disconnected(cause) => tracing::warn!(who, %cause, "disconnected"),
        ConnectionState::Closed => tracing::debug!(who, "closed"),
    }
}
