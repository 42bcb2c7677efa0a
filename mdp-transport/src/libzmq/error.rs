//! Converts libzmq's errors into the seam's errors. This code runs only when an operation fails.

use std::fmt;
use std::io;

use crate::error::{FORKED, Operation, Said, SocketError, Unsent};

const TOO_MANY: &str = "libzmq allows 1,023 sockets in a context, and the system so many open files: close some, take another \
                        `Context` for the others, or raise `ulimit -n`";

/// libzmq's number for an error.
#[derive(Debug)]
struct Cause(i32);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "libzmq's error {}", self.0)
    }
}

impl std::error::Error for Cause {}

#[cold]
fn error(operation: Operation, endpoint: Option<&str>, found: zmq::Error) -> SocketError {
    let kind = match found {
        // The operating system does not have these errors.
        zmq::Error::EFSM
        | zmq::Error::ENOCOMPATPROTO
        | zmq::Error::ETERM
        | zmq::Error::EMTHREAD => io::ErrorKind::Other,
        // The error for an interface that does not exist.
        zmq::Error::ENODEV => io::ErrorKind::AddrNotAvailable,
        found => io::Error::from_raw_os_error(found.to_raw()).kind(),
    };
    let advice = match (operation, found) {
        (_, zmq::Error::EMFILE) => Some(TOO_MANY),
        // Only `Context::socket` returns this error.
        (Operation::Open, zmq::Error::ENOTSUP) => Some(FORKED),
        _ => None,
    };
    let cause = Some(Cause(found.to_raw()).into());
    let message = found.message().into();
    SocketError::new(operation, endpoint, Said { kind, message, advice, cause })
}

/// The error when a socket could not be made or configured.
#[cold]
pub(super) fn opening(found: zmq::Error) -> SocketError {
    error(Operation::Open, None, found)
}

/// The error when an endpoint could not be bound.
pub(super) fn binding(endpoint: &str) -> impl Fn(zmq::Error) -> SocketError + '_ {
    move |found| error(Operation::Bind, Some(endpoint), found)
}

/// The error when a socket could not connect to an endpoint.
pub(super) fn connecting(endpoint: &str) -> impl Fn(zmq::Error) -> SocketError + '_ {
    move |found| error(Operation::Connect, Some(endpoint), found)
}

/// The error when the ZAP handler could not be started.
#[cold]
pub(super) fn admitting(found: zmq::Error) -> SocketError {
    match error(Operation::Open, None, found) {
        forked if found == zmq::Error::ENOTSUP => forked,
        _ => error(Operation::Admit, None, found),
    }
}

/// The error when an operation on a socket failed.
#[cold]
pub(super) fn failed(found: zmq::Error) -> SocketError {
    error(Operation::Use, None, found)
}

/// The error when a message was not sent to a peer.
#[cold]
pub(super) fn unsent(found: zmq::Error) -> Unsent {
    match found {
        zmq::Error::EHOSTUNREACH => Unsent::Gone,
        zmq::Error::EAGAIN => Unsent::Full,
        other => Unsent::Failed(other.message()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn what_libzmq_says_is_told_in_the_systems_words() {
        let taken = binding("tcp://a:1")(zmq::Error::EADDRINUSE);
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        assert_eq!(taken.endpoint(), Some("tcp://a:1"));
        let source = std::error::Error::source(&taken).map(ToString::to_string);
        assert!(source.is_some_and(|text| text.starts_with("libzmq's error ")));
        assert_eq!(failed(zmq::Error::ETERM).kind(), ErrorKind::Other);
        let many = opening(zmq::Error::EMFILE).to_string();
        assert!(many.contains("1,023") && many.contains("ulimit"), "{many}");
        for forked in [opening(zmq::Error::ENOTSUP), admitting(zmq::Error::ENOTSUP)] {
            assert!(forked.to_string().contains("make one in the child"), "{forked}");
        }
        let other = admitting(zmq::Error::EADDRINUSE).to_string();
        assert!(other.contains("a `Context` of its own"), "{other}");
    }

    #[test]
    fn a_peer_that_is_gone_is_not_one_that_is_full() {
        assert_eq!(unsent(zmq::Error::EHOSTUNREACH), Unsent::Gone);
        assert_eq!(unsent(zmq::Error::EAGAIN), Unsent::Full);
        assert!(matches!(unsent(zmq::Error::ETERM), Unsent::Failed(_)));
    }
}
