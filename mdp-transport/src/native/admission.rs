//! Whose keys a router accepts.

use std::time::Duration;

use crate::log_limit::LogLimit;
use crate::security::{AllowList, PublicKey};

/// The shortest time between two log lines about refused peers.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// The list of keys, and the log of refused peers.
pub(super) struct Admission {
    allowed: AllowList,
    log: LogLimit,
}

impl Admission {
    pub(super) fn new(allowed: AllowList) -> Self {
        Admission { allowed, log: LogLimit::new(BETWEEN_LINES) }
    }

    /// Whether the peer with this key may connect.
    pub(super) fn admits(&mut self, host: Option<&str>, key: &PublicKey) -> bool {
        let admitted = self.allowed.allows(key);
        if admitted {
            tracing::debug!(host, %key, "key accepted");
        } else if let Some(others) = self.log.pass() {
            tracing::warn!(host, %key, others, "peer refused: the key is not allowed");
        }
        admitted
    }
}
