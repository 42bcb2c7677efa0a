//! A worker as a process, to be killed: `cases-worker ENDPOINT`. It prints `ready` once it serves.

mod service;

use std::error::Error;

use mdp_runtime::Worker;
use pb::test_worker::TestWorker;

#[allow(missing_docs, unreachable_pub, dead_code)] // generated
mod pb {
    mdp_runtime::include_proto!("mdp.testing.v1");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::args().nth(1).ok_or("cases-worker ENDPOINT")?;
    let tested = TestWorker::new(service::Tested::new());
    let worker = Worker::builder().connect(endpoint).capacity(1).serve(tested).start()?;
    worker.connected().await.ok_or("stopped")?;
    println!("ready");
    mdp_runtime::shutdown_signal().await;
    Ok(())
}
