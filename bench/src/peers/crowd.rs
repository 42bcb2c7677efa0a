//! Company for those who are measured: idle clients and workers of this project, many in one process.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use mdp_runtime::{Client, Context, Worker};

use super::pb::Ball;
use super::pb::echo_worker::{Echo, EchoWorker};
use super::runtime;
use super::typed::PeerArgs;

/// Peers that share a context of libzmq, which has room for 1,023 sockets; each has three.
const A_CONTEXT: usize = 250;

/// Who the crowd is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Clients,
    /// Workers of a service that nobody calls.
    Workers,
    /// Workers of the service that is called.
    SameService,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CrowdArgs {
    pub(crate) kind: Kind,
    pub(crate) endpoint: String,
    /// How many.
    pub(crate) count: usize,
    /// Services of each worker, each with a name that no other worker has; 0: one, the same for all.
    #[arg(long, default_value_t = 0)]
    pub(crate) services: usize,
    /// What comes before the number in a service's name.
    #[arg(long, default_value = "idle")]
    pub(crate) name: String,
    /// How often each gives and wants a sign of life.
    #[arg(long)]
    pub(crate) heartbeat_ms: u64,
    #[command(flatten)]
    pub(crate) peer: PeerArgs,
}

/// Connects them all, and stays.
pub(crate) fn run(args: &CrowdArgs) -> Result<()> {
    runtime()?.block_on(async {
        let contexts: Vec<_> =
            (0..args.count.div_ceil(A_CONTEXT)).map(|_| Context::new()).collect();
        let of = |number: usize| contexts.get(number / A_CONTEXT).context("a context");
        let (mut clients, mut workers) = (Vec::new(), Vec::new());
        for number in 0..args.count {
            match args.kind {
                Kind::Clients => clients.push(client(args, of(number)?).await?),
                _ => workers.push(worker(args, of(number)?, number)?),
            }
        }
        for worker in &workers {
            worker.connected().await.context("a worker stopped")?;
        }
        println!("ready");
        std::future::pending().await
    })
}

async fn client(args: &CrowdArgs, context: &Context) -> Result<Client> {
    let mut builder = Client::builder().connect(&args.endpoint).context(context);
    if let Some(curve) = args.peer.curve()? {
        builder = builder.curve(curve);
    }
    Ok(builder.heartbeat(Duration::from_millis(args.heartbeat_ms)).open().await?)
}

fn worker(args: &CrowdArgs, context: &Context, number: usize) -> Result<Worker> {
    let builder = Worker::builder().connect(&args.endpoint).context(context);
    let mut builder = builder.heartbeat(Duration::from_millis(args.heartbeat_ms));
    if let Some(curve) = args.peer.curve()? {
        builder = builder.curve(curve);
    }
    if args.kind == Kind::SameService {
        return Ok(builder.serve(EchoWorker::new(Back)).start()?);
    }
    let name = &args.name;
    let names: Vec<String> = match args.services {
        0 => vec![name.clone()],
        services => (0..services).map(|service| format!("{name}.{number}.{service}")).collect(),
    };
    for name in names {
        builder = builder.serve_raw(name, async |frames, replier| {
            // Nobody calls.
            let _ = replier.finish(frames);
        });
    }
    Ok(builder.start()?)
}

struct Back;

impl Echo for Back {
    async fn unary(
        &self,
        _: &mdp_runtime::CallContext,
        ball: Ball,
    ) -> Result<Ball, mdp_runtime::Status> {
        Ok(ball)
    }
}
