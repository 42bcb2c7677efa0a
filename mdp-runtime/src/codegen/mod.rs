//! The interface for generated code only. Not part of the public interface: it changes with the generator.

pub mod record;
mod schema;
pub mod wkt;

pub use crate::__described as described;
pub use bytes::Bytes;
pub use mdp_protocol::wire::CallKind;
pub use prost;
pub use prost_types;

pub use schema::{
    Described, DescribedOneof, Descriptors, EnumBuilder, Field, Item, Label, MessageBuilder,
    MethodItem, Scalar, Schema, SchemaBuilder, ServiceBuilder, TypeName, embedded_schema,
    no_schema, record_schema,
};

pub use crate::call::{
    AliasedResult, CallContext, Encoded, HandlerError, HandlerFuture, Idempotency, MethodSpec,
    OnCancel, Service, ServiceSpec, TypedMessage, decode, encode, handling, or_status, requests,
    unimplemented, unknown_method,
};
pub use crate::client::{
    BidiStreaming, Call, CallReply, Client, ClientStreaming, ServerStreaming, Unary, ValueOf,
    ValueRecord, forward, forward_both, reply_of,
};
pub use crate::stream::{Owner, Stream, Streaming, owned, send_replies};
pub use crate::worker::blocking;
pub use mdp_call::status::Status;
