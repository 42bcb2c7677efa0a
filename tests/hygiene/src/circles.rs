//! The modules at the top of a crate do not need each other in a circle.
//!
//! A module is what stands directly below `src/`, with all files below it. A circle of a parent and its children is not
//! seen here. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};

use crate::strip::{code, is_name};
use crate::workspace::Source;

/// Circles that are there still, by crate. A circle may lose modules, and then its line here loses them, too.
pub const KNOWN: &[(&str, &[&str])] = &[
    ("mdp-call", &["codec", "status"]),
    (
        "mdp-cli",
        &[
            "args",
            "bench",
            "call",
            "completion",
            "describe",
            "doctor",
            "drain",
            "list",
            "ping",
            "schema",
            "stats",
            "top",
            "watch",
        ],
    ),
    (
        "mdp-runtime",
        &[
            "blocking",
            "call",
            "classic",
            "client",
            "dynamic",
            "intercept",
            "otel",
            "peer",
            "retry",
            "stream",
            "testing",
            "trace_context",
            "worker",
        ],
    ),
];

/// For each module, the modules of the same crate that it names.
type Needs = BTreeMap<String, BTreeSet<String>>;

/// The circles that are not known, and the known ones that are not there as they are listed.
pub fn faults(sources: &[Source], known: &[(&str, &[&str])]) -> Vec<String> {
    let mut crates: BTreeMap<&str, Needs> = BTreeMap::new();
    for source in sources {
        let Some((folder, below)) = source.path.split_once("/src/") else { continue };
        let Some(module) = module_of(folder, below) else { continue };
        let needs = crates.entry(folder).or_default().entry(module.to_owned()).or_default();
        needs.extend(named(&source.text).into_iter().filter(|name| name != module));
    }
    let found: Vec<(&str, BTreeSet<String>)> = crates
        .iter()
        .flat_map(|(name, needs)| circles(needs).into_iter().map(|circle| (*name, circle)))
        .collect();
    let is_listed = |name: &str, circle: &BTreeSet<String>| {
        known.iter().any(|(of, modules)| *of == name && circle.iter().eq(modules.iter()))
    };
    let new = found.iter().filter(|(name, circle)| !is_listed(name, circle));
    let mut faults: Vec<String> = new
        .map(|(name, circle)| {
            let circle: Vec<&str> = circle.iter().map(String::as_str).collect();
            format!("{name}: these modules need each other in a circle: {}", circle.join(", "))
        })
        .collect();
    for (name, modules) in known {
        if !found.iter().any(|(of, circle)| of == name && circle.iter().eq(modules.iter())) {
            faults.push(format!("{name}: take this circle from the list: {}", modules.join(", ")));
        }
    }
    faults
}

/// The module that a file belongs to. `None`: the file is the root of a crate, has tests, or is of no crate of ours.
fn module_of<'a>(folder: &str, below: &'a str) -> Option<&'a str> {
    let of_tests = below.contains("tests") || below.contains("/testing.rs");
    let module = below.split(['/', '.']).next()?;
    let counts = folder.starts_with("mdp-") && !folder.contains('/') && !of_tests;
    (counts && !["lib", "main"].contains(&module)).then_some(module)
}

/// The names that follow `crate::` in the code of a file.
fn named(source: &str) -> BTreeSet<String> {
    let code = without_tests(&code(source));
    let mut names = BTreeSet::new();
    for (at, word) in code.match_indices("crate::") {
        // `$crate::` is another crate's.
        if code.get(..at).is_some_and(|before| before.ends_with('$') || before.ends_with(is_name)) {
            continue;
        }
        let behind = code.get(at + word.len()..).unwrap_or_default();
        match behind.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(head(behind)),
        }
    }
    names
}

/// The first names of a group `{a::b, c, d::{e, f}}`, whose brace is open.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut begins = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && is_name(c) => {
                heads.extend(group.get(at..).and_then(head));
                begins = false;
            }
            _ => {}
        }
    }
    heads
}

fn head(text: &str) -> Option<String> {
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    text.get(..end).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The code without its modules of tests.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let (mut marked, mut within) = (false, false);
    for line in code.lines() {
        match line {
            "#[cfg(test)]" => {}
            _ if marked && line.starts_with("mod ") && line.ends_with('{') => within = true,
            "}" if within => within = false,
            _ if !within => {
                kept.push_str(line);
                kept.push('\n');
            }
            _ => {}
        }
        marked = line == "#[cfg(test)]";
    }
    kept
}

/// Sets of modules that reach each other.
fn circles(needs: &Needs) -> Vec<BTreeSet<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        needs.keys().map(|from| (from.as_str(), reached(needs, from))).collect();
    let mut circles: Vec<BTreeSet<String>> = Vec::new();
    for (from, there) in &reach {
        let back = |to: &&&str| reach.get(**to).is_some_and(|back| back.contains(from));
        let circle: BTreeSet<String> =
            there.iter().filter(back).map(|to| (*to).to_owned()).collect();
        if circle.len() > 1 && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn reached<'a>(needs: &'a Needs, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = needs.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(next) = open.pop() {
        if needs.contains_key(next) && found.insert(next) {
            open.extend(needs.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    found
}
