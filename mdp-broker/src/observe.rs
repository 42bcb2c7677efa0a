//! What the broker's state machine notes, as `tracing` events. Nothing behaves otherwise for it.

use mdp_call::bounded;
use mdp_call::log::shown;
use mdp_protocol::broker::{Cause, Note};
use mdp_protocol::wire::classic::ClassicError;
use mdp_protocol::wire::{DisconnectReason, RecordError, WireError};
use mdp_transport::Unsent;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        // The end of the session has its own line.
        Note::WorkerLeft { .. } => {}
        note => tracing::debug!(?note, "broker"),
    }
}

pub(crate) fn invalid(route: &[u8], error: &WireError) {
    bounded!(warn, route = shown(route), %error, "message dropped");
}

pub(crate) fn invalid_classic(route: &[u8], error: &ClassicError) {
    bounded!(warn, route = shown(route), %error, "message dropped");
}

/// A message that cannot be shown to come from its session's peer. `chosen`: the peer has a key and set its own routing
/// id.
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

/// A peer is refused: it gets no session, or the worker may not serve the service.
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
