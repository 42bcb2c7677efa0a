//! Log lines that peers can cause.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shows a peer's bytes as text that cannot break a log line.
pub fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Maximum number of log lines of one kind in one second that peers can cause. A line costs the broker's thread more
/// than the message behind it. Without a limit, one peer could slow all others and fill a disk.
const LINES_A_SECOND: u32 = 20;

/// Limits the lines of one kind.
pub struct Bound(Mutex<Second>);

struct Second {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Default for Bound {
    fn default() -> Self {
        Bound::new()
    }
}

impl Bound {
    /// No line so far.
    pub const fn new() -> Self {
        Bound(Mutex::new(Second { since: None, lines: 0, left_out: 0 }))
    }

    /// Checks for room for a line now. `Some` allows the line; its value is the number of lines left out before it.
    pub fn room(&self, now: Instant) -> Option<Option<u64>> {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second.since.is_none_or(|since| now - since >= Duration::from_secs(1)) {
            (second.since, second.lines) = (Some(now), 0);
        }
        if second.lines >= LINES_A_SECOND {
            second.left_out += 1;
            return None;
        }
        second.lines += 1;
        Some(Some(std::mem::take(&mut second.left_out)).filter(|left_out| *left_out > 0))
    }
}

/// Writes an event if its kind has room for a line. `others` is the number of lines left out before it.
#[macro_export]
macro_rules! bounded {
    ($level:ident, $($rest:tt)*) => {{
        static BOUND: $crate::log::Bound = $crate::log::Bound::new();
        if let Some(others) = BOUND.room(::std::time::Instant::now()) {
            tracing::$level!(others, $($rest)*);
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_there_are_so_many_lines_in_a_second() {
        let (bound, start) = (Bound::new(), Instant::now());
        let lines = |ms: u64, tries: u32| {
            let now = start + Duration::from_millis(ms);
            (0..tries).filter_map(|_| bound.room(now)).collect::<Vec<_>>()
        };
        assert_eq!(lines(0, 5), [None; 5]);
        assert_eq!(lines(999, 100), [None; 15]);
        let next = lines(1_000, 100);
        assert_eq!(next.len(), 20);
        assert_eq!((next[0], next[1]), (Some(85), None), "what was left out is told");
        assert_eq!(lines(5_000, 1), [Some(80)]);
    }
}
