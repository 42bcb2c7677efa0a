//! A broker, workers and clients as processes, each with its ledger in a folder of the run's own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::check::Book;
use crate::process::Process;
use crate::program::Setup;

/// How a process is started: what stands before its program, and where it finds the broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    pub(crate) before: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// The broker's endpoint, if it is not the first one that it is bound to.
    pub(crate) endpoint: Option<String>,
}

impl Launch {
    fn command(&self, program: &Path) -> Command {
        let mut words = self.before.iter();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
            None => Command::new(program),
        };
        // Their logs are read.
        command.env("NO_COLOR", "1");
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
    }
}

/// How the broker is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct BrokerLaunch {
    pub(crate) launch: Launch,
    /// Where it listens; a port of the machine's choice on loopback if empty.
    pub(crate) binds: Vec<String>,
    /// Settings, as TOML.
    pub(crate) config: String,
    pub(crate) args: Vec<String>,
}

/// The load of one or several clients' processes.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) processes: usize,
    /// Connections, of all processes together.
    pub(crate) clients: usize,
    /// Calls a second of all processes together, and for how many seconds, one after another.
    pub(crate) phases: Vec<(f64, f64)>,
    pub(crate) deadline: Duration,
    /// Least and most milliseconds.
    pub(crate) work: (u64, u64),
    /// Least and most bytes there and back.
    pub(crate) bytes: (u64, u64),
    /// Further arguments of the client.
    pub(crate) args: Vec<String>,
}

impl Load {
    /// The load under which most faults are: in full 2,000 calls a second of 16 clients, with 1 to 5 ms of work and 64 bytes
    /// to 4 KiB there and back; in CI what debug builds on two cores that others use carry.
    pub(crate) fn standard(setup: &Setup, seconds: f64) -> Self {
        Load {
            processes: setup.pick(4, 1),
            clients: setup.pick(16, 4),
            phases: vec![(setup.rate.unwrap_or(setup.pick(2_000.0, 200.0)), seconds)],
            deadline: Duration::from_secs(10),
            work: (1, 5),
            bytes: (64, 4_096),
            args: Vec::new(),
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.phases.iter().map(|(_, seconds)| seconds).sum()
    }

    pub(crate) fn words(&self, workers: usize) -> String {
        let rate = self.phases.first().map_or(0.0, |(rate, _)| *rate);
        format!(
            "{workers} workers, {} clients, {rate:.0} calls/s for {:.0} s, {} to {} ms of work, {} to {} bytes, deadline {:?}",
            self.clients,
            self.seconds(),
            self.work.0,
            self.work.1,
            self.bytes.0,
            self.bytes.1,
            self.deadline,
        )
    }
}

/// Workers of the standard load.
pub(crate) fn workers(setup: &Setup) -> usize {
    setup.pick(8, 3)
}

pub(crate) struct Member {
    pub(crate) number: u32,
    pub(crate) process: Process,
}

impl Member {
    pub(crate) fn id(&self) -> String {
        format!("w-{}", self.number)
    }
}

pub(crate) struct Cluster<'a> {
    pub(crate) setup: &'a Setup,
    folder: TempDir,
    how: BrokerLaunch,
    pub(crate) broker: Process,
    /// Where the broker is bound.
    pub(crate) endpoints: Vec<String>,
    metrics: Option<SocketAddr>,
    pub(crate) workers: Vec<Member>,
    pub(crate) clients: Vec<Process>,
    worker_number: u32,
    client_number: u16,
    /// By when the clients' load is over.
    until: Instant,
}

impl<'a> Cluster<'a> {
    /// A broker as it is by default, and so many workers.
    pub(crate) fn start(setup: &'a Setup, workers: usize) -> Self {
        let mut cluster = Cluster::broker(setup, BrokerLaunch::default());
        for _ in 0..workers {
            cluster.add_worker(&Launch::default(), 64);
        }
        cluster.wait_workers();
        cluster
    }

