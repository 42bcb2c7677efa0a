//! One reader that stops for 10 s in a stream of 1,000,000 items, over processes: neither broker nor worker grow by
//! more than the window, and other calls take no longer.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../support/process.rs"]
mod process;

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use mdp_runtime::Client;
use pb::Job;
use pb::work_client::WorkClient;
use process::Process;

#[allow(missing_docs, unreachable_pub, dead_code)] // generated
mod pb {
    mdp_runtime::include_proto!("e2e.v1");
}

const ITEMS: u64 = 1_000_000;
/// How long the reader stands still. Calls go on beside, for half a second with this cluster and half a second with one
/// that has no stream, again and again: what else the machine does meets both.
const SECONDS: u32 = 10;
/// The window is 1 MiB at the most; the rest is what the system's allocator and its threads take.
const MAX_GROWTH: u64 = 8 << 20;

fn part(args: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_e2e-part")).args(args))
}

/// The memory that a process holds, in bytes.
fn memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// A broker, a worker and a client of their own.
struct Cluster {
    broker: Process,
    worker: Process,
    work: WorkClient,
    endpoint: String,
}

async fn cluster(ledger: &str) -> Cluster {
    let mut broker = part(&["broker"]);
    let endpoint = broker.line("bound ").strip_prefix("bound ").unwrap().to_owned();
    let worker = part(&["worker", &endpoint, ledger]);
    let work = WorkClient::new(Client::connect(&endpoint).await.unwrap());
    Cluster { broker, worker, work, endpoint }
}

/// The 99th percentile of calls one after another, for half a second.
async fn p99(work: &WorkClient) -> Duration {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_millis(500) {
        let sent = Instant::now();
        work.quick(Job { number: 1 }).await.unwrap();
        times.push(sent.elapsed());
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// The best of them: what else the machine does is in the way of some, and a reader that stands still would be in the
/// way of all.
fn best(times: Vec<Duration>) -> Duration {
    times.into_iter().min().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_reader() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger").to_str().unwrap().to_owned();
    let (with, without) = (cluster(&ledger).await, cluster(&ledger).await);
    let work = &with.work;
    let others = WorkClient::new(Client::connect(&with.endpoint).await.unwrap());
    // Once through, so that what calls and streams take anyway is there.
    p99(&others).await;
    p99(&without.work).await;
    let mut items = work.count(Job { number: 10_000 }).await.unwrap();
    while items.message().await.unwrap().is_some() {}
    let before = [&with.broker, &with.worker].map(memory);

    let mut items = work.count(Job { number: ITEMS }).await.unwrap();
    for number in 0..1_000 {
        assert_eq!(items.message().await.unwrap().unwrap().number, number);
    }
    let (mut beside, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..SECONDS {
        beside.push(p99(&others).await);
        alone.push(p99(&without.work).await);
    }
    let (beside, alone) = (best(beside), best(alone));
    let after = [&with.broker, &with.worker].map(memory);
    let grown = [after[0].saturating_sub(before[0]), after[1].saturating_sub(before[1])];
    let line = format!(
        "slow reader: the broker has grown by {} KiB and the worker by {} KiB; p99 of other calls {beside:?}, and \
         {alone:?} where there is no stream\n",
        grown[0] / 1024,
        grown[1] / 1024
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    assert!(grown.iter().all(|grown| *grown <= MAX_GROWTH), "{line}");
    // What the machine does besides moves single milliseconds.
    assert!(beside <= (2 * alone).max(alone + Duration::from_millis(5)), "{line}");

    for number in 1_000..ITEMS {
        assert_eq!(items.message().await.unwrap().unwrap().number, number);
    }
    assert!(items.message().await.unwrap().is_none());
}
