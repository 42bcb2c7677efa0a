//! An open loop: calls begin at a fixed rate, whether those before have ended or not.
//!
//! A call's time counts from the moment at which it was to begin. So a stall counts for all the calls that were due
//! while it lasted, also for those that could not be made in time. A closed loop, and a clock that starts when the
//! request is really sent, would forget these: this is what is called coordinated omission.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::sync::mpsc;

use super::{Caller, Load, Times, Window};

/// Calls that become due within this time begin together: to wake for each would take a processor of its own. They
/// count from when they were due all the same.
const STEP: Duration = Duration::from_micros(200);

/// The calls that have become due together: the first one's number, and how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ticks {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// When each call is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start: Instant,
    every: Duration,
}

impl Pace {
    pub(crate) fn new(load: Load) -> Self {
        Pace { start: Instant::now(), every: Duration::from_secs_f64(1.0 / load.rate) }
    }

    /// When the call of this number is to begin.
    pub(crate) fn due(&self, number: u64) -> Instant {
        self.start + Duration::from_nanos(self.nanos() * number)
    }

    /// Says what is due until the window closes, from a thread of its own: timers of tokio, and waiting in libzmq,
    /// have steps of a millisecond. `tell` returns whether somebody still listens.
    pub(crate) fn keep(self, window: Window, mut tell: impl FnMut(Ticks) -> bool + Send + 'static) {
        thread::spawn(move || {
            let mut first = 0;
            loop {
                let now = Instant::now();
                if !window.is_open(now) {
                    return;
                }
                let passed = u64::try_from((now - self.start).as_nanos()).unwrap_or(u64::MAX);
                let due = passed / self.nanos() + 1;
                if due > first && !tell(Ticks { first, count: due - first }) {
                    return;
                }
                first = due;
                thread::sleep(self.due(due).saturating_duration_since(Instant::now()).max(STEP));
            }
        });
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.every.as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

pub(super) async fn run(callers: Vec<impl Caller>, load: Load) -> Result<()> {
    let (body, turn) = (load.body(), AtomicUsize::new(0));
    let call = move || {
        let turn = turn.fetch_add(1, Ordering::Relaxed) % callers.len().max(1);
        let (caller, body) = (callers.get(turn).cloned(), body.clone());
        async move { caller.context("no connection")?.call(body).await }
    };
    let when = |outcome: Result<usize>, now: Instant, window: &Window| {
        let bytes = outcome?;
        ensure!(bytes == load.bytes, "the reply has {bytes} bytes");
        // One that did not end in time counts with the time that it has taken until then.
        Ok(Some(now.min(window.last())))
    };
    run_counted(load, call, when).await
}

/// Makes a call whenever one is due. `when` says at which time an outcome counts, if it does; it is told the time now.
pub(crate) async fn run_counted<T: Send + 'static, F>(
    load: Load,
    call: impl Fn() -> F,
    mut when: impl FnMut(T, Instant, &Window) -> Result<Option<Instant>>,
) -> Result<()>
where
    F: Future<Output = T> + Send + 'static,
{
    let (window, bell) = Window::open(load);
    let pace = Pace::new(load);
    let (tell, mut ticks) = mpsc::unbounded_channel();
    pace.keep(window, move |due| tell.send(due).is_ok());
    let (told, mut ended) = mpsc::unbounded_channel();
    while let Some(Ticks { first, count }) = ticks.recv().await {
        for number in first..first + count {
            let (call, told) = (call(), told.clone());
            tokio::spawn(async move {
                let outcome = call.await;
                // The other end waits for all.
                let _ = told.send((pace.due(number), Instant::now(), outcome));
            });
        }
    }
    drop(told);
    let mut times = Times::default();
    while let Some((due, now, outcome)) = ended.recv().await {
        if let Some(at) = when(outcome, now, &window)? {
            times.add(&window, due, at);
        }
    }
    times.tell(bell)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn each_call_is_due_once_and_in_its_time() {
        let load = Load {
            in_flight: 0,
            connections: 1,
            bytes: 0,
            rate: 10_000.0,
            warm_up_ms: 0,
            measure_ms: 50,
        };
        let (window, _bell) = Window::open(load);
        let (tell, ticks) = channel();
        let pace = Pace::new(load);
        pace.keep(window, move |due| tell.send(due).is_ok());
        let mut next = 0;
        for Ticks { first, count } in ticks {
            assert_eq!(first, next);
            assert!(pace.due(first) <= Instant::now());
            next = first + count;
        }
        assert!((100..=501).contains(&next), "{next} calls in 50 ms at 10,000 a second");
    }
}
