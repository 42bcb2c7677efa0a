//! Time as a value: the driver reads a clock and passes the time in.

/// A point on a monotonic clock, in whole milliseconds since a moment that the driver chooses.
///
/// ```
/// use mdp_zmtp::Time;
///
/// assert!(Time::from_ms(1_000) < Time::from_ms(1_250));
/// assert_eq!(Time::from_ms(1_250).as_ms(), 1_250);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment `ms` milliseconds after the clock's zero.
    pub const fn from_ms(ms: u64) -> Self {
        Time(ms)
    }

    /// Milliseconds since the clock's zero.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// The moment `ms` milliseconds later.
    pub(crate) const fn after_ms(self, ms: u64) -> Self {
        Time(self.0.saturating_add(ms))
    }
}
