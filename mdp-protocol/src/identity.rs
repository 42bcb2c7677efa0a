//! Who a peer is, as the transport has proven it.

use crate::policy::PeerKey;

/// Who sent a message: the holder of a key, or a peer without one.
///
/// Rights, quotas and sessions hang on it. Only the transport makes one, for the message in hand, out of what the
/// handshake of the message's connection has proven. A message whose connection should have a key and has none has
/// no identity: the transport drops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(Proof);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Anonymous,
    Key(PeerKey),
}

impl Identity {
    /// A peer of a transport without keys: no encryption, or the broker's own process.
    pub const fn anonymous() -> Self {
        Identity(Proof::Anonymous)
    }

    /// The holder of this public key, as the handshake has proven it.
    pub const fn of_key(key: PeerKey) -> Self {
        Identity(Proof::Key(key))
    }

    /// The public key; `None`: the peer is anonymous.
    pub const fn key(&self) -> Option<&PeerKey> {
        match &self.0 {
            Proof::Anonymous => None,
            Proof::Key(key) => Some(key),
        }
    }
}
