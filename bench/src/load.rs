//! What a client measures, and how it tells.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Bytes in the body of a request and of its reply.
pub(crate) const PAYLOAD: usize = 64;

/// Items between two looks at the clock, where no time is taken down.
pub(crate) const ITEMS_A_LOOK: u64 = 64;

/// How a client is to work: a number of calls in flight, some time to warm up, some to measure.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    pub(crate) in_flight: usize,
    pub(crate) warm_up_ms: u64,
    pub(crate) measure_ms: u64,
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
}

impl Times {
    /// Takes down a call, if it ended within the window.
    pub(crate) fn add(&mut self, window: &Window, sent: Instant, now: Instant) {
        if window.begin <= now && now < window.end {
            let ns = now.duration_since(sent).as_nanos();
            self.0.push(u32::try_from(ns).unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn append(&mut self, other: Times) {
        self.0.extend(other.0);
    }

    /// Tells the parent, after the bell.
    pub(crate) fn tell(mut self, bell: Bell) -> Result<()> {
        // It does nothing that could fail.
        let _ = bell.0.join();
        self.0.sort_unstable();
        let at = |part: usize| self.0.get(self.0.len() * part / 100).copied();
        let p50 = at(50).context("no call ended within the window")?;
        let p99 = at(99).context("no call ended within the window")?;
        println!("{} {p50} {p99}", self.0.len());
        Ok(())
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
        if self.window.begin <= now && self.window.is_open(now) {
            self.items += items;
        }
        self.window.is_open(now)
    }

    /// Tells the parent, after the bell.
    pub(crate) fn tell(self, bell: Bell) -> Result<()> {
        // It does nothing that could fail.
        let _ = bell.0.join();
        anyhow::ensure!(self.items > 0, "nothing came within the window");
        println!("{} 0 0", self.items);
        Ok(())
    }
}

impl Found {
    /// Reads what [`Times::tell`] wrote.
    pub(crate) fn read(line: &str) -> Result<Self> {
        let numbers: Vec<u64> =
            line.split(' ').map(str::parse).collect::<Result<_, _>>().context("no result")?;
        match numbers[..] {
            [calls, p50_ns, p99_ns] => Ok(Found { calls, p50_ns, p99_ns }),
            _ => anyhow::bail!("a result has three numbers: {line}"),
        }
    }
}
