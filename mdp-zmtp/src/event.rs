//! What a connection reports.

use bytes::Bytes;

use crate::message::Message;
use crate::peer::Peer;

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A CURVE client has proven that it owns its key, and waits for [`Connection::admit`](crate::Connection::admit) or
    /// [`Connection::refuse`](crate::Connection::refuse). Until then nothing more is read, and the handshake's time
    /// runs.
    Admission(Peer),
    /// The handshake is over: messages can be sent.
    Ready(Peer),
    /// A message is complete.
    Message(Message),
    /// A subscriber of ZMTP 3.1 wants messages that begin with this topic. Subscribers of 3.0 send a message instead: an
    /// octet 1 and the topic.
    Subscribe(Bytes),
    /// A subscriber of ZMTP 3.1 takes one subscription back. Subscribers of 3.0 send a message instead: an octet 0 and the
    /// topic.
    Cancel(Bytes),
}
