//! Names that are different in protobuf and the same in Rust, and packages by their names.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::Project;

#[track_caller]
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let project = Project::new(files);
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    let error = project.compile(project.builder(), &names).unwrap_err();
    assert_eq!(project.files(), [""; 0], "something was written");
    error.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn values_of_enums() {
    let proto = "syntax = \"proto2\";\npackage a;\nenum Level {\n  LEVEL_HIGH = 0;\n  HIGH = 1;\n}\n\
                 enum Other {\n  X_Y = 0;\n  XY = 1;\n  xY = 2;\n}\n";
    assert_eq!(
        problems(&[("a.proto", proto)]),
        [
            "a.proto:5: value `HIGH` of enum `a.Level` is `High` in Rust, as is value `LEVEL_HIGH` of enum `a.Level` \
             (a.proto:4); rename one of them, or set `retain_enum_prefix`",
            "a.proto:10: value `xY` of enum `a.Other` is `XY` in Rust, as is value `X_Y` of enum `a.Other` (a.proto:8); \
             rename one of them",
        ]
    );
    let level =
        "syntax = \"proto2\";\npackage a;\nenum Level {\n  LEVEL_HIGH = 0;\n  HIGH = 1;\n}\n";
    let project = Project::new(&[("a.proto", level)]);
    project.compile(project.builder().retain_enum_prefix(true), &["a.proto"]).unwrap();
    let code = project.read("a.rs");
    assert!(code.contains("LevelHigh = 0") && code.contains("    High = 1"), "{code}");
}

#[test]
fn types_fields_and_oneofs() {
    let proto = "syntax = \"proto3\";\npackage a;\n\
        message HTTPRequest {}\n\
        message HttpRequest {}\n\
        enum FB { ZERO = 0; }\n\
        enum Fb { NULL = 0; }\n\
        message M {\n\
        \x20 string foo_bar = 1; string FooBar = 2;\n\
        \x20 string kind = 3;\n\
        \x20 oneof Kind { string one = 4; string One = 5; }\n\
        }\n\
        message Outer { message AB {} message Ab {} }\n\
        message OutEr { message X {} }\n";
    assert_eq!(
        problems(&[("a.proto", proto)]),
        [
            "a.proto:4: message `a.HttpRequest` is `HttpRequest` in Rust, as is message `a.HTTPRequest` (a.proto:3); \
             rename one of them",
            "a.proto:6: enum `a.Fb` is `Fb` in Rust, as is enum `a.FB` (a.proto:5); rename one of them",
            "a.proto:8: field `FooBar` of message `a.M` is `foo_bar` in Rust, as is field `foo_bar` of message `a.M` \
             (a.proto:8); rename one of them",
            "a.proto:10: field `One` of message `a.M` is `One` in Rust, as is field `one` of message `a.M` (a.proto:10); \
             rename one of them",
            "a.proto:10: oneof `Kind` of message `a.M` is `kind` in Rust, as is field `kind` of message `a.M` \
             (a.proto:9); rename one of them",
            "a.proto:12: message `a.Outer.Ab` is `Ab` in Rust, as is message `a.Outer.AB` (a.proto:12); rename one of \
             them",
        ]
    );
}

#[test]
fn what_is_not_generated_does_not_clash() {
    let proto =
        "syntax = \"proto3\";\npackage a;\nmessage HTTPRequest {}\nmessage HttpRequest {}\n";
    let project = Project::new(&[("a.proto", proto)]);
    let mut config = mdp_codegen::prost_build::Config::new();
    config.extern_path(".a.HttpRequest", "crate::Request");
    project.builder().compile_with_config(config, &["a.proto"], &[project.protos()]).unwrap();
    let builder = project.builder().extern_path(".a.HTTPRequest", "crate::Request");
    project.compile(builder, &["a.proto"]).unwrap();
}

