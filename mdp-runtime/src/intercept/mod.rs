//! Interceptors: code that runs around calls, at a client or at a worker.

mod service;
#[cfg(feature = "tower")]
mod tower;

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Instant;

use crate::call::{
    Answering, AnyChannel, Channel, Replies, Reply, Request, Requests, without_streams,
};
use crate::client::Client;
use crate::retry::{self, RetryBudget, Tries};
use mdp_call::status::Status;
pub(crate) use service::around;
#[cfg(feature = "tower")]
pub(crate) use tower::Layered;
#[cfg(feature = "tower")]
pub use tower::{BoxError, Onward, Stack};

/// Code that runs around each call, at a client ([`Client::intercept`](crate::Client::intercept)) or at a worker
/// ([`WorkerBuilder::intercept`](crate::WorkerBuilder::intercept)). An interceptor sees and may change the request
/// before it passes the call on, and the reply or status afterwards. It may answer without passing the call on, and it
/// may pass the call on several times.
///
/// [`call`](Self::call) handles all kinds of calls. A call with streams passes through it too, from its start to its
/// end, so an interceptor that checks or counts calls needs no second method. To see the messages of streams, implement
/// [`stream`](Self::stream) as well.
///
/// The interceptor added first is the outermost. An interceptor runs as a part of the call's future: it is dropped when
/// the call is cancelled or its time is up. A panic at a client is a panic of the caller (INTERNAL if the call has
/// streams); a panic at a worker becomes INTERNAL.
///
/// ```
/// # mod example {
/// # use mdp_runtime::{CallContext, MdpRecord, mdp_service};
/// # #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// # pub struct Greeting { #[mdp(1)] pub text: String }
/// # #[mdp_service(package = "greet.v1")]
/// # pub trait Greeter { async fn greet(&self, cx: &CallContext, req: Greeting) -> Result<Greeting, Status>; }
/// # struct Polite;
/// # impl Greeter for Polite {
/// #     async fn greet(&self, cx: &CallContext, _: Greeting) -> Result<Greeting, Status> {
/// #         Ok(Greeting { text: format!("You are {}.", cx.metadata().get_str("tenant").unwrap_or("nobody")) })
/// #     }
/// # }
/// use mdp_runtime::{Client, Interceptor, Next, Reply, Request, Status};
///
/// /// Says with each call who it is for.
/// struct Tenant(&'static str);
///
/// impl Interceptor for Tenant {
///     async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
///         request.metadata_mut().insert("tenant", self.0);
///         next.call(request).await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # pub async fn run() -> Result<(), Status> {
/// # let client = Client::in_memory(GreeterWorker::new(Polite));
/// let greeter = GreeterClient::new(client.intercept(Tenant("acme")));
/// assert_eq!(greeter.greet(Greeting { text: "Who am I?".into() }).await?.text, "You are acme.");
/// # Ok(())
/// # }
/// # }
/// # example::run().unwrap();
/// ```
pub trait Interceptor: Send + Sync + 'static {
    /// Runs around a call of any kind. The caller, or the next outer interceptor, gets the returned reply or status.
    ///
    /// For a call with streams (see [`Request::kind`]), the request has a message only if the replies stream and the
    /// request does not, and the reply has only metadata if the replies stream. The streamed messages do not pass
    /// through this method.
    fn call(
        &self,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Result<Reply, Status>> + Send;

    /// Runs around a call with streams and can change its messages: use [`Requests::map`] and [`Replies::map`] before
    /// passing the call on with [`Next::stream`]. Default: runs [`call`](Self::call).
    fn stream(
        &self,
        request: Request,
        requests: Requests,
        replies: Replies,
        next: Next,
    ) -> impl Future<Output = Result<Reply, Status>> + Send {
        self.call(request.with_streams(requests, replies), next)
    }
}

/// The rest of a call's path, for an [`Interceptor`]: the inner interceptors, then the connection or the handler.
#[derive(Clone)]
pub struct Next {
    interceptors: Interceptors,
    /// The number of interceptors that the call has passed.
    place: usize,
    end: Arc<dyn AnyChannel>,
    deadline: Option<Instant>,
}

