//! `mdp schema`: prints descriptors as `.proto` text, and compares two sets of descriptors.

pub(crate) mod check;
pub(crate) mod diff;

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, bail};
use mdp_schema::{ProtoFile, Schema};

use crate::Failure;
use crate::args::{ExportArgs, Output};

/// Prints the files, or writes them into a folder.
pub(crate) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let files = read(&args.file)
        .and_then(|schema| schema.to_proto().with_context(|| named(&args.file)))
        .map_err(Failure::wrong)?;
    match &args.out {
        Some(folder) => files.iter().try_for_each(|file| write(folder, file)),
        None => printed(&files, args.output).and_then(|text| crate::print(&text)),
    }
    .map_err(Failure::failed)
}

fn printed(files: &[ProtoFile], output: Output) -> anyhow::Result<String> {
    if let Output::Text = output {
        return Ok(all_in_one(files));
    }
    let object = |file: &ProtoFile| serde_json::json!({ "name": file.name, "text": file.text });
    let list: Vec<_> = files.iter().map(object).collect();
    Ok(serde_json::to_string(&list)? + "\n")
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn named(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

fn read(path: &Path) -> anyhow::Result<Schema> {
    let bytes = if is_stdin(path) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.with_context(|| named(path))?;
    Schema::from_bytes(None, &bytes).with_context(|| named(path))
}

/// Joins several files, each after a line with its name. A single file is not changed.
pub(crate) fn all_in_one(files: &[ProtoFile]) -> String {
    match files {
        [only] => only.text.clone(),
        files => {
            let texts = files.iter().map(|file| format!("// {}\n\n{}", file.name, file.text));
            texts.collect::<Vec<_>>().join("\n")
        }
    }
}

fn write(folder: &Path, file: &ProtoFile) -> anyhow::Result<()> {
    // The name comes from the descriptors, and must stay within the folder.
    let name = PathBuf::from(&file.name);
    if !name.components().all(|part| matches!(part, Component::Normal(_))) {
        bail!("the file name `{}` leads out of the folder", file.name);
    }
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    fs::write(&path, &file.text).with_context(|| path.display().to_string())
}
