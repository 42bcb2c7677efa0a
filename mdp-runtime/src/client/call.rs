//! A call: the request, the call's options, and the future of the reply. The future waits for the call's [`Ending`],
//! and makes a reply or a status of it.

use std::fmt;
use std::future::{Future, IntoFuture, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{self, Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_protocol::Reason;
use mdp_protocol::client::{self as core, Outcome};
use mdp_protocol::wire::Marks;

use super::channel::Joined;
use super::driver::{ResultReceiver, ResultSender};
use super::kinds::{self, Unary};
use super::reply::CallReply;
use super::{Client, ClientCommand, Destination};
use crate::blocking;
use crate::call::{
    Answering, CallContext, Idempotency, MethodSpec, Reply, Request, TypedMessage, current, refused,
};
use crate::retry::{Choice, HedgePolicy, RetryOptions, RetryPolicy};
use crate::stream::Flow;
use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::compress::{self, Compression, Packing};
use mdp_call::extensions::Extensions;
use mdp_call::metadata::{BadKey, Metadata};
use mdp_call::status::{Code, Status};
use mdp_transport::clock;

/// The empty worker id, shared: an empty `Arc` for each call would be an allocation for each call.
static ANY_WORKER: LazyLock<Arc<[u8]>> = LazyLock::new(|| Arc::from([]));

/// How long after a call's deadline a blocked thread stops waiting for the client.
const WAIT_GRACE: Duration = Duration::from_secs(1);

/// A call that is not sent yet. Add options, then `.await` the call for the reply, or [`send`](Call::send) it for the
/// reply with its metadata. Nothing is sent before that. Dropping the future cancels the call and stops the handler.
/// Code that is not async uses [`wait`](Call::wait).
///
/// ```no_run
/// # use mdp_runtime::{Call, Client, Status};
/// # struct AuthClient; struct Login; struct Session;
/// # async fn doc(call: impl Fn() -> Call<()>) -> Result<(), Status> {
/// use std::time::Duration;
/// // let reply = auth.login(req).timeout(Duration::from_millis(300)).metadata("tenant", "acme").await?;
/// let reply = call().timeout(Duration::from_millis(300)).metadata("tenant", "acme").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a call does nothing until it is awaited: write `.await`, or `.wait()` in code that is not async"]
pub struct Call<Rep, K = Unary> {
    client: Client,
    method: &'static MethodSpec,
    body: Body,
    metadata: Metadata,
    extensions: Extensions,
    timeout: Duration,
    /// The time within which a stream must begin.
    begin_within: Duration,
    idempotent: bool,
    /// The call ends at once if no worker offers the service.
    no_wait: bool,
    worker: Arc<[u8]>,
    compression: Option<Compression>,
    /// The call ends with the handler's own call, if a handler makes the call.
    inherits: bool,
    /// The caller's options for retries and hedging, if any.
    retry_options: Option<Box<RetryOptions>>,
    kind: PhantomData<fn() -> (Rep, K)>,
}

impl<Rep, K> Call<Rep, K> {
    pub(super) fn with_request<Req: TypedMessage>(
        client: &Client,
        method: &'static MethodSpec,
        request: &Req,
    ) -> Self {
        let len = request.encoded_len();
        let body = Body::new(method.path, None, len, |bytes| request.encode_to(bytes));
        Call {
            retry_options: RetryOptions::of_method(method),
            ..Call::with_body(client, method, body)
        }
    }

    pub(super) fn with_body(client: &Client, method: &'static MethodSpec, body: Body) -> Self {
        let own = method.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let timeouts = client.timeouts();
        let default = if method.kind.is_stream() { timeouts.stream } else { timeouts.unary };
        Call {
            client: client.clone(),
            method,
            body,
            metadata: Metadata::new(),
            extensions: Extensions::new(),
            timeout: own.unwrap_or(default),
            begin_within: own.unwrap_or(timeouts.unary),
            idempotent: method.idempotency != Idempotency::Unknown,
            no_wait: timeouts.no_wait,
            worker: Arc::clone(&ANY_WORKER),
            compression: client.compression(),
            inherits: true,
            retry_options: None,
            kind: PhantomData,
        }
    }

    pub(super) fn method(&self) -> &'static MethodSpec {
        self.method
    }

    /// Sets the time until the call's deadline, counted from when the call is awaited or sent. The time is rounded up
    /// to whole milliseconds. A call that a handler makes ends at the latest with the handler's own call; see
    /// [`detached`](Self::detached). A worker must begin a call with a stream within this time too.
    ///
    /// Default: the method's own `timeout_ms`; without one, the client's [`timeout`](super::ClientBuilder::timeout), or
    /// [`stream_timeout`](super::ClientBuilder::stream_timeout) for a call with a stream. With these client defaults, a
    /// worker must begin a call with a stream within the client's `timeout`.
    ///
    /// A call that still waits for a worker shortly before its deadline (an eighth of its time, at most 250 ms) ends
    /// then, as not started: with UNAVAILABLE and the reason `NO_SERVICE` if no worker offers the service, otherwise
    /// with DEADLINE_EXCEEDED. A call with a time of zero is not sent: it ends at once with DEADLINE_EXCEEDED, as not
    /// started.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.begin_within = timeout;
        self
    }

    /// Sets the call's deadline as a point in time.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.timeout(deadline.saturating_duration_since(Instant::now()))
    }

    /// Adds metadata, which the handler reads from its `CallContext`. Existing values of the key stay. If [`Metadata`]
    /// cannot send the key, the call ends with INVALID_ARGUMENT and is not started.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.metadata.append(key, value);
        self
    }

    /// Puts a value into the call's [`Extensions`], for the client's interceptors. The value is not sent.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// Marks this call as safe to run more than once, regardless of the method's `idempotency_level`: the call is sent
    /// again if a worker or a connection is lost during it.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Ends the call at once if no worker offers the service, with UNAVAILABLE and the reason `NO_SERVICE`, not
    /// started. The call still waits while all workers are busy, and for a connection to a broker. A broker of an
    /// earlier version ignores this option and waits. Default: the client's setting
    /// ([`ClientBuilder::no_wait`](super::ClientBuilder::no_wait)).
    ///
    /// ```no_run
    /// # use mdp_runtime::{Call, Status};
    /// # async fn doc(call: impl Fn() -> Call<()>) {
    /// // if let Err(status) = auth.login(req).no_wait().await {
    /// if let Err(status) = call().no_wait().await {
    ///     if status.reason().as_deref() == Some("NO_SERVICE") { /* use something else */ }
    /// }
    /// # }
    /// ```
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    /// Compresses the request, and asks the worker for compressed replies. Default: the client's setting.
    pub fn compress(mut self, with: Compression) -> Self {
        self.compression = Some(with);
        self
    }

    /// Turns compression off for this call, regardless of the client's setting.
    pub fn uncompressed(mut self) -> Self {
        self.compression = None;
        self
    }

    /// Sends the call to the worker with this id only. The call waits while that worker is busy. It ends with
    /// UNAVAILABLE if no worker with this id offers the service.
    pub fn to_worker(mut self, id: impl AsRef<[u8]>) -> Self {
        self.worker = Arc::from(id.as_ref());
        self
    }

    /// Limits the call's deadline to the deadline of this context. Calls that a handler makes directly have that limit
    /// already; use this for calls from tasks that the handler has started.
    pub fn within(self, cx: &CallContext) -> Self {
        let left = cx.time_left();
        Call { timeout: self.timeout.min(left), ..self }
    }

    /// Detaches this call from the handler's own call: it continues even if that call ends first. Its own timeout still
    /// applies.
    pub fn detached(mut self) -> Self {
        self.inherits = false;
        self
    }

    /// The moment until which a blocked thread waits for the call.
    pub(super) fn patience(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout.saturating_add(WAIT_GRACE))
    }

    /// The moment until which a blocked thread waits for a stream to begin.
    pub(super) fn patience_to_begin(&self) -> Option<Instant> {
        let within = self.begin_within.min(self.timeout);
        Instant::now().checked_add(within.saturating_add(WAIT_GRACE))
    }
}

