//! Caches the broker's report for a moment. HTTP requests ask the cache, and only the cache asks the broker's thread.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_runtime::{BrokerReport, metrics};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::log;

/// How long an answer is used again. The same holds for a missing answer.
const FRESH: Duration = Duration::from_millis(250);
/// The time limit for one question to the broker's thread.
const QUESTION: Duration = Duration::from_secs(1);
/// The total time limit for a request.
const PATIENCE: Duration = Duration::from_secs(2);
/// The maximum number of requests in the queue. Further requests wait for a place in it.
const WAITING: usize = 64;

type Answer = Option<Arc<Told>>;

/// The last answer of the broker's thread. All clones share it.
#[derive(Clone)]
pub(super) struct Kept {
    requests: mpsc::Sender<oneshot::Sender<Answer>>,
}

impl Kept {
    /// Returns the cache, and a future that asks the broker while it is polled. It asks one question at a time, and
    /// none while the last answer is fresh. A cancelled request does not cancel the question, so the next request does
    /// not start another one.
    pub(super) fn new<F>(
        mut ask: impl FnMut() -> F + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send + 'static)
    where
        F: Future<Output = Option<BrokerReport>> + Send + 'static,
    {
        let (requests, mut waiting) = mpsc::channel::<oneshot::Sender<Answer>>(WAITING);
        let asks = async move {
            let mut last: Option<(Instant, Answer)> = None;
            while let Some(request) = waiting.recv().await {
                let answer = match &last {
                    Some((at, answer)) if at.elapsed() < FRESH => answer.clone(),
                    _ => {
                        let report = timeout(QUESTION, ask()).await.ok().flatten();
                        let answer = report.map(|report| Arc::new(Told::new(report)));
                        last = Some((Instant::now(), answer.clone()));
                        answer
                    }
                };
                // The connection may have been closed meanwhile.
                let _ = request.send(answer);
            }
        };
        (Kept { requests }, asks)
    }

    /// Returns an answer of the last 250 ms, or a new one. `None`: the broker does not answer.
    pub(super) async fn get(&self) -> Answer {
        let asked = async {
            let (request, answer) = oneshot::channel();
            self.requests.send(request).await.ok()?;
            answer.await.ok()?
        };
        timeout(PATIENCE, asked).await.ok().flatten()
    }
}

/// One report. Its text is made on demand.
pub(super) struct Told {
    report: BrokerReport,
    text: OnceLock<Bytes>,
}

impl Told {
    fn new(report: BrokerReport) -> Self {
        Told { report, text: OnceLock::new() }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.report.draining
    }

    /// Returns the report in Prometheus' text format. The text is made once, and all answers share its bytes.
    pub(super) fn prometheus(&self) -> Bytes {
        let text = || (metrics::prometheus(&self.report) + &log_lines(log::dropped())).into();
        self.text.get_or_init(text).clone()
    }
}

/// The metrics of the program's own log.
fn log_lines(dropped: u64) -> String {
    let name = "mdp_log_lines_dropped_total";
    let help = "Lines of the log that were dropped, because they could not be written.";
    format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {dropped}\n")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A source that counts its questions, and the maximum number of concurrent ones.
    #[derive(Clone, Default)]
    struct Asked {
        all: Arc<AtomicUsize>,
        now: Arc<AtomicUsize>,
        max: Arc<AtomicUsize>,
    }

    impl Asked {
        fn kept(&self, takes: Duration) -> Kept {
            let asked = self.clone();
            let (kept, asks) = Kept::new(move || {
                asked.all.fetch_add(1, Ordering::SeqCst);
                let now = asked.now.fetch_add(1, Ordering::SeqCst) + 1;
                asked.max.fetch_max(now, Ordering::SeqCst);
                let over = Over(asked.now.clone());
                async move {
                    tokio::time::sleep(takes).await;
                    drop(over);
                    Some(BrokerReport::default())
                }
            });
            tokio::spawn(asks);
            kept
        }
    }

    struct Over(Arc<AtomicUsize>);

    impl Drop for Over {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn many_requests_are_one_question() {
        let asked = Asked::default();
        let kept = asked.kept(Duration::from_millis(20));
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let kept = kept.clone();
            requests.spawn(async move { kept.get().await.is_some() });
        }
        assert!(requests.join_all().await.into_iter().all(|answered| answered));
        // One more question is allowed, because a slow machine may take longer than an answer stays fresh.
        assert!(asked.all.load(Ordering::SeqCst) <= 2);
        tokio::time::sleep(FRESH + Duration::from_millis(50)).await; // the answer is too old now
        let before = asked.all.load(Ordering::SeqCst);
        assert!(kept.get().await.is_some());
        assert_eq!(asked.all.load(Ordering::SeqCst), before + 1);
    }

    /// A35: a blocked broker's thread is reported in time to each request, regardless of their number.
    #[tokio::test]
    async fn a35_a_thread_that_hangs_is_said_in_time() {
        let asked = Asked::default();
        let kept = asked.kept(Duration::from_secs(3_600));
        let begun = Instant::now();
        let mut requests = tokio::task::JoinSet::new();
        for number in 0..200 {
            let kept = kept.clone();
            let request = requests.spawn(async move { kept.get().await.is_none() });
            // Some requests are cancelled before they get an answer.
            if number % 3 == 0 {
                tokio::task::yield_now().await;
                request.abort();
            }
        }
        while let Some(answered) = requests.join_next().await {
            assert!(answered.unwrap_or(true));
        }
        // Without the limit this would take an hour. The time limit allows for a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(asked.max.load(Ordering::SeqCst), 1, "one question at a time");
        assert!(asked.all.load(Ordering::SeqCst) <= 4, "that it hangs is kept, too");
    }
}
