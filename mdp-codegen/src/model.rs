//! The plain data that both front ends produce, and that the checks and templates read.
//!
//! The model has no logic. A `.proto` file and a Rust trait that declare the same service become the same [`Service`].
//! One set of rules and one set of templates handle both.

use std::fmt;

use proc_macro2::{Ident, Span};
use syn::{Attribute, Type, Visibility};

/// All services of one generated Rust module, with the module names that other items use there.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The services, in the order of their declaration.
    pub services: Vec<Service>,
    /// Names of modules that exist next to the generated ones.
    pub taken: Vec<Taken>,
}

/// A module name that something other than a service occupies.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The name as it is written in Rust, such as `auth_client`.
    pub module: String,
    /// The item that uses it, as text for an error message: ``message `auth.v1.AuthClient` ``.
    pub by: String,
    /// The place of its declaration.
    pub origin: Origin,
}

/// One service.
///
/// [`names::service`](crate::names::service) gives the three Rust names; the stems must be valid beginnings of
/// identifiers.
#[derive(Clone, Debug)]
pub struct Service {
    /// The package, for instance `auth.v1`. Empty: no package.
    pub package: String,
    /// The name on the wire, without the package: `Auth`.
    pub name: String,
    /// The name of the worker trait: `Auth`.
    pub ident: Ident,
    /// The first part of the names of the generated types: `Auth`, as in `AuthClient`.
    pub type_stem: String,
    /// The first part of the names of the generated modules: `auth`, as in `auth_client`.
    pub module_stem: String,
    /// Lines of documentation, each without its `///`.
    pub docs: Vec<String>,
    /// `#[deprecated]`, with its note, if the service is deprecated.
    pub deprecated: Option<Attribute>,
    /// The visibility of the generated modules. Their content is public.
    pub visibility: Visibility,
    /// The conditions of the service: `#[cfg(..)]`.
    pub cfgs: Vec<Attribute>,
    /// Whether a method's type is a path that begins with a name next to the service, such as `records::Login`. The
    /// generated modules then import all names from there.
    pub needs_outer_names: bool,
    /// The methods in the order of their declaration, which is also the order of their numbers.
    pub methods: Vec<Method>,
    /// The user's attributes on the generated items.
    pub attributes: Attributes,
    /// The source of the service's schema in the generated code.
    pub schema: SchemaSource,
    /// The place of the service's declaration.
    pub origin: Origin,
}

impl Service {
    /// The name on the wire with its package: `auth.v1.Auth`.
    pub fn full_name(&self) -> String {
        if self.package.is_empty() {
            self.name.clone()
        } else {
            format!("{}.{}", self.package, self.name)
        }
    }

    /// The path of a method on the wire: `auth.v1.Auth/Login`.
    pub fn path(&self, method: &Method) -> String {
        format!("{}/{}", self.full_name(), method.name)
    }
}

/// One method of a service.
#[derive(Clone, Debug)]
pub struct Method {
    /// The name on the wire: `WhoAmI`.
    pub name: String,
    /// The name in Rust: `who_am_i`.
    pub ident: Ident,
    /// Lines of documentation, each without its `///`.
    pub docs: Vec<String>,
    /// The number of messages in each direction.
    pub shape: Shape,
    /// The effect of a second execution of the same call.
    pub idempotency: Idempotency,
    /// The time in milliseconds that a caller waits unless it sets another one. `None`: the client's default.
    pub timeout_ms: Option<u32>,
    /// The number of attempts of a call, the first one included, where a retry is safe. `None`: the client's default.
    pub retry_attempts: Option<u8>,
    /// Whether the handler blocks its thread. It is then a plain `fn`, which runs on a thread for blocking code.
    pub blocking: bool,
    /// The fate of a handler whose call is over first.
    pub on_cancel: OnCancel,
    /// `#[deprecated]`, with its note, if the method is deprecated.
    pub deprecated: Option<Attribute>,
    /// The conditions of the method: `#[cfg(..)]`. They do not change its number.
    pub cfgs: Vec<Attribute>,
    /// Whether the handler gets the call's context.
    pub takes_context: bool,
    /// Whether the client and the handler get a request. Without one an empty message is sent. Always `true` for a
    /// stream of requests.
    pub takes_request: bool,
    /// The type of the request, as the generated modules write it. `()`: no request.
    pub input: Type,
    /// The type of the reply, as the generated modules write it.
    pub output: Type,
    /// The place of the method's declaration.
    pub origin: Origin,
}

/// The source of a service's schema in the generated code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SchemaSource {
    /// An encoded `google.protobuf.FileDescriptorSet`, embedded in the generated code.
    Bytes(Vec<u8>),
    /// The types of requests and replies, which describe themselves.
    #[default]
    Described,
}

/// The number of messages in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One request, one reply.
    Unary,
    /// Many requests, one reply.
    ClientStreaming,
    /// One request, many replies.
    ServerStreaming,
    /// Many requests, many replies.
    BidiStreaming,
}

impl Shape {
    /// The shape of a method with many requests or one, and many replies or one.
    pub fn of(many_requests: bool, many_replies: bool) -> Self {
        match (many_requests, many_replies) {
            (false, false) => Self::Unary,
            (true, false) => Self::ClientStreaming,
            (false, true) => Self::ServerStreaming,
            (true, true) => Self::BidiStreaming,
        }
    }

    /// Whether the caller sends many requests.
    pub fn has_many_requests(self) -> bool {
        matches!(self, Self::ClientStreaming | Self::BidiStreaming)
    }

    /// Whether the worker sends many replies.
    pub fn has_many_replies(self) -> bool {
        matches!(self, Self::ServerStreaming | Self::BidiStreaming)
    }
}

/// The effect of a second execution of the same call. It decides whether a call may be sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Not declared: a second execution may have any effect.
    #[default]
    Unknown,
    /// The method only reads.
    NoSideEffects,
    /// A repetition leaves the same state as one execution.
    Idempotent,
}

/// The fate of a handler whose call is over first: cancelled, out of time, or its session lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnCancel {
    /// The handler is dropped.
    #[default]
    Cancel,
    /// The handler is notified, and runs to its end.
    Detach,
}

/// The user's attributes on the generated items of a service.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// On the client's struct.
    pub client: Vec<Attribute>,
    /// On the module around the client.
    pub client_mod: Vec<Attribute>,
    /// On the worker's struct.
    pub worker: Vec<Attribute>,
    /// On the module around the worker.
    pub worker_mod: Vec<Attribute>,
}

/// The place of a declaration, for errors.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In a `.proto` file.
    Proto {
        /// The file's name in `import`.
        file: String,
        /// The line, from 1. `None`: the descriptors have no source positions.
        line: Option<usize>,
    },
    /// In Rust source.
    Rust(Span),
}

/// `auth.proto:12`, or nothing for a place that a macro shows itself.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proto { file, line: Some(line) } => write!(f, "{file}:{line}"),
            Self::Proto { file, line: None } => f.write_str(file),
            Self::Rust(_) => Ok(()),
        }
    }
}
