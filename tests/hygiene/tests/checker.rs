//! Each check fails where it is to fail, shown on made-up workspaces.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

use test_hygiene::workspace::Source;
use test_hygiene::{arrows, circles, old_words, pages, parts, rules, sizes, strip, words};
use toml::Table;

const WORKSPACE: &str = r#"
    [workspace]
    members = ["a"]
    [workspace.dependencies]
    mdp-protocol = { path = "mdp-protocol" }
    mdp-codegen = { path = "mdp-codegen" }
    lean-codegen = { package = "mdp-codegen", path = "mdp-codegen", default-features = false }
    tokio = "1"
"#;

/// The faults of a workspace with one member and an empty lock file.
fn arrows_of(package: &str, rest: &str) -> Vec<String> {
    arrows_with(package, rest, "")
}

fn arrows_with(package: &str, rest: &str, lock: &str) -> Vec<String> {
    let member = format!("[package]\nname = \"{package}\"\n{rest}");
    let manifests: Vec<Table> = [WORKSPACE, &member].map(|text| text.parse().unwrap()).into();
    arrows::faults(&manifests, &lock.parse().unwrap())
}

#[test]
fn good_arrows_are_no_fault() {
    let none = [""; 0];
    assert_eq!(arrows_of("mdp-protocol", "[dependencies]\nhashbrown = \"0.16\""), none);
    assert_eq!(arrows_of("mdp-runtime", "[dependencies]\nmdp-protocol.workspace = true"), none);
    assert_eq!(arrows_of("mdp-codegen", "[dependencies]\nsyn = \"2\""), none);
    assert_eq!(arrows_of("example-a", "[build-dependencies]\nmdp-codegen.workspace = true"), none);
    assert_eq!(arrows_of("mdp-cli", "[dependencies]\nmdp-runtime = { path = \"..\" }"), none);
}

#[test]
fn the_core_depends_on_no_socket_no_task_and_no_sibling() {
    for package in ["zmq", "zmq-sys", "tokio", "mdp-codegen", "mdp-runtime", "mdp-new"] {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let faults = arrows_of("mdp-protocol", &format!("[{section}]\n{package} = \"1\""));
            assert_eq!(
                faults.first().unwrap(),
                &format!("mdp-protocol must not depend on {package} ([{section}])")
            );
        }
    }
}

#[test]
fn an_arrow_is_seen_behind_another_name_a_target_and_a_table() {
    let renamed = "[dependencies]\nsockets = { package = \"zmq\", version = \"0.10\" }";
    let target = "[target.'cfg(unix)'.dependencies]\ntokio.workspace = true";
    let table = "[dependencies.zmq]\nversion = \"0.10\"";
    for manifest in [renamed, target, table] {
        assert!(!arrows_of("mdp-protocol", manifest).is_empty(), "{manifest}");
    }
}

#[test]
fn runtime_and_codegen_never_meet() {
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let codegen = format!("[{section}]\nmdp-codegen.workspace = true");
        assert_eq!(arrows_of("mdp-runtime", &codegen).len(), 1, "{section}");
        for package in ["mdp-runtime", "zmq", "tokio"] {
            let manifest = format!("[{section}]\n{package} = \"1\"");
            assert!(!arrows_of("mdp-codegen", &manifest).is_empty(), "{package} in {section}");
        }
    }
}

#[test]
fn the_runtime_takes_macros_only_as_an_option() {
    let optional = "[dependencies]\nmdp-macros = { path = \"..\", optional = true }";
    let always = "[dependencies]\nmdp-macros = { path = \"..\" }";
    // What a macro needs is in no program; what stands beside it is.
    let lock = r#"
        [[package]]
        name = "mdp-macros"
        dependencies = ["mdp-codegen"]
        [[package]]
        name = "mdp-codegen"
        dependencies = ["protox"]
        [[package]]
        name = "other"
        dependencies = ["protox"]
    "#;
    assert_eq!(arrows_with("mdp-runtime", optional, lock), [""; 0]);
    assert_eq!(
        arrows_with("mdp-runtime", always, lock),
        ["mdp-runtime may depend on mdp-macros only if it is optional ([dependencies])"]
    );
    let beside = format!("{optional}\nother = \"1\"");
    assert_eq!(
        arrows_with("mdp-runtime", &beside, lock),
        ["mdp-runtime must not need protox, and does through other"]
    );
}

