//! The reader's end of a stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use super::flow::{self, Flow, InboxEnd};
use crate::call::{MethodSpec, Reply, TypedMessage};
use crate::client::{self, Ending, at_client};
use mdp_call::body::Body;
use mdp_call::metadata::Metadata;
use mdp_call::status::Status;

/// The units of credit that are returned when there are no more items to take (wire.md R71).
const TELL_WHEN_EMPTY: u32 = 8;

/// The messages of a stream, in the order in which they were sent: replies at a client, requests at a worker.
///
/// Read the stream with [`message`](Self::message), or as a [`Stream`]. It ends with `None`, or with one status and
/// then `None`. A slow reader slows its sender down: at most a window of messages waits here, by default 4,096 messages
/// of up to 256 bytes ([`ClientBuilder::window`](crate::ClientBuilder::window)). Other calls are not delayed. When a
/// client drops the stream, the call is cancelled and its handler is stopped.
///
/// ```no_run
/// # use mdp_runtime::{Status, Streaming};
/// # async fn doc(mut events: Streaming<()>) -> Result<(), Status> {
/// // let mut events = auth.watch(WatchRequest::default()).await?;
/// while let Some(event) = events.message().await? {
///     // ...
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a client's stream cancels its call"]
pub struct Streaming<T> {
    flow: Arc<Flow>,
    method: &'static MethodSpec,
    items: VecDeque<Body>,
    /// Units taken for which no credit was returned yet.
    taken: u32,
    metadata: Metadata,
    /// The end of the call, once it was returned.
    end: Option<Reply>,
    state: State,
    item: PhantomData<fn() -> T>,
}

enum State {
    /// A client's stream whose call has not ended.
    Replies(Ending),
    /// A client's stream whose call has ended; the end is returned after all items are read.
    Ended(Result<Reply, Status>),
    /// A worker's stream.
    Requests,
    /// The stream has ended.
    Over,
}

// No field is ever pinned.
impl<T> Unpin for Streaming<T> {}

impl<T> Streaming<T> {
    pub(crate) fn of_replies(flow: Arc<Flow>, method: &'static MethodSpec, ending: Ending) -> Self {
        Streaming::new(flow, method, State::Replies(ending))
    }

    pub(crate) fn of_requests(flow: Arc<Flow>, method: &'static MethodSpec) -> Self {
        Streaming::new(flow, method, State::Requests)
    }

    fn new(flow: Arc<Flow>, method: &'static MethodSpec, state: State) -> Self {
        Streaming {
            flow,
            method,
            items: VecDeque::new(),
            taken: 0,
            metadata: Metadata::new(),
            end: None,
            state,
            item: PhantomData,
        }
    }

    /// Returns the metadata that the handler sent before its first message. It is available with that message or with
    /// the end, or when an awaited call returns the stream. Empty at a worker, where the
    /// [`CallContext`](crate::CallContext) has the caller's metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the metadata that the handler sent with the end, once the stream has ended successfully. A status has
    /// its own metadata.
    pub fn trailers(&self) -> Option<&Metadata> {
        self.end.as_ref().map(Reply::metadata)
    }

    pub(crate) fn method(&self) -> &'static MethodSpec {
        self.method
    }

    /// Waits for the call's end, regardless of unread messages.
    pub(crate) async fn end(mut self) -> Result<Reply, Status> {
        poll_fn(|cx| self.poll_end(cx)).await;
        match (std::mem::replace(&mut self.state, State::Over), self.end.take()) {
            (State::Ended(end), _) => end,
            (_, Some(reply)) => Ok(reply),
            _ => Err(Status::internal("the end of the call was taken")),
        }
    }

    /// Waits until the handler has opened the stream.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let end = self.poll_end(cx);
        match self.flow.half().poll_open(cx) {
            Poll::Ready(meta) => self.hear_open(meta)?,
            Poll::Pending if end.is_pending() => return Poll::Pending,
            Poll::Pending => {}
        }
        match std::mem::replace(&mut self.state, State::Over) {
            // If no message came before the end, the end is the answer.
            State::Ended(Err(status)) if !self.has_items(cx) => Poll::Ready(Err(status)),
            state => {
                self.state = state;
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Reads the metadata that precedes the replies. If it cannot be read, the call is cancelled.
    fn hear_open(&mut self, meta: Bytes) -> Result<(), Status> {
        match client::metadata(meta, false) {
            Ok(metadata) => {
                self.metadata = metadata;
                Ok(())
            }
            Err(status) => {
                self.state = State::Over;
                self.items.clear();
                Err(status.with_method(self.method.path))
            }
        }
    }

    fn has_items(&mut self, cx: &mut Context<'_>) -> bool {
        if self.items.is_empty() {
            let _ = self.flow.half().poll_items(cx, &mut self.items);
        }
        !self.items.is_empty()
    }

    /// Waits until the call has ended.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Replies(ending) = &mut self.state {
            let end =
                ready!(ending.poll(cx)).map_err(|status| status.with_method(self.method.path));
            self.state = State::Ended(end);
        }
        Poll::Ready(())
    }

    /// The next message, encoded.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Body, Status>>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                self.take(&item);
                return Poll::Ready(Some(Ok(item)));
            }
            // The call's end is checked first, then the items that came before it.
            let ended = self.poll_end(cx).is_ready();
            let polled = self.flow.half().poll_items(cx, &mut self.items);
            if let Some(meta) = self.flow.half().take_opened()
                && let Err(status) = self.hear_open(meta)
            {
                return Poll::Ready(Some(Err(status)));
            }
            match polled {
                Poll::Ready(None) => continue,
                Poll::Ready(Some(end)) if matches!(self.state, State::Requests) => {
                    self.state = State::Over;
                    return Poll::Ready(match end {
                        InboxEnd::Complete => None,
                        InboxEnd::Cut => Some(Err(cut())),
                    });
                }
                _ if !ended || matches!(self.state, State::Requests) => {
                    // The broker may allow less than the window, so half of the window may never be reached.
                    self.tell(TELL_WHEN_EMPTY);
                    return Poll::Pending;
                }
                _ => {}
            }
            return Poll::Ready(match std::mem::replace(&mut self.state, State::Over) {
                State::Ended(Ok(reply)) => {
                    self.end = Some(reply);
                    None
                }
                State::Ended(Err(status)) => Some(Err(status)),
                _ => None,
            });
        }
    }

    fn take(&mut self, item: &Body) {
        self.taken = self.taken.saturating_add(flow::cost(item));
        self.tell(self.flow.tell_after());
    }

    /// Returns credit once at least this many units were taken.
    fn tell(&mut self, least: u32) {
        if self.taken >= least {
            self.flow.taken(std::mem::take(&mut self.taken));
        }
    }
}

