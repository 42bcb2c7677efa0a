//! F22: more is asked for than there is capacity.

use std::fmt::Write;
use std::time::Duration;

use clap::Args;

use crate::check::{Book, percentile};
use crate::cluster::{Cluster, Launch, Load};
use crate::program::Setup;
use crate::report::Report;

const WORK_MS: u64 = 20;
/// After the load, half of the capacity is offered for so long, in seconds.
const CALM: f64 = 4.0;
/// The beginning of a load does not count, in microseconds.
const RAMP: u64 = 1_000_000;
/// A call that takes so much longer than its work does not count as well, in microseconds.
const SLOW: u64 = 250_000;

/// One case of it, to be run alone.
#[derive(Args, Debug)]
pub(crate) struct OverloadArgs {
    /// F22: how many times the capacity is offered.
    #[arg(long)]
    factor: Option<f64>,
    /// F22: the calls' deadline, in seconds. Default: 2.
    #[arg(long)]
    deadline: Option<f64>,
    /// F22: how long, in seconds. Default: 8.
    #[arg(long)]
    seconds: Option<f64>,
    /// F22: workers and slots of each, 1x4 or 8x1 for instance. Default: 1x4.
    #[arg(long)]
    shape: Option<String>,
    /// F22: one call in ten takes twenty times as long.
    #[arg(long)]
    tail: bool,
    /// F22: the broker's settings for it, a file.
    #[arg(long)]
    config: Option<std::path::PathBuf>,
}

impl OverloadArgs {
    pub(crate) fn is_given(&self) -> bool {
        self.factor.is_some() || self.deadline.is_some() || self.shape.is_some() || self.tail
    }
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    workers: usize,
    slots: u32,
    tail: bool,
}

impl Shape {
    fn words(self) -> String {
        let tail = if self.tail { ", tail" } else { "" };
        format!("{}x{}{tail}", self.workers, self.slots)
    }
}

struct Case {
    shape: Shape,
    factor: f64,
    deadline: Duration,
    seconds: f64,
}

/// What was measured of a case.
struct Row {
    shape: Shape,
    factor: f64,
    deadline: Duration,
    /// Calls a second that ended with OK, as a share of the capacity.
    goodput: f64,
    /// The share of handlers that started and whose call did not end with OK.
    vain: f64,
    refused: usize,
    refusal_p99: Duration,
    expired: usize,
    ok_p99: Duration,
    /// Seconds after the load until all was well. `None`: it was not within the calm.
    recovered: Option<f64>,
    /// Of the contract, what was broken.
    broken: Vec<String>,
}

/// What the command line asks for.
pub(crate) fn alone(setup: &Setup, arguments: &OverloadArgs) -> Report {
    let shape = arguments.shape.as_deref().unwrap_or("1x4");
    let (workers, slots) = shape.split_once('x').expect("a shape is WORKERSxSLOTS");
    let shape = Shape {
        workers: workers.parse().unwrap(),
        slots: slots.parse().unwrap(),
        tail: arguments.tail,
    };
    let config = arguments.config.as_ref().map(|path| std::fs::read_to_string(path).unwrap());
    let bench = Bench { setup, config: config.unwrap_or_default() };
    let capacity = bench.capacity(shape);
    let case = Case {
        shape,
        factor: arguments.factor.unwrap_or(2.0),
        deadline: Duration::from_secs_f64(arguments.deadline.unwrap_or(2.0)),
        seconds: arguments.seconds.unwrap_or(8.0),
    };
    let rows = [bench.measure(&case, capacity)];
    let mut report = report(setup, &rows);
    report.id = "F22";
    report.load = format!("{}, capacity {capacity:.0} calls/s", shape.words());
    report
}

/// All cases.
pub(super) fn cases(setup: &Setup) -> Vec<Report> {
    let bench = Bench { setup, config: String::new() };
    let mut reports = Vec::new();
    let factors: &[f64] = setup.pick(&[1.1, 1.5, 2.0, 5.0, 10.0], &[2.0]);
    let deadlines: &[f64] = setup.pick(&[0.5, 2.0, 10.0], &[0.5]);
    let shapes: &[(usize, u32, bool)] =
        setup.pick(&[(1, 4, false), (8, 1, false), (1, 4, true), (8, 1, true)], &[(1, 4, false)]);
    for &(workers, slots, tail) in shapes {
        let shape = Shape { workers, slots, tail };
        let capacity = bench.capacity(shape);
        let mut rows = Vec::new();
        for &factor in factors {
            for &deadline in deadlines {
                let seconds = setup.pick(if deadline > 2.0 { 16.0 } else { 8.0 }, 4.0);
                let deadline = Duration::from_secs_f64(deadline);
                rows.push(bench.measure(&Case { shape, factor, deadline, seconds }, capacity));
            }
        }
        let mut report = report(setup, &rows);
        report.case = shape.words();
        report.load = format!("Capacity {capacity:.0} calls/s, {WORK_MS} ms of work");
        if !tail {
            bench.two_clients(shape, capacity, &mut report);
        }
        reports.push(report);
    }
    reports
}

