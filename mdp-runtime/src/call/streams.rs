//! The streams of a call through a channel, as the channel sees them.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use mdp_protocol::Payload;
use mdp_protocol::wire::{Direction, Part};

use super::{Encoded, Request, TypedMessage, decode, encode};
use crate::stream::{Flow, SendCredit, Streaming};
use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::metadata::Metadata;
use mdp_call::status::Status;

/// A function that changes a passing message, or ends the stream with a status.
type Change = Box<dyn FnMut(Bytes) -> Result<Bytes, Status> + Send>;

/// The requests that a client sends in one call, in order: those which a [`Channel`](super::Channel) has to carry to the
/// service. The channel reads them one by one until the client ends its stream.
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
    pub async fn message<M: TypedMessage>(&mut self) -> Result<Option<M>, Status> {
        let bytes = self.bytes().await?;
        bytes.map(|bytes| decode(self.inner.method(), bytes)).transpose()
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

    /// The next request as it came.
    pub(crate) async fn unchanged(&mut self) -> Result<Option<Bytes>, Status> {
        self.begun = true;
        Ok(self.inner.message().await?.map(|Encoded(bytes)| bytes))
    }

    /// A request as the functions of [`map`](Self::map) change it.
    pub(crate) fn changed(&mut self, bytes: Bytes) -> Result<Bytes, Status> {
        self.changes.iter_mut().try_fold(bytes, |bytes, change| change(bytes))
    }
}

impl Requests {
    /// Whether requests are read or changed before the handler gets them.
    pub(crate) fn are_seen(&self) -> bool {
        self.begun || !self.changes.is_empty()
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
    credit: SendCredit,
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
    pub async fn send<M: TypedMessage>(&mut self, message: &M) -> Result<(), Status> {
        self.send_bytes(encode(message)).await
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
        let (credit, half) = (&mut self.credit, self.flow.half());
        let over = |_| Status::cancelled("the call is over");
        poll_fn(|cx| credit.poll_ready(half, cx)).await.map_err(over)?;
        // The bytes may be a part of a larger buffer.
        let body = Body::of_shared(bytes);
        self.credit.pay(body.size());
        self.opened = true;
        self.flow.send(Part::Item(body));
        Ok(())
    }
}

impl Replies {
    /// Whether replies are sent or changed apart from the handler's.
    pub(crate) fn are_seen(&self) -> bool {
        self.begun || !self.changes.is_empty()
    }

    pub(crate) fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(crate) fn into_flow(self) -> Arc<Flow> {
        self.flow
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replies")
    }
}

/// The channel's ends of a call's streams.
pub(crate) fn streams_of(request: &Request, flow: &Arc<Flow>) -> (Requests, Replies) {
    if !request.kind().streams(Direction::Requests) {
        flow.half().put(Part::End);
    }
    let inner = Streaming::of_requests(Arc::clone(flow), request.method);
    let requests = Requests { inner, changes: Vec::new(), begun: false };
    let (flow, credit) = (Arc::clone(flow), SendCredit::default());
    (requests, Replies { flow, credit, changes: Vec::new(), begun: false, opened: false })
}
