//! Messages of sockets: a first frame, followed by payload frames.

use bytes::Bytes;

/// A message to send. Its buffers are reused after the message is sent.
#[derive(Debug, Default)]
pub struct OutPacket {
    /// The first frame.
    pub first: Vec<u8>,
    /// The frames after the first one.
    pub frames: Vec<Bytes>,
}

impl OutPacket {
    /// Takes the content out, in the form of a received message.
    pub fn take(&mut self) -> InPacket {
        let first = Bytes::from(std::mem::take(&mut self.first));
        InPacket { first, frames: std::mem::take(&mut self.frames) }
    }

    /// Empties the message, and keeps its buffers.
    #[inline]
    pub fn clear(&mut self) {
        self.first.clear();
        self.frames.clear();
    }
}

/// A received message.
#[derive(Debug)]
pub struct InPacket {
    /// The first frame.
    pub first: Bytes,
    /// The frames after the first one, up to the allowed number.
    pub frames: Vec<Bytes>,
}

impl InPacket {
    /// Returns all frames in one list.
    #[inline]
    pub fn into_frames(self) -> Vec<Bytes> {
        let mut frames = Vec::with_capacity(self.frames.len() + 1);
        frames.push(self.first);
        frames.extend(self.frames);
        frames
    }
}
