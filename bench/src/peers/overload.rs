//! A service with little room: one worker that takes 4 calls at once, each for 20 ms, and clients that ask for more.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use mdp_runtime::{CallContext, Client, Code, Status, Worker};

use super::pb::Ball;
use super::pb::echo_client::EchoClient;
use super::pb::echo_worker::{Echo, EchoWorker};
use super::runtime;
use crate::load::{self, Load};

/// Calls a second that the worker can do.
pub(crate) const CAPACITY: f64 = 200.0;

const SLOTS: u32 = 4;
const WORK: Duration = Duration::from_millis(20);

struct Slow;

impl Echo for Slow {
    async fn unary(&self, _: &CallContext, ball: Ball) -> Result<Ball, Status> {
        tokio::time::sleep(WORK).await;
        Ok(ball)
    }
}

/// A worker, until the parent ends it.
pub(crate) fn worker(endpoint: &str) -> Result<()> {
    runtime()?.block_on(async {
        let builder = Worker::builder().connect(endpoint).capacity(SLOTS);
        let worker = builder.serve(EchoWorker::new(Slow)).start()?;
        worker.connected().await.context("the worker stopped")?;
        println!("ready");
        std::future::pending().await
    })
}

/// Calls as the load says, and counts those that ended well.
pub(crate) fn client(endpoint: &str, timeout_ms: u64, load: Load) -> Result<()> {
    load.needs_one_connection()?;
    runtime()?.block_on(async {
        let builder = Client::builder().connect(endpoint).max_calls(1 << 20);
        let client = builder.timeout(Duration::from_millis(timeout_ms)).open().await?;
        let echo = EchoClient::new(client);
        if load.rate == 0.0 {
            return load::run(vec![echo], load).await;
        }
        let body = load.body();
        let call = move || {
            let (echo, body) = (echo.clone(), body.clone());
            async move { echo.unary(Ball { body }).await }
        };
        load::run_counted(load, call, |outcome, now, _| Ok(ended_well(outcome)?.then_some(now)))
            .await
    })
}

/// Whether a call ended well. It may end for want of time, and for nothing else.
fn ended_well(outcome: Result<Ball, Status>) -> Result<bool> {
    match outcome {
        Ok(_) => Ok(true),
        Err(status) => match status.code() {
            Code::ResourceExhausted | Code::DeadlineExceeded => Ok(false),
            _ => bail!("a call ended as {status}"),
        },
    }
}
