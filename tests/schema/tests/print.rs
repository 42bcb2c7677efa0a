//! What is printed reads back as the same descriptors.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use prost_types::FileDescriptorSet;
use test_schema::{bare, compile, proto2, proto3};

/// Prints, reads back, and gives the text of the last file.
fn same_again(set: &FileDescriptorSet) -> String {
    let files = mdp_schema::print(set).unwrap();
    let sources: Vec<_> =
        files.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
    let again = compile(&sources);
    assert_eq!(comments(&again), comments(set), "comments of\n{}", files.last().unwrap().text);
    for file in &bare(again).file {
        let before = bare(set.clone()).file.into_iter().find(|one| one.name == file.name).unwrap();
        assert_eq!(*file, before, "{}", files.last().unwrap().text);
    }
    files.into_iter().next_back().unwrap().text
}

/// The comments by file and place.
fn comments(set: &FileDescriptorSet) -> BTreeMap<(String, Vec<i32>), String> {
    let files = set.file.iter().filter(|file| !file.name().starts_with("google/"));
    let all = files.flat_map(|file| {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        locations.filter_map(|at| {
            let text = at.leading_comments.clone()?;
            Some(((file.name().to_owned(), at.path.clone()), text))
        })
    });
    all.collect()
}

#[test]
fn a_file_looks_as_somebody_would_write_it() {
    let text = "\
syntax = \"proto3\";

package auth.v1;

import \"google/protobuf/empty.proto\";
import \"google/protobuf/timestamp.proto\";

// Who is who.
service Auth {
  // Checks a password.
  //
  // Slowly.
  rpc Login(LoginRequest) returns (LoginReply);
  rpc WhoAmI(google.protobuf.Empty) returns (LoginReply) {
    option idempotency_level = NO_SIDE_EFFECTS;
  }
  rpc Watch(stream LoginRequest) returns (stream LoginReply);
}

message LoginRequest {
  // The name.
  string user = 1;
  optional string nick = 2;
  repeated sint64 ids = 3;
  map<string, Role> roles = 4;
  // One way or another.
  oneof contact {
    // By mail.
    string mail = 5;
    Device push = 6 [deprecated = true];
  }
  reserved 8, 10 to 12, 1000 to max;
  reserved \"old\", \"older\";
}

message LoginReply {
  google.protobuf.Timestamp until = 1;
}

message Device {
  option deprecated = true;
}

// What one may do.
enum Role {
  ROLE_UNKNOWN = 0;
  // All.
  ROLE_ADMIN = 1;
  reserved 5 to 7;
}
";
    let set = compile(&[("auth/v1/auth.proto", text)]);
    assert_eq!(same_again(&set), text);
}

#[test]
fn every_type_and_label() {
    let types = [
        "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
        "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes", "M", "E",
    ];
    let mut body = String::from("enum E { ZERO = 0; }\nmessage M {\n");
    let mut number = 0;
    for kind in types {
        for label in ["", "optional ", "repeated "] {
            number += 1;
            body.push_str(&format!("{label}{kind} f{number} = {number};\n"));
        }
        number += 1;
        body.push_str(&format!("map<string, {kind}> f{number} = {number};\n"));
        if !matches!(kind, "double" | "float" | "bytes" | "M" | "E") {
            number += 1;
            body.push_str(&format!("map<{kind}, M> f{number} = {number};\n"));
        }
    }
    body.push('}');
    same_again(&proto3(&body));
}

#[test]
fn nested_types_keep_their_order_among_maps_and_groups() {
    same_again(&proto3(
        "message M { message A { message B { enum C { Z = 0; } } } map<int32, A> a = 1;
         message D {} oneof o { A.B b = 2; D d = 3; } map<int32, D> e = 4; message F { M m = 1; }
         enum G { Y = 0; } enum H { X = 0; } A.B.C c = 5; }",
    ));
    same_again(&proto2(
        "message M { message A {} optional group B = 1 { optional int32 x = 1; required A a = 2; }
         message C {} repeated group D = 2 { repeated group E = 3 {} }
         oneof o { group F = 4 { optional B b = 1; } int32 g = 5; } }",
    ));
}

