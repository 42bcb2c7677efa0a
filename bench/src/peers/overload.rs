//! A service with little room: one worker that takes 4 calls at once, each for 20 ms, and clients that ask for more.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mdp_runtime::{CallContext, Client, Code, Status, Worker};
use tokio::sync::mpsc;

use super::pb::Ball;
use super::pb::echo_client::EchoClient;
use super::pb::echo_worker::{Echo, EchoWorker};
use super::runtime;
use crate::load::{self, Load, Pace, Ticks, Times, Window};

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
    runtime()?.block_on(async {
        let builder = Client::builder().connect(endpoint).max_calls(1 << 20);
        let client = builder.timeout(Duration::from_millis(timeout_ms)).open().await?;
        let echo = EchoClient::new(client);
        match load.rate > 0.0 {
            true => open(echo, load).await,
            false => load::run(echo, load).await,
        }
    })
}

async fn open(echo: EchoClient, load: Load) -> Result<()> {
    let (window, bell) = Window::open(load);
    let pace = Pace::new(load);
    let (tell, mut ticks) = mpsc::unbounded_channel();
    pace.keep(window, move |due| tell.send(due).is_ok());
    let (told, mut ended) = mpsc::unbounded_channel();
    let body = load.body();
    while let Some(Ticks { first, count }) = ticks.recv().await {
        for number in first..first + count {
            let (echo, body, told) = (echo.clone(), body.clone(), told.clone());
            tokio::spawn(async move {
                let outcome = echo.unary(Ball { body }).await;
                // The other end waits for all.
                let _ = told.send((pace.due(number), Instant::now(), outcome));
            });
        }
    }
    drop(told);
    let mut times = Times::default();
    while let Some((due, now, outcome)) = ended.recv().await {
        match outcome {
            Ok(_) => times.add(&window, due, now),
            Err(status) => match status.code() {
                Code::ResourceExhausted | Code::DeadlineExceeded => {}
                _ => bail!("a call ended as {status}"),
            },
        }
    }
    times.tell(bell)
}
