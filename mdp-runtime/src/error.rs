//! What can go wrong before there is a call: one enum for each operation.

use std::io;
use std::time::Duration;

use mdp_protocol::LossCause;
use mdp_protocol::names::NameError;
use mdp_schema::SchemaError;

use crate::policy::PolicyError;
use crate::security::{CurveUnavailable, HandshakeFault, Unusable};
use crate::transport::SocketError;

/// An endpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The list of endpoints is empty.
    #[error("no endpoint is given; name one, `tcp://127.0.0.1:5555` for instance")]
    None,
    /// The text is not an endpoint.
    #[error("`{endpoint}` is not an endpoint: {problem}")]
    Invalid {
        /// The text.
        endpoint: String,
        /// What is wrong, and what is right.
        problem: &'static str,
    },
}

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// An endpoint is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// An endpoint could not be bound.
    #[error(transparent)]
    Bind(SocketError),
    /// Without CURVE the endpoint can be reached from other machines.
    #[error(
        "`{endpoint}` can be reached from other machines, and without CURVE anybody there may call, serve and listen; \
         switch CURVE on, bind to 127.0.0.1 or [::1], or say that it is to be insecure (`.insecure(true)`, `--insecure`)"
    )]
    Insecure {
        /// The endpoint.
        endpoint: String,
    },
    /// CURVE is asked for, and libzmq was built without it.
    #[error(transparent)]
    CurveUnavailable(#[from] CurveUnavailable),
    /// The handler that says which keys may connect could not be started.
    #[error(transparent)]
    Authenticator(SocketError),
    /// The socket could not be made or set up.
    #[error(transparent)]
    Socket(SocketError),
    /// The broker's thread could not be started.
    #[error("could not start the broker's thread")]
    Thread(#[source] io::Error),
    /// There is no policy to begin with.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Why a broker stopped that was not told to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerFailure {
    /// The socket failed.
    #[error(transparent)]
    Socket(SocketError),
    /// The thread ended that says which keys may connect. Nobody new was let in any more.
    #[error("the handler of ZAP has ended, so nobody new could connect")]
    Authenticator,
    /// The broker's thread panicked.
    #[error("the broker's thread panicked; see the log")]
    Panicked,
    /// Another thread panicked that the broker cannot do without: one that runs hooks, or the one that looks after the policy's
    /// file.
    #[error("the thread `{name}` panicked, which the broker cannot do without; see the log")]
    Thread {
        /// The thread's name.
        name: &'static str,
    },
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// An endpoint is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No broker answered in time.
    #[error("no broker answered within {within:?} at {}{}", endpoints.join(", "), last(cause))]
    NoBroker {
        /// The endpoints that were tried.
        endpoints: Vec<String>,
        /// How long.
        within: Duration,
        /// What happened last.
        cause: Option<LossCause>,
    },
    /// The keys do not fit those of the broker. Only clients with CURVE find this out; to others such a broker does
    /// not answer.
    #[error("no secure connection to {endpoint}: {fault}")]
    Handshake {
        /// The endpoint; the first one of which this is so.
        endpoint: String,
        /// What happened last.
        fault: HandshakeFault,
    },
    /// CURVE is asked for, and libzmq was built without it.
    #[error(transparent)]
    CurveUnavailable(#[from] CurveUnavailable),
    /// There is neither one key for all endpoints nor one for each.
    #[error(
        "{keys} public keys of brokers are given for {endpoints} endpoints; give one for each, or one for all"
    )]
    ServerKeys {
        /// How many keys.
        keys: usize,
        /// How many endpoints.
        endpoints: usize,
    },
    /// The id is not a name.
    #[error("the id `{id}` cannot be used")]
    Id {
        /// The id.
        id: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// The socket could not be made or set up.
    #[error(transparent)]
    Socket(SocketError),
    /// The thread of a client for programs without tokio could not be started.
    #[error("could not start the client's thread")]
    Thread(#[source] io::Error),
    /// It would hold up the thread of async code.
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

/// Why a worker does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An endpoint is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// There is nothing to serve.
    #[error("the worker has no service; give it one with `.serve(..)`")]
    NoService,
    /// A service is given twice.
    #[error("the service `{0}` is given twice")]
    Twice(String),
    /// A name cannot be used.
    #[error("the name `{name}` cannot be used")]
    Name {
        /// The id or the service.
        name: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// No call could ever be taken, or more than the wire can say.
    #[error("the capacity {0} is not between 1 and 65535")]
    Capacity(u32),
    /// Over plain MDP each request at once needs a connection of its own.
    #[error("{wanted} requests at once need as many sockets over plain MDP; {most} are allowed")]
    Sockets {
        /// The capacity of all services.
        wanted: u32,
        /// The most.
        most: u32,
    },
    /// What the records of a service say of themselves does not fit together.
    #[error("the schema of the service `{service}` cannot be used")]
    Schema {
        /// The service.
        service: String,
        /// What is wrong with it.
        source: SchemaError,
    },
    /// CURVE is asked for, and libzmq was built without it.
    #[error(transparent)]
    CurveUnavailable(#[from] CurveUnavailable),
    /// There is neither one key for all endpoints nor one for each.
    #[error(
        "{keys} public keys of brokers are given for {endpoints} endpoints; give one for each, or one for all"
    )]
    ServerKeys {
        /// How many keys.
        keys: usize,
        /// How many endpoints.
        endpoints: usize,
    },
    /// The socket could not be made or set up.
    #[error(transparent)]
    Socket(SocketError),
    /// The worker's thread could not be started.
    #[error("could not start the worker's thread")]
    Thread(#[source] io::Error),
    /// `run` could not listen to SIGINT and SIGTERM.
    #[error("could not listen to SIGINT and SIGTERM")]
    Signals(#[source] io::Error),
    /// The worker ran, and stopped without being told to. Only `run` gives this.
    #[error("the worker stopped")]
    Stopped(#[from] WorkerFailure),
    /// There is no tokio runtime to run handlers on.
    #[error("a worker runs its handlers on tokio; call this within a runtime")]
    NoTokio,
}

/// Why a worker stopped that was not told to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerFailure {
    /// A thread of the worker panicked.
    #[error("a thread of the worker panicked; see the log")]
    Panicked,
    /// Brokers did nothing but refuse the worker, for [`give_up_after`](crate::WorkerBuilder::give_up_after).
    #[error("the broker at {endpoint} refuses the worker, for {after:?} by now: {cause}")]
    Refused {
        /// The endpoint that was tried last.
        endpoint: String,
        /// What the broker said last.
        cause: LossCause,
        /// For how long the worker was to go on.
        after: Duration,
    },
}

impl From<SocketError> for BindError {
    /// Of a router's errors, those with an endpoint are about binding it.
    fn from(error: SocketError) -> Self {
        match error.endpoint() {
            Some(_) => BindError::Bind(error),
            None => BindError::Socket(error),
        }
    }
}

impl From<Unusable> for ConnectError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::NoCurve => CurveUnavailable.into(),
            Unusable::ServerKeys { keys, endpoints } => {
                ConnectError::ServerKeys { keys, endpoints }
            }
        }
    }
}

impl From<Unusable> for ServeError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::NoCurve => CurveUnavailable.into(),
            Unusable::ServerKeys { keys, endpoints } => ServeError::ServerKeys { keys, endpoints },
        }
    }
}

fn last(cause: &Option<LossCause>) -> String {
    cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default()
}
