//! `mdp ping`: measures the round trip to the broker, and to a service's workers.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use mdp_runtime::dynamic;
use serde_json::json;

use crate::Failure;
use crate::args::{Output, seconds};
use crate::connect::ConnectArgs;
use crate::management::Management;

/// Measures the round trip to the broker, and through the broker to each worker of a service.
///
/// Workers answer without a handler. Workers of classic MDP cannot answer. The exit code is 1 if the broker or a worker
/// did not answer.
#[derive(Debug, clap::Args)]
pub(crate) struct PingArgs {
    /// A service whose workers are asked, too.
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// How often the broker and each worker are asked, at least once.
    #[arg(long, short = 'n', value_name = "TIMES", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// The timeout of an answer in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    timeout: Duration,
    /// The format of the output. As JSON a list of objects, with times in milliseconds.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// The measured round trips to the broker or to one worker.
struct Pinged {
    who: String,
    times: Vec<Duration>,
    /// The reason why the measurement ended early.
    failed: Option<String>,
}

pub(crate) async fn run(args: &PingArgs) -> Result<u8, Failure> {
    let broker = Management::open(&args.connect).await?;
    let mut pinged = vec![to_broker(args, &broker).await];
    if let Some(service) = &args.service {
        let mut workers = broker.workers(service).await.map_err(Failure::failed)?;
        if workers.is_empty() {
            return Err(Failure::failed(anyhow!("{service} has no workers")));
        }
        workers.sort_by(|a, b| a.id.cmp(&b.id));
        for worker in workers {
            pinged.push(match worker.dialect.as_str() {
                "rpc" => to_worker(args, &broker, service, &worker.id).await,
                dialect => {
                    let failed = format!("it speaks MDP/{dialect}, which has no ping");
                    Pinged { who: worker.id, times: Vec::new(), failed: Some(failed) }
                }
            });
        }
    }
    let text = match args.output {
        Output::Text => pinged.iter().map(in_words).collect(),
        Output::Json => {
            let list: Vec<_> = pinged.iter().map(in_json).collect();
            serde_json::to_string(&list).map_err(Failure::failed)? + "\n"
        }
    };
    crate::print(&text).map_err(Failure::failed)?;
    Ok(u8::from(pinged.iter().any(|pinged| pinged.failed.is_some())))
}

async fn to_broker(args: &PingArgs, broker: &Management) -> Pinged {
    let mut pinged = Pinged { who: "broker".to_owned(), times: Vec::new(), failed: None };
    for _ in 0..args.count {
        let start = Instant::now();
        // Every peer may ask this, even without rights. The answer does not matter.
        match tokio::time::timeout(args.timeout, broker.is_served("mdp.ping")).await {
            Ok(Ok(_)) => pinged.times.push(start.elapsed()),
            Ok(Err(error)) => {
                pinged.failed = Some(format!("{:#}", anyhow!(error)));
                break;
            }
            Err(_) => {
                pinged.failed = Some(format!("no answer in {:?}", args.timeout));
                break;
            }
        }
    }
    pinged
}

async fn to_worker(args: &PingArgs, broker: &Management, service: &str, id: &str) -> Pinged {
    let mut pinged = Pinged { who: id.to_owned(), times: Vec::new(), failed: None };
    for _ in 0..args.count {
        let start = Instant::now();
        match dynamic::ping(&broker.client, service, Some(id), args.timeout).await {
            Ok(()) => pinged.times.push(start.elapsed()),
            Err(status) => {
                pinged.failed = Some(status.to_string());
                break;
            }
        }
    }
    pinged
}

impl Pinged {
    /// Returns minimum, mean and maximum, in milliseconds.
    fn times(&self) -> Option<[f64; 3]> {
        let ms = |time: &Duration| time.as_secs_f64() * 1_000.0;
        let (least, max) = (self.times.iter().min()?, self.times.iter().max()?);
        let mean = self.times.iter().sum::<Duration>() / u32::try_from(self.times.len()).ok()?;
        Some([ms(least), ms(&mean), ms(max)])
    }
}

fn in_words(pinged: &Pinged) -> String {
    let mut text = pinged.who.clone();
    if let Some([least, mean, max]) = pinged.times() {
        let count = pinged.times.len();
        text +=
            &format!(": {count} times, {least:.2} / {mean:.2} / {max:.2} ms (least, mean, most)");
    }
    if let Some(failed) = &pinged.failed {
        text += &format!(": {failed}");
    }
    text + "\n"
}

fn in_json(pinged: &Pinged) -> serde_json::Value {
    let [least, mean, max] = pinged.times().map_or([None; 3], |times| times.map(Some));
    json!({
        "who": pinged.who,
        "answers": pinged.times.len(),
        "least_ms": least,
        "mean_ms": mean,
        "most_ms": max,
        "failed": pinged.failed,
    })
}
