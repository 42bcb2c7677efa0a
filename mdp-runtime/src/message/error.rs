//! Why a frame could not be read.

use std::error::Error;
use std::str::Utf8Error;

/// Why the top of a [`Message`](crate::Message) could not be read. Each says which type was wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The message has no frame.
    #[error("{wanted} was wanted, and the message has no frame")]
    Missing {
        /// The type.
        wanted: &'static str,
    },
    /// The frame has not as many bytes as the type.
    #[error("{wanted} was wanted, which has {expected} bytes, and the frame has {found}")]
    Size {
        /// The type.
        wanted: &'static str,
        /// The bytes of the type.
        expected: usize,
        /// The bytes of the frame.
        found: usize,
    },
    /// The frame is not a text.
    #[error("text was wanted, and the frame is not UTF-8 from byte {} on", source.valid_up_to())]
    Utf8 {
        /// What is wrong with it, and where.
        source: Utf8Error,
    },
    /// The enum has no variant of this number.
    #[error("{wanted} was wanted, which has no variant with the number {number}")]
    Enum {
        /// The enum.
        wanted: &'static str,
        /// The number.
        number: i32,
    },
    /// The frame is not such a record.
    #[error("{wanted} was wanted, and the frame cannot be decoded as one: {source}")]
    Record {
        /// The record.
        wanted: &'static str,
        /// What the decoder says.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl MessageError {
    /// The same for a type that lies on the wire as another one does.
    pub(super) fn wanting(self, wanted: &'static str) -> Self {
        match self {
            MessageError::Missing { .. } => MessageError::Missing { wanted },
            MessageError::Size { expected, found, .. } => {
                MessageError::Size { wanted, expected, found }
            }
            other => other,
        }
    }
}
