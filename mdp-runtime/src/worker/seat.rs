//! Which of two threads drives the socket: the one in the seat; the other is its relief.
//!
//! The driver polls quick handlers on its own thread, which saves two thread switches per call. If a handler blocks,
//! the socket must not wait with it: heartbeats and all other calls continue. So the driver is lent to the seat while
//! handlers are polled. If it stays there too long, the relief takes it and drives on; the thread that returns to an
//! empty seat becomes the relief. A ZeroMQ socket may move between threads if a full fence lies between (libzmq's
//! guide, "Multithreading"); here the seat's mutex is that fence.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the relief checks while there is work. It takes over after one to two of these intervals.
const LOOK: Duration = Duration::from_millis(5);
/// After this many checks without work the relief sleeps until there is work.
const QUIET_LOOKS: u32 = 20;

/// A place for a driver of type `D`.
pub(super) struct Seat<D> {
    state: Mutex<State<D>>,
    changed: Condvar,
}

struct State<D> {
    lent: Option<D>,
    /// How often a driver was lent.
    turn: u64,
    relief: Relief,
    over: bool,
}

#[derive(PartialEq, Eq)]
enum Relief {
    Absent,
    Looking,
    Asleep,
}

impl<D> Seat<D> {
    pub(super) fn new() -> Self {
        let state = State { lent: None, turn: 0, relief: Relief::Absent, over: false };
        Seat { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Puts the driver where the relief can take it.
    ///
    /// # Errors
    ///
    /// Returns the driver if there is no relief to take it.
    pub(super) fn lend(&self, driver: D) -> Result<(), D> {
        let mut state = self.lock();
        if state.relief == Relief::Absent {
            return Err(driver);
        }
        let asleep = std::mem::replace(&mut state.relief, Relief::Looking) == Relief::Asleep;
        state.turn += 1;
        state.lent = Some(driver);
        drop(state);
        if asleep {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Takes the driver back, unless the relief has it.
    pub(super) fn take_back(&self) -> Option<D> {
        self.lock().lent.take()
    }

    /// Waits as the relief until a driver has been lent for too long, and takes it. `None`: the worker has ended.
    pub(super) fn relieve(&self) -> Option<D> {
        let mut state = self.lock();
        let (mut seen, mut quiet) = (state.turn, 0);
        while !state.over {
            // The turn has not changed since the last check: its handler has had the thread all the time.
            if state.turn == seen && state.lent.is_some() && quiet > 0 {
                state.relief = Relief::Absent;
                return state.lent.take();
            }
            quiet = if state.turn == seen { quiet + 1 } else { 1 };
            seen = state.turn;
            state = if quiet > QUIET_LOOKS {
                state.relief = Relief::Asleep;
                quiet = 0;
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                state.relief = Relief::Looking;
                self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0
            };
        }
        None
    }

    /// Ends the seat: both threads may stop.
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

    /// Lends the driver as soon as the relief is there.
    fn lend<D>(seat: &Seat<D>, mut driver: D) {
        while let Err(back) = seat.lend(driver) {
            driver = back;
            thread::yield_now();
        }
    }

    #[test]
    fn nothing_is_lent_without_a_relief() {
        let seat = Seat::new();
        assert_eq!(seat.lend("driver"), Err("driver"));
    }

    #[test]
    fn a_driver_that_lies_too_long_is_taken_and_one_that_does_not_is_left() {
        let seat = Arc::new(Seat::new());
        let (taken_in, taken) = channel();
        let relief = thread::spawn({
            let seat = Arc::clone(&seat);
            move || {
                while let Some(driver) = seat.relieve() {
                    taken_in.send(driver).unwrap();
                }
            }
        });
        // Short turns, for longer than the relief stays awake without work.
        for turn in 0..1_000 {
            lend(&seat, turn);
            // On a busy machine, even a short turn may take too long.
            assert_eq!(seat.take_back().or_else(|| taken.recv().ok()), Some(turn));
        }
        lend(&seat, 4711);
        assert_eq!(taken.recv(), Ok(4711));
        assert_eq!(seat.take_back(), None);
        seat.finish();
        seat.finished();
        relief.join().unwrap();
    }

    #[test]
    fn a_relief_that_sleeps_is_woken_by_work() {
        let seat = Arc::new(Seat::new());
        let relief = thread::spawn({
            let seat = Arc::clone(&seat);
            move || seat.relieve()
        });
        while seat.lock().relief != Relief::Asleep {
            thread::yield_now();
        }
        assert_eq!(seat.lend(1), Ok(()));
        assert_eq!(relief.join().unwrap(), Some(1));
    }
}
