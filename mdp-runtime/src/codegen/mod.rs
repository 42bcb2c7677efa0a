//! What generated code names, and nobody else should. Not part of the public interface: it changes
//! with the generator.

pub mod record;
mod schema;

use std::future::Future;
use std::pin::Pin;

pub use bytes::Bytes;
pub use prost;
pub use prost_types;

pub use schema::{
    Described, DescribedOneof, EnumBuilder, Field, Item, Label, MessageBuilder, MethodItem, Scalar,
    Schema, SchemaBuilder, ServiceBuilder, TypeName, embedded_schema, record_schema,
};

use crate::carried;
use crate::worker::{Hold, NoPermit, Outlasts, current, handler};
use mdp_transport::ends;

pub use mdp_call::codec::record::{Encoded, Record, decode, encode};
pub use mdp_call::method::{Idempotency, MethodSpec, OnCancel, ServiceSpec};

pub use crate::stream::{Stream, Streaming, send_replies};
pub use crate::{
    BidiStreaming, Call, CallContext, CallKind, Client, ClientStreaming, ServerStreaming, Status,
    Unary,
};

/// A handler at work. It ends with the encoded reply.
pub type Handling = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send>>;

/// A service that a worker can offer: the adapter from bytes to a generated worker trait.
pub trait Service: Send + Sync + 'static {
    /// The service's name and methods.
    fn spec(&self) -> &'static ServiceSpec;

    /// The service's schema.
    fn schema(&self) -> Schema;

    /// Runs the method of this [`number`](MethodSpec::number).
    fn call(&self, method: u32, cx: CallContext, body: Bytes) -> Handling;
}

/// A handler's future as the runtime takes it.
pub fn handling<F>(future: F) -> Handling
where
    F: Future<Output = Result<Bytes, Status>> + Send + 'static,
{
    Box::pin(future)
}

/// A handler that blocks its thread, on one of those that tokio has for that. Once the call
/// is over nobody waits for the thread, but the call keeps its place in the worker's capacity until the thread, or the place in
/// the queue for one, is free.
pub fn blocking<F>(cx: CallContext, handler: F) -> Handling
where
    F: FnOnce(&CallContext) -> Result<Bytes, Status> + Send + 'static,
{
    handling(async move {
        let method = cx.method();
        let context = carried::current();
        let hold = Hold::take(&cx, Outlasts::Thread).map_err(|none| none.status(method))?;
        let run = move || {
            let _hold = hold;
            match cx.is_cancelled() {
                // Nobody reads this: the call ended before a thread was free.
                true => Err(NoPermit::Over.status(method)),
                false => {
                    let _scope = (current::enter_blocking(cx.deadline()), context.enter());
                    handler(&cx)
                }
            }
        };
        // A panic is caught where it is: tokio would drop its payload, which may panic again.
        let ended = tokio::task::spawn_blocking(move || ends::catch(run)).await;
        let down = || format!("the runtime of {method}'s handlers was shut down");
        let ended = ended.map_err(|_| Status::unavailable(down()))?;
        ended.unwrap_or_else(|panicked| Err(handler::internal(method, &panicked)))
    })
}

/// The requests of a call whose requests stream.
pub fn requests<M: Record>(cx: &CallContext) -> Streaming<M> {
    cx.requests()
}

/// The end of a call of a method that the service does not have.
pub fn unknown_method(service: &'static ServiceSpec, number: u32) -> Handling {
    handling(std::future::ready(Err(Status::unimplemented(format!(
        "the service {} has no method of number {number}",
        service.name
    )))))
}
