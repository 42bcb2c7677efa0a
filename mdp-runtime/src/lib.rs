//! Typed calls over the ZeroMQ Majordomo Protocol: broker, worker and client.
//!
//! A service is declared in a `.proto` file or as a Rust trait. From a `.proto` file, `mdp-codegen` makes a client and
//! a worker trait. A Rust trait has the attribute [`mdp_service`](macro@mdp_service), and its records derive
//! [`MdpRecord`](derive@MdpRecord). This crate carries the calls: protobuf over MDP/RPC, over tcp, ipc or inproc,
//! through a broker, to a pool of workers. Workers may come and go at any time.
//!
//! # A first service
//!
//! A broker, a worker and a client in one program. In production they are three programs; nothing else changes.
//!
//! ```
//! # #[cfg(feature = "macros")] mod all {
//! use mdp_runtime::prelude::*;
//!
//! #[derive(MdpRecord, Clone, Debug, PartialEq)]
//! pub struct GreetRequest {
//!     #[mdp(1)]
//!     pub name: String,
//! }
//!
//! #[derive(MdpRecord, Clone, Debug, PartialEq)]
//! pub struct GreetReply {
//!     #[mdp(1)]
//!     pub greeting: String,
//! }
//!
//! #[mdp_service(package = "greet.v1")]
//! pub trait Greeter {
//!     #[mdp(no_side_effects)]
//!     async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status>;
//! }
//!
//! struct Polite;
//!
//! impl Greeter for Polite {
//!     async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status> {
//!         if req.name.is_empty() {
//!             return Err(Status::invalid_argument("a name is missing"));
//!         }
//!         Ok(GreetReply { greeting: format!("Good day, {}.", req.name) })
//!     }
//! }
//!
//! #[tokio::main]
//! pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
//!     let endpoint = &broker.endpoints()[0];
//!     let _worker = Worker::builder().connect(endpoint).serve(GreeterWorker::new(Polite)).start()?;
//!
//!     let greeter = GreeterClient::new(Client::connect(endpoint).await?);
//!     let reply = greeter.greet(GreetRequest { name: "Ann".into() }).await?;
//!     assert_eq!(reply.greeting, "Good day, Ann.");
//!     Ok(())
//! }
//! # }
//! # #[cfg(feature = "macros")] fn main() { all::main().unwrap() }
//! # #[cfg(not(feature = "macros"))] fn main() {}
//! ```
//!
//! # Where to find what
//!
//! | | |
//! |---|---|
//! | [`Broker`] | queues calls, balances load, watches deadlines and heartbeats; stores nothing on disk |
//! | [`Worker`] | offers services, up to a maximum number of concurrent calls |
//! | [`Client`] | one connection for any number of calls and tasks; reconnects by itself |
//! | [`Call`] | the result of a generated method: add options, then `.await` it |
//! | [`Status`] | the error of a call, with gRPC's codes, a [reason](Status::reason) and [details] |
//! | [`CallContext`] | the context of a call at its handler |
//! | [`Streaming`], [`ReplySender`], [`RequestSender`] | the streams of a call |
//! | [`Interceptor`], [`RetryPolicy`], [`HedgePolicy`] | code around calls; retries and hedging |
//! | [`security`], [`Policy`], [`hooks`] | keys and encryption; the rights of peers; the operator's code in a broker |
//! | [`testing`] | a client and a service without a broker, test doubles, and a broker in one line |
//! | [`wkt`] | protobuf's well-known types: `Timestamp`, `Duration`, `Any` and others |
//! | [`dynamic`], [`Schema`] | calls of methods that are known only at run time; the description of a service |
//! | [`Dialect`], [`RawClient`], [`RawWorker`] | MDP/0.1 and MDP/0.2; requests and replies as plain frames |
//! | [`patterns`], [`Message`] | records over ZeroMQ's other sockets, without a broker; messages as stacks of frames |
//! | [`metrics`], `otel` | a broker's metrics for Prometheus; spans and metrics of calls for OpenTelemetry |
//! | [`blocking::Client`] | a client for programs without tokio |
//!
//! Workers and clients run on tokio. The broker has its own thread.
//!
//! # Features
//!
//! | feature | content | default |
//! |---|---|---|
//! | `broker` | [`Broker`], [`hooks`], [`Policy`], [`metrics`], [`testing::broker`] | yes |
//! | `macros` | `#[mdp_service]` and `#[derive(MdpRecord)]` | yes |
//! | `patterns` | [`patterns`], [`Message`] | yes |
//! | `zmq` | `Transport::Libzmq`; compiles libzmq, which is C++ | yes |
//! | `zstd` | `Compression::Zstd`; compiles a C library | no |
//! | `lz4` | `Compression::Lz4` | no |
//! | `tower` | tower layers around calls, and a client as a tower service | no |
//! | `chrono`, `time`, `uuid` | fields of the types of these crates; conversions of [`wkt`] | no |
//! | `opentelemetry` | the module `otel` | no |

pub mod blocking;
mod call;
mod classic;
mod client;
#[doc(hidden)]
pub mod codegen;
mod connection;
pub mod dynamic;
mod error;
mod intercept;
mod observe;
#[cfg(feature = "opentelemetry")]
pub mod otel;
mod peer;
mod retry;
mod secondary_map;
mod signal;
pub mod stream;
pub mod testing;
mod trace_context;
mod worker;

