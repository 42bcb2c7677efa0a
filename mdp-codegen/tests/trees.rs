//! Real trees of `.proto` files, against `prost-build` with protox alone. `.ci/trees FOLDER` runs it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prost_types::FileDescriptorSet;
use rustix::time::{ClockId, clock_gettime};

/// The median of so many rounds counts.
const ROUNDS: usize = 3;

#[test]
#[ignore = "needs trees: MDP_TREES names a folder, and each folder in it is the include folder of one tree"]
fn trees() {
    let folder = std::env::var_os("MDP_TREES").expect("MDP_TREES names the folder with the trees");
    let mut trees: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    trees.retain(|tree| tree.is_dir());
    trees.sort();
    assert!(!trees.is_empty(), "MDP_TREES has no folder in it");
    let mut failed = Vec::new();
    println!("| tree | files | services | time | over prost's | bytes | over prost's |");
    println!("|---|---|---|---|---|---|---|");
    for tree in &trees {
        let mut protos = Vec::new();
        find(tree, &mut protos);
        protos.sort();
        if let Err(error) = row(tree, &protos) {
            failed.push(format!("{}: {error}", tree.display()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn find(folder: &Path, protos: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, protos);
        } else if path.extension().is_some_and(|of| of == "proto") {
            protos.push(path);
        }
    }
}

fn row(tree: &Path, protos: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut lacking = None;
    for _ in 0..ROUNDS {
        ours.push(measure(|out| {
            let builder = mdp_codegen::configure().out_dir(out).emit_rerun_if_changed(false);
            Ok(builder.compile_protos(protos, &[tree])?)
        })?);
        match measure(|out| prost_alone(tree, protos, out)) {
            Ok(measured) => theirs.push(measured),
            Err(error) => lacking = Some(error.to_string()),
        }
    }
    let services = services(protos);
    let (time, bytes) = median(&mut ours);
    let name = tree.file_name().unwrap_or_default().to_string_lossy();
    let start = format!("| {name} | {} | {services} | {:.2} s", protos.len(), time.as_secs_f64());
    if let Some(error) = lacking {
        println!("{start} | - | {bytes} | - |\n  prost-build and protox alone: {error}");
        return Ok(());
    }
    let (their_time, their_bytes) = median(&mut theirs);
    #[expect(clippy::cast_precision_loss, reason = "a ratio with two digits")]
    let (times, sizes) =
        (time.as_secs_f64() / their_time.as_secs_f64(), bytes as f64 / their_bytes as f64);
    println!("{start} | {times:.2} | {bytes} | {sizes:.2} |");
    Ok(())
}

fn services(protos: &[PathBuf]) -> usize {
    let texts = protos.iter().map(|proto| fs::read_to_string(proto).unwrap_or_default());
    texts.map(|text| text.lines().filter(|line| line.starts_with("service ")).count()).sum()
}

fn median(measured: &mut [(Duration, u64)]) -> (Duration, u64) {
    measured.sort_unstable();
    measured.get(measured.len() / 2).copied().unwrap_or_default()
}

/// The processor time of this thread, and the bytes that were written.
fn measure(
    run: impl FnOnce(&Path) -> Result<(), Box<dyn Error>>,
) -> Result<(Duration, u64), Box<dyn Error>> {
    let out = tempfile::tempdir()?;
    let cpu_time = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let start = cpu_time();
    run(out.path())?;
    let time = cpu_time() - start;
    let files = fs::read_dir(out.path())?.map(|entry| entry.unwrap().metadata().unwrap().len());
    Ok((time, files.sum()))
}

/// What people write who want messages only.
fn prost_alone(tree: &Path, protos: &[PathBuf], out: &Path) -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new([tree])?;
    compiler.include_imports(true).include_source_info(true).open_files(protos)?;
    let set: FileDescriptorSet = compiler.file_descriptor_set();
    Ok(prost_build::Config::new().out_dir(out).compile_fds(set)?)
}
