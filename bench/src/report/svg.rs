//! The plot: how far each target was reached, and the rates of all sides.

use std::fmt::Write;

use super::series::{Series, Spread};
use super::targets::{Verdict, brief};
use crate::cases::Figure;

const WIDTH: f64 = 960.0;
const LINE: f64 = 20.0;
/// Where bars begin and end; names stand before, values behind.
const LEFT: f64 = 270.0;
const RIGHT: f64 = 720.0;

const OK: &str = "#2e7d32";
const SHORT: &str = "#c62828";
const OURS: &str = "#1565c0";
const OTHERS: &str = "#90a4ae";

/// A page that grows downwards.
struct Page {
    body: String,
    y: f64,
}

/// A plot of everything.
pub(super) fn plot(about: &[String], series: &[Series], verdicts: &[Verdict]) -> String {
    let mut page = Page { body: String::new(), y: 10.0 };
    page.heading("mdp-bench");
    for line in about {
        page.line(line);
    }
    page.targets(verdicts);
    page.rates(series);
    let height = page.y + LINE;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
        page.body
    )
}

impl Page {
    /// Bars from what is asked for to what was reached, each doubling as wide as the other.
    fn targets(&mut self, verdicts: &[Verdict]) {
        let asked = |verdict: &&Verdict| verdict.bound.reached(1.0).is_some();
        if !verdicts.iter().any(|verdict| asked(&verdict)) {
            return;
        }
        self.heading("Targets: right of the line is reached; whiskers are the rounds");
        let middle = f64::midpoint(LEFT, RIGHT);
        let top = self.y;
        for verdict in verdicts.iter().filter(asked) {
            let y = self.next();
            self.text(LEFT - 8.0, y, "end", verdict.name);
            let Ok(spread) = &verdict.value else {
                self.text(middle + 6.0, y, "start", "missing");
                continue;
            };
            let place = |value: f64| {
                let reached = verdict.bound.reached(value).unwrap_or(1.0).max(f64::MIN_POSITIVE);
                middle + reached.log2().clamp(-3.0, 3.0) / 3.0 * (RIGHT - middle)
            };
            let color = if verdict.word() == "ok" { OK } else { SHORT };
            self.bar(middle, place(spread.median), y, color);
            self.whisker(place(spread.low), place(spread.high), y);
            let said = format!("{} ({})", brief(spread.median), verdict.bound);
            self.text(RIGHT + 8.0, y, "start", &said);
        }
        self.stroke(middle, top, middle, self.y);
    }

    /// Bars for the rates, by group.
    fn rates(&mut self, series: &[Series]) {
        let mut group = "";
        for one in series {
            let Some(spread) = one.spread(Figure::Rate) else { continue };
            if one.case.group != group {
                group = one.case.group;
                self.heading(&format!("{group}, a second"));
            }
            let same = series.iter().filter(|other| other.case.group == group);
            let max = same.filter_map(|other| other.spread(Figure::Rate));
            let max = max.map(|spread| spread.high).fold(1.0, f64::max);
            self.rate(one, spread, max);
        }
    }

    fn rate(&mut self, series: &Series, spread: Spread, max: f64) {
        let y = self.next();
        let place = |value: f64| LEFT + value / max * (RIGHT - LEFT);
        let ours = !["raw", "nats", "tonic", "tarpc"].contains(&series.case.side);
        self.text(LEFT - 8.0, y, "end", series.case.side);
        self.bar(LEFT, place(spread.median), y, if ours { OURS } else { OTHERS });
        self.whisker(place(spread.low), place(spread.high), y);
        self.text(RIGHT + 8.0, y, "start", &brief(spread.median));
    }

    fn heading(&mut self, text: &str) {
        self.y += LINE / 2.0;
        let y = self.next();
        self.add(format_args!(
            "<text x=\"16\" y=\"{:.1}\" font-weight=\"bold\">{}</text>",
            y + 4.0,
            escape(text)
        ));
    }

    fn line(&mut self, text: &str) {
        let y = self.next();
        self.text(16.0, y, "start", text);
    }

    /// The middle of the next line.
    fn next(&mut self) -> f64 {
        self.y += LINE;
        self.y - LINE / 2.0
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let y = y + 4.0;
        let text = escape(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn bar(&mut self, from: f64, to: f64, y: f64, color: &str) {
        let (x, width) = (from.min(to), (from - to).abs().max(1.0));
        let y = y - 6.0;
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"12\" fill=\"{color}\"/>"
        ));
    }

    fn whisker(&mut self, from: f64, to: f64, y: f64) {
        self.stroke(from, y, to, y);
        for x in [from, to] {
            self.stroke(x, y - 4.0, x, y + 4.0);
        }
    }

    fn stroke(&mut self, x1: f64, y1: f64, x2: f64, y2: f64) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#222\"/>"
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // A text takes everything.
        let _ = writeln!(self.body, "{element}");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