impl Next {
    /// Passes the call on and returns its end. May be called several times, one after another or concurrently: each is
    /// a separate attempt, within the time that is left of the call. Dropping the future stops that attempt.
    ///
    /// A task of the interceptor may also call this.
    ///
    /// # Errors
    ///
    /// The status with which the call failed. FAILED_PRECONDITION: a call with streams was passed on before, and its
    /// messages cannot be sent again; or [`Interceptor::stream`] holds the streams and must use
    /// [`stream`](Self::stream).
    pub fn call(
        &self,
        mut request: Request,
    ) -> impl Future<Output = Result<Reply, Status>> + Send + use<> {
        match request.take_streams() {
            Ok(None) if request.kind().is_stream() => {
                Box::pin(ready(Err(without_streams(&request))))
            }
            Ok(None) => self.pass(request, None),
            Ok(Some(streams)) => self.pass(request, Some(streams)),
            Err(status) => Box::pin(ready(Err(status))),
        }
    }

    /// Passes a call on with its streams, and returns its end.
    ///
    /// # Errors
    ///
    /// The status with which the call failed.
    pub fn stream(
        &self,
        request: Request,
        requests: Requests,
        replies: Replies,
    ) -> impl Future<Output = Result<Reply, Status>> + Send + use<> {
        self.pass(request, Some((requests, replies)))
    }

    fn new(
        interceptors: &Interceptors,
        end: Arc<dyn AnyChannel>,
        deadline: Option<Instant>,
    ) -> Self {
        Next { interceptors: Arc::clone(interceptors), place: 0, end, deadline }
    }

    fn pass(&self, mut request: Request, streams: Option<(Requests, Replies)>) -> Answering {
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            request.timeout = request.timeout.min(left);
        }
        let Some(interceptor) = self.interceptors.get(self.place) else {
            let end = Arc::clone(&self.end);
            return match streams {
                None => Box::pin(async move { end.call(request).await }),
                Some((requests, replies)) => {
                    Box::pin(async move { end.stream(request, requests, replies).await })
                }
            };
        };
        let interceptor = Arc::clone(interceptor);
        let next = Next { place: self.place + 1, ..self.clone() };
        match streams {
            None => interceptor.call(request, next),
            Some((requests, replies)) => interceptor.stream(request, requests, replies, next),
        }
    }
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let further = self.interceptors.len().saturating_sub(self.place);
        f.debug_struct("Next").field("interceptors", &further).finish_non_exhaustive()
    }
}

/// Interceptors, the outermost first.
pub(crate) type Interceptors = Arc<[Arc<dyn AnyInterceptor>]>;

/// [`Interceptor`] with boxed futures, so that any interceptor fits one type.
pub(crate) trait AnyInterceptor: Send + Sync {
    fn call(self: Arc<Self>, request: Request, next: Next) -> Answering;
    fn stream(
        self: Arc<Self>,
        request: Request,
        requests: Requests,
        replies: Replies,
        next: Next,
    ) -> Answering;
}

impl<I: Interceptor> AnyInterceptor for I {
    fn call(self: Arc<Self>, request: Request, next: Next) -> Answering {
        Box::pin(async move { Interceptor::call(&*self, request, next).await })
    }

    fn stream(
        self: Arc<Self>,
        request: Request,
        requests: Requests,
        replies: Replies,
        next: Next,
    ) -> Answering {
        Box::pin(async move { Interceptor::stream(&*self, request, requests, replies, next).await })
    }
}

/// The interceptors of a builder, the outermost first.
#[derive(Clone, Default)]
pub(crate) struct Added(Vec<Arc<dyn AnyInterceptor>>);

impl Added {
    pub(crate) fn add(&mut self, interceptor: impl Interceptor) {
        self.0.push(Arc::new(interceptor));
    }

    pub(crate) fn into_list(self) -> Interceptors {
        self.0.into()
    }
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} interceptors", self.0.len())
    }
}

/// A channel that leads through interceptors to a client.
pub(crate) struct Chain {
    interceptors: Interceptors,
    budget: RetryBudget,
    end: Arc<dyn AnyChannel>,
}

impl Chain {
    pub(crate) fn to_client(client: &Client, interceptors: Interceptors) -> Self {
        let budget = client.budget().clone();
        Chain { interceptors, budget, end: Arc::new(retry::Repeating::new(client.clone())) }
    }

    fn enter(&self, request: &mut Request) -> Next {
        request.retry_options.tries = Some(Tries::new(&self.budget));
        let deadline = Instant::now().checked_add(request.timeout);
        Next::new(&self.interceptors, Arc::clone(&self.end), deadline)
    }
}

impl Channel for Chain {
    async fn call(&self, mut request: Request) -> Result<Reply, Status> {
        self.enter(&mut request).pass(request, None).await
    }

    async fn stream(
        &self,
        mut request: Request,
        requests: Requests,
        replies: Replies,
    ) -> Result<Reply, Status> {
        self.enter(&mut request).pass(request, Some((requests, replies))).await
    }
}
