//! A service as a worker sees it: an adapter from bytes to handlers.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use mdp_schema::Schema;

use super::CallContext;
use crate::stream::Streaming;
use mdp_call::codec::record::TypedMessage;
use mdp_call::method::{MethodSpec, ServiceSpec};
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

/// The status of a method that an implementation leaves out.
pub fn unimplemented(method: &'static MethodSpec) -> Status {
    Status::unimplemented(format!("this worker does not implement {}", method.path))
}

/// An error that a handler may return: one with `impl From<Error> for Status`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error of a handler",
    label = "the caller of the method gets a `Status`",
    note = "write `impl From<{Self}> for Status`, or return `Result<.., Status>`"
)]
pub trait HandlerError {
    /// Makes the status that the caller gets.
    fn into_status(self) -> Status;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Status>> HandlerError for E {
    fn into_status(self) -> Status {
        self.into()
    }
}

/// The result of a handler with a status as its error.
///
/// # Errors
///
/// The handler's error, as a status.
pub fn or_status<T, E: HandlerError>(result: Result<T, E>) -> Result<T, Status> {
    result.map_err(E::into_status)
}

/// An alias of `Result` that a handler may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no error of a handler",
    label = "the caller of the method gets a `Status`",
    note = "write `impl From<Error> for Status` for the error in it, or return `Result<.., Status>`"
)]
pub trait AliasedResult {
    /// What the handler returns.
    type Value;

    /// Makes a status of the error.
    ///
    /// # Errors
    ///
    /// The handler's error, as a status.
    fn or_status(self) -> Result<Self::Value, Status>;
}

#[diagnostic::do_not_recommend]
impl<T, E: Into<Status>> AliasedResult for Result<T, E> {
    type Value = T;

    fn or_status(self) -> Result<T, Status> {
        self.map_err(E::into)
    }
}

/// Returns the stream of requests of a call.
pub fn requests<M: TypedMessage>(cx: &CallContext) -> Streaming<M> {
    cx.requests()
}
