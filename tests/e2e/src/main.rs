//! The parts that the tests run as processes: a broker, a worker, a client.
//!
//! ```text
//! e2e-part broker [ENDPOINT]                   prints `bound ENDPOINT`; may be drained
//! e2e-part worker ENDPOINT LEDGER              appends `METHOD NUMBER` to the ledger as each handler starts
//! e2e-part member ENDPOINT LEDGER ID           the same with room for all, and an id
//! e2e-part client ENDPOINT FIRST COUNT         prints `METHOD NUMBER OUTCOME` for each call
//! e2e-part load ENDPOINT RATE                  so many calls a second until SIGTERM, then the same of each
//! ```
//!
//! Several endpoints with commas between them are several brokers at once, for a member and a load.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use mdp_runtime::{Broker, CallContext, Client, Status, Stream, Worker};
use pb::work_client::WorkClient;
use pb::work_worker::{Work, WorkWorker};
use pb::{Done, Job};
use tokio::sync::Semaphore;

#[allow(missing_docs, unreachable_pub)] // generated
mod pb {
    mdp_runtime::include_proto!("e2e.v1");
}

/// Few slots and many callers, so that a killed worker always holds something.
const CAPACITY: u32 = 2;
const CALLS_AT_ONCE: usize = 16;
/// For a worker that is to keep up with all calls.
const ROOMY: u32 = 64;
const TIMEOUT: Duration = Duration::from_secs(30);
/// A call has an outcome by then, come what may.
const HUNG: Duration = Duration::from_secs(35);

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["broker"] => broker("tcp://127.0.0.1:*").await,
        ["broker", endpoint] => broker(endpoint).await,
        ["worker", endpoint, ledger] => worker(endpoint, ledger, "", CAPACITY).await,
        ["member", endpoint, ledger, id] => worker(endpoint, ledger, id, ROOMY).await,
        ["load", endpoint, rate] => load(endpoint, rate.parse()?).await,
        ["client", endpoint, first, count] => {
            client(endpoint, first.parse()?, count.parse()?).await
        }
        _ => Err("what it may be is said at the top of its source".into()),
    }
}

async fn broker(endpoint: &str) -> Outcome {
    let mut broker = Broker::builder().bind(endpoint).allow_drain(true).admission(false).start()?;
    println!("bound {}", broker.endpoints().join(" "));
    tokio::select! {
        () = mdp_runtime::shutdown_signal() => {}
        ended = broker.stopped() => return Ok(ended?),
    }
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn worker(endpoint: &str, ledger: &str, id: &str, capacity: u32) -> Outcome {
    let ledger = OpenOptions::new().append(true).create(true).open(ledger)?;
    let service = WorkWorker::new(Writer { ledger });
    let builder = match endpoint.contains(',') {
        true => Worker::builder().brokers(endpoint.split(',')),
        false => Worker::builder().connect(endpoint),
    };
    let builder = builder.id(id).capacity(capacity);
    builder.serve(service).run().await?;
    Ok(())
}

struct Writer {
    ledger: File,
}

impl Writer {
    async fn work(&self, method: &str, job: Job) -> Result<Done, Status> {
        // One write to a file that is appended to: whole lines, though several processes write.
        (&self.ledger)
            .write_all(format!("{method} {}\n", job.number).as_bytes())
            .map_err(|error| Status::internal(format!("the ledger cannot be written: {error}")))?;
        tokio::time::sleep(Duration::from_millis(1 + job.number % 5)).await;
        Ok(Done { number: job.number })
    }
}

impl Work for Writer {
    async fn again(&self, _: &CallContext, job: Job) -> Result<Done, Status> {
        self.work("again", job).await
    }

    async fn once(&self, _: &CallContext, job: Job) -> Result<Done, Status> {
        self.work("once", job).await
    }

    async fn quick(&self, _: &CallContext, job: Job) -> Result<Done, Status> {
        Ok(Done { number: job.number })
    }

    async fn count(
        &self,
        _: &CallContext,
        job: Job,
    ) -> Result<impl Stream<Item = Result<Done, Status>>, Status> {
        Ok(Numbers(0..job.number))
    }
}

struct Numbers(Range<u64>);

impl Stream for Numbers {
    type Item = Result<Done, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(|number| Ok(Done { number })))
    }
}

async fn client(endpoint: &str, first: u64, count: u64) -> Outcome {
    let work = WorkClient::new(Client::connect(endpoint).await?);
    let slots = Arc::new(Semaphore::new(CALLS_AT_ONCE));
    let mut calls = Vec::new();
    for number in first..first + count {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let work = work.clone();
        calls.push(tokio::spawn(async move {
            println!("{}", one_call(&work, number).await);
            drop(slot);
        }));
    }
    for call in calls {
        call.await?;
    }
    Ok(())
}

/// Calls by the clock, whatever becomes of those before, until the process is told to stop.
async fn load(endpoint: &str, rate: u32) -> Outcome {
    let client = match endpoint.contains(',') {
        true => Client::builder().brokers(endpoint.split(',')).open().await?,
        false => Client::connect(endpoint).await?,
    };
    let work = WorkClient::new(client);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut calls = Vec::new();
    let stop = mdp_runtime::shutdown_signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            _ = ticks.tick() => {}
        }
        let (work, number) = (work.clone(), calls.len() as u64);
        if number == 0 {
            println!("begun");
        }
        calls.push(tokio::spawn(async move { one_call(&work, number).await }));
    }
    for call in calls {
        println!("{}", call.await?);
    }
    Ok(())
}

/// Makes a call, every second one of the method that may be run again, and tells of its outcome.
async fn one_call(work: &WorkClient, number: u64) -> String {
    let (method, call) = match number % 2 {
        0 => ("again", work.again(Job { number })),
        _ => ("once", work.once(Job { number })),
    };
    let outcome = match tokio::time::timeout(HUNG, call.timeout(TIMEOUT).send()).await {
        Err(_) => "HUNG".to_owned(),
        Ok(Ok(response)) if response.message().number != number => "WRONG".to_owned(),
        Ok(Ok(response)) => format!("OK {}", response.attempts()),
        Ok(Err(status)) => {
            let reason = status.reason().unwrap_or_default();
            format!("{} {reason} {}", status.code(), status.message())
        }
    };
    format!("{method} {number} {outcome}")
}
