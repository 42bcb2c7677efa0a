//! The streams of a call through a channel, as the channel has them.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use mdp_protocol::Payload;
use mdp_protocol::wire::{Direction, Part};

use super::{Reply, Request};
use crate::body::Body;
use crate::client::Ending;
use crate::codec;
use crate::codegen::{self, Raw, Record};
use crate::metadata::Metadata;
use crate::status::Status;
use crate::stream::{Flow, Purse, RequestSender, Streaming};

/// The requests of a call, as a [`Channel`](super::Channel) gets them.
pub struct Requests {
    inner: Streaming<Raw>,
}

impl Requests {
    /// The next request; `None` when there are no more.
    ///
    /// # Errors
    ///
    /// CANCELLED: the caller has dropped its sender before it finished. INVALID_ARGUMENT: the bytes are not such a
    /// message.
    pub async fn message<M: Record>(&mut self) -> Result<Option<M>, Status> {
        let bytes = self.bytes().await?;
        bytes.map(|bytes| codegen::decode(self.inner.method(), bytes)).transpose()
    }

    /// The next request as it is encoded; `None` when there are no more.
    ///
    /// # Errors
    ///
    /// CANCELLED: the caller has dropped its sender before it finished.
    pub async fn bytes(&mut self) -> Result<Option<Bytes>, Status> {
        Ok(self.inner.message().await?.map(|Raw(bytes)| bytes))
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requests")
    }
}

/// Where a [`Channel`](super::Channel) sends the replies of a call whose replies stream.
pub struct Replies {
    flow: Arc<Flow>,
    purse: Purse,
}

impl Replies {
    /// Says that replies will come, and what goes before them; the first reply says so too.
    pub fn open(&mut self, metadata: &Metadata) {
        let meta = codec::encode_metadata(metadata);
        self.flow.send(Part::Open(Body::with_payload("", meta.as_deref(), Bytes::new())));
    }

    /// Sends a reply, as soon as the caller has room for it.
    ///
    /// # Errors
    ///
    /// CANCELLED: the call is over.
    pub async fn send<M: Record>(&mut self, message: &M) -> Result<(), Status> {
        self.send_bytes(codegen::encode(message)).await
    }

    /// Sends a reply whose message is encoded already.
    ///
    /// # Errors
    ///
    /// CANCELLED: the call is over.
    pub async fn send_bytes(&mut self, bytes: Bytes) -> Result<(), Status> {
        let (purse, half) = (&mut self.purse, self.flow.half());
        let over = |_| Status::cancelled("the call is over");
        poll_fn(|cx| purse.poll_ready(half, cx)).await.map_err(over)?;
        let body = Body::with_payload("", None, bytes);
        self.purse.pay(body.size());
        self.flow.send(Part::Item(body));
        Ok(())
    }

    /// What both are about.
    pub(crate) fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replies")
    }
}

/// A channel's ends of a call.
pub(super) fn ends(request: &Request, flow: &Arc<Flow>) -> (Requests, Replies) {
    if !request.kind().streams(Direction::Requests) {
        flow.half().put(Part::End);
    }
    let inner = Streaming::of_requests(Arc::clone(flow), request.method);
    (Requests { inner }, Replies { flow: Arc::clone(flow), purse: Purse::default() })
}

/// Passes on what comes at the ends of one call to another one, both ways.
pub(super) async fn pass_on(
    request: &Request,
    ending: Ending,
    flow: Arc<Flow>,
    mut requests: Requests,
    mut replies: Replies,
) -> Result<Reply, Status> {
    let kind = request.kind();
    let mut sender = RequestSender::<Raw>::new(Arc::clone(&flow), request.method);
    let sending = async move {
        if kind.streams(Direction::Requests) {
            while let Some(bytes) = requests.bytes().await? {
                sender.send(Raw(bytes)).await?;
            }
        }
        sender.finish();
        Ok::<(), Status>(())
    };
    let receiving = async move {
        let mut stream = Streaming::<Raw>::of_replies(flow, request.method, ending);
        poll_fn(|cx| stream.poll_open(cx)).await?;
        if kind.streams(Direction::Replies) {
            replies.open(stream.metadata());
            while let Some(Raw(bytes)) = stream.message().await? {
                replies.send_bytes(bytes).await?;
            }
        }
        stream.end().await
    };
    let mut sending = std::pin::pin!(sending);
    let mut receiving = std::pin::pin!(receiving);
    tokio::select! {
        reply = &mut receiving => return reply,
        // That the requests cannot be sent is because the call is over, which its end explains.
        sent = &mut sending => drop(sent),
    }
    receiving.await
}
