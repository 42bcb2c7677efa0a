//! Makes the client and the worker of `proto/bench.proto`, tonic's for the same file, and the versions of those who
//! are measured, and of what measures.

use std::path::PathBuf;
use std::process::Command;
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
    versions()?;
    build()
}

/// The build: the commit, whether files differ from it, and how it is compiled.
fn build() -> Outcome {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
        Some(text.trim().to_string())
    };
    // A new commit, or a change of what is measured.
    let commits = git(&["rev-parse", "--git-path", "logs/HEAD"]).map(PathBuf::from);
    let crates = fs::read_dir("..")?.filter_map(|entry| Some(entry.ok()?.path()));
    let sources =
        crates.filter(|path| path.join("Cargo.toml").exists()).map(|path| path.join("src"));
    for path in sources.chain(commits).filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");
    let commit = git(&["describe", "--always", "--dirty", "--abbrev=12"]);
    let commit = commit.unwrap_or_else(|| "unknown commit".into());
    let profile = env::var("PROFILE")?;
    println!("cargo::rustc-env=BUILD={commit}, {profile}, opt-level {}", env::var("OPT_LEVEL")?);
    Ok(())
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
