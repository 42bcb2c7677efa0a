//! A client and services, connected directly.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_protocol::client::Outcome;
use mdp_protocol::{Code, Reason};
use tokio::sync::oneshot;

use crate::call::{
    CallContext, Channel, MethodSpec, Replies, Reply, Request, Requests, Service, refused,
};
use crate::client::{self, Client, answered};
use crate::dynamic;
use crate::intercept::{self, Added, Interceptor};
use crate::stream::Flow;
use crate::worker::handler;
use mdp_call::body::Body;
use mdp_call::codec::{self, EncodedMetadata};
use mdp_call::status::Status;

/// The id of the only worker, and of the only client.
const ID: &[u8] = b"in-memory";
/// A time far in the future, for deadlines that no clock can express.
const LONG: Duration = Duration::from_secs(u32::MAX as u64);

/// Services that are called within the process, in the same way as a worker calls them.
///
/// Each handler runs as a task of the caller's tokio runtime. The handler's [`CallContext`] has metadata, deadline and
/// cancellation, the caller's id `in-memory`, and attempt 1. The handler is dropped when its time is up or the caller
/// drops the call, unless its method detaches. A panic ends the call with INTERNAL. A missing service ends it with
/// UNAVAILABLE at once, a missing method with UNIMPLEMENTED. There is one worker, with the id `in-memory`. The number
/// of concurrent calls and the size of messages are not limited.
///
/// ```
/// # async fn doc(auth: impl mdp_runtime::codegen::Service, shop: impl mdp_runtime::codegen::Service) {
/// use mdp_runtime::testing::InMemory;
///
/// let client = InMemory::new().serve(auth).serve(shop).client();
/// // let (auth, shop) = (AuthClient::from(&client), ShopClient::from(&client));
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct InMemory {
    services: Vec<Arc<dyn Service>>,
    interceptors: Added,
}

impl InMemory {
    /// Makes an instance without services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service to offer: the generated `AuthWorker::new(..)`. May be called several times. If two services have
    /// the same name, the first is called.
    pub fn serve(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// Runs an interceptor around the handlers of all services, as
    /// [`WorkerBuilder::intercept`](crate::WorkerBuilder::intercept) does. Add the interceptors of the client [to the
    /// client](Client::intercept).
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.add(interceptor);
        self
    }

    /// Runs a tower layer around the handlers, as [`WorkerBuilder::layer`](crate::WorkerBuilder::layer) does.
    #[cfg(feature = "tower")]
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: tower_layer::Layer<crate::tower::Onward>,
        L::Service: crate::tower::Stack,
    {
        self.intercept(intercept::Layered::new(layer))
    }

    /// Makes a client whose calls go to the services.
    pub fn client(mut self) -> Client {
        let interceptors = std::mem::take(&mut self.interceptors).into_list();
        let around = |service| intercept::around(service, &interceptors);
        self.services = self.services.into_iter().map(around).collect();
        Client::over(self)
    }

    /// Returns the schema in the same way as a worker.
    fn tell_schema(&self, request: &Request) -> Result<Reply, Status> {
        let services = self.services.iter();
        let mut services = services.filter(|found| found.spec().name == request.service());
        let schema = services.next().map_or(Ok(None), |service| handler::schema(&**service))?;
        schema.map(Reply::from_bytes).ok_or_else(|| handler::unknown(request.method()))
    }

    fn find(&self, request: &Request) -> Result<(Arc<dyn Service>, &'static MethodSpec), Status> {
        let of_name = |service: &&Arc<dyn Service>| service.spec().name == request.service();
        let service = self.services.iter().find(of_name).ok_or_else(|| {
            let message = "no worker offers the service, and none came in time";
            refused(Code::Unavailable, Reason::NoService, message, true)
        })?;
        if request.worker().is_some_and(|id| id != ID) {
            let message = "the worker that the call asks for does not offer the service";
            return Err(refused(Code::Unavailable, Reason::NoWorker, message, true));
        }
        let mut methods = service.spec().methods.iter();
        let method = methods.find(|method| method.path == request.method());
        let method = method.ok_or_else(|| handler::unknown(request.method()))?;
        Ok((Arc::clone(service), method))
    }
}

impl Channel for InMemory {
    async fn call(&self, request: Request) -> Result<Reply, Status> {
        if request.name() == dynamic::SCHEMA {
            return self.tell_schema(&request);
        }
        let (service, method) = self.find(&request)?;
        handled(service, method, request, None).await
    }

    async fn stream(
        &self,
        request: Request,
        requests: Requests,
        replies: Replies,
    ) -> Result<Reply, Status> {
        let (service, method) = self.find(&request)?;
        let passed_on = request.clone();
        let handle = |flow| handled(service, method, passed_on, Some(flow));
        client::handled(&request, requests, replies, handle).await
    }
}

async fn handled(
    service: Arc<dyn Service>,
    method: &'static MethodSpec,
    request: Request,
    flow: Option<Arc<Flow>>,
) -> Result<Reply, Status> {
    if method.kind != request.kind() {
        return Err(handler::other_kind(method, request.kind()));
    }
    let now = Instant::now();
    let deadline = now.checked_add(request.timeout()).unwrap_or_else(|| now + LONG);
    let metadata = codec::encode_metadata(request.metadata());
    let metadata = metadata.map_err(|bad| codec::bad_metadata(&bad))?.unwrap_or_default();
    let metadata = EncodedMetadata::read(metadata.into());
    let metadata = metadata.map_err(|error| codec::bad_metadata(&error))?;
    let client = Bytes::from_static(ID);
    let cx = CallContext::new(method, deadline, 1, client, metadata, flow, None);
    let waiting = Waiting { cx: cx.clone(), ended: false };
    let (answer, outcome) = oneshot::channel();
    tokio::spawn(handle(service, method.number, cx, request.bytes().clone(), answer));
    waiting.outcome(outcome).await.map(|reply| reply.with_worker(ID))
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.services.iter().map(|service| service.spec().name);
        f.debug_list().entries(services).finish()
    }
}

/// Runs a handler until it ends or the caller no longer waits.
async fn handle(
    service: Arc<dyn Service>,
    method: u32,
    cx: CallContext,
    payload: Bytes,
    answer: oneshot::Sender<(Code, Body)>,
) {
    if cx.is_cancelled() {
        return; // expired work is never started
    }
    let result = match handler::begin(&*service, method, &cx, payload) {
        Err(status) => Err(status),
        Ok(running) => match handler::finish(running, &cx).await {
            Some(result) => result,
            None => return,
        },
    };
    let end = handler::end(&cx, result);
    cx.close();
    // The caller may be gone meanwhile.
    let _ = answer.send(end);
}

/// The caller's end. Dropping it early stops the handler.
struct Waiting {
    cx: CallContext,
    ended: bool,
}

impl Waiting {
    async fn outcome(mut self, outcome: oneshot::Receiver<(Code, Body)>) -> Result<Reply, Status> {
        let outcome = outcome.await;
        self.ended = true;
        let Ok((code, body)) = outcome else {
            return Err(Status::unavailable("the runtime of the handlers was shut down"));
        };
        answered(Outcome::Final { code, not_started: false, attempt: 1, body }, usize::MAX)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.ended {
            self.cx.cancel();
        }
    }
}
