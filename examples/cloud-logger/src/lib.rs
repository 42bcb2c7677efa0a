//! Logs of many processes in one place, part by part.
//!
//! A program adds a [`layer`] of `tracing`'s. Its events wait in a bounded [`buffer`] until the [`shipper`] has sent them through a
//! broker to a logger worker ([`service`]), which keeps them in SQLite ([`store`]). Viewers [`follow`] what is stored, in the
//! [`terminal`] and as a [`web`] page.

pub mod buffer;
pub mod escape;
mod fields;
pub mod filter;
pub mod follow;
pub mod layer;
pub mod parts;
pub mod service;
pub mod shipper;
pub mod store;
pub mod terminal;
pub mod web;

/// The services of `proto/cloudlog.proto`.
#[allow(missing_docs, unreachable_pub)] // generated
pub mod pb {
    mdp_runtime::include_proto!("cloudlog.v1");
}

pub use layer::{CloudLayer, CloudLogger, Guard, NotShipped, StartError};
