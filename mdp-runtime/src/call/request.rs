//! A call's request and reply as channels and interceptors see them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::wire::CallKind;

use super::{
    CallContext, Idempotency, MethodSpec, Replies, Requests, TypedMessage, decode, encode,
};
#[cfg(feature = "tower")]
use crate::intercept::Next;
use crate::retry::RetryOptions;
use mdp_call::compress::Compression;
use mdp_call::extensions::Extensions;
use mdp_call::metadata::Metadata;
use mdp_call::status::Status;

/// The streams of a call, until they are taken.
pub(crate) type Ends = Mutex<Option<(Requests, Replies)>>;

/// A call's request, as a [`Channel`](super::Channel) or an [`Interceptor`](crate::Interceptor) receives it.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: &'static MethodSpec,
    pub(crate) payload: Bytes,
    pub(crate) metadata: Metadata,
    pub(crate) extensions: Extensions,
    pub(crate) timeout: Duration,
    /// The time within which a stream must begin.
    pub(crate) begin_within: Duration,
    pub(crate) idempotent: bool,
    /// The call ends at once if no worker offers the service.
    pub(crate) no_wait: bool,
    pub(crate) worker: Arc<[u8]>,
    /// For an inner client: a channel itself receives messages uncompressed.
    pub(crate) compression: Option<Compression>,
    /// Whether and how the call may be repeated.
    pub(crate) retry_options: RetryOptions,
    /// The context of the call, at a worker.
    pub(crate) cx: Option<CallContext>,
    /// The streams of the call, while the call travels as one request and has not begun.
    pub(crate) ends: Option<Arc<Ends>>,
    /// The next step for the innermost service of a layer.
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
            retry_options: RetryOptions::default(),
            cx: None,
            ends: None,
            #[cfg(feature = "tower")]
            onward: None,
        }
    }

    /// Returns the method's path, `package.Service/Method`.
    pub fn method(&self) -> &'static str {
        self.method.path
    }

    /// Returns the service's full name, `package.Service`.
    pub fn service(&self) -> &'static str {
        self.method.service
    }

    /// Returns the method's name within its service.
    pub fn name(&self) -> &'static str {
        self.method.name
    }

    /// Returns the kind of the call: whether requests, replies or both stream.
    pub fn kind(&self) -> CallKind {
        self.method.kind
    }

    /// Returns the method's idempotency level from the schema. [`is_idempotent`](Self::is_idempotent) also includes the
    /// caller's own option.
    pub fn idempotency(&self) -> Idempotency {
        self.method.idempotency
    }

    /// Decodes the request. The message is empty if requests stream.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT: the bytes are not a message of this type.
    pub fn message<M: TypedMessage>(&self) -> Result<M, Status> {
        decode(self.method, self.payload.clone())
    }

    /// Returns the encoded request.
    pub fn bytes(&self) -> &Bytes {
        &self.payload
    }

    /// Replaces the request. The other side decodes the bytes as the method's request type.
    pub fn set_bytes(&mut self, bytes: impl Into<Bytes>) {
        self.payload = bytes.into();
    }

    /// Returns the metadata of the request.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the request's metadata, mutable. [`Metadata::insert`] replaces all values of a key, [`Metadata::append`]
    /// adds one.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Returns the values that code of this process has attached to the call, by type. They are not sent. At a client
    /// the inner interceptors see them; at a worker the inner interceptors and the handler
    /// ([`CallContext::extensions`]).
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Returns the same values, mutable.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// Returns the call's time limit, counted from now.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sets the call's time limit. The time begins when the interceptor passes the call on. A limit that is longer than
    /// the time left is cut to the time left.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Whether the call may be run more than once, by its schema or its caller's option; at a worker, by its schema
    /// only.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Returns the id of the only worker that may get the call, if the caller has set one.
    pub fn worker(&self) -> Option<&[u8]> {
        (!self.worker.is_empty()).then_some(&*self.worker)
    }

    /// Returns the call's context as the handler will see it: the caller, the attempt, the cancellation. `None` at a
    /// client.
    pub fn context(&self) -> Option<&CallContext> {
        self.cx.as_ref()
    }

    /// The same request with the call's streams.
    pub(crate) fn with_streams(mut self, requests: Requests, replies: Replies) -> Self {
        self.ends = Some(Arc::new(Mutex::new(Some((requests, replies)))));
        self
    }

    /// Takes the streams that travel with the request.
    ///
    /// # Errors
    ///
    /// The streams have begun already.
    pub(crate) fn take_streams(&mut self) -> Result<Option<(Requests, Replies)>, Status> {
        let Some(ends) = self.ends.take() else { return Ok(None) };
        let taken = ends.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.map(Some).ok_or_else(|| {
            let path = self.method();
            Status::failed_precondition(format!("{path} has streams, which cannot start again"))
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

/// The reply of a [`Channel`](super::Channel), and every reply that an [`Interceptor`](crate::Interceptor) sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub(crate) payload: Bytes,
    pub(crate) metadata: Metadata,
    pub(crate) worker: Bytes,
    pub(crate) attempts: u8,
}

impl Reply {
    /// Makes a reply with this message.
    pub fn new<M: TypedMessage>(message: &M) -> Self {
        Self::from_bytes(encode(message))
    }

    /// Makes a reply whose message is already encoded.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let (payload, metadata) = (bytes.into(), Metadata::new());
        Reply { payload, metadata, worker: Bytes::new(), attempts: 1 }
    }

    /// Adds metadata to the reply. Existing values of the key stay.
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.metadata.append(key, value);
        self
    }

    /// Sets the id of the worker that answered. Default: empty.
    pub fn with_worker(mut self, id: impl Into<Bytes>) -> Self {
        self.worker = id.into();
        self
    }

    /// Returns the encoded message.
    pub fn bytes(&self) -> &Bytes {
        &self.payload
    }

    /// Decodes the message. The message is empty at the end of a stream of replies.
    ///
    /// # Errors
    ///
    /// INTERNAL: the bytes are not a message of this type.
    pub fn message<M: TypedMessage>(&self) -> Result<M, Status> {
        M::decode_from(self.payload.clone())
            .map_err(|error| Status::internal(format!("the reply cannot be read: {error}")))
    }

    /// Returns the metadata of the reply.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Replaces the encoded message.
    pub fn set_bytes(&mut self, bytes: impl Into<Bytes>) {
        self.payload = bytes.into();
    }

    /// Returns the reply's metadata, mutable. [`Metadata::insert`] replaces all values of a key, [`Metadata::append`]
    /// adds one.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Returns the number of attempts; see [`Response::attempts`](crate::Response::attempts).
    pub fn attempts(&self) -> u8 {
        self.attempts
    }
}
