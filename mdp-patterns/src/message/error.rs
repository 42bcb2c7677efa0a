//! The error of reading a frame.

use std::error::Error;
use std::str::Utf8Error;

/// The error of reading the top of a [`Message`](crate::Message). Each variant names the requested type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The message has no frame.
    #[error("expected {wanted}, but the message has no frame")]
    Missing {
        /// The requested type.
        wanted: &'static str,
    },
    /// The frame's size does not match the type's size.
    #[error("expected {wanted} with {expected} bytes, but the frame has {found} bytes")]
    Size {
        /// The requested type.
        wanted: &'static str,
        /// The size of the type, in bytes.
        expected: usize,
        /// The size of the frame, in bytes.
        found: usize,
    },
    /// The frame is not text.
    #[error("expected text, but the frame is not UTF-8 from byte {} on", source.valid_up_to())]
    Utf8 {
        /// The problem, and its position.
        source: Utf8Error,
    },
    /// The enum has no variant with this number.
    #[error("expected {wanted}, which has no variant with the number {number}")]
    Enum {
        /// The enum type.
        wanted: &'static str,
        /// The number.
        number: i32,
    },
    /// The frame is not a record of this type.
    #[error("expected {wanted}, but the frame cannot be decoded as one: {source}")]
    TypedMessage {
        /// The record type.
        wanted: &'static str,
        /// The decoder's error.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl MessageError {
    /// The same error for a type with the same encoding.
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
