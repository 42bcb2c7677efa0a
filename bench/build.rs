//! Makes the client and the worker of `proto/bench.proto`, tonic's for the same file, and the versions of those who
//! are measured.

use std::path::PathBuf;
use std::{env, fs};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const PROTO: &str = "proto/bench.proto";
const LOCK: &str = "../Cargo.lock";

fn main() -> Outcome {
    mdp_codegen::configure().bytes(".").compile_protos(&[PROTO], &["proto"])?;
    // The two would write files of one name.
    let folder = PathBuf::from(env::var("OUT_DIR")?).join("tonic");
    fs::create_dir_all(&folder)?;
    let files = protox::compile([PROTO], ["proto"])?;
    tonic_prost_build::configure().bytes(".").out_dir(folder).compile_fds(files)?;
    versions()
}

/// What the lock file says about the crates that are measured.
fn versions() -> Outcome {
    println!("cargo::rerun-if-changed={LOCK}");
    let lock = fs::read_to_string(LOCK)?;
    for name in ["async-nats", "tonic", "tarpc"] {
        let start = format!("[[package]]\nname = \"{name}\"\nversion = \"");
        let found = lock.split_once(&start).and_then(|(_, rest)| rest.split_once('"'));
        let version = found.map_or("unknown", |(version, _)| version);
        println!("cargo::rustc-env=VERSION_OF_{}={version}", name.replace('-', "_").to_uppercase());
    }
    Ok(())
}
