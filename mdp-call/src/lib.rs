//! Part of mdp-runtime. Use mdp-runtime; this crate's API may change with each release.
//!
//! What is said about a call, and its bytes. Broker, worker, client and generated code stand on it.
//!
//! - [`status`], [`metadata`], [`extensions`], [`method`]: what users say.
//! - [`codec`]: the seam to protobuf. [`compress`] and [`body`]: messages to bodies and back, records with their bodies to
//!   packets.
//! - [`log`]: log lines that peers can cause. `otel`, behind the feature `opentelemetry`: what spans have in common.

pub mod body;
pub mod codec;
pub mod compress;
pub mod extensions;
pub mod log;
pub mod metadata;
pub mod method;
#[cfg(feature = "opentelemetry")]
pub mod otel;
pub mod status;

pub use extensions::Extensions;
pub use metadata::Metadata;
pub use status::{Code, Detail, SourceCall, Status};
