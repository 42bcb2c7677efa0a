//! Peers of classic MDP with a broker that takes RFC 7 and RFC 18 at their word.

#![cfg(not(mdp_without_c))] // libzmq is the other side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // tests

mod broker;
mod garbage;
mod raw_client;
mod raw_rpc;
mod raw_worker;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod typed;

use std::time::Duration;

use broker::ClassicBroker;
use mdp_runtime::codegen::Service;
use mdp_runtime::{Client, ConnectionState, Dialect, Worker, WorkerBuilder};
use support::within;

const BOTH: [Dialect; 2] = [Dialect::Mdp01, Dialect::Mdp02];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Settings for a worker that gives signs of life every 100 ms and is patient.
fn worker(broker: &ClassicBroker, dialect: Dialect) -> WorkerBuilder {
    Worker::builder().dialect(dialect).connect(&broker.endpoint).heartbeat(ms(100)).liveness(50)
}

async fn serve(broker: &ClassicBroker, dialect: Dialect, service: impl Service) -> Worker {
    let worker = worker(broker, dialect).capacity(2).serve(service).start().unwrap();
    within(worker.connected()).await.unwrap();
    worker
}

async fn client(broker: &ClassicBroker, dialect: Dialect) -> Client {
    within(Client::builder().dialect(dialect).connect(&broker.endpoint).open()).await.unwrap()
}

fn is_connected(state: &ConnectionState) -> bool {
    matches!(state, ConnectionState::Connected { .. })
}
