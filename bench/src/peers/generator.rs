//! How long the code generator takes for many methods, and prost's for the messages alone.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const SERVICES: usize = 20;
const METHODS: usize = 50;

/// Generates once each, and tells both times in seconds.
pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("many.proto");
    fs::write(&path, definition()?)?;
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    fs::create_dir(&ours)?;
    fs::create_dir(&theirs)?;
    let all = timed(|| {
        let builder = mdp_codegen::configure().out_dir(&ours).emit_rerun_if_changed(false);
        let done = builder.compile_protos(&[&path], &[folder.path()]);
        done.map_err(|error| anyhow::Error::msg(error.to_string()))
    })?;
    let messages = timed(|| {
        let files = protox::compile([&path], [folder.path()])?;
        prost_build::Config::new().out_dir(&theirs).compile_fds(files).context("prost's code")
    })?;
    println!("done {} {}", all.as_secs_f64(), messages.as_secs_f64());
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// 1,000 methods, each with a request of its own.
fn definition() -> Result<String> {
    let mut text = String::from("syntax = \"proto3\";\npackage many.v1;\n");
    writeln!(text, "message Reply {{ string text = 1; repeated uint64 numbers = 2; }}")?;
    for service in 0..SERVICES {
        let names = (0..METHODS).map(|method| format!("S{service}M{method}"));
        let names: Vec<String> = names.collect();
        for name in &names {
            writeln!(
                text,
                "message {name}Request {{ uint64 id = 1; string name = 2; bytes body = 3; }}"
            )?;
        }
        writeln!(text, "service Service{service} {{")?;
        for name in &names {
            writeln!(text, "  rpc {name}({name}Request) returns (Reply);")?;
        }
        writeln!(text, "}}")?;
    }
    Ok(text)
}
