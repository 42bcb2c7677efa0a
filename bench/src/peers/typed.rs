//! The side that is measured: generated code, protobuf, this project's broker, worker and client.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use mdp_runtime::security::{CurveClient, CurveServer, KeyPair, PublicKey};
use mdp_runtime::{
    Broker, CallContext, Client, ClientBuilder, Limits, Monitor, Policy, RawClient, Status, Stream,
    Worker, WorkerBuilder,
};

use super::pb::Ball;
use super::pb::echo_client::EchoClient;
use super::pb::echo_worker::{Echo, EchoWorker};
use super::pb::fountain_client::FountainClient;
use super::pb::fountain_worker::{Fountain, FountainWorker};
use super::runtime;
use crate::load::{self, Caller, Count, ITEMS_A_LOOK, Load, PAYLOAD, Window};

/// More than any load, so that it is never the queue that is measured.
const CAPACITY: u32 = 16_384;
/// Calls that may be under way where there is no other bound.
const MANY_CALLS: usize = 1_000_000;
/// How long calls wait where nobody serves them, and that is what is looked at.
const LONG: Duration = Duration::from_secs(120);
/// So many of them are made at once.
const TOGETHER: usize = 1_000;

/// How a broker is to be.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct BrokerArgs {
    /// A folder with `broker.key` and `peer.pub`: CURVE.
    #[arg(long)]
    pub(crate) keys: Option<PathBuf>,
    /// Whom a policy is for.
    #[arg(long)]
    pub(crate) policy: Option<Who>,
    /// So many times a second all counters are made into a text for Prometheus.
    #[arg(long, default_value = "0")]
    pub(crate) scrapes: u32,
    /// With limits for crowds.
    #[arg(long)]
    pub(crate) wide: bool,
    #[arg(long, default_value = "tcp://127.0.0.1:*")]
    pub(crate) bind: String,
    /// Says `full`, and after how many seconds, as soon as it has so many sessions.
    #[arg(long, default_value_t = 0)]
    pub(crate) full: usize,
}

/// Whom a policy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Who {
    /// Peers without a key.
    Anonymous,
    /// The peer with the key `peer.pub`.
    Principal,
}

/// How a peer connects.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PeerArgs {
    /// A folder with `broker.pub` and `peer.key`: CURVE.
    #[arg(long)]
    pub(crate) keys: Option<PathBuf>,
}

