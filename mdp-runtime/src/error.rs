//! The errors that can occur before a call: one enum for each operation.

use std::io;
use std::time::Duration;

use mdp_protocol::LossCause;
use mdp_protocol::names::NameError;
use mdp_schema::SchemaError;

use mdp_transport::security::{CurveUnavailable, HandshakeFault};
use mdp_transport::{EndpointError, SocketError, Unusable};

/// The error when a client cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// An endpoint is invalid.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No broker answered in time.
    #[error("no broker answered within {within:?} at {}{}", endpoints.join(", "), last(cause))]
    NoBroker {
        /// The endpoints that were tried.
        endpoints: Vec<String>,
        /// How long the client waited.
        within: Duration,
        /// The last failure of a connection, if there was one.
        cause: Option<LossCause>,
    },
    /// The client's keys do not match those of the broker. Only clients with CURVE get this error; for others, such a
    /// broker does not answer.
    #[error("no secure connection to {endpoint}: {fault}")]
    Handshake {
        /// The first endpoint with this failure.
        endpoint: String,
        /// The last failure.
        fault: HandshakeFault,
    },
    /// CURVE is required, but libzmq was built without it.
    #[error(transparent)]
    CurveUnavailable(#[from] CurveUnavailable),
    /// The number of keys is neither one nor the number of endpoints.
    #[error(
        "{keys} public keys of brokers are given for {endpoints} endpoints; give one for each, or one for all"
    )]
    ServerKeys {
        /// The number of keys.
        keys: usize,
        /// The number of endpoints.
        endpoints: usize,
    },
    /// Several brokers at once are not possible: there are more than 64, or the dialect is classic MDP.
    #[error(
        "a client cannot have sessions with {brokers} brokers at once: there may be 64, and over classic MDP one; with \
         `connect` in place of `brokers` the endpoints are tried in turn"
    )]
    Brokers {
        /// The number of brokers.
        brokers: usize,
    },
    /// The id is invalid.
    #[error("the id `{id}` cannot be used")]
    Id {
        /// The id.
        id: String,
        /// The problem with the id.
        source: NameError,
    },
    /// The socket could not be created or configured.
    #[error(transparent)]
    Socket(SocketError),
    /// The thread of a client for programs without tokio could not be started.
    #[error("could not start the client's thread")]
    Thread(#[source] io::Error),
    /// The call would block the thread of async code.
    #[error(
        "`blocking::Client` would block the thread of async code until a broker answers; use `Client::connect(..).await`, \
         or make it within `spawn_blocking`"
    )]
    InAsyncCode,
    /// There is no tokio runtime to run on.
    #[error(
        "a client needs a tokio runtime with I/O and time enabled; call this within one, or use `blocking::Client`"
    )]
    NoTokio,
}

/// The error when a worker cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An endpoint is invalid.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The worker has no service.
    #[error("the worker has no service; give it one with `.serve(..)`")]
    NoService,
    /// A service is given twice.
    #[error("the service `{0}` is given twice")]
    Twice(String),
    /// An id or a service name is invalid.
    #[error("the name `{name}` cannot be used")]
    Name {
        /// The id or the service.
        name: String,
        /// The problem with the name.
        source: NameError,
    },
    /// Several brokers at once are not possible: there are more than 64, or the dialect is classic MDP.
    #[error(
        "a worker cannot have sessions with {brokers} brokers at once: there may be 64, and over classic MDP one; with \
         `connect` in place of `brokers` the endpoints are tried in turn"
    )]
    Brokers {
        /// The number of brokers.
        brokers: usize,
    },
    /// The capacity is zero, or more than the protocol can express.
    #[error("the capacity {0} is not between 1 and 65535")]
    Capacity(u32),
    /// Over classic MDP each concurrent request needs its own connection.
    #[error("{wanted} requests at once need as many sockets over classic MDP; {max} are allowed")]
    Sockets {
        /// The capacity of all services together.
        wanted: u32,
        /// The maximum.
        max: u32,
    },
    /// The record types of a service contradict each other.
    #[error("the schema of the service `{service}` cannot be used")]
    Schema {
        /// The service.
        service: String,
        /// The problem with the schema.
        source: SchemaError,
    },
    /// CURVE is required, but libzmq was built without it.
    #[error(transparent)]
    CurveUnavailable(#[from] CurveUnavailable),
    /// The number of keys is neither one nor the number of endpoints.
    #[error(
        "{keys} public keys of brokers are given for {endpoints} endpoints; give one for each, or one for all"
    )]
    ServerKeys {
        /// The number of keys.
        keys: usize,
        /// The number of endpoints.
        endpoints: usize,
    },
    /// The socket could not be created or configured.
    #[error(transparent)]
    Socket(SocketError),
    /// The worker's thread could not be started.
    #[error("could not start the worker's thread")]
    Thread(#[source] io::Error),
    /// `run` could not listen for SIGINT and SIGTERM.
    #[error("could not listen to SIGINT and SIGTERM")]
    Signals(#[source] io::Error),
    /// The worker ran, and stopped without being asked to. Only `run` returns this error.
    #[error("the worker stopped")]
    Stopped(#[from] WorkerFailure),
    /// There is no tokio runtime to run handlers on.
    #[error("a worker runs its handlers on tokio; call this within a runtime")]
    NoTokio,
}

/// The error when a worker stops without being asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerFailure {
    /// A thread of the worker panicked.
    #[error("a thread of the worker panicked; see the log")]
    Panicked,
    /// Every broker refused the worker for [`give_up_after`](crate::WorkerBuilder::give_up_after).
    #[error("the broker at {endpoint} has refused the worker for {after:?}: {cause}")]
    Refused {
        /// The endpoint that was tried last.
        endpoint: String,
        /// The last refusal.
        cause: LossCause,
        /// How long the worker kept trying.
        after: Duration,
    },
}

impl From<Unusable> for ConnectError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Unavailable(why) => why.into(),
            Unusable::ServerKeys { keys, endpoints } => {
                ConnectError::ServerKeys { keys, endpoints }
            }
        }
    }
}

impl From<Unusable> for ServeError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Unavailable(why) => why.into(),
            Unusable::ServerKeys { keys, endpoints } => ServeError::ServerKeys { keys, endpoints },
        }
    }
}

fn last(cause: &Option<LossCause>) -> String {
    cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default()
}
