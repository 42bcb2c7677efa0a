//! The broker is killed (SIGKILL) under load and started again on the same endpoint a second later, again and again. Client
//! and worker are in this process, the broker is one of its own.
//!
//! Who has no connection knows it soon and sends nothing: so only calls that were with the broker when it was killed may end
//! with MAYBE_EXECUTED, and calls that may be run again all get their reply. `MDP_BROKER_KILLS=full` kills the broker 7 times
//! at 700 calls a second in place of 2 times at 300.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../support/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mdp_runtime::{
    CallContext, Client, Code, ConnectionState, Status, Stream, Worker, WorkerBuilder,
};
use pb::work_client::WorkClient;
use pb::work_worker::{Work, WorkWorker};
use pb::{Done, Job};
use process::Process;
use tokio::sync::watch;

#[allow(missing_docs, unreachable_pub, dead_code)] // generated
mod pb {
    mdp_runtime::include_proto!("e2e.v1");
}

/// How often the broker is killed, and how many calls are made in a second, half of them idempotent.
const SHORT: (usize, u32) = (2, 300);
const FULL: (usize, u32) = (7, 700);
/// How long the broker is there, and how long it is gone.
const UP: Duration = Duration::from_millis(1_500);
const DOWN: Duration = Duration::from_secs(1);
/// The time of a call: longer than the broker is gone.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Within it a broker that was killed is known to be gone.
const NOTICED: Duration = Duration::from_millis(500);
/// What a test waits for comes much sooner, or never.
const LONG: Duration = Duration::from_secs(30);

/// How often the handler of each call was started.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeMap<u64, usize>>>);

impl Ledger {
    async fn work(&self, job: Job) -> Result<Done, Status> {
        *self.0.lock().unwrap().entry(job.number).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(1 + job.number % 5)).await;
        Ok(Done { number: job.number })
    }
}

impl Work for Ledger {
    async fn again(&self, _: &CallContext, job: Job) -> Result<Done, Status> {
        self.work(job).await
    }

    async fn once(&self, _: &CallContext, job: Job) -> Result<Done, Status> {
        self.work(job).await
    }

    async fn quick(&self, _: &CallContext, job: Job) -> Result<Done, Status> {
        self.work(job).await
    }

    async fn count(
        &self,
        _: &CallContext,
        _: Job,
    ) -> Result<impl Stream<Item = Result<Done, Status>>, Status> {
        Err::<mdp_runtime::Streaming<Done>, _>(Status::unimplemented("nobody calls it"))
    }
}

/// What became of a call.
struct Made {
    number: u64,
    begun: Instant,
    ended: Instant,
    outcome: Result<Done, Status>,
}

impl Made {
    fn may_be_run_again(&self) -> bool {
        self.number.is_multiple_of(2)
    }
}

fn broker(endpoint: &str) -> (Process, String) {
    let mut broker =
        Process::start(Command::new(env!("CARGO_BIN_EXE_e2e-part")).args(["broker", endpoint]));
    let bound = broker.line("bound ").strip_prefix("bound ").unwrap().to_owned();
    (broker, bound)
}

fn worker(endpoint: &str, ledger: &Ledger) -> WorkerBuilder {
    Worker::builder().connect(endpoint).capacity(256).serve(WorkWorker::new(ledger.clone()))
}

/// Waits until it is connected, or is not. How long that took.
async fn until(state: &mut watch::Receiver<ConnectionState>, connected: bool) -> Duration {
    let begun = Instant::now();
    let is =
        |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. }) == connected;
    let waited = tokio::time::timeout(LONG, state.wait_for(is)).await;
    assert!(waited.is_ok_and(|waited| waited.is_ok()), "connected: {connected}, in vain");
    begun.elapsed()
}

async fn one_call(work: WorkClient, number: u64) -> Made {
    let begun = Instant::now();
    let call = match number % 2 {
        0 => work.again(Job { number }),
        _ => work.once(Job { number }),
    };
    let outcome = call.timeout(TIMEOUT).await;
    Made { number, begun, ended: Instant::now(), outcome }
}

/// Calls by the clock until it is told to stop.
async fn load(work: WorkClient, rate: u32, mut stop: watch::Receiver<bool>) -> Vec<Made> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut calls = Vec::new();
    while !*stop.borrow_and_update() {
        ticks.tick().await;
        calls.push(tokio::spawn(one_call(work.clone(), calls.len() as u64)));
    }
    let mut made = Vec::new();
    for call in calls {
        made.push(call.await.unwrap());
    }
    made
}

/// When the broker was killed, and when the client knew it.
struct Kill {
    killed: Instant,
    noticed: Instant,
    /// How long client and worker took to know it.
    client: Duration,
    worker: Duration,
}

