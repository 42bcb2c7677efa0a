//! A client's end of a stream of requests.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_core::Stream;
use mdp_protocol::Payload;
use mdp_protocol::wire::Part;

use super::flow::Flow;
use super::send_credit::SendCredit;
use crate::call::{MethodSpec, TypedMessage};
use mdp_call::body::Body;
use mdp_call::compress;
use mdp_call::status::Status;

/// Sends the requests of a call, one after another.
///
/// [`send`](Self::send) waits while the handler reads slowly, so that messages do not pile up. [`finish`](Self::finish)
/// ends the stream. Dropping the sender before that cancels the call, which then ends with CANCELLED, so a handler
/// never takes an incomplete stream for a complete one.
///
/// ```no_run
/// # use mdp_runtime::{RequestSender, Status};
/// # async fn doc(mut chunks: RequestSender<()>, reply: impl Future<Output = Result<(), Status>>) -> Result<(), Status> {
/// // let (mut chunks, reply) = files.upload().start();
/// for chunk in [(), ()] {
///     chunks.send(chunk).await?;
/// }
/// chunks.finish();
/// let summary = reply.await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping the sender cancels the call"]
pub struct RequestSender<T> {
    flow: Arc<Flow>,
    method: &'static MethodSpec,
    credit: SendCredit,
    finished: bool,
    item: PhantomData<fn(T)>,
}

impl<T> RequestSender<T> {
    pub(crate) fn new(flow: Arc<Flow>, method: &'static MethodSpec) -> Self {
        let credit = SendCredit::default();
        RequestSender { flow, method, credit, finished: false, item: PhantomData }
    }

    /// Ends the stream of requests.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.finished = true;
        self.flow.send(Part::End);
    }

    /// Whether the call is over, so that no more requests can be sent.
    pub fn is_closed(&self) -> bool {
        self.flow.half().is_over()
    }
}

impl<T: TypedMessage> RequestSender<T> {
    /// Sends a request as soon as the handler has room for it.
    ///
    /// # Errors
    ///
    /// CANCELLED: the call is over. The call's reply, or the end of the stream of replies, has the call's own status.
    pub async fn send(&mut self, message: impl Into<T>) -> Result<(), Status> {
        let message = message.into();
        let mut body = Body::new("", None, message.encoded_len(), |bytes| message.encode_to(bytes));
        let with = self.flow.packing().with;
        if let Some(packed) = with.and_then(|_| compress::pack(with, &body.payload())) {
            body = Body::with_payload("", None, packed).compressed(true);
        }
        let (credit, half) = (&mut self.credit, self.flow.half());
        poll_fn(|cx| credit.poll_ready(half, cx)).await.map_err(|_| over(self.method))?;
        self.credit.pay(body.size());
        self.flow.send(Part::Item(body));
        Ok(())
    }

    /// Sends all items of a stream. Does not [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send).
    pub async fn send_all(&mut self, messages: impl Stream<Item = T>) -> Result<(), Status> {
        let mut messages = std::pin::pin!(messages);
        while let Some(message) = poll_fn(|cx| messages.as_mut().poll_next(cx)).await {
            self.send(message).await?;
        }
        Ok(())
    }
}

impl<T> Drop for RequestSender<T> {
    fn drop(&mut self) {
        if !self.finished && !self.is_closed() {
            self.flow.abandon();
        }
    }
}

impl<T> fmt::Debug for RequestSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSender")
            .field("method", &self.method.path)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

fn over(method: &'static MethodSpec) -> Status {
    Status::cancelled(format!("the call of {} is over, so its requests go nowhere", method.path))
        .with_method(method.path)
}
