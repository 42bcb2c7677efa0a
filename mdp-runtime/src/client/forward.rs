//! A stream of requests that came from a caller, passed on to another call: for a client in place of an implementation.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::{BidiStreaming, Call, ClientStreaming};
use crate::call::TypedMessage;
use crate::stream::{RequestSender, Streaming};
use mdp_call::status::Status;

/// Sends all requests. If they end with an error, the call is cancelled.
async fn pass_on<Req: TypedMessage>(
    mut requests: Streaming<Req>,
    mut to: RequestSender<Req>,
) -> Result<(), Status> {
    while let Some(request) = requests.message().await? {
        if to.send(request).await.is_err() {
            // The call is over, and its end says why.
            return Ok(());
        }
    }
    to.finish();
    Ok(())
}

/// Makes the call with these requests, and returns the reply.
///
/// # Errors
///
/// The status with which the call or the stream of requests failed.
pub async fn forward<Req: TypedMessage, Rep: TypedMessage>(
    call: Call<Rep, ClientStreaming<Req>>,
    requests: Streaming<Req>,
) -> Result<Rep, Status> {
    let (sender, mut reply) = call.start();
    let mut sending = Some(Box::pin(pass_on(requests, sender)));
    poll_fn(move |cx| {
        if let Poll::Ready(Err(status)) = poll_once(&mut sending, cx) {
            return Poll::Ready(Err(status));
        }
        Pin::new(&mut reply).poll(cx)
    })
    .await
}

/// Makes the call with these requests, and returns the replies. The requests are passed on while the replies are read.
///
/// # Errors
///
/// The status with which the call or the stream of requests failed before the replies began.
pub async fn forward_both<Req: TypedMessage + Send + 'static, Rep: TypedMessage + Send>(
    call: Call<Rep, BidiStreaming<Req>>,
    requests: Streaming<Req>,
) -> Result<impl Stream<Item = Result<Rep, Status>> + Send, Status> {
    let (sender, replies) = call.start();
    let sending: Sending = Box::pin(pass_on(requests, sender));
    let mut both = Both { sending: Some(sending), replies };
    poll_fn(|cx| {
        if let Poll::Ready(Err(status)) = poll_once(&mut both.sending, cx) {
            return Poll::Ready(Err(status));
        }
        both.replies.poll_open(cx)
    })
    .await?;
    Ok(both)
}

type Sending = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// The replies of a call whose requests are still being passed on.
struct Both<Rep> {
    sending: Option<Sending>,
    replies: Streaming<Rep>,
}

impl<Rep: TypedMessage> Stream for Both<Rep> {
    type Item = Result<Rep, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(Err(status)) = poll_once(&mut self.sending, cx) {
            return Poll::Ready(Some(Err(status)));
        }
        Pin::new(&mut self.replies).poll_next(cx)
    }
}

/// Polls a future that is left out once it has ended.
fn poll_once<F: Future<Output = Result<(), Status>> + Unpin>(
    future: &mut Option<F>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Status>> {
    let Some(running) = future else { return Poll::Pending };
    let end = std::task::ready!(Pin::new(running).poll(cx));
    *future = None;
    Poll::Ready(end)
}
