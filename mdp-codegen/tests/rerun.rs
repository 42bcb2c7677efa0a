//! Cargo is told of exactly the files that were read.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::Project;

const CHILD: &str = "MDP_CODEGEN_TEST_RERUN";

/// What a build script prints, seen from outside: this test runs itself once more as the script.
fn lines(project: &Project, emit: bool) -> Vec<String> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, project.protos())
        .env("OUT_DIR", project.out())
        .env("EMIT", if emit { "yes" } else { "no" })
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert!(project.out().join("a.rs").is_file(), "the default is OUT_DIR");
    let text = String::from_utf8(child.stdout).unwrap();
    // The harness has begun a line of its own.
    let lines = text.lines().filter_map(|line| Some(&line[line.find("cargo:")?..]));
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn child() {
    let Some(protos) = std::env::var_os(CHILD) else { return };
    let protos = std::path::PathBuf::from(protos);
    let emit = std::env::var_os("EMIT").is_some_and(|emit| emit == "yes");
    let builder = mdp_codegen::configure();
    // `true` is the default and is left to it.
    let builder = if emit { builder } else { builder.emit_rerun_if_changed(false) };
    builder.compile_protos(&[protos.join("a.proto")], &[protos]).unwrap();
}

fn project() -> Project {
    Project::new(&[
        (
            "a.proto",
            "syntax = \"proto3\";\npackage a;\nimport \"deep/b.proto\";\n\
             import \"mdp/options.proto\";\nmessage A { b.B b = 1; }\n",
        ),
        (
            "deep/b.proto",
            "syntax = \"proto3\";\npackage b;\nimport \"c.proto\";\n\
             import \"google/protobuf/empty.proto\";\nmessage B { c.C c = 1; google.protobuf.Empty e = 2; }\n",
        ),
        ("c.proto", "syntax = \"proto3\";\npackage c;\nmessage C {}\n"),
        ("unread.proto", "syntax = \"proto3\";\npackage unread;\n"),
    ])
}

#[test]
fn each_file_that_was_read_and_no_other() {
    let project = project();
    let expected = ["a.proto", "c.proto", "deep/b.proto"]
        .map(|file| format!("cargo:rerun-if-changed={}", project.protos().join(file).display()));
    assert_eq!(lines(&project, true), expected);
}

#[test]
fn nothing_is_said_if_it_is_not_wanted() {
    assert_eq!(lines(&project(), false), [""; 0]);
}
