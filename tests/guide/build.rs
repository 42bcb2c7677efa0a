//! Puts the pages' blocks of Rust into what stands around them, and compiles the pages' `.proto` text.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use blocks::Block;

#[allow(dead_code, unreachable_pub)] // A build script cannot use the library of its own crate, so it includes the file.
#[path = "src/blocks.rs"]
mod blocks;

const DOCS: &str = "../../docs";

/// What stands around the blocks of the page of the same name. Its lines `// block` are places, one for each block, in
/// order. A line `// with A as B` above a place puts B in the block for A, an endpoint for instance.
const AROUND: &str = "around";
const PLACE: &str = "// block";
const CHANGE: &str = "// with ";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    println!("cargo::rerun-if-changed={AROUND}");
    println!("cargo::rerun-if-changed={DOCS}");
    let mut modules = String::new();
    for page in names(Path::new(DOCS), ".md")? {
        let path = format!("{DOCS}/{page}.md");
        let blocks = blocks::blocks(&fs::read_to_string(&path)?);
        // What a note says something of is somebody else's.
        let own = |language: &str| -> Vec<&Block> {
            blocks.iter().filter(|b| b.language == language && !b.is_claimed()).collect()
        };
        rust(&page, &own("rust"), &out, &mut modules)?;
        proto(&page, &own("proto"), &out)?;
    }
    fs::write(out.join("pages.rs"), modules)?;
    Ok(())
}

/// The names of a folder's files with this ending, without it.
fn names(folder: &Path, ending: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(ending).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Writes the module of a page: what stands around its blocks, with the blocks in their places.
fn rust(page: &str, blocks: &[&Block], out: &Path, all: &mut String) -> Result<(), Box<dyn Error>> {
    let around = format!("{AROUND}/{page}.rs");
    let text = match fs::read_to_string(&around) {
        Ok(text) => text,
        Err(_) if blocks.is_empty() => return Ok(()),
        Err(error) => {
            return Err(
                format!("docs/{page}.md has Rust, and tests/guide/{around}: {error}").into()
            );
        }
    };
    let places = text.lines().filter(|line| line.trim() == PLACE).count();
    if places != blocks.len() {
        let blocks = blocks.len();
        return Err(format!(
            "docs/{page}.md has {blocks} blocks of Rust, and tests/guide/{around} {places} places"
        )
        .into());
    }
    let mut blocks = blocks.iter();
    let mut changes = Vec::new();
    let mut module = String::new();
    for line in text.lines() {
        if let Some(change) = line.trim().strip_prefix(CHANGE) {
            changes.push(
                change.split_once(" as ").ok_or_else(|| format!("{around}: {line}: as what?"))?,
            );
        } else if line.trim() == PLACE {
            let block = blocks.next().ok_or("places were counted")?;
            let mut text = block.text.clone();
            for (from, to) in changes.drain(..) {
                if !text.contains(from) {
                    return Err(format!(
                        "{around}: the block at docs/{page}.md:{} has no {from}",
                        block.line
                    )
                    .into());
                }
                text = text.replace(from, to);
            }
            writeln!(module, "// docs/{page}.md:{}\n{text}", block.line)?;
        } else {
            writeln!(module, "{line}")?;
        }
    }
    fs::write(out.join(format!("{page}.rs")), module)?;
    let name = page.replace('-', "_");
    writeln!(all, "mod {name} {{\n    include!(concat!(env!(\"OUT_DIR\"), \"/{page}.rs\"));\n}}")?;
    Ok(())
}

/// Compiles the blocks of `.proto` text of a page, each into a folder of its own: `PAGE-1` is for the first.
fn proto(page: &str, blocks: &[&Block], out: &Path) -> Result<(), Box<dyn Error>> {
    for (number, block) in (1..).zip(blocks) {
        let folder = out.join(format!("{page}-{number}"));
        fs::create_dir_all(&folder)?;
        let file = folder.join("page.proto");
        // A file that is written runs this script once more.
        if fs::read_to_string(&file).ok().as_ref() != Some(&block.text) {
            fs::write(&file, &block.text)?;
        }
        let compiled =
            mdp_codegen::configure().out_dir(&folder).compile_protos(&[&file], &[&folder]);
        compiled.map_err(|error| format!("docs/{page}.md:{}: {error}", block.line))?;
    }
    Ok(())
}
