//! `option (mdp.method)`, out of a file that is built in.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Project, golden};
use mdp_codegen::Error;

const BUILT_IN: &str = include_str!("../../proto/mdp/options.proto");

fn service(import: &str, methods: &str) -> String {
    format!(
        "syntax = \"proto3\";\npackage a;\nimport \"{import}\";\nmessage M {{}}\nservice S {{\n{methods}\n}}\n"
    )
}

const ALL: &str = "\
rpc Bare(M) returns (M);
rpc Timed(M) returns (M) { option (mdp.method).timeout_ms = 500; }
rpc Blocks(M) returns (M) { option (mdp.method) = { blocking: true }; }
rpc GoesOn(M) returns (M) { option (mdp.method).on_cancel = DETACH; }
rpc All(M) returns (M) {
  option deprecated = true;
  option (mdp.method) = { timeout_ms: 7 retry_attempts: 4 blocking: true on_cancel: DETACH };
}
rpc Default(stream M) returns (stream M) { option (mdp.method) = { on_cancel: CANCEL }; }";

/// Of each method the lines of its specification that an option has a say in, and whether it is a plain `fn`.
fn seen(project: &Project) -> Vec<String> {
    let code = project.read("a.rs").replace("::mdp_runtime::codegen::", "");
    let code = code.replace("::core::option::Option::", "");
    let specs = code.split("pub const ").filter(|part| part.contains("MethodSpec = MethodSpec {"));
    let value = |spec: &str, key: &str| {
        let (_, rest) = spec.split_once(key).unwrap();
        rest.split_once(",\n").unwrap().0.to_owned()
    };
    let dispatch = code.split_once("match method {").unwrap().1;
    specs
        .map(|spec| {
            let name = value(spec, "name: ");
            let constant = spec.split_once(':').unwrap().0;
            // Each method's constant stands once in the worker's dispatch, if it decodes anything.
            let arm =
                dispatch.split("self.inner").find(|arm| arm.contains(&format!("::{constant}")));
            let blocks = arm.is_some_and(|arm| arm.contains("blocking("));
            let blocks = if blocks { " blocking" } else { "" };
            let (timeout, on_cancel) = (value(spec, "timeout_ms: "), value(spec, "on_cancel: "));
            let retry = match value(spec, "retry_attempts: ") {
                none if none == "None" => String::new(),
                attempts => format!(" {attempts}"),
            };
            format!("{name} {timeout}{retry} {on_cancel}{blocks}")
        })
        .collect()
}

const ALL_SEEN: [&str; 6] = [
    "\"Bare\" None OnCancel::Cancel",
    "\"Timed\" Some(500u32) OnCancel::Cancel",
    "\"Blocks\" None OnCancel::Cancel blocking",
    "\"GoesOn\" None OnCancel::Detach",
    "\"All\" Some(7u32) Some(4u8) OnCancel::Detach blocking",
    "\"Default\" None OnCancel::Cancel",
];

#[test]
fn they_reach_the_code_and_their_file_makes_none() {
    let project = Project::new(&[("a.proto", &service("mdp/options.proto", ALL))]);
    project.compile(project.builder(), &["a.proto"]).unwrap();
    assert_eq!(seen(&project), ALL_SEEN);
    assert_eq!(project.code(), ["a.rs"]);
    let all = project.builder().include_file("all.rs").compile_well_known_types(true);
    project.compile(all, &["a.proto"]).unwrap();
    assert_eq!(project.code(), ["a.rs", "all.rs"]);
    assert!(!project.read("all.rs").contains("mdp"));
}

#[test]
fn the_builder_adds_to_them() {
    let project = Project::new(&[("a.proto", &service("mdp/options.proto", ALL))]);
    let builder = project.builder().blocking("a.S.Timed").detach("a.S.Bare").detach("All");
    project.compile(builder, &["a.proto"]).unwrap();
    let mut expected = ALL_SEEN.map(str::to_owned);
    expected[0] = "\"Bare\" None OnCancel::Detach".to_owned();
    expected[1] = "\"Timed\" Some(500u32) OnCancel::Cancel blocking".to_owned();
    assert_eq!(seen(&project), expected);
}

#[test]
fn a_method_that_is_made_of_another_file_has_its_own() {
    let one = "rpc One(M) returns (M) { option (mdp.method).timeout_ms = 1; }";
    let two = service("a.proto", "rpc Bare(M) returns (M);").replace("message M {}", "");
    let two = two.replace("service S", "service T");
    let files = [("a.proto", &*service("mdp/options.proto", one)), ("b.proto", &two)];
    let project = Project::new(&files);
    project.compile(project.builder(), &["b.proto"]).unwrap();
    assert_eq!(
        seen(&project),
        ["\"One\" Some(1u32) OnCancel::Cancel", "\"Bare\" None OnCancel::Cancel"]
    );
}

