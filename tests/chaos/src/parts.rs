//! The workers and the clients.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use mdp_runtime::{CallContext, Client, ShutdownSignals, Status, Worker};
use pb::work_client::WorkClient;
use pb::work_worker::{Work, WorkWorker};
use pb::{Done, Job};
use tokio::task::JoinSet;

use crate::ledger::{self, Ledger, Method, is_slow, mixed, now, padding, panics_at, wall};

#[allow(missing_docs, unreachable_pub)] // generated
mod pb {
    mdp_runtime::include_proto!("chaos.v1");
}

const REQUEST: u64 = 1;
const REPLY: u64 = 2;
/// A call that has no outcome so long after its deadline has none.
const HUNG: Duration = Duration::from_secs(10);
/// How often a client looks which calls are due.
const TICK: Duration = Duration::from_millis(1);

type Outcome = Result<(), Box<dyn Error>>;

/// What a worker is told.
#[derive(Args, Debug)]
pub(crate) struct WorkerArgs {
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    ledger: PathBuf,
    /// Its number; its id is `w-NUMBER`.
    #[arg(long)]
    number: u32,
    #[arg(long, default_value_t = 64)]
    capacity: u32,
    /// Seconds.
    #[arg(long, default_value_t = 10)]
    grace: u64,
}

/// What a client's process is told.
#[derive(Args, Debug)]
pub(crate) struct ClientArgs {
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    ledger: PathBuf,
    #[arg(long)]
    number: u16,
    /// Connections, which make calls in turn.
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Calls a second by the clock, whatever becomes of those before, and for how many seconds: 200:8 for instance. Several
    /// follow on each other.
    #[arg(long)]
    phase: Vec<String>,
    /// Before that, so many calls of each connection at once.
    #[arg(long, default_value_t = 0)]
    burst: u64,
    /// In place of phases: so many calls at a time, each when the one before has ended, and for how many seconds.
    #[arg(long)]
    closed: Option<String>,
    #[arg(long, default_value_t = 10_000)]
    deadline_ms: u64,
    /// Least and most milliseconds of work: 1:5.
    #[arg(long, default_value = "1:5")]
    work: String,
    /// One call in ten takes twenty times as long.
    #[arg(long)]
    tail: bool,
    /// Least and most bytes of a request and of a reply: 64:4096.
    #[arg(long, default_value = "64:4096")]
    bytes: String,
    /// One handler in ten panics.
    #[arg(long)]
    panics: bool,
}

