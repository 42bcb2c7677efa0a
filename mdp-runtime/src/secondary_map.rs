//! A driver's data for each call of its state machine.

use mdp_protocol::Key;

/// Values by the index of their key. The key of a call that has ended finds no value.
pub(crate) struct SecondaryMap<T>(Vec<Option<(Key, T)>>);

impl<T> Default for SecondaryMap<T> {
    fn default() -> Self {
        SecondaryMap(Vec::new())
    }
}

impl<T> SecondaryMap<T> {
    pub(crate) fn insert(&mut self, key: Key, value: T) {
        let place = key.index() as usize;
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        if let Some(slot) = self.0.get_mut(place) {
            *slot = Some((key, value));
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.0.get(key.index() as usize)?.as_ref();
        slot.filter(|(found, _)| *found == key).map(|(_, value)| value)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten().map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.0.get_mut(key.index() as usize)?;
        slot.take_if(|(found, _)| *found == key).map(|(_, value)| value)
    }
}