impl<T: TypedMessage> Streaming<T> {
    /// Returns the next message, or `None` when there are no more.
    ///
    /// # Errors
    ///
    /// The status with which the call failed. At a worker: CANCELLED if the call ends before its requests do. A message
    /// that cannot be read ends the stream, with INTERNAL at a client and INVALID_ARGUMENT at a worker. A compressed
    /// message ends the stream with RESOURCE_EXHAUSTED if it is too large, and with UNIMPLEMENTED if its codec is not
    /// built in.
    pub async fn message(&mut self) -> Result<Option<T>, Status> {
        poll_fn(|cx| self.poll_message(cx)).await.transpose()
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        if matches!(self.state, State::Over) && self.items.is_empty() {
            return Poll::Ready(None);
        }
        let Some(body) = ready!(self.poll_body(cx)) else { return Poll::Ready(None) };
        let at_worker = matches!(self.state, State::Requests);
        let max = self.flow.packing().max;
        let message = body.and_then(|body| {
            let path = self.method.path;
            let bytes = body.uncompressed(max).map_err(|status| match at_worker {
                true => status,
                false => at_client(status).with_method(path),
            })?;
            T::decode_from(bytes).map_err(|error| match at_worker {
                true => {
                    Status::invalid_argument(format!("a request of {path} cannot be read: {error}"))
                }
                false => Status::internal(format!("a reply of {path} cannot be read: {error}"))
                    .with_method(path),
            })
        });
        if message.is_err() {
            // At a client this cancels the call, if the call has not ended.
            self.state = State::Over;
            self.items.clear();
        }
        Poll::Ready(Some(message))
    }
}

impl<T: TypedMessage> Stream for Streaming<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(cx)
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("method", &self.method.path).finish_non_exhaustive()
    }
}

fn cut() -> Status {
    Status::cancelled("the call ended before its requests did")
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use mdp_protocol::Code;
    use mdp_protocol::wire::Part;

    use super::*;
    use crate::stream::joined;
    use mdp_protocol::wire::CallKind;

    static METHOD: MethodSpec = MethodSpec::new("test.v1.Test/Tell", CallKind::ServerStreaming);

    /// A client's stream that was opened with this metadata and has an item.
    fn opened(meta: &[u8]) -> Streaming<u64> {
        let (flow, _) = joined(10);
        flow.half().put(Part::Open(Body::with_payload("", Some(meta), Bytes::new())));
        flow.half().put(Part::Item(Body::of_shared(Bytes::new())));
        let ending = Ending::channel(Box::pin(pending()), None);
        Streaming::of_replies(Arc::new(flow), &METHOD, ending)
    }

    #[tokio::test]
    async fn a_stream_that_is_opened_with_metadata_that_cannot_be_read_is_given_up() {
        for meta in [&b"\x0a"[..], b"\x0a\x03\x0a\x01\xff", b"\x0a\x00"] {
            let is_bad = |status: &Status| {
                assert_eq!((status.code(), status.method()), (Code::Internal, Some(METHOD.path)));
            };
            let mut stream = opened(meta);
            is_bad(&poll_fn(|cx| stream.poll_open(cx)).await.unwrap_err());
            assert!(matches!(stream.state, State::Over));
            assert_eq!(stream.message().await, Ok(None));
            let mut stream = opened(meta);
            is_bad(&stream.message().await.unwrap_err());
            assert!(matches!(stream.state, State::Over));
            assert_eq!(stream.message().await, Ok(None));
        }
        let mut stream = opened(b"\x0a\x03\x0a\x01a");
        assert_eq!(stream.message().await, Ok(Some(0)));
        assert_eq!(stream.metadata().get_str("a"), Some(""));
    }
}
