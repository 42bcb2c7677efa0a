//! Doubly linked lists that run through the entries of a table, so that an entry leaves any of its
//! lists in O(1) and nothing is allocated.

use crate::slab::{Key, Slab};

/// No entry.
const NONE: u32 = u32::MAX;

/// The two neighbours of an entry in one list, by their indexes in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListLink {
    prev: u32,
    next: u32,
}

impl Default for ListLink {
    fn default() -> Self {
        ListLink { prev: NONE, next: NONE }
    }
}

/// The ends of a list and its length.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct List {
    head: Option<Key>,
    tail: Option<Key>,
    len: u32,
}

/// An entry that can be in list number `N`.
pub(crate) trait Linked<const N: usize> {
    fn link(&mut self) -> &mut ListLink;
    fn link_ref(&self) -> &ListLink;
}

impl List {
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn front(&self) -> Option<Key> {
        self.head
    }

    pub(crate) fn back(&self) -> Option<Key> {
        self.tail
    }

    pub(crate) fn push_back<const N: usize, T: Linked<N>>(&mut self, slab: &mut Slab<T>, key: Key) {
        let Some(entry) = slab.get_mut(key) else { return };
        let before = self.tail.replace(key);
        *entry.link() = ListLink { prev: before.map_or(NONE, Key::index), next: NONE };
        match before.and_then(|before| slab.at_mut(before.index())) {
            Some(before) => before.link().next = key.index(),
            None => self.head = Some(key),
        }
        self.len += 1;
    }

    pub(crate) fn push_front<const N: usize, T: Linked<N>>(
        &mut self,
        slab: &mut Slab<T>,
        key: Key,
    ) {
        let Some(entry) = slab.get_mut(key) else { return };
        let behind = self.head.replace(key);
        *entry.link() = ListLink { prev: NONE, next: behind.map_or(NONE, Key::index) };
        match behind.and_then(|behind| slab.at_mut(behind.index())) {
            Some(behind) => behind.link().prev = key.index(),
            None => self.tail = Some(key),
        }
        self.len += 1;
    }

    /// Takes `key` out. It must be in this list.
    pub(crate) fn remove<const N: usize, T: Linked<N>>(&mut self, slab: &mut Slab<T>, key: Key) {
        let Some(entry) = slab.get_mut(key) else { return };
        let ListLink { prev, next } = core::mem::take(entry.link());
        match slab.at_mut(prev) {
            Some(before) => before.link().next = next,
            None => self.head = slab.key_at(next),
        }
        match slab.at_mut(next) {
            Some(behind) => behind.link().prev = prev,
            None => self.tail = slab.key_at(prev),
        }
        self.len = self.len.saturating_sub(1);
    }

    /// Moves the first entry to the end.
    pub(crate) fn rotate<const N: usize, T: Linked<N>>(&mut self, slab: &mut Slab<T>) {
        if let Some(first) = self.front().filter(|_| self.len > 1) {
            self.remove(slab, first);
            self.push_back(slab, first);
        }
    }

    /// The entry behind `key` in its list.
    pub(crate) fn after<const N: usize, T: Linked<N>>(slab: &Slab<T>, key: Key) -> Option<Key> {
        slab.key_at(slab.get(key)?.link_ref().next)
    }

    /// The entries from front to back.
    pub(crate) fn iter<'a, const N: usize, T: Linked<N>>(
        &self,
        slab: &'a Slab<T>,
    ) -> impl Iterator<Item = Key> + use<'a, N, T> {
        let mut at = self.head;
        core::iter::from_fn(move || {
            let key = at?;
            at = Self::after(slab, key);
            Some(key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    struct Node(ListLink);

    impl Linked<0> for Node {
        fn link(&mut self) -> &mut ListLink {
            &mut self.0
        }
        fn link_ref(&self) -> &ListLink {
            &self.0
        }
    }

    #[test]
    fn entries_leave_from_anywhere() {
        let mut slab = Slab::new();
        let mut list = List::default();
        let keys: Vec<Key> = (0..5).map(|_| slab.insert(Node(ListLink::default()))).collect();
        for key in &keys[1..] {
            list.push_back(&mut slab, *key);
        }
        list.push_front(&mut slab, keys[0]);
        list.remove(&mut slab, keys[2]);
        list.remove(&mut slab, keys[0]);
        list.remove(&mut slab, keys[4]);
        let left: Vec<Key> = list.iter(&slab).collect();
        assert_eq!(left, [keys[1], keys[3]]);
        list.remove(&mut slab, keys[1]);
        list.remove(&mut slab, keys[3]);
        assert!(list.is_empty() && list.front().is_none());
    }
}
