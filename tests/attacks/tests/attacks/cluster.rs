//! The broker that is attacked, its workers and its other clients.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mdp_runtime::{Client, MdpRecord, Status, Worker, mdp_service};

use crate::ms;
use crate::process::Process;

/// The name of the service below.
pub(crate) const SERVICE: &str = "attacks.v1.Work";
/// One of its methods.
pub(crate) const ECHO: &str = "attacks.v1.Work/Echo";

const PATIENCE: Duration = Duration::from_secs(30);

/// What honest workers do.
#[mdp_service(package = "attacks.v1")]
pub(crate) trait Work {
    /// Some work, and the same number back.
    #[mdp(no_side_effects)]
    async fn echo(&self, job: Job) -> Result<Job, Status>;
    /// What has others of its kind within it.
    #[mdp(no_side_effects)]
    async fn nest(&self, node: Node) -> Result<Job, Status>;
}

/// A number that is to come back, and how many milliseconds that takes.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Job {
    #[mdp(1)]
    pub(crate) number: u64,
    #[mdp(2)]
    pub(crate) ms: u64,
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Node {
    #[mdp(1)]
    pub(crate) children: Vec<Node>,
}

struct Worked;

impl Work for Worked {
    async fn echo(&self, job: Job) -> Result<Job, Status> {
        // None: most of the messages that are made by hand.
        if job.ms > 0 {
            tokio::time::sleep(ms(job.ms)).await;
        }
        Ok(job)
    }

    async fn nest(&self, node: Node) -> Result<Job, Status> {
        Ok(Job { number: node.children.len() as u64, ms: 0 })
    }
}

/// A broker process.
pub(crate) struct Target {
    pub(crate) process: Process,
    pub(crate) endpoint: String,
    /// Asks for the counters.
    asks: zmq::Socket,
}

impl Target {
    pub(crate) fn start() -> Self {
        Target::begin(&mut Command::new(env!("CARGO_BIN_EXE_attacks-broker")))
    }

    /// A broker on an endpoint that another one had.
    pub(crate) fn start_at(endpoint: &str) -> Self {
        Target::begin(Command::new(env!("CARGO_BIN_EXE_attacks-broker")).arg(endpoint))
    }

    /// A broker that lets so many calls of each service wait.
    pub(crate) fn start_with_queue(calls: u64) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attacks-broker"));
        Target::begin(command.args(["tcp://127.0.0.1:*", &calls.to_string()]))
    }

    /// A broker with this policy.
    pub(crate) fn start_with_policy(policy: &std::path::Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attacks-broker"));
        Target::begin(command.args(["tcp://127.0.0.1:*", "10000"]).arg(policy))
    }

    /// A broker within a limit of the shell's `ulimit`, and on an endpoint if one is given.
    pub(crate) fn start_within(limit: &str, endpoint: &str) -> Self {
        let line = format!("ulimit {limit} && exec \"$0\" {endpoint}");
        let program = env!("CARGO_BIN_EXE_attacks-broker");
        Target::begin(Command::new("sh").args(["-c", &line, program]))
    }

    fn begin(command: &mut Command) -> Self {
        let mut process = Process::start(command.env("RUST_BACKTRACE", "0"));
        let endpoint = process.line("bound ").strip_prefix("bound ").unwrap().to_owned();
        let asks = dealer(&endpoint);
        Target { process, endpoint, asks }
    }

    /// The memory that it holds, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// One of the broker's counters, after all that it had received before it was asked.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.counters()[name].as_u64().unwrap()
    }

    pub(crate) fn counters(&self) -> serde_json::Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.asks.send_multipart(["MDPC02", "\x01", "mmi.counters"], 0).unwrap();
            let reply = self.asks.recv_multipart(0).expect("no counters");
            match &reply[3..] {
                [status, counters] if status == b"200" => {
                    return serde_json::from_slice(counters).unwrap();
                }
                // Lists are made so often and no more.
                _ => std::thread::sleep(ms(20)),
            }
            assert!(Instant::now() < deadline, "no counters: {reply:?}");
        }
    }

    /// Waits until a counter is as it should be.
    pub(crate) async fn until(&self, name: &str, holds: impl Fn(u64) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self.counter(name)) {
            assert!(Instant::now() < deadline, "{name}: {}", self.counters());
            tokio::time::sleep(ms(20)).await;
        }
    }

    pub(crate) async fn worker(&self, capacity: u32) -> Worker {
        worker(&self.endpoint, capacity).await
    }

    pub(crate) async fn client(&self) -> WorkClient {
        client(&self.endpoint).await
    }

    /// Calls are answered, and by whom they should be.
    pub(crate) async fn serves(&mut self) {
        assert!(self.process.is_running());
        let client = self.client().await;
        for _ in 0..10 {
            call(&client, 0, Duration::from_secs(10)).await.unwrap();
        }
    }
}

pub(crate) async fn worker(endpoint: &str, capacity: u32) -> Worker {
    let worker = Worker::builder().connect(endpoint).capacity(capacity);
    let worker = worker.serve(WorkWorker::new(Worked)).start().unwrap();
    tokio::time::timeout(PATIENCE, worker.connected()).await.unwrap().unwrap();
    worker
}

pub(crate) async fn client(endpoint: &str) -> WorkClient {
    WorkClient::new(Client::connect(endpoint).await.unwrap())
}

/// A call that takes so long to work on. Its reply must be its own.
pub(crate) async fn call(client: &WorkClient, ms: u64, timeout: Duration) -> Result<(), Status> {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let job = Job { number: NUMBERS.fetch_add(1, Ordering::Relaxed), ms };
    let reply = client.echo(job.clone()).timeout(timeout).await?;
    assert_eq!(reply, job, "the reply of another call");
    Ok(())
}

/// A peer of classic MDP, or of what its messages say.
pub(crate) fn dealer(endpoint: &str) -> zmq::Socket {
    let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(30_000).unwrap();
    socket.set_sndtimeo(30_000).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}
