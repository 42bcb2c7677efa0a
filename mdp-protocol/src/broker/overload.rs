//! Overload: a call that cannot end in its time is not queued, and not started (wire.md R106).
//!
//! The broker learns two things: how fast the queue of a service moves while calls wait ([`Pace`]), and how long the
//! calls of a method take ([`Durations`](super::durations)). The first gives the wait of a new call, the second the
//! longest wait that the call can afford. A call whose wait is longer is refused on arrival. The wait may be estimated
//! wrong by a factor of two before an accepted call fails.
//!
//! No mean of running times is used: one slow method, or a stream that lasts for hours, does not make the other methods
//! of its service look slow. A call that finds a free slot is never refused.

use alloc::vec::Vec;

use super::calls::BrokerCall;
use super::durations::Quantiles;
use super::io::{Action, Note};
use super::refusals::overloaded;
use super::routing::Wish;
use super::{Broker, PlantedBug};
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Refusal;
use crate::time::{Span, Time};

/// The pace is measured over a window, which ends after [`WINDOW`] with this many calls, or after [`LONG_WINDOW`] with
/// [`ENOUGH`]. A burst begins slowly, so a shorter window says nothing.
const PLENTY: u64 = 64;
const ENOUGH: u64 = 8;
const WINDOW: Span = Span::from_ms(200);
const LONG_WINDOW: Span = Span::from_secs(1);
/// Until the first window ends, calls that can wait for less than [`LONG_WINDOW`] are judged by what is seen so far,
/// after this time. Calls that can wait for longer are not judged before the queue has this age: in a burst the first
/// calls are the slowest, and the median of their times is too long.
const EARLY: Span = Span::from_ms(100);
const YOUNG: Span = Span::from_ms(500);
/// Nanoseconds in a millisecond.
const NANOS: u64 = 1_000_000;
/// A service is overloaded after [`ROUNDS`] rounds of this length in which at least 5 % more calls came than were
/// served.
const ROUND: Span = Span::from_secs(1);
const ROUNDS: u8 = 2;
/// The wait that an overloaded service allows, whatever the deadline.
const SHORT: Span = Span::from_ms(250);
/// The pace is forgotten when the queue was empty for this long.
const FORGET: Span = Span::from_secs(1);
/// The broker reports the overload of a service at most once in this time.
const NOTE_EVERY: Span = Span::from_secs(10);

/// How fast the queue of a service moves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// The time between two calls that leave the queue for a worker, in nanoseconds, once that is known.
    gap: Option<u64>,
    /// When the count began. `None`: no call waits.
    since: Option<Time>,
    /// When calls began to wait, before the first of the windows that `gap` knows of, and the calls that have left the
    /// queue for a worker since then, in windows that are over.
    began: Time,
    moved_before: u64,
    /// Calls that have left the queue for a worker since then.
    moved: u64,
    round: Round,
    /// When the queue became empty.
    empty_since: Time,
    noted: Option<Time>,
}

/// Counts of calls that come and that are served, while calls wait.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    began: Time,
    came: u64,
    served: u64,
    /// Rounds, one after another, in which more came than were served.
    beyond: u8,
}

impl Round {
    fn count(&mut self, now: Time, came: u64, served: u64) {
        if now - self.began >= ROUND {
            let beyond = 20 * self.came > 21 * self.served;
            let rounds = if beyond { self.beyond.saturating_add(1) } else { 0 };
            *self = Round { began: now, came: 0, served: 0, beyond: rounds };
        }
        self.came += came;
        self.served += served;
    }

    fn is_overloaded(&self) -> bool {
        self.beyond >= ROUNDS
    }
}

impl Pace {
    /// A call has come for which no slot is free.
    fn offer(&mut self, now: Time) {
        if self.since.is_some() {
            self.round.count(now, 1, 0);
        }
    }

    /// A call waits.
    pub(super) fn begin(&mut self, now: Time) {
        if self.since.is_some() {
            return;
        }
        if now - self.empty_since > FORGET {
            self.gap = None;
        }
        if self.gap.is_none() {
            (self.began, self.moved_before) = (now, 0);
        }
        (self.since, self.moved) = (Some(now), 0);
        self.round = Round { began: now, ..Round::default() };
    }

