//! Names from OpenTelemetry's semantic conventions for RPC, and further names of this toolkit.
//!
//! The names are copied, as the conventions recommend for libraries: the crate with the names removes them when they
//! are renamed.

/// Which version of the conventions.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// The value of [`SYSTEM`].
pub const MDP: &str = "mdp";
/// The RPC system: always [`MDP`].
pub const SYSTEM: &str = "rpc.system.name";
/// `package.Service/Method`.
pub const METHOD: &str = "rpc.method";
/// The name of the code.
pub const STATUS_CODE: &str = "rpc.response.status_code";
/// At a failure: the name of the code.
pub const ERROR_TYPE: &str = "error.type";
/// The address of the broker.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port of the broker.
pub const SERVER_PORT: &str = "server.port";

/// The histogram of calls that are made.
pub const CLIENT_DURATION: &str = "rpc.client.call.duration";
/// The histogram of calls that are handled.
pub const SERVER_DURATION: &str = "rpc.server.call.duration";

/// The bounds of the histograms in seconds, as recommended by the conventions.
pub const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// At a worker and a broker: the number of the attempt, if it is not the first.
pub const ATTEMPT: &str = "mdp.attempt";
/// At a client: the number of attempts, if there were several.
pub const ATTEMPTS: &str = "mdp.attempts";
/// At a client: the id of the worker that answered.
pub const WORKER: &str = "mdp.worker.id";
/// The name of a broker's spans.
pub const QUEUE: &str = "mdp.queue";
