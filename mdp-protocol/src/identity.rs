//! The identity of a peer, as the transport has proven it.

/// A peer's key as the transport has proven it: 32 bytes of CURVE.
pub type PeerKey = [u8; 32];

/// The sender of a message: the holder of a key, or a peer without a key.
///
/// Rights, quotas and sessions depend on it. Only the transport makes an identity, for each message, from the handshake
/// of the message's connection. A message without a key over a connection that needs one has no identity: the transport
/// drops it.
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
