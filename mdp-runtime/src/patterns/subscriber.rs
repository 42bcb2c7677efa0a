//! The subscribing side of PUB and SUB.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::builder::Builder;
use super::error::{RecvError, SubscribeError};
use super::handle::{Inbox, Remote};
use super::topic::Topic;
use crate::codegen::Record;

/// What a subscriber receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published<T> {
    /// What it was sent under, as a whole.
    pub topic: Topic,
    /// The record.
    pub message: T,
}

/// Receives the records of the topics that it has subscribed to, from all publishers that it is connected to.
///
/// A subscription is a prefix: `weather.` is for all topics that begin so, and `""` for all there are. One that is slow to
/// read loses messages at its publishers, once both queues are full. When it is dropped, its socket closes.
///
/// Read it with [`recv`](Self::recv) or as a [`Stream`]. See [`Publisher`](super::Publisher) for an example.
pub struct Subscriber<T> {
    pub(super) remote: Remote,
    pub(super) inbox: Inbox<T>,
}

impl<T: Record> Subscriber<T> {
    /// Settings for a subscriber.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// The next message; `None` when the socket is closed and all is read. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// What came is not a topic and a record. The next message can be received.
    pub async fn recv(&mut self) -> Result<Option<Published<T>>, RecvError> {
        poll_fn(|cx| self.poll(cx)).await.transpose()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Published<T>, RecvError>>> {
        self.inbox.poll(cx).map(|arrival| {
            Some(arrival?.map(|(topic, message)| {
                // Messages of this socket have one.
                Published { topic: topic.unwrap_or_else(|| Topic::from("")), message }
            }))
        })
    }
}

impl<T> Subscriber<T> {
    /// Subscribes to all topics that begin with this one, at all publishers, also those that come later. Each hears of it
    /// as soon as it is reached; what is sent before that goes past. To subscribe twice is to unsubscribe twice.
    ///
    /// # Errors
    ///
    /// The socket was shut down, or the topic is too long.
    pub async fn subscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SubscribeError> {
        self.remote.subscribe(topic.as_ref(), true).await
    }

    /// Ends a subscription to exactly this prefix; does nothing if there is none. Up to 64 messages that have come
    /// already are still received.
    ///
    /// # Errors
    ///
    /// The socket was shut down, or the topic is too long.
    pub async fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SubscribeError> {
        self.remote.subscribe(topic.as_ref(), false).await
    }

    /// The endpoints in the order of the builder's, each that is bound with the port that it took.
    pub fn endpoints(&self) -> &[String] {
        &self.remote.endpoints
    }

    /// Closes the socket and waits until that is done. What has been handed over is still received.
    pub async fn shutdown(&self) {
        self.remote.shutdown().await;
    }
}

impl<T: Record> Stream for Subscriber<T> {
    type Item = Result<Published<T>, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("endpoints", &self.remote).finish_non_exhaustive()
    }
}
