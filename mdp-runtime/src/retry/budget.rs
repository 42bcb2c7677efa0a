//! The budget that bounds retries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const SHARE: f64 = 0.2;
const RESERVE: u32 = 10;
/// The time in which an empty reserve fills up again, regardless of the number of calls.
const REFILL: Duration = Duration::from_secs(10);
/// The maximum that can be saved up, as a multiple of the reserve.
const MAX: f64 = 10.0;

/// Bounds the load that retries and hedging add: a share of the calls, 20 % by default, plus a reserve of a few
/// attempts, 10 by default, which refills within 10 s. So a client with few calls may retry too, and an outage does not
/// multiply the load. Each call adds its share to the budget, also a failed one. The budget holds at most ten reserves.
///
/// Clones share one budget. Each client has a budget with the defaults, which all the client's handles share; a policy
/// may have its own budget.
///
/// ```
/// use mdp_runtime::{RetryBudget, RetryPolicy};
///
/// let budget = RetryBudget::new(0.1, 5);
/// let policy = RetryPolicy::new().budget(&budget);
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    bucket: Arc<Mutex<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    share: f64,
    reserve: f64,
    left: f64,
    at: Instant,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(SHARE, RESERVE)
    }
}

impl RetryBudget {
    /// Makes a budget with this share of the calls (0.2 is 20 %) and this reserve.
    pub fn new(share: f64, reserve: u32) -> Self {
        let share = if share.is_finite() { share.max(0.0) } else { 0.0 };
        let reserve = f64::from(reserve);
        let bucket = Bucket { share, reserve, left: reserve, at: Instant::now() };
        RetryBudget { bucket: Arc::new(Mutex::new(bucket)) }
    }

    /// Counts a call.
    pub(super) fn call(&self) {
        self.with(Bucket::call);
    }

    /// Pays for one more attempt. `false`: the budget is spent.
    pub(super) fn spend(&self) -> bool {
        self.with(Bucket::spend)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Bucket, Instant) -> T) -> T {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut bucket, Instant::now())
    }
}

impl Bucket {
    fn call(&mut self, _: Instant) {
        let max = self.reserve.max(1.0) * MAX;
        self.left = (self.left + self.share).min(max).max(self.left);
    }

    fn spend(&mut self, now: Instant) -> bool {
        self.refill(now);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64() / REFILL.as_secs_f64();
        self.at = now;
        if self.left < self.reserve {
            self.left = (self.left + passed * self.reserve).min(self.reserve);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(share: f64, reserve: f64, now: Instant) -> Bucket {
        Bucket { share, reserve, left: reserve, at: now }
    }

    fn spent(bucket: &mut Bucket, now: Instant) -> usize {
        (0..10_000).take_while(|_| bucket.spend(now)).count()
    }

    #[test]
    fn a_share_of_the_calls_and_the_reserve_may_be_retries() {
        let now = Instant::now();
        let mut bucket = bucket(0.25, 3.0, now);
        assert_eq!(spent(&mut bucket, now), 3);
        (0..16).for_each(|_| bucket.call(now));
        assert_eq!(spent(&mut bucket, now), 4);
    }

    #[test]
    fn the_reserve_fills_up_with_time_and_not_above() {
        let now = Instant::now();
        let mut bucket = bucket(0.2, 10.0, now);
        assert_eq!(spent(&mut bucket, now), 10);
        assert_eq!(spent(&mut bucket, now + REFILL / 2), 5);
        assert_eq!(spent(&mut bucket, now + REFILL * 100), 10);
    }

    #[test]
    fn what_is_saved_up_is_bounded() {
        let now = Instant::now();
        let mut saved = bucket(0.2, 10.0, now);
        (0..100_000).for_each(|_| saved.call(now));
        assert_eq!(spent(&mut saved, now), 100);
        let mut none = bucket(0.0, 0.0, now);
        (0..100).for_each(|_| none.call(now));
        assert_eq!(spent(&mut none, now + REFILL * 3), 0);
    }
}
