//! Services and methods.

use super::{Comments, CustomOption, Place, full_name};

/// One service.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Service {
    /// The package, for instance `auth.v1`. Empty: no package.
    pub package: String,
    /// The name on the wire, without the package: `Auth`.
    pub name: String,
    /// The comments.
    pub comments: Comments,
    /// Whether the service is deprecated, and why. Its methods are deprecated with it.
    pub deprecated: Option<Deprecated>,
    /// Custom options of the service.
    pub options: Vec<CustomOption>,
    /// The methods in the order of their declaration, which is also the order of their numbers.
    pub methods: Vec<Method>,
    /// The place of the declaration. `None`: not known, or in Rust.
    pub place: Option<Place>,
}

impl Service {
    /// A service without methods.
    pub fn new(package: impl Into<String>, name: impl Into<String>) -> Self {
        Self { package: package.into(), name: name.into(), ..Self::default() }
    }

    /// The name on the wire with its package: `auth.v1.Auth`.
    pub fn full_name(&self) -> String {
        full_name(&self.package, &self.name)
    }

    /// The path of a method on the wire: `auth.v1.Auth/Login`.
    pub fn path(&self, method: &Method) -> String {
        format!("{}/{}", self.full_name(), method.name)
    }
}

/// One method of a service.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Method {
    /// The name on the wire: `WhoAmI`.
    pub name: String,
    /// The comments.
    pub comments: Comments,
    /// Whether a method has one message or many in each direction.
    pub shape: Shape,
    /// The full name of the request's message: `auth.v1.LoginRequest`. Empty: not known, because the service is
    /// declared in Rust, where a macro sees types and not their messages.
    pub input: String,
    /// The full name of the reply's message. Empty: as above.
    pub output: String,
    /// The effect of a second execution of the same call.
    pub idempotency: Idempotency,
    /// The time in milliseconds that a caller waits unless it sets another one. `None`: the client's default.
    pub timeout_ms: Option<u32>,
    /// The number of attempts of a call, the first one included, where a retry is safe. `None`: the client's default.
    pub retry_attempts: Option<u8>,
    /// Whether the handler blocks its thread.
    pub blocking: bool,
    /// The fate of a handler whose call is over first.
    pub on_cancel: OnCancel,
    /// Whether the method itself is deprecated, and why.
    pub deprecated: Option<Deprecated>,
    /// Custom options of the method.
    pub options: Vec<CustomOption>,
    /// The place of the declaration. `None`: not known, or in Rust.
    pub place: Option<Place>,
}

impl Method {
    /// A method without options, whose messages are not known.
    pub fn new(name: impl Into<String>, shape: Shape) -> Self {
        Self {
            name: name.into(),
            comments: Comments::default(),
            shape,
            input: String::new(),
            output: String::new(),
            idempotency: Idempotency::default(),
            timeout_ms: None,
            retry_attempts: None,
            blocking: false,
            on_cancel: OnCancel::default(),
            deprecated: None,
            options: Vec::new(),
            place: None,
        }
    }
}

/// That a service or method is deprecated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Deprecated {
    /// What to do in its place. `None`: not said; a `.proto` file has no room for it.
    pub note: Option<String>,
}

impl Deprecated {
    /// With this note, or without one.
    pub fn new(note: Option<String>) -> Self {
        Self { note }
    }
}

/// Whether a method has one message or many in each direction.
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