/// The examples in the documentation of a floor are written as users write them.
#[test]
fn a_floor_knows_the_runtime_in_its_examples_only() {
    let examples = "[dev-dependencies]\nmdp-runtime.workspace = true";
    let code = "[dependencies]\nmdp-runtime.workspace = true";
    for floor in ["mdp-transport", "mdp-call", "mdp-broker", "mdp-patterns"] {
        assert_eq!(arrows_of(floor, examples), [""; 0]);
        let fault = format!("{floor} must not depend on mdp-runtime ([dependencies])");
        assert_eq!(arrows_of(floor, code), [fault]);
        let other = "[dev-dependencies]\nmdp-codegen.workspace = true";
        assert_eq!(arrows_of(floor, other).len(), 1);
    }
    // What only the tests of a floor need is not needed by what stands on it.
    let floor = "[package]\nname = \"mdp-transport\"\n[dev-dependencies]\nmdp-runtime = \"1\"";
    let upper = "[package]\nname = \"mdp-runtime\"\n[dependencies]\nmdp-transport = \"1\"";
    let lock = r#"
        [[package]]
        name = "mdp-transport"
        dependencies = ["mdp-runtime"]
        [[package]]
        name = "mdp-runtime"
        dependencies = ["protox"]
    "#;
    let manifests: Vec<Table> = [WORKSPACE, floor, upper].map(|text| text.parse().unwrap()).into();
    assert_eq!(arrows::faults(&manifests, &lock.parse().unwrap()), [""; 0]);
}

#[test]
fn macros_take_codegen_without_its_front_end() {
    let plain = "[dependencies]\nmdp-codegen = { path = \"..\", default-features = false }";
    let inherited = "[dependencies]\nlean-codegen.workspace = true";
    for manifest in [plain, inherited] {
        assert_eq!(arrows_of("mdp-macros", manifest), [""; 0], "{manifest}");
    }
    let bad = [
        "mdp-codegen = { path = \"..\" }",
        "mdp-codegen = \"1\"",
        "mdp-codegen.workspace = true",
        // Cargo does not let a member switch off what the workspace left on.
        "mdp-codegen = { workspace = true, default-features = false }",
        "mdp-codegen = { path = \"..\", default-features = false, features = [\"proto\"] }",
        "lean-codegen = { workspace = true, default-features = true }",
        "lean-codegen = { workspace = true, features = [\"proto\"] }",
    ];
    for line in bad {
        let faults = arrows_of("mdp-macros", &format!("[dependencies]\n{line}"));
        assert!(faults.iter().any(|fault| fault.contains("default-features = false")), "{line}");
    }
}

#[test]
fn nothing_depends_on_what_stands_on_top() {
    for package in ["mdp-cli", "example-auth", "test-generated", "bench-relay"] {
        for member in ["mdp-runtime", "mdp-cli", "example-b"] {
            let faults = arrows_of(member, &format!("[dev-dependencies]\n{package} = \"1\""));
            assert_eq!(faults.len(), 1, "{member} on {package}");
        }
    }
}

#[test]
fn what_others_bring_in_counts_too() {
    let lock = r#"
        [[package]]
        name = "hashbrown"
        dependencies = ["ahash"]
        [[package]]
        name = "ahash"
        dependencies = ["getrandom 0.3.1"]
        [[package]]
        name = "getrandom"
    "#;
    let faults = arrows_with("mdp-protocol", "[dependencies]\nhashbrown = \"1\"", lock);
    assert_eq!(faults, ["mdp-protocol must not need getrandom, and does through ahash"]);
    let in_tests = arrows_with("mdp-protocol", "[dev-dependencies]\nhashbrown = \"1\"", lock);
    assert_eq!(in_tests, [""; 0]);
}

