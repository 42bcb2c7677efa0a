//! A call: what to ask, with which options, and the future of its reply.

use std::fmt;
use std::future::{Future, IntoFuture, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{self, Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_protocol::client as core;
use mdp_protocol::wire::Marks;

use super::answer::Answer;
use super::channel::Joined;
use super::kinds::{self, Unary};
use super::{Client, Command, Ending, Reply, Request, Way};
use crate::blocking;
use crate::body::Body;
use crate::clock;
use crate::codec;
use crate::codegen::{CallKind, Idempotency, MethodSpec, Record};
use crate::compress::{self, Compression, Packing};
use crate::extensions::Extensions;
use crate::metadata::{BadKey, Metadata};
use crate::retry::{Again, Choice, HedgePolicy, RetryPolicy};
use crate::status::Status;
use crate::stream::Flow;
use crate::worker::{CallContext, current};

/// The id of no worker, shared: an empty `Arc` of its own would be an allocation for each call.
static ANY_WORKER: LazyLock<Arc<[u8]>> = LazyLock::new(|| Arc::from([]));

/// How long a call's deadline may be over before a thread that waits stops to believe in its client.
const WAIT_GRACE: Duration = Duration::from_secs(1);

/// A call that is about to be made: add options, then `.await` it for the reply, or
/// [`send`](Call::send) it for the reply with its metadata. Nothing happens before that. Dropping the
/// future gives the call up, and stops its handler. Code that is not async [`wait`](Call::wait)s.
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
#[must_use = "a call does nothing until it is awaited, sent or waited for"]
pub struct Call<Rep, K = Unary> {
    client: Client,
    method: &'static MethodSpec,
    body: Body,
    metadata: Metadata,
    extensions: Extensions,
    timeout: Duration,
    /// The time for a stream to begin.
    begin_within: Duration,
    idempotent: bool,
    /// It ends where no worker offers its service.
    no_wait: bool,
    worker: Arc<[u8]>,
    compression: Option<Compression>,
    /// It ends with the call that a handler works on, if one makes it.
    inherits: bool,
    /// What the caller says about repeating it, if anything.
    again: Option<Box<Again>>,
    kind: PhantomData<fn() -> (Rep, K)>,
}

impl<Rep, K> Call<Rep, K> {
    pub(super) fn with_request<Req: Record>(
        client: &Client,
        method: &'static MethodSpec,
        request: &Req,
    ) -> Self {
        let len = request.encoded_len();
        let body = Body::new(method.path, None, len, |bytes| request.encode_to(bytes));
        Call { again: Again::of_method(method), ..Call::with_body(client, method, body) }
    }

    pub(super) fn with_body(client: &Client, method: &'static MethodSpec, body: Body) -> Self {
        let own = method.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        Call {
            client: client.clone(),
            method,
            body,
            metadata: Metadata::new(),
            extensions: Extensions::new(),
            timeout: own.unwrap_or_else(|| client.timeout(method.kind)),
            begin_within: own.unwrap_or_else(|| client.timeout(CallKind::Unary)),
            idempotent: method.idempotency != Idempotency::Unknown,
            no_wait: client.timeouts().no_wait,
            worker: Arc::clone(&ANY_WORKER),
            compression: client.compression(),
            inherits: true,
            again: None,
            kind: PhantomData,
        }
    }

    pub(super) fn method(&self) -> &'static MethodSpec {
        self.method
    }

    /// The time until the call's deadline, counted from when it is awaited or sent; a call that a handler
    /// makes ends with the one that it works on at the latest, see [`detached`](Self::detached). Whole
    /// milliseconds, rounded up. Unless set it is the method's own `timeout_ms` if it has one, else the
    /// client's [`timeout`](super::ClientBuilder::timeout), or its
    /// [`stream_timeout`](super::ClientBuilder::stream_timeout) for a call with a stream; a worker has to begin such a
    /// call within the client's `timeout` all the same.
    ///
    /// A call that still waits for a worker when its time is nearly over (an eighth of it before the deadline, 250 ms at the
    /// most) ends then, as not started: with UNAVAILABLE, `NO_SERVICE` where no worker offers its service, else with
    /// DEADLINE_EXCEEDED. One without any time ends at once with DEADLINE_EXCEEDED, as not started, and is not sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.begin_within = timeout;
        self
    }

    /// The call's deadline as a moment.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.timeout(deadline.saturating_duration_since(Instant::now()))
    }

    /// Adds metadata, which the handler sees in its `CallContext`. Values that the key has already stay. With a key that
    /// [`Metadata`] cannot send the call ends with INVALID_ARGUMENT and is not started.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.metadata.append(key, value);
        self
    }

    /// Puts a value into the call's [`Extensions`], for the client's interceptors. It is not sent.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// Says that this call may be run more than once, whatever the method's `idempotency_level` is:
    /// if a worker or a connection is lost under it, it is made again.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Does not wait for a worker where none offers the service: the broker ends the call at once with UNAVAILABLE,
    /// `NO_SERVICE`, not started. While all workers are busy the call waits as any other does; and it waits for a connection to
    /// a broker. A broker of an earlier version does not know of this, and waits. Default: as the client says
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

    /// Compresses the request, and asks for compressed replies.
    pub fn compress(mut self, with: Compression) -> Self {
        self.compression = Some(with);
        self
    }

    /// Does not compress, whatever the client does otherwise.
    pub fn uncompressed(mut self) -> Self {
        self.compression = None;
        self
    }

    /// Wants this worker and no other. The call waits while the worker is busy, and ends with
    /// UNAVAILABLE if no worker of that id offers the service.
    pub fn to_worker(mut self, id: impl AsRef<[u8]>) -> Self {
        self.worker = Arc::from(id.as_ref());
        self
    }

    /// Lets the call end with the one that this context is of, at the latest. A call that a handler makes
    /// itself does so anyway; this is for those that tasks make which it has started.
    pub fn within(self, cx: &CallContext) -> Self {
        let left = cx.time_left();
        Call { timeout: self.timeout.min(left), ..self }
    }

    /// Lets the call go on when the one is over that the handler works on which makes it. Its own timeout
    /// holds.
    pub fn detached(mut self) -> Self {
        self.inherits = false;
        self
    }

    /// The call's deadline, for a thread that waits for it.
    pub(super) fn patience(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout.saturating_add(WAIT_GRACE))
    }

    /// The same for the begin of a stream.
    pub(super) fn patience_to_begin(&self) -> Option<Instant> {
        let within = self.begin_within.min(self.timeout);
        Instant::now().checked_add(within.saturating_add(WAIT_GRACE))
    }
}

