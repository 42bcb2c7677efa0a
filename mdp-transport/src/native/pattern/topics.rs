//! Topics that messages are compared with: a subscription matches all topics that begin with it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use bytes::Bytes;

/// Values under prefixes.
pub(super) struct Prefixes<V>(BTreeMap<Bytes, V>);

impl<V> Default for Prefixes<V> {
    fn default() -> Self {
        Prefixes(BTreeMap::new())
    }
}

impl<V> Prefixes<V> {
    pub(super) fn entry(&mut self, prefix: Bytes) -> Entry<'_, Bytes, V> {
        self.0.entry(prefix)
    }

    pub(super) fn get_mut(&mut self, prefix: &[u8]) -> Option<&mut V> {
        self.0.get_mut(prefix)
    }

    pub(super) fn remove(&mut self, prefix: &[u8]) {
        self.0.remove(prefix);
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.0.keys()
    }

    /// The values of all prefixes of this topic, the longest prefix first.
    ///
    /// The prefixes are sorted. The one before the topic either is a prefix of it, or has a beginning in common with it:
    /// then all prefixes of the topic are within that beginning. So there are at most as many steps as the topic has
    /// bytes, however many prefixes there are.
    pub(super) fn of(&self, topic: &[u8]) -> impl Iterator<Item = &V> {
        let mut rest = Some(topic);
        std::iter::from_fn(move || {
            loop {
                let within = rest?;
                let range = (Bound::Unbounded, Bound::Included(within));
                let (found, value) = self.0.range::<[u8], _>(range).next_back()?;
                let common =
                    found.iter().zip(within).take_while(|(one, other)| one == other).count();
                if common == found.len() {
                    rest = common.checked_sub(1).and_then(|shorter| within.get(..shorter));
                    return Some(value);
                }
                rest = within.get(..common);
            }
        })
    }
}

/// The topics that a subscriber wants. A topic that was added twice has to be taken back twice.
#[derive(Default)]
pub(super) struct Subscriptions(Prefixes<usize>);

impl Subscriptions {
    /// Adds a topic.
    pub(super) fn add(&mut self, topic: &[u8]) {
        *self.0.entry(Bytes::copy_from_slice(topic)).or_insert(0) += 1;
    }

    /// Takes a topic back. `true`: it is not wanted any more.
    pub(super) fn remove(&mut self, topic: &[u8]) -> bool {
        match self.0.get_mut(topic) {
            None => false,
            Some(times) if *times > 1 => {
                *times -= 1;
                false
            }
            Some(_) => {
                self.0.remove(topic);
                true
            }
        }
    }

    /// Whether messages of this topic are wanted.
    pub(super) fn wants(&self, topic: &[u8]) -> bool {
        self.0.of(topic).next().is_some()
    }

    /// The topics, each once.
    pub(super) fn all(&self) -> impl Iterator<Item = &Bytes> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_added_twice_is_removed_twice() {
        let mut topics = Subscriptions::default();
        topics.add(b"a");
        topics.add(b"a");
        assert!(!topics.remove(b"a") && topics.wants(b"ab") && !topics.wants(b"b"));
        assert!(topics.remove(b"a") && !topics.remove(b"a") && !topics.wants(b"a"));
        topics.add(b"");
        assert!(topics.wants(b"") && topics.wants(b"anything"));
        assert_eq!(topics.all().count(), 1);
    }

    proptest! {
        #[test]
        fn prefixes_are_found(
            prefixes in proptest::collection::btree_set("[ab]{0,6}", 0..40),
            topic in "[abc]{0,8}",
        ) {
            let mut all = Prefixes::default();
            for prefix in &prefixes {
                all.entry(Bytes::copy_from_slice(prefix.as_bytes())).or_insert(prefix.clone());
            }
            let found: Vec<&String> = all.of(topic.as_bytes()).collect();
            let wanted: Vec<&String> =
                prefixes.iter().rev().filter(|prefix| topic.starts_with(prefix.as_str())).collect();
            prop_assert_eq!(found, wanted);
        }
    }

    /// A look-up does not walk over all prefixes.
    #[test]
    fn many_prefixes_that_do_not_match_cost_few_steps() {
        let mut all = Prefixes::default();
        for number in 0..100_000 {
            all.entry(Bytes::from(format!("topic.{number:06}"))).or_insert(());
        }
        let begun = std::time::Instant::now();
        for _ in 0..1_000 {
            assert_eq!(all.of(b"topic.099999.and more").count(), 1);
            assert_eq!(all.of(b"topic.1").count(), 0);
        }
        // Walking over them all takes minutes.
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    }
}
