//! Records for a state machine of MDP/RPC that come from its side of classic MDP in place of a broker.

use std::sync::Arc;

use mdp_protocol::wire::{Direction, Record, Reply};
use mdp_protocol::{Code, Reason, Refusal, Span};

use super::tunnel::{self, Tunnel};
use mdp_call::body::{Body, CALL_WEIGHT, weight_of};

/// The interval of heartbeats that no peer needs.
const NEVER_DUE: Span = Span::from_secs(3_600);
/// The largest frame in bytes. Classic MDP does not report the broker's limit.
const FRAME_BYTES: u64 = 64 << 20;

#[derive(Debug)]
pub(super) enum Inbound {
    Welcome { id: Arc<[u8]> },
    Heartbeat,
    Drain,
    Cancel { call: u64 },
    Credit { call: u64, units: u32 },
    Tunnel(Tunnel),
    Refused { call: u64, refusal: Box<Refusal> },
}

impl Inbound {
    /// The end of a call that failed.
    pub(super) fn refused(
        call: u64,
        code: Code,
        reason: Reason,
        not_started: bool,
        message: String,
    ) -> Self {
        let retry_after = None;
        let refusal = Box::new(Refusal { code, reason, message, not_started, retry_after });
        Inbound::Refused { call, refusal }
    }

    /// Passes the record to `take`, and returns its weight. `None`: the record is invalid.
    pub(super) fn give(self, take: impl FnOnce(Record<&[u8], Body>)) -> Option<usize> {
        match self {
            Inbound::Tunnel(tunnel) => {
                take(tunnel.record()?);
                return Some(weight_of(&[tunnel.head]));
            }
            Inbound::Welcome { id } => take(Record::Welcome {
                id: &id,
                heartbeat: NEVER_DUE,
                liveness: 3,
                frame_bytes: FRAME_BYTES,
            }),
            Inbound::Heartbeat => take(Record::Heartbeat),
            Inbound::Drain => take(Record::Drain),
            Inbound::Cancel { call } => take(Record::Cancel { call }),
            Inbound::Credit { call, units } => {
                take(Record::Credit { call, of: Direction::Replies, units });
            }
            Inbound::Refused { call, refusal } => take(Record::Final {
                call,
                code: refusal.code,
                not_started: refusal.not_started,
                attempt: 1,
                peer: b"",
                reply: Reply::Body(tunnel::status_body(&refusal)),
            }),
        }
        Some(CALL_WEIGHT)
    }
}
