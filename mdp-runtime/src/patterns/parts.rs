//! Messages of the patterns, as they are to be in a socket.

use bytes::Bytes;

use super::error::RecvError;
use super::topic::Topic;
use crate::transport::pattern::PatternMessage;

/// A message as it travels.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// `None` where messages have none.
    pub(super) topic: Option<Bytes>,
    pub(super) record: Bytes,
}

/// What a message is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) topics: bool,
    /// The most bytes of a frame.
    pub(super) most: usize,
}

impl Layout {
    /// The parts of a message that came.
    pub(super) fn parts(self, message: PatternMessage) -> Result<Parts, RecvError> {
        let PatternMessage { first, second, frames } = message;
        let expected = if self.topics { 2 } else { 1 };
        // Of a topic that is too long an error has nothing: it may be kept for long.
        let topic = (self.topics && first.len() <= self.most).then(|| Topic::from(first.clone()));
        match (self.topics, second) {
            _ if frames != expected => Err(RecvError::Frames { topic, expected, found: frames }),
            (true, Some(record)) => {
                self.check(&first, None)?;
                self.check(&record, topic)?;
                Ok(Parts { topic: Some(first), record })
            }
            _ => {
                self.check(&first, None)?;
                Ok(Parts { topic: None, record: first })
            }
        }
    }

    fn check(self, frame: &Bytes, topic: Option<Topic>) -> Result<(), RecvError> {
        match frame.len() > self.most {
            true => Err(RecvError::TooLarge { topic, bytes: frame.len(), most: self.most }),
            false => Ok(()),
        }
    }
}
