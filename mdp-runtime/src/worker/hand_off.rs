//! The hand-off of a socket's driver between two threads: one drives the socket, the other is its standby.
//!
//! The driver polls quick handlers on its own thread, which saves two thread switches per call. If a handler blocks,
//! the socket must not wait with it: heartbeats and all other calls continue. So the driver lies in the hand-off while
//! handlers are polled. If it stays there too long, the standby thread takes it and drives on. The other thread finds
//! the hand-off empty and becomes the standby. A ZeroMQ socket may move between threads if a full fence lies between
//! (libzmq's guide, "Multithreading"); here the mutex of the hand-off is that fence.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the standby thread checks while there is work. It takes over after one to two of these intervals.
const LOOK: Duration = Duration::from_millis(5);
/// After this many checks without work the standby thread sleeps until there is work. With more, the checks of a worker
/// with a few calls a second would cost more than its calls, and in a process with a thousand such workers all standby
/// threads would be awake.
const QUIET_LOOKS: u32 = 2;

/// A place for a driver of type `D`.
pub(super) struct HandOff<D> {
    state: Mutex<State<D>>,
    changed: Condvar,
}

struct State<D> {
    lent: Option<D>,
    /// How often a driver was lent.
    turn: u64,
    standby: Standby,
    over: bool,
}

#[derive(PartialEq, Eq)]
enum Standby {
    Absent,
    Looking,
    Asleep,
}

impl<D> HandOff<D> {
    pub(super) fn new() -> Self {
        let state = State { lent: None, turn: 0, standby: Standby::Absent, over: false };
        HandOff { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Lends the driver while `work` runs on this thread. `Ok(None)`: the standby thread has taken the driver
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// Returns the driver, and does not run `work`, if there is no standby thread to take the driver.
    pub(super) fn lend_during(&self, driver: D, work: impl FnOnce()) -> Result<Option<D>, D> {
        self.lend(driver)?;
        work();
        Ok(self.lock().lent.take())
    }

    /// Puts the driver where the standby thread can take it. Returns the driver if there is no standby thread.
    fn lend(&self, driver: D) -> Result<(), D> {
        let mut state = self.lock();
        if state.standby == Standby::Absent {
            return Err(driver);
        }
        let asleep = std::mem::replace(&mut state.standby, Standby::Looking) == Standby::Asleep;
        state.turn += 1;
        state.lent = Some(driver);
        drop(state);
        if asleep {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Waits as the standby thread until a driver has been lent for too long, and takes it. `None`: the worker has
    /// ended.
    pub(super) fn take_over(&self) -> Option<D> {
        let mut state = self.lock();
        let (mut seen, mut quiet) = (state.turn, 0);
        while !state.over {
            // The turn has not changed since the last check: its handler has had the thread all the time.
            if state.turn == seen && state.lent.is_some() && quiet > 0 {
                state.standby = Standby::Absent;
                return state.lent.take();
            }
            quiet = if state.turn == seen { quiet + 1 } else { 1 };
            seen = state.turn;
            state = if quiet > QUIET_LOOKS {
                state.standby = Standby::Asleep;
                quiet = 0;
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                state.standby = Standby::Looking;
                self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0
            };
        }
        None
    }

    /// Ends the hand-off: both threads may stop.
    pub(super) fn finish(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Waits until [`finish`](Self::finish) is called.
    pub(super) fn finished(&self) {
        let mut state = self.lock();
        while !state.over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    /// Lends the driver during this work, as soon as the standby thread is there.
    fn lend_during<D>(hand_off: &HandOff<D>, mut driver: D, work: impl Fn()) -> Option<D> {
        loop {
            match hand_off.lend_during(driver, &work) {
                Ok(left) => return left,
                Err(back) => driver = back,
            }
            thread::yield_now();
        }
    }

    #[test]
    fn nothing_is_lent_without_a_standby() {
        let hand_off = HandOff::new();
        let work = || panic!("the driver was not lent");
        assert_eq!(hand_off.lend_during("driver", work), Err("driver"));
    }

    #[test]
    fn a_driver_that_lies_too_long_is_taken_and_one_that_does_not_is_left() {
        let hand_off = Arc::new(HandOff::new());
        let (taken_in, taken) = channel();
        let standby = thread::spawn({
            let hand_off = Arc::clone(&hand_off);
            move || {
                while let Some(driver) = hand_off.take_over() {
                    taken_in.send(driver).unwrap();
                }
            }
        });
        // Short turns, for longer than the standby thread stays awake without work.
        for turn in 0..1_000 {
            let left = lend_during(&hand_off, turn, || {});
            // On a busy machine, even a short turn may take too long.
            assert_eq!(left.or_else(|| taken.recv().ok()), Some(turn));
        }
        let left = lend_during(&hand_off, 4711, || assert_eq!(taken.recv(), Ok(4711)));
        assert_eq!(left, None);
        hand_off.finish();
        hand_off.finished();
        standby.join().unwrap();
    }

    #[test]
    fn a_standby_that_sleeps_is_woken_by_work() {
        let hand_off = Arc::new(HandOff::new());
        let standby = thread::spawn({
            let hand_off = Arc::clone(&hand_off);
            move || hand_off.take_over()
        });
        while hand_off.lock().standby != Standby::Asleep {
            thread::yield_now();
        }
        let work = || assert_eq!(standby.join().unwrap(), Some(1));
        assert_eq!(hand_off.lend_during(1, work), Ok(None));
    }
}
