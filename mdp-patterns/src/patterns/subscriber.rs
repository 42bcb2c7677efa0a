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
use mdp_call::codec::record::TypedMessage;

/// A message that a subscriber receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published<T> {
    /// The full topic under which the message was sent.
    pub topic: Topic,
    /// The record.
    pub message: T,
}

/// Receives the records of its subscribed topics, from all connected publishers.
///
/// A subscription is a prefix: `weather.` matches all topics that begin with it, and `""` matches all topics. A slow
/// subscriber loses messages at its publishers once both queues are full. Dropping the subscriber closes its socket.
///
/// Read messages with [`recv`](Self::recv) or as a [`Stream`]. See [`Publisher`](super::Publisher) for an example.
pub struct Subscriber<T> {
    pub(super) remote: Remote,
    pub(super) inbox: Inbox<T>,
}

impl<T: TypedMessage> Subscriber<T> {
    /// Returns a builder for the settings of a subscriber.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Returns the next message; `None` when the socket is closed and all messages are read. Dropping the future loses
    /// no message.
    ///
    /// # Errors
    ///
    /// The received message is not a topic with a record of this type. The next message can be received.
    pub async fn recv(&mut self) -> Result<Option<Published<T>>, RecvError> {
        poll_fn(|cx| self.poll(cx)).await.transpose()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Published<T>, RecvError>>> {
        self.inbox.poll(cx).map(|arrival| {
            Some(arrival?.map(|(topic, message)| {
                // The messages of this socket have a topic.
                Published { topic: topic.unwrap_or_else(|| Topic::from("")), message }
            }))
        })
    }
}

impl<T> Subscriber<T> {
    /// Subscribes to all topics that begin with this one, at all current and later publishers. Each publisher learns of
    /// the subscription as soon as it is connected; earlier messages are missed. Two subscriptions to the same prefix
    /// need two [`unsubscribe`](Self::unsubscribe) calls.
    ///
    /// # Errors
    ///
    /// The socket was shut down or has failed, or the topic is too long.
    pub async fn subscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SubscribeError> {
        self.remote.subscribe(topic.as_ref(), true).await
    }

    /// Ends a subscription to exactly this prefix; does nothing if there is no such subscription. Up to 64 messages
    /// that have already arrived are still received.
    ///
    /// # Errors
    ///
    /// The socket was shut down or has failed, or the topic is too long.
    pub async fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SubscribeError> {
        self.remote.subscribe(topic.as_ref(), false).await
    }

    /// Returns the endpoints in the builder's order; bound endpoints have their actual port.
    pub fn endpoints(&self) -> &[String] {
        &self.remote.endpoints
    }

    /// Closes the socket and waits until it is closed. Messages that the handle has already received can still be read.
    pub async fn shutdown(&self) {
        self.remote.shutdown().await;
    }
}

impl<T: TypedMessage> Stream for Subscriber<T> {
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