fn words_of(path: &str, text: &str) -> Vec<String> {
    words::faults(&[Source { path: path.into(), text: text.into() }])
}

#[test]
fn the_core_reads_no_clock() {
    let path = "mdp-protocol/src/broker/mod.rs";
    for line in [
        "use std::time::Duration;",
        "let now = Instant::now();",
        "fn f(at: SystemTime) {}",
        "use std::net::TcpStream;",
        "let n = rand::random();",
        "thread_rng()",
        "use std::collections::hash_map::RandomState;",
        "let context = zmq::Context::new();",
    ] {
        assert_eq!(words_of(path, line).len(), 1, "{line}");
        // Where all of them may stand.
        let elsewhere = "mdp-transport/src/libzmq/context.rs";
        assert_eq!(words_of(elsewhere, line), [""; 0], "{line}");
    }
    for line in ["// std::time", "/// An Instant", "\"rand\"", "let operand = instant;", "mod rng;"]
    {
        assert_eq!(words_of(path, line), [""; 0], "{line}");
    }
    let found = words_of(path, "\n\nuse std::time::Duration;\n");
    assert!(found.first().unwrap().starts_with("mdp-protocol/src/broker/mod.rs:3: `std::time`"));
}

#[test]
fn the_core_is_no_std() {
    let path = "mdp-protocol/src/lib.rs";
    assert_eq!(words_of(path, "#![no_std]\n"), [""; 0]);
    for text in ["", "// #![no_std]\n", "#![cfg_attr(not(test), no_std)]\n"] {
        assert_eq!(words_of(path, text).len(), 1, "{text:?}");
    }
}

#[test]
fn parts_of_the_core_have_private_fields() {
    let faults = |path: &str, text: &str, values: &[&str]| {
        parts::faults(&[Source { path: path.into(), text: text.into() }], values)
    };
    let path = "mdp-protocol/src/broker/calls/mod.rs";
    let part = "pub(super) struct Call<P> {\n    owner: Key,\n    pub(super) place: Place,\n}\n";
    let found = faults(path, part, &[]);
    assert_eq!(found, ["mdp-protocol/src/broker/calls/mod.rs:3: a field of `Call` is not private"]);
    assert_eq!(faults(path, part, &["Call"]), [""; 0]);
    assert_eq!(faults("mdp-protocol/src/slab.rs", part, &[]), [""; 0]);
    let closed = "pub struct Call {\n    pub place: Place,\n}\nimpl Call {\n    pub(super) fn at(n: u8) {}\n}\n";
    assert_eq!(faults(path, closed, &[]), [""; 0]);
    assert_eq!(faults(path, closed, &["Call"]).len(), 1);
}

#[test]
fn prost_stays_behind_its_seam() {
    let line = "use prost::Message;";
    for path in ["mdp-call/src/codec.rs", "mdp-runtime/src/codegen.rs", "mdp-codegen/src/a.rs"] {
        assert_eq!(words_of(path, line), [""; 0], "{path}");
    }
    for path in ["mdp-call/src/status.rs", "mdp-runtime/src/error.rs", "mdp-broker/src/error.rs"] {
        assert_eq!(words_of(path, line).len(), 1, "{path}");
    }
    assert_eq!(words_of("mdp-call/src/status.rs", "let prost_like = 1;"), [""; 0]);
}

