//! What a crate compiles of the runtime that wants neither the broker nor the patterns.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

use test_hygiene::workspace;

/// The packages that a program has in it which depends on the runtime with these features alone. What a procedural macro
/// needs runs in the compiler, and what a build script needs there, so both are left out.
fn programs_have(features: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "mdp-runtime", "--prefix", "none"])
        .args(["--edges", "normal,no-proc-macro", "--no-default-features"])
        .args(["--features", &features.join(",")])
        .current_dir(workspace::root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

const BROKERS: &[&str] = &["mdp-broker", "serde_json", "toml"];
const PATTERNS: &[&str] = &["mdp-patterns"];
const LIBZMQ: &[&str] = &["zmq", "zmq-sys"];

#[test]
fn a_client_without_the_broker_compiles_nothing_of_it() {
    let alone = ["toml_edit", "toml_datetime", "serde", "tempfile"];
    for features in [&[][..], &["macros"]] {
        let found = programs_have(features);
        for name in ["mdp-transport", "mdp-call", "mdp-protocol", "mdp-zmtp", "tokio", "prost"] {
            assert!(found.contains(name), "{name} is needed, so the list is not right: {found:?}");
        }
        for name in [BROKERS, PATTERNS, LIBZMQ, &alone].concat() {
            assert!(!found.contains(name), "{name} is compiled with {features:?} alone");
        }
    }
}

/// The same words, where they are true.
#[test]
fn each_feature_brings_its_own_and_not_the_others() {
    for (feature, own, others) in [
        ("broker", BROKERS, [PATTERNS, LIBZMQ]),
        ("patterns", PATTERNS, [BROKERS, LIBZMQ]),
        ("zmq", LIBZMQ, [BROKERS, PATTERNS]),
    ] {
        let found = programs_have(&["macros", feature]);
        for name in own {
            assert!(found.contains(*name), "{name} is not compiled with {feature}");
        }
        for name in others.concat() {
            assert!(!found.contains(name), "{name} is compiled with {feature}");
        }
        assert!(!found.contains("tempfile"), "tempfile is compiled with {feature}");
    }
}