#[test]
fn who_asks_for_the_file_gets_its_messages() {
    let project = Project::new(&[("a.proto", &service("mdp/options.proto", ALL))]);
    project.compile(project.builder(), &["a.proto", "mdp/options.proto"]).unwrap();
    assert_eq!(project.code(), ["a.rs", "mdp.rs"]);
    assert!(project.read("mdp.rs").contains("pub struct MethodOptions"));
    assert_eq!(seen(&project), ALL_SEEN);
}

#[test]
fn a_copy_of_the_file_goes_before_it() {
    let newer = BUILT_IN.replace("bool blocking = 2;", "bool blocking = 2;\n  string newer = 99;");
    let all = ALL.replace("timeout_ms: 7", "timeout_ms: 7 newer: \"yes\"");
    let files = [("a.proto", &*service("mdp/options.proto", &all)), ("mdp/options.proto", &newer)];
    let project = Project::new(&files);
    project.compile(project.builder(), &["a.proto"]).unwrap();
    assert_eq!(seen(&project), ALL_SEEN);
    assert_eq!(project.code(), ["a.rs"]);
}

#[test]
fn another_file_of_that_name_is_not_taken_for_it() {
    let other = r#"syntax = "proto3";
package mdp;
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { Mine mine = 50735; }
message Mine { uint32 cost = 1; bool blocking = 2; }
"#;
    let method = "rpc Costs(M) returns (M) { option (mdp.mine) = { cost: 3 blocking: true }; }";
    let files = [("a.proto", &*service("mdp/options.proto", method)), ("mdp/options.proto", other)];
    let project = Project::new(&files);
    project.compile(project.builder(), &["a.proto"]).unwrap();
    assert_eq!(seen(&project), ["\"Costs\" None OnCancel::Cancel"]);
    assert_eq!(project.code(), ["a.rs", "mdp.rs"]);
}

fn error(files: &[(&str, &str)]) -> Error {
    let project = Project::new(files);
    let error = project.compile(project.builder(), &["a.proto"]).unwrap_err();
    assert_eq!(project.code(), [""; 0], "something was written");
    error
}

#[test]
fn nonsense_is_refused_with_its_place() {
    let newer = BUILT_IN.replace("DETACH = 1;", "DETACH = 1;\n PAUSE = 2;");
    let methods = "\
rpc Never(M) returns (M) { option (mdp.method).timeout_ms = 0; }
rpc Many(M) returns (stream M) { option (mdp.method).blocking = true; }
rpc Pauses(M) returns (M) { option (mdp.method).on_cancel = PAUSE; }
rpc Zero(M) returns (M) { option (mdp.method).retry_attempts = 0; }
rpc Endless(M) returns (M) { option (mdp.method).retry_attempts = 1000; }
rpc Again(stream M) returns (M) { option (mdp.method).retry_attempts = 2; }
rpc Fine(M) returns (M) { option (mdp.method) = { timeout_ms: 4294967295 retry_attempts: 100 }; }";
    let a = service("mdp/options.proto", methods);
    let error = error(&[("a.proto", &a), ("mdp/options.proto", &newer)]);
    golden("errors/method_options.txt", &format!("{error}\n"));
}

#[test]
fn what_the_option_does_not_know_is_refused() {
    for (wrong, said) in [
        (
            "timeout_ms: -1",
            "expected value to be an unsigned 32-bit integer, but the value -1 is out of range",
        ),
        (
            "timeout: 5",
            "field 'timeout' not found for message 'mdp.MethodOptions'; there are `timeout_ms`, `blocking`, \
             `on_cancel`, `retry_attempts`",
        ),
        ("on_cancel: SURVIVE", "SURVIVE"),
        ("blocking: 3", "expected"),
    ] {
        let method = format!("rpc Wrong(M) returns (M) {{ option (mdp.method) = {{ {wrong} }}; }}");
        let text = error(&[("a.proto", &service("mdp/options.proto", &method))]).to_string();
        assert!(text.contains("a.proto:6: ") && text.contains(said), "{wrong}: {text}");
    }
}

/// The set that is written has them.
#[test]
fn the_descriptors_keep_them() {
    let project = Project::new(&[("a.proto", &service("mdp/options.proto", ALL))]);
    let path = project.out().join("set.bin");
    let builder = project.builder().file_descriptor_set_path(&path);
    project.compile(builder, &["a.proto"]).unwrap();
    let pool = std::fs::read(path).unwrap();
    // The number of the option as a message, and 500 in it.
    let tag = [0xFA, 0xE2, 0x18, 0x03, 0x08, 0xF4, 0x03];
    assert!(pool.windows(tag.len()).any(|window| window == tag));
}
