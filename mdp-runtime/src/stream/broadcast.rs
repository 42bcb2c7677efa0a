//! Broadcasts: events for all subscribers.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use mdp_call::status::Status;

/// The number of events that a subscription reads one after another before other tasks get a turn.
const IN_A_ROW: u8 = 128;

/// Sends events to all clients that have subscribed through a call whose replies stream. Cloning is cheap.
///
/// A slow subscriber loses only its own oldest events: each subscriber has room for `capacity` events. Lost events are
/// counted for each [`Subscription`] and [in total](Self::lost).
///
/// ```
/// # mod example {
/// use mdp_runtime::{Broadcaster, MdpRecord, Status, Stream, mdp_service};
///
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// pub struct Event {
///     #[mdp(1)]
///     pub text: String,
/// }
///
/// #[mdp_service(package = "news.v1")]
/// pub trait News {
///     async fn watch(&self) -> Result<impl Stream<Item = Result<Event, Status>>, Status>;
/// }
///
/// pub struct Desk {
///     pub events: Broadcaster<Event>,
/// }
///
/// impl News for Desk {
///     async fn watch(&self) -> Result<impl Stream<Item = Result<Event, Status>>, Status> {
///         Ok(self.events.subscribe())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # pub async fn run() -> Result<(), Status> {
/// let events = Broadcaster::new(64);
/// let news = NewsClient::in_memory(NewsWorker::new(Desk { events: events.clone() }));
/// let mut watch = news.watch().await?;
/// events.send(Event { text: "it works".into() });
/// assert_eq!(watch.message().await?.unwrap().text, "it works");
/// # Ok(())
/// # }
/// # }
/// # example::run().unwrap();
/// ```
pub struct Broadcaster<T> {
    events: broadcast::Sender<T>,
    lost: Arc<AtomicU64>,
}

impl<T: Clone + Send + 'static> Broadcaster<T> {
    /// Makes a broadcaster with room for this many events for each subscriber. The number is rounded up to a power of
    /// two; 0 counts as 1. A subscriber without room loses its oldest event.
    pub fn new(capacity: usize) -> Self {
        // tokio's channel panics with a larger capacity.
        let capacity = capacity.clamp(1, usize::MAX >> 1);
        Broadcaster { events: broadcast::Sender::new(capacity), lost: Arc::default() }
    }

    /// Sends an event. Returns the number of subscribers.
    pub fn send(&self, event: T) -> usize {
        // An error means that there are no subscribers.
        self.events.send(event).unwrap_or_default()
    }

    /// Subscribes to the events from now on. A handler returns the subscription.
    pub fn subscribe(&self) -> Subscription<T> {
        Subscription {
            events: Events::Here(self.events.subscribe()),
            lag: Lag::default(),
            lost: Arc::clone(&self.lost),
            strict: false,
            over: false,
            in_a_row: 0,
        }
    }

    /// Returns the number of subscribers.
    pub fn subscribers(&self) -> usize {
        self.events.receiver_count()
    }

    /// Returns the number of events that slow subscribers have lost, in total.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl<T> Clone for Broadcaster<T> {
    fn clone(&self) -> Self {
        Broadcaster { events: self.events.clone(), lost: Arc::clone(&self.lost) }
    }
}

impl<T> fmt::Debug for Broadcaster<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcaster")
            .field("subscribers", &self.events.receiver_count())
            .field("lost", &self.lost.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// The events of a [`Broadcaster`] for one client. The stream ends when all handles on the broadcaster are dropped.
pub struct Subscription<T> {
    events: Events<T>,
    lag: Lag,
    lost: Arc<AtomicU64>,
    strict: bool,
    over: bool,
    /// Events that were there without waiting, one after another.
    in_a_row: u8,
}

/// The number of events that a subscriber has lost, readable while the subscription is being sent. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Lag(Arc<AtomicU64>);

impl Lag {
    /// Returns the number of events lost so far.
    pub fn events(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<T> Subscription<T> {
    /// Returns the counter of events that this subscriber loses.
    pub fn lag(&self) -> Lag {
        self.lag.clone()
    }

    /// Ends the stream with DATA_LOSS after lost events, instead of continuing with the next available event.
    pub fn or_fail(mut self) -> Self {
        self.strict = true;
        self
    }
}

/// A receiver, or the future that waits for an event and gives it back.
enum Events<T> {
    Here(broadcast::Receiver<T>),
    Waits(Waiting<T>),
    Over,
}

type Waiting<T> =
    Pin<Box<dyn Future<Output = (Result<T, RecvError>, broadcast::Receiver<T>)> + Send + Sync>>;

impl<T: Clone + Send + 'static> Events<T> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        loop {
            match std::mem::replace(self, Events::Over) {
                Events::Here(mut receiver) => {
                    // Only a subscriber that has read all has to wait.
                    let event = match receiver.try_recv() {
                        Ok(event) => Ok(event),
                        Err(TryRecvError::Lagged(events)) => Err(RecvError::Lagged(events)),
                        Err(TryRecvError::Closed) => Err(RecvError::Closed),
                        Err(TryRecvError::Empty) => {
                            *self = Events::Waits(Box::pin(async move {
                                let event = receiver.recv().await;
                                (event, receiver)
                            }));
                            continue;
                        }
                    };
                    *self = Events::Here(receiver);
                    return Poll::Ready(event);
                }
                Events::Waits(mut waiting) => {
                    let Poll::Ready((event, receiver)) = waiting.as_mut().poll(cx) else {
                        *self = Events::Waits(waiting);
                        return Poll::Pending;
                    };
                    *self = Events::Here(receiver);
                    return Poll::Ready(event);
                }
                Events::Over => return Poll::Ready(Err(RecvError::Closed)),
            }
        }
    }
}