    pub(crate) fn broker(setup: &'a Setup, how: BrokerLaunch) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Cluster {
            setup,
            broker: spare(),
            folder,
            how,
            endpoints: Vec::new(),
            metrics: None,
            workers: Vec::new(),
            clients: Vec::new(),
            worker_number: 0,
            client_number: 0,
            until: Instant::now(),
        };
        cluster.start_broker();
        cluster
    }

    /// Starts the broker, where it was bound before if it was.
    pub(crate) fn start_broker(&mut self) {
        let mut command = self.how.launch.command(self.setup.mdp());
        let binds = match (&self.endpoints[..], &self.how.binds[..]) {
            ([], []) => vec!["tcp://127.0.0.1:*".to_owned()],
            ([], binds) => binds.to_vec(),
            (bound, _) => bound.to_vec(),
        };
        command.arg("broker").arg("--bind").args(&binds).args(["--metrics", "127.0.0.1:0"]);
        if !self.how.config.is_empty() {
            let path = self.path("mdp.toml");
            std::fs::write(&path, &self.how.config).unwrap();
            command.arg("--config").arg(path);
        }
        command.args(&self.how.args);
        self.broker = Process::start_with(&mut command, Stdio::piped(), self.errors("broker"));
        self.endpoints = binds
            .iter()
            .map(|_| self.broker.line("bound ").strip_prefix("bound ").unwrap().to_owned())
            .collect();
        let metrics = self.broker.line("metrics http://");
        let metrics = metrics.trim_start_matches("metrics http://").trim_end_matches("/metrics");
        self.metrics = Some(metrics.parse().unwrap());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn errors(&self, name: &str) -> Stdio {
        let path = self.path(&format!("{name}.err"));
        File::options().append(true).create(true).open(path).unwrap().into()
    }

    pub(crate) fn endpoint(&self, launch: &Launch) -> String {
        launch.endpoint.clone().unwrap_or_else(|| self.endpoints[0].clone())
    }

    /// Starts a worker; it may not be there yet.
    pub(crate) fn worker(&mut self, launch: &Launch, capacity: u32) -> Member {
        let number = self.worker_number;
        self.worker_number += 1;
        let mut command = launch.command(&self.setup.part);
        command.args(["worker", "--endpoint", &self.endpoint(launch)]);
        command.arg("--ledger").arg(self.path(&format!("worker-{number}.ledger")));
        command.args(["--number", &number.to_string(), "--capacity", &capacity.to_string()]);
        let errors = self.errors(&format!("worker-{number}"));
        Member { number, process: Process::start_with(&mut command, Stdio::piped(), errors) }
    }

    pub(crate) fn add_worker(&mut self, launch: &Launch, capacity: u32) {
        let worker = self.worker(launch, capacity);
        self.workers.push(worker);
    }

    /// Waits until all workers have been welcomed.
    pub(crate) fn wait_workers(&mut self) {
        self.workers.iter_mut().for_each(|worker| drop(worker.process.line("connected")));
    }

    /// Kills a worker and starts another one in its place; it is there when it has begun.
    pub(crate) fn replace_worker(&mut self, place: usize, launch: &Launch) {
        self.workers[place].process.kill();
        let worker = self.worker(launch, 64);
        self.workers[place] = worker;
    }

    /// Starts the clients of a load, and waits until they are connected.
    pub(crate) fn load(&mut self, load: &Load, launch: &Launch) {
        let processes = load.processes;
        let mut begun = Vec::new();
        for _ in 0..processes {
            let number = self.client_number;
            self.client_number += 1;
            let mut command = launch.command(&self.setup.part);
            command.args(["client", "--endpoint", &self.endpoint(launch)]);
            command.arg("--ledger").arg(self.path(&format!("client-{number}.ledger")));
            command.args(["--number", &number.to_string()]);
            command.args(["--clients", &(load.clients / processes).to_string()]);
            for (rate, seconds) in &load.phases {
                command.args(["--phase", &format!("{}:{seconds}", rate / processes as f64)]);
            }
            command.args(["--deadline-ms", &load.deadline.as_millis().to_string()]);
            command.args(["--work", &format!("{}:{}", load.work.0, load.work.1)]);
            command.args(["--bytes", &format!("{}:{}", load.bytes.0, load.bytes.1)]);
            command.args(&load.args);
            let errors = self.errors(&format!("client-{number}"));
            begun.push(Process::start_with(&mut command, Stdio::piped(), errors));
        }
        begun.iter_mut().for_each(|client| drop(client.line("connected")));
        self.clients.extend(begun);
        self.until = self.until.max(Instant::now() + Duration::from_secs_f64(load.seconds()));
    }

    /// Whether the load goes on for at least this long.
    pub(crate) fn goes_on(&self, for_seconds: f64) -> bool {
        Instant::now() + Duration::from_secs_f64(for_seconds) < self.until
    }

    /// How long the load still goes on.
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Tells the clients to make no more calls.
    pub(crate) fn stop_load(&mut self) {
        self.clients.iter().for_each(|client| send(client, Signal::TERM));
        self.until = Instant::now();
    }

    /// Waits until the clients have ended, at most until all outcomes are overdue, and reads the ledgers.
    pub(crate) fn finish(&mut self) -> Book {
        let hung = self.until + Duration::from_secs(60);
        while self.clients.iter_mut().any(Process::is_running) && Instant::now() < hung {
            std::thread::sleep(Duration::from_millis(20));
        }
        // What is still running is killed, and its calls have no outcome.
        self.clients.clear();
        self.book()
    }

    /// What has been written down by now.
    pub(crate) fn book(&self) -> Book {
        Book::read(self.folder.path())
    }

    /// The broker's metrics as text. `None`: it does not answer.
    pub(crate) fn metrics(&self) -> Option<String> {
        let patience = Duration::from_millis(1_500);
        let mut stream = TcpStream::connect_timeout(&self.metrics?, patience).ok()?;
        stream.set_read_timeout(Some(patience)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }

    /// A series' value. `None`: the broker does not answer, or there is none.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics()?;
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// Whether the broker knows the worker. `None`: it does not answer.
    pub(crate) fn knows(&self, worker: &str) -> Option<bool> {
        Some(self.metrics()?.contains(&format!("worker=\"{worker}\"")))
    }

    /// Waits until the broker knows the worker, for at most 20 s.
    pub(crate) fn wait_known(&self, worker: &str) -> bool {
        within(Duration::from_secs(20), || self.knows(worker) == Some(true)).is_some()
    }

    /// The sessions that the broker has lost, by their causes, as far as its log has a line for each.
    pub(crate) fn lost(&self) -> BTreeMap<String, usize> {
        let log = std::fs::read_to_string(self.path("broker.err")).unwrap_or_default();
        let mut causes = BTreeMap::new();
        for line in log.lines().filter(|line| line.contains("session lost")) {
            let cause = line.split("cause=").nth(1).and_then(|rest| rest.split(' ').next());
            *causes.entry(cause.unwrap_or("?").to_owned()).or_default() += 1;
        }
        causes
    }

    /// How many processes of the cluster have ended that should not have.
    pub(crate) fn ended(&mut self) -> usize {
        let workers = self.workers.iter_mut().filter_map(|worker| {
            let running = worker.process.is_running();
            (!running).then_some(())
        });
        workers.count() + usize::from(!self.broker.is_running())
    }
}

/// A process that has ended, in the place of one that is to be started.
fn spare() -> Process {
    Process::start_with(&mut Command::new("true"), Stdio::null(), Stdio::null())
}

pub(crate) fn send(process: &Process, signal: Signal) {
    let pid = Pid::from_raw(process.id().cast_signed()).unwrap();
    // A process that has ended has no use for it.
    let _ = kill_process(pid, signal);
}

/// Waits until a condition holds, and says how long it took. `None`: it did not in time.
pub(crate) fn within(max: Duration, mut condition: impl FnMut() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    loop {
        if condition() {
            return Some(begun.elapsed());
        }
        if begun.elapsed() > max {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
