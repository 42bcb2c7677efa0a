//! A service as a worker sees it: an adapter from bytes to handlers.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use mdp_schema::Schema;

use super::CallContext;
use crate::stream::Streaming;
use mdp_call::codec::record::TypedMessage;
#[cfg(doc)]
use mdp_call::method::MethodSpec;
use mdp_call::method::ServiceSpec;
use mdp_call::status::Status;

/// A running handler. Its output is the encoded reply.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send>>;

/// A service that a worker can offer. It connects the bytes of calls with a generated worker trait.
pub trait Service: Send + Sync + 'static {
    /// Returns the service's name and methods.
    fn spec(&self) -> &'static ServiceSpec;

    /// Returns the service's schema.
    fn schema(&self) -> Schema;

    /// Runs the method with this [`number`](MethodSpec::number).
    fn call(&self, method: u32, cx: CallContext, body: Bytes) -> HandlerFuture;
}

/// Converts a handler's future for the runtime.
pub fn handling<F>(future: F) -> HandlerFuture
where
    F: Future<Output = Result<Bytes, Status>> + Send + 'static,
{
    Box::pin(future)
}

/// Ends a call of a method that the service does not have.
pub fn unknown_method(service: &'static ServiceSpec, number: u32) -> HandlerFuture {
    handling(std::future::ready(Err(Status::unimplemented(format!(
        "the service {} has no method of number {number}",
        service.name
    )))))
}

/// Returns the stream of requests of a call.
pub fn requests<M: TypedMessage>(cx: &CallContext) -> Streaming<M> {
    cx.requests()
}
