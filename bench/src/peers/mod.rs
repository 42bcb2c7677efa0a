//! The roles: who is measured, each in a process of its own, and who keeps them company.

pub(crate) mod classic;
pub(crate) mod crowd;
pub(crate) mod generator;
pub(crate) mod nats;
pub(crate) mod one_way;
pub(crate) mod overload;
pub(crate) mod relay;
pub(crate) mod sockets;
pub(crate) mod tarpc;
pub(crate) mod tonic;
pub(crate) mod typed;

use std::env;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};

/// Set for a child that is to have a thread for each core.
pub(crate) const MULTI_THREAD: &str = "MDP_BENCH_MULTI_THREAD";

/// The runtime of client and worker, on all sides alike: one thread, unless the parent asks for more.
pub(crate) fn runtime() -> Result<Runtime> {
    let mut builder = match env::var_os(MULTI_THREAD) {
        None => Builder::new_current_thread(),
        Some(_) => Builder::new_multi_thread(),
    };
    builder.enable_all().build().context("no tokio runtime")
}

#[allow(missing_docs, unreachable_pub)] // what `build.rs` made
pub(crate) mod pb {
    mdp_runtime::include_proto!("bench.v1");
}
