//! The publishing side of PUB and SUB.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::builder::Builder;
use super::driver::Counts;
use super::error::SendError;
use super::handle::Remote;
use mdp_call::codec::record::TypedMessage;

/// Sends records to all subscribers of their topic. Cloning is cheap and gives another handle on the same socket.
///
/// A publisher never waits for a subscriber: a subscriber without room misses messages, and other subscribers are not
/// affected. A message without any subscriber is discarded, unless it is [kept](Builder::last_value) for later
/// subscribers. After the last handle is dropped, the socket sends its queued messages, for up to one second, and
/// closes.
///
/// ```
/// use mdp_runtime::MdpRecord;
/// use mdp_runtime::patterns::{Publisher, Subscriber};
///
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// struct Weather {
///     #[mdp(1)]
///     celsius: f64,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let weather =
///     Publisher::<Weather>::builder().bind("tcp://127.0.0.1:*").last_value(true).start()?;
/// weather.send("weather.paris", &Weather { celsius: 21.5 }).await?;
///
/// let mut france = Subscriber::<Weather>::builder()
///     .connect(&weather.endpoints()[0])
///     .subscribe("weather.")
///     .start()?;
/// let first = france.recv().await?.expect("it is open"); // the last value
/// assert_eq!(first.topic, "weather.paris");
/// assert_eq!(first.message.celsius, 21.5);
/// # Ok(())
/// # }
/// ```
pub struct Publisher<T> {
    pub(super) remote: Remote,
    pub(super) counts: Arc<Counts>,
    pub(super) record: PhantomData<fn(T)>,
}

impl<T: TypedMessage> Publisher<T> {
    /// Returns a builder for the settings of a publisher.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Sends a record under a topic, which is text or other bytes. This waits only while the socket's task has many
    /// messages to handle, never for subscribers.
    ///
    /// # Errors
    ///
    /// The socket was [shut down](Self::shutdown) or has failed, the record is too large or the topic too long.
    pub async fn send(&self, topic: impl AsRef<[u8]>, message: &T) -> Result<(), SendError> {
        self.remote.publish(topic.as_ref(), message).await
    }
}

impl<T> Publisher<T> {
    /// Returns the endpoints in the builder's order; bound endpoints have their actual port.
    pub fn endpoints(&self) -> &[String] {
        &self.remote.endpoints
    }

    /// Waits until the socket has all messages whose [`send`](Self::send) has ended. A later subscriber does not get
    /// these messages, except for the last one of each topic if last values are [kept](Builder::last_value).
    ///
    /// # Errors
    ///
    /// The socket was [shut down](Self::shutdown), or has failed.
    pub async fn flush(&self) -> Result<(), SendError> {
        self.remote.flush().await
    }

    /// Returns the number of messages for which a subscriber's queue was full. Over the native transport these are all
    /// messages that at least one subscriber has lost. Over libzmq it is an indication only: from such a message on, libzmq
    /// skips the subscriber until the subscriber has read half of its queue, and does not report the skipped messages.
    pub fn overruns(&self) -> u64 {
        self.counts.overruns.load(Ordering::Relaxed)
    }

    /// Returns the number of messages that subscribers have lost because their queues were full. A message counts once for
    /// each subscriber that lost it. `None`: libzmq is the transport, which does not tell.
    pub fn lost(&self) -> Option<u64> {
        self.counts.lost.get().map(|lost| lost.load(Ordering::Relaxed))
    }

    /// Returns the number of last values that were dropped because there were more topics than
    /// [`last_value_topics`](Builder::last_value_topics).
    pub fn evicted(&self) -> u64 {
        self.counts.evicted.load(Ordering::Relaxed)
    }

    /// Sends the messages that were handed over, closes the socket for all handles, and waits until ZeroMQ has written
    /// its queued messages, for up to one second. Later messages are refused; a message that another handle sends
    /// meanwhile may be lost.
    pub async fn shutdown(&self) {
        self.remote.shutdown().await;
    }
}

impl<T> Clone for Publisher<T> {
    fn clone(&self) -> Self {
        let counts = Arc::clone(&self.counts);
        Publisher { remote: self.remote.clone(), counts, record: PhantomData }
    }
}

impl<T> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("endpoints", &self.remote)
            .field("overruns", &self.overruns())
            .finish_non_exhaustive()
    }
}