// Without a bound: a reply that is none is reported where the user named it, and not here as well.
impl<Rep> Call<Rep> {
    /// Makes a call of a method and encodes the request.
    #[doc(hidden)]
    pub fn new<Req: TypedMessage>(
        client: &Client,
        method: &'static MethodSpec,
        request: &Req,
    ) -> Self {
        Call::with_request(client, method, request)
    }
}

impl<Rep: CallReply> Call<Rep> {
    /// Sets the retry policy of this call, in place of the client's. The calls that use clones of one policy share its
    /// [budget](RetryPolicy::budget). If the policy has none, the call uses the budget that each client has. A call that
    /// cannot be retried safely ends with its first failure.
    pub fn retry(mut self, policy: &RetryPolicy) -> Self {
        self.retry_options.get_or_insert_default().retry = Choice::Set(Arc::new(policy.clone()));
        self
    }

    /// Turns retries off for this call, regardless of the client's policy.
    pub fn no_retry(mut self) -> Self {
        self.retry_options.get_or_insert_default().retry = Choice::Off;
        self
    }

    /// Sets the hedging policy of this call, in place of the client's: the call is sent a second time when the first
    /// attempt is slow. A call of a method that may have side effects is not sent and ends with FAILED_PRECONDITION.
    pub fn hedge(mut self, policy: &HedgePolicy) -> Self {
        self.retry_options.get_or_insert_default().hedge = Choice::Set(Arc::new(policy.clone()));
        self
    }

