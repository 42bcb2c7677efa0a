//! The publishing side of PUB and SUB.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::builder::Builder;
use super::driver::Counts;
use super::error::SendError;
use super::handle::Remote;
use crate::codegen::Record;

/// Sends records to all who have subscribed to their topic. Cloning is cheap and gives a handle on the same socket.
///
/// It never waits for a subscriber: what one has no room for passes it by, and it alone. A message for whom nobody has
/// subscribed goes nowhere, unless it is [kept](Builder::last_value) for those who come later. When the last handle is dropped,
/// the socket sends what it holds, for up to a second, and closes.
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

impl<T: Record> Publisher<T> {
    /// Settings for a publisher.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Sends a record under a topic, text or other bytes. It waits only while many messages have been handed over that the
    /// socket's task has not come to; never for subscribers.
    ///
    /// # Errors
    ///
    /// The socket was [shut down](Self::shutdown), the record is too large or the topic too long.
    pub async fn send(&self, topic: impl AsRef<[u8]>, message: &T) -> Result<(), SendError> {
        self.remote.publish(topic.as_ref(), message).await
    }
}

impl<T> Publisher<T> {
    /// The endpoints in the order of the builder's, each that is bound with the port that it took.
    pub fn endpoints(&self) -> &[String] {
        &self.remote.endpoints
    }

    /// Waits until the socket has all messages whose [`send`](Self::send) has ended. Who subscribes after that does not get
    /// them, but the last one of each topic, if these are [kept](Builder::last_value).
    ///
    /// # Errors
    ///
    /// The socket was [shut down](Self::shutdown).
    pub async fn flush(&self) -> Result<(), SendError> {
        self.remote.flush().await
    }

    /// How many messages found a subscriber whose queue had just become full. It is a sign, not a count of what was lost: from
    /// such a message on ZeroMQ passes that subscriber by until it has read half of its queue, and does not say how
    /// many messages that are.
    pub fn overruns(&self) -> u64 {
        self.counts.overruns.load(Ordering::Relaxed)
    }

    /// How many last values were given up because there were more topics than
    /// [`last_value_topics`](Builder::last_value_topics).
    pub fn evicted(&self) -> u64 {
        self.counts.evicted.load(Ordering::Relaxed)
    }

    /// Sends what was handed over, closes the socket for all handles, and waits until ZeroMQ has written what it holds, for
    /// up to a second. Messages sent afterwards are refused; one that another handle sends meanwhile may be lost.
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
