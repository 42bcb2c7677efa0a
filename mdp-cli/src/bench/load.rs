//! Makes the calls and measures their durations.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use mdp_runtime::dynamic::Method;
use mdp_runtime::{CallKind, Client, Code, Status};
use tokio::task::JoinSet;

use crate::contracts;

/// The parameters of the load.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) method: Method,
    /// The workers that get the calls in turn. Empty: the broker chooses.
    pub(super) workers: Vec<String>,
    pub(super) requests: Vec<Bytes>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) concurrency: u32,
    pub(super) rate: Option<f64>,
    pub(super) duration: Duration,
    pub(super) warm_up: Duration,
    pub(super) timeout: Duration,
    /// An empty histogram of microseconds.
    pub(super) no_times: Histogram<u64>,
}

/// The results.
#[derive(Debug)]
pub(super) struct Found {
    /// The durations of successful calls, in microseconds.
    pub(super) times: Histogram<u64>,
    /// The number of failed calls for each code, and the message of the first one.
    pub(super) failures: BTreeMap<&'static str, (u64, String)>,
    /// The number of replies. A stream has many replies for one call.
    pub(super) replies: u64,
    /// The bytes of encoded requests and replies.
    pub(super) bytes: u64,
    /// The number of calls that were delayed, because the maximum number of calls was in flight.
    pub(super) held_up: u64,
    /// The duration of the measurement.
    pub(super) counted: Duration,
}

impl Found {
    fn new(load: &Load) -> Self {
        Found {
            times: load.no_times.clone(),
            failures: BTreeMap::new(),
            replies: 0,
            bytes: 0,
            held_up: 0,
            counted: Duration::ZERO,
        }
    }

    pub(super) fn succeeded(&self) -> u64 {
        self.times.len()
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().map(|(count, _)| count).sum()
    }

    fn add(&mut self, other: Found) {
        // Both histograms have the same bounds.
        let _ = self.times.add(&other.times);
        for (code, (count, message)) in other.failures {
            self.failures.entry(code).or_insert((0, message)).0 += count;
        }
        self.replies += other.replies;
        self.bytes += other.bytes;
        self.held_up += other.held_up;
    }

    fn count(&mut self, took: Duration, sent: usize, ended: Result<(u64, u64), Status>) {
        match ended {
            Ok((replies, bytes)) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
                self.times.saturating_record(micros);
                self.replies += replies;
                self.bytes += sent as u64 + bytes;
            }
            Err(status) => {
                let code: Code = status.code();
                let entry = self.failures.entry(code.name());
                entry.or_insert_with(|| (0, status.message().to_owned())).0 += 1;
            }
        }
    }
}

/// Makes the calls and shows a progress bar.
pub(super) async fn run(load: Arc<Load>, clients: Vec<Client>) -> Found {
    let begun = Instant::now();
    let bar = progress(load.duration);
    let made = Arc::new(AtomicU64::new(0));
    let shown = tokio::spawn({
        let (bar, made) = (bar.clone(), Arc::clone(&made));
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                bar.set_position(begun.elapsed().as_millis() as u64);
                bar.set_message(format!("{} calls", made.load(Ordering::Relaxed)));
            }
        }
    });
    let mut found = match load.rate {
        Some(rate) => open(&load, &clients, &made, begun, rate).await,
        None => closed(&load, &clients, &made, begun).await,
    };
    shown.abort();
    bar.finish_and_clear();
    found.counted = load.duration.saturating_sub(load.warm_up);
    found
}

/// Runs tasks that each make the next call after the previous one has ended.
async fn closed(
    load: &Arc<Load>,
    clients: &[Client],
    made: &Arc<AtomicU64>,
    begun: Instant,
) -> Found {
    let mut tasks = JoinSet::new();
    for (number, client) in (0..load.concurrency as usize).zip(clients.iter().cycle()) {
        let (load, client, made) = (Arc::clone(load), client.clone(), Arc::clone(made));
        tasks.spawn(async move {
            let mut found = Found::new(&load);
            let mut next = number;
            while begun.elapsed() < load.duration {
                let from = Instant::now();
                let (sent, ended) = one(&load, &client, next).await;
                let now = Instant::now();
                // Calls that end within the measured time count.
                let at = now - begun;
                if at >= load.warm_up && at < load.duration {
                    found.count(now - from, sent, ended);
                }
                made.fetch_add(1, Ordering::Relaxed);
                next += load.concurrency as usize;
            }
            found
        });
    }
    gathered(load, tasks).await
}