    /// Turns hedging off for this call, regardless of the client's policy.
    pub fn no_hedge(mut self) -> Self {
        self.retry_options.get_or_insert_default().hedge = Choice::Off;
        self
    }

    /// Turns the call into a request, for a [`Channel`](super::Channel) or a tower service. Nothing is sent yet.
    pub fn into_request(self) -> Request {
        self.request()
    }

    /// Returns a future that sends the call when it is awaited, and gives a [`Response`]: the reply with its metadata, the
    /// worker and the number of attempts. Awaiting the call itself gives only the reply. Dropping the future cancels the
    /// call.
    ///
    /// # Errors
    ///
    /// The future gives the [`Status`] with which the call failed.
    pub fn send(self) -> SendFuture<Rep> {
        SendFuture { state: State::Unsent(Some(self)) }
    }

    /// Sends the call and blocks this thread until the call ends: for code that is not async. Any number of threads may
    /// wait at once, with a client of either kind.
    ///
    /// ```no_run
    /// # use mdp_runtime::{Call, Status};
    /// # fn doc(call: impl Fn() -> Call<()>) -> Result<(), Status> {
    /// // let reply = auth.login(req).metadata("tenant", "acme").wait()?;
    /// let reply = call().metadata("tenant", "acme").wait()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of `.await`. FAILED_PRECONDITION within async code, whose thread the wait would block; nothing is
    /// sent then. A blocking handler may wait, and so may code within tokio's `spawn_blocking`. DEADLINE_EXCEEDED one
    /// second after the deadline if the client's tokio runtime does not run and so cannot end the call.
    pub fn wait(self) -> Result<Rep::Value, Status> {
        self.wait_response().map(Response::into_message)
    }

    /// Sends the call and blocks like [`wait`](Self::wait). Returns the reply with its metadata.
    ///
    /// # Errors
    ///
    /// The errors of [`wait`](Self::wait).
    pub fn wait_response(self) -> Result<Response<Rep::Value>, Status> {
        let method = self.method;
        blocking::check(method.path)?;
        let until = self.patience();
        blocking::block_on(self.send(), until)
            .unwrap_or_else(|| Err(blocking::no_client(method.path)))
    }
}

