//! The table for people.

use std::fmt::Write;

use super::series::Series;
use crate::cases::Figure;

/// What is shown of most cases, each with the decimals that it deserves.
const COLUMNS: &[(&str, Figure, usize)] = &[
    ("p50 us", Figure::P50, 1),
    ("p99 us", Figure::P99, 1),
    ("p99.9 us", Figure::P999, 1),
    ("cpu mid", Figure::CpuMiddle, 2),
    ("cpu wrk", Figure::CpuWorker, 2),
    ("cpu cli", Figure::CpuClient, 2),
];

/// What only some cases have, and stands behind the rest of their lines.
const OTHERS: &[(&str, Figure)] = &[
    ("bytes a call beside the payload", Figure::Bytes),
    ("bytes of memory each", Figure::Memory),
    ("% of a core", Figure::OfACore),
    ("s", Figure::Seconds),
    ("s for prost's part alone", Figure::SecondsOfProst),
    ("calls/s are 20 %", Figure::Rate20),
    ("us p50", Figure::P50At20),
    ("us p99", Figure::P99At20),
    ("us p99.9", Figure::P999At20),
    ("calls/s are 70 %", Figure::Rate70),
    ("us p50", Figure::P50At70),
    ("us p99", Figure::P99At70),
    ("us p99.9", Figure::P999At70),
];

/// Medians of the rounds. The processor's time is in microseconds a call.
pub(super) fn table(series: &[Series]) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("{:<32}{:>11}{:>22}", "", "a second", "lowest - highest"));
    for (head, _, _) in COLUMNS {
        text.push_str(&format!("{head:>10}"));
    }
    text.push('\n');
    for one in series {
        row(&mut text, one);
    }
    text
}

fn row(text: &mut String, series: &Series) {
    let name = format!("{} {}", series.case.group, series.case.side);
    if let Some(missing) = &series.missing {
        return line(text, format_args!("{name:<32}{missing}\n"));
    }
    line(text, format_args!("{name:<32}"));
    if let Some(rate) = series.spread(Figure::Rate) {
        let range = format!("{:.0} - {:.0}", rate.low, rate.high);
        line(text, format_args!("{:>11.0}{range:>22}", rate.median));
        for &(_, figure, decimals) in COLUMNS {
            match series.median(figure) {
                Some(value) => line(text, format_args!("{value:>10.decimals$}")),
                None => line(text, format_args!("{:>10}", "")),
            }
        }
    }
    let mut others = Vec::new();
    for (unit, figure) in OTHERS {
        if let Some(value) = series.median(*figure) {
            others.push(format!("{} {unit}", super::targets::brief(value)));
        }
    }
    if series.case.group == "unary-1mib" {
        let mib = series.median(Figure::Throughput).unwrap_or(f64::NAN) / 1_048_576.0;
        let cpu = series.median(Figure::CpuPerKib).unwrap_or(f64::NAN);
        others.push(format!("{mib:.0} MiB/s each way, {cpu:.0} ns of cpu mid a KiB"));
    }
    if !others.is_empty() {
        line(text, format_args!("  {}", others.join(", ")));
    }
    let trimmed = text.trim_end_matches(' ').len();
    text.truncate(trimmed);
    text.push('\n');
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // A text takes everything.
    let _ = text.write_fmt(what);
}
