//! `mdp keys`: makes and shows key files for CURVE.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use mdp_runtime::security::{KeyFileError, KeyPair, PublicKey};
use serde_json::json;

use crate::Failure;
use crate::args::{KeysCommand, Output};

pub(crate) fn run(command: &KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::New { name, dir, output } => new(name, dir, *output),
        KeysCommand::Show { file, output } => show(file, *output),
    }
}

fn new(name: &str, folder: &Path, output: Output) -> Result<(), Failure> {
    let pair = KeyPair::create(folder, name).map_err(|error| match error {
        KeyFileError::Name { .. } => Failure::wrong(error),
        _ => Failure::failed(error),
    })?;
    let file = |ending: &str| folder.join(format!("{name}.{ending}")).display().to_string();
    let (key, public, secret) = (pair.public().to_string(), file("pub"), file("key"));
    print(&match output {
        Output::Text => format!("public-key {key}\npublic-file {public}\nsecret-file {secret}\n"),
        Output::Json => {
            json!({ "public_key": key, "public_file": public, "secret_file": secret }).to_string()
                + "\n"
        }
    })
}

fn show(file: &Path, output: Output) -> Result<(), Failure> {
    let key = match file.extension() {
        Some(ending) if ending == "pub" => PublicKey::read(file),
        _ => KeyPair::read(file).map(|pair| *pair.public()),
    };
    let key = key.map_err(Failure::failed)?.to_string();
    print(&match output {
        Output::Text => format!("public-key {key}\n"),
        Output::Json => json!({ "public_key": key }).to_string() + "\n",
    })
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context("standard output").map_err(Failure::failed)
}
