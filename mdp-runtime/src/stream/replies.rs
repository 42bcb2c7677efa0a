//! A worker's end of a stream of replies: the code that drives a handler's stream, and streams for handlers to return.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use mdp_protocol::wire::Part;
use tokio::sync::mpsc;

use super::flow::Flow;
use super::send_credit::SendCredit;
use crate::call::{CallContext, TypedMessage};
use crate::worker::handler;
use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::compress::{self, Compression};
use mdp_call::status::Status;

/// The number of items, or of their bytes, after which items go to the driver and other tasks may run.
const TURN: usize = 512;
const TURN_BYTES: usize = 64 * 1024;

/// Sends the items of a handler's stream, as far as the call's flow allows.
///
/// # Errors
///
/// The stream's own status. CANCELLED: the call ended before the stream. INTERNAL: a metadata key cannot be sent.
pub async fn send_replies<S, T>(cx: &CallContext, replies: S) -> Result<Bytes, Status>
where
    S: Stream<Item = Result<T, Status>>,
    T: TypedMessage,
{
    let flow = cx.flow().ok_or_else(no_stream)?;
    let meta = codec::encode_metadata(&cx.take_reply_metadata());
    let meta = meta.map_err(|bad| handler::bad_key(cx, &bad))?;
    flow.send(Part::Open(Body::with_payload("", meta.as_deref(), Bytes::new())));
    let mut pump =
        Pump { flow, credit: SendCredit::default(), batch: Batch::new(flow.packing().with) };
    let mut replies = pin!(replies);
    poll_fn(|cx| {
        let polled = pump.poll(replies.as_mut(), cx);
        pump.flush();
        polled
    })
    .await
}

struct Pump<'a> {
    flow: &'a Arc<Flow>,
    credit: SendCredit,
    batch: Batch,
}

