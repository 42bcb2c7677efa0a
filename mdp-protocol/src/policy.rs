//! Who may call, serve and manage what. Plain data: the broker's machine asks it, and whoever drives the machine
//! reads it from wherever it is kept.

use alloc::sync::Arc;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::identity::Identity;

/// A peer's key as the transport has proven it: 32 bytes of CURVE.
pub type PeerKey = [u8; 32];

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
    /// Whatever follows the name.
    open: bool,
}

impl Pattern {
    /// The pattern of a text; `None` if it is empty, or has a `*` that is not at its end.
    pub fn new(text: &str) -> Option<Self> {
        let (name, open) = match text.strip_suffix('*') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let fine = !text.is_empty() && !name.contains('*');
        fine.then(|| Pattern { name: name.into(), open })
    }

    /// Whether a name is one that is meant.
    pub fn fits(&self, name: &[u8]) -> bool {
        if self.open { name.starts_with(&self.name) } else { name == self.name }
    }
}

/// What one principal may use at once; `None` is without a limit but those of the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Calls of all its sessions that have not ended.
    pub calls_in_flight: Option<usize>,
    /// Calls in a second, on average; a second's worth may come at once.
    pub calls_per_second: Option<u32>,
    /// Bytes that the broker holds for it: of its calls that wait, and what its connections have not read.
    pub queued_bytes: Option<usize>,
}

/// What a principal may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The principal's name, 1 to 64 bytes of printable ASCII without space.
    pub name: Arc<[u8]>,
    /// Services that it may call.
    pub call: Vec<Pattern>,
    /// Services that it may serve.
    pub serve: Vec<Pattern>,
    /// Whether it may use the broker's own services, `mmi.`, beyond `mmi.service`.
    pub manage: bool,
    /// Whether it may ask for workers, or the broker, to end: `mmi.drain.`.
    pub drain: bool,
    /// What it may use at once.
    pub quota: Quota,
}

impl Grant {
    /// Whether it may call a service.
    pub fn may_call(&self, service: &[u8]) -> bool {
        self.call.iter().any(|pattern| pattern.fits(service))
    }

    /// Whether it may serve a service.
    pub fn may_serve(&self, service: &[u8]) -> bool {
        self.serve.iter().any(|pattern| pattern.fits(service))
    }
}

/// Who may do what; whoever is not in it may do nothing.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    by_key: HashMap<PeerKey, Arc<Grant>, FixedState>,
    anonymous: Option<Arc<Grant>>,
    anyone: Option<Arc<Grant>>,
}

impl Policy {
    /// A policy that allows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a grant to the holder of a key. Gives the name of who had this key before, if there is one.
    pub fn grant(&mut self, key: PeerKey, grant: &Arc<Grant>) -> Option<Arc<[u8]>> {
        self.by_key.insert(key, Arc::clone(grant)).map(|before| Arc::clone(&before.name))
    }

    /// Gives a grant to peers without a key: those of an endpoint without CURVE.
    pub fn grant_anonymous(&mut self, grant: Arc<Grant>) {
        self.anonymous = Some(grant);
    }

    /// Gives a grant to peers with a key that is nobody's.
    pub fn grant_anyone(&mut self, grant: Arc<Grant>) {
        self.anyone = Some(grant);
    }

    /// What a peer may do; `None` is nothing.
    pub fn of(&self, peer: &Identity) -> Option<&Arc<Grant>> {
        match peer.key() {
            None => self.anonymous.as_ref(),
            Some(key) => self.by_key.get(key).or(self.anyone.as_ref()),
        }
    }

    /// The keys that are somebody's.
    pub fn keys(&self) -> impl Iterator<Item = &PeerKey> {
        self.by_key.keys()
    }

    /// Whether peers with keys that are nobody's may connect.
    pub fn takes_anyone(&self) -> bool {
        self.anyone.is_some()
    }
}
