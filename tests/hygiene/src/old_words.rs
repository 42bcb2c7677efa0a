//! That a private word which was given up for the term of the field does not come back.

use crate::strip::{code, is_name};
use crate::workspace::Source;

/// A word that is not used any more.
pub struct Old {
    /// The word, in the form of a function's name: lower case, with `_` between its parts.
    pub word: &'static str,
    /// The term to use.
    pub say: &'static str,
    /// Only a name that is this word is a fault. Otherwise a name that contains it is one, too.
    pub alone: bool,
}

const fn within(word: &'static str, say: &'static str) -> Old {
    Old { word, say, alone: false }
}

const fn alone(word: &'static str, say: &'static str) -> Old {
    Old { word, say, alone: true }
}

/// The old words. A word that has another, good use is not among them.
pub const OLD: &[Old] = &[
    within("purse", "send credit"),
    alone("judges", "hook pool"),
    within("tallies", "method stats"),
    alone("by_key", "secondary map"),
    within("seat", "hand-off"),
    within("relief", "standby"),
    within("nobody_listens", "send error"),
    within("stop_asked", "shutdown signal"),
    within("give_back", "release, or send back"),
    within("hand_back", "send back"),
    within("let_go", "remove"),
    within("see_off", "close"),
    within("turn_away", "refuse"),
    within("expel", "close"),
    within("unjudged", "unanswered"),
];

/// This file, its tests, and the page that says what had which name.
const EXCEPT: &[&str] = &["tests/hygiene/", "CHANGELOG.md"];

/// The old words in the names and comments of sources, and on pages of Markdown.
pub fn faults(files: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        if EXCEPT.iter().any(|start| file.path.starts_with(start)) {
            continue;
        }
        let is_page = file.path.ends_with(".md");
        let code = if is_page { String::new() } else { code(&file.text) };
        let mut code = code.lines();
        for (number, line) in file.text.lines().enumerate() {
            let code = code.next().unwrap_or_default();
            let whole = is_page || line.trim_start().starts_with("//");
            for old in found(if whole { line } else { code }) {
                let (path, number) = (&file.path, number + 1);
                faults.push(format!("{path}:{number}: `{}`: say {}", old.word, old.say));
            }
        }
    }
    faults
}

/// The old words of a line.
fn found(line: &str) -> Vec<&'static Old> {
    let names = line.split(|c| !is_name(c)).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(parts).collect();
    let is_there = |old: &&Old| names.iter().any(|name| old.is_in(name));
    if names.is_empty() { Vec::new() } else { OLD.iter().filter(is_there).collect() }
}

impl Old {
    fn is_in(&self, name: &str) -> bool {
        if self.alone {
            return name == self.word;
        }
        name.match_indices(self.word).any(|(at, _)| {
            let (before, after) = (name.get(..at), name.get(at + self.word.len()..));
            before.is_some_and(|before| before.is_empty() || before.ends_with('_'))
                && after.is_some_and(|after| after.is_empty() || after.starts_with('_'))
        })
    }
}

/// A name in the form of a function's: `HandOff` as `hand_off`.
fn parts(name: &str) -> String {
    let mut parts = String::with_capacity(name.len() + 4);
    let mut before = '_';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            parts.push('_');
        }
        parts.extend(c.to_lowercase());
        before = c;
    }
    parts
}