#[cfg(feature = "broker")]
#[doc(inline)]
pub use mdp_broker::{
    BindError, Broker, BrokerBuilder, BrokerFailure, BrokerReport, BrokerStats, Monitor, Policy,
    PolicyError, hooks, metrics,
};
#[doc(inline)]
pub use mdp_call::codec::details;
#[doc(inline)]
pub use mdp_call::compress::Compression;
#[doc(inline)]
pub use mdp_call::{Code, Detail, Extensions, Metadata, SourceCall, Status};
#[cfg(feature = "patterns")]
#[doc(inline)]
pub use mdp_patterns::{Message, MessageError, patterns};
pub use mdp_protocol::wire::{CallKind, DisconnectReason};
pub use mdp_protocol::{ConnectionState, Limit, Limits, LossCause};
pub use mdp_schema::{Schema, SchemaError};
#[doc(hidden)]
pub use mdp_transport::ends;
#[doc(inline)]
pub use mdp_transport::{Context, EndpointError, SocketError, Transport, security};

pub use call::{CallContext, Channel, Idempotency, Replies, Reply, Request, Requests};
pub use codegen::record_schema;
#[doc(inline)]
pub use codegen::wkt;

/// ```
/// use mdp_runtime::MdpRecord;
/// use mdp_runtime::codegen::prost::Message;
///
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// struct Login {
///     #[mdp(1)]
///     user: String,
///     #[mdp(2, sint32)]
///     utc_offset: Option<i32>,
/// }
///
/// let login = Login { user: "ann".into(), utc_offset: Some(-1) };
/// let bytes = login.encode_to_vec();
/// assert_eq!(bytes, [0x0a, 3, b'a', b'n', b'n', 0x10, 1]);
/// assert_eq!(Login::decode(bytes.as_slice())?, login);
/// # Ok::<(), mdp_runtime::codegen::prost::DecodeError>(())
/// ```
#[cfg(feature = "macros")]
pub use mdp_macros::MdpRecord;
/// Declares a service in Rust.
///
/// ```
/// # mod example {
/// use mdp_runtime::{CallContext, MdpRecord, Status, mdp_service};
///
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// pub struct GreetRequest {
///     #[mdp(1)]
///     pub name: String,
/// }
///
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// pub struct GreetReply {
///     #[mdp(1)]
///     pub greeting: String,
/// }
///
/// /// Knows how to greet.
/// #[mdp_service(package = "greet.v1")]
/// pub trait Greeter {
///     /// Greets one person.
///     #[mdp(no_side_effects, timeout_ms = 500)]
///     async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status>;
///
///     /// Whom it has greeted last.
///     async fn last(&self, cx: &CallContext) -> Result<GreetRequest, Status>;
/// }
///
/// struct Polite;
///
/// impl Greeter for Polite {
///     async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status> {
///         Ok(GreetReply { greeting: format!("Good day, {}.", req.name) })
///     }
///
///     async fn last(&self, _: &CallContext) -> Result<GreetRequest, Status> {
///         Err(Status::not_found("nobody yet"))
///     }
/// }
///
/// fn parts(client: mdp_runtime::Client) -> (GreeterClient, GreeterWorker<Polite>) {
///     (GreeterClient::new(client), GreeterWorker::new(Polite))
/// }
/// # }
/// ```
#[cfg(feature = "macros")]
pub use mdp_macros::mdp_service;

pub use classic::Dialect;
pub use classic::raw::{
    PendingReply, RawClient, RawClientBuilder, RawError, RawReply, RawWorker, RawWorkerBuilder,
    Replier, ReplyError,
};
pub use client::{
    BidiStreaming, Call, CallFuture, Client, ClientBuilder, ClientStreaming,
    DEFAULT_STREAM_TIMEOUT, DEFAULT_TIMEOUT, OpenFuture, Response, SendFuture, ServerStreaming,
    Unary,
};
pub use codegen::record::UnknownFields;
pub use error::{ConnectError, ServeError, WorkerFailure};
pub use intercept::{Interceptor, Next};
pub use retry::{HedgePolicy, RetryBudget, RetryPolicy};
pub use signal::{ShutdownSignals, shutdown_signal};
pub use stream::{
    Broadcaster, ReplySender, ReplyStream, RequestSender, Stream, Streaming, Subscription,
};
pub use worker::{Deferred, Responder, Worker, WorkerBuilder};

/// The names that most programs need: `use mdp_runtime::prelude::*;`.
///
/// ```
/// use mdp_runtime::prelude::*;
///
/// fn is_lost(status: &Status) -> bool {
///     status.code() == Code::Unavailable
/// }
/// ```
pub mod prelude {
    #[cfg(feature = "broker")]
    pub use crate::Broker;
    pub use crate::{
        CallContext, Client, Code, Interceptor, Metadata, ReplySender, RetryPolicy, Status,
        Streaming, Worker,
    };
    #[cfg(feature = "macros")]
    pub use crate::{MdpRecord, mdp_service};
}

/// The types for tower layers around calls, behind the feature `tower`. See [`Client::layer`] and
/// [`WorkerBuilder::layer`].
#[cfg(feature = "tower")]
pub mod tower {
    pub use crate::intercept::{BoxError, Onward, Stack};
}

/// Includes the code that `mdp-codegen` generated for a package, whose name stands as in the `.proto` file. Without a name:
/// for the files without a package.
///
/// ```ignore
/// mod pb { mdp_runtime::include_proto!("auth.v1"); }
/// mod rest { mdp_runtime::include_proto!(); }
/// ```
#[macro_export]
macro_rules! include_proto {
    () => {
        $crate::include_proto!("_");
    };
    ($package:tt) => {
        ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/", $package, ".rs"));
    };
}
