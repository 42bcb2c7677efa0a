//! Calls of methods that a program learns about at run time: for tools and gateways, which use schemas instead of
//! generated code.
//!
//! ```
//! # use mdp_runtime::{MdpRecord, Status, mdp_service};
//! # #[derive(MdpRecord, Clone, Debug, PartialEq)]
//! # pub struct Greeting { #[mdp(1)] pub text: String }
//! # #[mdp_service(package = "greet.v1")]
//! # pub trait Greeter { async fn greet(&self, req: Greeting) -> Result<Greeting, Status>; }
//! # struct Polite;
//! # impl Greeter for Polite {
//! #     async fn greet(&self, req: Greeting) -> Result<Greeting, Status> { Ok(req) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mdp_runtime::CallKind;
//! use mdp_runtime::dynamic::{self, Method};
//! # let broker = mdp_runtime::Broker::builder().bind("tcp://127.0.0.1:*").start()?;
//! # let endpoint = &broker.endpoints()[0];
//! # let worker = mdp_runtime::Worker::builder().connect(endpoint).serve(GreeterWorker::new(Polite)).start()?;
//! # let client = mdp_runtime::Client::connect(endpoint).await?;
//!
//! // What the service is, as its worker says.
//! let schema = dynamic::schema(&client, "greet.v1.Greeter").await?;
//! assert_eq!(schema.descriptors().file[0].service[0].method[0].name(), "Greet");
//!
//! // An encoded message there, and one back.
//! let greet = Method::in_schema(&schema, "greet.v1.Greeter/Greet")?;
//! assert_eq!(greet.kind(), CallKind::Unary);
//! let reply = greet.call(&client, b"\x0a\x02hi".as_slice().into()).await?;
//! assert_eq!(&*reply.0, b"\x0a\x02hi");
//! # Ok(())
//! # }
//! ```

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::names::{self, NameError};
use mdp_protocol::wire::CallKind;
use mdp_schema::Schema;

pub use crate::call::Encoded;
use crate::call::{Idempotency, MethodSpec};
use crate::client::{BidiStreaming, Call, Client, ClientStreaming, ServerStreaming};
use mdp_call::status::Status;

/// The method of each service with which a worker returns the service's schema (wire.md R99). No protobuf name starts
/// with `-`.
pub(crate) const SCHEMA: &str = "-schema";

/// The method of each service with which a worker shows that it is alive (wire.md R99).
pub(crate) const PING: &str = "-ping";

/// The maximum number of methods that a program may make: each stays in memory permanently.
const MAX_METHODS: usize = 65_536;

/// A method, identified by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(&'static MethodSpec);

/// Why [`Method`] cannot be made from a path: the path is wrong, the schema has no such service or method, or the program
/// has made too many. No call was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// The path is not `package.Service/Method`.
    #[error("`{path}` is not the path of a method; write it like `auth.v1.Auth/Login`")]
    Path {
        /// The path.
        path: String,
        /// The problem with the path.
        source: NameError,
    },
    /// The schema does not have the service.
    #[error("the schema has no service {service}")]
    NoService {
        /// The service.
        service: String,
    },
    /// The service does not have the method.
    #[error("{service} has no method {method}; it has {}", .others.join(", "))]
    NoMethod {
        /// The service.
        service: String,
        /// The method.
        method: String,
        /// The names of the service's methods.
        others: Vec<String>,
    },
    /// The program has made too many methods.
    #[error(
        "a program can use at most {MAX_METHODS} methods, and this program has reached the limit"
    )]
    TooMany,
}

impl Method {
    /// Makes a handle for a method that is known only at run time, from its path `package.Service/Method` and its kind.
    /// The options of a schema (idempotency, `timeout_ms`, `retry_attempts`) do not apply, so the broker does not
    /// repeat the method's calls; see [`in_schema`](Self::in_schema) and [`with_idempotency`](Self::with_idempotency).
    /// Equal handles share their memory, which is never freed. A process can have 65,536 handles: do not make them from
    /// names that a peer chooses.
    ///
    /// # Errors
    ///
    /// The path is invalid, or there are 65,536 methods already.
    pub fn new(path: &str, kind: CallKind) -> Result<Self, MethodError> {
        Self::of(path, kind, Idempotency::Unknown)
    }

