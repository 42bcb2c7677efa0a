//! The streams of a call through a channel, as the channel sees them.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use bytes::Bytes;
use mdp_protocol::Payload;
use mdp_protocol::wire::{Direction, Part};

use tokio::runtime::Handle;

use super::{CloseOnDrop, elsewhere};
use crate::client::{Ending, Reply, Request};
use crate::codegen::{self, Encoded, Record};
use crate::stream::{Flow, Purse, RequestSender, Streaming, joined};
use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::metadata::Metadata;
use mdp_call::status::Status;

/// A function that changes a passing message, or ends the stream with a status.
type Change = Box<dyn FnMut(Bytes) -> Result<Bytes, Status> + Send>;

/// The requests of a call, as a [`Channel`](super::Channel) receives them.
pub struct Requests {
    inner: Streaming<Encoded>,
    /// In the order from the caller to the handler.
    changes: Vec<Change>,
    /// Requests may have been read already.
    begun: bool,
}

impl Requests {
    /// Passes each request through a function before the handler gets it. The function may change the request. A status
    /// that the function returns ends the call.
    pub fn map<F>(mut self, change: F) -> Self
    where
        F: FnMut(Bytes) -> Result<Bytes, Status> + Send + 'static,
    {
        self.changes.push(Box::new(change));
        self
    }

    /// Returns the next request, or `None` when there are no more.
    ///
    /// # Errors
    ///
    /// CANCELLED: the caller dropped its sender before finishing. INVALID_ARGUMENT: the bytes are not a message of this
    /// type. Any status that a function of [`map`](Self::map) returns.
    pub async fn message<M: Record>(&mut self) -> Result<Option<M>, Status> {
        let bytes = self.bytes().await?;
        bytes.map(|bytes| codegen::decode(self.inner.method(), bytes)).transpose()
    }

    /// Returns the next request as encoded bytes, or `None` when there are no more.
    ///
    /// # Errors
    ///
    /// CANCELLED: the caller dropped its sender before finishing. Any status that a function of [`map`](Self::map)
    /// returns.
    pub async fn bytes(&mut self) -> Result<Option<Bytes>, Status> {
        match self.unchanged().await? {
            Some(bytes) => self.changed(bytes).map(Some),
            None => Ok(None),
        }
    }

    async fn unchanged(&mut self) -> Result<Option<Bytes>, Status> {
        self.begun = true;
        Ok(self.inner.message().await?.map(|Encoded(bytes)| bytes))
    }

    fn changed(&mut self, bytes: Bytes) -> Result<Bytes, Status> {
        self.changes.iter_mut().try_fold(bytes, |bytes, change| change(bytes))
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requests")
    }
}

/// The sender of a call's replies, for a [`Channel`](super::Channel) whose replies stream.
pub struct Replies {
    flow: Arc<Flow>,
    purse: Purse,
    /// In the order from the caller to the handler.
    changes: Vec<Change>,
    /// OPEN or a reply may have been sent already.
    begun: bool,
    opened: bool,
}

impl Replies {
    /// Passes each reply through a function before the caller gets it. The function may change the reply. A status that
    /// the function returns ends the call.
    pub fn map<F>(mut self, change: F) -> Self
    where
        F: FnMut(Bytes) -> Result<Bytes, Status> + Send + 'static,
    {
        self.changes.push(Box::new(change));
        self
    }

    /// Announces that replies will follow, and sends the metadata that precedes them. The first reply announces this
    /// too. Only the first announcement counts.
    ///
    /// # Errors
    ///
    /// INTERNAL: the metadata has a key that cannot be sent. Nothing is announced then.
    pub fn open(&mut self, metadata: &Metadata) -> Result<(), Status> {
        if self.opened {
            return Ok(());
        }
        let meta = codec::encode_metadata(metadata);
        let meta = meta.map_err(|bad| Status::internal(format!("before the replies: {bad}")))?;
        (self.opened, self.begun) = (true, true);
        self.flow.send(Part::Open(Body::with_payload("", meta.as_deref(), Bytes::new())));
        Ok(())
    }

    /// Sends a reply as soon as the caller has room for it.
    ///
    /// # Errors
    ///
    /// CANCELLED: the call is over. Any status that a function of [`map`](Self::map) returns.
    pub async fn send<M: Record>(&mut self, message: &M) -> Result<(), Status> {
        self.send_bytes(codegen::encode(message)).await
    }

    /// Sends a reply whose message is already encoded.
    ///
    /// # Errors
    ///
    /// CANCELLED: the call is over. Any status that a function of [`map`](Self::map) returns.
    pub async fn send_bytes(&mut self, mut bytes: Bytes) -> Result<(), Status> {
        self.begun = true;
        for change in self.changes.iter_mut().rev() {
            bytes = change(bytes)?;
        }
        let (purse, half) = (&mut self.purse, self.flow.half());
        let over = |_| Status::cancelled("the call is over");
        poll_fn(|cx| purse.poll_ready(half, cx)).await.map_err(over)?;
        // The bytes may be a part of a larger buffer.
        let body = Body::of_shared(bytes);
        self.purse.pay(body.size());
        self.opened = true;
        self.flow.send(Part::Item(body));
        Ok(())
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replies")
    }
}

/// The channel's ends of a call's streams.
pub(crate) fn ends(request: &Request, flow: &Arc<Flow>) -> (Requests, Replies) {
    if !request.kind().streams(Direction::Requests) {
        flow.half().put(Part::End);
    }
    let inner = Streaming::of_requests(Arc::clone(flow), request.method);
    let requests = Requests { inner, changes: Vec::new(), begun: false };
    let (flow, purse) = (Arc::clone(flow), Purse::default());
    (requests, Replies { flow, purse, changes: Vec::new(), begun: false, opened: false })
}

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
    let seen = |changes: &[Change], begun| begun || !changes.is_empty();
    if !seen(&requests.changes, requests.begun) && !seen(&replies.changes, replies.begun) {
        return handler(replies.flow).await;
    }
    let (ours, theirs) = joined(replies.flow.window());
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
