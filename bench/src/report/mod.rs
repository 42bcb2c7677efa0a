//! What the rounds gave: a table, the targets, the figures as CSV, and a plot.

mod csv;
mod history;
mod series;
mod svg;
mod table;
mod targets;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub(crate) use series::Series;
pub(crate) use targets::TARGETS;

/// Prints what there is to say, and writes it to the folder. `compare`: also with the last run that is kept there.
pub(crate) fn write(
    folder: &Path,
    about: &[String],
    series: &[Series],
    compare: bool,
) -> Result<()> {
    let verdicts = targets::verdicts(series);
    let mut text = about.join("\n");
    text.push_str("\n\n");
    text.push_str(&table::table(series));
    text.push('\n');
    for verdict in &verdicts {
        text.push_str(&format!("{verdict}\n"));
    }
    if compare {
        text.push('\n');
        match history::last(folder)? {
            Some(last) => text.push_str(&last.compared_with(&verdicts)),
            None => text.push_str("no earlier run is kept to compare with\n"),
        }
    }
    print!("\n{text}");
    let ratios = csv::ratios(&verdicts);
    history::keep(folder, about, &ratios)?;
    let files = [
        ("table.txt", text),
        ("rounds.csv", csv::rounds(series)),
        ("ratios.csv", ratios),
        ("plot.svg", svg::plot(about, series, &verdicts)),
    ];
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (name, content) in files {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    eprintln!("written to {}: table.txt, rounds.csv, ratios.csv, plot.svg", folder.display());
    Ok(())
}