#[test]
fn the_module_of_a_message_and_of_a_package() {
    let foo = "syntax = \"proto3\";\npackage foo;\nimport \"bar.proto\";\n\
               message Bar {\n  oneof kind { foo.bar.Z z = 1; }\n}\n";
    let bar = "syntax = \"proto3\";\npackage foo.bar;\nmessage Z {}\n";
    let expected = [
        "foo.proto:4: the module for the types inside of message `foo.Bar` is `bar` in Rust, as is the module for \
         package `foo.bar` (bar.proto); rename one of them",
    ];
    assert_eq!(problems(&[("foo.proto", foo), ("bar.proto", bar)]), expected);

    // Two packages that do not know each other can be included in two places.
    let foo =
        "syntax = \"proto3\";\npackage foo;\nmessage Bar {\n\n  oneof kind { string z = 1; }\n}\n";
    let project = Project::new(&[("foo.proto", foo), ("bar.proto", bar)]);
    let both = ["foo.proto", "bar.proto"];
    project.compile(project.builder(), &both).unwrap();
    let error = project.compile(project.builder().include_file("all.rs"), &both).unwrap_err();
    assert_eq!(error.problems()[0].to_string(), expected[0].replace("foo.proto:4", "foo.proto:3"));
}

#[test]
fn two_packages_of_one_file() {
    let a = "syntax = \"proto3\";\npackage shop.v1;\nmessage A {}\n";
    let b = "syntax = \"proto3\";\npackage Shop.V1;\nmessage B {}\n";
    assert_eq!(
        problems(&[("a.proto", a), ("b.proto", b)]),
        [
            "b.proto: the code of package `Shop.V1` comes into the file shop.v1.rs, as does that of package `shop.v1` \
             (a.proto); rename one of them"
        ]
    );
}

#[test]
fn each_package_has_a_file_with_its_name() {
    for (package, own, file) in [
        ("shop.type.v1", "shop.type.v1.rs", "shop.r#type.v1.rs"),
        ("Shop.V1", "Shop.V1.rs", "shop.v1.rs"),
        ("myShop", "myShop.rs", "my_shop.rs"),
    ] {
        let proto = format!("syntax = \"proto3\";\npackage {package};\nmessage M {{}}\n");
        let project = Project::new(&[("a.proto", &proto)]);
        project.compile(project.builder(), &["a.proto"]).unwrap();
        let mut expected = [own, file];
        expected.sort_unstable();
        assert_eq!(project.code(), expected);
        assert_eq!(project.read(own), format!("include!(\"{file}\");\n"));
        assert!(project.read(file).contains("pub struct M"));
    }
    let project = Project::new(&[("a.proto", "syntax = \"proto3\";\nmessage M {}\n")]);
    project.compile(project.builder(), &["a.proto"]).unwrap();
    assert_eq!(project.code(), ["_.rs"]);
}

#[test]
fn packages_below_google_protobuf() {
    let proto = "syntax = \"proto3\";\npackage google.protobuf.mine;\nmessage M {}\n\
                 service S { rpc Do(M) returns (M); }\n";
    let project = Project::new(&[("a.proto", proto)]);
    let error = project.compile(project.builder(), &["a.proto"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no code was generated, because of 1 problem:\n  a.proto: `google.protobuf.mine.M` is not generated, because \
         the types of `google.protobuf` come from the runtime, which does not have it; set \
         `compile_well_known_types(true)`, or move it to another package"
    );
    project.compile(project.builder().compile_well_known_types(true), &["a.proto"]).unwrap();
    assert_eq!(project.code(), ["google.protobuf.mine.rs"]);
    // Who has the type says where it is.
    let project = Project::new(&[("a.proto", proto)]);
    let builder = project.builder().extern_path(".google.protobuf.mine", "crate::mine");
    project.compile(builder, &["a.proto"]).unwrap();
}

#[test]
fn descriptors_can_be_left_out() {
    let proto =
        "syntax = \"proto3\";\npackage a;\nmessage M {}\nservice S { rpc Do(M) returns (M); }\n";
    let project = Project::new(&[("a.proto", proto)]);
    project.compile(project.builder().embed_schemas(false), &["a.proto"]).unwrap();
    assert_eq!(project.files(), ["a.rs"]);
    let code = project.read("a.rs");
    assert!(!code.contains("DESCRIPTORS") && code.contains("no_schema()"), "{code}");
}
