//! Whom a server lets in.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::PublicKey;

/// The keys of those who may connect. All clones are one list, and what is changed counts from the next connection on;
/// a connection that is there already stays.
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
    /// These keys, and no others.
    pub fn of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        AllowList::with(Allowed::These(keys.into_iter().collect()))
    }

    /// Nobody, for now.
    pub fn nobody() -> Self {
        AllowList::of([])
    }

    /// Whoever has a key at all. Connections are encrypted then, and each peer has a key that it cannot forge, but anybody
    /// may connect who knows the server's public key.
    pub fn anybody() -> Self {
        AllowList::with(Allowed::Any)
    }

    /// Lets these in, and no others.
    pub fn set(&self, keys: impl IntoIterator<Item = PublicKey>) {
        let keys = keys.into_iter().collect();
        self.change(|allowed| *allowed = Allowed::These(keys));
    }

    /// Lets whoever has a key in.
    pub fn set_anybody(&self) {
        self.change(|allowed| *allowed = Allowed::Any);
    }

    /// Lets one more in.
    pub fn add(&self, key: PublicKey) {
        self.change(|allowed| {
            if let Allowed::These(keys) = allowed {
                keys.insert(key);
            }
        });
    }

    /// Lets one in no more. Of a list that allows anybody nobody can be taken out: [`set`](Self::set) it first.
    ///
    /// Gives whether the key was in the list.
    pub fn remove(&self, key: &PublicKey) -> bool {
        let mut removed = false;
        self.change(|allowed| {
            if let Allowed::These(keys) = allowed {
                removed = keys.remove(key);
            }
        });
        removed
    }

    /// Whether this key is let in.
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
