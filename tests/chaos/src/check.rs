//! What is counted from the ledgers.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::ledger::{Method, client, phase};
use crate::report::Promise;

/// A call, as far as it was written down. Times are microseconds of the shared clock.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// When it was sent, and its deadline.
    pub(crate) sent: Option<(u64, u64)>,
    pub(crate) outcomes: Vec<Ended>,
    pub(crate) starts: Vec<Begun>,
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) at: u64,
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) not_started: bool,
    pub(crate) attempts: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) at: u64,
    pub(crate) worker: u32,
    pub(crate) wall: u64,
}

impl Call {
    pub(crate) fn is_ok(&self) -> bool {
        self.outcomes.first().is_some_and(|ended| ended.code == "OK")
    }

    pub(crate) fn sent_at(&self) -> u64 {
        self.sent.map_or(0, |(sent, _)| sent)
    }

    pub(crate) fn ended_at(&self) -> Option<u64> {
        self.outcomes.first().map(|ended| ended.at)
    }

    /// From sent to its outcome.
    pub(crate) fn took(&self) -> Option<u64> {
        Some(self.ended_at()?.saturating_sub(self.sent?.0))
    }
}

/// When a client made the calls of a phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    pub(crate) phase: u8,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) calls: HashMap<u64, Call>,
    pub(crate) phases: Vec<Phase>,
}

impl Book {
    /// Reads all ledgers of a folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut book = Book::default();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "ledger") {
                let text = std::fs::read_to_string(&path).unwrap();
                // A process that was killed may have left the last line unfinished.
                let whole = text.rfind('\n').map_or("", |end| &text[..end]);
                whole.lines().for_each(|line| book.add(line));
            }
        }
        book
    }

    fn add(&mut self, line: &str) {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let mut next = || words.next().unwrap_or_else(|| panic!("a line of a ledger: {line:?}"));
        let number = |word: &str| word.parse::<u64>().unwrap_or_else(|_| panic!("{line:?}"));
        let id = number(next());
        match kind {
            "S" => {
                let (sent, deadline_ms) = (number(next()), number(next()));
                self.call(id).sent = Some((sent, sent + deadline_ms * 1_000));
            }
            "E" => {
                let at = number(next());
                let (code, reason) = (next().to_owned(), next().to_owned());
                let not_started = next() == "1";
                let attempts = number(next()) as u32;
                let ended = Ended { at, code, reason, not_started, attempts };
                self.call(id).outcomes.push(ended);
            }
            "B" => {
                let (at, worker, wall) = (number(next()), number(next()) as u32, number(next()));
                self.call(id).starts.push(Begun { at, worker, wall });
            }
            "P" => {
                let (phase, begun, ended) = (number(next()) as u8, number(next()), number(next()));
                self.phases.push(Phase { phase, begun, ended });
            }
            _ => panic!("a line of a ledger: {line:?}"),
        }
    }

    fn call(&mut self, id: u64) -> &mut Call {
        self.calls.entry(id).or_default()
    }

    /// Those that clients have sent.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (u64, &Call)> {
        self.calls.iter().filter(|(_, call)| call.sent.is_some()).map(|(id, call)| (*id, call))
    }

    /// The calls of a client's phase.
    pub(crate) fn of_phase(&self, number: u8) -> impl Iterator<Item = (u64, &Call)> {
        self.sent().filter(move |(id, _)| phase(*id) == number)
    }

    /// The calls of a client's process.
    pub(crate) fn of_client(&self, number: u16) -> impl Iterator<Item = (u64, &Call)> {
        self.sent().filter(move |(id, _)| client(*id) == number)
    }

    /// Without the calls of these clients, which were killed and can tell no outcome.
    pub(crate) fn without(mut self, clients: impl Fn(u16) -> bool) -> Self {
        self.calls.retain(|id, _| !clients(client(*id)));
        self
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (id, call) in self.sent() {
            tally.add(Method::of(id), call);
        }
        tally
    }

    /// What holds whatever happens.
    pub(crate) fn contract(&self, slack: Duration) -> Vec<Promise> {
        let slack = slack.as_micros() as u64;
        let count =
            |of: &dyn Fn(u64, &Call) -> bool| self.sent().filter(|(id, c)| of(*id, c)).count();
        let lost = count(&|_, call| call.outcomes.is_empty());
        let twice = count(&|_, call| call.outcomes.len() > 1);
        let hung = count(&|_, call| call.outcomes.iter().any(|ended| ended.code == "HUNG"));
        let over = |call: &Call| match (call.ended_at(), call.sent) {
            (Some(ended), Some((_, deadline))) => ended.saturating_sub(deadline),
            _ => 0,
        };
        let late = count(&|_, call| over(call) > slack);
        let latest = self.sent().map(|(_, call)| over(call)).max().unwrap_or(0);
        let double = count(&|id, call| !Method::of(id).is_idempotent() && call.starts.len() > 1);
        let denied = count(&|_, call| {
            call.outcomes.iter().any(|ended| ended.not_started) && !call.starts.is_empty()
        });
        let wrong = count(&|_, call| {
            call.outcomes.iter().any(|ended| ended.code == "WRONG" || ended.code == "DATA_LOSS")
        });
        let unstarted = count(&|_, call| call.is_ok() && call.starts.is_empty());
        let unsent = self.calls.values().filter(|call| call.sent.is_none()).count();
        vec![
            Promise::new(
                "each call has exactly one outcome",
                lost + twice + hung == 0,
                format!("{lost} without, {twice} with two, {hung} hung"),
            ),
            Promise::new(
                format!("by its deadline and {} ms", slack / 1_000),
                late == 0,
                format!("{late} later; the latest {:.1} ms after", latest as f64 / 1e3),
            ),
            Promise::new(
                "a call that is not idempotent starts at most once",
                double == 0,
                format!("{double} started twice"),
            ),
            Promise::new(
                "what is said not to have started has not",
                denied == 0,
                format!("{denied} had"),
            ),
            Promise::new(
                "OK is the call's own reply",
                wrong + unstarted + unsent == 0,
                format!(
                    "{wrong} wrong, {unstarted} never started, {unsent} started and never sent"
                ),
            ),
        ]
    }
}

