//! The rounds: each case in turn, again and again, so that what disturbs the machine meets all.

use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::time::Duration;

use anyhow::{Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Settings;
use crate::cases::{self, Case, Figure, Sample, Stage};
use crate::machine;
use crate::peers::nats;
use crate::report::{self, Series, TARGETS};

/// What `--quick` makes of rounds and seconds.
const QUICK: (u32, f64) = (3, 0.4);

/// Measures all that was asked for, and reports.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let mut series = selection(settings);
    ensure!(!series.is_empty(), "nothing has such a name; --list shows what there is");
    if settings.list {
        return match list(&series) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            listed => Ok(listed?),
        };
    }
    let (rounds, seconds) = match settings.quick {
        true => QUICK,
        false => (settings.rounds, settings.seconds),
    };
    let mut about = machine::describe();
    about.push(format!("rounds: {rounds} of {seconds} s"));
    for line in &about {
        eprintln!("{line}");
    }
    let stage = Stage::new(Duration::from_secs_f64(seconds))?;
    if nats::version().is_none() {
        leave_out_nats(&mut series);
    }
    let progress = Progress::new(rounds, settings.quick, &series);
    let mut failed = 0;
    for round in 0..rounds {
        let mut order: Vec<&mut Series> = series.iter_mut().collect();
        if round % 2 == 1 {
            // The other way round: whoever comes first is not always the same.
            order.reverse();
        }
        for one in order {
            if one.missing.is_none() && is_due(&one.case, round, settings.quick) {
                progress.begins(round, &one.case);
                match one.case.measure(&stage) {
                    Ok(sample) => {
                        progress.ended(round, &one.case, &sample);
                        one.samples.push((round, sample));
                    }
                    // What the other rounds and cases gave is worth something all the same.
                    Err(error) => {
                        failed += 1;
                        progress.failed(round, &error);
                    }
                }
            }
        }
    }
    progress.clear();
    report::write(&settings.out, &about, &series, settings.history)?;
    ensure!(failed == 0, "{failed} measurements failed, as told above");
    Ok(())
}

/// Whether a case has its turn in this round.
fn is_due(case: &Case, round: u32, quick: bool) -> bool {
    !(quick && case.slow) || round == 0
}

/// The cases that were asked for.
fn selection(settings: &Settings) -> Vec<Series> {
    let all = cases::all().into_iter().filter(|case| {
        let targets = || TARGETS.iter().filter(|target| target.needs(case.group, case.side));
        let asked = |name: &String| {
            case.group.contains(name.as_str())
                || targets().any(|target| target.name.contains(name.as_str()))
        };
        match settings.only.is_empty() {
            // Without much time, only what there is a target for.
            true => !settings.quick || targets().any(|target| target.is_asked_for()),
            false => settings.only.iter().any(asked),
        }
    });
    all.map(|case| Series { case, samples: Vec::new(), missing: None }).collect()
}

fn list(series: &[Series]) -> io::Result<()> {
    let mut out = stdout().lock();
    for one in series {
        writeln!(out, "{} {}", one.case.group, one.case.side)?;
    }
    for target in TARGETS
        .iter()
        .filter(|target| series.iter().any(|one| target.needs(one.case.group, one.case.side)))
    {
        writeln!(out, "ratio {}", target.name)?;
    }
    Ok(())
}

fn leave_out_nats(series: &mut [Series]) {
    for one in series.iter_mut().filter(|one| one.case.needs_nats()) {
        let missing = format!("{} not found", nats::PROGRAM);
        eprintln!("{} {}: {missing}", one.case.group, one.case.side);
        one.missing = Some(missing);
    }
}

/// Says how far it is: a bar on a terminal, lines elsewhere.
struct Progress {
    rounds: u32,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(rounds: u32, quick: bool, series: &[Series]) -> Self {
        let measured = series.iter().filter(|one| one.missing.is_none());
        let turns = measured
            .map(|one| (0..rounds).filter(|round| is_due(&one.case, *round, quick)).count() as u64);
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} left  {msg}");
            let bar = ProgressBar::new(turns.sum());
            // The template is one.
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        Progress { rounds, bar }
    }

    fn begins(&self, round: u32, case: &Case) {
        if let Some(bar) = &self.bar {
            let (round, rounds) = (round + 1, self.rounds);
            bar.set_message(format!("round {round} of {rounds}: {} {}", case.group, case.side));
        }
    }

    fn ended(&self, round: u32, case: &Case, sample: &Sample) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
            return;
        }
        let name = format!("{} {}", case.group, case.side);
        let figures = [Figure::Rate, Figure::P50, Figure::Bytes, Figure::Memory, Figure::Seconds];
        let known = figures.iter().filter_map(|figure| Some((figure, sample.get(*figure)?)));
        let said: Vec<_> =
            known.map(|(figure, value)| format!("{} {value:.1}", figure.name())).collect();
        let (round, rounds) = (round + 1, self.rounds);
        eprintln!("round {round} of {rounds}: {name:<32} {}", said.join(", "));
    }

    fn failed(&self, round: u32, error: &anyhow::Error) {
        let text = format!("round {} of {}: failed: {error:#}", round + 1, self.rounds);
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                bar.suspend(|| eprintln!("{text}"));
            }
            None => eprintln!("{text}"),
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