struct Bench<'a> {
    setup: &'a Setup,
    config: String,
}

impl Bench<'_> {
    fn cluster(&self, shape: Shape) -> Cluster<'_> {
        let how =
            crate::cluster::BrokerLaunch { config: self.config.clone(), ..Default::default() };
        let mut cluster = Cluster::broker(self.setup, how);
        for _ in 0..shape.workers {
            cluster.add_worker(&Launch::default(), shape.slots);
        }
        cluster.wait_workers();
        cluster
    }

    fn load(&self, shape: Shape, clients: usize) -> Load {
        Load {
            processes: if clients > 1 { self.setup.pick(2, 1) } else { 1 },
            clients,
            phases: Vec::new(),
            deadline: Duration::from_secs(10),
            work: (WORK_MS, WORK_MS),
            bytes: (64, 64),
            args: if shape.tail { vec!["--tail".into()] } else { Vec::new() },
        }
    }

    /// Calls a second, with twice as many calls at a time as there are slots.
    fn capacity(&self, shape: Shape) -> f64 {
        let mut cluster = self.cluster(shape);
        let mut load = self.load(shape, 1);
        let at_once = 2 * shape.workers * shape.slots as usize;
        let seconds = if shape.tail { 8 } else { 4 };
        load.args.extend(["--closed".into(), format!("{at_once}:{seconds}")]);
        cluster.load(&load, &Launch::default());
        let book = cluster.finish();
        let phase = book.phases[0];
        goodput(&book, phase.begun + RAMP, phase.begun + seconds * 1_000_000)
    }

    fn measure(&self, case: &Case, capacity: f64) -> Row {
        let mut cluster = self.cluster(case.shape);
        let mut load = self.load(case.shape, 8);
        load.deadline = case.deadline;
        load.phases = vec![(case.factor * capacity, case.seconds), (capacity / 2.0, CALM)];
        cluster.load(&load, &Launch::default());
        let book = cluster.finish();
        let begun = book.phases.iter().map(|phase| phase.begun).min().unwrap_or(0);
        let over = book.phases.iter().filter(|phase| phase.phase == 0).map(|phase| phase.ended);
        let over = over.max().unwrap_or(begun);
        let (mut starts, mut useful, mut expired) = (0, 0, 0);
        let mut refusals = Vec::new();
        let mut times = Vec::new();
        for (_, call) in book.of_phase(0) {
            starts += call.starts.len();
            useful += usize::from(call.is_ok() && !call.starts.is_empty());
            let Some(ended) = call.outcomes.first() else { continue };
            match ended.code.as_str() {
                "OK" => times.extend(call.took()),
                "RESOURCE_EXHAUSTED" => refusals.extend(call.took()),
                "DEADLINE_EXCEEDED" => expired += 1,
                _ => {}
            }
        }
        let broken = book.contract(self.setup.slack()).into_iter();
        let broken = broken.filter(|promise| !promise.kept);
        Row {
            shape: case.shape,
            factor: case.factor,
            deadline: case.deadline,
            goodput: goodput(&book, begun + RAMP, over) / capacity,
            vain: (starts - useful) as f64 / starts.max(1) as f64,
            refused: refusals.len(),
            refusal_p99: percentile(refusals, 0.99),
            expired,
            ok_p99: percentile(times, 0.99),
            recovered: recovered(&book, case.shape, over),
            broken: broken.map(|promise| format!("{}: {}", promise.words, promise.found)).collect(),
        }
    }

    /// One that asks for 0.3 of the capacity, and one that asks for ten times as much.
    fn two_clients(&self, shape: Shape, capacity: f64, report: &mut Report) {
        let mut cluster = self.cluster(shape);
        let seconds = self.setup.pick(8.0, 4.0);
        for rate in [0.3 * capacity, 3.0 * capacity] {
            let mut load = self.load(shape, 1);
            load.deadline = Duration::from_secs(2);
            load.phases = vec![(rate, seconds)];
            cluster.load(&load, &Launch::default());
        }
        let book = cluster.finish();
        let of = |number| {
            let calls: Vec<_> = book.of_client(number).collect();
            (calls.iter().filter(|(_, call)| call.is_ok()).count(), calls.len())
        };
        let ((modest_ok, modest), (greedy_ok, greedy)) = (of(0), of(1));
        report.promise(
            "the modest client of two gets all it asks for",
            modest_ok == modest && modest > 0,
            format!("{modest_ok} of {modest} calls; the greedy one {greedy_ok} of {greedy}"),
        );
    }
}