    /// A call that has waited is given to a worker.
    pub(super) fn advance(&mut self, now: Time) {
        let Some(since) = self.since else { return };
        self.moved += 1;
        self.round.count(now, 0, 1);
        let passed = now - since;
        let window = if self.moved >= PLENTY { WINDOW } else { LONG_WINDOW };
        if self.moved >= ENOUGH && passed >= window {
            self.learn(now, passed);
            (self.since, self.moved) = (Some(now), 0);
        }
    }

    /// No call waits any more.
    pub(super) fn end(&mut self, now: Time) {
        if let Some(since) = self.since.take()
            && self.moved >= ENOUGH
            && now - since >= WINDOW
        {
            self.learn(now, now - since);
        }
        self.empty_since = now;
    }

    fn learn(&mut self, now: Time, passed: Span) {
        let mean = |passed: Span, moved: u64| passed.as_ms().saturating_mul(NANOS) / moved.max(1);
        let seen = mean(passed, self.moved);
        self.moved_before = self.moved_before.saturating_add(self.moved);
        self.gap = Some(match self.gap {
            Some(gap) if now - self.began > LONG_WINDOW => (3 * gap + seen) / 4,
            Some(_) => mean(now - self.began, self.moved_before),
            None => seen,
        });
    }

    /// The first window of the queue began a short time ago.
    fn is_young(&self, now: Time) -> bool {
        now - self.began < YOUNG
    }

    /// The time until this many calls have left the queue. `first`: what a gap is as long as none was seen. `max`: the
    /// longest wait that the next call can afford.
    fn wait(&self, now: Time, calls: usize, first: Option<u64>, max: Span) -> Span {
        if max >= LONG_WINDOW && self.since.is_some() && self.is_young(now) {
            return Span::ZERO;
        }
        let is_new = now - self.began < LONG_WINDOW;
        let mut gap = match (self.gap, first) {
            // Both may be too long in a burst.
            (Some(gap), Some(first)) if max >= LONG_WINDOW && is_new => gap.min(first),
            (gap, first) => gap.or(first).unwrap_or_default(),
        };
        if let Some(since) = self.since {
            let passed = now - since;
            let seen = passed.as_ms().saturating_mul(NANOS) / (self.moved + 1);
            if passed >= LONG_WINDOW {
                // What stands still is slower than it was. By half: calls do not leave at equal distances.
                gap = gap.max(seen / 2);
            } else if self.is_seen_early(passed) {
                gap = gap.max(seen);
            }
        }
        Span::from_ms(gap.saturating_mul(calls as u64) / NANOS)
    }

    /// No window has ended yet, but some calls have moved.
    fn is_seen_early(&self, passed: Span) -> bool {
        self.gap.is_none() && self.moved >= ENOUGH && passed >= EARLY
    }
}

/// The longest wait that a call with this time left can afford: half of the time that remains after the 95th percentile
/// of its method's running time, or an eighth of the time that remains after the median; the longer of the two. In an
/// overloaded service a long queue is of no use: the eighth becomes a sixteenth, and the wait is at most a sixteenth of
/// the time left, or [`SHORT`] if that is more.
fn patience(left: Span, quantiles: Option<Quantiles>, overloaded: bool) -> Span {
    let Quantiles { typical, p95 } = quantiles.unwrap_or(Quantiles::UNKNOWN);
    let left = left.as_ms();
    // With more calls than it can do, a service needs fewer of them in its queue to be busy all the time.
    let part = if overloaded { 16 } else { 8 };
    let wait = (left.saturating_sub(p95) / 2).max(left.saturating_sub(typical) / part);
    match overloaded {
        true => Span::from_ms(wait.min((left / 16).max(SHORT.as_ms()))),
        false => Span::from_ms(wait),
    }
}

