//! The subscriptions that a publisher has received.

use std::collections::btree_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};

use super::ending::Ending;
use super::topics::Prefixes;

/// The most subscriptions of one peer.
pub(super) const MAX_TOPICS: usize = 65_536;
/// The most bytes of all topics of one peer together.
pub(super) const MAX_TOPIC_BYTES: usize = 4 << 20;
/// While so many notices wait, no peer is read.
const MAX_NOTICES: usize = 1_024;

/// The first bytes of notices.
const SUBSCRIBES: u8 = 1;
const CANCELS: u8 = 0;

/// Which peer wants which topics.
pub(super) struct Subscribers {
    /// Each subscription gives a notice, not only the first one of a topic.
    verbose: bool,
    peers: Prefixes<Vec<usize>>,
    topics: HashMap<usize, Topics>,
    notices: VecDeque<Bytes>,
}

/// The topics of a peer.
#[derive(Default)]
struct Topics {
    all: BTreeSet<Bytes>,
    bytes: usize,
}

impl Subscribers {
    pub(super) fn new(verbose: bool) -> Self {
        let (peers, topics) = (Prefixes::default(), HashMap::new());
        Subscribers { verbose, peers, topics, notices: VecDeque::new() }
    }

    /// A peer adds a topic, or takes it back. A topic that is there is not added twice.
    ///
    /// # Errors
    ///
    /// The peer has too many topics.
    pub(super) fn change(&mut self, peer: usize, topic: &[u8], add: bool) -> Result<(), Ending> {
        match add {
            true => self.add(peer, topic),
            false => {
                let topics = self.topics.get_mut(&peer);
                if topics.is_some_and(|topics| topics.remove(topic)) {
                    self.drop_peer(peer, topic);
                }
                Ok(())
            }
        }
    }

    fn add(&mut self, peer: usize, topic: &[u8]) -> Result<(), Ending> {
        let topics = self.topics.entry(peer).or_default();
        let mut is_first = false;
        if !topics.all.contains(topic) {
            topics.check(topic)?;
            // A copy: the topic does not keep the buffer that it was read into.
            let entry = self.peers.entry(Bytes::copy_from_slice(topic));
            is_first = matches!(entry, Entry::Vacant(_));
            topics.insert(entry.key());
            entry.or_default().push(peer);
        }
        if is_first || self.verbose {
            self.notices.push_back(notice(SUBSCRIBES, topic));
        }
        Ok(())
    }

    /// Forgets a peer.
    pub(super) fn leave(&mut self, peer: usize) {
        let topics = self.topics.remove(&peer).unwrap_or_default();
        for topic in topics.all {
            self.drop_peer(peer, &topic);
        }
    }

    fn drop_peer(&mut self, peer: usize, topic: &[u8]) {
        let Some(peers) = self.peers.get_mut(topic) else { return };
        if let Some(at) = peers.iter().position(|one| *one == peer) {
            peers.swap_remove(at);
        }
        if peers.is_empty() {
            self.peers.remove(topic);
            self.notices.push_back(notice(CANCELS, topic));
        }
    }

    /// The peers that want this topic. A peer with several matching topics comes several times.
    pub(super) fn of(&self, topic: &[u8]) -> impl Iterator<Item = usize> {
        self.peers.of(topic).flatten().copied()
    }

    /// The next notice: byte 1 and a topic for a new subscription, byte 0 and a topic for one that nobody has any more.
    pub(super) fn notice(&mut self) -> Option<Bytes> {
        self.notices.pop_front()
    }

    pub(super) fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    /// Whether peers may be read: there is room for their notices.
    pub(super) fn has_room(&self) -> bool {
        self.notices.len() < MAX_NOTICES
    }
}

impl Topics {
    fn check(&self, topic: &[u8]) -> Result<(), Ending> {
        if self.all.len() >= MAX_TOPICS {
            return Err(Ending::Topics { max: MAX_TOPICS });
        }
        if self.bytes.saturating_add(topic.len()) > MAX_TOPIC_BYTES {
            return Err(Ending::TopicBytes { max: MAX_TOPIC_BYTES });
        }
        Ok(())
    }

    fn insert(&mut self, topic: &Bytes) {
        self.bytes = self.bytes.saturating_add(topic.len());
        self.all.insert(topic.clone());
    }

    /// `true`: the topic was there.
    fn remove(&mut self, topic: &[u8]) -> bool {
        let was_there = self.all.remove(topic);
        if was_there {
            self.bytes = self.bytes.saturating_sub(topic.len());
        }
        was_there
    }
}

fn notice(kind: u8, topic: &[u8]) -> Bytes {
    let mut notice = BytesMut::with_capacity(topic.len().saturating_add(1));
    notice.put_u8(kind);
    notice.extend_from_slice(topic);
    notice.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notices(subscribers: &mut Subscribers) -> Vec<Bytes> {
        std::iter::from_fn(|| subscribers.notice()).collect()
    }

    #[test]
    fn the_first_and_the_last_subscription_of_a_topic_give_a_notice() {
        for verbose in [false, true] {
            let mut subscribers = Subscribers::new(verbose);
            for peer in [1, 2, 1] {
                subscribers.change(peer, b"a", true).unwrap();
            }
            let said = notices(&mut subscribers);
            assert_eq!(said.len(), if verbose { 3 } else { 1 });
            assert!(said.iter().all(|notice| notice == "\u{1}a"));
            assert_eq!(subscribers.of(b"ab").collect::<Vec<_>>(), [1, 2]);
            // A topic counts once for each peer.
            subscribers.change(1, b"a", false).unwrap();
            subscribers.change(1, b"a", false).unwrap();
            subscribers.change(1, b"never", false).unwrap();
            assert!(!subscribers.has_notices());
            assert_eq!(subscribers.of(b"a").collect::<Vec<_>>(), [2]);
            subscribers.change(2, b"", true).unwrap();
            notices(&mut subscribers);
            subscribers.leave(2);
            assert_eq!(notices(&mut subscribers), ["\0", "\0a"]);
            assert_eq!(subscribers.of(b"a").count(), 0);
        }
    }

    #[test]
    fn the_topics_of_a_peer_are_bounded() {
        let mut subscribers = Subscribers::new(false);
        for number in 0..MAX_TOPICS {
            subscribers.change(1, format!("{number}").as_bytes(), true).unwrap();
        }
        subscribers.change(1, b"1", true).unwrap();
        assert!(matches!(subscribers.change(1, b"x", true), Err(Ending::Topics { .. })));
        assert!(!subscribers.has_room());
        subscribers.leave(1);
        let half = vec![b'a'; MAX_TOPIC_BYTES / 2];
        subscribers.change(1, &half, true).unwrap();
        let other = vec![b'b'; MAX_TOPIC_BYTES / 2 + 1];
        assert!(matches!(subscribers.change(1, &other, true), Err(Ending::TopicBytes { .. })));
        subscribers.change(1, &half, false).unwrap();
        subscribers.change(1, &other, true).unwrap();
    }
}