impl<Rep, K> Call<Rep, K> {
    /// Starts the call. Returns the call's end, and the call's streams if it has any.
    pub(super) fn make(mut self) -> (Ending, Option<Arc<Flow>>) {
        let inherited = if self.inherits { current::deadline() } else { None };
        if let Some(deadline) = inherited {
            let left = deadline.saturating_duration_since(Instant::now());
            self.timeout = self.timeout.min(left);
        }
        let method = self.method;
        // The caller's metadata is checked before any interceptor runs.
        if let Err(bad) = self.metadata.check() {
            return of_bad_key(method, &bad);
        }
        let link = match &self.client.destination {
            Destination::Broker(link) if !self.asks() => link,
            Destination::Channel(joined) if !self.asks() || joined.below().is_some() => {
                let joined = Arc::clone(joined);
                return joined.start(self.request());
            }
            _ => {
                let joined = Joined::intercepted(&self.client, Arc::from([]));
                return Arc::new(joined).start(self.request());
            }
        };
        let packing = Packing { with: self.compression, ..link.packing };
        let packed = packing.with.and_then(|_| compress::pack(packing.with, &self.body.payload()));
        let marks = Marks {
            accept: packing.with.map_or(0, |with| with.number().into()),
            // The client itself asks several brokers, and none of them is to keep the call meanwhile.
            no_wait: self.no_wait || link.many,
            wait_ms: self.longest_wait().map_or(0, |wait| clock::span(wait).as_wire_ms()),
        };
        let meta = match codec::encode_request_metadata(&self.metadata, marks) {
            Ok(meta) => meta,
            Err(bad) => return of_bad_key(method, &bad),
        };
        if packed.is_some() || meta.is_some() {
            let compressed = packed.is_some();
            let payload = packed.unwrap_or_else(|| self.body.payload());
            let body = Body::with_payload(method.path, meta.as_deref(), payload);
            self.body = body.compressed(compressed);
        }
        let new_flow = || Arc::new(Flow::new(kinds::carrier(link), link.window, packing));
        let flow = method.kind.is_stream().then(new_flow);
        let (token, waiting) = ResultSender::new(Arc::clone(link), flow.clone());
        let call = core::Call {
            token,
            timeout: clock::span(self.timeout),
            begin_within: clock::span(self.begin_within),
            idempotent: self.idempotent,
            worker: self.worker,
            kind: method.kind,
            body: self.body,
        };
        // The channel to a closed client drops the token, which ends the call.
        drop(link.command(ClientCommand::Call { call, no_wait: self.no_wait }));
        (Ending::broker(waiting, flow.clone(), packing.max), flow)
    }

    /// How long the broker may let the call wait for a worker, if that is less than the call's time.
    fn longest_wait(&self) -> Option<Duration> {
        let begins = self.method.kind.is_stream() && self.begin_within < self.timeout;
        begins.then_some(self.begin_within)
    }

    /// Whether the call has its own options for retries or hedging.
    fn asks(&self) -> bool {
        self.retry_options.as_ref().is_some_and(|options| options.asks())
    }

    fn request(self) -> Request {
        let mut request = Request::new(self.method, self.body.payload(), self.worker);
        request.metadata = self.metadata;
        request.extensions = self.extensions;
        request.timeout = self.timeout;
        request.begin_within = self.begin_within;
        request.idempotent = self.idempotent;
        request.no_wait = self.no_wait;
        request.compression = self.compression;
        request.retry_options = self.retry_options.map(|options| *options).unwrap_or_default();
        request
    }

    /// The call that came through a channel as this request.
    pub(super) fn of_request(client: &Client, request: Request) -> Self {
        let body = Body::with_payload(request.method.path, None, request.payload);
        // A request from the client's own interceptors has its compression already set.
        let said = request.retry_options.tries.is_some();
        let own = if said { None } else { client.compression() };
        Call {
            metadata: request.metadata,
            extensions: request.extensions,
            timeout: request.timeout,
            begin_within: request.begin_within.min(request.timeout),
            idempotent: request.idempotent,
            no_wait: request.no_wait,
            worker: request.worker,
            compression: request.compression.or(own),
            retry_options: request.retry_options.asks().then(|| Box::new(request.retry_options)),
            // The call that the request came from has done this already.
            inherits: false,
            ..Call::with_body(client, request.method, body)
        }
    }
}

