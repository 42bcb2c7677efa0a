//! The interface for generated code only. Not part of the public interface: it changes with the generator.

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
use crate::ends;
use crate::worker::{Hold, NoPermit, Outlasts, current, handler};

pub use crate::stream::{Stream, Streaming, send_replies};
pub use crate::{
    BidiStreaming, Call, CallContext, CallKind, Client, ClientStreaming, ServerStreaming, Status,
    Unary,
};

/// The facts about a method that are known at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// The service's full name, `package.Service`.
    pub service: &'static str,
    /// The method's name in the schema.
    pub name: &'static str,
    /// `package.Service/Method`.
    pub path: &'static str,
    /// The method's index among the methods of the schema, from 0. A method that is left out of the build leaves a gap.
    pub number: u32,
    /// The number of messages in each direction: one or a stream.
    pub kind: CallKind,
    /// Whether the method may run more than once.
    pub idempotency: Idempotency,
    /// The default time limit of a call in milliseconds. `None`: the client decides.
    pub timeout_ms: Option<u32>,
    /// The number of attempts at a call, the first included, where a retry is safe. `None`: the client decides.
    pub retry_attempts: Option<u8>,
    /// What happens to a handler whose call ends first.
    pub on_cancel: OnCancel,
    /// Whether the schema marks the method as deprecated.
    pub deprecated: bool,
}

/// The `idempotency_level` of protobuf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Unknown: a second run may do harm.
    #[default]
    Unknown,
    /// The method changes nothing.
    NoSideEffects,
    /// A second run changes nothing more.
    Idempotent,
}

/// What happens to a handler whose call ends first: by cancellation, by its deadline, or by the loss of its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCancel {
    /// The handler is dropped.
    #[default]
    Cancel,
    /// The handler is notified, and runs to its end. Its reply is dropped.
    Detach,
}

/// The facts about a service that are known at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// The full name, `package.Service`.
    pub name: &'static str,
    /// The methods, in the order of the schema.
    pub methods: &'static [MethodSpec],
}

/// A message that can be sent: any prost message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record, so it cannot be sent",
    label = "not a record",
    note = "a record derives `MdpRecord`, or was made from a `.proto` file"
)]
pub trait Record: Sized {
    /// Returns the number of bytes that [`encode_to`](Self::encode_to) appends.
    fn encoded_len(&self) -> usize;
    /// Appends the encoded message.
    fn encode_to(&self, bytes: &mut Vec<u8>);
    /// Decodes a message.
    ///
    /// # Errors
    ///
    /// The bytes are not a message of this type.
    fn decode_from(bytes: Bytes) -> Result<Self, prost::DecodeError>;
}

impl<M: prost::Message + Default> Record for M {
    fn encoded_len(&self) -> usize {
        prost::Message::encoded_len(self)
    }

    fn encode_to(&self, bytes: &mut Vec<u8>) {
        self.encode_raw(bytes);
    }

    fn decode_from(bytes: Bytes) -> Result<Self, prost::DecodeError> {
        M::decode(bytes)
    }
}

/// An encoded message, which is passed on unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded(pub Bytes);

impl Record for Encoded {
    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn encode_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.0);
    }

    fn decode_from(bytes: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(Encoded(bytes))
    }
}

/// A running handler. Its output is the encoded reply.
pub type Handling = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send>>;

/// A service that a worker can offer. It connects the bytes of calls with a generated worker trait.
pub trait Service: Send + Sync + 'static {
    /// Returns the service's name and methods.
    fn spec(&self) -> &'static ServiceSpec;

    /// Returns the service's schema.
    fn schema(&self) -> Schema;

    /// Runs the method with this [`number`](MethodSpec::number).
    fn call(&self, method: u32, cx: CallContext, body: Bytes) -> Handling;
}

/// Converts a handler's future for the runtime.
pub fn handling<F>(future: F) -> Handling
where
    F: Future<Output = Result<Bytes, Status>> + Send + 'static,
{
    Box::pin(future)
}

/// Runs a blocking handler on one of tokio's threads for blocking code. After the call has ended, nothing waits for the
/// thread. But the call keeps its place in the worker's capacity until the thread is free, or until the call leaves the
/// queue for a thread.
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
                // No caller reads this: the call ended before a thread was free.
                true => Err(NoPermit::Over.status(method)),
                false => {
                    let _scope = (current::enter_blocking(cx.deadline()), context.enter());
                    handler(&cx)
                }
            }
        };
        // A panic is caught here, because tokio would drop its payload, and that may panic again.
        let ended = tokio::task::spawn_blocking(move || ends::catch(run)).await;
        let down = || format!("the runtime of {method}'s handlers was shut down");
        let ended = ended.map_err(|_| Status::unavailable(down()))?;
        ended.unwrap_or_else(|panicked| Err(handler::internal(method, &panicked)))
    })
}

/// Decodes the request of a method.
///
/// # Errors
///
/// INVALID_ARGUMENT, with the message of prost.
pub fn decode<M: Record>(method: &'static MethodSpec, body: Bytes) -> Result<M, Status> {
    M::decode_from(body).map_err(|error| {
        Status::invalid_argument(format!("the request of {} cannot be read: {error}", method.path))
    })
}

/// Encodes the reply of a method.
pub fn encode<M: Record>(message: &M) -> Bytes {
    let mut bytes = Vec::with_capacity(message.encoded_len());
    message.encode_to(&mut bytes);
    Bytes::from(bytes)
}

/// Returns the stream of requests of a call.
pub fn requests<M: Record>(cx: &CallContext) -> Streaming<M> {
    cx.requests()
}

/// Ends a call of a method that the service does not have.
pub fn unknown_method(service: &'static ServiceSpec, number: u32) -> Handling {
    handling(std::future::ready(Err(Status::unimplemented(format!(
        "the service {} has no method with the number {number}",
        service.name
    )))))
}