    /// Makes a handle for the method with this path, with the kind and the idempotency of the schema. As with generated
    /// code, the broker moves calls of an idempotent method from a lost worker to another.
    ///
    /// # Errors
    ///
    /// The path is invalid, the schema does not have the method, or there are 65,536 methods already.
    pub fn in_schema(schema: &Schema, path: &str) -> Result<Self, MethodError> {
        let wrong = |source| MethodError::Path { path: path.to_owned(), source };
        let (service, name) = names::split(path).map_err(wrong)?;
        let files = schema.descriptors().file.iter();
        let mut services = files.flat_map(|file| {
            let package = file.package();
            let full_name = move |name: &str| match package {
                "" => name.to_owned(),
                package => format!("{package}.{name}"),
            };
            file.service.iter().filter(move |found| full_name(found.name()) == service)
        });
        let found = services.next();
        let found = found.ok_or_else(|| MethodError::NoService { service: service.to_owned() })?;
        let method = found.method.iter().find(|method| method.name() == name);
        let method = method.ok_or_else(|| MethodError::NoMethod {
            service: service.to_owned(),
            method: name.to_owned(),
            others: found.method.iter().map(|method| method.name().to_owned()).collect(),
        })?;
        let kind = CallKind::new(method.client_streaming(), method.server_streaming());
        // These are the numbers of protobuf's `IdempotencyLevel`.
        let level = method.options.as_ref().and_then(|options| options.idempotency_level);
        let idempotency = match level {
            Some(1) => Idempotency::NoSideEffects,
            Some(2) => Idempotency::Idempotent,
            _ => Idempotency::Unknown,
        };
        Self::of(path, kind, idempotency)
    }

    /// Returns the same method with this idempotency.
    ///
    /// # Errors
    ///
    /// There are 65,536 methods already.
    pub fn with_idempotency(self, idempotency: Idempotency) -> Result<Self, MethodError> {
        Self::of(self.0.path, self.0.kind, idempotency)
    }

    fn of(path: &str, kind: CallKind, idempotency: Idempotency) -> Result<Self, MethodError> {
        static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
        let wrong = |source| MethodError::Path { path: path.to_owned(), source };
        names::check(path.as_bytes()).map_err(wrong)?;
        names::split(path).map_err(wrong)?;
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        let key = (path.to_owned(), kind, idempotency);
        if let Some(found) = known.get(&key) {
            return Ok(Method(found));
        }
        if known.len() >= MAX_METHODS {
            return Err(MethodError::TooMany);
        }
        let text: &'static str = Box::leak(Box::from(path));
        let spec = MethodSpec::new(text, kind).with_idempotency(idempotency);
        let spec: &'static MethodSpec = Box::leak(Box::new(spec));
        known.insert(key, spec);
        Ok(Method(spec))
    }

    /// Returns the path.
    pub fn path(&self) -> &'static str {
        self.0.path
    }

    /// Returns the kind: whether requests, replies or both stream.
    pub fn kind(&self) -> CallKind {
        self.0.kind
    }

    /// Returns the method's idempotency, as far as it is known.
    pub fn idempotency(&self) -> Idempotency {
        self.0.idempotency
    }

    /// Makes a call with one request and one reply. A method of another kind ends the call with UNIMPLEMENTED.
    pub fn call(&self, client: &Client, request: Bytes) -> Call<Encoded> {
        Call::new(client, self.0, &Encoded(request))
    }

    /// Makes a call with one request and a stream of replies.
    pub fn server_streaming(
        &self,
        client: &Client,
        request: Bytes,
    ) -> Call<Encoded, ServerStreaming> {
        Call::server_streaming(client, self.0, &Encoded(request))
    }

    /// Makes a call with a stream of requests and one reply.
    pub fn client_streaming(&self, client: &Client) -> Call<Encoded, ClientStreaming<Encoded>> {
        Call::client_streaming(client, self.0)
    }

    /// Makes a call with streams in both directions.
    pub fn bidi_streaming(&self, client: &Client) -> Call<Encoded, BidiStreaming<Encoded>> {
        Call::bidi_streaming(client, self.0)
    }
}

type Known = HashMap<(String, CallKind, Idempotency), &'static MethodSpec>;

/// Checks that a worker of a service, or the worker with this id, is alive. The ping travels like a call, but no
/// handler sees it. If the broker has a policy, the caller needs the right to call the service.
///
/// # Errors
///
/// The status with which the ping failed: UNAVAILABLE if there is no such worker, UNIMPLEMENTED from a worker of an
/// older version, INVALID_ARGUMENT if the service's name is invalid.
pub async fn ping(
    client: &Client,
    service: &str,
    worker: Option<&str>,
    timeout: Duration,
) -> Result<(), Status> {
    let path = format!("{service}/{PING}");
    let method = Method::new(&path, CallKind::Unary)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let call = method.call(client, Bytes::new()).timeout(timeout);
    match worker {
        Some(id) => call.to_worker(id).await.map(drop),
        None => call.idempotent().await.map(drop),
    }
}

/// Returns the schema of a service, as reported by one of the service's workers. If the broker has a policy, the caller
/// needs the right to call the service.
///
/// # Errors
///
/// The status with which the call failed: UNIMPLEMENTED from a worker that has no schema or [does not return
/// it](crate::WorkerBuilder::reflection), INTERNAL if the reply is not a schema.
pub async fn schema(client: &Client, service: &str) -> Result<Schema, Status> {
    let path = format!("{service}/{SCHEMA}");
    let method = Method::new(&path, CallKind::Unary)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let Encoded(bytes) = method.call(client, Bytes::new()).idempotent().await?;
    Schema::from_bytes(None, &bytes).map_err(|error| {
        Status::internal(format!("the schema of {service} cannot be read: {error}"))
    })
}
