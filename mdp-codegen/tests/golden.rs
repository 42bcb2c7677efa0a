//! The generated code, as it is: each `golden/*.proto` against its `.rs`, byte for byte.
//!
//! `UPDATE_GOLDENS=1 cargo test -p mdp-codegen --test golden` writes the `.rs` files anew.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Project, golden};
use mdp_codegen::Builder;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// `name` is both that of the file and of the package in it.
fn check(name: &str) {
    check_with(name, |builder| builder);
}

fn check_with(name: &str, settings: fn(Builder) -> Builder) {
    let project = Project::new(&[]);
    let proto = format!("{name}.proto");
    settings(project.builder()).compile_protos(&[&proto], &[folder()]).unwrap();
    golden(&format!("golden/{name}.rs"), &project.read(&format!("{name}.rs")));
}

#[test]
fn auth() {
    check("auth");
}

#[test]
fn keywords() {
    check("keywords");
}

#[test]
fn comments() {
    check("comments");
}

#[test]
fn options() {
    check("options");
}

#[test]
fn streams() {
    check("streams");
}

#[test]
fn handlers() {
    check_with("handlers", |builder| {
        builder.blocking("handlers.Handlers.Hash").detach("handlers.Handlers.Pay")
    });
}

#[test]
fn every_proto_has_a_test() {
    let mut names: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["auth", "comments", "handlers", "keywords", "options", "streams"]);
}
