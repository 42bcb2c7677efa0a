//! Medians, how far the rounds lie apart, and the ratios that count.

use crate::rounds::{Sample, Side, TYPED};

/// The samples of one case, a round each.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) side: Side,
    pub(crate) in_flight: usize,
    pub(crate) samples: Vec<Sample>,
}

/// What has to be reached: which figure, with how many calls in flight, and how much of the relay's.
struct Target {
    name: &'static str,
    in_flight: usize,
    figure: fn(&Sample) -> f64,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// For information.
    None,
}

const TARGETS: &[Target] = &[
    Target {
        name: "calls/s, 256 in flight",
        in_flight: 256,
        figure: |sample| sample.calls_per_s,
        bound: Bound::AtLeast(1.2),
    },
    Target {
        name: "p50, 1 in flight",
        in_flight: 1,
        figure: |sample| sample.p50_us,
        bound: Bound::AtMost(1.25),
    },
    Target {
        name: "calls/s, 16 in flight",
        in_flight: 16,
        figure: |sample| sample.calls_per_s,
        bound: Bound::None,
    },
    Target {
        name: "calls/s, 4096 in flight",
        in_flight: 4096,
        figure: |sample| sample.calls_per_s,
        bound: Bound::None,
    },
    Target {
        name: "p99, 256 in flight",
        in_flight: 256,
        figure: |sample| sample.p99_us,
        bound: Bound::None,
    },
    Target {
        name: "broker's processor time a call, 256 in flight",
        in_flight: 256,
        figure: |sample| sample.cpu_us[0],
        bound: Bound::None,
    },
];

pub(crate) fn print(series: &[Series]) {
    println!(
        "\n{:<36} {:>9} {:>9} {:>19} {:>8} {:>8}   {:>20}",
        "", "in flight", "calls/s", "lowest - highest", "p50 us", "p99 us", "cpu us: mid/wrk/cli"
    );
    for case in series {
        let (low, high) = case.spread(|sample| sample.calls_per_s);
        let [between, worker, client] = [0, 1, 2]
            .map(|who| case.median(|sample| sample.cpu_us.get(who).copied().unwrap_or(0.0)));
        println!(
            "{:<36} {:>9} {:>9.0} {:>19} {:>8.1} {:>8.1}   {:>6.2} {:>6.2} {:>6.2}",
            case.side.name(),
            case.in_flight,
            case.median(|sample| sample.calls_per_s),
            format!("{low:.0} - {high:.0}"),
            case.median(|sample| sample.p50_us),
            case.median(|sample| sample.p99_us),
            between,
            worker,
            client,
        );
    }
    println!();
    for target in TARGETS {
        target.print(series);
    }
    print_pair(series, Side::Stream, Side::OneWay, "items/s of a stream", STREAM_AT_LEAST);
    print_pair(series, Side::Plain, Side::PlainRelay, "calls/s over MDP/0.2", PLAIN_AT_LEAST);
}

/// What a stream has to reach, of what the one-way relay does.
const STREAM_AT_LEAST: f64 = 1.0;

/// What plain MDP has to reach, of what the relay of its frames does.
const PLAIN_AT_LEAST: f64 = 0.8;

/// The rate of one side over that of another, if both were measured.
fn print_pair(series: &[Series], side: Side, relay: Side, name: &str, at_least: f64) {
    let of = |side| series.iter().find(|case| case.side == side);
    let (Some(side), Some(relay)) = (of(side), of(relay)) else { return };
    let rate = |case: &Series| case.median(|sample| sample.calls_per_s);
    let ratio = rate(side) / rate(relay);
    let verdict = if ratio >= at_least { "ok" } else { "short" };
    println!("ratio {name}: {ratio:.2} target >= {at_least:.2} {verdict}");
}

impl Target {
    /// The median of the typed side over the median of the relay, if both were measured.
    fn print(&self, series: &[Series]) {
        let of =
            |side| series.iter().find(|case| case.side == side && case.in_flight == self.in_flight);
        let (Some(typed), Some(relay)) = (of(TYPED), of(Side::Relay)) else { return };
        let ratio = typed.median(self.figure) / relay.median(self.figure);
        let verdict = |reached| if reached { "ok" } else { "short" };
        match self.bound {
            Bound::AtLeast(bound) => {
                println!(
                    "ratio {}: {ratio:.2} target >= {bound:.2} {}",
                    self.name,
                    verdict(ratio >= bound)
                );
            }
            Bound::AtMost(bound) => {
                println!(
                    "ratio {}: {ratio:.2} target <= {bound:.2} {}",
                    self.name,
                    verdict(ratio <= bound)
                );
            }
            Bound::None => println!("ratio {}: {ratio:.2}", self.name),
        }
    }
}

impl Series {
    fn sorted(&self, figure: impl Fn(&Sample) -> f64) -> Vec<f64> {
        let mut figures: Vec<f64> = self.samples.iter().map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        figures
    }

    /// Of an even number of rounds the upper one of the two in the middle.
    fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        let figures = self.sorted(figure);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn spread(&self, figure: impl Fn(&Sample) -> f64) -> (f64, f64) {
        let figures = self.sorted(figure);
        let end = |place: Option<&f64>| place.copied().unwrap_or(f64::NAN);
        (end(figures.first()), end(figures.last()))
    }
}