impl<Rep: CallReply> IntoFuture for Call<Rep> {
    type Output = Result<Rep::Value, Status>;
    type IntoFuture = CallFuture<Rep>;

    fn into_future(self) -> CallFuture<Rep> {
        CallFuture { inner: self.send() }
    }
}

impl<Rep, K> fmt::Debug for Call<Rep, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method.path)
            .field("timeout", &self.timeout)
            .field("idempotent", &self.idempotent)
            .finish_non_exhaustive()
    }
}

/// A reply with its metadata, the id of the worker, and the number of attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Response<T> {
    message: T,
    metadata: Metadata,
    worker: Bytes,
    attempts: u8,
}

impl<T> Response<T> {
    /// Returns the reply.
    pub fn message(&self) -> &T {
        &self.message
    }

    /// Returns the reply by value.
    pub fn into_message(self) -> T {
        self.message
    }

    /// Returns the metadata that the handler sent with the reply.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the id of the worker that answered, for [`Call::to_worker`].
    pub fn worker(&self) -> &[u8] {
        &self.worker
    }

    /// Returns the number of attempts that this answer took. 1: the first worker answered. The count grows by one when the
    /// broker gives the call to another worker, and when a [`RetryPolicy`] or a [`HedgePolicy`] starts a new attempt.
    pub fn attempts(&self) -> u8 {
        self.attempts
    }
}

/// The future of a call's reply with its metadata, from [`Call::send`].
#[must_use = "futures do nothing unless polled"]
pub struct SendFuture<Rep> {
    state: State<Rep>,
}

enum State<Rep> {
    Unsent(Option<Call<Rep>>),
    Sent(Ending, &'static MethodSpec),
}

// No field is ever pinned: the waiting end and all other fields are `Unpin`.
impl<Rep> Unpin for SendFuture<Rep> {}

impl<Rep> SendFuture<Rep> {
    pub(super) fn sent(ending: Ending, method: &'static MethodSpec) -> Self {
        SendFuture { state: State::Sent(ending, method) }
    }
}

impl<Rep: CallReply> Future for SendFuture<Rep> {
    type Output = Result<Response<Rep::Value>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Unsent(call) = &mut self.state {
            let Some(call) = call.take() else {
                return Poll::Ready(Err(Status::internal(
                    "the call was polled after its start failed",
                )));
            };
            let method = call.method;
            self.state = State::Sent(call.make().0, method);
        }
        let State::Sent(ending, method) = &mut self.state else { return Poll::Pending };
        let response = task::ready!(ending.poll(cx));
        let response = response.and_then(|reply| decoded::<Rep>(method, reply));
        Poll::Ready(response.map_err(|status| status.with_method(method.path)))
    }
}

impl<Rep> fmt::Debug for SendFuture<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendFuture")
    }
}

/// The future of a call's reply, from awaiting a [`Call`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct CallFuture<Rep> {
    inner: SendFuture<Rep>,
}

impl<Rep> CallFuture<Rep> {
    pub(super) fn sent(ending: Ending, method: &'static MethodSpec) -> Self {
        CallFuture { inner: SendFuture::sent(ending, method) }
    }

    /// Turns this future into one that gives the reply with its metadata.
    pub fn response(self) -> SendFuture<Rep> {
        self.inner
    }
}

impl<Rep: CallReply> Future for CallFuture<Rep> {
    type Output = Result<Rep::Value, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.inner).poll(cx).map_ok(Response::into_message)
    }
}

/// The end of a call. Dropping it before the call has ended cancels the call.
pub(crate) struct Ending {
    source: ResultSource,
    /// The call's streams, if it has any.
    flow: Option<Arc<Flow>>,
}

