//! The dialogues of `docs/dialogues`: what peers of the three dialects say to a broker, and every frame that it
//! says. With `UPDATE_GOLDENS` set, what the broker says is written anew.

// A test may end at the first wrong assumption.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub)] // the fuzz targets use it, too
mod body;
mod stage;
#[path = "../vector_files/mod.rs"]
#[allow(dead_code)]
mod vector_files;

use std::fs;
use std::path::PathBuf;

use stage::Stage;
use vector_files::docs;

#[test]
fn the_broker_says_what_the_dialogues_have() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let files = files();
    assert!(files.len() >= 15, "{} dialogues", files.len());
    for path in files {
        let wanted = fs::read_to_string(&path).unwrap();
        let played = play(&wanted);
        if update {
            fs::write(&path, &played).unwrap();
        } else {
            assert_eq!(played, wanted, "{}; UPDATE_GOLDENS=1 writes it anew", path.display());
        }
    }
}

#[test]
fn each_dialogue_is_told_in_the_wire() {
    let wire = fs::read_to_string(docs().join("wire.md")).unwrap();
    for path in files() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(wire.contains(&format!("dialogues/{name}")), "wire.md does not name {name}");
    }
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(docs().join("dialogues")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The text with what the broker says now: lines `name < ..` are its own.
fn play(text: &str) -> String {
    let mut stage: Option<Stage> = None;
    let mut played = String::new();
    for line in text.lines() {
        if line.split_whitespace().nth(1) == Some("<") || line == "closed" {
            continue;
        }
        played.push_str(line);
        played.push('\n');
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        if let Some(settings) = line.strip_prefix("broker") {
            stage = Some(Stage::new(settings));
            continue;
        }
        let stage = stage.get_or_insert_with(|| Stage::new(""));
        stage.input(line);
        for said in stage.said() {
            played.push_str(&said);
            played.push('\n');
        }
    }
    if let Some(stage) = stage {
        stage.broker.audit().unwrap();
    }
    played
}
