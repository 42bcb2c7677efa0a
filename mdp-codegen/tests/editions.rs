//! Files of editions 2023 and 2024, as texts and as `protoc` encodes them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::Project;

/// The code of a file `a.proto` of package `a`.
#[track_caller]
fn code(edition: &str, text: &str) -> String {
    let text = format!("edition = \"{edition}\";\npackage a;\n{text}\n");
    let project = Project::new(&[("a.proto", &text)]);
    project.compile(project.builder(), &["a.proto"]).unwrap();
    project.parse("a.rs");
    project.read("a.rs")
}

#[track_caller]
fn problem(text: &str) -> String {
    let project = Project::new(&[("a.proto", text)]);
    let error = project.compile(project.builder(), &["a.proto"]).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    error.problems()[0].to_string()
}

/// Whether the code has the parts, whatever white space is between their tokens.
#[track_caller]
fn has(code: &str, parts: &[&str]) {
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(code.contains(part), "{part} is not in:\n{code}");
    }
}

#[test]
fn fields_have_presence_if_nothing_else_is_said() {
    let text = "message M { int32 a = 1; repeated int32 b = 2; N c = 3; oneof of { string d = 4; } map<string, N> e = 5; }\n\
                message N {}";
    for edition in ["2023", "2024"] {
        has(
            &code(edition, text),
            &[
                "#[prost(int32, optional, tag = \"1\")] pub a: ::core::option::Option<i32>",
                "#[prost(int32, repeated, tag = \"2\")]",
                "#[prost(message, optional, tag = \"3\")]",
                "#[prost(oneof = \"m::Of\", tags = \"4\")]",
                "#[prost(map = \"string, message\", tag = \"5\")]",
            ],
        );
    }
}

#[test]
fn presence_is_inherited_and_replaced() {
    let code = code(
        "2023",
        "option features.field_presence = IMPLICIT;\n\
         message M { int32 a = 1; int32 b = 2 [features.field_presence = EXPLICIT]; \
         int32 c = 3 [features = { field_presence: LEGACY_REQUIRED }]; E d = 4; }\n\
         enum E { ZERO = 0; }",
    );
    has(
        &code,
        &[
            "#[prost(int32, tag = \"1\")] pub a: i32",
            "#[prost(int32, optional, tag = \"2\")] pub b: ::core::option::Option<i32>",
            "#[prost(int32, required, tag = \"3\")] pub c: i32",
            "#[prost(enumeration = \"E\", tag = \"4\")] pub d: i32",
        ],
    );
}

#[test]
fn lists_are_packed_unless_they_are_expanded() {
    let code = code(
        "2023",
        "message M { repeated int32 a = 1; repeated int32 b = 2 [features.repeated_field_encoding = EXPANDED]; \
         repeated int32 c = 3 [deprecated = true]; repeated string d = 4; }",
    );
    has(
        &code,
        &[
            "#[prost(int32, repeated, tag = \"1\")]",
            "#[prost(int32, repeated, packed = \"false\", tag = \"2\")]",
            "#[prost(int32, repeated, tag = \"3\")]",
            "#[prost(string, repeated, tag = \"4\")]",
        ],
    );
}

#[test]
fn what_only_proto2_has() {
    let code = code(
        "2023",
        "message M { int32 a = 1 [default = -5]; E b = 2 [default = TWO]; string c = 3 [default = \"x\"]; \
         bytes d = 4 [default = \"\\xff\"]; double e = 5 [default = -inf]; repeated int32 f = 6; \
         G g = 7 [features.message_encoding = DELIMITED]; extensions 100 to 200; message G {} }\n\
         enum E { option features.enum_type = CLOSED; ONE = 1; TWO = 2; }\n\
         extend M { int32 more = 100; }",
    );
    has(
        &code,
        &[
            "#[prost(int32, optional, tag = \"1\", default = \"-5\")]",
            "#[prost(enumeration = \"E\", optional, tag = \"2\", default = \"Two\")]",
            "#[prost(string, optional, tag = \"3\", default = \"x\")]",
            "#[prost(bytes = \"vec\", optional, tag = \"4\", default = \"b\\\"\\\\xff\\\"\")]",
            "#[prost(double, optional, tag = \"5\", default = \"-inf\")]",
            // The default of editions, although the file is one of proto2 behind the scenes.
            "#[prost(int32, repeated, tag = \"6\")]",
            "#[prost(group, optional, tag = \"7\")]",
        ],
    );
}

#[test]
fn a_closed_enum_beside_fields_without_presence() {
    let code = code(
        "2023",
        "message M { int32 a = 1 [features.field_presence = IMPLICIT]; E b = 2; \
         G c = 3 [features.message_encoding = DELIMITED]; message G {} }\n\
         enum E { option features.enum_type = CLOSED; ONE = 1; }",
    );
    has(
        &code,
        &[
            "pub a: i32",
            "#[prost(enumeration = \"E\", optional, tag = \"2\")]",
            "#[prost(group, optional, tag = \"3\")]",
        ],
    );
}

#[test]
fn words_of_edition_2024() {
    let options = "edition = \"2024\";\npackage o;\nimport \"google/protobuf/descriptor.proto\";\n\
                   extend google.protobuf.MessageOptions { string who = 50001; }\n";
    let text = "edition = \"2024\";\npackage a;\nimport option \"o.proto\";\n\
                import option \"google/protobuf/cpp_features.proto\";\n\
                option features.default_symbol_visibility = EXPORT_ALL;\n\
                option features.(pb.cpp).string_type = VIEW;\n\
                export message M { option (o.who) = \"me\"; reserved gone, away; reserved 5 to 7; int32 a = 1; }\n\
                local enum E { ZERO = 0; reserved OLD; }\n";
    let project = Project::new(&[("a.proto", text), ("o.proto", options)]);
    project.compile(project.builder(), &["a.proto"]).unwrap();
    has(&project.read("a.rs"), &["pub struct M", "pub enum E"]);
}

#[test]
fn mistakes_are_told_at_their_lines() {
    for (text, expected) in [
        (
            "// c\nedition = \"2030\";\n",
            "a.proto:2: the edition \"2030\" is not known; write \"2023\" or \"2024\"",
        ),
        (
            "edition = \"2023\";\nmessage M {\n  optional int32 a = 1;\n}\n",
            "a.proto:3: field `a`: an edition has no label `optional`; a field has presence by itself, or by \
             `features.field_presence = EXPLICIT`",
        ),
        (
            "edition = \"2023\";\nmessage M {\n  int32 a = 1 [features.presence = NONE];\n}\n",
            "a.proto:3: there is no feature `presence`",
        ),
        (
            "edition = \"2023\";\nmessage M {\n\n  int32 a = 1 [features.field_presence = NONE];\n}\n",
            "a.proto:4: the feature `field_presence` has no value `NONE`",
        ),
        (
            "edition = \"2023\";\nmessage M {\n  Nothing a = 1;\n}\n",
            "a.proto:3: name 'Nothing' is not defined",
        ),
    ] {
        assert_eq!(problem(text), expected);
    }
}