/// Makes calls at fixed times, independent of previous calls.
async fn open(
    load: &Arc<Load>,
    clients: &[Client],
    made: &Arc<AtomicU64>,
    begun: Instant,
    rate: f64,
) -> Found {
    let mut tasks = JoinSet::new();
    let mut all = Found::new(load);
    let mut number = 0_usize;
    let mut clients = clients.iter().cycle();
    loop {
        let due = Duration::from_secs_f64(number as f64 / rate);
        if due >= load.duration {
            break;
        }
        tokio::time::sleep_until((begun + due).into()).await;
        if tasks.len() >= load.concurrency as usize {
            all.held_up += 1;
            if let Some(Ok(found)) = tasks.join_next().await {
                all.add(found);
            }
        }
        while let Some(found) = tasks.try_join_next() {
            if let Ok(found) = found {
                all.add(found);
            }
        }
        let Some(client) = clients.next().cloned() else { break };
        let (load, made) = (Arc::clone(load), Arc::clone(made));
        tasks.spawn(async move {
            let mut found = Found::new(&load);
            let (sent, ended) = one(&load, &client, number).await;
            if due >= load.warm_up {
                // The time counts from the moment at which the call was due, not from when it was made.
                found.count((begun + due).elapsed(), sent, ended);
            }
            made.fetch_add(1, Ordering::Relaxed);
            found
        });
        number += 1;
    }
    all.add(gathered(load, tasks).await);
    all
}

async fn gathered(load: &Load, mut tasks: JoinSet<Found>) -> Found {
    let mut all = Found::new(load);
    while let Some(found) = tasks.join_next().await {
        if let Ok(found) = found {
            all.add(found);
        }
    }
    all
}

/// Makes a call. Returns the number of bytes sent, and for the reply the number of messages and their bytes.
async fn one(load: &Load, client: &Client, number: usize) -> (usize, Result<(u64, u64), Status>) {
    let at = number % load.requests.len().max(1);
    let request = load.requests.get(at).cloned().unwrap_or_default();
    let sent = request.len();
    let count = load.workers.len();
    let mut tries = 0;
    loop {
        let worker = (number + tries).checked_rem(count).and_then(|at| load.workers.get(at));
        let ended = at_worker(load, client, request.clone(), worker.map(String::as_str)).await;
        tries += 1;
        match ended {
            Err(status) if tries < count && contracts::may_try_the_next(load.method, &status) => {}
            ended => return (sent, ended),
        }
    }
}

async fn at_worker(
    load: &Load,
    client: &Client,
    request: Bytes,
    worker: Option<&str>,
) -> Result<(u64, u64), Status> {
    macro_rules! with_options {
        ($call:expr) => {{
            let mut call = $call.timeout(load.timeout);
            for (key, value) in &load.metadata {
                call = call.metadata(key.clone(), value.clone());
            }
            match worker {
                Some(id) => call.to_worker(id),
                None => call,
            }
        }};
    }
    if load.method.kind() != CallKind::ServerStreaming {
        let reply = with_options!(load.method.call(client, request)).await?;
        return Ok((1, reply.0.len() as u64));
    }
    let (mut replies, mut bytes) = (0, 0);
    let mut stream = with_options!(load.method.server_streaming(client, request)).await?;
    while let Some(reply) = stream.message().await? {
        (replies, bytes) = (replies + 1, bytes + reply.0.len() as u64);
    }
    Ok((replies, bytes))
}

fn progress(duration: Duration) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(duration.as_millis() as u64);
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
