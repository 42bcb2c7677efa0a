//! The requirements of the state machines for a call's body: a path, a size, and a form that can be kept.

use alloc::vec::Vec;

use crate::limits::Limits;
use crate::wire::Command;

/// The body of a REQUEST, of a part of a stream or of a FINAL: name, metadata and payload together. The state machines
/// pass it on and never read the payload.
///
/// In the runtime a body is a slice of its packet. In a test it may be a number.
pub trait Payload: Sized {
    /// The name on a REQUEST: the method's path, `package.Service/Method`. Empty on a FINAL.
    fn path(&self) -> &[u8];

    /// Whether this is the body of a classic message and not a method's message. The path is then the service.
    fn is_raw(&self) -> bool {
        false
    }

    /// The encoded metadata. Empty: there is none. The broker and a worker refuse a call whose metadata cannot be read
    /// (`wire.md` R103).
    fn metadata(&self) -> &[u8] {
        &[]
    }

    /// The last frame of a raw body, for the broker's own services. Empty: there is none.
    fn last_frame(&self) -> &[u8] {
        &[]
    }

    /// The command of the record in the frames of a body, if they are a tunnel (`wire.md` R86). `None`: they are not a
    /// tunnel. A message that is not raw is one frame. [`wire::tunnel::read`](crate::wire::tunnel::read) finds it in
    /// the frames.
    fn tunnel(&self, limits: &Limits) -> Option<Command> {
        let _ = limits;
        None
    }

    /// The bytes that the body occupies while it is held, for the limits. For an item of a stream: its bytes on the
    /// wire. They decide its cost, and all sides must count the same.
    fn size(&self) -> usize;

    /// The bytes of the largest frame that the body needs on the wire; the same as
    /// [`size`](Payload::size) unless the payload has a frame of its own.
    fn largest_frame(&self) -> usize {
        self.size()
    }

    /// Makes a request with this path, without metadata and message, for the broker's own questions to a worker.
    /// `None`: this type cannot make one, and the broker asks no questions.
    fn request(path: &[u8]) -> Option<Self> {
        let _ = path;
        None
    }

    /// The encoded message of a reply, if it is in one piece. The broker keeps it and passes it on to peers that decode
    /// it.
    fn message(&self) -> Option<&[u8]> {
        None
    }

    /// A second handle on the same body, for a call that may be sent again. It must not keep more memory alive than
    /// [`size`](Payload::size).
    fn keep(&self) -> Self;

    /// The body in a form that may be held for long: it must not keep more memory alive than [`size`](Payload::size).
    fn detach(self) -> Self;
}

/// A body that is only a path, for examples and tests.
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
