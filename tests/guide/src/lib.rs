//! What holds the guide's code: each block of a page is compiled or run, or says why it is not.
//!
//! - Rust: `build.rs` puts the blocks of a page into what stands around them, `around/PAGE.rs`, and `tests/rust` compiles
//!   and runs the whole.
//! - `.proto`: `build.rs` compiles it.
//! - All else has a note above it, `<!-- run by: FILE -->`, `<!-- checked by: FILE -->` or `<!-- not run: REASON -->`.
//!   `tests/claims.rs` looks whether the file knows the page.

pub mod blocks;
pub mod claims;
pub mod commands;

use std::path::{Path, PathBuf};
use std::{fs, io};

use blocks::Block;

/// Pages outside of the book whose blocks are held, too.
const BESIDE: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];

/// The list of the book's pages.
const SUMMARY: &str = "docs/SUMMARY.md";

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// From the workspace's root.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Page {
    /// Its blocks of code.
    pub fn blocks(&self) -> Vec<Block> {
        blocks::blocks(&self.text)
    }
}

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file's text, by its path from the workspace's root.
///
/// # Errors
///
/// It cannot be read.
pub fn read(path: &str) -> io::Result<String> {
    let told = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    fs::read_to_string(root().join(path)).map_err(told)
}

/// All pages that are held: those of the book, and those beside it.
///
/// # Errors
///
/// One of them cannot be read.
pub fn pages() -> io::Result<Vec<Page>> {
    let summary = read(SUMMARY)?;
    let listed = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let paths = BESIDE.iter().map(ToString::to_string);
    let paths = paths.chain(listed.map(|name| format!("docs/{name}")));
    paths.map(|path| Ok(Page { text: read(&path)?, path })).collect()
}
