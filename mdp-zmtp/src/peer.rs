//! Who is at the other end.

use bytes::Bytes;

use crate::config::Config;
use crate::error::{Command, Error, Excerpt};
use crate::keys::PublicKey;
use crate::socket_type::SocketType;
use crate::wire::metadata;

/// What a peer has said of itself in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    socket_type: SocketType,
    identity: Bytes,
    key: Option<PublicKey>,
    minor: u8,
}

impl Peer {
    /// Reads the metadata of `command`, and checks that the socket types fit.
    pub(crate) fn read(
        config: &Config,
        command: Command,
        data: &[u8],
        key: Option<PublicKey>,
        minor: u8,
    ) -> Result<Peer, Error> {
        let said = metadata::read(command, data)?;
        let socket_type = SocketType::from_name(said.socket_type).filter(|of| config.accepts(*of));
        let Some(socket_type) = socket_type else {
            let theirs = Excerpt::of(said.socket_type);
            return Err(Error::SocketType { ours: config.socket_type(), theirs });
        };
        let has_identity = socket_type.has_identity();
        let identity =
            if has_identity { Bytes::copy_from_slice(said.identity) } else { Bytes::new() };
        Ok(Peer { socket_type, identity, key, minor })
    }

    /// The peer's socket type.
    pub fn socket_type(&self) -> SocketType {
        self.socket_type
    }

    /// The identity that a REQ, DEALER or ROUTER announced, up to 255 octets. Empty: none. It is no proof of anything:
    /// any peer may announce any identity.
    pub fn identity(&self) -> &Bytes {
        &self.identity
    }

    /// The permanent public key, which the peer has proven to own. A client gets the key of the server that it was
    /// configured with. `None`: the mechanism is NULL.
    pub fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    /// The version of ZMTP that both sides speak: (3, 0) or (3, 1).
    pub fn version(&self) -> (u8, u8) {
        (3, self.minor)
    }
}
