//! Prints the results for people and for programs.

use std::fmt::Write;

use serde_json::json;

use super::load::Found;

/// The width of the longest bar of the histogram.
const WIDEST: u64 = 40;
/// The number of bars.
const BARS: u32 = 12;
const PERCENTILES: [f64; 6] = [50.0, 75.0, 90.0, 99.0, 99.9, 99.99];

pub(super) fn text(method: &str, found: &Found) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut out, method, found);
    out
}

fn write_text(out: &mut String, method: &str, found: &Found) -> std::fmt::Result {
    let (good, bad) = (found.succeeded(), found.failed());
    writeln!(out, "{method}: {good} calls ended well in {:.1} s, {bad} did not", seconds(found))?;
    writeln!(out, "  calls/s    {:.0}", per_second(found, good))?;
    if found.replies != good {
        writeln!(out, "  replies/s  {:.0}", per_second(found, found.replies))?;
    }
    writeln!(out, "  bytes/s    {:.0}", per_second(found, found.bytes))?;
    if found.held_up > 0 {
        let text = "calls were made late, because the maximum number of calls was in flight";
        writeln!(out, "  {} {text}", found.held_up)?;
    }
    for (code, (count, message)) in &found.failures {
        writeln!(out, "  {count} ended with {code}, the first with: {message}")?;
    }
    if good == 0 {
        return Ok(());
    }
    writeln!(out, "time of a call")?;
    writeln!(out, "  mean    {}", micros(found.times.mean() as u64))?;
    for percentile in PERCENTILES {
        let at = found.times.value_at_percentile(percentile);
        writeln!(out, "  p{percentile:<6} {}", micros(at))?;
    }
    writeln!(out, "  max     {}", micros(found.times.max()))?;
    writeln!(out, "histogram")?;
    bars(found).iter().try_for_each(|(up_to, count)| {
        let max = bars(found).iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
        let bar = "#".repeat((count * WIDEST).div_ceil(max) as usize);
        writeln!(out, "  <= {:>10}  {count:>9}  {bar}", micros(*up_to))
    })
}

pub(super) fn json(method: &str, found: &Found) -> anyhow::Result<String> {
    let percentiles = PERCENTILES.iter().map(|percentile| {
        (format!("p{percentile}"), json!(found.times.value_at_percentile(*percentile)))
    });
    let percentiles: serde_json::Map<_, _> = percentiles.collect();
    let failures = found.failures.iter().map(|(code, (count, message))| {
        (String::from(*code), json!({ "calls": count, "first_message": message }))
    });
    let failures: serde_json::Map<_, _> = failures.collect();
    let bars = bars(found).into_iter();
    let bars: Vec<_> =
        bars.map(|(up_to, calls)| json!({ "up_to_us": up_to, "calls": calls })).collect();
    let all = json!({
        "method": method,
        "seconds": seconds(found),
        "calls": found.succeeded(),
        "calls_per_second": per_second(found, found.succeeded()),
        "replies": found.replies,
        "bytes": found.bytes,
        "late": found.held_up,
        "failures": failures,
        "mean_us": found.times.mean(),
        "max_us": found.times.max(),
        "percentiles_us": percentiles,
        "histogram": bars,
    });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

/// Returns the upper limit and the count of each bar. The bars cover the shortest time to the 99.9th percentile; each
/// limit is larger than the previous one by the same factor. The last bar is the rest.
fn bars(found: &Found) -> Vec<(u64, u64)> {
    let times = &found.times;
    if times.is_empty() {
        return Vec::new();
    }
    let (low, high) = (times.min().max(1) as f64, times.value_at_percentile(99.9).max(2) as f64);
    let step = (high / low).max(1.1).powf(1.0 / f64::from(BARS));
    let mut ends: Vec<u64> =
        (1..=BARS).map(|bar| (low * step.powi(bar as i32)).ceil() as u64).collect();
    ends.push(times.max());
    ends.dedup();
    let mut from = 0;
    let mut bars = Vec::new();
    // The histogram counts ranges. No bar splits a range.
    for end in ends.into_iter().map(|end| times.highest_equivalent(end)) {
        if end >= from {
            bars.push((end, times.count_between(from, end)));
        }
        from = from.max(end + 1);
    }
    bars
}

fn seconds(found: &Found) -> f64 {
    found.counted.as_secs_f64()
}

fn per_second(found: &Found, count: u64) -> f64 {
    count as f64 / seconds(found).max(f64::EPSILON)
}

fn micros(micros: u64) -> String {
    match micros {
        0..=9_999 => format!("{micros} us"),
        10_000..=9_999_999 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}
