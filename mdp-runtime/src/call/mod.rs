//! A call as users see it. Client, worker, interceptors, tools for tests and generated code stand on it.

mod channel;
mod context;
pub(crate) mod current;
mod permits;
mod refused;
mod request;
mod service;
mod streams;

pub use channel::Channel;
pub use context::CallContext;
pub use mdp_call::codec::record::{Encoded, TypedMessage, decode, encode};
pub use mdp_call::method::{Idempotency, MethodSpec, OnCancel, ServiceSpec};
pub use request::{Reply, Request};
pub use service::{
    AliasedResult, HandlerError, HandlerFuture, Service, handling, or_status, requests,
    unimplemented, unknown_method,
};
pub use streams::{Replies, Requests};

pub(crate) use channel::{Answering, AnyChannel, Boxed};
pub(crate) use permits::{Hold, NoPermit, Outlasts, ServiceHold, ServicePermits};
pub(crate) use refused::{expired, refused, without_streams};
pub(crate) use streams::streams_of;
