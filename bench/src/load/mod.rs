//! What a client does and measures, and how it tells.

mod closed;
mod open;

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;

pub(crate) use open::{Pace, Ticks, run_counted};

/// Bytes in the body of a request and of its reply, unless a case is about others.
pub(crate) const PAYLOAD: usize = 64;

/// Items between two looks at the clock, where no time is taken down.
pub(crate) const ITEMS_A_LOOK: u64 = 64;

/// How a client is to work.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Calls in flight, over all connections.
    #[arg(long)]
    pub(crate) in_flight: usize,
    /// Connections, which share the calls.
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    /// Bytes in each body.
    #[arg(long)]
    pub(crate) bytes: usize,
    /// Calls to begin each second, however many are in flight. 0: a new one whenever one has ended.
    #[arg(long)]
    pub(crate) rate: f64,
    /// Time before anything counts.
    #[arg(long)]
    pub(crate) warm_up_ms: u64,
    /// Time in which calls count.
    #[arg(long)]
    pub(crate) measure_ms: u64,
}

impl Load {
    /// The arguments that say the same.
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec![
            format!("--in-flight={}", self.in_flight),
            format!("--connections={}", self.connections),
            format!("--bytes={}", self.bytes),
            format!("--rate={}", self.rate),
            format!("--warm-up-ms={}", self.warm_up_ms),
            format!("--measure-ms={}", self.measure_ms),
        ]
    }

    /// A body.
    pub(crate) fn body(&self) -> Bytes {
        vec![7; self.bytes].into()
    }

    /// Fails if it is for several connections, which only some peers have.
    pub(crate) fn needs_one_connection(&self) -> Result<()> {
        ensure!(self.connections == 1, "this client has one connection, not {}", self.connections);
        Ok(())
    }

    /// Opens its connections.
    pub(crate) async fn open<C>(&self, connection: impl AsyncFn() -> Result<C>) -> Result<Vec<C>> {
        let mut all = Vec::new();
        for _ in 0..self.connections {
            all.push(connection().await?);
        }
        Ok(all)
    }
}

/// Somebody who calls from tokio tasks.
pub(crate) trait Caller: Clone + Send + 'static {
    /// Makes a call, and gives the number of bytes in the reply's body.
    fn call(&self, body: Bytes) -> impl Future<Output = Result<usize>> + Send;
}

/// Calls over these connections as the load says, and tells the parent.
pub(crate) async fn run(callers: Vec<impl Caller>, load: Load) -> Result<()> {
    if load.rate > 0.0 { open::run(callers, load).await } else { closed::run(callers, load).await }
}

/// The time in which calls are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    begin: Instant,
    end: Instant,
}

/// Tells the parent when a window begins and when it ends, so that the parent can look at the
/// processors' time.
#[derive(Debug)]
pub(crate) struct Bell(JoinHandle<()>);

/// What a client found out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) calls: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
}

/// The times that calls took, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<u32>);

impl Window {
    /// A window that opens after the time to warm up.
    pub(crate) fn open(load: Load) -> (Self, Bell) {
        let begin = Instant::now() + Duration::from_millis(load.warm_up_ms);
        let end = begin + Duration::from_millis(load.measure_ms);
        let bell = thread::spawn(move || {
            for (at, word) in [(begin, "begin"), (end, "end")] {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                println!("{word}");
            }
        });
        (Window { begin, end }, Bell(bell))
    }

    /// Whether calls are still to be made.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        now < self.end
    }

    /// The last moment that counts.
    pub(crate) fn last(&self) -> Instant {
        self.end - Duration::from_nanos(1)
    }

    fn counts(&self, at: Instant) -> bool {
        self.begin <= at && at < self.end
    }
}

impl Times {
    /// Takes down a call, if it ended within the window.
    pub(crate) fn add(&mut self, window: &Window, sent: Instant, now: Instant) {
        if window.counts(now) {
            self.push(sent, now);
        }
    }

    fn push(&mut self, from: Instant, to: Instant) {
        let ns = to.duration_since(from).as_nanos();
        self.0.push(u32::try_from(ns).unwrap_or(u32::MAX));
    }

    pub(crate) fn append(&mut self, other: Times) {
        self.0.extend(other.0);
    }

    /// Tells the parent, after the bell.
    pub(crate) fn tell(self, bell: Bell) -> Result<()> {
        bell.wait();
        ensure!(!self.0.is_empty(), "no call ended within the window");
        let mut times = Histogram::<u64>::new_with_max(u64::from(u32::MAX), 3)?;
        for ns in &self.0 {
            times.record(u64::from(*ns))?;
        }
        let at = |part| times.value_at_quantile(part);
        println!("{} {} {} {}", self.0.len(), at(0.5), at(0.99), at(0.999));
        Ok(())
    }
}

impl Bell {
    fn wait(self) {
        // It does nothing that could fail.
        let _ = self.0.join();
    }
}

/// Counts what comes one way, where no time is taken down.
#[derive(Debug)]
pub(crate) struct Count {
    window: Window,
    items: u64,
}

impl Count {
    pub(crate) fn new(window: Window) -> Self {
        Count { window, items: 0 }
    }

    /// Takes down items that came just now. `false`: the window has closed.
    pub(crate) fn add(&mut self, items: u64) -> bool {
        let now = Instant::now();
        if self.window.counts(now) {
            self.items += items;
        }
        self.window.is_open(now)
    }

    /// Tells the parent, after the bell.
    pub(crate) fn tell(self, bell: Bell) -> Result<()> {
        bell.wait();
        ensure!(self.items > 0, "nothing came within the window");
        println!("{} 0 0 0", self.items);
        Ok(())
    }
}

impl Found {
    /// Reads what [`Times::tell`] wrote.
    pub(crate) fn read(line: &str) -> Result<Self> {
        let numbers: Vec<u64> =
            line.split(' ').map(str::parse).collect::<Result<_, _>>().context("no result")?;
        match numbers[..] {
            [calls, p50_ns, p99_ns, p999_ns] => Ok(Found { calls, p50_ns, p99_ns, p999_ns }),
            _ => anyhow::bail!("a result has four numbers: {line}"),
        }
    }
}
