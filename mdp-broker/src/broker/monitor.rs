//! The monitor of a running broker, for the operator's tools.

use std::sync::Arc;
use std::time::Duration;

use mdp_protocol::broker::Report;
use tokio::sync::oneshot;

use super::Line;
use super::driver::BrokerCommand;
use crate::metrics;

/// How long the broker may take to answer before it counts as not responding.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads the state of a broker, even while another handle shuts the broker down.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mdp_runtime::Broker;
///
/// let broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
/// let monitor = broker.monitor();
/// let report = monitor.report().await.expect("it is there");
/// assert_eq!((report.stats.sessions, report.draining), (0, false));
/// assert!(monitor.prometheus().await.expect("it is there").contains("\nmdp_sessions 0\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    line: Line,
}

impl Monitor {
    pub(super) fn new(line: Line) -> Self {
        Monitor { line }
    }

    /// Returns all counters and the current state. `None`: the broker has stopped, or does not answer within one
    /// second.
    pub async fn report(&self) -> Option<Report> {
        let (answer, report) = oneshot::channel();
        self.line.tell(BrokerCommand::Report(answer));
        let report = tokio::time::timeout(PATIENCE, report).await.ok()?.ok()?;
        // Concurrent callers share one report; the last of them takes it without a copy.
        Some(Arc::unwrap_or_clone(report))
    }

    /// Returns the same data in Prometheus' text format; see [`metrics`](crate::metrics). `None`: as in
    /// [`report`](Self::report).
    pub async fn prometheus(&self) -> Option<String> {
        Some(metrics::prometheus(&self.report().await?))
    }
}