impl<Rep: Record> Call<Rep> {
    /// A call of a method with its request, encoded here.
    #[doc(hidden)]
    pub fn new<Req: Record>(client: &Client, method: &'static MethodSpec, request: &Req) -> Self {
        Call::with_request(client, method, request)
    }

    /// Tries the call again if it fails, as this policy says in place of the client's. A clone of a policy shares its
    /// budget, and one without has the client's.
    pub fn retry(mut self, policy: &RetryPolicy) -> Self {
        self.again.get_or_insert_default().retry = Choice::Set(Arc::new(policy.clone()));
        self
    }

    /// Leaves it at one attempt, whatever the client's policy is.
    pub fn no_retry(mut self) -> Self {
        self.again.get_or_insert_default().retry = Choice::Off;
        self
    }

    /// Makes the call beside itself if no answer comes, as this policy says in place of the client's. A call of a method that
    /// may have side effects ends with FAILED_PRECONDITION, and is not made.
    pub fn hedge(mut self, policy: &HedgePolicy) -> Self {
        self.again.get_or_insert_default().hedge = Choice::Set(Arc::new(policy.clone()));
        self
    }

    /// Does not make the call beside itself, whatever the client's policy is.
    pub fn no_hedge(mut self) -> Self {
        self.again.get_or_insert_default().hedge = Choice::Off;
        self
    }

    /// The call as a request, for a [`Channel`](super::Channel) or a service of tower's. It has not begun.
    pub fn into_request(self) -> Request {
        self.request()
    }

    /// Makes the call. The future gives the reply with its metadata.
    pub fn send(self) -> SendFuture<Rep> {
        SendFuture { state: State::Unsent(Some(self)) }
    }

    /// Makes the call and blocks this thread until it ends: for code that is not async. Any number of threads
    /// may wait at once, with a client of either kind.
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
    /// As those of `.await`; and FAILED_PRECONDITION within async code, whose thread it would block: nothing is
    /// sent then. A blocking handler may wait, and so may what tokio's `spawn_blocking` runs. A client whose tokio runtime does not run cannot
    /// watch over the deadline; the call is then given up with DEADLINE_EXCEEDED one second after it.
    pub fn wait(self) -> Result<Rep, Status> {
        self.wait_response().map(Response::into_message)
    }

    /// As [`wait`](Self::wait), for the reply with its metadata.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_response(self) -> Result<Response<Rep>, Status> {
        let method = self.method;
        blocking::check(method.path)?;
        let until = self.patience();
        blocking::block_on(self.send(), until)
            .unwrap_or_else(|| Err(blocking::no_client(method.path)))
    }
}

