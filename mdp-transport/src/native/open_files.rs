//! Warns before the process has no open files left.

use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use crate::log_limit::LogLimit;

/// The shortest time between two warnings.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// The limit of the process, `ulimit -n`, as it was when this was made.
pub(super) struct OpenFiles {
    max: u64,
    log: LogLimit,
}

impl OpenFiles {
    pub(super) fn new() -> Self {
        let max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        OpenFiles { max, log: LogLimit::new(BETWEEN_LINES) }
    }

    pub(super) fn max(&self) -> u64 {
        self.max
    }

    /// Warns if this new file shows that 80 % are in use: the system gives out the lowest free number.
    pub(super) fn opened(&mut self, file: &impl AsRawFd) {
        let used = u64::try_from(file.as_raw_fd()).unwrap_or(0).saturating_add(1);
        if self.is_near(used) && self.log.pass().is_some() {
            tracing::warn!(used, max = self.max, "few open files are left; raise `ulimit -n`");
        }
    }

    fn is_near(&self, used: u64) -> bool {
        used >= self.max - self.max / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fifth_is_near() {
        let of = |max| OpenFiles { max, log: LogLimit::new(BETWEEN_LINES) };
        assert!(!of(1_000).is_near(799));
        assert!(of(1_000).is_near(800));
        assert!(!of(u64::MAX).is_near(1_000_000));
    }
}
