//! The answers of the broker's own services (RFC 8) as frames: a status, then JSON.

use bytes::Bytes;
use mdp_protocol::broker::{Listing, Name, ServiceLine, Stats, WorkerLine};
use mdp_protocol::wire::plain::Dialect;
use serde_json::{Value, json};

/// The body of a reply.
pub(crate) fn frames(listing: &Listing) -> Vec<Bytes> {
    let mut frames = vec![Bytes::from(listing.status().to_string())];
    let json = match listing {
        Listing::Services(services) => Some(services.iter().map(service).collect::<Value>()),
        Listing::Workers(workers) => Some(workers.iter().map(worker).collect()),
        Listing::Counters(stats) => Some(counters(stats)),
        _ => None,
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
        "dialect": dialect,
        "capacity": line.capacity,
        "running": line.running,
        "draining": line.draining,
    })
}

fn counters(stats: &Stats) -> Value {
    json!({
        "sessions": stats.sessions,
        "services": stats.services,
        "queued": stats.queued,
        "running": stats.running,
        "held_bytes": stats.held_bytes,
        "requests": stats.requests,
        "dispatched": stats.dispatched,
        "redispatched": stats.redispatched,
        "replies": stats.replies,
        "expired": stats.expired,
        "cancelled": stats.cancelled,
        "refused": stats.refused,
        "denied": stats.denied,
        "late": stats.late,
        "unwanted": stats.unwanted,
        "unanswered": stats.unanswered,
        "invalid": stats.invalid,
        "turned_away": stats.turned_away,
    })
}

/// Names are printable ASCII.
fn text(name: &Name) -> String {
    String::from_utf8_lossy(name).into_owned()
}
