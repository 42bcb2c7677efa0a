//! The rights to call, serve and manage services, as plain data. The broker's machine asks the policy; the driver of
//! the machine loads it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::identity::Identity;
pub use crate::identity::PeerKey;

/// A name, or the beginning of names: `auth.v1.Auth`, `auth.v1.*`, `*`.
///
/// ```
/// use mdp_protocol::policy::Pattern;
/// let pattern = Pattern::new("auth.v1.*").unwrap();
/// assert!(pattern.fits(b"auth.v1.Auth") && !pattern.fits(b"auth.v10.Auth"));
/// assert!(Pattern::new("*").unwrap().fits(b"anything"));
/// assert!(Pattern::new("a*b").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    name: Vec<u8>,
    /// Whether any text may follow the name.
    open: bool,
}

impl Pattern {
    /// Parses a pattern. `None`: the text is empty, or has a `*` that is not at its end.
    pub fn new(text: &str) -> Option<Self> {
        let (name, open) = match text.strip_suffix('*') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let fine = !text.is_empty() && !name.contains('*');
        fine.then(|| Pattern { name: name.into(), open })
    }

    /// Whether the pattern matches a name.
    pub fn fits(&self, name: &[u8]) -> bool {
        if self.open { name.starts_with(&self.name) } else { name == self.name }
    }
}

/// Quotas of one principal. `None`: only the broker's own limits apply. Default: `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Calls of all its sessions that have not ended.
    pub calls_in_flight: Option<usize>,
    /// Calls in a second, on average; a second's worth may come at once.
    pub calls_per_second: Option<u32>,
    /// Bytes that the broker holds for the principal: its calls that wait, and data that its connections have not read.
    pub queued_bytes: Option<usize>,
}

/// The rights of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The principal's name, 1 to 64 bytes of printable ASCII without space.
    pub name: Arc<[u8]>,
    /// Services that the principal may call.
    pub call: Vec<Pattern>,
    /// Services that the principal may serve.
    pub serve: Vec<Pattern>,
    /// Whether the principal may use the broker's own services, `mmi.`, beyond `mmi.service`.
    pub manage: bool,
    /// Whether the principal may drain workers and the broker: `mmi.drain.`.
    pub drain: bool,
    /// The quotas of the principal.
    pub quota: Quota,
}

impl Grant {
    /// Whether this grant has the right to call a service.
    pub fn may_call(&self, service: &[u8]) -> bool {
        self.call.iter().any(|pattern| pattern.fits(service))
    }

    /// Whether this grant has the right to serve a service.
    pub fn may_serve(&self, service: &[u8]) -> bool {
        self.serve.iter().any(|pattern| pattern.fits(service))
    }
}

/// The rights of all peers. A peer that is not in the policy has no rights.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    grants: HashMap<PeerKey, Arc<Grant>, FixedState>,
    anonymous: Option<Arc<Grant>>,
    anyone: Option<Arc<Grant>>,
}

impl Policy {
    /// A policy that allows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a grant to the holder of a key. Returns the name of the principal that had this key before, if any.
    pub fn grant(&mut self, key: PeerKey, grant: &Arc<Grant>) -> Option<Arc<[u8]>> {
        self.grants.insert(key, Arc::clone(grant)).map(|before| Arc::clone(&before.name))
    }

    /// Gives a grant to peers without a key: those of an endpoint without CURVE.
    pub fn grant_anonymous(&mut self, grant: Arc<Grant>) {
        self.anonymous = Some(grant);
    }

    /// Gives a grant to peers with a key that belongs to no principal.
    pub fn grant_anyone(&mut self, grant: Arc<Grant>) {
        self.anyone = Some(grant);
    }

    /// The rights of a peer. `None`: it has no rights.
    pub fn of(&self, peer: &Identity) -> Option<&Arc<Grant>> {
        match peer.key() {
            None => self.anonymous.as_ref(),
            Some(key) => self.grants.get(key).or(self.anyone.as_ref()),
        }
    }

    /// The keys that belong to a principal.
    pub fn keys(&self) -> impl Iterator<Item = &PeerKey> {
        self.grants.keys()
    }

    /// Whether peers with keys that belong to no principal may connect.
    pub fn takes_anyone(&self) -> bool {
        self.anyone.is_some()
    }
}
