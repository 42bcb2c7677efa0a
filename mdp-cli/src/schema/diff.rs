//! `mdp schema diff`: the differences between two schemas in words.

use std::path::PathBuf;

use anyhow::bail;
use mdp_schema::Change;
use serde_json::json;

use super::{is_stdin, read};
use crate::Failure;
use crate::args::Output;

/// The exit code for schemas that differ.
const DIFFERENT: u8 = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// The old schema; - for standard input.
    #[arg(value_name = "OLD.binpb")]
    old: PathBuf,
    /// The new schema; - for standard input.
    #[arg(value_name = "NEW.binpb")]
    new: PathBuf,
    /// The format of the output: a line for each difference, or a JSON list of objects with `file`, `element` and
    /// `message`.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// Prints all differences. The exit code is 0 if there are none.
pub(crate) fn run(args: &DiffArgs) -> Result<u8, Failure> {
    let changes = changes(args).map_err(Failure::wrong)?;
    let text = match args.output {
        Output::Text => changes.iter().map(in_words).collect(),
        Output::Json => {
            let object = |change: &Change| {
                let Change { file, element, message, .. } = change;
                json!({ "file": file, "element": element, "message": message })
            };
            let objects: Vec<_> = changes.iter().map(object).collect();
            serde_json::to_string_pretty(&objects).map_err(Failure::failed)? + "\n"
        }
    };
    crate::print(&text).map_err(Failure::failed)?;
    Ok(if changes.is_empty() { 0 } else { DIFFERENT })
}

fn changes(args: &DiffArgs) -> anyhow::Result<Vec<Change>> {
    if is_stdin(&args.old) && is_stdin(&args.new) {
        bail!("only one of the two can come from standard input");
    }
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    Ok(mdp_schema::diff(old.descriptors(), new.descriptors())?)
}

fn in_words(change: &Change) -> String {
    let Change { file, element, message, .. } = change;
    format!("{file}: {element}: {message}\n")
}
