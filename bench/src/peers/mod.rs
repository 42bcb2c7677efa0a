//! The roles: who is measured, each in a process of its own, and who keeps them company.

pub(crate) mod bare;
pub(crate) mod crowd;
pub(crate) mod generator;
pub(crate) mod nats;
pub(crate) mod one_way;
pub(crate) mod plain;
pub(crate) mod relay;
pub(crate) mod sockets;
pub(crate) mod tarpc;
pub(crate) mod tonic;
pub(crate) mod typed;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};

/// The runtime of client and worker: one thread, which does more on a machine with few cores than one for each of
/// them, for all sides alike.
pub(crate) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("no tokio runtime")
}

#[allow(missing_docs, unreachable_pub)] // what `build.rs` made
pub(crate) mod pb {
    mdp_runtime::include_proto!("bench.v1");
}
