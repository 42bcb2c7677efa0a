//! What a crate that declares all in Rust makes cargo compile.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// The names of all packages that building the package needs.
fn needed_by(package: &str) -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "no-dev", "--prefix", "none", "--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn attributes_need_no_compiler_of_proto_files() {
    let needed = needed_by("test-renamed");
    let has = |needed: &[String], name: &str| needed.iter().any(|other| other == name);
    for name in ["mdp-macros", "mdp-codegen", "syn"] {
        assert!(
            has(&needed, name),
            "{name} is needed, so the list is not the right one: {needed:?}"
        );
    }
    for name in ["protox", "protox-parse", "prost-build", "prost-reflect"] {
        assert!(!has(&needed, name), "{name} is compiled for a crate that has no .proto file");
        // The same words, where they are true.
        assert!(has(&needed_by("test-generated"), name), "{name} is not found where it is needed");
    }
}
