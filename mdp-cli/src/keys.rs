//! `mdp keys`: key files for CURVE.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use mdp_runtime::security::{KeyFileError, KeyPair, PublicKey};

use crate::Failure;
use crate::args::KeysCommand;

pub(crate) fn run(command: &KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::New { name, dir } => new(name, dir),
        KeysCommand::Show { file } => show(file),
    }
}

fn new(name: &str, folder: &Path) -> Result<(), Failure> {
    let pair = KeyPair::create(folder, name).map_err(|error| match error {
        KeyFileError::Name { .. } => Failure::wrong(error),
        _ => Failure::failed(error),
    })?;
    let file = |ending: &str| folder.join(format!("{name}.{ending}")).display().to_string();
    print(&format!(
        "public-key {}\npublic-file {}\nsecret-file {}\n",
        pair.public(),
        file("pub"),
        file("key"),
    ))
}

fn show(file: &Path) -> Result<(), Failure> {
    let key = match file.extension() {
        Some(ending) if ending == "pub" => PublicKey::read(file),
        _ => KeyPair::read(file).map(|pair| *pair.public()),
    };
    print(&format!("public-key {}\n", key.map_err(Failure::failed)?))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context("standard output").map_err(Failure::failed)
}