impl<Rep, K> Call<Rep, K> {
    /// Makes the call: its end, and its streams if it has some.
    pub(super) fn make(mut self) -> (Ending, Option<Arc<Flow>>) {
        let inherited = if self.inherits { current::deadline() } else { None };
        if let Some(deadline) = inherited {
            let left = deadline.saturating_duration_since(Instant::now());
            self.timeout = self.timeout.min(left);
        }
        let method = self.method;
        // Before any interceptor: what the caller has said.
        if let Err(bad) = self.metadata.check() {
            return refused(method, &bad);
        }
        let link = match &self.client.way {
            Way::Broker(link) if !self.asks() => link,
            Way::Channel(joined) if !self.asks() || joined.below().is_some() => {
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
            no_wait: self.no_wait,
            wait_ms: self.longest_wait().map_or(0, |wait| clock::span(wait).as_wire_ms()),
        };
        let meta = match codec::encode_request_metadata(&self.metadata, marks) {
            Ok(meta) => meta,
            Err(bad) => return refused(method, &bad),
        };
        if packed.is_some() || meta.is_some() {
            let compressed = packed.is_some();
            let payload = packed.unwrap_or_else(|| self.body.payload());
            let body = Body::with_payload(method.path, meta.as_deref(), payload);
            self.body = body.compressed(compressed);
        }
        let new_flow = || Arc::new(Flow::new(kinds::carrier(link), link.window, packing));
        let flow = method.kind.is_stream().then(new_flow);
        let (token, waiting) = Answer::new(Arc::clone(link), flow.clone());
        let call = core::Call {
            token,
            timeout: clock::span(self.timeout),
            begin_within: clock::span(self.begin_within),
            idempotent: self.idempotent,
            worker: self.worker,
            kind: method.kind,
            body: self.body,
        };
        // A client that is closed drops the token, which ends the call.
        drop(link.command(Command::Call(call)));
        (Ending::broker(waiting, flow.clone(), packing.most), flow)
    }

    /// How long the broker may let the call wait for a worker, where that is less than its time.
    fn longest_wait(&self) -> Option<Duration> {
        let begins = self.method.kind.is_stream() && self.begin_within < self.timeout;
        begins.then_some(self.begin_within)
    }

    /// Whether the caller wants it repeated.
    fn asks(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.asks())
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
        request.again = self.again.map(|again| *again).unwrap_or_default();
        request
    }

    /// The call that came through a channel as this request.
    pub(super) fn of_request(client: &Client, request: Request) -> Self {
        let body = Body::with_payload(request.method.path, None, request.payload);
        // Of what comes out of the client's own interceptors the caller has said all.
        let said = request.again.tries.is_some();
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
            again: request.again.asks().then(|| Box::new(request.again)),
            // Whoever made it has seen to that.
            inherits: false,
            ..Call::with_body(client, request.method, body)
        }
    }
}

impl<Rep: Record> IntoFuture for Call<Rep> {
    type Output = Result<Rep, Status>;
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

/// A reply with what came beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Response<T> {
    message: T,
    metadata: Metadata,
    worker: Bytes,
    attempts: u8,
}

impl<T> Response<T> {
    /// The reply.
    pub fn message(&self) -> &T {
        &self.message
    }

    /// The reply, by value.
    pub fn into_message(self) -> T {
        self.message
    }

    /// What the handler sent beside the reply.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The id of the worker that answered, for [`Call::to_worker`].
    pub fn worker(&self) -> &[u8] {
        &self.worker
    }

    /// How often the call was tried: how many workers the broker gave it to, the one that answered included, and one for
    /// each attempt besides that a [`RetryPolicy`] or a [`HedgePolicy`] has made.
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

// Nothing in it is ever pinned: the waiting end is `Unpin`, and so is all else.
impl<Rep> Unpin for SendFuture<Rep> {}

impl<Rep> SendFuture<Rep> {
    pub(super) fn sent(ending: Ending, method: &'static MethodSpec) -> Self {
        SendFuture { state: State::Sent(ending, method) }
    }
}

impl<Rep: Record> Future for SendFuture<Rep> {
    type Output = Result<Response<Rep>, Status>;

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
        let response = task::ready!(ending.poll(cx)).and_then(|reply| decoded(method, reply));
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

    /// The same, for the reply with its metadata.
    pub fn response(self) -> SendFuture<Rep> {
        self.inner
    }
}

impl<Rep: Record> Future for CallFuture<Rep> {
    type Output = Result<Rep, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.inner).poll(cx).map_ok(Response::into_message)
    }
}

/// A call that cannot be sent with this key in its metadata.
fn refused(method: &'static MethodSpec, bad: &BadKey) -> (Ending, Option<Arc<Flow>>) {
    let flow = method.kind.is_stream().then(Flow::closed);
    (Ending::channel(Box::pin(ready(Err(codec::bad_metadata(bad)))), None), flow)
}

fn decoded<Rep: Record>(
    method: &'static MethodSpec,
    reply: Reply,
) -> Result<Response<Rep>, Status> {
    let Reply { payload, metadata, worker, attempts } = reply;
    let message = Rep::decode_from(payload).map_err(|error| {
        Status::internal(format!("the reply of {} cannot be read: {error}", method.path))
    })?;
    Ok(Response { message, metadata, worker, attempts })
}
