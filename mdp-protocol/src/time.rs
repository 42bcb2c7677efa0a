//! Time as a value: the drivers read a clock and pass the time to the state machines.

use core::fmt;
use core::ops::{Add, Sub};

/// The default interval of heartbeats, for brokers and peers: 1 s.
pub const HEARTBEAT: Span = Span::from_secs(1);
/// The default number of intervals without a heartbeat after which a side counts as dead: 3.
pub const LIVENESS: u8 = 3;

/// A point on a monotonic clock, in whole milliseconds since a moment that the driver chooses.
///
/// ```
/// use mdp_protocol::{Span, Time};
/// let start = Time::from_ms(1_000);
/// assert_eq!(start + Span::from_ms(250), Time::from_ms(1_250));
/// assert_eq!(start - Time::from_ms(400), Span::from_ms(600));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

/// A length of time in whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Time {
    /// The moment `ms` milliseconds after the clock's zero.
    pub const fn from_ms(ms: u64) -> Self {
        Time(ms)
    }

    /// Milliseconds since the clock's zero.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// The time `span` earlier, at the earliest the clock's zero.
    pub(crate) const fn before(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }

    /// The latest time, not after this one, that is a whole number of steps after the clock's zero.
    pub(crate) const fn rounded_down(self, step: Span) -> Time {
        match self.0.checked_rem(step.0) {
            Some(rest) => Time(self.0 - rest),
            None => self,
        }
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Span(ms)
    }

    /// A span of `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Span(secs.saturating_mul(1_000))
    }

    /// The span in milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// The span in milliseconds for a record. A span that does not fit becomes the largest value, some 49 days.
    pub const fn as_wire_ms(self) -> u32 {
        if self.0 > u32::MAX as u64 { u32::MAX } else { self.0 as u32 }
    }

    /// The span divided by `n`, rounded down.
    pub(crate) const fn part(self, n: u64) -> Span {
        Span(match self.0.checked_div(n) {
            Some(part) => part,
            None => self.0,
        })
    }

    /// `n` times the span, at most the largest span.
    pub const fn times(self, n: u64) -> Span {
        Span(self.0.saturating_mul(n))
    }
}

impl Add for Span {
    type Output = Span;

    fn add(self, more: Span) -> Span {
        Span(self.0.saturating_add(more.0))
    }
}

impl Add<Span> for Time {
    type Output = Time;

    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl Sub<Time> for Time {
    type Output = Span;

    /// The time from `earlier` to `self`; zero if `earlier` is the later one.
    fn sub(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
