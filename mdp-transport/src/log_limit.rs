//! A limit on log lines that others cause, such as peers without rights.

use std::time::{Duration, Instant};

/// Lets one line pass in a time, and counts the lines that were left out.
#[derive(Debug)]
pub(crate) struct LogLimit {
    between: Duration,
    last: Option<Instant>,
    left_out: u64,
}

impl LogLimit {
    /// At most one line in this time.
    pub(crate) const fn new(between: Duration) -> Self {
        LogLimit { between, last: None, left_out: 0 }
    }

    /// Whether a line may be written now: the number of lines that were left out before it. `None`: it is left out.
    pub(crate) fn pass(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < self.between) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_left_out_are_counted() {
        let mut limit = LogLimit::new(Duration::from_secs(3_600));
        assert_eq!((limit.pass(), limit.pass(), limit.pass()), (Some(0), None, None));
        limit.between = Duration::ZERO;
        assert_eq!((limit.pass(), limit.pass()), (Some(2), Some(0)));
    }
}