/// Calls a second that ended with OK between two times.
fn goodput(book: &Book, from: u64, to: u64) -> f64 {
    let ended = |call: &crate::check::Call| {
        call.is_ok() && call.ended_at().is_some_and(|at| (from..to).contains(&at))
    };
    let count = book.sent().filter(|(_, call)| ended(call)).count();
    count as f64 * 1e6 / to.saturating_sub(from).max(1) as f64
}

/// When the last call was sent after the load that failed or was slow, in seconds after it.
fn recovered(book: &Book, shape: Shape, over: u64) -> Option<f64> {
    let work = WORK_MS * 1_000 * if shape.tail { 20 } else { 1 };
    let is_well = |call: &crate::check::Call| {
        call.is_ok() && call.took().is_some_and(|took| took <= work + SLOW)
    };
    let bad = book.of_phase(1).filter(|(_, call)| !is_well(call));
    let after = bad.map(|(_, call)| call.sent_at().saturating_sub(over)).max().unwrap_or(0);
    let after = after as f64 / 1e6;
    (after < CALM - 0.5).then_some(after)
}

fn report(setup: &Setup, rows: &[Row]) -> Report {
    let mut report = Report::default();
    let failing = |of: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| of(row)).count();
    let cases = rows.len();
    let least = |row: &Row| if row.shape.tail { 0.75 } else { 0.85 };
    let tail = rows.iter().any(|row| row.shape.tail);
    let low = failing(&|row| row.goodput < least(row));
    let worst = rows.iter().map(|row| row.goodput).fold(f64::INFINITY, f64::min);
    report.promise(
        format!("goodput is at least {} % of the capacity", if tail { 75 } else { 85 }),
        low == 0,
        format!("not in {low} of {cases} cases; the least {:.0} %", worst * 100.0),
    );
    let vain = failing(&|row| row.vain > 0.05);
    let worst = rows.iter().map(|row| row.vain).fold(0.0, f64::max);
    report.promise(
        "at most 5 % of the handlers start in vain",
        vain == 0,
        format!("not in {vain} of {cases} cases; the most {:.1} %", worst * 100.0),
    );
    let in_time = Duration::from_millis(setup.pick(10, 250));
    let slow = failing(&|row| row.refusal_p99 > in_time);
    let worst = rows.iter().map(|row| row.refusal_p99).max().unwrap_or_default();
    report.promise(
        format!("a refusal comes within {in_time:?} (p99)"),
        slow == 0,
        match rows.iter().map(|row| row.refused).sum() {
            0 => "no call was refused".to_owned(),
            refused => {
                format!("not in {slow} of {cases} cases; the slowest {worst:.1?} of {refused}")
            }
        },
    );
    let late = failing(&|row| row.recovered.is_none_or(|after| after > 2.0));
    report.promise(
        "all is well 2 s after the load",
        late == 0,
        format!("not in {late} of {cases} cases"),
    );
    let broken: Vec<&str> = rows.iter().flat_map(|row| &row.broken).map(String::as_str).collect();
    report.promise(
        "what always holds, holds",
        broken.is_empty(),
        match broken.is_empty() {
            true => format!("in {cases} cases"),
            false => broken.join("; "),
        },
    );
    report.table = table(rows);
    report
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| workers x slots | factor | deadline | goodput | started in vain | refused | refusals p99 | expired | OK p99 | well after |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let after =
            row.recovered.map_or(format!("more than {CALM} s"), |after| format!("{after:.2} s"));
        let refusals = match row.refused {
            0 => "-".into(),
            _ => format!("{:.1?}", row.refusal_p99),
        };
        writeln!(
            text,
            "| {} | {} | {:?} | {:.0} % | {:.1} % | {} | {refusals} | {} | {:.1?} | {after} |",
            row.shape.words(),
            row.factor,
            row.deadline,
            row.goodput * 100.0,
            row.vain * 100.0,
            row.refused,
            row.expired,
            row.ok_p99,
        )
        .unwrap();
    }
    text
}
