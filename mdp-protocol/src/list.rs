//! Doubly linked lists that run through the entries of a table, so that an entry leaves any of its
//! lists in O(1) and nothing is allocated.

use crate::slab::{Key, Slab};

/// The two neighbours of an entry in one list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    prev: Option<Key>,
    next: Option<Key>,
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
    fn link(&mut self) -> &mut Link;
    fn link_ref(&self) -> &Link;
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
        *entry.link() = Link { prev: self.tail, next: None };
        match self.tail.and_then(|tail| slab.get_mut(tail)) {
            Some(tail) => tail.link().next = Some(key),
            None => self.head = Some(key),
        }
        self.tail = Some(key);
        self.len += 1;
    }

    pub(crate) fn push_front<const N: usize, T: Linked<N>>(
        &mut self,
        slab: &mut Slab<T>,
        key: Key,
    ) {
        let Some(entry) = slab.get_mut(key) else { return };
        *entry.link() = Link { prev: None, next: self.head };
        match self.head.and_then(|head| slab.get_mut(head)) {
            Some(head) => head.link().prev = Some(key),
            None => self.tail = Some(key),
        }
        self.head = Some(key);
        self.len += 1;
    }

    /// Takes `key` out. It must be in this list.
    pub(crate) fn remove<const N: usize, T: Linked<N>>(&mut self, slab: &mut Slab<T>, key: Key) {
        let Some(entry) = slab.get_mut(key) else { return };
        let link = core::mem::take(entry.link());
        match link.prev.and_then(|prev| slab.get_mut(prev)) {
            Some(prev) => prev.link().next = link.next,
            None => self.head = link.next,
        }
        match link.next.and_then(|next| slab.get_mut(next)) {
            Some(next) => next.link().prev = link.prev,
            None => self.tail = link.prev,
        }
        self.len = self.len.saturating_sub(1);
    }

    /// The entry behind `key` in its list.
    pub(crate) fn after<const N: usize, T: Linked<N>>(slab: &Slab<T>, key: Key) -> Option<Key> {
        slab.get(key)?.link_ref().next
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

    struct Node(Link);

    impl Linked<0> for Node {
        fn link(&mut self) -> &mut Link {
            &mut self.0
        }
        fn link_ref(&self) -> &Link {
            &self.0
        }
    }

    #[test]
    fn entries_leave_from_anywhere() {
        let mut slab = Slab::new();
        let mut list = List::default();
        let keys: Vec<Key> = (0..5).map(|_| slab.insert(Node(Link::default()))).collect();
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
