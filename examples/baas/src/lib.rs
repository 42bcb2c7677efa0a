//! A small backend as a service with tokens, part by part.
//!
//! An Auth worker checks a password. The broker sees its approval pass and puts a token beside the reply; on all later calls it
//! checks the token, tells the worker who calls, and takes the token away.

pub mod auth;
pub mod caller;
pub mod clock;
pub mod hooks;
pub mod notes;
pub mod parts;
pub mod passwords;
pub mod session;
pub mod setup;
pub mod store;
pub mod token;

/// The services of `proto/baas.proto`.
#[allow(missing_docs, unreachable_pub)] // generated
pub mod pb {
    mdp_runtime::include_proto!("baas.v1");
}
