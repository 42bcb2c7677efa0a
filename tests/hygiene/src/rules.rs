//! That a rule of `docs/wire.md` which is cited, as `wire.md R12`, exists.

use std::collections::BTreeSet;

use crate::workspace::Source;

const CITED: &str = "wire.md R";

/// Citations of rules that the text does not have.
pub fn faults(paper: &str, sources: &[Source]) -> Vec<String> {
    let rules: BTreeSet<u32> = paper.lines().filter_map(defined).collect();
    if rules.is_empty() {
        return vec!["wire.md has no rules".into()];
    }
    let mut faults = Vec::new();
    for number in paper.split(['(', ' ', ',']).filter_map(|word| cited(word.strip_prefix('R')?)) {
        if !rules.contains(&number) {
            faults.push(format!("wire.md cites R{number}, which it does not have"));
        }
    }
    for source in sources {
        for (at, _) in source.text.match_indices(CITED) {
            let number = source.text.get(at + CITED.len()..).and_then(cited);
            if let Some(number) = number.filter(|number| !rules.contains(number)) {
                faults.push(format!("{}: wire.md has no R{number}", source.path));
            }
        }
    }
    faults
}

/// The number of the rule that a line begins.
fn defined(line: &str) -> Option<u32> {
    cited(line.strip_prefix("**R")?)
}

/// The number that a text begins with.
fn cited(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}
