//! The errors of the sockets of these patterns: one enum for each operation.

use std::error::Error;

use super::topic::{MAX_TOPIC_BYTES, Topic};
use mdp_transport::EndpointError;
use mdp_transport::SocketError;
use mdp_transport::Unusable;
use mdp_transport::security::CurveUnavailable;

/// The error when a socket cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no endpoint, or an endpoint is invalid.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A pair has exactly one endpoint, to bind or to connect to.
    #[error("a pair has one endpoint, and {0} are given")]
    Several(usize),
    /// A topic to subscribe to is too long.
    #[error(transparent)]
    Topic(#[from] SubscribeError),
    /// The error when an endpoint could not be bound.
    #[error(transparent)]
    Bind(SocketError),
    /// The socket cannot connect to an endpoint.
    #[error(transparent)]
    Connect(SocketError),
    /// With CURVE a socket must be on one side only: it binds all its endpoints or connects to all of them.
    #[error(
        "with CURVE a socket either binds all its endpoints, with `.curve_server(..)`, or connects to all, with `.curve(..)`"
    )]
    CurveSides,
    /// CURVE is required, but libzmq was built without it.
    #[error(transparent)]
    CurveUnavailable(#[from] CurveUnavailable),
    /// The number of public keys is not one.
    #[error("{0} public keys are given; a socket takes one for all its endpoints")]
    ServerKeys(usize),
    /// The handler that checks connecting keys could not be started.
    #[error(transparent)]
    Authenticator(SocketError),
    /// The thread of that handler could not be started.
    #[error("could not start the thread of the ZAP handler")]
    Thread(#[source] std::io::Error),
    /// The socket could not be created or configured.
    #[error(transparent)]
    Socket(SocketError),
    /// There is no tokio runtime to run on.
    #[error("a socket needs a tokio runtime with I/O and time enabled; call this within one")]
    NoTokio,
}

impl From<Unusable> for StartError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Unavailable(why) => why.into(),
            Unusable::ServerKeys { keys, .. } => StartError::ServerKeys(keys),
        }
    }
}

/// The error when a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The socket was shut down, or has failed.
    #[error("the socket is closed")]
    Closed,
    /// The message is larger than [`max_message_bytes`](super::Builder::max_message_bytes).
    #[error("the message has {bytes} bytes, and {max} are allowed")]
    TooLarge {
        /// The size of the message, in bytes.
        bytes: usize,
        /// The maximum size, in bytes.
        max: usize,
    },
    /// The topic is longer than [`MAX_TOPIC_BYTES`].
    #[error("the topic has {bytes} bytes, and {MAX_TOPIC_BYTES} are allowed")]
    TopicTooLong {
        /// The length of the topic, in bytes.
        bytes: usize,
    },
}

/// The error when a subscription was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The socket was shut down, or has failed.
    #[error("the socket is closed")]
    Closed,
    /// The topic is longer than [`MAX_TOPIC_BYTES`].
    #[error("the topic has {bytes} bytes, and {MAX_TOPIC_BYTES} are allowed")]
    TopicTooLong {
        /// The length of the topic, in bytes.
        bytes: usize,
    },
}

/// The error of receiving a record. All variants except [`Socket`](RecvError::Socket) and
/// [`Panicked`](RecvError::Panicked) are about one message; the next message can be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The message has the wrong number of frames.
    #[error("a message{} has the wrong number of frames: {found}, not {expected}", about(topic))]
    Frames {
        /// The message's topic, or its first frame; `None` if the pattern has no topics.
        topic: Option<Topic>,
        /// The correct number of frames: 2 with a topic, otherwise 1.
        expected: usize,
        /// The received number of frames.
        found: usize,
    },
    /// A frame is larger than [`max_message_bytes`](super::Builder::max_message_bytes).
    #[error("a message{} has a frame of {bytes} bytes, and {max} are allowed", about(topic))]
    TooLarge {
        /// The message's topic; `None` if the pattern has no topics, or if the topic itself is too large.
        topic: Option<Topic>,
        /// The size of the frame, in bytes.
        bytes: usize,
        /// The maximum size, in bytes.
        max: usize,
    },
    /// The message is not a record of this type.
    #[error("a message{} cannot be decoded as {record}: {source}", about(topic))]
    Decode {
        /// The message's topic; `None` if the pattern has no topics.
        topic: Option<Topic>,
        /// The record type.
        record: &'static str,
        /// The decoder's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The socket has failed. No more messages arrive.
    #[error(transparent)]
    Socket(SocketError),
    /// The socket's task has panicked. No more messages arrive.
    #[error("the socket's task panicked; see the log")]
    Panicked,
}

impl RecvError {
    /// Returns the topic of the message, if it has one.
    pub fn topic(&self) -> Option<&Topic> {
        match self {
            RecvError::Frames { topic, .. }
            | RecvError::TooLarge { topic, .. }
            | RecvError::Decode { topic, .. } => topic.as_ref(),
            RecvError::Socket(_) | RecvError::Panicked => None,
        }
    }
}

fn about(topic: &Option<Topic>) -> String {
    topic.as_ref().map(|topic| format!(" of the topic {topic:?}")).unwrap_or_default()
}
