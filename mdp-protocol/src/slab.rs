//! A table with fast look-ups by key. A key never matches a later entry in the same place.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

/// A handle on an entry: its place, and which tenant of that place it is. On the wire it is the
/// 64-bit `call` of a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    index: u32,
    generation: NonZeroU32,
}

impl Key {
    /// The key as it stands in a record.
    pub const fn as_u64(self) -> u64 {
        ((self.generation.get() as u64) << 32) | self.index as u64
    }

    /// The key that a record's 64 bits may mean; `None` for bits that no table ever gave out.
    pub const fn from_u64(bits: u64) -> Option<Self> {
        match NonZeroU32::new((bits >> 32) as u32) {
            Some(generation) => Some(Key { index: bits as u32, generation }),
            None => None,
        }
    }

    /// A key that no table has given out.
    pub(crate) const NOWHERE: Key = Key { index: u32::MAX, generation: NonZeroU32::MAX };

    /// The place in the table: small, dense, and used again after the entry is gone.
    pub const fn index(self) -> u32 {
        self.index
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}v{}", self.index, self.generation)
    }
}

/// The table: O(1) for everything, dense, without allocation once it has grown.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    generation: NonZeroU32,
    slot: Slot<T>,
}

#[derive(Clone, Debug)]
enum Slot<T> {
    Full(T),
    Free { next: u32 },
}

const NONE: u32 = u32::MAX;

/// The next tenant's generation. After 2^32 tenants it starts again.
fn after(generation: NonZeroU32) -> NonZeroU32 {
    generation.checked_add(1).unwrap_or(NonZeroU32::MIN)
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Slab { entries: Vec::new(), free: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        self.len += 1;
        if let Some(entry) = self.entries.get_mut(self.free as usize) {
            let index = self.free;
            if let Slot::Free { next } = entry.slot {
                self.free = next;
            }
            entry.slot = Slot::Full(value);
            return Key { index, generation: entry.generation };
        }
        let index = self.entries.len() as u32;
        let generation = NonZeroU32::MIN;
        self.entries.push(Entry { generation, slot: Slot::Full(value) });
        Key { index, generation }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        match self.entries.get(key.index as usize)? {
            Entry { generation, slot: Slot::Full(value) } if *generation == key.generation => {
                Some(value)
            }
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.entries.get_mut(key.index as usize)? {
            Entry { generation, slot: Slot::Full(value) } if *generation == key.generation => {
                Some(value)
            }
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation || !matches!(entry.slot, Slot::Full(_)) {
            return None;
        }
        let slot = core::mem::replace(&mut entry.slot, Slot::Free { next: self.free });
        entry.generation = after(entry.generation);
        self.free = key.index;
        self.len -= 1;
        match slot {
            Slot::Full(value) => Some(value),
            Slot::Free { .. } => None,
        }
    }

    /// Drops an entry where it is, and says whether there was one.
    pub(crate) fn discard(&mut self, key: Key) -> bool {
        let Some(entry) = self.entries.get_mut(key.index as usize) else { return false };
        if entry.generation != key.generation || !matches!(entry.slot, Slot::Full(_)) {
            return false;
        }
        entry.slot = Slot::Free { next: self.free };
        entry.generation = after(entry.generation);
        self.free = key.index;
        self.len -= 1;
        true
    }

    /// The entry that now lives at `index`.
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.entries.get_mut(index as usize)? {
            Entry { slot: Slot::Full(value), .. } => Some(value),
            _ => None,
        }
    }

    /// The key of the entry that now lives at `index`.
    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        match self.entries.get(index as usize)? {
            Entry { generation, slot: Slot::Full(_) } => {
                Some(Key { index, generation: *generation })
            }
            _ => None,
        }
    }

    /// Whether `key` was given out and its entry has since been removed.
    pub(crate) fn was_removed(&self, key: Key) -> bool {
        match self.entries.get(key.index as usize) {
            Some(entry) => key.generation < entry.generation,
            None => false,
        }
    }

    /// All entries by their place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| match &entry.slot {
            Slot::Full(value) => {
                Some((Key { index: index as u32, generation: entry.generation }, value))
            }
            Slot::Free { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_never_finds_a_later_tenant() {
        let mut slab = Slab::new();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(second.index(), first.index());
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert!(!slab.discard(first));
        assert_eq!(slab.get(second), Some(&"second"));
        assert!(slab.was_removed(first) && !slab.was_removed(second));
        assert_eq!(Key::from_u64(second.as_u64()), Some(second));
        assert_eq!(Key::from_u64(7), None);
    }

    #[test]
    fn places_are_used_again() {
        let mut slab = Slab::new();
        let keys: Vec<Key> = (0..10).map(|n| slab.insert(n)).collect();
        for key in &keys {
            match key.index() % 2 {
                0 => assert!(slab.remove(*key).is_some()),
                _ => assert!(slab.discard(*key)),
            }
        }
        assert!(slab.is_empty());
        for n in 0..10 {
            assert!(slab.insert(n).index() < 10);
        }
        assert_eq!(slab.len(), 10);
        assert_eq!(slab.key_at(3).map(Key::index), Some(3));
        assert_eq!(slab.iter().count(), 10);
    }
}
