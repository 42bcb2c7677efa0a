//! Tower layers around calls, and a client as a tower service.

use std::error::Error;
use std::future::{Future, poll_fn, ready};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::{Interceptor, Next};
use crate::call::{Answering, Channel, Reply, Request};
use crate::client::Client;
use mdp_call::status::Status;

/// The type that the errors of a stack of layers convert into.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The innermost service of the layers of [`Client::layer`](crate::Client::layer) and
/// [`WorkerBuilder::layer`](crate::WorkerBuilder::layer): it passes on a call that came through the layers. It is
/// always ready.
#[derive(Clone, Debug)]
pub struct Onward(());

impl Service<Request> for Onward {
    type Response = Reply;
    type Error = Status;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Answering {
        match request.onward.take() {
            Some(next) => Box::pin(next.call(request)),
            None => Box::pin(ready(Err(Status::internal(
                "the innermost service of a layer got a request that did not come through the layer",
            )))),
        }
    }
}

/// The service that a layer makes from [`Onward`]: a service of calls that can be cloned for each call, and whose error
/// converts into a [`BoxError`]. Implemented for all such services.
pub trait Stack: Service<Request, Response = Reply> + Clone + Send + 'static {
    #[doc(hidden)]
    fn run(self, request: Request) -> impl Future<Output = Result<Reply, Status>> + Send;
}

impl<S> Stack for S
where
    S: Service<Request, Response = Reply> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    async fn run(mut self, request: Request) -> Result<Reply, Status> {
        let readied = poll_fn(|cx| self.poll_ready(cx)).await;
        readied.map_err(|error| status_of(error.into()))?;
        let answering = self.call(request);
        answering.await.map_err(|error| status_of(error.into()))
    }
}

/// A layer as an interceptor.
pub(crate) struct Layered<S> {
    // The lock is held only to clone the stack.
    stack: Mutex<S>,
}

impl<S: Stack> Layered<S> {
    pub(crate) fn new(layer: impl Layer<Onward, Service = S>) -> Self {
        Layered { stack: Mutex::new(layer.layer(Onward(()))) }
    }
}

impl<S: Stack> Interceptor for Layered<S> {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        request.onward = Some(next);
        let stack = self.stack.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stack.run(request).await
    }
}

/// The status in this error or in its chain of sources; otherwise UNKNOWN with the error's text.
fn status_of(error: BoxError) -> Status {
    let error = match error.downcast::<Status>() {
        Ok(status) => return *status,
        Err(error) => error,
    };
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(status) = cause.downcast_ref::<Status>() {
            return status.clone();
        }
        source = cause.source();
    }
    Status::unknown(error.to_string())
}

/// Makes calls from requests ([`Call::into_request`](crate::Call::into_request)). Always ready: calls wait for the
/// connection, each until its own deadline.
impl Service<Request> for Client {
    type Response = Reply;
    type Error = Status;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answering {
        let client = self.clone();
        Box::pin(async move { Channel::call(&client, request).await })
    }
}
