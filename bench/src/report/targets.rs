//! What has to be reached, and what was.

use std::fmt;

use super::series::{Series, Spread};
use crate::cases::Figure;

/// A figure of one side of a group, alone or over that of another side.
#[derive(Debug)]
pub(crate) struct Target {
    /// Stays as it is: programs read it.
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    figure: Figure,
    side: &'static str,
    over: Option<&'static str>,
    bound: Bound,
}

/// How much it has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// For information.
    None,
}

/// What became of a target.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) name: &'static str,
    pub(crate) bound: Bound,
    /// The ratio of the medians, or the median, with the lowest and the highest of the rounds.
    pub(crate) value: Result<Spread, String>,
}

use Bound::{AtLeast, AtMost};
use Figure::{
    Bytes, CallsPerCpu, CpuPerKib, Memory, OfACore, P50, P99, P99At20, P99At70, Rate, Seconds,
    Throughput,
};

/// All targets, and some ratios without one.
pub(crate) const TARGETS: &[Target] = &[
    typed("unary-256-over-raw", "unary-256", Rate, "raw", AtLeast(2.0)),
    typed("unary-256-over-nats", "unary-256", Rate, "nats", AtLeast(4.0)),
    typed("unary-256-over-tonic", "unary-256", Rate, "tonic", AtLeast(7.0)),
    typed("unary-256-over-tarpc", "unary-256", Rate, "tarpc", AtLeast(1.5)),
    typed("unary-256-p99-over-raw", "unary-256", P99, "raw", AtMost(0.5)),
    typed("broker-calls-per-cpu-over-proxy", "unary-256", CallsPerCpu, "raw", AtLeast(3.0)),
    typed("unary-16-over-raw", "unary-16", Rate, "raw", AtLeast(2.5)),
    typed("unary-16-over-nats", "unary-16", Rate, "nats", AtLeast(2.5)),
    typed("unary-16-over-tarpc", "unary-16", Rate, "tarpc", AtLeast(1.2)),
    typed("unary-1-p50-over-raw", "unary-1", P50, "raw", AtMost(0.5)),
    typed("unary-1-p50-over-nats", "unary-1", P50, "nats", AtMost(0.65)),
    typed("unary-1-p50-over-tonic", "unary-1", P50, "tonic", AtMost(1.0)),
    typed("unary-1-p50-over-tarpc", "unary-1", P50, "tarpc", AtMost(1.2)),
    typed("unary-4096-over-raw", "unary-4096", Rate, "raw", AtLeast(2.0)),
    typed("many-8x32-over-raw", "many-8x32", Rate, "raw", AtLeast(2.0)),
    typed("many-8x32-over-nats", "many-8x32", Rate, "nats", AtLeast(2.0)),
    typed("many-8x32-over-tonic", "many-8x32", Rate, "tonic", Bound::None),
    typed("many-64x4-over-raw", "many-64x4", Rate, "raw", AtLeast(2.0)),
    typed("many-64x4-over-nats", "many-64x4", Rate, "nats", AtLeast(2.0)),
    typed("many-64x4-over-tonic", "many-64x4", Rate, "tonic", Bound::None),
    typed("many-256x1-over-raw", "many-256x1", Rate, "raw", AtLeast(2.0)),
    typed("many-256x1-over-nats", "many-256x1", Rate, "nats", AtLeast(2.0)),
    typed("many-256x1-over-tonic", "many-256x1", Rate, "tonic", Bound::None),
    typed("unary-1mib-over-raw", "unary-1mib", Throughput, "raw", AtLeast(1.0)),
    typed("unary-1mib-broker-cpu-over-proxy", "unary-1mib", CpuPerKib, "raw", Bound::None),
    typed("stream-over-raw", "stream", Rate, "raw", AtLeast(2.0)),
    alone("overhead-bytes", "overhead-256", Bytes, "typed", AtMost(80.0)),
    alone("memory-client-bytes", "memory-client", Memory, "typed", AtMost(2_048.0)),
    alone("memory-curve-client-bytes", "memory-client", Memory, "curve", AtMost(3_072.0)),
    alone("memory-worker-bytes", "memory-worker", Memory, "typed", AtMost(5_120.0)),
    alone("rest-percent-of-a-core", "rest", OfACore, "plain", AtMost(5.0)),
    alone("rest-curve-percent-of-a-core", "rest", OfACore, "curve", Bound::None),
    alone("back-seconds", "back", Seconds, "plain", AtMost(2.0)),
    alone("back-curve-seconds", "back", Seconds, "curve", AtMost(5.0)),
    alone("memory-call-bytes", "memory-call", Memory, "typed", AtMost(300.0)),
    grown("growth-workers-rate", "growth-workers", Rate, SAME_RATE),
    grown("growth-workers-p50", "growth-workers", P50, SAME_TIME),
    grown("growth-clients-rate", "growth-clients", Rate, SAME_RATE),
    grown("growth-clients-p50", "growth-clients", P50, SAME_TIME),
    grown("growth-services-rate", "growth-services", Rate, SAME_RATE),
    grown("growth-services-p50", "growth-services", P50, SAME_TIME),
    grown("growth-same-service-rate", "growth-same-service", Rate, AtLeast(0.3)),
    grown("growth-same-service-p50", "growth-same-service", P50, Bound::None),
    alone("generator-seconds", "generator", Seconds, "mdp-codegen", AtMost(2.0)),
    ratio("mdp02-256-over-raw", "mdp02-256", Rate, ["broker", "raw"], AtLeast(0.8)),
    ratio("curve-256-over-unencrypted", "curve-256", Rate, ["curve", "unencrypted"], AtLeast(0.6)),
    ratio("curve-1-p50-over-unencrypted", "curve-1", P50, ["curve", "unencrypted"], Bound::None),
    ratio("metrics-256", "metrics-256", Rate, ["with", "without"], AtLeast(0.98)),
    ratio("policy-256", "policy-256", Rate, ["with", "without"], AtLeast(0.97)),
    ratio("policy-curve-256", "policy-curve-256", Rate, ["with", "without"], AtLeast(0.97)),
    ratio("overload-2x", "overload", Rate, ["2x", "capacity"], AtLeast(0.85)),
    ratio("overload-5x-short", "overload", Rate, ["5x-short", "capacity"], AtLeast(0.85)),
    ratio("overload-10x", "overload", Rate, ["10x", "capacity"], AtLeast(0.85)),
    typed("open-loop-20-p99-over-raw", "open-loop", P99At20, "raw", Bound::None),
    typed("open-loop-70-p99-over-raw", "open-loop", P99At70, "raw", Bound::None),
];

