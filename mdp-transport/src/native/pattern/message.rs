//! Messages to send, and which patterns fit together.

use bytes::Bytes;
use mdp_zmtp::SocketType;

use crate::packet::InPacket;
use crate::pattern_types::{Pattern, PatternMessage};

/// A message to send: a topic, if the pattern has topics, and a record. Its memory is shared by all peers that get it.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) topic: Option<Bytes>,
    pub(super) record: Bytes,
}

impl Message {
    /// The bytes that subscriptions are compared with: those of the first frame.
    pub(super) fn topic(&self) -> &[u8] {
        self.topic.as_ref().unwrap_or(&self.record)
    }
}

impl From<Message> for PatternMessage {
    fn from(message: Message) -> Self {
        match message.topic {
            Some(first) => PatternMessage { first, second: Some(message.record), frames: 2 },
            None => PatternMessage { first: message.record, second: None, frames: 1 },
        }
    }
}

impl From<InPacket> for PatternMessage {
    fn from(packet: InPacket) -> Self {
        let frames = packet.frames.len().saturating_add(1);
        let second = packet.frames.into_iter().next();
        PatternMessage { first: packet.first, second, frames }
    }
}

/// The socket type of a pattern.
pub(super) fn socket_type(pattern: Pattern) -> SocketType {
    match pattern {
        Pattern::Publisher => SocketType::XPub,
        Pattern::Subscriber => SocketType::Sub,
        Pattern::Pusher => SocketType::Push,
        Pattern::Puller => SocketType::Pull,
        Pattern::Pair => SocketType::Pair,
    }
}

/// Whether sockets of these patterns may be connected.
pub(super) fn fits(one: Pattern, other: Pattern) -> bool {
    socket_type(one).opposites().contains(socket_type(other))
}
