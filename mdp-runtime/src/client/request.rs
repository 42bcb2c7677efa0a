//! A call and its reply as channels and interceptors have them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::wire::CallKind;

use super::channel::{Replies, Requests};
use crate::codegen::{self, Idempotency, MethodSpec, Record};
use crate::compress::Compression;
use crate::extensions::Extensions;
#[cfg(feature = "tower")]
use crate::intercept::Next;
use crate::metadata::Metadata;
use crate::retry::Again;
use crate::status::Status;
use crate::worker::CallContext;

/// The streams of a call, until they are taken.
pub(crate) type Ends = Mutex<Option<(Requests, Replies)>>;

/// A call as a [`Channel`](super::Channel) gets it, and an [`Interceptor`](crate::Interceptor).
#[derive(Clone)]
pub struct Request {
    pub(crate) method: &'static MethodSpec,
    pub(crate) payload: Bytes,
    pub(crate) metadata: Metadata,
    pub(crate) extensions: Extensions,
    pub(crate) timeout: Duration,
    /// The time for a stream to begin.
    pub(crate) begin_within: Duration,
    pub(crate) idempotent: bool,
    /// It ends where no worker offers its service.
    pub(crate) no_wait: bool,
    pub(crate) worker: Arc<[u8]>,
    /// For a client below: a channel itself gets messages as they are.
    pub(crate) compression: Option<Compression>,
    /// Whether and how the call may be repeated.
    pub(crate) again: Again,
    /// The call at a worker.
    pub(crate) cx: Option<CallContext>,
    /// The streams of the call while it travels as one request, and is not begun.
    pub(crate) ends: Option<Arc<Ends>>,
    /// Where the innermost service of a layer calls on.
    #[cfg(feature = "tower")]
    pub(crate) onward: Option<Next>,
}

impl Request {
    pub(crate) fn new(method: &'static MethodSpec, payload: Bytes, worker: Arc<[u8]>) -> Self {
        Request {
            method,
            payload,
            metadata: Metadata::new(),
            extensions: Extensions::new(),
            timeout: Duration::ZERO,
            begin_within: Duration::MAX,
            idempotent: method.idempotency != Idempotency::Unknown,
            no_wait: false,
            worker,
            compression: None,
            again: Again::default(),
            cx: None,
            ends: None,
            #[cfg(feature = "tower")]
            onward: None,
        }
    }

    /// The method's path, `package.Service/Method`.
    pub fn method(&self) -> &'static str {
        self.method.path
    }

    /// The service's full name, `package.Service`.
    pub fn service(&self) -> &'static str {
        self.method.service
    }

    /// The method's name within its service.
    pub fn name(&self) -> &'static str {
        self.method.name
    }

    /// How many messages go which way.
    pub fn kind(&self) -> CallKind {
        self.method.kind
    }

    /// What the schema says about running the method more than once. Where a caller has said so for this call,
    /// [`is_idempotent`](Self::is_idempotent) knows.
    pub fn idempotency(&self) -> Idempotency {
        self.method.idempotency
    }

    /// The request; an empty message where requests stream.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT: the bytes are not such a message.
    pub fn message<M: Record>(&self) -> Result<M, Status> {
        codegen::decode(self.method, self.payload.clone())
    }

    /// The request as it is encoded.
    pub fn bytes(&self) -> &Bytes {
        &self.payload
    }

    /// Replaces the request. The other side reads it as the message that the method has.
    pub fn set_bytes(&mut self, bytes: impl Into<Bytes>) {
        self.payload = bytes.into();
    }

    /// What goes beside the request.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The request's metadata, mutable. [`Metadata::insert`] replaces all values of a key, [`Metadata::append`] adds one.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// What code of this process knows of the call, by type. It is not sent: at a client the interceptors further in see it,
    /// at a worker they and the handler do ([`CallContext::extensions`]).
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The same, to be changed.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// The time that the caller gives the call, counted from now on.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Gives the call another time, counted from when it is passed on. It never gets more than was left of the
    /// time that it had.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Whether the call may be run more than once, by its schema or its caller; at a worker, by its schema.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The only worker that the caller wants.
    pub fn worker(&self) -> Option<&[u8]> {
        (!self.worker.is_empty()).then_some(&*self.worker)
    }

    /// The call as its handler will see it, at a worker: who calls, which attempt it is, whether it is cancelled.
    /// `None` at a client.
    pub fn context(&self) -> Option<&CallContext> {
        self.cx.as_ref()
    }

    /// The same with the streams of the call in it.
    pub(crate) fn with_streams(mut self, requests: Requests, replies: Replies) -> Self {
        self.ends = Some(Arc::new(Mutex::new(Some((requests, replies)))));
        self
    }

    /// The streams that travel with the request.
    ///
    /// # Errors
    ///
    /// They have begun.
    pub(crate) fn take_streams(&mut self) -> Result<Option<(Requests, Replies)>, Status> {
        let Some(ends) = self.ends.take() else { return Ok(None) };
        let taken = ends.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.map(Some).ok_or_else(|| {
            let path = self.method();
            Status::failed_precondition(format!("{path} has streams, which cannot begin anew"))
        })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method.path)
            .field("bytes", &self.payload.len())
            .field("metadata", &self.metadata)
            .field("extensions", &self.extensions)
            .field("timeout", &self.timeout)
            .field("idempotent", &self.idempotent)
            .field("worker", &self.worker())
            .finish()
    }
}

/// The reply of a [`Channel`](super::Channel), and what an [`Interceptor`](crate::Interceptor) sees of any.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub(crate) payload: Bytes,
    pub(crate) metadata: Metadata,
    pub(crate) worker: Bytes,
    pub(crate) attempts: u8,
}

impl Reply {
    /// A reply with this message.
    pub fn new<M: Record>(message: &M) -> Self {
        Self::from_bytes(codegen::encode(message))
    }

    /// A reply whose message is encoded already.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let (payload, metadata) = (bytes.into(), Metadata::new());
        Reply { payload, metadata, worker: Bytes::new(), attempts: 1 }
    }

    /// Adds what goes beside the message. Values that the key has already stay.
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.metadata.append(key, value);
        self
    }

    /// Names the worker that is said to have answered; empty unless set.
    pub fn with_worker(mut self, id: impl Into<Bytes>) -> Self {
        self.worker = id.into();
        self
    }

    /// The message as it is encoded.
    pub fn bytes(&self) -> &Bytes {
        &self.payload
    }

    /// The message; an empty one at the end of a stream of replies.
    ///
    /// # Errors
    ///
    /// INTERNAL: the bytes are not such a message.
    pub fn message<M: Record>(&self) -> Result<M, Status> {
        M::decode_from(self.payload.clone())
            .map_err(|error| Status::internal(format!("the reply cannot be read: {error}")))
    }

    /// What goes beside the message.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Replaces the message.
    pub fn set_bytes(&mut self, bytes: impl Into<Bytes>) {
        self.payload = bytes.into();
    }

    /// The reply's metadata, mutable. [`Metadata::insert`] replaces all values of a key, [`Metadata::append`] adds one.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// How often the call was tried, see [`Response::attempts`](super::Response::attempts).
    pub fn attempts(&self) -> u8 {
        self.attempts
    }
}