/// Growth may cost a fifth.
const SAME_RATE: Bound = AtLeast(1.0 / 1.2);
const SAME_TIME: Bound = AtMost(1.2);

const fn ratio(
    name: &'static str,
    group: &'static str,
    figure: Figure,
    [side, over]: [&'static str; 2],
    bound: Bound,
) -> Target {
    Target { name, group, figure, side, over: Some(over), bound }
}

/// The typed side over another one.
const fn typed(
    name: &'static str,
    group: &'static str,
    figure: Figure,
    over: &'static str,
    bound: Bound,
) -> Target {
    ratio(name, group, figure, ["typed", over], bound)
}

/// With a crowd over without.
const fn grown(name: &'static str, group: &'static str, figure: Figure, bound: Bound) -> Target {
    ratio(name, group, figure, ["crowd", "alone"], bound)
}

/// No ratio.
const fn alone(
    name: &'static str,
    group: &'static str,
    figure: Figure,
    side: &'static str,
    bound: Bound,
) -> Target {
    Target { name, group, figure, side, over: None, bound }
}

impl Target {
    /// Whether there is something to reach.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.bound != Bound::None
    }

    /// Whether it needs this side of this group.
    pub(crate) fn needs(&self, group: &str, side: &str) -> bool {
        self.group == group && (self.side == side || self.over == Some(side))
    }
}

/// What became of all targets whose group was measured.
pub(super) fn verdicts(series: &[Series]) -> Vec<Verdict> {
    let measured = |target: &&Target| series.iter().any(|one| one.case.group == target.group);
    TARGETS
        .iter()
        .filter(measured)
        .map(|target| Verdict {
            name: target.name,
            bound: target.bound,
            value: target.value(series),
        })
        .collect()
}