impl<P: Payload> Broker<P> {
    /// Whether a call that finds no free slot may wait. `ahead`: calls before it.
    pub(super) fn check_wait(
        &mut self,
        service: Option<Key>,
        ahead: usize,
        wish: Wish<'_>,
        row: Option<Key>,
        out: &mut Vec<Action<P>>,
    ) -> Result<(), Refusal> {
        if !self.config.admission || self.planted(PlantedBug::AdmitWhatCannotEnd) {
            return Ok(());
        }
        let now = self.last;
        let quantiles = match wish.kind.is_stream() {
            true => Some(Quantiles::NONE),
            false => self.method_stats.quantiles(row),
        };
        let Some(found) = service.and_then(|service| self.services.get_mut(service)) else {
            return Ok(());
        };
        let slots = found.slots();
        if slots == 0 {
            return Ok(()); // It waits for a worker, within another time.
        }
        let pace = found.pace_mut();
        pace.offer(now);
        let first = quantiles.map(|known| known.typical.saturating_mul(NANOS) / slots);
        let max = patience(wish.left, quantiles, pace.round.is_overloaded());
        let wait = pace.wait(now, ahead, first, max);
        if wait <= max {
            return Ok(());
        }
        if pace.noted.is_none_or(|noted| now - noted >= NOTE_EVERY) {
            pace.noted = Some(now);
            let service = found.name().clone();
            out.push(Action::Note(Note::Overloaded { service, wait }));
        }
        Err(overloaded(Span::from_ms(wait.as_ms() - max.as_ms())))
    }

    /// The calls before one that this client makes now, of those that wait for a service: its own, and of each other
    /// client as many at the most, as turns go round.
    pub(super) fn calls_ahead(&self, from: Key, service: Option<Key>) -> usize {
        let found = service.and_then(|key| Some((key, self.services.get(key)?)));
        let Some((key, service)) = found else { return 0 };
        if service.queued() == 0 {
            return 0;
        }
        let own = self.services.waiting_of(from, key);
        let turns = service.turns() + usize::from(own == 0);
        service.queued().min((own + 1).saturating_mul(turns).saturating_sub(1))
    }

    /// When a waiting call is to be looked at: at the end of its time to wait, or sooner, when even a call that takes
    /// as long as is typical could not end any more.
    pub(super) fn latest_start(&self, call: &BrokerCall<P>) -> Time {
        if call.is_leased() || call.flow().kind().is_stream() || !self.config.admission {
            return call.waits_until();
        }
        let typical = self.method_stats.quantiles(call.row()).map_or(0, |known| known.typical);
        call.waits_until().min(Time::from_ms(call.deadline().as_ms().saturating_sub(typical)))
    }

    /// Ends a waiting call that cannot end in its time any more. Whether it was one.
    pub(super) fn refuse_hopeless(
        &mut self,
        now: Time,
        key: Key,
        out: &mut Vec<Action<P>>,
    ) -> bool {
        let Some(call) = self.calls.get(key) else { return false };
        if call.waits_until() <= now {
            self.expire_waiting(now, key, out);
            return true;
        }
        if self.latest_start(call) > now || self.planted(PlantedBug::AdmitWhatCannotEnd) {
            return false;
        }
        let waited = call.passed(now);
        self.stats.refused += 1;
        self.refuse_waiting(now, key, |_| overloaded(waited), out);
        true
    }