#[test]
fn defaults_of_every_type() {
    let text = same_again(&proto2(
        r#"enum E { A = 3; B = -1; }
        message M {
          optional string s = 1 [default = "quote \" back \\ line \n tab \t bell \007 ü"];
          optional bytes b = 2 [default = "\000\377\"'\\x"];
          optional float inf = 3 [default = inf];
          optional float neg = 4 [default = -inf];
          optional double nan = 5 [default = nan];
          optional double d = 6 [default = -1.5e10];
          optional int64 i = 7 [default = -9223372036854775808];
          optional uint64 u = 8 [default = 18446744073709551615];
          optional bool t = 9 [default = true];
          optional E e = 10 [default = B];
          required int32 r = 11;
        }"#,
    ));
    assert!(text.contains("[default = B]"), "{text}");
}

#[test]
fn options_of_every_kind() {
    let file = "option java_package = \"org.\\\"a\\\"\"; option java_multiple_files = true;
        option optimize_for = CODE_SIZE; option go_package = \"a/b;c\"; option deprecated = true;
        option cc_enable_arenas = false; option csharp_namespace = \"A.B\";
        option objc_class_prefix = \"AB\"; option php_namespace = \"A\\\\B\"; option ruby_package = \"A::B\";
        option swift_prefix = \"Q\"; option php_class_prefix = \"P\"; option java_outer_classname = \"O\";";
    same_again(&proto3(&format!(
        "{file}
        message M {{ option deprecated = true; option no_standard_descriptor_accessor = true;
          repeated int32 a = 1 [packed = false, deprecated = true];
          int64 b = 2 [jstype = JS_STRING]; string c = 3 [ctype = CORD, json_name = \"see\"];
          M d = 4 [lazy = true]; string long_name_2x = 5; }}
        enum E {{ option allow_alias = true; option deprecated = true; A = 0; B = 0 [deprecated = true]; }}
        service S {{ option deprecated = true;
          rpc R(M) returns (M) {{ option deprecated = true; option idempotency_level = IDEMPOTENT; }} }}"
    )));
    same_again(&proto2(
        "message M { option message_set_wire_format = true; extensions 4 to max; }",
    ));
}

#[test]
fn extensions() {
    let set = proto2(
        "message M { extensions 100 to 199, 300; extensions 1000 to max;
           extend M { optional int32 inner = 101; } }
         extend M { optional int32 one = 102; repeated string two = 103; }",
    );
    let text = same_again(&set);
    assert!(text.contains("extend M {\n  optional int32 one = 102;"), "{text}");
}

#[test]
fn names_are_short_but_never_mean_something_else() {
    let text = same_again(&proto3(
        "message Foo { message Foo { Foo in = 1; .a.v1.Foo out = 2; } Foo in = 1; .a.v1.Foo out = 2;
           message a { int32 v1 = 1; } .a.v1.Bar bar = 3; }
         message Bar { Foo.Foo foo = 1; string string = 2; .a.v1.stream s = 3; stream.string t = 4; }
         message stream { message string {} string text = 1; .a.v1.stream.string own = 2; }
         service stream_service { rpc stream(.a.v1.stream) returns (stream .a.v1.stream); }",
    ));
    assert!(text.contains("  Bar bar = 3;"), "{text}");
}

#[test]
fn several_files_and_packages() {
    let set = compile(&[
        ("base.proto", "syntax = \"proto3\"; message Root { int32 x = 1; }"),
        (
            "a/b.proto",
            "syntax = \"proto3\"; package a.b; import public \"base.proto\"; message M { Root r = 1; }",
        ),
        (
            "a/c.proto",
            "syntax = \"proto2\"; package a.c; import \"a/b.proto\"; import \"google/protobuf/any.proto\";
             message M { optional b.M m = 1; optional Root r = 2; optional google.protobuf.Any any = 3; }
             message N { message google {} optional .google.protobuf.Any other = 4; }",
        ),
    ]);
    let text = same_again(&set);
    assert!(text.contains("b.M m = 1;"), "{text}");
    assert!(text.contains(".google.protobuf.Any other = 4;"), "{text}");
    assert_eq!(mdp_schema::print(&set).unwrap().len(), 3, "google's own file is not printed");
}

#[test]
fn comments_behind_a_declaration_are_kept_above_it() {
    let text =
        "message M {\n  int32 x = 1; // behind\n\n  // above\n  int32 y = 2; // and behind\n}";
    let printed = mdp_schema::print(&proto3(text)).unwrap().remove(0).text;
    assert!(printed.contains("  // behind\n  int32 x = 1;\n"), "{printed}");
    assert!(printed.contains("  // above\n  //\n  // and behind\n  int32 y = 2;\n"), "{printed}");
}
