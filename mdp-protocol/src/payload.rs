//! What the state machines ask of a call's body: its path, its size, and that it can be kept.

use alloc::vec::Vec;

use crate::limits::Limits;
use crate::wire::Command;

/// The body of a REQUEST, of a part of a stream or of a FINAL: name, metadata and payload together.
/// The state machines move it and never look into the payload.
///
/// In the runtime it is a slice of the packet it came in; in a test it may be a number.
pub trait Payload: Sized {
    /// The name on a REQUEST: the method's path, `package.Service/Method`. Empty on a FINAL.
    fn path(&self) -> &[u8];

    /// Whether it is the body of a plain message and not a method's message. The path is then the service.
    fn is_raw(&self) -> bool {
        false
    }

    /// The metadata as it was encoded; empty if there is none. The broker and a worker refuse a call whose metadata cannot
    /// be read (`wire.md` R103).
    fn metadata(&self) -> &[u8] {
        &[]
    }

    /// The last frame of a raw body, for the broker's own services; empty if there is none.
    fn last_frame(&self) -> &[u8] {
        &[]
    }

    /// The command of the record that the frames of a body are a tunnel of (`wire.md` R86); `None`: they are no tunnel.
    /// A message that is not raw is one frame. [`wire::tunnel::read`](crate::wire::tunnel::read) tells it from the frames.
    fn tunnel(&self, limits: &Limits) -> Option<Command> {
        let _ = limits;
        None
    }

    /// The bytes that the body occupies while it is held, for the limits. Of an item of a stream those
    /// that stand on the wire, for they say what it costs: all who count must come to the same.
    fn size(&self) -> usize;

    /// The bytes of the largest frame that the body needs on the wire; the same as
    /// [`size`](Payload::size) unless the payload has a frame of its own.
    fn largest_frame(&self) -> usize {
        self.size()
    }

    /// The request that has this path, and neither metadata nor a message: what the broker itself asks of a worker.
    /// `None`: there is none of this kind, and the broker asks nothing.
    fn request(path: &[u8]) -> Option<Self> {
        let _ = path;
        None
    }

    /// The message in a reply, where it stands in one piece and as it was encoded: for what the broker keeps and tells to
    /// others, who look into it.
    fn message(&self) -> Option<&[u8]> {
        None
    }

    /// A second handle on the same body, for a call that may have to be sent again. It must not pin
    /// more memory than [`size`](Payload::size) says.
    fn keep(&self) -> Self;

    /// The body in a form that may be held for long: one that pins no more memory than
    /// [`size`](Payload::size) says.
    fn detach(self) -> Self;
}

/// A path and nothing else, for examples and tests.
impl Payload for Vec<u8> {
    fn path(&self) -> &[u8] {
        self
    }

    fn size(&self) -> usize {
        self.len()
    }

    fn request(path: &[u8]) -> Option<Self> {
        Some(path.into())
    }

    fn message(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn keep(&self) -> Self {
        self.clone()
    }

    fn detach(self) -> Self {
        self
    }
}
