//! PUSH and PULL: each message goes to one of several.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::builder::Builder;
use super::error::{RecvError, SendError};
use super::handle::{Inbox, Remote};
use crate::codegen::Record;

/// Hands records out to [`Puller`]s, each to one of them, in turn to those that have room. Cloning is cheap and gives
/// a handle on the same socket.
///
/// When the last handle is dropped, the socket sends what it holds, for up to a second, and closes.
///
/// See the [module](super) for an example.
pub struct Pusher<T> {
    pub(super) remote: Remote,
    pub(super) record: PhantomData<fn(T)>,
}

impl<T: Record> Pusher<T> {
    /// Settings for a pusher.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Sends a record, and waits until the socket has it: for a puller if there is none, or until one has room. An endpoint that
    /// is connected to counts as a puller, also while nobody binds it. Dropping the future takes the record back, unless
    /// the socket has it by then.
    ///
    /// # Errors
    ///
    /// The socket was [shut down](Self::shutdown), and does not have the record, or the record is too large.
    pub async fn send(&self, message: &T) -> Result<(), SendError> {
        self.remote.send(message).await
    }
}

impl<T> Pusher<T> {
    /// The endpoints in the order of the builder's, each that is bound with the port that it took.
    pub fn endpoints(&self) -> &[String] {
        &self.remote.endpoints
    }

    /// Closes the socket for all handles, and waits until ZeroMQ has written what it holds, for up to a second. All whose
    /// `send` has ended is among that; those that still wait end with [`SendError::Closed`].
    pub async fn shutdown(&self) {
        self.remote.shutdown().await;
    }
}

impl<T> Clone for Pusher<T> {
    fn clone(&self) -> Self {
        Pusher { remote: self.remote.clone(), record: PhantomData }
    }
}

impl<T> fmt::Debug for Pusher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher").field("endpoints", &self.remote).finish_non_exhaustive()
    }
}

/// Receives its share of what [`Pusher`]s hand out, in turn from all that it is connected to. When it is dropped, its socket
/// closes, and what it has not read is lost.
///
/// Read it with [`recv`](Self::recv) or as a [`Stream`]. See the [module](super) for an example.
pub struct Puller<T> {
    pub(super) remote: Remote,
    pub(super) inbox: Inbox<T>,
}

impl<T: Record> Puller<T> {
    /// Settings for a puller.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// The next record; `None` when the socket is closed and all is read. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// What came is not such a record. The next one can be received.
    pub async fn recv(&mut self) -> Result<Option<T>, RecvError> {
        poll_fn(|cx| self.inbox.poll_record(cx)).await.transpose()
    }
}

impl<T> Puller<T> {
    /// The endpoints in the order of the builder's, each that is bound with the port that it took.
    pub fn endpoints(&self) -> &[String] {
        &self.remote.endpoints
    }

    /// Closes the socket and waits until that is done. What has been handed over is still received, up to 64 messages; what
    /// waits behind it is lost.
    pub async fn shutdown(&self) {
        self.remote.shutdown().await;
    }
}

impl<T: Record> Stream for Puller<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll_record(cx)
    }
}

impl<T> fmt::Debug for Puller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puller").field("endpoints", &self.remote).finish_non_exhaustive()
    }
}
