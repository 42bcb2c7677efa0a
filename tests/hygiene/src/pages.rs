//! What holds for Markdown: lines that end, links that lead to a file, and a guide that has each of its pages.

use std::collections::BTreeSet;

use crate::workspace::Source;

/// The most columns of a line.
pub const COLUMNS: usize = 120;

/// The folder of the guide, and its list of pages.
const GUIDE: &str = "docs/";
const SUMMARY: &str = "docs/SUMMARY.md";

/// Lines that are too long. A row of a table cannot be broken, and neither can a line of one word or of one link.
pub fn long_lines(pages: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for page in pages {
        for (number, line) in page.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS && !is_whole(line) {
                let (path, number) = (&page.path, number + 1);
                faults
                    .push(format!("{path}:{number} has {columns} columns; {COLUMNS} are allowed"));
            }
        }
    }
    faults
}

/// Links to files, or to headings of pages, that are not there. `exists` says it of a path from the workspace's root.
pub fn dead_links(pages: &[Source], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for page in pages {
        for target in links(&page.text) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { page.path.clone() } else { beside(&page.path, path) };
            let there = pages.iter().find(|page| page.path == path);
            let lacks = |page: &Source| !anchor.is_empty() && !has_anchor(&page.text, anchor);
            if there.is_none() && !exists(&path) || there.is_some_and(lacks) {
                faults.push(format!("{}: {target} leads nowhere", page.path));
            }
        }
    }
    faults
}

/// Pages of the guide that its list does not have.
pub fn unlisted(pages: &[Source]) -> Vec<String> {
    let Some(summary) = pages.iter().find(|page| page.path == SUMMARY) else {
        return vec![format!("there is no {SUMMARY}")];
    };
    let listed: BTreeSet<String> = links(&summary.text).map(|link| beside(SUMMARY, link)).collect();
    let guide = pages.iter().filter(|page| page.path.starts_with(GUIDE) && page.path != SUMMARY);
    guide
        .filter(|page| !listed.contains(&page.path))
        .map(|page| format!("{} is not in {SUMMARY}", page.path))
        .collect()
}

/// Whether a line cannot be broken: a row of a table, one word, or one link; each also as an item of a list.
fn is_whole(line: &str) -> bool {
    let text = line.trim();
    if text.starts_with('|') {
        return true;
    }
    let text = text.strip_prefix("- ").unwrap_or(text);
    let is_link = text.starts_with('[')
        && text.ends_with([')', '.', ','])
        && text.matches("](").count() == 1
        && text.split("](").nth(1).is_some_and(|target| !target.contains(' '));
    is_link || !text.contains(char::is_whitespace)
}

/// The targets of links within the workspace, outside of code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = prose(text).flat_map(|line| {
        line.match_indices("](").filter_map(move |(at, _)| {
            let in_span = line.get(..at)?.matches('`').count() % 2 == 1;
            let target = line.get(at + 2..)?.split(')').next()?;
            (!in_span).then_some(target)
        })
    });
    targets.filter(|target| !target.contains("://"))
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// Whether a page has a heading of this anchor, as GitHub and mdBook make them: lower case, spaces as `-`, letters, digits,
/// `-` and `_`.
fn has_anchor(text: &str, anchor: &str) -> bool {
    prose(text).filter(|line| line.starts_with('#')).any(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).eq(anchor.chars())
    })
}

/// A path that a page names, from the workspace's root.
fn beside(page: &str, path: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
