//! The time of day, by which tokens expire. A test sets it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Says what time it is.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Clock::of(SystemTime::now)
    }

    /// What a function says.
    pub fn of(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Clock(Arc::new(now))
    }

    /// The clock of the machine, and a hand to put it forward.
    pub fn with_hand() -> (Self, Hand) {
        let hand = Hand::default();
        let ahead = Arc::clone(&hand.ahead);
        let now = move || SystemTime::now() + Duration::from_secs(ahead.load(Ordering::SeqCst));
        (Clock::of(now), hand)
    }

    /// The seconds since 1970.
    pub fn seconds(&self) -> u64 {
        // A machine that believes to be before 1970 gets tokens that never count.
        (self.0)().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.seconds())
    }
}

/// Puts a [`Clock`] forward.
#[derive(Clone, Debug, Default)]
pub struct Hand {
    ahead: Arc<AtomicU64>,
}

impl Hand {
    /// By whole seconds, from where it is.
    pub fn forward(&self, by: Duration) {
        self.ahead.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}