/// A broker, until the parent ends it.
pub(crate) fn broker(args: &BrokerArgs) -> Result<()> {
    runtime()?.block_on(async {
        let mut builder = Broker::builder().bind(&args.bind);
        if let Some(folder) = &args.keys {
            let peer = PublicKey::read(folder.join("peer.pub"))?;
            builder = builder.curve(CurveServer::read(folder.join("broker.key"))?.allow([peer]));
        }
        if let Some(who) = args.policy {
            builder = builder.policy(policy(who, args.keys.as_deref())?);
        }
        if args.wide {
            builder = builder.unserved_wait(LONG).limits(Limits {
                services: 20_000,
                services_per_worker: 1_000,
                queued_calls_per_service: MANY_CALLS,
                queued_bytes_per_service: 1 << 30,
                held_bytes: 1 << 30,
                unread_bytes: 1 << 30,
                unread_bytes_per_session: 1 << 30,
                calls_per_client: MANY_CALLS,
                ..Limits::default()
            });
        }
        let mut broker = builder.start()?;
        let start = Instant::now();
        println!("ready {}", broker.endpoints().join(" "));
        if args.full > 0 {
            while broker.stats().await.sessions < args.full {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            println!("full {}", start.elapsed().as_secs_f64());
        }
        if let Some(every) = Duration::from_secs(1).checked_div(args.scrapes) {
            tokio::spawn(scrape(broker.monitor(), every));
        }
        broker.stopped().await?;
        anyhow::bail!("the broker stopped")
    })
}

async fn scrape(monitor: Monitor, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    while monitor.prometheus().await.is_some() {
        ticks.tick().await;
    }
}

/// A policy that allows what is measured. It names others too, as policies do.
fn policy(who: Who, folder: Option<&Path>) -> Result<Policy> {
    let rights = "call = [\"status.v1.Status\", \"bench.v1.*\"]\nserve = [\"bench.v1.*\"]\n";
    let text = match (who, folder) {
        (Who::Principal, Some(folder)) => {
            let key = PublicKey::read(folder.join("peer.pub"))?;
            format!("[[principal]]\nname = \"peer\"\nkeys = [\"{key}\"]\n{rights}")
        }
        (Who::Principal, None) => anyhow::bail!("a principal has a key"),
        (Who::Anonymous, _) => format!("[anonymous]\n{rights}"),
    };
    Ok(Policy::parse(&text)?)
}

/// Workers, until the parent ends them.
pub(crate) fn worker(endpoint: &str, args: &PeerArgs, workers: usize) -> Result<()> {
    runtime()?.block_on(async {
        let mut all = Vec::new();
        for _ in 0..workers {
            let mut builder: WorkerBuilder = Worker::builder().connect(endpoint).capacity(CAPACITY);
            if let Some(curve) = args.curve()? {
                builder = builder.curve(curve);
            }
            let services = builder.serve(EchoWorker::new(Back)).serve(FountainWorker::new(Back));
            let worker = services.start()?;
            worker.connected().await.context("the worker stopped")?;
            all.push(worker);
        }
        println!("ready");
        std::future::pending().await
    })
}

/// Calls as the load says, and measures.
pub(crate) fn client(endpoint: &str, args: &PeerArgs, load: Load) -> Result<()> {
    runtime()?.block_on(async {
        let connect = async || -> Result<_> {
            let mut builder = args.builder(endpoint)?;
            if load.rate > 0.0 {
                // At a fixed rate a stall makes more calls wait than are wanted elsewhere.
                builder = builder.max_calls(MANY_CALLS).timeout(LONG);
            }
            Ok(EchoClient::new(builder.open().await?))
        };
        load::run(load.open(connect).await?, load).await
    })
}

impl Caller for EchoClient {
    async fn call(&self, body: Bytes) -> Result<usize> {
        Ok(self.unary(Ball { body }).await?.body.len())
    }
}

/// Counts the replies of one call, until the window closes.
pub(crate) fn stream(endpoint: &str, args: &PeerArgs, load: Load) -> Result<()> {
    load.needs_one_connection()?;
    runtime()?.block_on(async {
        let fountain = FountainClient::new(args.builder(endpoint)?.open().await?);
        let (window, bell) = Window::open(load);
        let mut count = Count::new(window);
        let mut balls = fountain.many(Ball { body: load.body() }).await?;
        loop {
            for _ in 0..ITEMS_A_LOOK {
                let ball = balls.message().await?.context("the stream ended")?;
                ensure!(ball.body.len() == load.bytes, "{} bytes came", ball.body.len());
            }
            if !count.add(ITEMS_A_LOOK) {
                return count.tell(bell);
            }
        }
    })
}

/// Makes calls that nobody serves, and stays.
pub(crate) fn queue(endpoint: &str, calls: usize) -> Result<()> {
    runtime()?.block_on(async {
        let client = Client::builder().connect(endpoint).timeout(LONG).max_calls(calls + 1);
        let client = client.open().await?;
        let (raw, echo) = (RawClient::over(&client), EchoClient::new(client));
        for number in 1..=calls {
            let echo = echo.clone();
            tokio::spawn(async move {
                let body = Bytes::from_static(&[7; PAYLOAD]);
                let ended = echo.unary(Ball { body }).await;
                // The parent waits in vain then, and says so.
                eprintln!("a call that was to wait ended: {ended:?}");
            });
            if number % TOGETHER == 0 {
                // The broker answers what came last when it has read the rest: no packets pile up in libzmq.
                tokio::task::yield_now().await;
                raw.request("mmi.service", vec![Bytes::from_static(b"none")]).last().await?;
            }
        }
        println!("ready");
        std::future::pending().await
    })
}

impl PeerArgs {
    fn builder(&self, endpoint: &str) -> Result<ClientBuilder> {
        let builder = Client::builder().connect(endpoint);
        Ok(match self.curve()? {
            Some(curve) => builder.curve(curve),
            None => builder,
        })
    }

    pub(crate) fn curve(&self) -> Result<Option<CurveClient>> {
        let Some(folder) = &self.keys else { return Ok(None) };
        let broker = PublicKey::read(folder.join("broker.pub"))?;
        Ok(Some(CurveClient::new(broker).key_pair(KeyPair::read(folder.join("peer.key"))?)))
    }
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
}

impl Fountain for Back {
    async fn many(
        &self,
        _: &CallContext,
        ball: Ball,
    ) -> Result<impl Stream<Item = Result<Ball, Status>>, Status> {
        Ok(Same(ball))
    }
}