impl Pump<'_> {
    fn poll<S, T>(
        &mut self,
        mut replies: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Status>>
    where
        S: Stream<Item = Result<T, Status>>,
        T: TypedMessage,
    {
        while !self.batch.is_full() {
            // The item comes first, then the credit for it: only polling the stream shows whether there are more items.
            if !self.batch.has_unpaid() {
                match ready!(replies.as_mut().poll_next(cx)) {
                    Some(Ok(item)) => self.batch.put(&item),
                    Some(Err(status)) => return Poll::Ready(Err(status)),
                    None => return Poll::Ready(Ok(Bytes::new())),
                }
            }
            if ready!(self.credit.poll_ready(self.flow.half(), cx)).is_err() {
                return Poll::Ready(Err(over()));
            }
            if let Some(size) = self.batch.pay() {
                self.credit.pay(size);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn flush(&mut self) {
        self.flow.send_all(self.batch.take());
    }
}

/// Items, encoded one after another: one allocation for each item would cost more than most items.
struct Batch {
    with: Option<Compression>,
    bytes: Vec<u8>,
    /// The end offsets of the items that are paid for, and whether each is compressed.
    ends: Vec<(usize, bool)>,
    /// The same for the item that waits for credit.
    unpaid: Option<(usize, bool)>,
    parts: Vec<Part<Body>>,
}

impl Batch {
    fn new(with: Option<Compression>) -> Self {
        let (bytes, ends, parts) = (Vec::new(), Vec::new(), Vec::new());
        Batch { with, bytes, ends, unpaid: None, parts }
    }

    /// The end offset of the last item that is paid for.
    fn paid(&self) -> usize {
        self.ends.last().map_or(0, |(end, _)| *end)
    }

    fn is_full(&self) -> bool {
        // An item that waits for credit does not count.
        self.ends.len() >= TURN || self.paid() >= TURN_BYTES
    }

    fn has_unpaid(&self) -> bool {
        self.unpaid.is_some()
    }

    fn put<T: TypedMessage>(&mut self, item: &T) {
        let start = self.paid();
        self.bytes.reserve(item.encoded_len());
        item.encode_to(&mut self.bytes);
        let packed = self.with.and_then(|_| {
            let uncompressed = self.bytes.get(start..).unwrap_or_default();
            compress::pack(self.with, uncompressed)
        });
        let compressed = packed.is_some();
        if let Some(packed) = packed {
            self.bytes.truncate(start);
            self.bytes.extend_from_slice(&packed);
        }
        self.unpaid = Some((self.bytes.len(), compressed));
    }

    /// Marks the waiting item as paid for, and returns its size.
    fn pay(&mut self) -> Option<usize> {
        let start = self.paid();
        let unpaid = self.unpaid.take()?;
        self.ends.push(unpaid);
        Some(unpaid.0 - start)
    }

    /// Takes the items that are paid for.
    fn take(&mut self) -> &mut Vec<Part<Body>> {
        if self.ends.is_empty() {
            return &mut self.parts;
        }
        let paid = self.paid();
        let waits = self.bytes.split_off(paid);
        let bytes = Bytes::from(std::mem::replace(&mut self.bytes, waits));
        self.unpaid = self.unpaid.map(|(end, compressed)| (end - paid, compressed));
        let mut start = 0;
        for (end, compressed) in self.ends.drain(..) {
            let item = Body::of_shared(bytes.slice(start..end)).compressed(compressed);
            self.parts.push(Part::Item(item));
            start = end;
        }
        &mut self.parts
    }
}

fn no_stream() -> Status {
    Status::internal("a call without a stream of replies was given one")
}

fn over() -> Status {
    Status::cancelled("the call is over before its replies are")
}

/// Makes a stream of replies for a handler to return, and a sender for it. The sender may move to a task, to a thread,
/// or into a list of subscribers.
///
/// At most `buffer` replies wait in the channel, at least one. [`ReplySender::send`] waits for room.
///
/// ```
/// use mdp_runtime::{Status, Stream, stream};
///
/// async fn count_down(from: u32) -> Result<impl Stream<Item = Result<u32, Status>>, Status> {
///     let (numbers, stream) = stream::channel(16);
///     tokio::spawn(async move {
///         for number in (0..from).rev() {
///             if numbers.send(number).await.is_err() {
///                 return; // nobody listens any more
///             }
///         }
///     });
///     Ok(stream)
/// }
/// ```
pub fn channel<T>(buffer: usize) -> (ReplySender<T>, ReplyStream<T>) {
    let (replies, stream) = mpsc::channel(buffer.max(1));
    (ReplySender { replies }, ReplyStream { replies: stream })
}

/// Sends replies into a [`ReplyStream`], from any task or thread. The stream ends successfully when all clones are
/// dropped, and with a status after [`fail`](Self::fail).
pub struct ReplySender<T> {
    replies: mpsc::Sender<Result<T, Status>>,
}

/// The error of sending a reply when the call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call is over: its replies are not needed any more")]
pub struct SendError;

impl<T> ReplySender<T> {
    /// Sends a reply as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// The call is over.
    pub async fn send(&self, reply: T) -> Result<(), SendError> {
        self.replies.send(Ok(reply)).await.map_err(|_| SendError)
    }

    /// Sends like [`send`](Self::send), blocking the thread. Must not be called in async code.
    ///
    /// # Errors
    ///
    /// The call is over.
    pub fn send_blocking(&self, reply: T) -> Result<(), SendError> {
        self.replies.blocking_send(Ok(reply)).map_err(|_| SendError)
    }

    /// Ends the call with a status, after the replies that were sent before. Waits for room, like [`send`](Self::send).
    /// Replies that clones send later are dropped. The code OK becomes INTERNAL.
    ///
    /// # Errors
    ///
    /// The call is over.
    pub async fn fail(self, status: Status) -> Result<(), SendError> {
        self.replies.send(Err(status)).await.map_err(|_| SendError)
    }

    /// Waits until the call is over.
    pub async fn closed(&self) {
        self.replies.closed().await;
    }

    /// Whether the call is over.
    pub fn is_closed(&self) -> bool {
        self.replies.is_closed()
    }
}

impl<T> Clone for ReplySender<T> {
    fn clone(&self) -> Self {
        ReplySender { replies: self.replies.clone() }
    }
}

impl<T> fmt::Debug for ReplySender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplySender").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// The stream of a [`ReplySender`]'s replies, for a handler to return. See [`channel`].
pub struct ReplyStream<T> {
    replies: mpsc::Receiver<Result<T, Status>>,
}

impl<T> Stream for ReplyStream<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.replies.poll_recv(cx)
    }
}

impl<T> fmt::Debug for ReplyStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyStream")
    }
}

/// Acknowledges now and answers later: makes a stream of two replies. The second reply is the result of a future.
///
/// ```
/// use mdp_runtime::{Status, Stream, stream};
///
/// async fn print(pages: u32) -> Result<impl Stream<Item = Result<String, Status>>, Status> {
///     Ok(stream::acknowledge("accepted".to_owned(), async move { Ok(format!("{pages} pages printed")) }))
/// }
/// ```
pub fn acknowledge<T, F>(first: T, answer: F) -> impl Stream<Item = Result<T, Status>> + Send
where
    T: Send,
    F: Future<Output = Result<T, Status>> + Send,
{
    Acknowledged { first: Some(first), answer: Some(Box::pin(answer)) }
}

struct Acknowledged<T, F> {
    first: Option<T>,
    answer: Option<Pin<Box<F>>>,
}

impl<T, F> Unpin for Acknowledged<T, F> {}

impl<T, F: Future<Output = Result<T, Status>>> Stream for Acknowledged<T, F> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(answer) = &mut self.answer else { return Poll::Ready(None) };
        let polled = answer.as_mut().poll(cx);
        if polled.is_ready() {
            self.answer = None;
        }
        polled.map(Some)
    }
}
