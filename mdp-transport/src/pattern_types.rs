//! What the sockets of patterns have in common, by either transport.

use bytes::Bytes;

/// One side of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// PUB.
    Publisher,
    /// SUB.
    Subscriber,
    /// PUSH.
    Pusher,
    /// PULL.
    Puller,
    /// PAIR.
    Pair,
}

/// The settings of a socket.
pub struct PatternSettings {
    /// Maximum number of messages that wait for each peer, in each direction.
    pub waiting: u32,
    /// Maximum number of bytes in a received frame. A larger frame ends its sender's connection.
    pub frame_bytes: usize,
    /// For a publisher: each subscription is reported, not only the first one of a topic.
    pub verbose: bool,
}

/// A received message.
#[derive(Debug, PartialEq, Eq)]
pub struct PatternMessage {
    /// The first frame.
    pub first: Bytes,
    /// The second frame, if there is one.
    pub second: Option<Bytes>,
    /// The number of received frames. Frames after the second one are dropped.
    pub frames: usize,
}

/// The events to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// A message to receive.
    pub message: bool,
    /// Room to send.
    pub room: bool,
}

/// What a subscriber that is connected to a publisher has lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The host of the subscriber. `None`: it is on this machine, over ipc or inproc.
    pub host: Option<std::sync::Arc<str>>,
    /// The number of messages for which its queue had no room.
    pub messages: u64,
}