#[test]
fn the_generators_model_is_for_any_language() {
    let lines = [
        "use syn::Type;",
        "pub ident: proc_macro2::Ident,",
        "use quote::quote;",
        "extern crate syn;",
    ];
    for line in lines {
        for path in ["model/mod.rs", "model/service.rs", "model.rs", "check.rs", "check/names.rs"] {
            assert!(
                !words_of(&format!("mdp-codegen/src/{path}"), line).is_empty(),
                "{path}: {line}"
            );
        }
        for path in ["errors.rs", "generator.rs", "proto/lower.rs"] {
            assert!(
                !words_of(&format!("mdp-codegen/src/{path}"), line).is_empty(),
                "{path}: {line}"
            );
        }
        for path in ["mdp-codegen/src/emit/binding.rs", "mdp-macros/src/service/lower.rs"] {
            assert_eq!(words_of(path, line), [""; 0], "{path}: {line}");
        }
    }
    // A type of Rust's syntax is not reached through another module either.
    let line = "use crate::emit::RustService;";
    assert_eq!(words_of("mdp-codegen/src/model/file.rs", line).len(), 1);
    assert_eq!(words_of("mdp-codegen/src/check.rs", line).len(), 1);
    assert_eq!(words_of("mdp-codegen/src/proto/builder.rs", line), [""; 0]);
    assert_eq!(
        words_of("mdp-codegen/src/model/file.rs", "/// A type of `syn`.\nlet syntax = 1;"),
        [""; 0]
    );
}

#[test]
fn libzmq_stays_behind_its_seam() {
    let lines = [
        "use zmq::Socket;",
        "fn f() -> zmq::Result<()> {}",
        "let n = zmq_sys::zmq_errno();",
        "extern crate zmq;",
    ];
    for line in lines {
        for path in ["mdp-runtime/src/peer.rs", "mdp-broker/src/lib.rs", "mdp-transport/src/lib.rs"]
        {
            assert_eq!(words_of(path, line).len(), 1, "{path}: {line}");
        }
        // Foreign peers of tests are sockets of libzmq.
        for path in ["mdp-transport/src/libzmq/router.rs", "mdp-runtime/tests/plain/a.rs"] {
            assert_eq!(words_of(path, line), [""; 0], "{path}: {line}");
        }
    }
    for line in ["/// What zmq says.", "// zmq::Error", "\"zmq\"", "mod libzmq;"] {
        assert_eq!(words_of("mdp-runtime/src/error.rs", line), [""; 0], "{line}");
    }
}

#[test]
fn panics_are_caught_and_threads_started_in_one_place() {
    for line in ["catch_unwind(f)", "resume_unwind(e)", "thread::Builder::new()"] {
        assert_eq!(words_of("mdp-transport/src/ends.rs", line), [""; 0]);
        for floor in ["transport", "call", "broker", "patterns", "runtime", "cli"] {
            let path = format!("mdp-{floor}/src/a.rs");
            assert_eq!(words_of(&path, line).len(), 1, "{path}: {line}");
        }
    }
}

#[test]
fn unsafe_code_has_one_place() {
    let line = "unsafe { f() }";
    assert_eq!(words_of("mdp-transport/src/libzmq/frame.rs", line), [""; 0]);
    for path in ["mdp-protocol/src/a.rs", "mdp-runtime/tests/a.rs", "examples/a/src/main.rs"] {
        assert_eq!(words_of(path, line).len(), 1, "{path}");
    }
    assert_eq!(words_of("mdp-protocol/src/a.rs", "#![forbid(unsafe_code)]"), [""; 0]);
}

#[test]
fn comments_and_texts_are_no_code() {
    // What is to go stands between `‹` and `›`.
    let cases = [
        "a ‹// unsafe›\nb",
        "a ‹/* x /* y */ z */› b",
        "a ‹/* x\n y */› b",
        "f(‹\"un\\\"safe\"›) g",
        "f(‹\"a // b\"›) g",
        "‹r#\"a\" unsafe\"#› g",
        "‹b\"x\"› ‹br##\"y\"# \"##› ‹c\"z\"› g",
        "‹'\"'› unsafe ‹'\\''› b‹'x'› g",
        "‹'\\u{e9}'› ‹'é'› g",
        "r#type <'a> &'static str g",
        "for ‹\"x\"› in bar",
    ];
    for case in cases {
        let (mut source, mut expected, mut goes) = (String::new(), String::new(), false);
        for c in case.chars() {
            match c {
                '‹' => goes = true,
                '›' => goes = false,
                _ => {
                    source.push(c);
                    expected.push(if goes && c != '\n' { ' ' } else { c });
                }
            }
        }
        assert_eq!(strip::code(&source), expected, "{source}");
    }
}