enum ResultSource {
    /// The second field is the maximum size of a reply after decompression, in bytes.
    Broker(ResultReceiver, usize),
    /// The call goes through a channel. The lock is never contended; it makes the future `Sync`.
    Channel(Mutex<Answering>),
}

impl Ending {
    pub(super) fn broker(waiting: ResultReceiver, flow: Option<Arc<Flow>>, max: usize) -> Self {
        Ending { source: ResultSource::Broker(waiting, max), flow }
    }

    pub(crate) fn channel(answering: Answering, flow: Option<Arc<Flow>>) -> Self {
        Ending { source: ResultSource::Channel(Mutex::new(answering)), flow }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Status>> {
        let end = match &mut self.source {
            ResultSource::Broker(waiting, max) => match task::ready!(waiting.poll(cx)) {
                Some(outcome) => answered(outcome, *max),
                None => Err(closed()),
            },
            ResultSource::Channel(answering) => {
                let answering = answering.get_mut().unwrap_or_else(PoisonError::into_inner);
                task::ready!(answering.as_mut().poll(cx))
            }
        };
        let abandoned = self.flow.as_ref().is_some_and(|flow| flow.is_abandoned());
        Poll::Ready(if abandoned { Err(half_sent()) } else { end })
    }
}

/// The end of a call that cannot be sent because of this metadata key.
fn of_bad_key(method: &'static MethodSpec, bad: &BadKey) -> (Ending, Option<Arc<Flow>>) {
    let flow = method.kind.is_stream().then(Flow::closed);
    (Ending::channel(Box::pin(ready(Err(codec::bad_metadata(bad)))), None), flow)
}

fn decoded<Rep: CallReply>(
    method: &'static MethodSpec,
    reply: Reply,
) -> Result<Response<Rep::Value>, Status> {
    let Reply { payload, metadata, worker, attempts } = reply;
    let message = Rep::read(payload).map_err(|error| {
        Status::internal(format!("the reply of {} cannot be read: {error}", method.path))
    })?;
    Ok(Response { message, metadata, worker, attempts })
}

pub(super) fn closed() -> Status {
    Status::cancelled("the client was closed").with_not_started(true)
}

pub(super) fn half_sent() -> Status {
    Status::cancelled("the stream of requests was dropped before it was finished")
}

/// The status at the client for a message that cannot be read: the error is the other side's.
pub(crate) fn at_client(status: Status) -> Status {
    match status.code() {
        Code::InvalidArgument => Status::internal(status.message()),
        _ => status,
    }
}

/// The result of a call, from the outcome that the core reports.
pub(crate) fn answered(outcome: Outcome<Body>, max: usize) -> Result<Reply, Status> {
    match outcome {
        Outcome::Refused(refusal) => Err(Status::from(refusal.as_ref())),
        Outcome::Final { code: Code::Ok, not_started: _, attempt, body } => Ok(Reply {
            payload: body.uncompressed(max).map_err(at_client)?,
            metadata: metadata(body.meta(), false)?,
            worker: body.peer(),
            attempts: attempt,
        }),
        Outcome::Final { code, not_started, attempt: _, body } => {
            Err(codec::decode_status(code, body.payload())
                .with_not_started(not_started)
                .with_metadata(metadata(body.meta(), not_started)?))
        }
    }
}

/// The metadata that the handler sent with its reply, or before its replies.
///
/// # Errors
///
/// INTERNAL: the metadata cannot be read (wire.md R103).
#[inline]
pub(crate) fn metadata(bytes: Bytes, not_started: bool) -> Result<Metadata, Status> {
    if bytes.is_empty() {
        return Ok(Metadata::new());
    }
    codec::decode_metadata(bytes).map_err(|error| {
        let message = format!("the reply cannot be read: {error}");
        let reason = if not_started { Reason::NotDispatched } else { Reason::MaybeExecuted };
        refused(Code::Internal, reason, &message, not_started)
    })
}

#[cfg(test)]
mod tests;
