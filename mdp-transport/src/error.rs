//! Errors of sockets.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// A socket could not be made, bound or connected, or it failed.
///
/// `Display` shows the operation that failed, the endpoint, the system's message and, if known, the remedy. The error
/// of the socket layer is the [`source`](Error::source); its type is not part of the public interface.
///
/// ```
/// use std::io::ErrorKind;
///
/// use mdp_runtime::{BindError, Broker};
///
/// let first = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
/// let endpoint = first.endpoints()[0].clone();
/// match Broker::builder().bind(&endpoint).start().unwrap_err() {
///     BindError::Bind(error) => {
///         assert_eq!(error.kind(), ErrorKind::AddrInUse);
///         assert_eq!(error.endpoint(), Some(&*endpoint));
///     }
///     other => panic!("{other}"),
/// }
/// # Ok::<(), BindError>(())
/// ```
#[derive(Clone)]
pub struct SocketError(Arc<Inner>);

struct Inner {
    operation: Operation,
    endpoint: Option<String>,
    said: Said,
}

/// The report of the socket layer.
pub(crate) struct Said {
    pub(crate) kind: ErrorKind,
    /// The system's message.
    pub(crate) message: Cow<'static, str>,
    /// The remedy, if it differs from the usual remedy for the operation.
    pub(crate) advice: Option<&'static str>,
    pub(crate) cause: Option<Box<dyn Error + Send + Sync>>,
}

/// The reason why keys cannot be checked.
#[derive(Debug)]
pub enum NoHandler {
    /// The socket of libzmq's handler failed.
    Socket(SocketError),
    /// The thread of libzmq's handler could not be started.
    Thread(io::Error),
}

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Making and configuring a socket.
    Open,
    Bind,
    Connect,
    /// Starting the handler that decides which keys may connect.
    #[cfg_attr(not(feature = "zmq"), allow(dead_code))]
    Admit,
    /// Sending, receiving and waiting.
    Use,
}

impl SocketError {
    pub(crate) fn new(operation: Operation, endpoint: Option<&str>, said: Said) -> Self {
        let advice = said.advice.or_else(|| operation.advice(said.kind));
        let (endpoint, said) = (endpoint.map(str::to_owned), Said { advice, ..said });
        SocketError(Arc::new(Inner { operation, endpoint, said }))
    }

    /// The error when the operating system failed an operation.
    #[cold]
    pub(crate) fn of_system(
        operation: Operation,
        endpoint: Option<&str>,
        error: io::Error,
    ) -> Self {
        let (kind, number) = (error.kind(), error.raw_os_error());
        let mut message = error.to_string();
        if let Some(number) = number {
            // The number says nothing to a reader.
            let cut = message.strip_suffix(&format!(" (os error {number})")).map(str::len);
            message.truncate(cut.unwrap_or(message.len()));
        }
        let advice = too_many_files(number);
        let said = Said { kind, message: message.into(), advice, cause: Some(error.into()) };
        SocketError::new(operation, endpoint, said)
    }

    /// The error for a part, such as a waker, that is for the sockets of the other transport.
    #[cold]
    pub(crate) fn of_other_transport(part: &str) -> Self {
        let message = format!("the {part} is not for sockets of this transport").into();
        let said = Said { kind: ErrorKind::InvalidInput, message, advice: None, cause: None };
        SocketError::new(Operation::Open, None, said)
    }

    /// The error for a context in a child of its process.
    #[cold]
    pub(crate) fn forked() -> Self {
        let message = "Operation not supported".into();
        let kind = ErrorKind::Unsupported;
        let said = Said { kind, message, advice: Some(FORKED), cause: None };
        SocketError::new(Operation::Open, None, said)
    }

    /// The error for an endpoint number that does not exist.
    pub fn no_endpoint() -> Self {
        let message = "there is no endpoint of this number".into();
        let said = Said { kind: ErrorKind::InvalidInput, message, advice: None, cause: None };
        SocketError::new(Operation::Connect, None, said)
    }

    /// Returns the endpoint that could not be bound or connected to. `None`: the error is not about an endpoint.
    pub fn endpoint(&self) -> Option<&str> {
        self.0.endpoint.as_deref()
    }

    /// Returns the kind of the system's error; [`ErrorKind::Other`] for an error of the socket layer itself.
    pub fn kind(&self) -> ErrorKind {
        self.0.said.kind
    }

    /// Returns the system's message.
    pub fn message(&self) -> &str {
        &self.0.said.message
    }

