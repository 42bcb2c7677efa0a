//! How a call fails: a code, a sentence, details for programs.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
pub use mdp_protocol::Code;
use mdp_protocol::Refusal;

use crate::codec;
use crate::metadata::Metadata;

/// The error of a call: one of gRPC's codes, a message for people, and details for programs.
///
/// ```
/// use mdp_runtime::{Code, Status};
/// let status = Status::unauthenticated("no password");
/// assert_eq!(status.code(), Code::Unauthenticated);
/// assert_eq!(status.to_string(), "UNAUTHENTICATED: no password");
/// ```
#[derive(Clone, PartialEq)]
pub struct Status {
    // One pointer wide, so that `Result<Reply, Status>` stays small.
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq)]
struct Inner {
    code: Code,
    message: String,
    details: Vec<Detail>,
    metadata: Metadata,
    not_started: bool,
    method: Option<Arc<str>>,
}

/// A `google.protobuf.Any`: a message of a type that its URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// `type.googleapis.com/` and the type's full name.
    pub type_url: String,
    /// The message, encoded.
    pub value: Bytes,
}

impl Status {
    /// A status with a code and a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::with_details(code, message, Vec::new())
    }

    /// A status with details.
    pub fn with_details(code: Code, message: impl Into<String>, details: Vec<Detail>) -> Self {
        Status {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                details,
                metadata: Metadata::new(),
                not_started: false,
                method: None,
            }),
        }
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// The message for people; may be empty.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The details for programs.
    pub fn details(&self) -> &[Detail] {
        &self.inner.details
    }

    /// What the worker sent beside the status. A handler that hands on the status of a call of its own
    /// (with `?`) does not hand on this: it was meant for the handler, not for its caller.
    pub fn metadata(&self) -> &Metadata {
        &self.inner.metadata
    }

    /// What to send beside the status.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.inner.metadata
    }

    /// Whether it is certain that no handler was started, so that making the call again is safe
    /// whatever the method does.
    pub fn not_started(&self) -> bool {
        self.inner.not_started
    }

    /// The path of the method that was called, where this is the outcome of a call.
    pub fn method(&self) -> Option<&str> {
        self.inner.method.as_deref()
    }

    /// The reason that the toolkit itself gives for a failure: `NO_SERVICE`, `NO_WORKER`,
    /// `NOT_DISPATCHED`, `MAYBE_EXECUTED`, `DEADLINE_EXCEEDED`, `CANCELLED`, `LIMIT_REACHED` or
    /// `BAD_REQUEST`. `None` where a handler ended the call.
    pub fn reason(&self) -> Option<String> {
        self.inner.details.iter().find_map(codec::reason_of)
    }

    pub(crate) fn with_any(mut self, detail: Detail) -> Self {
        self.inner.details.push(detail);
        self
    }

    pub(crate) fn with_not_started(mut self, not_started: bool) -> Self {
        self.inner.not_started = not_started;
        self
    }

    pub(crate) fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.inner.metadata = metadata;
        self
    }

    pub(crate) fn without_method(mut self) -> Self {
        self.inner.method = None;
        self
    }

    pub(crate) fn with_method(mut self, method: &str) -> Self {
        self.inner.method = Some(Arc::from(method));
        self
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident = $code:ident;)*) => {
        impl Status {
            $(
                $(#[$doc])*
                pub fn $name(message: impl Into<String>) -> Self {
                    Self::new(Code::$code, message)
                }
            )*
        }
    };
}

constructors! {
    /// The caller gave up.
    cancelled = Cancelled;
    /// An error of which no more is known.
    unknown = Unknown;
    /// The request is wrong whatever the state of the system.
    invalid_argument = InvalidArgument;
    /// The time ran out.
    deadline_exceeded = DeadlineExceeded;
    /// What was asked for does not exist.
    not_found = NotFound;
    /// What was to be made exists.
    already_exists = AlreadyExists;
    /// The caller is known and may not do this.
    permission_denied = PermissionDenied;
    /// A quota or a limit is used up.
    resource_exhausted = ResourceExhausted;
    /// The system is not in the state that the call needs.
    failed_precondition = FailedPrecondition;
    /// The call lost a race.
    aborted = Aborted;
    /// The request reaches past the valid range.
    out_of_range = OutOfRange;
    /// The method is not there.
    unimplemented = Unimplemented;
    /// An invariant is broken.
    internal = Internal;
    /// The service cannot be reached now.
    unavailable = Unavailable;
    /// Data is lost or damaged.
    data_loss = DataLoss;
    /// The caller is not known.
    unauthenticated = Unauthenticated;
}

impl From<&Refusal> for Status {
    fn from(refusal: &Refusal) -> Self {
        codec::status_of(refusal)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner.code)?;
        if let Some(method) = &self.inner.method {
            write!(f, ": {method}")?;
        }
        if !self.inner.message.is_empty() {
            write!(f, ": {}", self.inner.message)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("code", &self.inner.code)
            .field("message", &self.inner.message)
            .field("details", &self.inner.details)
            .field("metadata", &self.inner.metadata)
            .field("not_started", &self.inner.not_started)
            .field("method", &self.inner.method)
            .finish()
    }
}

impl std::error::Error for Status {}
