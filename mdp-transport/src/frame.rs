//! A received frame.

use bytes::Bytes;

use crate::libzmq;

/// A received frame. Its bytes stay in the memory of the sockets.
pub struct Frame(Memory);

enum Memory {
    Libzmq(libzmq::frame::Frame),
    Bytes(Bytes),
}

impl Frame {
    /// Converts the frame into bytes without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Memory::Libzmq(frame) => frame.into_bytes(),
            Memory::Bytes(bytes) => bytes,
        }
    }
}

impl From<libzmq::frame::Frame> for Frame {
    fn from(frame: libzmq::frame::Frame) -> Self {
        Frame(Memory::Libzmq(frame))
    }
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        Frame(Memory::Bytes(bytes))
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Memory::Libzmq(frame) => frame.as_ref(),
            Memory::Bytes(bytes) => bytes,
        }
    }
}
