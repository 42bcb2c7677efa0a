//! A watchdog for a party that has to answer at once.

use crate::time::{Span, Time};

/// Questions in the time after which there is no more patience.
const QUESTIONS: u64 = 4;
/// The shortest time between two of them.
const SHORTEST: Span = Span::from_ms(10);

/// Decides when to ask a party, and measures the time without an answer. The driver asks the question itself.
///
/// Time in which the driver itself did not run does not count: after a pause of the whole process both sides have to
/// catch up.
///
/// ```
/// use mdp_protocol::watchdog::{Seen, Watchdog};
/// use mdp_protocol::{Span, Time};
///
/// let mut dog = Watchdog::new(Span::from_secs(4));
/// assert_eq!(dog.look(Time::from_ms(0), false), Seen::Ask);
/// for second in 1..4 {
///     assert_eq!(dog.look(Time::from_ms(1_000 * second), false), Seen::Nothing);
/// }
/// assert_eq!(dog.look(Time::from_ms(4_000), false), Seen::Stalled);
/// assert_eq!(dog.look(Time::from_ms(9_000), true), Seen::Moves);
/// ```
#[derive(Debug)]
pub struct Watchdog {
    patience: Span,
    interval: Span,
    last: Time,
    next: Time,
    /// It was asked and has not answered, for so long.
    silent: Option<Span>,
    stalled: bool,
}

/// The result of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Do nothing.
    Nothing,
    /// Ask now. Later calls of [`look`](Watchdog::look) take whether the answer has come.
    Ask,
    /// There was no answer for too long.
    Stalled,
    /// The party answers again.
    Moves,
}

impl Watchdog {
    /// A watchdog that reports a stall after this time without an answer.
    pub fn new(patience: Span) -> Self {
        let interval = Span::from_ms(patience.as_ms() / QUESTIONS).max(SHORTEST);
        let (last, next) = (Time::default(), Time::default());
        Watchdog { patience, interval, last, next, silent: None, stalled: false }
    }

    /// Looks at the time `now`. `answered` says whether the last question has its answer.
    pub fn look(&mut self, now: Time, answered: bool) -> Seen {
        let passed = (now - self.last).min(self.interval);
        self.last = self.last.max(now);
        match self.silent {
            Some(_) if answered => {
                self.silent = None;
                self.next = now + self.interval;
                match core::mem::take(&mut self.stalled) {
                    true => Seen::Moves,
                    false => Seen::Nothing,
                }
            }
            Some(silent) => {
                let silent = silent + passed;
                self.silent = Some(silent);
                self.next = now + self.interval;
                let newly = !self.stalled && silent >= self.patience;
                self.stalled |= newly;
                if newly { Seen::Stalled } else { Seen::Nothing }
            }
            None if now >= self.next => {
                self.silent = Some(Span::ZERO);
                self.next = now + self.interval;
                Seen::Ask
            }
            None => Seen::Nothing,
        }
    }

    /// The latest time for the next look.
    pub fn next_deadline(&self) -> Time {
        self.next
    }

    /// Whether the party has not answered for too long.
    pub fn is_stalled(&self) -> bool {
        self.stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    #[test]
    fn one_that_answers_is_asked_from_time_to_time() {
        let mut dog = Watchdog::new(Span::from_secs(4));
        let (mut asked, mut open) = (0, false);
        for ms in (0..100_000).step_by(10) {
            match dog.look(at(ms), open) {
                Seen::Ask => {
                    asked += 1;
                    open = true;
                }
                Seen::Nothing => {}
                seen => panic!("{seen:?}"),
            }
        }
        assert!((95..=101).contains(&asked), "{asked}");
    }

    #[test]
    fn the_drivers_own_absence_does_not_count() {
        let mut dog = Watchdog::new(Span::from_secs(4));
        assert_eq!(dog.look(at(0), false), Seen::Ask);
        for minute in 1..4 {
            assert_eq!(dog.look(at(60_000 * minute), false), Seen::Nothing);
        }
        assert_eq!(dog.look(at(240_000), false), Seen::Stalled);
    }

    #[test]
    fn looks_that_come_often_count_no_longer_than_they_take() {
        let mut dog = Watchdog::new(Span::from_secs(4));
        assert_eq!(dog.look(at(0), false), Seen::Ask);
        let stalled = (1..10_000).find(|ms| dog.look(at(*ms), false) == Seen::Stalled);
        assert_eq!(stalled, Some(4_000));
        assert!(dog.is_stalled());
        assert_eq!(dog.look(at(20_000), false), Seen::Nothing, "said once");
        assert_eq!(dog.look(at(20_001), true), Seen::Moves);
        assert_eq!(dog.next_deadline(), at(21_001));
    }
}
