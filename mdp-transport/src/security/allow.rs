//! The list of keys that a server accepts.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::PublicKey;

/// A list of the keys that may connect. All clones share one list. Changes apply to new connections; existing
/// connections stay.
///
/// ```
/// use mdp_runtime::security::{AllowList, KeyPair};
///
/// let (ann, ben) = (KeyPair::new()?, KeyPair::new()?);
/// let list = AllowList::of([*ann.public()]);
/// assert!(list.allows(ann.public()) && !list.allows(ben.public()));
/// list.set([*ben.public()]);
/// assert!(!list.allows(ann.public()) && list.allows(ben.public()));
/// # Ok::<(), mdp_runtime::security::CurveUnavailable>(())
/// ```
#[derive(Clone)]
pub struct AllowList(Arc<RwLock<Allowed>>);

enum Allowed {
    Any,
    These(HashSet<PublicKey>),
}

impl AllowList {
    /// Makes a list with these keys only.
    pub fn of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        AllowList::with(Allowed::These(keys.into_iter().collect()))
    }

    /// Makes an empty list.
    pub fn nobody() -> Self {
        AllowList::of([])
    }

    /// Makes a list that accepts every key. Connections over tcp and ipc are encrypted, and each peer proves that it
    /// has the secret key of its public key. But every peer that knows the server's public key may connect. Over inproc
    /// there is no encryption and no key.
    pub fn anybody() -> Self {
        AllowList::with(Allowed::Any)
    }

    /// Replaces the list with these keys.
    pub fn set(&self, keys: impl IntoIterator<Item = PublicKey>) {
        let keys = keys.into_iter().collect();
        self.change(|allowed| *allowed = Allowed::These(keys));
    }

    /// Changes the list to accept every key.
    pub fn set_anybody(&self) {
        self.change(|allowed| *allowed = Allowed::Any);
    }

    /// Adds a key.
    pub fn add(&self, key: PublicKey) {
        self.change(|allowed| {
            if let Allowed::These(keys) = allowed {
                keys.insert(key);
            }
        });
    }

    /// Removes a key. This has no effect on a list that accepts every key: [`set`](Self::set) its keys first.
    ///
    /// Returns whether the key was in the list.
    pub fn remove(&self, key: &PublicKey) -> bool {
        let mut removed = false;
        self.change(|allowed| {
            if let Allowed::These(keys) = allowed {
                removed = keys.remove(key);
            }
        });
        removed
    }

    /// Whether the list accepts this key.
    pub fn allows(&self, key: &PublicKey) -> bool {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Allowed::Any => true,
            Allowed::These(keys) => keys.contains(key),
        }
    }

    fn with(allowed: Allowed) -> Self {
        AllowList(Arc::new(RwLock::new(allowed)))
    }

    fn change(&self, change: impl FnOnce(&mut Allowed)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Allowed::Any => f.write_str("AllowList(anybody)"),
            Allowed::These(keys) => write!(f, "AllowList({} keys)", keys.len()),
        }
    }
}
