//! Runs: under load, some calls of a service in a row go to one worker, so that they share a packet.
//!
//! A packet costs the broker as much as some twenty calls. With many workers, each call of a burst would travel in a packet
//! of its own, since the next worker always has less to do. The calls of a run may wait for each other in their worker. So
//! the replies to a run are timed: what passes between the first and the last of them is the most that the calls of the
//! run can have cost each other. From that follows how long the next run may be. Handlers that compute for a millisecond
//! get no runs, and neither do those of which some await much longer than others: nobody waits for these, but the times do
//! not tell that. A worker that keeps its replies back and sends them together looks quick.

use crate::slab::Key;
use crate::time::{Span, Time};

/// The calls of a service within a millisecond that go to the worker with the lowest load, each on its own.
const SPREAD: u32 = 4;
/// With so many workers or fewer, the calls of a burst share packets without runs.
pub(super) const FEW_WORKERS: usize = 8;
/// The most calls of a run, and the part of a worker's slots that they may take.
const LONGEST: u32 = 32;
const PART_OF_SLOTS: u32 = 2;
/// The time that the last call of a run may wait for the others, on average, in microseconds.
const MAY_WAIT_US: u64 = 500;
/// Where runs do not pay, one of so many calls is the first of a run of two, which tells whether they pay now.
const PROBE: u32 = 64;
/// A run that takes longer counts as this long: once in a while a worker does not get a processor for a moment. The shorter
/// the runs become, the more this is for each of their calls.
const MAX_WAIT: Span = Span::from_ms(2);
/// The replies to a run are waited for until this time has passed.
const PATIENCE: Span = Span::from_secs(1);
/// At this number of calls the counts are halved, so that newer runs count for more.
const FADE: u64 = 1_024;

/// The run of a service, and what its runs cost.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The millisecond that is counted.
    at: Time,
    /// The calls that have gone to workers in it.
    started: u32,
    current: Option<Run>,
    cost: Cost,
    /// Calls since the last probe.
    unprobed: u32,
}

#[derive(Debug)]
struct Run {
    worker: Key,
    /// The calls that it may still get.
    left: u32,
    measured: RunNumber,
}

/// The number of a run at its worker. 0: its replies are not timed.
pub(in crate::broker) type RunNumber = u8;

/// What a call is for the runs of its service.
pub(super) enum Place {
    Alone,
    /// It begins a run.
    First,
    /// It goes on with the run of this number.
    Next(RunNumber),
}

/// The times of the replies to one run of a worker.
#[derive(Debug, Default)]
pub(super) struct ReplyTimes {
    number: RunNumber,
    calls: u32,
    /// Calls that have no reply yet.
    left: u32,
    begun: Time,
    first: Option<Time>,
}

/// How long calls of runs have waited for each other.
#[derive(Debug, Default)]
struct Cost {
    waited_ms: u64,
    /// The calls behind the first one of each run.
    calls: u64,
}

impl Runs {
    /// The worker whose run goes on.
    #[inline]
    pub(super) fn worker(&self, now: Time) -> Option<Key> {
        let run = self.current.as_ref().filter(|_| self.at == now)?;
        Some(run.worker)
    }

    /// A worker with so many slots is given a call.
    #[inline]
    pub(super) fn started(&mut self, now: Time, worker: Key, slots: u32) -> Place {
        if self.at != now {
            (self.at, self.started, self.current) = (now, 0, None);
        }
        self.started = self.started.saturating_add(1);
        if self.started <= SPREAD {
            return Place::Alone;
        }
        match self.current.take_if(|run| run.worker == worker) {
            Some(run) => {
                let (left, measured) = (run.left.saturating_sub(1), run.measured);
                self.current = (left > 0).then_some(Run { left, ..run });
                Place::Next(measured)
            }
            None => self.begin(worker, slots / PART_OF_SLOTS),
        }
    }

    fn begin(&mut self, worker: Key, most: u32) -> Place {
        self.current = None;
        if most < 2 {
            return Place::Alone;
        }
        let mut length = self.cost.length().min(most);
        if length < 2 {
            self.unprobed += 1;
            if self.unprobed < PROBE {
                return Place::Alone;
            }
            (self.unprobed, length) = (0, 2);
        }
        self.current = Some(Run { worker, left: length - 1, measured: 0 });
        Place::First
    }

    /// The replies to the current run are timed under this number.
    pub(super) fn measure(&mut self, number: RunNumber) {
        if let Some(run) = &mut self.current {
            run.measured = number;
        }
    }

    /// All replies to a run have come: `calls` of it have waited for others, the last of them for this long.
    pub(super) fn count(&mut self, waited: Span, calls: u32) {
        self.cost.add(waited, calls);
    }
}

