//! Why a connection of a pattern ends.

use std::io::{self, ErrorKind};

use mdp_zmtp as zmtp;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    #[error("the peer has closed it")]
    Closed,
    #[error(transparent)]
    System(io::Error),
    #[error(transparent)]
    Protocol(zmtp::Error),
    #[error("the handshake took too long")]
    HandshakeTime,
    #[error("too many handshakes at once")]
    Surplus,
    #[error(
        "the server has ended the handshake; it may not allow this key, or have another key itself"
    )]
    Handshake,
    #[error(
        "the peer has more than {max} subscriptions; let it subscribe to what they have in common"
    )]
    Topics { max: usize },
    #[error("the topics of the peer have more than {max} bytes; let it subscribe to shorter ones")]
    TopicBytes { max: usize },
    #[error("a pair has one other side, and that one is here")]
    Paired,
    #[error("this side has disconnected")]
    Disconnected,
}

impl Ending {
    /// The peer has done what it must not do, or this side has refused it, or was refused.
    pub(super) fn is_fault(&self) -> bool {
        match self {
            Ending::Protocol(_) | Ending::Topics { .. } | Ending::TopicBytes { .. } => true,
            Ending::Closed
            | Ending::System(_)
            | Ending::HandshakeTime
            | Ending::Handshake
            | Ending::Surplus
            | Ending::Paired
            | Ending::Disconnected => false,
        }
    }
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Ending::Closed,
            _ => Ending::System(error),
        }
    }
}
