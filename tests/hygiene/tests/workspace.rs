//! The checks hold for this workspace.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

use std::fs;

use test_hygiene::{arrows, circles, old_words, pages, parts, rules, sizes, words, workspace};

#[test]
fn no_arrow_points_up() {
    let root = workspace::root();
    let manifests = workspace::manifests(&root).unwrap();
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap().parse().unwrap();
    assert_eq!(arrows::faults(&manifests, &lock), [""; 0]);
}

#[test]
fn modules_do_not_need_each_other_in_a_circle() {
    assert_eq!(circles::faults(&sources(), circles::KNOWN), [""; 0]);
}

#[test]
fn words_stand_only_in_their_places() {
    assert_eq!(words::faults(&sources()), [""; 0]);
}

#[test]
fn old_words_have_not_come_back() {
    assert_eq!(old_words::faults(&sources()), [""; 0]);
    let pages = workspace::pages(&workspace::root()).unwrap();
    assert_eq!(old_words::faults(&pages), [""; 0]);
}

#[test]
fn no_source_file_is_too_long() {
    assert_eq!(sizes::faults(&sources(), sizes::LONGER), [""; 0]);
}

#[test]
fn the_parts_of_the_core_have_private_fields() {
    assert_eq!(parts::faults(&sources(), parts::VALUES), [""; 0]);
}

#[test]
fn each_rule_that_is_cited_exists() {
    let paper = fs::read_to_string(workspace::root().join("docs/wire.md")).unwrap();
    assert_eq!(rules::faults(&paper, &sources()), [""; 0]);
}

#[test]
fn lines_of_pages_end_and_links_lead_to_files() {
    let root = workspace::root();
    let pages = workspace::pages(&root).unwrap();
    assert_eq!(pages::long_lines(&pages), [""; 0]);
    assert_eq!(pages::dead_links(&pages, |path| root.join(path).exists()), [""; 0]);
    assert_eq!(pages::unlisted(&pages), [""; 0]);
    for path in ["README.md", "docs/wire.md", "examples/auth/README.md"] {
        assert!(pages.iter().any(|page| page.path == path), "{path} is not looked at");
    }
}

#[test]
fn the_checks_look_at_what_is_there() {
    let sources = sources();
    let floors = ["transport", "call", "broker", "patterns", "runtime", "protocol", "zmtp"];
    for floor in floors.map(|floor| format!("mdp-{floor}/src/lib.rs")) {
        assert!(sources.iter().any(|source| source.path == floor), "{floor} is not looked at");
    }
    let own = "tests/hygiene/src/lib.rs";
    assert!(sources.iter().any(|source| source.path == own), "{own} is not looked at");
    let names: Vec<String> = workspace::manifests(&workspace::root())
        .unwrap()
        .iter()
        .filter_map(|manifest| Some(manifest.get("package")?.get("name")?.as_str()?.to_string()))
        .collect();
    for name in ["mdp-protocol", "mdp-runtime", "mdp-codegen", "mdp-cli", "test-hygiene"] {
        assert!(names.iter().any(|other| other == name), "{name} is not looked at: {names:?}");
    }
}

/// The corpus is seeds: what is found beside them is found again within minutes.
#[test]
fn the_fuzz_corpus_is_small() {
    let folders = fs::read_dir(workspace::root().join("fuzz/corpus")).unwrap();
    let files = |folder: fs::DirEntry| fs::read_dir(folder.path()).unwrap().count();
    let files: Vec<usize> = folders.map(|folder| files(folder.unwrap())).collect();
    let all: usize = files.iter().sum();
    assert!((1..=110).contains(&all) && !files.contains(&0), "{files:?}");
}

fn sources() -> Vec<workspace::Source> {
    workspace::sources(&workspace::root()).unwrap()
}
