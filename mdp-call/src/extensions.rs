//! Values of a call that stay in this process, one for each type. Peers neither write nor see them.

use std::any::{Any, TypeId};
use std::fmt;

/// Values of a call, at most one of each type. They stay in this process: they are never sent, and no peer can set one.
/// So this is the place for facts that an interceptor has established, such as the user of a token.
/// [`Metadata`](crate::Metadata) holds data from the other side.
///
/// A worker's interceptor puts a value on the `Request`, and the handler reads it with
/// `CallContext::extensions`. At a client the interceptors further in see it.
///
/// ```
/// use mdp_runtime::Extensions;
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct User(String);
///
/// let mut extensions = Extensions::new();
/// assert_eq!(extensions.insert(User("ann".into())), None);
/// assert_eq!(extensions.get::<User>(), Some(&User("ann".into())));
/// assert_eq!(extensions.remove::<User>(), Some(User("ann".into())));
/// assert!(extensions.get::<User>().is_none());
/// ```
#[derive(Clone, Default)]
pub struct Extensions {
    /// A pointer, because most calls have no values and each call is moved several times.
    values: Option<Box<Values>>,
}

// There are few values, so a linear search is as fast as a table.
#[derive(Clone, Default)]
struct Values(Vec<(TypeId, Box<dyn Value>)>);

impl Extensions {
    /// Makes an empty set of values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a value and returns the previous value of the same type. If a request is cloned for another attempt, its
    /// values are cloned too.
    pub fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) -> Option<T> {
        let before = self.remove::<T>();
        self.values.get_or_insert_default().0.push((TypeId::of::<T>(), Box::new(value)));
        before
    }

    /// Returns the value of this type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        let values = self.values.as_ref()?;
        let (_, value) = values.0.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        let value: &dyn Any = &**value;
        value.downcast_ref()
    }

    /// Returns the value of this type for changes.
    pub fn get_mut<T: 'static>(&mut self) -> Option<&mut T> {
        let values = self.values.as_mut()?;
        let (_, value) = values.0.iter_mut().find(|(id, _)| *id == TypeId::of::<T>())?;
        let value: &mut dyn Any = &mut **value;
        value.downcast_mut()
    }

    /// Removes the value of this type and returns it.
    pub fn remove<T: 'static>(&mut self) -> Option<T> {
        let values = &mut self.values.as_mut()?.0;
        let place = values.iter().position(|(id, _)| *id == TypeId::of::<T>())?;
        let value: Box<dyn Any> = values.swap_remove(place).1;
        value.downcast().ok().map(|value| *value)
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.values.as_ref().map_or(0, |values| values.0.len())
    }
}

/// Shows the number of values, but no value: a value may be a secret.
impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A value behind a box that can be cloned.
trait Value: Any + Send + Sync {
    fn to_boxed(&self) -> Box<dyn Value>;
}

impl Clone for Box<dyn Value> {
    fn clone(&self) -> Self {
        (**self).to_boxed()
    }
}

impl<T: Clone + Send + Sync + 'static> Value for T {
    fn to_boxed(&self) -> Box<dyn Value> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_of_each_type() {
        let mut extensions = Extensions::new();
        assert_eq!(extensions.insert(7_u32), None);
        assert_eq!(extensions.insert("seven"), None);
        assert_eq!(extensions.insert(8_u32), Some(7));
        assert_eq!((extensions.get(), extensions.get()), (Some(&8_u32), Some(&"seven")));
        assert_eq!(extensions.get::<u64>(), None);
        *extensions.get_mut::<u32>().unwrap() += 1;
        let copy = extensions.clone();
        assert_eq!(extensions.remove::<u32>(), Some(9));
        assert_eq!((extensions.remove::<u32>(), extensions.len()), (None, 1));
        assert_eq!((copy.get(), copy.len(), copy.is_empty()), (Some(&9_u32), 2, false));
        assert_eq!(format!("{copy:?}"), "Extensions { len: 2, .. }");
    }
}
