//! The differences between two schemas in words.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use mdp_schema::diff;
use prost_types::FileDescriptorSet;
use test_schema::{compile, pairs, proto2, proto3};

/// Lines `ELEMENT: MESSAGE`.
fn lines(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Vec<String> {
    let changes = diff(old, new).unwrap();
    changes.iter().map(|change| format!("{}: {}", change.element, change.message)).collect()
}

#[test]
fn services_and_methods() {
    let old = proto3(
        "message A {} message B {}
         service S {
           rpc Gone(A) returns (B); rpc Types(A) returns (B); rpc Streams(A) returns (stream B);
           rpc Level(A) returns (B) { option idempotency_level = IDEMPOTENT; } rpc Same(A) returns (B);
         }
         service T { rpc R(A) returns (B); }",
    );
    let new = proto3(
        "message A {} message B {}
         service S {
           option deprecated = true;
           rpc New(A) returns (stream B); rpc Types(B) returns (A); rpc Streams(stream A) returns (B);
           rpc Level(A) returns (B) { option deprecated = true; } rpc Same(A) returns (B);
         }
         service U { rpc R(A) returns (B); }",
    );
    let expected = [
        "a.v1.S: it is deprecated now",
        "a.v1.S/Gone: the method is gone",
        "a.v1.S/Level: its idempotency level is IDEMPOTENCY_UNKNOWN now, in place of IDEMPOTENT",
        "a.v1.S/Level: it is deprecated now",
        "a.v1.S/New: the method is new: (a.v1.A) returns (stream a.v1.B)",
        "a.v1.S/Streams: it takes `stream a.v1.A` now, in place of `a.v1.A`",
        "a.v1.S/Streams: it returns `a.v1.B` now, in place of `stream a.v1.B`",
        "a.v1.S/Types: it takes `a.v1.B` now, in place of `a.v1.A`",
        "a.v1.S/Types: it returns `a.v1.A` now, in place of `a.v1.B`",
        "a.v1.T: the service is gone",
        "a.v1.U: the service is new",
        "a.v1.U/R: the method is new: (a.v1.A) returns (a.v1.B)",
    ];
    assert_eq!(lines(&old, &new), expected);
}

#[test]
fn messages_and_fields() {
    let old = proto3(
        "message Gone {}
         message M {
           int32 gone = 1; int32 name = 2; int32 kind = 3; string list = 4; map<string, int32> map = 5;
           int32 in = 6; oneof o { int32 out = 7; int32 stays = 8; } string json = 9; string same = 10;
           string presence = 11; repeated int32 packed = 12; reserved 20 to 29; reserved \"x\";
         }",
    );
    let new = proto3(
        "message New {}
         message M {
           option deprecated = true;
           int32 fresh = 13; int32 name2 = 2; sint64 kind = 3; repeated string list = 4 [deprecated = true];
           map<string, New> map = 5; oneof o { int32 in = 6; int32 stays = 8; } int32 out = 7;
           string json = 9 [json_name = \"j\"]; string same = 10;
           optional string presence = 11; repeated int32 packed = 12 [packed = false];
           reserved 1, 20 to 29; reserved \"gone\";
         }",
    );
    let expected = [
        "a.v1.Gone: the message is gone",
        "a.v1.M: it is deprecated now",
        "a.v1.M: `x` is no longer reserved",
        "a.v1.M: 1 is reserved now",
        "a.v1.M: `gone` is reserved now",
        "a.v1.M.fresh: the field 13 is new: `int32`",
        "a.v1.M.gone: the field 1 is gone",
        "a.v1.M.in: it is in the oneof `o` now",
        "a.v1.M.json: its name in JSON is `j` now",
        "a.v1.M.kind: its type is `sint64` now, in place of `int32`",
        "a.v1.M.list: its type is `repeated string` now, in place of `string`",
        "a.v1.M.list: it is deprecated now",
        "a.v1.M.map: its type is `map<string, a.v1.New>` now, in place of `map<string, int32>`",
        "a.v1.M.name: the field 2 is called `name2` now",
        "a.v1.M.out: it is no longer in the oneof `o`",
        "a.v1.M.packed: its type is `repeated (not packed) int32` now, in place of `repeated int32`",
        "a.v1.M.presence: its type is `optional string` now, in place of `string`",
        "a.v1.New: the message is new",
    ];
    assert_eq!(lines(&old, &new), expected);
}

#[test]
fn enums_defaults_and_files() {
    let old = proto2(
        "enum E { option allow_alias = true; Z = 0; O = 1; ONE = 1; T = 2; reserved 9; }
         message M { optional int32 a = 1 [default = 5]; optional int32 b = 2; required int32 c = 3; }
         enum Gone { Y = 0; }",
    );
    let new = proto2(
        "enum E { Z = 0; O = 1; N = 3; reserved 2; reserved \"T\"; }
         message M { optional int32 a = 1; optional int32 b = 2 [default = 7]; optional int32 c = 3; }",
    );
    let expected = [
        "a.v1.E: the value 1 is `O` now, in place of `O`, `ONE`",
        "a.v1.E: the value 2 `T` is gone",
        "a.v1.E: the value 3 `N` is new",
        "a.v1.E: 9 is no longer reserved",
        "a.v1.E: 2 is reserved now",
        "a.v1.E: `T` is reserved now",
        "a.v1.Gone: the enum is gone",
        "a.v1.M.a: it has no default any more",
        "a.v1.M.b: its default is `7` now",
        "a.v1.M.c: its type is `optional int32` now, in place of `required int32`",
    ];
    assert_eq!(lines(&old, &new), expected);

    let old = compile(&[
        ("a.proto", "syntax = \"proto2\"; package a.v1; message M {}"),
        ("b.proto", "syntax = \"proto3\"; package b.v1; message N {}"),
    ]);
    let new = compile(&[
        ("a.proto", "syntax = \"proto3\"; package a.v1;"),
        ("b.proto", "syntax = \"proto3\"; package a.v1; message M {}"),
    ]);
    let expected = [
        "a.proto: it is in proto3 now, in place of proto2",
        "a.v1.M: the message was in a.proto",
        "b.proto: the package is `a.v1` now, in place of `b.v1`",
        "b.v1.N: the message is gone",
    ];
    assert_eq!(lines(&old, &new), expected);
}

#[test]
fn extensions() {
    let old = proto2(
        "message M { extensions 100 to 199; }
         extend M { optional int32 a = 100; optional int32 gone = 101; optional int32 c = 102; }",
    );
    let new = proto2(
        "message M { extensions 100 to 199; }
         extend M { optional int64 a = 100; optional int32 c2 = 102 [deprecated = true]; }
         message In { extend M { repeated string fresh = 103; } }",
    );
    let expected = [
        "a.v1.In: the message is new",
        "a.v1.M.[a.v1.In.fresh]: the extension 103 is new: `repeated string`",
        "a.v1.M.[a.v1.a]: its type is `optional int64` now, in place of `optional int32`",
        "a.v1.M.[a.v1.c]: the extension is called `a.v1.c2` now",
        "a.v1.M.[a.v1.c]: it is deprecated now",
        "a.v1.M.[a.v1.gone]: the extension 101 is gone",
    ];
    assert_eq!(lines(&old, &new), expected);
}

/// The comparison that finds breaking changes and this one look at the same things: what breaks is a difference.
#[test]
fn what_breaks_differs() {
    for pair in pairs() {
        assert_eq!(lines(&pair.old, &pair.old), [""; 0], "{}", pair.name);
        let changes = diff(&pair.old, &pair.new).unwrap();
        assert!(!changes.is_empty(), "{}", pair.name);
        for level in [mdp_schema::Level::Wire, mdp_schema::Level::WireJson] {
            let found = mdp_schema::compare(&pair.old, &pair.new, level, &pair.files).unwrap();
            for broken in found.breaking {
                let of = |element: &str| {
                    broken.element == element
                        // A message whose syntax lost its JSON is told at its file.
                        || element == broken.file
                        // A required field is told at the field.
                        || element.starts_with(&format!("{}.", broken.element))
                };
                let told = changes.iter().any(|change| of(&change.element));
                assert!(told, "{}: {broken:?} is not in {changes:#?}", pair.name);
            }
        }
    }
}
