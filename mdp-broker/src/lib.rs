//! Part of mdp-runtime. Use mdp-runtime, whose feature `broker` hands this out; this crate's API may change with each
//! release.
//!
//! The broker: a driver around `mdp_protocol::broker`, the operator's hooks, the policy's file, metrics.

mod broker;
mod error;
pub mod hooks;
mod listing;
pub mod metrics;
mod observe;
mod policy;
#[cfg(feature = "opentelemetry")]
mod queue;

pub use broker::{Broker, BrokerBuilder, BrokerReport, BrokerStats, Monitor};
pub use error::{BindError, BrokerFailure};
pub use policy::{Policy, PolicyError};
