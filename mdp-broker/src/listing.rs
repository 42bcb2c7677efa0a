//! Encodes the answers of the broker's own services (RFC 8) as frames: a status, then JSON or a service's contract.

use std::collections::BTreeMap;

use bytes::Bytes;
use mdp_protocol::broker::{
    BrokerLine, CallStats, Listing, MethodLine, Name, ServiceLine, Stats, WorkerLine,
};
use mdp_protocol::wire::classic::Dialect;
use mdp_protocol::wire::{Record, Reply, SchemaHash};
use mdp_protocol::{Limits, Span};
use serde_json::{Value, json};

use mdp_call::body::{Body, Packer};
use mdp_transport::clock;

/// Puts a record into a packet, a listing with what it says.
pub(crate) fn put<N: AsRef<[u8]>>(packer: &mut Packer, record: &Record<N, Body>) {
    match record {
        Record::Final { reply: Reply::Listing(listing), .. } => {
            packer.put_with(record, &body(listing));
        }
        _ => packer.put(record),
    }
}

/// Returns the reply as a raw body. A contract is not copied: all replies share its bytes.
fn body(listing: &Listing) -> Body {
    match listing {
        Listing::Schema(answer) => Body::of_raw(Bytes::from_owner(answer.clone())),
        listing => Body::of_frames(b"", frames(listing)),
    }
}

/// Returns the body of a reply, frame by frame.
pub(crate) fn frames(listing: &Listing) -> Vec<Bytes> {
    if let Listing::Schema(_) = listing {
        return body(listing).frames();
    }
    let mut frames = vec![Bytes::from(listing.status().to_string())];
    let json = match listing {
        Listing::Services(services) => Some(services.iter().map(service).collect::<Value>()),
        Listing::Workers(workers) => Some(workers.iter().map(worker).collect()),
        Listing::Methods(methods) => Some(methods.iter().map(method).collect()),
        Listing::Counters(stats) => Some(counters(stats)),
        Listing::Drained(workers) => Some(json!({ "workers": workers })),
        Listing::Broker(line) => Some(broker(line)),
        Listing::Status(_) | Listing::Schema(_) => None,
    };
    frames.extend(json.map(|json| Bytes::from(json.to_string())));
    frames
}

fn service(line: &ServiceLine) -> Value {
    json!({
        "service": text(&line.service),
        "workers": line.workers,
        "capacity": line.capacity,
        "running": line.running,
        "queued": line.queued,
        "draining": line.draining,
        "schemas": line.schemas.iter().map(hex).collect::<Value>(),
    })
}

fn worker(line: &WorkerLine) -> Value {
    let dialect = match line.dialect {
        None => "rpc",
        Some(Dialect::V01) => "0.1",
        Some(Dialect::V02) => "0.2",
    };
    json!({
        "id": text(&line.id),
        "service": text(&line.service),
        "dialect": dialect,
        "capacity": line.capacity,
        "running": line.running,
        "draining": line.draining,
        "schema": line.schema.as_ref().map(hex),
        "done": call_stats(&line.call_stats, line.since_error),
    })
}

fn broker(line: &BrokerLine) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "time_ms": clock::unix_ms(),
        "heartbeat_ms": line.heartbeat.as_ms(),
        "liveness": line.liveness,
        "draining": line.draining,
        "policy": line.guarded,
        "limits": limits(&line.limits),
    })
}

fn limits(limits: &Limits) -> Value {
    // Names each field, so that the compiler reports a new one that is missing here.
    let Limits {
        frame_bytes,
        frames,
        records,
        sessions,
        services,
        unserved_services,
        services_per_worker,
        registrations,
        queued_calls_per_service,
        queued_bytes_per_service,
        held_bytes,
        incomplete_bytes,
        unread_bytes_per_session,
        unread_bytes,
        calls_per_client,
        calls,
        capacity,
        window,
        schemas,
        schema_bytes,
        attempts,
        unanswered,
        methods,
    } = limits;
    json!({
        "frame_bytes": frame_bytes,
        "frames": frames,
        "records": records,
        "sessions": sessions,
        "services": services,
        "unserved_services": unserved_services,
        "services_per_worker": services_per_worker,
        "registrations": registrations,
        "queued_calls_per_service": queued_calls_per_service,
        "queued_bytes_per_service": queued_bytes_per_service,
        "held_bytes": held_bytes,
        "incomplete_bytes": incomplete_bytes,
        "unread_bytes_per_session": unread_bytes_per_session,
        "unread_bytes": unread_bytes,
        "calls_per_client": calls_per_client,
        "calls": calls,
        "capacity": capacity,
        "window": window,
        "schemas": schemas,
        "schema_bytes": schema_bytes,
        "attempts": attempts,
        "unanswered": unanswered,
        "methods": methods,
    })
}

fn method(line: &MethodLine) -> Value {
    json!({
        "service": text(&line.service),
        "method": text(&line.method),
        "done": call_stats(&line.call_stats, line.since_error),
    })
}

/// Encodes the counters of calls. Times are in milliseconds, summed over all calls.
fn call_stats(call_stats: &CallStats, since_error: Option<Span>) -> Value {
    json!({
        "requests": call_stats.requests,
        "errors": call_stats.errors,
        "redispatched": call_stats.redispatched,
        "queued_ms": call_stats.queued.as_ms(),
        "running_ms": call_stats.running.as_ms(),
        "last_error": call_stats.last_error.map(|(code, _)| code.name()),
        "last_error_ms_ago": since_error.map(Span::as_ms),
    })
}

fn counters(stats: &Stats) -> Value {
    json!({
        "sessions": stats.sessions,
        "services": stats.services,
        "queued": stats.queued,
        "running": stats.running,
        "held_bytes": stats.held_bytes,
        "unread_bytes": stats.unread_bytes,
        "paused": stats.paused,
        "requests": stats.requests,
        "dispatched": stats.dispatched,
        "redispatched": stats.redispatched,
        "replies": stats.replies,
        "expired": stats.expired,
        "cancelled": stats.cancelled,
        "refused": stats.refused,
        "unread_refused": stats.unread_refused,
        "unread_ended": stats.unread_ended,
        "denied": stats.denied,
        "late": stats.late,
        "unwanted": stats.unwanted,
        "unanswered": stats.unanswered,
        "invalid": stats.invalid,
        "turned_away": stats.turned_away,
        "stalled": stats.stalled,
        "reasons": stats.reasons.iter().map(|(reason, count)| (reason.name(), count)).collect::<BTreeMap<_, _>>(),
    })
}

/// Shows the hash of a contract in hex, as `mdp` and logs do.
fn hex(hash: &SchemaHash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names are printable ASCII, so the conversion loses nothing.
fn text(name: &Name) -> String {
    String::from_utf8_lossy(name).into_owned()
}
