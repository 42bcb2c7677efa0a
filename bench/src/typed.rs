//! The side that is measured: generated code, protobuf, this project's broker, worker and client.

use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use mdp_runtime::{Broker, CallContext, Client, Status, Stream, Worker};
use tokio::runtime::{Builder, Runtime};

use crate::args::Flavor;
use crate::load::{Count, ITEMS_A_LOOK, Load, PAYLOAD, Times, Window};
use pb::Ball;
use pb::echo_client::EchoClient;
use pb::echo_worker::{Echo, EchoWorker};

#[allow(missing_docs, unreachable_pub)] // what `build.rs` made
mod pb {
    mdp_runtime::include_proto!("bench.v1");
}

/// More than any load, so that it is never the queue that is measured.
const CAPACITY: u32 = 16_384;

/// A broker, until the parent ends it.
pub(crate) fn broker() -> Result<()> {
    runtime(Flavor::Current)?.block_on(async {
        let mut broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
        println!("ready {}", broker.endpoints().join(" "));
        broker.stopped().await?;
        anyhow::bail!("the broker stopped")
    })
}

/// A worker, until the parent ends it.
pub(crate) fn worker(endpoint: &str, flavor: Flavor) -> Result<()> {
    runtime(flavor)?.block_on(async {
        let builder = Worker::builder().connect(endpoint).capacity(CAPACITY);
        let worker = builder.serve(EchoWorker::new(Back)).start()?;
        worker.connected().await.context("the worker stopped")?;
        println!("ready");
        std::future::pending().await
    })
}

/// Keeps a number of calls in flight, each in a task of its own, and measures.
pub(crate) fn client(endpoint: &str, flavor: Flavor, load: Load) -> Result<()> {
    runtime(flavor)?.block_on(async {
        let client = EchoClient::new(Client::connect(endpoint).await?);
        let (window, bell) = Window::open(load);
        let callers: Vec<_> =
            (0..load.in_flight).map(|_| tokio::spawn(calls(client.clone(), window))).collect();
        let mut all = Times::default();
        for caller in callers {
            all.append(caller.await??);
        }
        all.tell(bell)
    })
}

/// One call after another, until the window closes.
async fn calls(echo: EchoClient, window: Window) -> Result<Times> {
    let mut times = Times::default();
    let mut sent = Instant::now();
    while window.is_open(sent) {
        let reply = echo.unary(Ball { body: Bytes::from_static(&[7; PAYLOAD]) }).await?;
        anyhow::ensure!(reply.body.len() == PAYLOAD, "the reply has {} bytes", reply.body.len());
        let now = Instant::now();
        times.add(&window, sent, now);
        sent = now;
    }
    Ok(times)
}

/// Counts the replies of one call, until the window closes.
pub(crate) fn stream(endpoint: &str, flavor: Flavor, load: Load) -> Result<()> {
    runtime(flavor)?.block_on(async {
        let echo = EchoClient::new(Client::connect(endpoint).await?);
        let (window, bell) = Window::open(load);
        let mut count = Count::new(window);
        let ball = Ball { body: Bytes::from_static(&[7; PAYLOAD]) };
        let mut balls = echo.many(ball).await?;
        loop {
            for _ in 0..ITEMS_A_LOOK {
                let ball = balls.message().await?.context("the stream ended")?;
                anyhow::ensure!(ball.body.len() == PAYLOAD, "{} bytes came", ball.body.len());
            }
            if !count.add(ITEMS_A_LOOK) {
                return count.tell(bell);
            }
        }
    })
}

/// The same ball without end.
struct Same(Ball);

impl Stream for Same {
    type Item = Result<Ball, Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(Some(Ok(self.0.clone())))
    }
}

struct Back;

impl Echo for Back {
    async fn unary(&self, _: &CallContext, ball: Ball) -> Result<Ball, Status> {
        Ok(ball)
    }

    async fn many(
        &self,
        _: &CallContext,
        ball: Ball,
    ) -> Result<impl Stream<Item = Result<Ball, Status>>, Status> {
        Ok(Same(ball))
    }
}

fn runtime(flavor: Flavor) -> Result<Runtime> {
    let mut builder = match flavor {
        Flavor::Current => Builder::new_current_thread(),
        Flavor::Multi => Builder::new_multi_thread(),
    };
    builder.enable_all().build().context("no tokio runtime")
}
