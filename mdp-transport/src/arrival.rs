//! What a router receives.

use crate::packet::InPacket;

/// The content of a message.
pub enum Content {
    /// The message begins like a packet of MDP/RPC.
    Packet(InPacket),
    /// Any other message; its frames are in the caller's list. The list stays empty if the message belongs to no peer.
    Frames,
}

/// The reason why a message over an encrypted endpoint belongs to no peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The connection has no key.
    Key,
    /// The peer chose its own routing id. After the connection ends, another peer may connect with the same id and
    /// receive messages for the first peer.
    Route,
}
