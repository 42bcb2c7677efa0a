//! Messages, as they come and as they are sent.

use alloc::vec::Vec;

use bytes::Bytes;

/// Frames of an unfinished message that are smaller than this are copied out of the read buffer, since each would keep
/// all of that buffer.
const OWN_BELOW: usize = 32 << 10;

/// A message: one frame or more.
///
/// The frames share the memory of the buffer that they were read into. Call [`detach`](Message::detach) before a message
/// is kept for long.
///
/// ```
/// use mdp_zmtp::Message;
///
/// let message = Message::from(vec!["head".into(), "body".into()]);
/// assert_eq!(message.first(), "head");
/// assert_eq!((message.count(), message.bytes()), (2, 8));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    first: Bytes,
    rest: Vec<Bytes>,
}

impl Message {
    /// A message of these frames.
    pub fn new(first: Bytes, rest: Vec<Bytes>) -> Self {
        Message { first, rest }
    }

    /// The first frame.
    pub fn first(&self) -> &Bytes {
        &self.first
    }

    /// The frames after the first one.
    pub fn rest(&self) -> &[Bytes] {
        &self.rest
    }

    /// All frames.
    pub fn frames(&self) -> impl Iterator<Item = &Bytes> {
        core::iter::once(&self.first).chain(&self.rest)
    }

    /// The number of frames, at least 1.
    pub fn count(&self) -> usize {
        self.rest.len() + 1
    }

    /// The bytes of all frames together.
    pub fn bytes(&self) -> usize {
        self.frames().map(Bytes::len).sum()
    }

    /// The first frame, and those after it.
    pub fn into_parts(self) -> (Bytes, Vec<Bytes>) {
        (self.first, self.rest)
    }

    /// All frames in one list.
    pub fn into_frames(self) -> Vec<Bytes> {
        let mut frames = self.rest;
        frames.insert(0, self.first);
        frames
    }

    /// Copies frames below 32 KiB into memory of their own, so that they do not keep the read buffer.
    pub fn detach(&mut self) {
        own(&mut self.first);
        self.rest.iter_mut().for_each(own);
    }
}

/// A message of one frame.
impl From<Bytes> for Message {
    fn from(first: Bytes) -> Self {
        Message::new(first, Vec::new())
    }
}

/// A message of these frames. Of an empty list it is a message of one empty frame.
impl From<Vec<Bytes>> for Message {
    fn from(mut frames: Vec<Bytes>) -> Self {
        if frames.is_empty() {
            return Message::default();
        }
        let first = frames.remove(0);
        Message::new(first, frames)
    }
}

/// One frame to send.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Copied into the output.
    Copied(&'a [u8]),
    /// Handed over without a copy if it has at least [`SHARE_FROM`](crate::SHARE_FROM) bytes. Under CURVE it is sealed
    /// into the output instead.
    Shared(&'a Bytes),
}

impl<'a> Part<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Part::Copied(bytes) => bytes,
            Part::Shared(bytes) => bytes,
        }
    }
}

impl<'a> From<&'a [u8]> for Part<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Part::Copied(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Part<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Part::Copied(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Part<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Part::Copied(bytes)
    }
}

impl<'a> From<&'a Bytes> for Part<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        Part::Shared(bytes)
    }
}

/// The frames of a message that is not complete yet.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    first: Option<Bytes>,
    rest: Vec<Bytes>,
    bytes: usize,
    /// How many frames do not share a read buffer any more.
    owned: usize,
}

impl Unfinished {
    pub(crate) fn count(&self) -> usize {
        self.rest.len() + usize::from(self.first.is_some())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next frame. Returns the message if it is complete.
    #[inline]
    pub(crate) fn push(&mut self, frame: Bytes, more: bool) -> Option<Message> {
        match (&self.first, more) {
            (None, false) => return Some(Message::from(frame)),
            (None, true) => {
                self.bytes = frame.len();
                self.first = Some(frame);
            }
            (Some(_), _) => {
                self.bytes += frame.len();
                self.rest.push(frame);
            }
        }
        if more {
            return None;
        }
        let Unfinished { first, rest, .. } = core::mem::take(self);
        first.map(|first| Message { first, rest })
    }

    /// The rest of the message comes with another read: its frames give the read buffer back.
    pub(crate) fn wait(&mut self) {
        if self.owned == 0 {
            self.first.iter_mut().for_each(own);
        }
        self.rest.iter_mut().skip(self.owned.saturating_sub(1)).for_each(own);
        self.owned = self.count();
    }
}

fn own(frame: &mut Bytes) {
    if frame.len() < OWN_BELOW {
        *frame = Bytes::copy_from_slice(frame);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use bytes::BytesMut;

    use super::*;

    #[test]
    fn frames_of_an_unfinished_message_give_their_buffer_back() {
        let mut unfinished = Unfinished::default();
        let mut read = BytesMut::from(&[7; 300][..]);
        let mut large = BytesMut::zeroed(OWN_BELOW);
        assert_eq!(unfinished.push(read.split_to(100).freeze(), true), None);
        assert_eq!(unfinished.push(read.split_to(0).freeze(), true), None);
        unfinished.wait();
        unfinished.wait();
        assert_eq!(unfinished.push(read.split_to(100).freeze(), true), None);
        assert_eq!(unfinished.push(large.split().freeze(), true), None);
        unfinished.wait();
        // No frame shares the buffer, so all of it can be had again.
        assert!(read.try_reclaim(200) && !large.try_reclaim(OWN_BELOW));
        assert_eq!((unfinished.count(), unfinished.bytes()), (4, 200 + OWN_BELOW));
        let message = unfinished.push(Bytes::new(), false).unwrap();
        assert_eq!((message.count(), message.bytes()), (5, 200 + OWN_BELOW));
        assert_eq!((unfinished.count(), unfinished.bytes(), unfinished.owned), (0, 0, 0));
        assert_eq!(message.clone().into_frames().len(), 5);
        assert_eq!(Message::from(message.clone().into_frames()), message);
        assert_eq!(Message::from(vec![]).into_parts(), (Bytes::new(), vec![]));
    }
}
