//! The error of a call: a code, a message, and details for programs.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

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
    // The status is one pointer wide, so that `Result<Reply, Status>` stays small.
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

/// A `google.protobuf.Any`: a message together with the URL of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// `type.googleapis.com/` and the type's full name.
    pub type_url: String,
    /// The encoded message.
    pub value: Bytes,
}

/// The call that first ended with a status which a handler, an interceptor or a hook then returned as the end of
/// another call. See [`Status::source_call`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceCall {
    /// The path of the call's method.
    pub method: String,
    /// The toolkit's reason for the failure, as in [`Status::reason`].
    pub reason: Option<String>,
    /// Whether it is certain that no handler was started for that call.
    pub not_started: bool,
}

impl Status {
    /// Makes a status with a code and a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::with_details(code, message, Vec::new())
    }

    /// Makes a status with a code, a message and details.
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

    /// Returns the code.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// Returns the message for people; may be empty.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns the details for programs.
    pub fn details(&self) -> &[Detail] {
        &self.inner.details
    }

    /// Returns the metadata that the worker sent with the status. A handler that returns the status of its own call
    /// (with `?`) does not pass this metadata on: the metadata was meant for the handler, not for the handler's caller.
    /// [`source_call`](Self::source_call) names the inner call.
    pub fn metadata(&self) -> &Metadata {
        &self.inner.metadata
    }

    /// Returns the metadata to send with the status.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.inner.metadata
    }

    /// Whether it is certain that no handler was started. Repeating the call is then safe for any method.
    pub fn not_started(&self) -> bool {
        self.inner.not_started
    }

    /// Returns the path of the called method, if this status is the outcome of a call.
    pub fn method(&self) -> Option<&str> {
        self.inner.method.as_deref()
    }

    /// Returns the reason that the toolkit gives for a failure: `NO_SERVICE`, `NO_WORKER`, `NOT_DISPATCHED`,
    /// `MAYBE_EXECUTED`, `DEADLINE_EXCEEDED`, `CANCELLED`, `LIMIT_REACHED`, `OVERLOADED`, `BAD_REQUEST`, `DENIED` or
    /// `DRAINING` (wire.md R62). `None` if a handler ended the call, even with the status of the handler's own call:
    /// [`source_call`](Self::source_call) has the reason for that.
    pub fn reason(&self) -> Option<String> {
        self.inner.details.iter().find_map(codec::reason_of)
    }

    /// Returns the call that first ended with this status. `None` unless a handler returned the status of its own call
    /// (with `?`), or an interceptor or a hook did so. If the status passed through several handlers, this is the
    /// innermost call. If the toolkit ended that call, the [message](Self::message) starts with that call's method; a
    /// handler's message stays unchanged.
    ///
    /// The handler's worker supplies this information, so it is not evidence: [`not_started`](Self::not_started) and
    /// [`reason`](Self::reason) are about the call itself.
    pub fn source_call(&self) -> Option<SourceCall> {
        self.inner.details.iter().find_map(notes::source_of)
    }

    /// Whether the status was too large for the wire: its text was cut, or details or metadata were left out. The code
    /// is always kept.
    pub fn is_truncated(&self) -> bool {
        self.inner.details.iter().any(notes::is_truncation)
    }

    #[doc(hidden)]
    pub fn with_any(mut self, detail: Detail) -> Self {
        self.inner.details.push(detail);
        self
    }

    #[doc(hidden)]
    pub fn with_not_started(mut self, not_started: bool) -> Self {
        self.inner.not_started = not_started;
        self
    }

    #[doc(hidden)]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.inner.metadata = metadata;
        self
    }

    #[doc(hidden)]
    pub fn without_method(mut self) -> Self {
        self.inner.method = None;
        self
    }

    /// The status as the end of a call of this method. If the status already has a method, it comes from another call.
    #[doc(hidden)]
    pub fn with_method(self, method: &str) -> Self {
        let mut status = self.handed_on();
        status.inner.method = Some(Arc::from(method));
        status
    }

    /// The status as the end of the call during which it occurred. If the status ended another call, the facts about
    /// that call are kept only as the [`source_call`](Self::source_call), and that call's metadata is dropped.
    #[doc(hidden)]
    pub fn handed_on(mut self) -> Self {
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
            // The toolkit's text is about that call; a handler's text stays unchanged, because it may be meant for
            // users.
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
    /// CANCELLED: the caller cancelled the call.
    cancelled = Cancelled;
    /// UNKNOWN: an error without further information.
    unknown = Unknown;
    /// INVALID_ARGUMENT: the request is wrong, regardless of the state of the system.
    invalid_argument = InvalidArgument;
    /// DEADLINE_EXCEEDED: the deadline passed.
    deadline_exceeded = DeadlineExceeded;
    /// NOT_FOUND: the requested thing does not exist.
    not_found = NotFound;
    /// ALREADY_EXISTS: the thing to be created already exists.
    already_exists = AlreadyExists;
    /// PERMISSION_DENIED: the caller is known, but not allowed to do this.
    permission_denied = PermissionDenied;
    /// RESOURCE_EXHAUSTED: a quota or a limit is used up.
    resource_exhausted = ResourceExhausted;
    /// FAILED_PRECONDITION: the system is not in the state that the call needs.
    failed_precondition = FailedPrecondition;
    /// ABORTED: the call conflicted with another one.
    aborted = Aborted;
    /// OUT_OF_RANGE: the request goes beyond the valid range.
    out_of_range = OutOfRange;
    /// UNIMPLEMENTED: the method does not exist.
    unimplemented = Unimplemented;
    /// INTERNAL: an invariant is broken.
    internal = Internal;
    /// UNAVAILABLE: the service cannot be reached now.
    unavailable = Unavailable;
    /// DATA_LOSS: data is lost or damaged.
    data_loss = DataLoss;
    /// UNAUTHENTICATED: the caller is not authenticated.
    unauthenticated = Unauthenticated;
}