impl Target {
    fn value(&self, series: &[Series]) -> Result<Spread, String> {
        let of = |side: &str| {
            let mut all = series.iter();
            let found = all.find(|one| one.case.group == self.group && one.case.side == side);
            let found = found.ok_or_else(|| format!("{side} was not measured"))?;
            match &found.missing {
                Some(missing) => Err(missing.clone()),
                None => Ok(found),
            }
        };
        let nothing = || "there is no figure".to_string();
        let this = of(self.side)?;
        let Some(over) = self.over else { return this.spread(self.figure).ok_or_else(nothing) };
        let over = of(over)?;
        let medians = this.median(self.figure).zip(over.median(self.figure));
        let (ours, theirs) = medians.ok_or_else(nothing)?;
        let ratios = this.samples.iter().filter_map(|(round, ours)| {
            Some(ours.get(self.figure)? / over.of_round(*round, self.figure)?)
        });
        let spread = Spread::of(ratios.collect()).ok_or_else(nothing)?;
        Ok(Spread { median: ours / theirs, ..spread })
    }
}

impl Bound {
    /// How far the value is beyond the bound: 1 is just enough. `None`: nothing is asked for.
    pub(crate) fn reached(self, value: f64) -> Option<f64> {
        match self {
            AtLeast(bound) => Some(value / bound),
            AtMost(bound) if value <= 0.0 => Some(bound.max(1.0)),
            AtMost(bound) => Some(bound / value),
            Bound::None => None,
        }
    }
}

impl Verdict {
    /// `ok`, `short`, or what else there is to say.
    pub(crate) fn word(&self) -> &'static str {
        match &self.value {
            Err(_) => "missing",
            Ok(spread) => match self.bound.reached(spread.median) {
                Some(reached) if reached >= 1.0 => "ok",
                Some(_) => "short",
                None => "reported",
            },
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AtLeast(bound) => write!(f, ">={}", brief(*bound)),
            AtMost(bound) => write!(f, "<={}", brief(*bound)),
            Bound::None => f.write_str("none"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { name, bound, value } = self;
        let word = self.word();
        match value {
            Ok(Spread { median, low, high }) => {
                let [median, low, high] = [median, low, high].map(|value| brief(*value));
                write!(f, "ratio {name} {median} target {bound} {word} rounds {low}..{high}")
            }
            Err(missing) => write!(f, "ratio {name} none target {bound} {word} ({missing})"),
        }
    }
}

/// Two places where they say something.
pub(super) fn brief(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{Sample, all};

    fn series(side: &'static str, rates: &[f64], missing: Option<&str>) -> Series {
        let case = all().into_iter().find(|case| case.group == "unary-256" && case.side == side);
        let samples = rates.iter().map(|rate| Sample::default().with(Rate, *rate));
        let samples = (0..).zip(samples).collect();
        Series { case: case.unwrap(), samples, missing: missing.map(String::from) }
    }

    #[test]
    fn each_target_has_its_cases_and_a_name_of_its_own() {
        let cases = all();
        for target in TARGETS {
            let sides: Vec<_> =
                cases.iter().filter(|case| target.needs(case.group, case.side)).collect();
            assert_eq!(sides.len(), 1 + usize::from(target.over.is_some()), "{}", target.name);
            let same = TARGETS.iter().filter(|other| other.name == target.name).count();
            assert_eq!(same, 1, "{}", target.name);
        }
    }

    #[test]
    fn the_ratio_of_the_medians_counts() {
        let series = [
            series("typed", &[100.0, 400.0, 300.0], None),
            series("raw", &[100.0, 100.0, 200.0], None),
            series("nats", &[], Some("nats-server not found")),
        ];
        let verdicts = verdicts(&series);
        let line = |name: &str| {
            let mut all = verdicts.iter().map(ToString::to_string);
            all.find(|line| line.split(' ').nth(1) == Some(name)).unwrap()
        };
        assert_eq!(
            line("unary-256-over-raw"),
            "ratio unary-256-over-raw 3.00 target >=2.00 ok rounds 1.00..4.00"
        );
        assert_eq!(
            line("unary-256-over-nats"),
            "ratio unary-256-over-nats none target >=4.00 missing (nats-server not found)"
        );
    }
}
