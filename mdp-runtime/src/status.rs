//! How a call fails: a code, a sentence, details for programs.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
pub use mdp_protocol::Code;
use mdp_protocol::Refusal;

use crate::codec::{self, notes};
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

/// The call that a status first ended, where a handler, an interceptor or a hook handed it on as the
/// end of another call. See [`Status::source_call`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceCall {
    /// The path of its method.
    pub method: String,
    /// The toolkit's reason for its failure, as [`Status::reason`] has it.
    pub reason: Option<String>,
    /// Whether it is certain that no handler was started for it.
    pub not_started: bool,
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
    /// [`source_call`](Self::source_call) names what it hands on.
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
    /// `NOT_DISPATCHED`, `MAYBE_EXECUTED`, `DEADLINE_EXCEEDED`, `CANCELLED`, `LIMIT_REACHED`, `OVERLOADED` or
    /// `BAD_REQUEST`. `None` where a handler ended the call, also with the status of a call of its own:
    /// the reason for that is in [`source_call`](Self::source_call).
    pub fn reason(&self) -> Option<String> {
        self.inner.details.iter().find_map(codec::reason_of)
    }

    /// The call that ended with this status first. `None` unless a handler handed on the status of a call of
    /// its own (with `?`), or an interceptor or a hook did. Where a status passed through several handlers, this is
    /// the innermost call. If the toolkit ended that call, its method also stands before the
    /// [message](Self::message); a message of a handler's stays as it is.
    ///
    /// It says what the handler's worker says, and is not evidence: [`not_started`](Self::not_started) and
    /// [`reason`](Self::reason) are about the call itself.
    pub fn source_call(&self) -> Option<SourceCall> {
        self.inner.details.iter().find_map(notes::source_of)
    }

    /// Whether the status was too large for the wire: its text was cut, or details or metadata were left out. The code
    /// stays, whatever the size.
    pub fn is_truncated(&self) -> bool {
        self.inner.details.iter().any(notes::is_truncation)
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

    /// The end of a call of this method. A status that has a method already is another call's.
    pub(crate) fn with_method(self, method: &str) -> Self {
        let mut status = self.handed_on();
        status.inner.method = Some(Arc::from(method));
        status
    }

    /// The status as the end of the call during which it came up. If it ended another call, what is true of
    /// that one only becomes its [`source_call`](Self::source_call); what came beside it is left behind.
    pub(crate) fn handed_on(mut self) -> Self {
        let Some(method) = self.inner.method.take() else { return self };
        let inner = &mut *self.inner;
        let reason = inner.details.iter().find_map(codec::reason_of);
        let of_toolkit = reason.is_some();
        let not_started = std::mem::take(&mut inner.not_started);
        inner.metadata = Metadata::new();
        inner.details.retain(|detail| codec::reason_of(detail).is_none());
        if !inner.details.iter().any(|detail| notes::source_of(detail).is_some()) {
            let source = SourceCall { method: method.to_string(), reason, not_started };
            inner.details.insert(0, notes::source_detail(&source));
        }
        if of_toolkit {
            // The toolkit's text is about that call; a handler's is its own, and may be meant for users.
            inner.message = format!("{method}: {}", inner.message);
        }
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
        match self.source_call() {
            Some(source) if !self.inner.message.starts_with(&source.method) => {
                write!(f, " (from {})", source.method)
            }
            _ => Ok(()),
        }
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
