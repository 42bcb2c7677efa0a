//! Options that prost's descriptors do not have: custom ones, and those of a newer `descriptor.proto`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use mdp_schema::Schema;
use prost_types::FileDescriptorSet;
use test_schema::encode;

/// Prints what a compiler made of these files, and reads it back as the same bytes.
fn same_again(files: &[(&str, &str)]) -> String {
    let bytes = bare(files);
    let printed = Schema::from_bytes(None, &bytes).unwrap().to_proto().unwrap();
    let sources: Vec<_> = printed.iter().map(|it| (it.name.as_str(), it.text.as_str())).collect();
    let text = printed.last().unwrap().text.clone();
    assert_eq!(bare(&sources), bytes, "{text}");
    text
}

/// The encoded descriptors, without comments.
fn bare(files: &[(&str, &str)]) -> Vec<u8> {
    encode(files, false)
}

const OPTIONS: &str = "syntax = \"proto2\"; package opt.v1;
    import \"google/protobuf/descriptor.proto\";
    message Rule {
      optional int32 least = 1; repeated string words = 2; optional Rule then = 3;
      repeated Kind kinds = 4; map<string, int64> limits = 5; oneof one { bool yes = 6; bytes raw = 7; }
      optional group Part = 8 { optional double share = 1; }
      extensions 100 to 199;
      enum Kind { NONE = 0; SOME = 1; }
    }
    extend Rule { optional string note = 100; }
    extend google.protobuf.FileOptions { optional string owner = 50001; }
    extend google.protobuf.MessageOptions { optional Rule rule = 50001; repeated Rule rules = 50002; }
    extend google.protobuf.FieldOptions {
      optional int32 i32 = 50001; optional sint64 s64 = 50002; optional uint64 u64 = 50003;
      optional fixed32 f32 = 50004; optional sfixed64 sf64 = 50005; optional float real = 50006;
      optional double double = 50007; optional bool flag = 50008; optional bytes raw = 50009;
      optional string text = 50010; optional Rule.Kind kind = 50011; repeated string tags = 50012;
      repeated int32 numbers = 50013; repeated sint32 packed = 50014 [packed = true];
      optional Rule field_rule = 50015;
    }
    extend google.protobuf.OneofOptions { optional bool strict = 50001; }
    extend google.protobuf.EnumOptions { optional string of_enum = 50001; }
    extend google.protobuf.EnumValueOptions { optional string label = 50001; }
    extend google.protobuf.ServiceOptions { optional string host = 50001; }
    extend google.protobuf.MethodOptions { optional Rule method_rule = 50001; }
    extend google.protobuf.ExtensionRangeOptions { optional string range = 50001; }
    message Inner { extend google.protobuf.MessageOptions { optional int32 inner = 50003; } }
";

