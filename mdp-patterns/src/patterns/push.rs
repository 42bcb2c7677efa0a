//! PUSH and PULL: each message goes to one of several peers.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::builder::Builder;
use super::error::{RecvError, SendError};
use super::handle::{Inbox, Remote};
use mdp_call::codec::record::TypedMessage;

/// Distributes records to [`Puller`]s. Each record goes to one puller. The pullers take turns; a puller without room is
/// passed over. Cloning is cheap and gives another handle on the same socket.
///
/// After the last handle is dropped, the socket sends its queued messages, for up to one second, and closes.
///
/// See the [module](super) for an example.
pub struct Pusher<T> {
    pub(super) remote: Remote,
    pub(super) record: PhantomData<fn(T)>,
}

impl<T: TypedMessage> Pusher<T> {
    /// Returns a builder for the settings of a pusher.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Sends a record. Waits until the socket has the record: until a puller is there and has room. Over libzmq an endpoint
    /// to connect to counts as a puller, even while no peer binds it. Dropping the future withdraws the record if the
    /// socket does not have it yet.
    ///
    /// # Errors
    ///
    /// [`Closed`](SendError::Closed): the socket was [shut down](Self::shutdown), or has failed, before it had the
    /// record. [`TooLarge`](SendError::TooLarge): the record is larger than
    /// [`max_message_bytes`](Builder::max_message_bytes).
    pub async fn send(&self, message: &T) -> Result<(), SendError> {
        self.remote.send(message).await
    }
}

impl<T> Pusher<T> {
    /// Returns the endpoints in the builder's order; bound endpoints have their actual port.
    pub fn endpoints(&self) -> &[String] {
        &self.remote.endpoints
    }

    /// Closes the socket for all handles, and waits until ZeroMQ has written its queued messages, for up to one second.
    /// These include every message whose `send` has ended; `send` calls that still wait end with [`SendError::Closed`].
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

/// Receives a share of the records that [`Pusher`]s distribute, in turn from all connected pushers. Dropping it closes
/// the socket; unread records are lost.
///
/// Read records with [`recv`](Self::recv) or as a [`Stream`]. See the [module](super) for an example.
pub struct Puller<T> {
    pub(super) remote: Remote,
    pub(super) inbox: Inbox<T>,
}

impl<T: TypedMessage> Puller<T> {
    /// Returns a builder for the settings of a puller.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Returns the next record; `None` when the socket is closed and all records are read. Dropping the future loses no
    /// record.
    ///
    /// # Errors
    ///
    /// The received message is not a record of this type. The next one can be received.
    pub async fn recv(&mut self) -> Result<Option<T>, RecvError> {
        poll_fn(|cx| self.inbox.poll_record(cx)).await.transpose()
    }
}

impl<T> Puller<T> {
    /// Returns the endpoints in the builder's order; bound endpoints have their actual port.
    pub fn endpoints(&self) -> &[String] {
        &self.remote.endpoints
    }

    /// Closes the socket and waits until it is closed. Up to 64 messages that the handle has already received can still
    /// be read; messages behind them are lost.
    pub async fn shutdown(&self) {
        self.remote.shutdown().await;
    }
}

impl<T: TypedMessage> Stream for Puller<T> {
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
