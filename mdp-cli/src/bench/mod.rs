//! `mdp bench`: puts load on a running service and measures the calls.

mod load;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use hdrhistogram::Histogram;
use mdp_runtime::CallKind;

use crate::Failure;
use crate::args::{Output, metadata, seconds};
use crate::connect::ConnectArgs;
use crate::messages::{self, Called};
use load::Load;

/// The number of different generated requests.
const MADE_UP: u64 = 256;

/// Puts load on a method of a running service, and prints how long its calls took.
///
/// The exit code is 0 if every call succeeded, 1 if a call failed or no call was made, 2 if the command line is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// The method, `package.Service/Method`: one request, and one reply or a stream of them.
    #[arg(value_name = "SERVICE/METHOD")]
    method: String,
    /// The request as JSON. @FILE reads a file, @- reads standard input. Default: an empty request.
    #[arg(short, long, value_name = "JSON", conflicts_with = "random")]
    data: Option<String>,
    /// Makes up 256 requests that fit the schema, from this seed. Default of SEED: 1.
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "1")]
    random: Option<u64>,
    /// A file with the descriptors of the service. Default: a worker of the service is asked for them.
    #[arg(long, value_name = "FILE.binpb")]
    schema: Option<PathBuf>,
    /// Metadata of each request. Can be given several times.
    #[arg(short = 'H', long = "metadata", value_name = "KEY:VALUE", value_parser = metadata)]
    metadata: Vec<(String, String)>,
    /// How many calls are in flight at a time, 1 to 100,000. With --rate: the maximum.
    #[arg(long, short = 'c', value_name = "CALLS", default_value = "16", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    concurrency: u32,
    /// Calls per second, independent of their replies. The time of a call counts from the moment at which it was due,
    /// so a stall counts for all calls that it delays. Default: the next call begins when one has ended.
    #[arg(long, value_name = "CALLS")]
    rate: Option<f64>,
    /// The number of connections, 1 to 1,000. They take the calls in turn.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// How long to make calls, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// The first part of the duration, which does not count, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    warm_up: Duration,
    /// The timeout of each call in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// The format of the output.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) fn run(args: &BenchArgs) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::failed)?.block_on(bench(args))
}

async fn bench(args: &BenchArgs) -> Result<u8, Failure> {
    let rate = args.rate.map(checked).transpose().map_err(Failure::wrong)?;
    if args.warm_up >= args.duration {
        return Err(Failure::wrong(anyhow!("--warm-up takes all of --duration")));
    }
    let mut clients = Vec::new();
    for _ in 0..args.connections {
        clients.push(args.connect.client().await?);
    }
    let first = clients.first().ok_or_else(|| Failure::wrong(anyhow!("no connection")))?;
    let called = Called::find(first, &args.method, args.schema.as_deref(), None).await;
    let called = called.map_err(Failure::failed)?;
    if matches!(called.method.kind(), CallKind::ClientStreaming | CallKind::BidiStreaming) {
        let text = "the method takes a stream of requests; `mdp bench` makes calls of one request";
        return Err(Failure::wrong(anyhow!(text)));
    }
    let requests = requests(args, &called).map_err(Failure::wrong)?;
    let load = Load {
        method: called.method,
        workers: called.workers,
        requests: requests.into_iter().map(Into::into).collect(),
        metadata: args.metadata.clone(),
        concurrency: args.concurrency,
        rate,
        duration: args.duration,
        warm_up: args.warm_up,
        timeout: args.timeout,
        // From a microsecond to an hour, with three significant digits.
        no_times: Histogram::new_with_bounds(1, 3_600_000_000, 3).map_err(Failure::failed)?,
    };
    let found = load::run(Arc::new(load), clients).await;
    let text = match args.output {
        Output::Text => report::text(&args.method, &found),
        Output::Json => report::json(&args.method, &found).map_err(Failure::failed)?,
    };
    crate::print(&text).map_err(Failure::failed)?;
    Ok(if found.failed() == 0 && found.succeeded() > 0 { 0 } else { 1 })
}

fn requests(args: &BenchArgs, called: &Called) -> anyhow::Result<Vec<Vec<u8>>> {
    if let Some(seed) = args.random {
        return Ok((0..MADE_UP).map(|number| called.made_up(seed ^ (number << 32))).collect());
    }
    let text = args.data.as_deref().map(messages::json).transpose()?;
    Ok(vec![called.request(text.as_deref().unwrap_or("{}"))?])
}

fn checked(rate: f64) -> anyhow::Result<f64> {
    if !(rate.is_finite() && rate > 0.0 && rate <= 1e7) {
        bail!("--rate is a number of calls a second, up to 10 million");
    }
    Ok(rate)
}
