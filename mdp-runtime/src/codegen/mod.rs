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

pub use crate::stream::{Stream, Streaming, send_replies};
pub use crate::{
    BidiStreaming, Call, CallContext, CallKind, Client, ClientStreaming, ServerStreaming, Status,
    Unary,
};

/// What is known of a method at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// The service's full name, `package.Service`.
    pub service: &'static str,
    /// The method's name as the schema has it.
    pub name: &'static str,
    /// `package.Service/Method`.
    pub path: &'static str,
    /// Its place among the methods that the schema declares, from 0. A method that is left out of the
    /// build leaves a gap.
    pub number: u32,
    /// How many messages go which way.
    pub kind: CallKind,
    /// Whether it may be run more than once.
    pub idempotency: Idempotency,
    /// How long a caller waits unless it says otherwise, in milliseconds; `None` leaves it to the client.
    pub timeout_ms: Option<u32>,
    /// How often a call is tried, the first time included, where that is safe; `None` leaves it to the client.
    pub retry_attempts: Option<u8>,
    /// What becomes of a handler whose call is over before it.
    pub on_cancel: OnCancel,
    /// Whether the schema advises against it.
    pub deprecated: bool,
}

/// protobuf's `idempotency_level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Not said: a second run may do harm.
    #[default]
    Unknown,
    /// It changes nothing.
    NoSideEffects,
    /// A second run changes nothing more.
    Idempotent,
}

/// What becomes of a handler whose call is over before it: cancelled, out of time, or its session lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCancel {
    /// It is dropped.
    #[default]
    Cancel,
    /// It is told, and runs to its end; what it gives goes nowhere.
    Detach,
}

/// What is known of a service at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// The full name, `package.Service`.
    pub name: &'static str,
    /// The methods, in the order of the schema.
    pub methods: &'static [MethodSpec],
}

/// A message that can be sent: any prost message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no record, so it cannot travel",
    label = "not a record",
    note = "a record derives `MdpRecord`, or was made from a `.proto` file"
)]
pub trait Record: Sized {
    /// How many bytes [`encode_to`](Self::encode_to) appends.
    fn encoded_len(&self) -> usize;
    /// Appends the message.
    fn encode_to(&self, bytes: &mut Vec<u8>);
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// The bytes are not such a message.
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

/// A message that is encoded already, and stays as it is.
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

/// The request of a method.
///
/// # Errors
///
/// INVALID_ARGUMENT, with what prost says.
pub fn decode<M: Record>(method: &'static MethodSpec, body: Bytes) -> Result<M, Status> {
    M::decode_from(body).map_err(|error| {
        Status::invalid_argument(format!("the request of {} cannot be read: {error}", method.path))
    })
}

/// The reply of a method.
pub fn encode<M: Record>(message: &M) -> Bytes {
    let mut bytes = Vec::with_capacity(message.encoded_len());
    message.encode_to(&mut bytes);
    Bytes::from(bytes)
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
