//! What the tests of the three machines share: records as short lines of text, so that a test reads
//! like a transcript.

use std::sync::Arc;

use mdp_protocol::wire::{CallKind, Direction, Part, Record, Reply};
use mdp_protocol::{Code, Key, Span, Time};

/// A record as text: command, call, and what matters of the rest.
pub(crate) fn text<N: AsRef<[u8]>>(record: &Record<N, Vec<u8>>) -> String {
    match record {
        Record::Hello { id, heartbeat, liveness } => {
            format!("HELLO {} {heartbeat} x{liveness}", string(id))
        }
        Record::Welcome { id, heartbeat, liveness, .. } => {
            format!("WELCOME {} {heartbeat} x{liveness}", string(id))
        }
        Record::Ready { service, capacity, shared, schema: None } => {
            let shared = if *shared { " shared" } else { "" };
            format!("READY {} {capacity}{shared}", string(service))
        }
        Record::Grant { service, slots, number } => {
            format!("GRANT {} {slots} number {number}", string(service))
        }
        Record::Demand { service, calls } => format!("DEMAND {} {calls}", string(service)),
        Record::Ready { service, capacity, shared: _, schema: Some(schema) } => {
            let schema: String = schema.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("READY {} {capacity} schema {schema}", string(service))
        }
        Record::Request { call, timeout, idempotent, attempt, peer, kind, body } => {
            let kind =
                format!("{}{}", if *idempotent { "idempotent " } else { "" }, of_kind(*kind));
            let (call, body, peer) = (handle(*call), string(body), string(peer));
            let peer = if peer.is_empty() { peer } else { format!(" peer {peer}") };
            format!("REQUEST {call} {kind}{body} {timeout} try {attempt}{peer}")
        }
        Record::Final { call, code, not_started, peer, reply, .. } => {
            let (call, peer) = (handle(*call), string(peer));
            let peer = if peer.is_empty() { peer } else { format!(" from {peer}") };
            let safe = if *not_started { " not started" } else { "" };
            let reply = match reply {
                Reply::Body(body) => string(body),
                Reply::Refused(refusal) => {
                    format!("{}: {}", refusal.reason.name(), refusal.message)
                }
                Reply::Listing(listing) => format!("{listing:?}"),
            };
            format!("FINAL {call} {code}{safe}{peer} {reply}")
        }
        Record::Data { call, of, part } => {
            format!("DATA {} {}: {}", handle(*call), way(*of), part_text(part))
        }
        Record::Credit { call, of, units } => {
            format!("CREDIT {} {}: {units}", handle(*call), way(*of))
        }
        Record::Cancel { call } => format!("CANCEL {}", handle(*call)),
        Record::Heartbeat => "HEARTBEAT".into(),
        Record::Drain => "DRAIN".into(),
        Record::Disconnect(reason) => format!("DISCONNECT {reason:?}"),
    }
}

fn of_kind(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Unary => "",
        CallKind::ClientStreaming => "requests> ",
        CallKind::ServerStreaming => "replies< ",
        CallKind::BidiStreaming => "both<> ",
    }
}

fn way(of: Direction) -> &'static str {
    match of {
        Direction::Requests => "requests",
        Direction::Replies => "replies",
    }
}

/// An item as it is, the rest in capitals.
pub(crate) fn part_text(part: &Part<Vec<u8>>) -> String {
    match part {
        Part::Open(body) => format!("OPEN {}", string(body)),
        // Large ones are told apart from small ones by their size only.
        Part::Item(body) if body.len() > 40 => format!("{} bytes", body.len()),
        Part::Item(body) => string(body),
        Part::End => "END".into(),
    }
}

/// The call as a machine's handle, or as the plain number that a test chose.
pub(crate) fn handle(call: u64) -> String {
    match Key::from_u64(call) {
        Some(key) => format!("{key:?}"),
        None => call.to_string(),
    }
}

/// The number of a handle as it is in a transcript, `0v1`.
#[allow(dead_code)]
pub(crate) fn call(handle: &str) -> u64 {
    let (index, generation) = handle.split_once('v').expect("a handle looks like 0v1");
    let number = |text: &str| text.parse::<u64>().expect("a handle looks like 0v1");
    number(generation) << 32 | number(index)
}

pub(crate) fn string(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}

pub(crate) fn ms(ms: u64) -> Span {
    Span::from_ms(ms)
}

pub(crate) fn at(ms: u64) -> Time {
    Time::from_ms(ms)
}

#[allow(dead_code)]
pub(crate) fn shared(text: &str) -> Arc<[u8]> {
    Arc::from(text.as_bytes())
}

/// A reply as a worker or a broker sends it.
pub(crate) fn reply<'a>(call: u64, code: Code, body: &str) -> Record<&'a [u8], Vec<u8>> {
    Record::Final {
        call,
        code,
        not_started: false,
        attempt: 1,
        peer: b"",
        reply: Reply::Body(body.into()),
    }
}

/// A refusal by a worker or a broker that started no handler.
#[allow(dead_code)]
pub(crate) fn not_started<'a>(call: u64, code: Code) -> Record<&'a [u8], Vec<u8>> {
    Record::Final {
        call,
        code,
        not_started: true,
        attempt: 1,
        peer: b"",
        reply: Reply::Body(b"refused".to_vec()),
    }
}