async fn kills(endpoint: &str, (count, rate): (usize, u32)) -> (Vec<Kill>, Vec<Made>, Ledger) {
    let ledger = Ledger::default();
    let (mut running, endpoint) = broker(endpoint);
    let worker = worker(&endpoint, &ledger).start().unwrap();
    let client = Client::connect(&endpoint).await.unwrap();
    let (mut of_client, mut of_worker) = (client.state(), worker.state());
    until(&mut of_worker, true).await;
    let (stop, stopped) = watch::channel(false);
    let calls = tokio::spawn(load(WorkClient::new(client.clone()), rate, stopped));
    let mut kills = Vec::new();
    for _ in 0..count {
        // The cadence is what the test does to the broker; it waits for nothing.
        tokio::time::sleep(UP).await;
        until(&mut of_client, true).await;
        until(&mut of_worker, true).await;
        let killed = Instant::now();
        running.kill();
        let (client, worker) = tokio::join!(
            async {
                until(&mut of_client, false).await;
                killed.elapsed()
            },
            async {
                until(&mut of_worker, false).await;
                killed.elapsed()
            }
        );
        kills.push(Kill { killed, noticed: killed + client, client, worker });
        tokio::time::sleep(DOWN.saturating_sub(killed.elapsed())).await;
        running = broker(&endpoint).0;
    }
    tokio::time::sleep(UP).await;
    stop.send_replace(true);
    let made = tokio::time::timeout(LONG, calls).await.unwrap().unwrap();
    worker.shutdown(Duration::from_secs(1)).await;
    (kills, made, ledger)
}

fn check(transport: &str, kills: &[Kill], made: &[Made], ledger: &Ledger) {
    let starts = ledger.0.lock().unwrap();
    let (mut maybe, mut started_of_maybe, mut under_way, mut wrong) = (0, 0, 0, Vec::new());
    for call in made {
        let started = starts.get(&call.number).copied().unwrap_or(0);
        // With the broker when it was killed, or sent before the client could know that.
        let with_it =
            kills.iter().any(|kill| call.begun <= kill.noticed && call.ended >= kill.killed);
        under_way += usize::from(with_it && !call.may_be_run_again());
        match &call.outcome {
            Ok(done) => assert!(done.number == call.number && started >= 1),
            Err(status) => {
                let honest = !call.may_be_run_again()
                    && status.code() == Code::Unavailable
                    && status.reason().as_deref() == Some("MAYBE_EXECUTED")
                    && !status.not_started();
                maybe += usize::from(honest);
                started_of_maybe += usize::from(honest && started > 0);
                if !honest || !with_it {
                    wrong.push((call.number, started, status.to_string()));
                }
            }
        }
        assert!(call.may_be_run_again() || started <= 1, "{} was run twice", call.number);
    }
    let longest = |of: fn(&Kill) -> Duration| kills.iter().map(of).max().unwrap();
    let (client, worker) = (longest(|kill| kill.client), longest(|kill| kill.worker));
    let calls = made.len();
    let mut took: Vec<_> = made.iter().map(|call| call.ended.duration_since(call.begun)).collect();
    took.sort_unstable();
    let median = took[calls / 2];
    // Past the test harness, which shows nothing of a test that passes.
    let figures = format!(
        "broker kills, {transport}: {} kills, {calls} calls; {maybe} MAYBE_EXECUTED, of which {started_of_maybe} had started, \
         of {under_way} under way; {} ended otherwise than they may; half of all took {median:?} at the most; noticed within {client:?} by the client, {worker:?} by the \
         worker\n",
        kills.len(),
        wrong.len(),
    );
    std::io::stderr().write_all(figures.as_bytes()).unwrap();
    wrong.truncate(5);
    assert!(wrong.is_empty(), "{wrong:?}; {figures}");
    assert!(client < NOTICED && worker < NOTICED, "{figures}");
    assert!(calls > kills.len() * SHORT.1 as usize, "only {calls} calls were made");
}

fn plan() -> (usize, u32) {
    if std::env::var("MDP_BROKER_KILLS").is_ok_and(|kills| kills == "full") { FULL } else { SHORT }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tcp_only_calls_under_way_may_have_run() {
    let (kills, made, ledger) = kills("tcp://127.0.0.1:*", plan()).await;
    check("tcp", &kills, &made, &ledger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_ipc_only_calls_under_way_may_have_run() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", folder.path().join("broker").to_str().unwrap());
    let (kills, made, ledger) = kills(&endpoint, SHORT).await;
    check("ipc", &kills, &made, &ledger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_stays_away_calls_end_as_not_started() {
    let (mut running, endpoint) = broker("tcp://127.0.0.1:*");
    let worker = worker(&endpoint, &Ledger::default()).start().unwrap();
    let client = Client::connect(&endpoint).await.unwrap();
    let (mut of_client, mut of_worker) = (client.state(), worker.state());
    until(&mut of_worker, true).await;
    let work = WorkClient::new(client);
    assert!(work.once(Job { number: 1 }).await.is_ok());
    running.kill();
    let killed = Instant::now();
    until(&mut of_client, false).await;
    until(&mut of_worker, false).await;
    assert!(killed.elapsed() < NOTICED, "{:?}", killed.elapsed());
    for number in 2..6 {
        let status =
            work.once(Job { number }).timeout(Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(
            (status.code(), status.not_started()),
            (Code::DeadlineExceeded, true),
            "{status}"
        );
    }
}