    /// How many times the slots of one worker go into those of its service.
    pub(super) fn slots_beside(&self, service: Option<Key>, own: u64) -> usize {
        let service = service.and_then(|service| self.services.get(service));
        let all = service.map_or(0, super::services::Service::slots);
        usize::try_from(all.div_ceil(own.max(1))).unwrap_or(usize::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a call can wait that has much time.
    const LONG: Span = Span::from_secs(10);

    fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    /// A queue from which a call goes every `gap` ms.
    fn moves(pace: &mut Pace, from: u64, calls: u64, gap: u64) -> u64 {
        pace.begin(at(from));
        for n in 1..=calls {
            pace.advance(at(from + n * gap));
        }
        from + calls * gap
    }

    #[test]
    fn the_wait_follows_the_pace() {
        let mut pace = Pace::default();
        assert_eq!(pace.wait(at(0), 100, None, SHORT), Span::ZERO);
        assert_eq!(pace.wait(at(0), 100, Some(5_000_000), SHORT), Span::from_ms(500));
        let now = moves(&mut pace, 0, 80, 5);
        assert_eq!(pace.wait(at(now), 100, None, SHORT), Span::from_ms(500));
        // Twice as slow: within some seconds it is known.
        let now = moves(&mut pace, now, 500, 10);
        let wait = pace.wait(at(now), 100, None, SHORT).as_ms();
        assert!((800..=1_000).contains(&wait), "{wait}");
    }

    #[test]
    fn before_the_pace_is_known_only_calls_with_little_time_are_judged_by_what_is_seen() {
        let mut pace = Pace::default();
        let now = moves(&mut pace, 0, 7, 15);
        let first = Some(5_000_000);
        let wait = |pace: &Pace, max| pace.wait(at(now + 15), 10, first, max).as_ms();
        assert_eq!(wait(&pace, Span::from_ms(60)), 50);
        pace.advance(at(now + 15));
        assert_eq!(wait(&pace, Span::from_ms(60)), 133);
        assert_eq!(wait(&pace, LONG), 0);
    }

    #[test]
    fn a_burst_is_not_judged_by_its_first_calls() {
        let mut pace = Pace::default();
        // 64 calls within 256 ms, then four in each millisecond.
        let now = moves(&mut pace, 0, 64, 4);
        let wait = |pace: &Pace, now, max| pace.wait(at(now), 1_000, Some(300_000), max).as_ms();
        assert_eq!(wait(&pace, now, Span::from_ms(900)), 4_000);
        assert_eq!(wait(&pace, now, LONG), 0);
        for n in 0..3_000 {
            pace.advance(at(now + n / 4));
        }
        assert!((300..500).contains(&wait(&pace, now + 750, LONG)), "{pace:?}");
    }

    #[test]
    fn a_queue_that_stands_still_is_seen_at_once() {
        let mut pace = Pace::default();
        let now = moves(&mut pace, 0, 64, 5);
        assert_eq!(pace.wait(at(now + 3_000), 1, None, LONG), Span::from_ms(1_500));
        pace.advance(at(now + 6_000));
        assert_eq!(pace.wait(at(now + 6_000), 1, None, LONG), Span::from_ms(1_500));
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut pace = Pace::default();
        let now = moves(&mut pace, 0, 20, 100);
        pace.end(at(now));
        pace.begin(at(now + 1_000));
        assert_eq!(pace.wait(at(now + 1_000), 10, None, LONG), Span::from_secs(1));
        pace.end(at(now + 1_000));
        pace.begin(at(now + 12_000));
        assert_eq!(pace.wait(at(now + 12_000), 10, None, LONG), Span::ZERO);
    }

    #[test]
    fn a_call_may_wait_for_half_of_what_it_does_not_need() {
        let known = |typical, p95| Some(Quantiles { typical, p95 });
        let wait = |left, quantiles| patience(Span::from_ms(left), quantiles, false).as_ms();
        assert_eq!(wait(2_000, Some(Quantiles::NONE)), 1_000);
        // Nothing is known.
        assert_eq!([500, 2_000, 60_000].map(|left| wait(left, None)), [62, 500, 29_500]);
        assert_eq!(wait(2_000, known(20, 24)), 988);
        // One in ten takes 400 ms.
        assert_eq!(wait(500, known(20, 448)), 60);
        assert_eq!(wait(300, known(20, 448)), 35);
        assert_eq!(wait(10, known(20, 448)), 0);
        let wait = |left| patience(Span::from_ms(left), known(20, 24), true).as_ms();
        assert_eq!([300, 500, 2_000, 10_000, 60_000].map(wait), [138, 238, 250, 625, 3_750]);
        assert_eq!(patience(Span::from_ms(500), known(20, 448), true).as_ms(), 30);
    }

    #[test]
    fn more_than_is_served_for_some_time_is_overload() {
        let mut pace = Pace::default();
        pace.begin(at(0));
        let overloaded = |pace: &mut Pace, from: u64, ms: u64, each: u64| {
            for now in from..from + ms {
                (0..each).for_each(|_| pace.offer(at(now)));
                pace.advance(at(now));
            }
            pace.round.is_overloaded()
        };
        // A burst of some thousand calls, and as many as are served.
        assert!(!overloaded(&mut pace, 0, 300, 20));
        assert!(!overloaded(&mut pace, 300, 5_000, 1));
        assert!(!overloaded(&mut pace, 5_300, 1_000, 2));
        assert!(overloaded(&mut pace, 6_300, 1_800, 2));
        assert!(!overloaded(&mut pace, 8_100, 2_000, 1));
    }
}
