//! Whether each block has who runs it, or says why nobody does.

use crate::Page;
use crate::blocks::{self, Block, CLAIMS};

/// What `build.rs` takes without a note.
const BUILT: [&str; 2] = ["rust", "proto"];

/// The blocks of `pages` that nobody runs and that do not say why, in words. `read` gives a file's text by its path from
/// the workspace's root.
pub fn faults(pages: &[Page], read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for page in pages {
        let mut fault =
            |line: usize, what: &str| faults.push(format!("{}:{line} {what}", page.path));
        for line in blocks::indented(&page.text) {
            fault(line, "is code by its indent; put it between fences, with its language");
        }
        for block in page.blocks() {
            if let Err(what) = claim(page, &block, &read) {
                fault(block.line, &what);
            }
        }
    }
    faults
}

/// Whether one block has what it must.
fn claim(page: &Page, block: &Block, read: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    if block.language.is_empty() {
        return Err("has no language; what is no code is `text`".into());
    }
    for word in ["run by", "checked by"] {
        let Some(path) = block.note(word) else { continue };
        let text = read(path).ok_or_else(|| format!("is {word} {path}, which is not there"))?;
        if !knows(&text, page, block) {
            return Err(format!(
                "is {word} {path}, which knows neither its page nor its first line"
            ));
        }
        return Ok(());
    }
    if block.note("not run").is_some_and(|reason| reason.len() > 2) {
        return Ok(());
    }
    if block.language == "text" || BUILT.contains(&block.language.as_str()) {
        return Ok(());
    }
    Err(format!(
        "is {}, and says neither who runs it nor why nobody does: {CLAIMS:?}",
        block.language
    ))
}

/// Whether a file that is said to run a block names its page, or the command that the block begins with.
fn knows(text: &str, page: &Page, block: &Block) -> bool {
    let first = block.text.lines().next().unwrap_or_default();
    let first = first.split("  #").next().unwrap_or_default().trim();
    text.contains(&page.path)
        || !first.is_empty() && text.lines().any(|line| ends_with(line, first))
}

/// Whether a line has these words at its end, whole.
fn ends_with(line: &str, words: &str) -> bool {
    let rest = line.trim_end().strip_suffix(words);
    rest.is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
}