#[test]
fn a_long_file_is_a_fault_and_its_exception_only_falls() {
    let source = |path: &str, lines: usize| Source { path: path.into(), text: "\n".repeat(lines) };
    let none = [""; 0];
    assert_eq!(sizes::faults(&[source("a.rs", 700)], &[]), none);
    assert_eq!(sizes::faults(&[source("a.rs", 701)], &[]), ["a.rs has 701 lines; 700 are allowed"]);
    assert_eq!(sizes::faults(&[source("x/golden/a.rs", 9_000)], &[]), none);
    let longer = [("a.rs", 800)];
    assert_eq!(sizes::faults(&[source("a.rs", 800)], &longer), none);
    assert_eq!(sizes::faults(&[source("a.rs", 801)], &longer).len(), 1);
    assert_eq!(
        sizes::faults(&[source("a.rs", 799)], &longer),
        ["a.rs has 799 lines: lower its exception of 800"]
    );
    assert_eq!(sizes::faults(&[], &longer).len(), 1);
}

#[test]
fn a_rule_that_is_cited_exists() {
    let paper = "**R1.** One, see R2.\n**R2.** Two (R1).\n";
    let source = |text: &str| [Source { path: "a.rs".into(), text: text.into() }];
    let none = [""; 0];
    assert_eq!(rules::faults(paper, &source("// wire.md R2: so")), none);
    assert_eq!(rules::faults(paper, &source("// wire.md R3")), ["a.rs: wire.md has no R3"]);
    let lost = format!("{paper}As (R12) says.");
    assert_eq!(rules::faults(&lost, &[]), ["wire.md cites R12, which it does not have"]);
    assert_eq!(rules::faults("", &[]).len(), 1);
}

#[test]
fn an_old_word_does_not_come_back() {
    let faults = |path: &str, text: &str| old_words::faults(&[page(path, text)]);
    let fault = |path: &str, word: &str, say: &str| [format!("{path}:2: `{word}`: say {say}")];
    for line in
        ["struct Seat;", "fn take_seat() {}", "/// The Seat of a driver.", "//! See `seat`."]
    {
        assert_eq!(
            faults("a.rs", &format!("\n{line}")),
            fault("a.rs", "seat", "hand-off"),
            "{line}"
        );
    }
    for line in ["`NobodyListens` is an error.", "nobody_listens"] {
        let text = format!("\n{line}");
        assert_eq!(faults("a.md", &text), fault("a.md", "nobody_listens", "send error"), "{line}");
    }
    // A word that may be part of another name.
    assert_eq!(faults("a.rs", "\nmod by_key;"), fault("a.rs", "by_key", "secondary map"));
    assert_eq!(faults("a.rs", "\n/// A `ByKey`."), fault("a.rs", "by_key", "secondary map"));
    for good in [
        "list.sort_by_key(first);",
        "fn judges_requests() {}",
        "let it = \"a seat\";",
        "mod seats;",
    ] {
        assert_eq!(faults("a.rs", good), [""; 0], "{good}");
    }
    for path in ["CHANGELOG.md", "tests/hygiene/src/a.rs"] {
        assert_eq!(faults(path, "seat"), [""; 0], "{path}");
    }
}

fn page(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.into() }
}

