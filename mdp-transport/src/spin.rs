//! Busy waiting under load. The next message then arrives within a fraction of a millisecond. On many machines, above
//! all virtual ones, a core needs as long to sleep and wake.
//!
//! A driver that has just handled a full burst polls a few times before it sleeps. It yields the processor between two
//! polls. After polls that found nothing, it skips some chances to poll.

use std::num::NonZero;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crate::clock::Stopwatch;

/// The longest time of polling.
const LONGEST: Duration = Duration::from_micros(400);
/// A burst of at least this many records counts as load.
const LOAD: usize = 16;
/// Maximum number of chances that are skipped after polls that found nothing.
const MAX_LEFT_OUT: u32 = 64;

/// Decides when a driver polls before it sleeps.
#[derive(Debug, Default)]
pub struct Spin {
    loaded: bool,
    /// The number of chances still to skip.
    left_out: u32,
    /// The number of chances skipped after the last time of polling that found nothing.
    penalty: u32,
}

impl Spin {
    /// Reports a burst of this many records.
    #[inline]
    pub fn heard(&mut self, records: usize) {
        if records > 0 {
            self.loaded = records >= LOAD;
        }
    }

    /// Polls until `ready` returns `true`. `false`: polling does not pay, and the driver should sleep.
    pub fn wait(&mut self, mut ready: impl FnMut() -> bool) -> bool {
        let Some((mut watch, mut waited)) = self.start() else { return false };
        loop {
            thread::yield_now();
            if let Some(paid) = self.look(&mut waited, || watch.lap(), &mut ready) {
                return paid;
            }
        }
    }

    /// Like [`wait`](Self::wait), within a task: other tasks can run between two polls.
    pub async fn wait_in_task(&mut self, mut ready: impl FnMut() -> bool) -> bool {
        let Some((mut watch, mut waited)) = self.start() else { return false };
        loop {
            tokio::task::yield_now().await;
            if let Some(paid) = self.look(&mut waited, || watch.lap(), &mut ready) {
                return paid;
            }
            thread::yield_now();
        }
    }

    fn start(&mut self) -> Option<(Stopwatch, Duration)> {
        if !self.loaded || !has_company() {
            return None;
        }
        if self.left_out > 0 {
            self.left_out -= 1;
            return None;
        }
        Some((Stopwatch::start(), Duration::ZERO))
    }

    /// Polls once. `lap` returns the time since the previous poll. `None`: poll again.
    fn look(
        &mut self,
        waited: &mut Duration,
        lap: impl FnOnce() -> Duration,
        ready: &mut impl FnMut() -> bool,
    ) -> Option<bool> {
        if ready() {
            self.penalty /= 2;
            return Some(true);
        }
        *waited += lap();
        if *waited < LONGEST {
            return None;
        }
        self.penalty = (2 * self.penalty + 1).min(MAX_LEFT_OUT);
        self.left_out = self.penalty;
        self.loaded = false;
        Some(false)
    }
}

/// Whether the machine has a second core. On a single core, the sender needs this core.
fn has_company() -> bool {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get)) > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded() -> Spin {
        Spin { loaded: true, ..Spin::default() }
    }

    #[test]
    fn without_load_nobody_waits_awake() {
        let mut spin = Spin::default();
        spin.heard(LOAD - 1);
        assert!(!spin.wait(|| unreachable!()));
        spin.heard(LOAD);
        spin.heard(0); // an empty burst changes nothing
        assert!(spin.loaded);
    }

    /// The result of polling once every `lap`, if `ready` returns `true` at the poll with this `number`.
    fn found(lap: Duration, number: u32) -> Option<bool> {
        let (mut spin, mut waited, mut looks) = (loaded(), Duration::ZERO, 0);
        let mut ready = || {
            looks += 1;
            looks == number
        };
        (0..1_000).find_map(|_| spin.look(&mut waited, || lap, &mut ready))
    }

    #[test]
    fn what_comes_soon_is_seen() {
        assert_eq!(found(Duration::from_micros(100), 1), Some(true));
        assert_eq!(found(Duration::from_micros(100), 4), Some(true));
        assert_eq!(found(Duration::from_micros(100), 5), Some(false));
        assert_eq!(found(LONGEST, 2), Some(false));
    }

    #[test]
    fn it_waits_for_a_moment_only_where_there_is_load() {
        assert!(!Spin::default().wait(|| true));
        assert_eq!(loaded().wait(|| true), has_company());
    }

    #[test]
    fn waits_in_vain_become_rare_and_frequent_again_when_they_pay() {
        if !has_company() {
            return;
        }
        let mut spin = loaded();
        let mut tries = 0;
        for _ in 0..1_000 {
            spin.heard(LOAD);
            let before = spin.penalty;
            assert!(!spin.wait(|| false));
            tries += u32::from(spin.left_out == spin.penalty && spin.penalty != before);
        }
        assert!(tries <= 7, "{tries} doublings");
        assert_eq!(spin.penalty, MAX_LEFT_OUT);
        while spin.penalty > 0 {
            spin.heard(LOAD);
            spin.wait(|| true);
        }
        assert!(spin.wait(|| true));
    }
}
