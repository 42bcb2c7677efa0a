//! The plain data that both front ends produce and that the checks and the templates read.
//!
//! Nothing here decides anything: a `.proto` file and a Rust trait that declare the same service become
//! the same [`Service`], and from there on there is one set of rules and one set of templates.

use std::fmt;

use proc_macro2::{Ident, Span};
use syn::{Attribute, Type, Visibility};

/// All services that end up in one generated Rust module, with the module names that others took there.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The services, in the order of their declaration.
    pub services: Vec<Service>,
    /// Names of modules that exist beside the generated ones.
    pub taken: Vec<Taken>,
}

/// A module name that something other than a service occupies.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The name as it is written in Rust, such as `auth_client`.
    pub module: String,
    /// Who took it, in words that fit an error message: ``message `auth.v1.AuthClient` ``.
    pub by: String,
    /// Where that was declared.
    pub origin: Origin,
}

/// One service.
///
/// [`names::service`](crate::names::service) gives the three Rust names; the stems must be the beginning of
/// an identifier.
#[derive(Clone, Debug)]
pub struct Service {
    /// The package, such as `auth.v1`; empty if there is none.
    pub package: String,
    /// The name on the wire, without the package: `Auth`.
    pub name: String,
    /// The name of the worker trait: `Auth`.
    pub ident: Ident,
    /// The first part of the names of the generated types: `Auth`, as in `AuthClient`.
    pub type_stem: String,
    /// The first part of the names of the generated modules: `auth`, as in `auth_client`.
    pub module_stem: String,
    /// Lines of documentation, each as it stands after `///`.
    pub docs: Vec<String>,
    /// `#[deprecated]`, with a note if it has one, if the service is marked as that.
    pub deprecated: Option<Attribute>,
    /// Who sees the generated modules; what is in them is public.
    pub visibility: Visibility,
    /// The conditions under which there is such a service: `#[cfg(..)]`.
    pub cfgs: Vec<Attribute>,
    /// Whether a method's type is a path that begins at a name beside the service, such as `records::Login`,
    /// so that the generated modules have to know all names from there.
    pub needs_outer_names: bool,
    /// The methods, in the order of their declaration, which is also the order of their numbers.
    pub methods: Vec<Method>,
    /// Attributes that the user wants on the generated items.
    pub attributes: Attributes,
    /// Where the generated code takes the service's schema from.
    pub schema: SchemaSource,
    /// Where the service was declared.
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
    /// Lines of documentation, each as it stands after `///`.
    pub docs: Vec<String>,
    /// How many messages travel in which direction.
    pub shape: Shape,
    /// What a second execution of the same call does.
    pub idempotency: Idempotency,
    /// How long a caller waits unless it says otherwise, in milliseconds; `None` leaves it to the client.
    pub timeout_ms: Option<u32>,
    /// How often a caller tries a call that fails, the first time included and where that is safe; `None` leaves it
    /// to the client.
    pub retry_attempts: Option<u8>,
    /// Whether the handler blocks its thread: a plain `fn`, which runs where that harms nobody.
    pub blocking: bool,
    /// What becomes of a handler whose call is over before it.
    pub on_cancel: OnCancel,
    /// `#[deprecated]`, with a note if it has one, if the method is marked as that.
    pub deprecated: Option<Attribute>,
    /// The conditions under which there is such a method: `#[cfg(..)]`. It keeps its number without them.
    pub cfgs: Vec<Attribute>,
    /// Whether the handler is given the call's context.
    pub takes_context: bool,
    /// Whether the client and the handler are given a request; without one an empty message travels. Always
    /// so where there are many.
    pub takes_request: bool,
    /// The request, as it is written inside the generated modules; `()` if there is none.
    pub input: Type,
    /// The reply, as it is written inside the generated modules.
    pub output: Type,
    /// Where the method was declared.
    pub origin: Origin,
}

/// Where the generated code takes a service's schema from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SchemaSource {
    /// An encoded `google.protobuf.FileDescriptorSet`, which is put into the generated code.
    Bytes(Vec<u8>),
    /// The types of requests and replies, which describe themselves.
    #[default]
    Described,
}

/// How many messages travel in which direction.
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

/// What a second execution of the same call does; it decides whether a call may be sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Nothing was declared, so the worst is assumed.
    #[default]
    Unknown,
    /// The method only reads.
    NoSideEffects,
    /// A repetition leaves the same state as one execution.
    Idempotent,
}

/// What becomes of a handler whose call is over before it: cancelled, out of time, or its session lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnCancel {
    /// It is dropped.
    #[default]
    Cancel,
    /// It is told, and runs to its end.
    Detach,
}

/// Attributes that the user wants on the generated items of a service.
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

/// Where something was declared; errors point there.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In a `.proto` file.
    Proto {
        /// The file's name, as `import` writes it.
        file: String,
        /// The line, from 1 on; `None` if the descriptors came without source positions.
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
