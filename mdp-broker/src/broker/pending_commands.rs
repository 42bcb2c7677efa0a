//! Commands that the broker's thread has taken from its handles and not carried out yet.

use std::collections::VecDeque;
use std::sync::Arc;

use mdp_protocol::broker::{Broker, Report, Stats, Verdict};
use tokio::sync::oneshot;

use mdp_call::body::Body;

#[derive(Debug, Default)]
pub(super) struct PendingCommands {
    /// In the order of arrival.
    pub(super) verdicts: VecDeque<(u64, Verdict<Body>)>,
    pub(super) stats: Vec<oneshot::Sender<Stats>>,
    pub(super) reports: Vec<oneshot::Sender<Arc<Report>>>,
}

impl PendingCommands {
    /// Whether a handle waits for statistics.
    pub(super) fn is_asked(&self) -> bool {
        !self.stats.is_empty() || !self.reports.is_empty()
    }

    /// Answers all waiting requests for statistics with the same values: their cost grows with services and workers.
    pub(super) fn answer(&mut self, core: &Broker<Body>) {
        // The callers may be gone, before or now.
        self.stats.retain(|answer| !answer.is_closed());
        self.reports.retain(|answer| !answer.is_closed());
        if !self.stats.is_empty() {
            let now = core.stats();
            for answer in self.stats.drain(..) {
                let _ = answer.send(now);
            }
        }
        if !self.reports.is_empty() {
            let now = Arc::new(core.report());
            for answer in self.reports.drain(..) {
                let _ = answer.send(Arc::clone(&now));
            }
        }
    }
}
