//! The errors of a broker that cannot start, and of one that stops.

use std::io;

use mdp_transport::security::CurveUnavailable;
use mdp_transport::{EndpointError, SocketError};

use crate::policy::PolicyError;

/// The error when a broker cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// An endpoint is invalid.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The error when an endpoint could not be bound.
    #[error(transparent)]
    Bind(SocketError),
    /// Other machines can reach the endpoint, and CURVE is off.
    #[error(
        "`{endpoint}` can be reached from other machines, and without CURVE anybody there may call, serve and listen; \
         switch CURVE on, bind to 127.0.0.1 or [::1], or say that it is to be insecure (`.insecure(true)`, `--insecure`)"
    )]
    Insecure {
        /// The endpoint.
        endpoint: String,
    },
    /// CURVE is required, but libzmq was built without it.
    #[error(transparent)]
    CurveUnavailable(#[from] CurveUnavailable),
    /// The handler that checks connecting keys could not be started.
    #[error(transparent)]
    Authenticator(SocketError),
    /// The socket could not be created or configured.
    #[error(transparent)]
    Socket(SocketError),
    /// The broker's thread could not be started.
    #[error("could not start the broker's thread")]
    Thread(#[source] io::Error),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// The error when a broker stops without being asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerFailure {
    /// The socket failed.
    #[error(transparent)]
    Socket(SocketError),
    /// The thread that checks connecting keys has ended. No new peer could connect any more.
    #[error("the handler of ZAP has ended, so nobody new could connect")]
    Authenticator,
    /// The broker's thread panicked.
    #[error("the broker's thread panicked; see the log")]
    Panicked,
    /// Another thread that the broker needs panicked: a thread that runs hooks, or the thread that watches the policy
    /// file.
    #[error("the thread `{name}` panicked, which the broker cannot do without; see the log")]
    Thread {
        /// The thread's name.
        name: &'static str,
    },
}

impl From<SocketError> for BindError {
    /// A socket error with an endpoint is about binding that endpoint.
    fn from(error: SocketError) -> Self {
        match error.endpoint() {
            Some(_) => BindError::Bind(error),
            None => BindError::Socket(error),
        }
    }
}
