//! The parts of the patterns' messages, and their checks.

use bytes::Bytes;

use super::error::RecvError;
use super::topic::Topic;
use mdp_transport::pattern::PatternMessage;

/// A message's parts as they are sent.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// `None` if the pattern has no topics.
    pub(super) topic: Option<Bytes>,
    pub(super) record: Bytes,
}

/// The required form of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) topics: bool,
    /// The maximum size of a frame, in bytes.
    pub(super) max: usize,
}

impl Layout {
    /// The parts of a received message.
    pub(super) fn parts(self, message: PatternMessage) -> Result<Parts, RecvError> {
        let PatternMessage { first, second, frames } = message;
        let expected = if self.topics { 2 } else { 1 };
        // An error does not include a topic that is too long, because the error may be kept for a long time.
        let topic = (self.topics && first.len() <= self.max).then(|| Topic::from(first.clone()));
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
        match frame.len() > self.max {
            true => Err(RecvError::TooLarge { topic, bytes: frame.len(), max: self.max }),
            false => Ok(()),
        }
    }
}