    /// Returns the remedy, if it is known.
    pub fn advice(&self) -> Option<&str> {
        self.0.said.advice
    }
}

/// The remedy when the process has too many open files.
fn too_many_files(number: Option<i32>) -> Option<&'static str> {
    let too_many = number.is_some_and(|number| [libc::EMFILE, libc::ENFILE].contains(&number));
    too_many.then_some("close some sockets, or raise `ulimit -n`")
}

impl Operation {
    /// The remedies for the most frequent errors.
    fn advice(self, kind: ErrorKind) -> Option<&'static str> {
        match (self, kind) {
            (Operation::Bind, ErrorKind::AddrInUse) => {
                Some("another socket listens there; close it, or bind another endpoint")
            }
            (Operation::Bind, ErrorKind::AddrNotAvailable) => Some(
                "this machine does not have the address; bind one that it has, or `*` for all of them",
            ),
            (Operation::Bind, ErrorKind::PermissionDenied) => Some(
                "this user may not bind it; use a port above 1023, or a folder that the user can write to",
            ),
            (Operation::Bind, ErrorKind::NotFound) => {
                Some("the folder for the socket's file does not exist; create it first")
            }
            (Operation::Admit, ErrorKind::AddrInUse) => Some(
                "this `Context` has a ZAP handler of another library; use a `Context` of its own",
            ),
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Open => "could not set up a socket",
            Operation::Bind => "could not bind",
            Operation::Connect => "could not connect to",
            Operation::Admit => "could not start the handler that decides which keys may connect",
            Operation::Use => "the socket failed",
        })
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, endpoint, said: Said { message, advice, .. } } = &*self.0;
        match endpoint {
            Some(endpoint) => write!(f, "{operation} `{endpoint}`: {message}")?,
            None => write!(f, "{operation}: {message}")?,
        }
        match advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, endpoint, said: Said { kind, message, advice, .. } } = &*self.0;
        f.debug_struct("SocketError")
            .field("operation", operation)
            .field("endpoint", endpoint)
            .field("kind", kind)
            .field("message", message)
            .field("advice", advice)
            .finish_non_exhaustive()
    }
}

impl Error for SocketError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.said.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

/// Two errors are equal if they have the same operation, kind, message and endpoint.
impl PartialEq for SocketError {
    fn eq(&self, other: &Self) -> bool {
        let said = |error: &Self| (error.0.operation, error.0.said.kind);
        said(self) == said(other)
            && self.message() == other.message()
            && self.endpoint() == other.endpoint()
    }
}

impl Eq for SocketError {}

pub(crate) const FORKED: &str = "the `Context` was made before the process was forked, and works only in the parent; make one in the child";

/// The reason why a message was not sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// No peer has this routing id.
    Gone,
    /// The peer's queue is full.
    Full,
    /// Another error, with the system's message.
    Failed(&'static str),
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsent::Gone => "the peer is gone",
            Unsent::Full => "the peer's queue is full",
            Unsent::Failed(message) => message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "tcp://127.0.0.1:5555";

    fn taken(advice: Option<&'static str>, caused: bool) -> SocketError {
        let cause = caused.then(|| fmt::Error.into());
        let message = "Address already in use".into();
        let said = Said { kind: ErrorKind::AddrInUse, message, advice, cause };
        SocketError::new(Operation::Bind, Some(ENDPOINT), said)
    }

    #[test]
    fn an_error_says_what_failed_where_why_and_what_to_do() {
        let error = taken(None, true);
        assert_eq!(
            error.to_string(),
            "could not bind `tcp://127.0.0.1:5555`: Address already in use; \
             another socket listens there; close it, or bind another endpoint"
        );
        assert_eq!((error.endpoint(), error.kind()), (Some(ENDPOINT), ErrorKind::AddrInUse));
        assert_eq!(error.message(), "Address already in use");
        assert!(error.advice().is_some_and(|advice| advice.contains("close it")));
        assert_eq!(error.source().map(ToString::to_string), Some(fmt::Error.to_string()));
        assert!(taken(Some("wait"), false).to_string().ends_with("in use; wait"));
    }

    #[test]
    fn errors_that_say_the_same_are_equal() {
        assert_eq!(taken(None, true), taken(None, false));
        assert_eq!(taken(None, true).clone(), taken(None, true));
        assert_ne!(taken(None, false), SocketError::no_endpoint());
        assert!(SocketError::no_endpoint().source().is_none());
    }
}