impl Status {
    /// Makes a status of any error. The message is that of the error and of its sources, with `: ` between them.
    ///
    /// If the error is a status, or one is among its sources, that status is returned. The code of an `io::Error` is as
    /// in `From<io::Error>`. Any other error is UNKNOWN.
    ///
    /// The caller of the method sees the message: it must not have secrets.
    ///
    /// ```
    /// use mdp_runtime::{Code, Status};
    ///
    /// fn port(text: &str) -> Result<u16, Status> {
    ///     text.parse().map_err(Status::from_error)
    /// }
    ///
    /// let status = port("70000").unwrap_err();
    /// assert_eq!(status.code(), Code::Unknown);
    /// assert_eq!(status.message(), "number too large to fit in target type");
    /// ```
    pub fn from_error(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        of_error(&*error.into())
    }
}

/// The status of an error, by what it is and what its sources are.
fn of_error(error: &(dyn Error + 'static)) -> Status {
    let mut code = None;
    let mut message = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(status) = error.downcast_ref::<Status>() {
            return status.clone();
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // An `io::Error` made of a status has it inside, and not as its source.
            if let Some(status) = error.get_ref().and_then(|inner| inner.downcast_ref::<Status>()) {
                return status.clone();
            }
            code = code.or(Some(of_io(error.kind())));
        }
        let text = error.to_string();
        // Many errors repeat their source.
        if !message.ends_with(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
        next = error.source();
    }
    Status::new(code.unwrap_or(Code::Unknown), message)
}

/// The code for a failure of the handler's own input and output. What is missing or forbidden there says nothing of what
/// the caller asked for, so NOT_FOUND and PERMISSION_DENIED are for the handler to say.
fn of_io(kind: io::ErrorKind) -> Code {
    use io::ErrorKind as Kind;
    match kind {
        Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::NotConnected
        | Kind::BrokenPipe
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable => Code::Unavailable,
        Kind::TimedOut => Code::DeadlineExceeded,
        Kind::OutOfMemory | Kind::StorageFull | Kind::QuotaExceeded => Code::ResourceExhausted,
        _ => Code::Internal,
    }
}

/// For `?` in a handler: a lost connection is UNAVAILABLE, a time that is up DEADLINE_EXCEEDED, no more memory or space
/// RESOURCE_EXHAUSTED, all else INTERNAL. A status within the error is returned as it is.
///
/// The caller of the method sees the message.
///
/// ```
/// use mdp_runtime::{Code, Status};
///
/// fn read() -> Result<String, Status> {
///     Ok(std::fs::read_to_string("/no/such/file")?)
/// }
///
/// assert_eq!(read().unwrap_err().code(), Code::Internal);
/// ```
impl From<io::Error> for Status {
    fn from(error: io::Error) -> Self {
        of_error(&error)
    }
}

/// For `?` in a handler: as [`Status::from_error`].
impl From<Box<dyn Error + Send + Sync>> for Status {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        of_error(&*error)
    }
}

/// For `?` in a handler: as [`Status::from_error`].
impl From<Box<dyn Error>> for Status {
    fn from(error: Box<dyn Error>) -> Self {
        of_error(&*error)
    }
}

#[diagnostic::do_not_recommend]
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

impl Error for Status {}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::{fmt, io};

    use super::{Code, Status};

    /// An error with a source.
    #[derive(Debug)]
    struct Outer(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the store failed")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn the_code_of_an_io_error_never_speaks_of_what_the_caller_asked_for() {
        for (kind, code) in [
            (io::ErrorKind::NotFound, Code::Internal),
            (io::ErrorKind::PermissionDenied, Code::Internal),
            (io::ErrorKind::ConnectionRefused, Code::Unavailable),
            (io::ErrorKind::TimedOut, Code::DeadlineExceeded),
            (io::ErrorKind::StorageFull, Code::ResourceExhausted),
        ] {
            assert_eq!(Status::from(io::Error::from(kind)).code(), code, "of {kind:?}");
        }
    }

    #[test]
    fn sources_are_in_the_message_and_give_the_code() {
        let status = Status::from_error(Outer(Box::new(io::Error::from(io::ErrorKind::TimedOut))));
        assert_eq!(status.to_string(), "DEADLINE_EXCEEDED: the store failed: timed out");
        let status = Status::from_error(Outer("no reason".into()));
        assert_eq!(status.to_string(), "UNKNOWN: the store failed: no reason");
        assert_eq!(Status::from_error("a text").to_string(), "UNKNOWN: a text");
    }

    #[test]
    fn a_status_within_an_error_is_that_status() {
        let not_found = || Status::not_found("no such account");
        let boxed: Box<dyn Error> = Box::new(Outer(Box::new(not_found())));
        for status in [
            Status::from_error(not_found()),
            Status::from_error(Outer(Box::new(not_found()))),
            Status::from(io::Error::other(not_found())),
            Status::from(boxed),
        ] {
            assert_eq!(status, not_found());
        }
    }
}
