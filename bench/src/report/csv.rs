//! The figures for programs. No name has a comma in it.

use super::series::Series;
use super::targets::Verdict;

/// Every figure of every round.
pub(super) fn rounds(series: &[Series]) -> String {
    let mut text = String::from("group,side,round,figure,value\n");
    for one in series {
        for (round, sample) in &one.samples {
            for (figure, value) in sample.figures() {
                let (group, side) = (one.case.group, one.case.side);
                let (round, figure) = (round + 1, figure.name());
                text.push_str(&format!("{group},{side},{round},{figure},{value}\n"));
            }
        }
    }
    text
}

/// Every ratio, with what is asked for.
pub(super) fn ratios(verdicts: &[Verdict]) -> String {
    let mut text = String::from("ratio,value,lowest,highest,target,verdict\n");
    for verdict in verdicts {
        let value = match &verdict.value {
            Ok(spread) => format!("{},{},{}", spread.median, spread.low, spread.high),
            Err(_) => ",,".into(),
        };
        let (name, bound, word) = (verdict.name, verdict.bound, verdict.word());
        text.push_str(&format!("{name},{value},{bound},{word}\n"));
    }
    text
}