/// What every program that lives under a supervisor does: it has a handler for SIGUSR1, whose default would end it. One that
/// is called, not `SIG_IGN`, so that the signal interrupts what the process waits for.
fn hear_usr1() -> Outcome {
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn worker(args: WorkerArgs) -> Outcome {
    hear_usr1()?;
    // As `Worker::run`, and a line when it is there.
    let mut signals = ShutdownSignals::listen()?;
    let ledger = Ledger::open(&args.ledger)?;
    let service = WorkWorker::new(Writer { ledger, number: args.number });
    let builder = Worker::builder().connect(args.endpoint).id(format!("w-{}", args.number));
    let worker = builder.capacity(args.capacity).serve(service).start()?;
    tokio::select! {
        _ = worker.connected() => println!("connected"),
        () = signals.recv() => return Ok(()),
    }
    tokio::select! {
        () = signals.recv() => {}
        stopped = worker.stopped() => stopped?,
    }
    drop(signals);
    worker.shutdown(Duration::from_secs(args.grace)).await;
    Ok(())
}

struct Writer {
    ledger: Ledger,
    number: u32,
}

impl Writer {
    async fn work(&self, job: Job) -> Result<Done, Status> {
        let id = job.id;
        self.ledger
            .write(format_args!("B {id} {} {} {}", now(), self.number, wall()))
            .map_err(|error| Status::internal(format!("the ledger cannot be written: {error}")))?;
        if job.padding != padding(id, REQUEST, job.padding.len()) {
            return Err(Status::data_loss("the request has bytes of another call"));
        }
        tokio::time::sleep(Duration::from_millis(job.work_ms.into())).await;
        assert!(!job.panics, "as the request wants it");
        Ok(Done { id, padding: padding(id, REPLY, job.reply_bytes as usize) })
    }
}

impl Work for Writer {
    async fn again(&self, _: &CallContext, job: Job) -> Result<Done, Status> {
        self.work(job).await
    }

    async fn once(&self, _: &CallContext, job: Job) -> Result<Done, Status> {
        self.work(job).await
    }

    async fn look(&self, _: &CallContext, job: Job) -> Result<Done, Status> {
        self.work(job).await
    }
}

/// A client's process.
struct Caller {
    clients: Vec<WorkClient>,
    ledger: Ledger,
    number: u16,
    counter: AtomicU64,
    deadline_ms: u64,
    work: (u64, u64),
    tail: bool,
    bytes: (u64, u64),
    panics: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn client(args: ClientArgs) -> Outcome {
    hear_usr1()?;
    let mut clients = Vec::new();
    for _ in 0..args.clients {
        let client = Client::builder().connect(&args.endpoint).open().await?;
        clients.push(WorkClient::new(client));
    }
    println!("connected");
    let caller = Arc::new(Caller {
        clients,
        ledger: Ledger::open(&args.ledger)?,
        number: args.number,
        counter: AtomicU64::new(0),
        deadline_ms: args.deadline_ms,
        work: pair(&args.work)?,
        tail: args.tail,
        bytes: pair(&args.bytes)?,
        panics: args.panics,
    });
    let mut calls = JoinSet::new();
    for _ in 0..args.burst * args.clients as u64 {
        calls.spawn(Arc::clone(&caller).call(0));
    }
    if args.burst > 0 {
        println!("burst");
    }
    if let Some(closed) = &args.closed {
        let (at_once, seconds) = pair(closed)?;
        caller.closed(at_once, Duration::from_secs(seconds)).await?;
    }
    let stop = mdp_runtime::shutdown_signal();
    tokio::pin!(stop);
    for (phase, text) in args.phase.iter().enumerate() {
        let (rate, seconds) = text.split_once(':').ok_or("a phase is RATE:SECONDS")?;
        let (rate, seconds) = (rate.parse()?, seconds.parse()?);
        let phase = u8::try_from(phase)?;
        tokio::select! {
            done = caller.phase(phase, rate, Duration::from_secs_f64(seconds), &mut calls) => done?,
            () = &mut stop => break,
        }
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    Ok(())
}

/// Two numbers with a colon between them.
fn pair(text: &str) -> Result<(u64, u64), Box<dyn Error>> {
    let (least, max) = text.split_once(':').ok_or_else(|| format!("{text}: A:B is wanted"))?;
    Ok((least.parse()?, max.parse()?))
}

impl Caller {
    /// Calls by the clock.
    async fn phase(
        self: &Arc<Self>,
        phase: u8,
        rate: f64,
        time: Duration,
        calls: &mut JoinSet<std::io::Result<()>>,
    ) -> std::io::Result<()> {
        let (begun, first) = (Instant::now(), now());
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut made = 0;
        loop {
            let elapsed = begun.elapsed().min(time);
            while made < (elapsed.as_secs_f64() * rate) as u64 {
                calls.spawn(Arc::clone(self).call(phase));
                made += 1;
            }
            while calls.try_join_next().is_some() {}
            if elapsed >= time {
                break;
            }
            ticks.tick().await;
        }
        self.ledger.write(format_args!("P {} {phase} {first} {}", self.number, now()))
    }

    /// So many calls at a time.
    async fn closed(self: &Arc<Self>, at_once: u64, time: Duration) -> std::io::Result<()> {
        let (begun, first) = (Instant::now(), now());
        let mut loops = JoinSet::new();
        for _ in 0..at_once {
            let caller = Arc::clone(self);
            loops.spawn(async move {
                while begun.elapsed() < time {
                    Arc::clone(&caller).call(0).await?;
                }
                Ok::<_, std::io::Error>(())
            });
        }
        while let Some(ended) = loops.join_next().await {
            ended.map_err(std::io::Error::other)??;
        }
        self.ledger.write(format_args!("P {} 0 {first} {}", self.number, now()))
    }

    /// A call, and its two lines.
    async fn call(self: Arc<Self>, phase: u8) -> std::io::Result<()> {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        let id = ledger::id(self.number, phase, counter);
        let job = self.job(id);
        let want = padding(id, REPLY, job.reply_bytes as usize);
        let client = &self.clients[counter as usize % self.clients.len()];
        let deadline = Duration::from_millis(self.deadline_ms);
        self.ledger.write(format_args!("S {id} {} {}", now(), self.deadline_ms))?;
        let call = match Method::of(id) {
            Method::Again => client.again(job),
            Method::Once => client.once(job),
            Method::Look => client.look(job),
        };
        let ended = tokio::time::timeout(deadline + HUNG, call.timeout(deadline).send()).await;
        let at = now();
        match ended {
            Err(_) => self.ledger.write(format_args!("E {id} {at} HUNG - 0 0")),
            Ok(Ok(reply)) => {
                let own = reply.message().id == id && reply.message().padding == want;
                let code = if own { "OK" } else { "WRONG" };
                self.ledger.write(format_args!("E {id} {at} {code} - 0 {}", reply.attempts()))
            }
            Ok(Err(status)) => {
                let reason = status.reason().unwrap_or_else(|| "-".into());
                let not_started = u8::from(status.not_started());
                let code = status.code();
                self.ledger.write(format_args!("E {id} {at} {code} {reason} {not_started} 0"))
            }
        }
    }

    fn job(&self, id: u64) -> Job {
        let chance = mixed(id);
        let between = |(least, max): (u64, u64), by: u64| least + by % (max - least + 1);
        let mut work = between(self.work, chance);
        if self.tail && is_slow(id) {
            work *= 20;
        }
        let bytes = between(self.bytes, chance >> 16);
        Job {
            id,
            work_ms: work as u32,
            panics: self.panics && panics_at(id),
            reply_bytes: bytes as u32,
            padding: padding(id, REQUEST, bytes as usize),
        }
    }
}