impl Cost {
    fn add(&mut self, waited: Span, calls: u32) {
        self.waited_ms += waited.min(MAX_WAIT).as_ms();
        self.calls += u64::from(calls);
        if self.calls >= FADE {
            self.waited_ms /= 2;
            self.calls /= 2;
        }
    }

    /// The calls that a run may have. The clock has milliseconds. What a shorter wait is counts all the same, since it meets
    /// a change of the millisecond that much more seldom.
    fn length(&self) -> u32 {
        // One more of each: nothing is known at first.
        let waits = MAY_WAIT_US * (self.calls + 1) / (1_000 * (self.waited_ms + 1));
        u32::try_from(waits + 1).map_or(LONGEST, |length| length.min(LONGEST))
    }
}

impl ReplyTimes {
    /// The first call of a run is given to the worker. Returns the number of the run, and what is to be counted of an earlier
    /// run whose replies have not come in time.
    pub(super) fn begin(&mut self, now: Time) -> (RunNumber, Option<(Span, u32)>) {
        let late = self.left > 0;
        if late && now - self.begun < PATIENCE {
            return (0, None);
        }
        let others = self.calls.saturating_sub(1);
        let count = (late && others > 0).then_some((MAX_WAIT, others));
        let number = self.number.checked_add(1).unwrap_or(1);
        *self = ReplyTimes { number, calls: 1, left: 1, begun: now, first: None };
        (number, count)
    }

    /// One more call of a run is given to the worker. `true`: its reply is timed.
    pub(super) fn join(&mut self, number: RunNumber) -> bool {
        // A run whose calls so far have been answered is over.
        let joins = number != 0 && number == self.number && self.left > 0;
        if joins {
            self.calls += 1;
            self.left += 1;
        }
        joins
    }

    /// A call of a run was answered. If it was the last one: what is to be counted. A call that was refused or stopped tells
    /// nothing, and no more is to be learned from its run. `has_run`: this one was neither.
    pub(super) fn answered(
        &mut self,
        now: Time,
        number: RunNumber,
        has_run: bool,
    ) -> Option<(Span, u32)> {
        if number != self.number || self.left == 0 {
            return None;
        }
        if !has_run {
            self.left = 0;
            return None;
        }
        let first = *self.first.get_or_insert(now);
        self.left -= 1;
        let others = self.calls.saturating_sub(1);
        (self.left == 0 && others > 0).then(|| (now - first, others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of runs of a service whose handlers compute for so long, after some time.
    fn length_with(us: u64) -> u32 {
        let mut cost = Cost::default();
        let mut clock = 0;
        for _ in 0..10_000 {
            let length = cost.length().max(2);
            let first = clock;
            clock += us * u64::from(length - 1);
            cost.add(Span::from_ms(clock / 1_000 - first / 1_000), length - 1);
            clock += 317;
        }
        cost.length()
    }

    #[test]
    fn runs_are_as_long_as_their_calls_are_quick() {
        assert_eq!(Cost::default().length(), 1);
        assert_eq!(length_with(1), LONGEST);
        assert!((4..=7).contains(&length_with(100)), "{}", length_with(100));
        assert_eq!(length_with(1_000), 1);
        assert_eq!(length_with(60_000), 1);
    }

    #[test]
    fn a_run_without_replies_counts_as_a_slow_one() {
        let mut times = ReplyTimes::default();
        let at = Time::from_ms;
        let (number, none) = times.begin(at(0));
        assert_eq!((number, none), (1, None));
        assert!(times.join(number));
        assert_eq!(times.answered(at(1), number, true), None);
        assert_eq!(times.begin(at(999)), (0, None), "it is still waited for");
        assert_eq!(times.begin(at(1_000)), (2, Some((MAX_WAIT, 1))));
        assert_eq!(times.answered(at(1_001), 1, true), None, "an old one");
        assert!(!times.join(1));
        assert!(times.join(2));
        assert_eq!(times.answered(at(1_003), 2, true), None);
        assert_eq!(times.answered(at(1_008), 2, true), Some((Span::from_ms(5), 1)));
        assert!(!times.join(2), "the run is over");
    }

    #[test]
    fn a_run_with_a_refused_call_tells_nothing() {
        let mut times = ReplyTimes::default();
        let at = Time::from_ms;
        let (number, _) = times.begin(at(0));
        assert!(times.join(number));
        assert_eq!(times.answered(at(1), number, false), None);
        assert_eq!(times.answered(at(1), number, true), None);
        assert_eq!(times.begin(at(2)), (2, None), "it is not waited for");
    }
}
