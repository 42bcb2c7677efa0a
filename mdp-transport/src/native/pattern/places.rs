//! Values in numbered places. The place of a value that was removed is used again.

pub(super) struct Places<T> {
    all: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Places { all: Vec::new(), free: Vec::new() }
    }
}

impl<T> Places<T> {
    /// The place of the next value.
    pub(super) fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.all.len())
    }

    /// Adds a value at [`next`](Self::next).
    pub(super) fn add(&mut self, value: T) {
        match self.free.pop() {
            None => self.all.push(Some(value)),
            Some(place) => {
                if let Some(empty) = self.all.get_mut(place) {
                    *empty = Some(value);
                }
            }
        }
    }

    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.all.get(place)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.all.get_mut(place)?.as_mut()
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<T> {
        let removed = self.all.get_mut(place)?.take()?;
        self.free.push(place);
        Some(removed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.all.iter().flatten()
    }

    pub(super) fn numbered(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.all.iter_mut().enumerate().filter_map(|(place, value)| Some((place, value.as_mut()?)))
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.all.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut places = Places::default();
        for value in ["a", "b", "c"] {
            places.add(value);
        }
        assert_eq!((places.remove(1), places.remove(1), places.remove(9)), (Some("b"), None, None));
        assert_eq!(places.next(), 1);
        places.add("d");
        assert_eq!(places.get_mut(1), Some(&mut "d"));
        assert_eq!(places.iter().copied().collect::<String>(), "adc");
        assert_eq!(places.numbered().last(), Some((2, &mut "c")));
        assert_eq!((places.next(), places.into_values().count()), (3, 3));
    }
}
