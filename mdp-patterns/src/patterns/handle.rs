//! A handle's connection to its socket's task: the commands, and the received messages.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::driver::{Arrival, Outgoing, PatternCommand};
use super::error::{RecvError, SendError, SubscribeError};
use super::parts::Parts;
use super::topic::{MAX_TOPIC_BYTES, Topic};
use mdp_call::codec::record::TypedMessage;

/// The sender to a socket's task. After the last one is dropped, the task sends all queued messages and closes the
/// socket.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) commands: mpsc::Sender<PatternCommand>,
    pub(super) stop: Arc<watch::Sender<bool>>,
    pub(super) done: watch::Receiver<()>,
    pub(super) endpoints: Arc<[String]>,
    /// The maximum size of a frame, in bytes.
    pub(super) max: usize,
}

impl Remote {
    /// Sends a message and waits until the socket has it.
    pub(super) async fn send(&self, record: &impl TypedMessage) -> Result<(), SendError> {
        let parts = Parts { topic: None, record: self.encode(record)? };
        let (taken, sent) = oneshot::channel();
        self.hand_over(Outgoing { parts, taken: Some(taken) }).await?;
        sent.await.map_err(|_| SendError::Closed)
    }

    /// Sends a message and waits only until the task has it.
    pub(super) async fn publish(
        &self,
        topic: &[u8],
        record: &impl TypedMessage,
    ) -> Result<(), SendError> {
        if topic.len() > MAX_TOPIC_BYTES {
            return Err(SendError::TopicTooLong { bytes: topic.len() });
        }
        let record = self.encode(record)?;
        let parts = Parts { topic: Some(Bytes::copy_from_slice(topic)), record };
        self.hand_over(Outgoing { parts, taken: None }).await
    }

    /// Waits until the socket has all messages that were handed over.
    pub(super) async fn flush(&self) -> Result<(), SendError> {
        let (done, flushed) = oneshot::channel();
        self.commands.send(PatternCommand::Flush(done)).await.map_err(|_| SendError::Closed)?;
        flushed.await.map_err(|_| SendError::Closed)
    }

    async fn hand_over(&self, message: Outgoing) -> Result<(), SendError> {
        self.commands.send(PatternCommand::Send(message)).await.map_err(|_| SendError::Closed)
    }

    fn encode(&self, record: &impl TypedMessage) -> Result<Bytes, SendError> {
        let (bytes, max) = (record.encoded_len(), self.max);
        if bytes > max {
            return Err(SendError::TooLarge { bytes, max });
        }
        let mut encoded = Vec::with_capacity(bytes);
        record.encode_to(&mut encoded);
        Ok(Bytes::from(encoded))
    }

    /// Changes a subscription and waits until the change is done.
    pub(super) async fn subscribe(&self, topic: &[u8], add: bool) -> Result<(), SubscribeError> {
        let topic = checked(topic)?;
        let (done, changed) = oneshot::channel();
        let command = PatternCommand::Subscribe { topic, add, done };
        self.commands.send(command).await.map_err(|_| SubscribeError::Closed)?;
        changed.await.map_err(|_| SubscribeError::Closed)
    }

    /// Closes the socket for all handles and waits until it is closed.
    pub(super) async fn shutdown(&self) {
        self.stop.send_replace(true);
        let mut done = self.done.clone();
        // Nothing is ever sent: an error means that the task has ended.
        while done.changed().await.is_ok() {}
    }
}

/// Checks the length of a topic to subscribe to.
pub(super) fn checked(topic: &[u8]) -> Result<Bytes, SubscribeError> {
    match topic.len() > MAX_TOPIC_BYTES {
        true => Err(SubscribeError::TopicTooLong { bytes: topic.len() }),
        false => Ok(Bytes::copy_from_slice(topic)),
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.endpoints.iter()).finish()
    }
}

/// A record, with its topic if the pattern has topics; `None` when the socket is closed.
type Arrived<T> = Option<Result<(Option<Topic>, T), RecvError>>;

/// The messages from a socket's task.
pub(super) struct Inbox<T> {
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    pub(super) record: PhantomData<fn() -> T>,
}

impl<T: TypedMessage> Inbox<T> {
    /// The next message with its topic.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Arrived<T>> {
        self.arrivals.poll_recv(cx).map(|arrival| Some(arrival?.and_then(decode)))
    }

    /// The next message without its topic.
    pub(super) fn poll_record(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, RecvError>>> {
        self.poll(cx).map(|arrival| Some(arrival?.map(|(_, record)| record)))
    }
}

fn decode<T: TypedMessage>(parts: Parts) -> Result<(Option<Topic>, T), RecvError> {
    let topic = parts.topic.map(Topic::from);
    match T::decode_from(parts.record) {
        Ok(record) => Ok((topic, record)),
        Err(source) => {
            Err(RecvError::Decode { topic, record: type_name::<T>(), source: Box::new(source) })
        }
    }
}
