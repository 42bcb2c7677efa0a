//! The last value of each topic, for later subscribers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::parts::Parts;

/// The minimum time between two rounds of last values, because each new subscriber makes the values of all come again.
const PAUSE: Duration = Duration::from_millis(50);
/// The maximum number of prefixes that are remembered for the next round. Beyond that, the round covers all topics.
const MAX_PREFIXES: usize = 1_024;

/// The first byte of a notice that begins a subscription.
const SUBSCRIBES: u8 = 1;

pub(super) struct LastValues {
    max_topics: usize,
    values: BTreeMap<Bytes, Value>,
    /// The topics by the time of their last value, the oldest first.
    ages: BTreeMap<u64, Bytes>,
    next_age: u64,
    /// The prefixes that were subscribed to since the last round.
    asked: BTreeSet<Bytes>,
    /// The next round does not start before this moment.
    not_before: Instant,
}

struct Value {
    age: u64,
    record: Bytes,
}

impl LastValues {
    pub(super) fn new(max_topics: usize) -> Self {
        LastValues {
            max_topics,
            values: BTreeMap::new(),
            ages: BTreeMap::new(),
            next_age: 0,
            asked: BTreeSet::new(),
            not_before: Instant::now(),
        }
    }

    /// Stores a value. `true`: the topic that was published least recently was dropped for it.
    pub(super) fn set(&mut self, topic: &Bytes, record: &Bytes) -> bool {
        let age = self.next_age;
        self.next_age += 1;
        let value = Value { age, record: record.clone() };
        if let Some(before) = self.values.insert(topic.clone(), value) {
            self.ages.remove(&before.age);
        }
        self.ages.insert(age, topic.clone());
        if self.values.len() <= self.max_topics {
            return false;
        }
        if let Some((_, oldest)) = self.ages.pop_first() {
            self.values.remove(&oldest);
        }
        true
    }

    /// Handles a subscriber's notice.
    pub(super) fn hear(&mut self, notice: &Bytes) {
        if notice.first() != Some(&SUBSCRIBES) {
            return;
        }
        let everything = self.asked.len() >= MAX_PREFIXES;
        if everything {
            self.asked.clear();
        }
        self.asked.insert(if everything { Bytes::new() } else { notice.slice(1..) });
    }

    /// The moment at which the next round is due.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.asked.is_empty()).then_some(self.not_before)
    }

    /// The values that are due, each once, regardless of the number of subscribers.
    pub(super) fn round(&mut self, now: Instant) -> Vec<Parts> {
        if self.due().is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.not_before = now + PAUSE;
        let mut round = BTreeMap::new();
        for prefix in std::mem::take(&mut self.asked) {
            let below = self.values.range(prefix.clone()..);
            let below = below.take_while(|(topic, _)| topic.starts_with(&prefix));
            round.extend(below.map(|(topic, value)| (topic.clone(), value.record.clone())));
        }
        round.into_iter().map(|(topic, record)| Parts { topic: Some(topic), record }).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests
mod tests {
    use super::*;

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn with(max: usize, topics: &[&str]) -> (LastValues, Vec<bool>) {
        let mut last = LastValues::new(max);
        let evicted = topics.iter().map(|topic| last.set(&bytes(topic), &bytes(topic))).collect();
        (last, evicted)
    }

    fn round(last: &mut LastValues, now: Instant) -> Vec<Bytes> {
        last.round(now).into_iter().map(|parts| parts.topic.unwrap()).collect()
    }

    #[test]
    fn a_round_has_each_topic_once() {
        let (mut last, _) = with(10, &["b", "a.2", "a.1", "c"]);
        let now = Instant::now();
        assert_eq!((last.due(), round(&mut last, now).len()), (None, 0));
        for notice in ["\u{1}a", "\u{1}a.", "\u{1}c", "\0b", "", "\u{1}nothing"] {
            last.hear(&bytes(notice));
        }
        assert_eq!(round(&mut last, now), ["a.1", "a.2", "c"]);
        assert_eq!(last.due(), None);
        last.hear(&bytes("\u{1}"));
        assert_eq!(last.due(), Some(now + PAUSE));
        assert!(round(&mut last, now).is_empty(), "too soon");
        assert_eq!(round(&mut last, now + PAUSE).len(), 4);
    }

    #[test]
    fn the_topic_that_was_published_least_recently_makes_room() {
        let (mut last, evicted) = with(2, &["a", "b", "a", "c"]);
        assert_eq!(evicted, [false, false, false, true]);
        assert_eq!((last.values.len(), last.ages.len()), (2, 2));
        last.hear(&bytes("\u{1}"));
        assert_eq!(round(&mut last, Instant::now()), ["a", "c"]);
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let (mut last, _) = with(10, &["a", "b"]);
        for number in 0..10 * MAX_PREFIXES {
            last.hear(&bytes(&format!("\u{1}{number}")));
            assert!(last.asked.len() <= MAX_PREFIXES);
        }
        assert_eq!(round(&mut last, Instant::now()), ["a", "b"]);
    }
}