#[test]
fn custom_options_of_every_declaration() {
    let text = same_again(&[
        ("opt.proto", OPTIONS),
        (
            "a.proto",
            r#"syntax = "proto2"; package a.v1; import "opt.proto";
            option (opt.v1.owner) = "us \"all\"";
            message M {
              option (opt.v1.rule) = {
                least: -3, words: ["a", "b"], then: { then: {} }, kinds: [SOME, NONE],
                limits: { key: "x", value: -1 }, raw: "\000\377", Part: { share: 0.5 }, [opt.v1.note]: "n"
              };
              option (opt.v1.rules) = { least: 1 };
              option (opt.v1.rules) = { least: 2 };
              option (opt.v1.Inner.inner) = 7;
              optional int32 a = 1 [(opt.v1.text) = "line\nnext", deprecated = true];
              oneof o { option (opt.v1.strict) = true; string b = 2 [(opt.v1.flag) = false]; }
              map<string, int32> m = 3 [(opt.v1.i32) = 5];
              optional group G = 4 [(opt.v1.i32) = 6] { optional int32 c = 1 [(opt.v1.i32) = 7]; }
              extensions 100 to 199 [(opt.v1.range) = "r"];
              extend M { optional int32 ext = 100 [(opt.v1.i32) = 8]; }
            }
            enum E { option (opt.v1.of_enum) = "e"; Z = 0 [(opt.v1.label) = "zero"]; }
            extend M { optional int32 outer = 101 [(opt.v1.i32) = 9]; }
            service S {
              option (opt.v1.host) = "example.org";
              rpc R(M) returns (M) { option (opt.v1.method_rule).least = 1; option (opt.v1.method_rule).then.least = 2; }
            }"#,
        ),
    ]);
    for words in [
        "option (opt.v1.owner) = \"us \\\"all\\\"\";",
        "option (opt.v1.method_rule) = { least: 1, then: { least: 2 } };",
        "Z = 0 [(opt.v1.label) = \"zero\"];",
        "extensions 100 to 199 [(opt.v1.range) = \"r\"];",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
}

#[test]
fn custom_options_of_every_type() {
    same_again(&[
        ("opt.proto", OPTIONS),
        (
            "a.proto",
            r#"syntax = "proto3"; package a.v1; import "opt.proto";
            message M {
              int32 a = 1 [(opt.v1.i32) = -2147483648, (opt.v1.s64) = -9223372036854775808,
                (opt.v1.u64) = 18446744073709551615, (opt.v1.f32) = 4294967295,
                (opt.v1.sf64) = -9223372036854775808, (opt.v1.real) = 1.5e-30, (opt.v1.double) = 1e300,
                (opt.v1.flag) = true, (opt.v1.raw) = "\000a\"\\\377", (opt.v1.text) = "grüß\t",
                (opt.v1.kind) = SOME, (opt.v1.tags) = "a", (opt.v1.tags) = "b", (opt.v1.numbers) = 1,
                (opt.v1.numbers) = -1, (opt.v1.packed) = 1, (opt.v1.packed) = -1];
              int32 b = 2 [(opt.v1.field_rule) = { Part: { share: -inf }, then: { Part: { share: nan } } }];
              int32 c = 3 [(opt.v1.real) = 3, (opt.v1.double) = -0.1];
            }"#,
        ),
    ]);
}

#[test]
fn options_that_are_newer_than_prost() {
    let text = same_again(&[(
        "a.proto",
        "syntax = \"proto3\"; package a.v1;
        message M {
          option deprecated_legacy_json_field_conflicts = true;
          string secret = 1 [debug_redact = true, retention = RETENTION_SOURCE,
            targets = TARGET_TYPE_FIELD, targets = TARGET_TYPE_METHOD, unverified_lazy = true];
        }
        enum E { option deprecated_legacy_json_field_conflicts = true; Z = 0; }",
    )]);
    let words = "string secret = 1 [unverified_lazy = true, debug_redact = true, retention = RETENTION_SOURCE, \
                 targets = TARGET_TYPE_FIELD, targets = TARGET_TYPE_METHOD];";
    assert!(text.contains(words), "{text}");
}

/// The options of methods that this project defines.
#[test]
fn the_options_of_a_method() {
    let mdp = include_str!("../../../proto/mdp/options.proto");
    let text = same_again(&[
        ("mdp/options.proto", mdp),
        (
            "a.proto",
            "syntax = \"proto3\"; package a.v1; import \"mdp/options.proto\"; message M {}
            service S { rpc R(M) returns (M) {
              option idempotency_level = IDEMPOTENT;
              option (mdp.method) = { timeout_ms: 500, on_cancel: DETACH };
            } }",
        ),
    ]);
    let words = "    option idempotency_level = IDEMPOTENT;\n    option (mdp.method) = { timeout_ms: 500, on_cancel: DETACH };\n";
    assert!(text.contains(words), "{text}");
}

/// A name within the file must not take an option's name away.
#[test]
fn an_option_is_named_so_that_it_is_found() {
    let text = same_again(&[
        ("opt.proto", OPTIONS),
        (
            "a.proto",
            "syntax = \"proto3\"; package a.v1; import \"opt.proto\";
            message opt { message v1 {} }
            message M { int32 a = 1 [(.opt.v1.i32) = 1]; }",
        ),
    ]);
    assert!(text.contains("[(.opt.v1.i32) = 1]"), "{text}");
}

/// Without the file that declares an option, nobody can write it. It is not lost.
#[test]
fn what_nothing_declares_becomes_a_comment() {
    let files = [
        ("opt.proto", OPTIONS),
        (
            "a.proto",
            "syntax = \"proto3\"; package a.v1; import \"opt.proto\";
            message M { option (opt.v1.rule) = { least: 3 }; int32 a = 1 [(opt.v1.i32) = 5, deprecated = true]; }",
        ),
    ];
    let bytes = encode(&files, true);
    let text = Schema::from_bytes(None, &bytes).unwrap().to_proto().unwrap().remove(0).text;
    assert!(text.contains("  // unknown option 50001: 08 03\n"), "{text}");
    let words = "  // unknown option 50001: varint 5\n  int32 a = 1 [deprecated = true];\n";
    assert!(text.contains(words), "{text}");
}

#[test]
fn the_bytes_of_a_schema_are_kept() {
    let files = [
        ("opt.proto", OPTIONS),
        (
            "a.proto",
            "syntax = \"proto3\"; package a.v1; import \"opt.proto\"; option (opt.v1.owner) = \"us\";",
        ),
    ];
    let bytes = bare(&files);
    assert_eq!(Schema::from_bytes(None, &bytes).unwrap().to_bytes(), bytes);
}

/// Options come from files and peers. Whatever they are, printing ends with text.
#[test]
fn broken_options_are_no_panic() {
    use prost_types::{FileDescriptorProto, field_descriptor_proto::Type};
    let option = prost_types::FieldDescriptorProto {
        name: Some("deep".to_owned()),
        number: Some(50_001),
        extendee: Some(".google.protobuf.FileOptions".to_owned()),
        r#type: Some(Type::Message.into()),
        type_name: Some(".opt.v1.Deep".to_owned()),
        ..Default::default()
    };
    let mut inner = option.clone();
    (inner.name, inner.number, inner.extendee) = (Some("in".to_owned()), Some(1), None);
    let deep = prost_types::DescriptorProto {
        name: Some("Deep".to_owned()),
        field: vec![inner],
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("opt.proto".to_owned()),
        package: Some("opt.v1".to_owned()),
        message_type: vec![deep],
        extension: vec![option],
        ..Default::default()
    };
    let set = FileDescriptorSet { file: vec![file] };
    let with = |value: &[u8]| {
        let mut bytes = Schema::of_files(set.file.clone()).to_bytes();
        // A second piece of the file, which a decoder adds to the first one, has the options.
        let options = [&[0x8a, 0xb5, 0x18][..], &varint(value.len()), value].concat();
        let file = [&[0x42][..], &varint(options.len()), &options].concat();
        let whole = [decode_file(&bytes), file].concat();
        bytes = [&[0x0a][..], &varint(whole.len()), &whole].concat();
        Schema::from_bytes(None, &bytes).unwrap().to_proto().unwrap().remove(0).text
    };
    assert!(with(&[0x0a, 0x00]).contains("option (opt.v1.deep) = { in: {} };"));
    assert!(with(&[0x0a, 0x05, 0x01]).contains("// unknown option 50001: 0a 05 01"));
    assert!(with(&[0xff; 12]).contains("// unknown option 50001: ff"));
    // Messages within messages without end.
    let mut nested = Vec::new();
    for _ in 0..1000 {
        nested = [&[0x0a][..], &varint(nested.len()), &nested].concat();
    }
    assert!(with(&nested).contains("// unknown option 50001: 0a"));
    // Groups within groups.
    assert!(with(&[0x0b; 5000]).contains("// unknown option 50001: 0b"));
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

/// The bytes of the only file of a set.
fn decode_file(set: &[u8]) -> Vec<u8> {
    let head = 1 + set[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    set[head..].to_vec()
}