#[test]
fn a_line_of_a_page_ends_unless_it_cannot() {
    let (word, words) = ("x".repeat(121), "word ".repeat(25));
    let link = format!("[a link](https://example.org/{word})");
    let row = format!("| {words} |");
    for whole in [&row, &word, &link, &format!("- {link}."), &format!("  {row}")] {
        assert_eq!(pages::long_lines(&[page("a.md", whole)]), [""; 0], "{whole}");
    }
    assert_eq!(pages::long_lines(&[page("a.md", &"é".repeat(120))]), [""; 0]);
    for long in [&words, &format!("- {words}"), &format!("see {link}")] {
        let faults = pages::long_lines(&[page("a.md", &format!("one\n{long}"))]);
        assert_eq!(faults.len(), 1, "{long}");
        assert!(faults.iter().all(|fault| fault.starts_with("a.md:2 has ")), "{faults:?}");
    }
}

#[test]
fn a_link_leads_to_a_file_and_a_heading() {
    let exists = |path: &str| ["README.md", "docs/b.txt"].contains(&path);
    let b = page("docs/b.md", "# The `b`, part 1\n```sh\n# no heading\n```\n");
    let good = "# Here\n[r](../README.md), [b](b.md#the-b-part-1) and [here](#here), [t](b.txt#x)\n\
                [away](https://a.org/x.md)\n```text\n[no](link.md)\n```\n`[no](link.md)`";
    assert_eq!(pages::dead_links(&[page("docs/a.md", good), b.clone()], exists), [""; 0]);
    let bad = "[b](../b.md), [c](c.md#part), [b](b.md#no-heading) and [here](#there)";
    let faults = pages::dead_links(&[page("docs/a.md", bad), b], exists);
    let targets = ["../b.md", "c.md#part", "b.md#no-heading", "#there"];
    assert_eq!(faults, targets.map(|target| format!("docs/a.md: {target} leads nowhere")));
}

#[test]
fn the_guide_lists_its_pages() {
    let summary = page("docs/SUMMARY.md", "- [A](a.md)\n");
    let pages = [summary.clone(), page("docs/a.md", ""), page("README.md", "")];
    assert_eq!(pages::unlisted(&pages), [""; 0]);
    let pages = [summary, page("docs/b.md", "")];
    assert_eq!(pages::unlisted(&pages), ["docs/b.md is not in docs/SUMMARY.md"]);
    assert_eq!(pages::unlisted(&[]).len(), 1);
}

#[test]
fn a_circle_of_modules_is_a_fault_and_a_known_one_only_shrinks() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let circle = [
        source("mdp-a/src/lib.rs", "mod one; use crate::one::X;"),
        source("mdp-a/src/one.rs", "use crate::{two::{self, Y}, three};"),
        source("mdp-a/src/two/deep.rs", "fn f() { crate::three::g() }"),
        source("mdp-a/src/three.rs", "// crate::two\nuse crate::one;\n"),
    ];
    let found = circles::faults(&circle, &[]);
    assert_eq!(found, ["mdp-a: these modules need each other in a circle: one, three, two"]);
    assert_eq!(circles::faults(&circle, &[("mdp-a", &["one", "three", "two"])]), [""; 0]);
    // What only a test or another crate needs, and a parent with its child, are no circle.
    let good = [
        source("mdp-a/src/one.rs", "use crate::two;\nuse $crate::three;"),
        source(
            "mdp-a/src/two.rs",
            "mod deep;\n#[cfg(test)]\nmod tests {\n    use crate::one;\n}\n",
        ),
        source("mdp-a/src/two/deep.rs", "use crate::two::X; use super::Y;"),
        source("mdp-a/src/three.rs", "use crate::one;"),
        source("tests/a/src/two.rs", "use crate::one;"),
    ];
    assert_eq!(circles::faults(&good, &[]), [""; 0]);
    let gone = circles::faults(&good, &[("mdp-a", &["one", "two"])]);
    assert_eq!(gone, ["mdp-a: take this circle from the list: one, two"]);
}
