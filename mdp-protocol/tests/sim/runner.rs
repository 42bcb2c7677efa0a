//! Many worlds on all cores.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::ledger::{Broken, Tally};
use crate::world::{Settings, Summary, World};

/// Which worlds to run, and how.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    pub(crate) seeds: Range<u64>,
    pub(crate) settings: Settings,
}

/// What came of them.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seeds: u64,
    pub(crate) steps: u64,
    pub(crate) calls: usize,
    pub(crate) items: usize,
    pub(crate) tally: Tally,
    pub(crate) took: Duration,
    pub(crate) failures: Vec<Failure>,
}

/// A world in which an invariant was broken.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) broken: Broken,
    steps: u64,
}

/// A number from the environment.
pub(crate) fn env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

impl Campaign {
    /// 2,000 seeds of 2,000 steps, or a tenth of the seeds in a debug build, unless the environment
    /// says otherwise.
    pub(crate) fn from_env() -> Self {
        let seeds = env("SIM_SEEDS").unwrap_or(if cfg!(debug_assertions) { 200 } else { 2_000 });
        let first = env("SIM_FIRST").unwrap_or(0);
        let settings = Settings {
            steps: env("SIM_STEPS").unwrap_or(2_000),
            loud: false,
            audit: true,
            #[cfg(feature = "planted-bugs")]
            planted: None,
        };
        Campaign { seeds: first..first + seeds, settings }
    }

    /// Runs one world.
    pub(crate) fn one(&self, seed: u64) -> Summary {
        let world = || World::new(seed, self.settings).run();
        catch_unwind(AssertUnwindSafe(world)).unwrap_or_else(|panic| Summary {
            hash: 0,
            steps: 0,
            calls: 0,
            items: 0,
            tally: Tally::new(),
            broken: Some(Broken { invariant: "panic", text: text_of(&*panic) }),
        })
    }

    /// Runs one world and gives what it broke.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn failure(&self, seed: u64) -> Option<Failure> {
        let steps = self.settings.steps;
        self.one(seed).broken.map(|broken| Failure { seed, broken, steps })
    }

    /// Runs all of them.
    pub(crate) fn run(&self) -> Report {
        let began = Instant::now();
        let next = AtomicU64::new(self.seeds.start);
        let report = Mutex::new(Report::new());
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work(&next, &report));
            }
        });
        let mut report = report.into_inner().unwrap();
        report.failures.sort_by_key(|failure| failure.seed);
        report.took = began.elapsed();
        report
    }

    fn work(&self, next: &AtomicU64, report: &Mutex<Report>) {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.seeds.end {
                return;
            }
            let summary = self.one(seed);
            report.lock().unwrap().add(seed, self.settings.steps, summary);
        }
    }
}

impl Report {
    fn new() -> Self {
        let took = Duration::ZERO;
        let tally = Tally::new();
        Report { seeds: 0, steps: 0, calls: 0, items: 0, tally, took, failures: Vec::new() }
    }

    fn add(&mut self, seed: u64, steps: u64, summary: Summary) {
        self.seeds += 1;
        self.steps += summary.steps;
        self.calls += summary.calls;
        self.items += summary.items;
        for (end, times) in summary.tally {
            *self.tally.entry(end).or_default() += times;
        }
        self.failures.extend(summary.broken.map(|broken| Failure { seed, broken, steps }));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seeds, steps, calls, items, tally, took, failures } = self;
        write!(f, "{seeds} seeds, {steps} steps, {calls} calls, {items} items, ")?;
        write!(f, "{} failures, {:.1} s", failures.len(), took.as_secs_f64())?;
        for ((code, cause), times) in tally {
            write!(f, "\n{times:>9} {code} {cause}")?;
        }
        for failure in failures.iter().take(20) {
            write!(f, "\n{failure}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { seed, broken: Broken { invariant, text }, steps } = self;
        write!(f, "seed {seed}: {invariant} is broken: {text}\n    replay: ")?;
        write!(f, "SIM_SEED={seed} SIM_STEPS={steps} cargo test --release -p mdp-protocol ")?;
        write!(f, "--test sim -- --nocapture replay")
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text").to_owned()
}
