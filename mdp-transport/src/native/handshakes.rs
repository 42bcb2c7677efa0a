//! Handshakes that are not over: how long they may take, and how many there may be.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::wire::SERVER_HANDSHAKE_MS;

/// The longest time for a handshake.
const LONGEST: Duration = Duration::from_millis(SERVER_HANDSHAKE_MS);
/// The most handshakes at once, if the process may have twice as many open files.
const MOST: usize = 4_096;

/// The handshakes of a router. `C` names a connection.
pub(super) struct Handshakes<C> {
    /// The end of each one's time, the oldest first. Some may be over already.
    open: VecDeque<(Instant, C)>,
    max: usize,
}

impl<C: Copy> Handshakes<C> {
    /// `open_files` is the limit of the process.
    pub(super) fn new(open_files: u64) -> Self {
        let half = usize::try_from(open_files / 2).unwrap_or(MOST);
        Handshakes { open: VecDeque::new(), max: half.clamp(1, MOST) }
    }

    /// A connection was accepted.
    pub(super) fn begin(&mut self, now: Instant, connection: C) {
        self.open.push_back((now + LONGEST, connection));
    }

    /// When the next one takes too long, at the earliest.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.open.front().map(|(until, _)| *until)
    }

    /// Takes out the next one that takes too long. `is_open`: the handshake of this connection is not over.
    pub(super) fn next_slow(&mut self, now: Instant, is_open: impl Fn(C) -> bool) -> Option<C> {
        while let Some((until, connection)) = self.open.front().copied() {
            let is_open = is_open(connection);
            if is_open && until > now {
                return None;
            }
            self.open.pop_front();
            if is_open {
                return Some(connection);
            }
        }
        None
    }

    /// Takes some out if there are too many: the oldest of the host with the most. So a host that opens many keeps no
    /// other one out. `host`: the host of a connection; `None` if its handshake is over.
    ///
    /// A look at all handshakes takes a while, so there is one for a sixteenth of them.
    pub(super) fn surplus<H: Eq + Hash>(&mut self, host: impl Fn(C) -> Option<H>) -> Vec<C> {
        let mut surplus = Vec::new();
        if self.open.len() <= self.max {
            return surplus;
        }
        let mut counts: HashMap<H, usize> = HashMap::new();
        self.open.retain(|(_, connection)| match host(*connection) {
            Some(host) => {
                *counts.entry(host).or_default() += 1;
                true
            }
            None => false,
        });
        if self.open.len() <= self.max {
            return surplus;
        }
        let busiest = counts.into_iter().max_by_key(|(_, count)| *count).map(|(host, _)| host);
        let most = (self.max / 16).max(1);
        self.open.retain(|(_, connection)| {
            let is_surplus = surplus.len() < most && host(*connection) == busiest;
            if is_surplus {
                surplus.push(*connection);
            }
            !is_surplus
        });
        surplus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_ones_end_in_the_order_in_which_they_began() {
        let (mut handshakes, start) = (Handshakes::new(100), Instant::now());
        (0..4).for_each(|number| handshakes.begin(start + Duration::from_millis(number), number));
        assert_eq!(handshakes.next_end(), Some(start + LONGEST));
        assert_eq!(handshakes.next_slow(start, |_| true), None);
        // The first one is over.
        let later = start + LONGEST + Duration::from_millis(2);
        let mut slow = || handshakes.next_slow(later, |number| number != 0);
        assert_eq!([slow(), slow(), slow()], [Some(1), Some(2), None]);
    }

    #[test]
    fn a_host_with_many_loses_its_oldest_and_others_stay() {
        let (mut handshakes, now) = (Handshakes::new(8), Instant::now());
        let host = |number: u32| Some(if number == 0 { "modest" } else { "greedy" });
        for number in 0..4 {
            handshakes.begin(now, number);
            assert_eq!(handshakes.surplus(host), []);
        }
        for number in 4..100 {
            handshakes.begin(now, number);
            assert_eq!(handshakes.surplus(host), [number - 3]);
            assert_eq!(handshakes.surplus(host), []);
        }
        // Those that are over make room.
        handshakes.begin(now, 100);
        assert_eq!(handshakes.surplus(|number| (number < 99).then_some("any")), []);
    }

    #[test]
    fn one_look_is_for_many() {
        let (mut handshakes, now) = (Handshakes::new(2 * 64), Instant::now());
        (0..65).for_each(|number| handshakes.begin(now, number));
        assert_eq!(handshakes.surplus(|_: u32| Some(())), [0, 1, 2, 3]);
        assert_eq!(handshakes.next_slow(now + LONGEST, |_| true), Some(4));
    }
}
