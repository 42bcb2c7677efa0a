//! The time for the state machines, which get it as a value. Code that only measures durations, such as retries or
//! limits on log lines, may read a clock of its own.

use std::time::{Duration, Instant, SystemTime};

use mdp_protocol::{Span, Time};

/// A monotonic clock that starts at zero when it is made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Instant,
}

impl Clock {
    /// Starts the clock: its zero is now.
    pub fn start() -> Self {
        Clock { zero: Instant::now() }
    }

    /// The time since the start.
    #[inline]
    pub fn now(&self) -> Time {
        Time::from_ms(u64::try_from(self.zero.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The moment from which [`now`](Self::now) is at least `time`. A timer for this moment never fires a millisecond
    /// too early.
    pub fn instant(&self, time: Time) -> Instant {
        self.zero
            .checked_add(Duration::from_millis(time.as_ms()))
            .unwrap_or_else(|| self.zero + Duration::from_secs(u32::MAX.into()))
    }
}

/// Milliseconds since 1970, for people and for comparing clocks. The code makes no decision with it.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Measures durations.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    at: Instant,
}

impl Stopwatch {
    /// Starts to measure.
    pub fn start() -> Self {
        Stopwatch { at: Instant::now() }
    }

    /// The time since the last lap, or since the start.
    #[inline]
    pub fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now.saturating_duration_since(self.at);
        self.at = now;
        lap
    }

    /// The time since the start or the last lap.
    #[inline]
    pub fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }

    /// The time from the start of `other` to the last lap.
    #[inline]
    pub fn since(&self, other: &Stopwatch) -> Duration {
        self.at.saturating_duration_since(other.at)
    }
}

/// Converts a duration to the unit of the protocol's state machines: whole milliseconds, rounded up. A duration that is
/// too long becomes the longest span.
#[inline]
pub fn span(duration: Duration) -> Span {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    Span::from_ms(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// A seed that differs for each process and each call.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
