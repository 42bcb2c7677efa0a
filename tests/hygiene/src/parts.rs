//! The parts of the broker's core own their state: no other file reads or writes their fields.

use crate::strip::code;
use crate::workspace::Source;

/// Where the parts are.
const PARTS: &str = "mdp-protocol/src/broker/";

/// Values without a state of their own, which one function hands to another. Their fields may be read.
pub const VALUES: &[&str] = &[
    "Ask",
    "Called",
    "End",
    "Ended",
    "Freed",
    "Known",
    "Longest",
    "Lost",
    "Offer",
    "Quantiles",
    "Request",
    "Sender",
    "Start",
    "Step",
    "Wish",
];

/// The fields of parts that other files can reach, and the values that are none any more.
pub fn faults(sources: &[Source], values: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut open = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with(PARTS)) {
        let code = code(&source.text);
        let mut part = None;
        for (number, line) in code.lines().enumerate() {
            part = struct_of(line).or(part);
            if line == "}" {
                part = None;
            }
            let Some(part) = part.filter(|_| is_open_field(line)) else { continue };
            match values.contains(&part) {
                true => open.push(part.to_owned()),
                false => {
                    let (path, number) = (&source.path, number + 1);
                    faults.push(format!("{path}:{number}: a field of `{part}` is not private"));
                }
            }
        }
    }
    for value in values.iter().filter(|value| !open.iter().any(|open| open == *value)) {
        faults.push(format!("`{value}` has no fields for others: take it from the list"));
    }
    faults
}

/// The name of the struct that begins in this line.
fn struct_of(line: &str) -> Option<&str> {
    let (before, behind) = line.split_once("struct ")?;
    let is_item = before.is_empty() || before.starts_with("pub");
    let end = behind.find(|c: char| !c.is_alphanumeric()).unwrap_or(behind.len());
    behind.get(..end).filter(|_| is_item && line.ends_with('{'))
}

/// A field that is not private, and not in the API of the crate either.
fn is_open_field(line: &str) -> bool {
    let Some((_, field)) = line.strip_prefix("    pub(").and_then(|field| field.split_once(") "))
    else {
        return false;
    };
    let name = field.split(':').next().unwrap_or_default();
    field.contains(':') && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
