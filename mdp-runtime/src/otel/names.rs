//! Names from OpenTelemetry's semantic conventions for RPC, and further names of this toolkit.
//!
//! The names are copied, as the conventions recommend for libraries: the crate with the names removes them when they
//! are renamed.

pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// The value of [`SYSTEM`].
pub(super) const MDP: &str = "mdp";
pub(super) const SYSTEM: &str = "rpc.system.name";
/// `package.Service/Method`.
pub(super) const METHOD: &str = "rpc.method";
/// The name of the code.
pub(super) const STATUS_CODE: &str = "rpc.response.status_code";
pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const SERVER_ADDRESS: &str = "server.address";
pub(super) const SERVER_PORT: &str = "server.port";

pub(super) const CLIENT_DURATION: &str = "rpc.client.call.duration";
pub(super) const SERVER_DURATION: &str = "rpc.server.call.duration";

/// The bounds of the histograms in seconds, as recommended by the conventions.
pub(super) const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// At a worker and a broker: the number of the attempt, if it is not the first.
pub(super) const ATTEMPT: &str = "mdp.attempt";
/// At a client: the number of attempts, if there were several.
pub(super) const ATTEMPTS: &str = "mdp.attempts";
/// At a client: the id of the worker that answered.
pub(super) const WORKER: &str = "mdp.worker.id";
/// The name of a broker's spans.
pub(super) const QUEUE: &str = "mdp.queue";