impl<T: Clone + Send + 'static> Stream for Subscription<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.over {
            this.in_a_row += 1;
            if this.in_a_row > IN_A_ROW {
                // The other tasks of this thread have their turn, however fast events are sent.
                this.in_a_row = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let event = this.events.poll_next(cx);
            if event.is_pending() {
                this.in_a_row = 0;
            }
            match ready!(event) {
                Ok(event) => return Poll::Ready(Some(Ok(event))),
                Err(RecvError::Lagged(events)) => {
                    this.lag.0.fetch_add(events, Ordering::Relaxed);
                    this.lost.fetch_add(events, Ordering::Relaxed);
                    if this.strict {
                        this.over = true;
                        let message =
                            format!("events were lost that were read too slowly: {events}");
                        return Poll::Ready(Some(Err(Status::data_loss(message))));
                    }
                }
                Err(RecvError::Closed) => this.over = true,
            }
        }
        Poll::Ready(None)
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("lag", &self.lag.events()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests
mod tests {
    use std::future::poll_fn;

    use super::*;
    use mdp_call::status::Code;

    async fn next(events: &mut Subscription<u32>) -> Option<Result<u32, Status>> {
        poll_fn(|cx| Pin::new(&mut *events).poll_next(cx)).await
    }

    #[tokio::test]
    async fn each_subscriber_gets_what_comes_after_it() {
        let events = Broadcaster::new(4);
        assert_eq!(events.send(1), 0);
        let mut first = events.subscribe();
        assert_eq!(events.send(2), 1);
        let mut second = events.subscribe();
        assert_eq!((events.send(3), events.subscribers()), (2, 2));
        assert_eq!(next(&mut first).await.unwrap().unwrap(), 2);
        assert_eq!(next(&mut first).await.unwrap().unwrap(), 3);
        assert_eq!(next(&mut second).await.unwrap().unwrap(), 3);
        drop(first);
        assert_eq!(events.subscribers(), 1);
        drop(events);
        assert!(next(&mut second).await.is_none());
        assert!(next(&mut second).await.is_none());
    }

    #[tokio::test]
    async fn who_reads_slowly_loses_the_oldest_and_nobody_else_does() {
        let events = Broadcaster::new(4);
        let (mut slow, mut quick) = (events.subscribe(), events.subscribe());
        let lag = slow.lag();
        for event in 0..10 {
            events.send(event);
            assert_eq!(next(&mut quick).await.unwrap().unwrap(), event);
        }
        assert_eq!(lag.events(), 0, "it has not looked yet");
        for event in 6..10 {
            assert_eq!(next(&mut slow).await.unwrap().unwrap(), event);
        }
        assert_eq!((lag.events(), quick.lag().events(), events.lost()), (6, 0, 6));
    }

    /// A reader that always finds an event lets the other tasks of its thread run.
    #[tokio::test]
    async fn a_fast_sender_keeps_no_other_task_waiting() {
        let events = Broadcaster::new(2);
        let mut fast = events.subscribe();
        let other = tokio::spawn(async {});
        let mut read = 0;
        while !other.is_finished() {
            events.send(read);
            assert_eq!(next(&mut fast).await.unwrap().unwrap(), read);
            read += 1;
            assert!(read < 1_000, "the other task has no turn");
        }
    }

    #[tokio::test]
    async fn who_must_not_lose_any_is_told() {
        let events = Broadcaster::new(2);
        let mut strict = events.subscribe().or_fail();
        events.send(1);
        assert_eq!(next(&mut strict).await.unwrap().unwrap(), 1);
        for event in 0..3 {
            assert_eq!(events.send(event), 1);
        }
        let status = next(&mut strict).await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::DataLoss);
        assert!(status.message().contains("too slowly: 1"), "{status}");
        assert!(next(&mut strict).await.is_none());
    }
}
