//! The workspace as it stands on disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// A source file.
#[derive(Clone, Debug)]
pub struct Source {
    /// From the workspace's root, with `/` between the parts.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// The folder of the workspace that this crate stands in.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The manifests of the workspace's members, as their texts, and that of the workspace first.
///
/// # Errors
///
/// A manifest that is not there, or cannot be read as one.
pub fn manifests(root: &Path) -> Result<Vec<Table>, String> {
    let workspace = manifest(&root.join("Cargo.toml"))?;
    let members = workspace
        .get("workspace")
        .and_then(|workspace| workspace.get("members"))
        .and_then(Value::as_array)
        .ok_or("the workspace's Cargo.toml has no members")?;
    let mut manifests = vec![workspace.clone()];
    for member in members {
        let member = member.as_str().ok_or("a member is a text")?;
        if member.contains('*') {
            return Err(format!("member `{member}`: name members one by one"));
        }
        manifests.push(manifest(&root.join(member).join("Cargo.toml"))?);
    }
    Ok(manifests)
}

fn manifest(path: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.parse().map_err(|e| format!("{}: {e}", path.display()))
}

/// Every `.rs` file below `root` that is not built, in the order of their paths.
///
/// # Errors
///
/// A folder or a file that cannot be read.
pub fn sources(root: &Path) -> io::Result<Vec<Source>> {
    files(root, ".rs")
}

/// Every page of Markdown below `root`, likewise.
///
/// # Errors
///
/// A folder or a file that cannot be read.
pub fn pages(root: &Path) -> io::Result<Vec<Source>> {
    files(root, ".md")
}

fn files(root: &Path, ending: &str) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    collect(root, "", ending, &mut sources)?;
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn collect(folder: &Path, prefix: &str, ending: &str, into: &mut Vec<Source>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            // Hidden folders belong to tools, `target` to cargo.
            if !name.starts_with('.') && name != "target" {
                collect(&entry.path(), &format!("{path}/"), ending, into)?;
            }
        } else if name.ends_with(ending) {
            into.push(Source { path, text: fs::read_to_string(entry.path())? });
        }
    }
    Ok(())
}