/// How calls ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) calls: usize,
    pub(crate) ok: usize,
    pub(crate) idempotent: usize,
    pub(crate) idempotent_ok: usize,
    pub(crate) starts: usize,
    /// Replies after more than one attempt.
    pub(crate) moved: usize,
    /// Calls that started more than once.
    pub(crate) again: usize,
    /// MAYBE_EXECUTED of calls that never started.
    pub(crate) maybe_never_started: usize,
    /// Codes and reasons but OK.
    pub(crate) failures: BTreeMap<String, usize>,
    /// The same of idempotent calls.
    pub(crate) idempotent_failures: BTreeMap<String, usize>,
    /// Microseconds of the calls that ended with OK.
    times: Vec<u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, method: Method, call: &Call) {
        self.calls += 1;
        self.starts += call.starts.len();
        self.again += usize::from(call.starts.len() > 1);
        self.idempotent += usize::from(method.is_idempotent());
        if call.is_ok() {
            self.ok += 1;
            self.idempotent_ok += usize::from(method.is_idempotent());
            self.times.extend(call.took());
            self.moved += usize::from(call.outcomes[0].attempts > 1);
            return;
        }
        let Some(ended) = call.outcomes.first() else { return };
        if ended.reason == "MAYBE_EXECUTED" && call.starts.is_empty() {
            self.maybe_never_started += 1;
        }
        let words = match ended.reason.as_str() {
            "-" => ended.code.clone(),
            reason => format!("{} {reason}", ended.code),
        };
        if method.is_idempotent() {
            *self.idempotent_failures.entry(words.clone()).or_default() += 1;
        }
        *self.failures.entry(words).or_default() += 1;
    }

    pub(crate) fn failed(&self) -> usize {
        self.calls - self.ok
    }

    /// A percentile of the times of calls that ended well.
    pub(crate) fn percentile(&self, of: f64) -> Duration {
        percentile(self.times.clone(), of)
    }

    pub(crate) fn words(&self) -> String {
        let mut words = format!(
            "{} calls, {} OK (p50 {:.1?}, p99 {:.1?})",
            self.calls,
            self.ok,
            self.percentile(0.5),
            self.percentile(0.99)
        );
        for (failure, count) in &self.failures {
            write!(words, ", {count} {failure}").unwrap();
        }
        write!(words, "; {} replies after more than one attempt; {} handlers started, {} calls more than once", self.moved, self.starts, self.again)
            .unwrap();
        if self.maybe_never_started > 0 {
            write!(
                words,
                "; {} ended with MAYBE_EXECUTED and never started",
                self.maybe_never_started
            )
            .unwrap();
        }
        words
    }

    /// That so many of a hundred idempotent calls end with OK.
    pub(crate) fn idempotent_promise(&self, percent: f64) -> Promise {
        let share = 100.0 * self.idempotent_ok as f64 / self.idempotent.max(1) as f64;
        let kept = self.idempotent > 0 && share >= percent;
        let others = match self.idempotent_failures.is_empty() {
            true => String::new(),
            false => format!("; the others {:?}", self.idempotent_failures),
        };
        let words = format!("at least {percent} % of idempotent calls succeed");
        let found = format!("{share:.3} % of {}{others}", self.idempotent);
        Promise::new(words, kept, found)
    }

    pub(crate) fn no_failure(&self) -> Promise {
        let found = format!("{} failed {:?}", self.failed(), self.failures);
        Promise::new("no call fails", self.calls > 0 && self.failed() == 0, found)
    }
}

pub(crate) fn percentile(mut times: Vec<u64>, of: f64) -> Duration {
    times.sort_unstable();
    let place = (times.len() as f64 * of) as usize;
    let at = times.get(place.min(times.len().saturating_sub(1)));
    Duration::from_micros(at.copied().unwrap_or(0))
}
