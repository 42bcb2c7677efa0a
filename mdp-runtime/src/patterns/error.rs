//! What can go wrong with a socket of these patterns: one enum for each operation.

use std::error::Error;

use super::topic::{MOST_TOPIC_BYTES, Topic};
use crate::error::EndpointError;
use crate::security::{CurveUnavailable, Unusable};
use crate::transport::SocketError;

/// Why a socket did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no endpoint, or one is not an endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A pair has two sides, so it binds or connects once.
    #[error("a pair has one endpoint, and {0} are given")]
    Several(usize),
    /// A topic to subscribe to is too long.
    #[error(transparent)]
    Topic(#[from] SubscribeError),
    /// An endpoint could not be bound.
    #[error(transparent)]
    Bind(SocketError),
    /// The socket does not connect to an endpoint.
    #[error(transparent)]
    Connect(SocketError),
    /// CURVE has two sides, and a socket is one of them.
    #[error(
        "with CURVE a socket either binds all its endpoints, with `.curve_server(..)`, or connects to all, with `.curve(..)`"
    )]
    CurveSides,
    /// CURVE is asked for, and libzmq was built without it.
    #[error(transparent)]
    CurveUnavailable(#[from] CurveUnavailable),
    /// There is not one key for all endpoints.
    #[error("{0} public keys are given; a socket takes one for all its endpoints")]
    ServerKeys(usize),
    /// The handler that says which keys may connect could not be started.
    #[error(transparent)]
    Authenticator(SocketError),
    /// The thread of that handler could not be started.
    #[error("could not start the thread of the handler of ZAP")]
    Thread(#[source] std::io::Error),
    /// The socket could not be made or set up.
    #[error(transparent)]
    Socket(SocketError),
    /// There is no tokio runtime to run on.
    #[error("a socket needs a tokio runtime with I/O and time enabled; call this within one")]
    NoTokio,
}

impl From<Unusable> for StartError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::NoCurve => CurveUnavailable.into(),
            Unusable::ServerKeys { keys, .. } => StartError::ServerKeys(keys),
        }
    }
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The socket was shut down, or has failed.
    #[error("the socket is closed")]
    Closed,
    /// The message is larger than [`max_message_bytes`](super::Builder::max_message_bytes).
    #[error("the message has {bytes} bytes, and {most} are allowed")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// The most.
        most: usize,
    },
    /// The topic is longer than [`MOST_TOPIC_BYTES`].
    #[error("the topic has {bytes} bytes, and {MOST_TOPIC_BYTES} are allowed")]
    TopicTooLong {
        /// Its bytes.
        bytes: usize,
    },
}

/// Why a subscription was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The socket was shut down, or has failed.
    #[error("the socket is closed")]
    Closed,
    /// The topic is longer than [`MOST_TOPIC_BYTES`].
    #[error("the topic has {bytes} bytes, and {MOST_TOPIC_BYTES} are allowed")]
    TopicTooLong {
        /// Its bytes.
        bytes: usize,
    },
}

/// What came in place of a record. All but [`Socket`](RecvError::Socket) and [`Panicked`](RecvError::Panicked) are about one
/// message, and the next one can be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The message has more or fewer frames than belong to one.
    #[error("a message{} has the wrong number of frames: {found}, not {expected}", about(topic))]
    Frames {
        /// Its topic, or what stands in its place; `None` where messages have none.
        topic: Option<Topic>,
        /// What belongs to one: 2 with a topic, else 1.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// A frame is larger than [`max_message_bytes`](super::Builder::max_message_bytes).
    #[error("a message{} has a frame of {bytes} bytes, and {most} are allowed", about(topic))]
    TooLarge {
        /// Its topic; `None` where messages have none, or if it is the topic that is too large.
        topic: Option<Topic>,
        /// The bytes of the frame.
        bytes: usize,
        /// The most.
        most: usize,
    },
    /// The message is not such a record.
    #[error("a message{} cannot be decoded as {record}: {source}", about(topic))]
    Decode {
        /// Its topic; `None` where messages have none.
        topic: Option<Topic>,
        /// The record's type.
        record: &'static str,
        /// What the decoder says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The socket has failed. Nothing more comes.
    #[error(transparent)]
    Socket(SocketError),
    /// The socket's task has panicked. Nothing more comes.
    #[error("the socket's task panicked; see the log")]
    Panicked,
}

impl RecvError {
    /// The topic of the message, if it has one.
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
