//! Earlier runs: the ratios of each run are kept, and the next one can be compared with the last.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::series::Spread;
use super::targets::{Verdict, brief};

/// So many runs are kept.
const KEPT: usize = 50;
/// What begins a line about the run.
const ABOUT: &str = "# ";

/// A run that was kept.
#[derive(Debug)]
pub(super) struct Run {
    about: Vec<String>,
    ratios: Vec<(String, Spread)>,
}

/// Keeps a run: what it is about, and its ratios as [`csv`](super::csv) writes them. The oldest runs go.
pub(super) fn keep(folder: &Path, about: &[String], ratios: &str) -> Result<()> {
    let folder = folder.join("history");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let path = folder.join(format!("{:020}.csv", now.as_millis()));
    let about: String = about.iter().map(|line| format!("{ABOUT}{line}\n")).collect();
    fs::write(&path, about + ratios).with_context(|| path.display().to_string())?;
    let runs = paths(&folder)?;
    let old = runs.len().saturating_sub(KEPT);
    for path in runs.iter().take(old) {
        fs::remove_file(path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The last run that was kept, if there is one.
pub(super) fn last(folder: &Path) -> Result<Option<Run>> {
    let folder = folder.join("history");
    if !folder.exists() {
        return Ok(None);
    }
    let Some(path) = paths(&folder)?.pop() else { return Ok(None) };
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(Some(Run::read(&text)))
}

/// The runs of a folder, from the oldest.
fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        all.push(entry?.path());
    }
    all.retain(|path| path.extension().is_some_and(|end| end == "csv"));
    all.sort();
    Ok(all)
}

impl Run {
    /// Lines that are none of its own are left out.
    fn read(text: &str) -> Self {
        let about = text.lines().filter_map(|line| line.strip_prefix(ABOUT));
        let ratio = |line: &str| {
            let mut parts = line.split(',');
            let name = parts.next()?.to_string();
            let mut number = || parts.next()?.parse().ok();
            let (median, low, high) = (number()?, number()?, number()?);
            Some((name, Spread { median, low, high }))
        };
        Run {
            about: about.map(String::from).collect(),
            ratios: text.lines().filter_map(ratio).collect(),
        }
    }

    /// A line for each ratio that both runs have. `beyond the rounds` says that no round of one run reached the other's.
    pub(super) fn compared_with(&self, verdicts: &[Verdict]) -> String {
        let mut text = String::from("compared with the last run that was kept:\n");
        for line in &self.about {
            // A text takes everything.
            let _ = writeln!(text, "  {line}");
        }
        for verdict in verdicts {
            let then = self.ratios.iter().find(|(name, _)| name == verdict.name);
            let (Some((name, then)), Ok(now)) = (then, &verdict.value) else { continue };
            let change = (now.median / then.median - 1.0) * 100.0;
            let word = match (
                now.low > then.high || now.high < then.low,
                then.is_of_one(),
                now.is_of_one(),
            ) {
                (_, true, _) | (_, _, true) => "after one round",
                (true, ..) => "beyond the rounds",
                (false, ..) => "within the rounds",
            };
            let (was, is) = (brief(then.median), brief(now.median));
            let _ = writeln!(text, "change {name} {was} to {is} {change:+.0} % {word}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::{csv, targets::Bound};
    use super::*;

    fn verdict(name: &'static str, median: f64) -> Verdict {
        let value = Ok(Spread { median, low: median * 0.9, high: median * 1.1 });
        Verdict { name, bound: Bound::None, value }
    }

    #[test]
    fn a_run_is_compared_with_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(last(folder.path()).unwrap().is_none());
        let missing = Verdict { value: Err("not found".into()), ..verdict("c", 1.0) };
        let run = [verdict("a", 2.0), verdict("b", 1.0), missing, verdict("e", 2.0)];
        keep(folder.path(), &["date: today".into()], &csv::ratios(&run)).unwrap();
        let kept = last(folder.path()).unwrap().unwrap();
        let one = Ok(Spread { median: 4.0, low: 4.0, high: 4.0 });
        let one = Verdict { value: one, ..verdict("e", 1.0) };
        let now =
            [verdict("a", 3.0), verdict("b", 1.05), verdict("c", 1.0), verdict("d", 1.0), one];
        let expected = "compared with the last run that was kept:\n  date: today\n\
                        change a 2.00 to 3.00 +50 % beyond the rounds\n\
                        change b 1.00 to 1.05 +5 % within the rounds\n\
                        change e 2.00 to 4.00 +100 % after one round\n";
        assert_eq!(kept.compared_with(&now), expected);
    }

    #[test]
    fn old_runs_go() {
        let folder = tempfile::tempdir().unwrap();
        let history = folder.path().join("history");
        fs::create_dir(&history).unwrap();
        for number in 0..KEPT {
            fs::write(history.join(format!("{number:020}.csv")), "").unwrap();
        }
        keep(folder.path(), &[], "").unwrap();
        let left = paths(&history).unwrap();
        assert_eq!(left.len(), KEPT);
        assert!(left.first().unwrap().ends_with(format!("{:020}.csv", 1)));
    }
}
