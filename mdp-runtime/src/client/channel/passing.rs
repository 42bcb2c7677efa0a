//! The streams of a call through a channel, passed on message by message.

use std::future::{Future, poll_fn};
use std::sync::Arc;

use mdp_protocol::wire::Direction;
use tokio::runtime::Handle;

use super::{CloseOnDrop, elsewhere};
use crate::call::{Encoded, Replies, Reply, Request, Requests};
use crate::client::Ending;
use crate::stream::{Flow, RequestSender, Streaming, joined};
use mdp_call::status::Status;

/// Runs a handler on these ends of a call: directly on the flow behind them, or, if an interceptor reads or changes
/// messages, on a separate flow that is forwarded.
pub(crate) async fn handled<H, F>(
    request: &Request,
    requests: Requests,
    replies: Replies,
    handler: H,
) -> Result<Reply, Status>
where
    H: FnOnce(Arc<Flow>) -> F,
    F: Future<Output = Result<Reply, Status>> + Send + 'static,
{
    if !requests.are_seen() && !replies.are_seen() {
        return handler(replies.into_flow()).await;
    }
    let (ours, theirs) = joined(replies.flow().window());
    let (ours, theirs) = (Arc::new(ours), Arc::new(theirs));
    let close = (CloseOnDrop(Arc::clone(&ours)), CloseOnDrop(Arc::clone(&theirs)));
    let work = handler(theirs);
    // The handler continues while one of its messages waits to be forwarded.
    let answering = elsewhere(Handle::try_current().ok().as_ref(), async move {
        let _close = close;
        work.await
    });
    let ending = Ending::channel(answering, Some(Arc::clone(&ours)));
    pass_on(request, ending, ours, requests, replies).await
}

/// Forwards the messages between the ends of two calls, in both directions.
pub(super) async fn pass_on(
    request: &Request,
    ending: Ending,
    flow: Arc<Flow>,
    mut requests: Requests,
    mut replies: Replies,
) -> Result<Reply, Status> {
    let kind = request.kind();
    // A call without a stream of requests has no end of that stream.
    let sender = kind
        .streams(Direction::Requests)
        .then(|| RequestSender::<Encoded>::new(Arc::clone(&flow), request.method));
    // If requests cannot be sent, the call is over, and the call's end explains why.
    let over = |_| None;
    let sending = async move {
        let Some(mut sender) = sender else { return Ok(()) };
        while let Some(bytes) = requests.unchanged().await.map_err(over)? {
            let bytes = requests.changed(bytes).map_err(Some)?;
            sender.send(Encoded(bytes)).await.map_err(over)?;
        }
        sender.finish();
        Ok::<(), Option<Status>>(())
    };
    let receiving = async move {
        let mut stream = Streaming::<Encoded>::of_replies(flow, request.method, ending);
        // Both ends belong to one call; the method is added where the caller gets the status.
        let unnamed = Status::without_method;
        poll_fn(|cx| stream.poll_open(cx)).await.map_err(unnamed)?;
        if kind.streams(Direction::Replies) {
            replies.open(stream.metadata())?;
            while let Some(Encoded(bytes)) = stream.message().await.map_err(unnamed)? {
                replies.send_bytes(bytes).await?;
            }
        }
        stream.end().await.map_err(unnamed)
    };
    let mut sending = std::pin::pin!(sending);
    let mut receiving = std::pin::pin!(receiving);
    tokio::select! {
        reply = &mut receiving => return reply,
        sent = &mut sending => if let Err(Some(status)) = sent {
            return Err(status);
        },
    }
    receiving.await
}
