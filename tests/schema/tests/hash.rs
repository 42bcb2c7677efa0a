//! The identity of a contract: what changes it and what does not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use prost_types::FileDescriptorSet;
use test_schema::{compile, proto2, proto3};

const BASE: &str = "
    service Auth {
      rpc Login(Request) returns (Reply);
      rpc Who(Request) returns (Reply) { option idempotency_level = NO_SIDE_EFFECTS; }
    }
    message Request {
      string user = 1;
      optional string nick = 2;
      repeated sint64 ids = 3;
      oneof via { Device device = 4; string mail = 6; }
      map<string, Role> tags = 5;
    }
    message Device { int32 port = 1; }
    message Reply { Reply next = 1; }
    enum Role { UNKNOWN = 0; ADMIN = 1; }
    message Unused { int32 x = 1; }
";

fn hash(set: &FileDescriptorSet) -> [u8; 16] {
    mdp_schema::hash(set, "a.v1.Auth").unwrap()
}

fn base() -> [u8; 16] {
    hash(&proto3(BASE))
}

fn changed(from: &str, to: &str) -> [u8; 16] {
    assert!(BASE.contains(from), "{from}");
    hash(&proto3(&BASE.replace(from, to)))
}

/// Written down, so that nobody changes the lines of `docs/wire.md` R64 by accident. `sha256sum` says the same.
#[test]
fn the_hash_is_that_of_the_lines() {
    let set = proto3(
        "service S { rpc B(stream M) returns (M); rpc A(M) returns (stream .a.v1.M); }
         message M { map<int32, E> m = 2; oneof o { string s = 3; } repeated M l = 4; repeated E p = 1; }
         enum E { Z = 0; N = -1; }",
    );
    let lines = "mdp-schema 1\n\
        service a.v1.S\n\
        rpc A a.v1.M stream a.v1.M unknown\n\
        rpc B stream a.v1.M a.v1.M unknown\n\
        enum a.v1.E\n\
        -1 N\n\
        0 Z\n\
        message a.v1.M\n\
        1 p enum a.v1.E packed\n\
        2 m map int32 enum a.v1.E repeated\n\
        3 s string oneof o\n\
        4 l message a.v1.M repeated\n";
    assert_eq!(mdp_schema::contract(&set, "a.v1.S").unwrap(), lines);
    let hash = mdp_schema::hash(&set, "a.v1.S").unwrap();
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "65aa3f7ed90ed871f7c6874bc629ffc6");
}

#[test]
fn what_the_contract_is_written_in_does_not_matter() {
    let base = base();
    let comments = BASE.replace("message Device", "// A thing.\nmessage Device");
    assert_eq!(hash(&proto3(&comments)), base, "comments");
    assert_eq!(hash(&proto3(&BASE.replace("message Unused { int32 x = 1; }", ""))), base, "unused");
    assert_eq!(changed("int32 port = 1;", "int32 port = 1 [json_name = \"p\"];"), base, "json");
    assert_eq!(changed("int32 port = 1;", "int32 port = 1 [deprecated = true];"), base);
    assert_eq!(changed("int32 port = 1;", "int32 port = 1; reserved 9;"), base, "reserved");
    assert_eq!(
        changed("repeated sint64 ids = 3;", "repeated sint64 ids = 3 [packed = true];"),
        base
    );
    let order = BASE.replace("UNKNOWN = 0; ADMIN = 1;", "UNKNOWN = 0; ADMIN = 1 ;").replace(
        "string user = 1;\n      optional string nick = 2;",
        "optional string nick = 2;\n      string user = 1;",
    );
    assert_eq!(hash(&proto3(&order)), base, "order of fields");
    let service = &BASE[..BASE.find("message Request").unwrap()];
    let moved = format!("{}{service}", BASE.replace(service, ""));
    assert_eq!(hash(&proto3(&moved)), base, "order of declarations");
    let two_files = compile(&[
        (
            "x/types.proto",
            &format!("syntax = \"proto3\"; package a.v1; {}", BASE.replace(service, "")),
        ),
        (
            "y.proto",
            &format!("syntax = \"proto3\"; package a.v1; import \"x/types.proto\"; {service}"),
        ),
    ]);
    assert_eq!(hash(&two_files), base, "files");
}

#[test]
fn proto2_can_say_the_same() {
    let three = proto3(
        "service Auth { rpc R(M) returns (M); } message M { optional int32 a = 1; repeated int32 b = 2; M c = 3; }",
    );
    let two = proto2(
        "service Auth { rpc R(M) returns (M); }
         message M { optional int32 a = 1; repeated int32 b = 2 [packed = true]; optional M c = 3; }",
    );
    assert_eq!(hash(&three), hash(&two));
}

#[test]
fn each_change_of_the_contract_changes_it() {
    let changes = [
        ("rpc Login", "rpc Logon"),
        ("rpc Login(Request)", "rpc Login(Reply)"),
        ("rpc Login(Request) returns (Reply)", "rpc Login(Request) returns (Request)"),
        ("rpc Login(Request)", "rpc Login(stream Request)"),
        ("rpc Login(Request) returns (Reply)", "rpc Login(Request) returns (stream Reply)"),
        ("rpc Login(Request) returns (Reply);", ""),
        ("NO_SIDE_EFFECTS", "IDEMPOTENT"),
        ("{ option idempotency_level = NO_SIDE_EFFECTS; }", ";"),
        ("string user = 1;", "string user = 7;"),
        ("string user = 1;", "string name = 1;"),
        ("string user = 1;", "bytes user = 1;"),
        ("string user = 1;", "optional string user = 1;"),
        ("string user = 1;", "repeated string user = 1;"),
        ("string user = 1;", ""),
        ("string user = 1;", "string user = 1; int32 more = 99;"),
        ("optional string nick", "string nick"),
        ("repeated sint64 ids = 3;", "repeated sint64 ids = 3 [packed = false];"),
        ("repeated sint64 ids", "repeated sfixed64 ids"),
        ("oneof via", "oneof by"),
        ("Device device = 4; string mail = 6; }", "Device device = 4; } string mail = 6;"),
        ("map<string, Role>", "map<bytes_key, Role>"),
        ("map<string, Role>", "map<string, int32>"),
        ("int32 port = 1;", "int64 port = 1;"),
        ("Reply next = 1;", "Request next = 1;"),
        ("ADMIN = 1;", "ADMIN = 2;"),
        ("ADMIN = 1;", "ROOT = 1;"),
        ("ADMIN = 1;", "ADMIN = 1; GUEST = 2;"),
    ];
    let mut seen = vec![base()];
    for (from, to) in changes {
        let to = to.replace("bytes_key", "int32");
        let hash = changed(from, &to);
        assert!(!seen.contains(&hash), "{from} -> {to}");
        seen.push(hash);
    }
    let renamed = mdp_schema::hash(&proto3(&BASE.replace("Auth", "Auth2")), "a.v1.Auth2").unwrap();
    assert!(!seen.contains(&renamed));
}

#[test]
fn required_and_groups_are_told_apart() {
    let of = |field: &str| {
        hash(&proto2(&format!("service Auth {{ rpc R(M) returns (M); }} message M {{ {field} }}")))
    };
    let all = [
        of("optional int32 a = 1;"),
        of("required int32 a = 1;"),
        of("repeated int32 a = 1;"),
        of("optional group A = 1 {}"),
        of("message A {} optional A a = 1;"),
    ];
    for (place, one) in all.iter().enumerate() {
        assert!(!all[..place].contains(one), "{place}");
    }
}

#[test]
fn the_part_that_a_service_reaches_has_the_same_hash_and_no_more() {
    let set = compile(&[
        (
            "far.proto",
            "syntax = \"proto3\"; package far;\n\n// Far.\nmessage Away { int32 x = 1; } message No {}",
        ),
        ("unused.proto", "syntax = \"proto3\"; package unused; message Nothing {}"),
        (
            "a.proto",
            "syntax = \"proto3\"; package a.v1; import \"far.proto\"; import \"unused.proto\";
             message Before { unused.Nothing n = 1; }
             message Outer { message Inner { far.Away away = 1; } Before.X x = 2; }
             // The service.
             service Auth {
               // The method.
               rpc R(Outer.Inner) returns (Kind.K); }
             service Other { rpc R(Before) returns (Before); }
             message Kind { message K {} }
             message X {}"
                .replace("Before.X", "X")
                .as_str(),
        ),
    ]);
    let schema = mdp_schema::service(&set, "a.v1.Auth").unwrap();
    assert_eq!(schema.hash().unwrap(), Some(hash(&set)));
    let files = schema.to_proto().unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!(
        files[0].text,
        "syntax = \"proto3\";\n\npackage far;\n\n// Far.\nmessage Away {\n  int32 x = 1;\n}\n"
    );
    let text = &files[1].text;
    assert!(text.contains("// The service.\nservice Auth {\n  // The method.\n"), "{text}");
    for gone in ["Before", "Other", "unused"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    assert!(text.contains("message X {"), "what is around a nested type stays whole: {text}");
}

#[test]
fn what_cannot_be_used_is_told() {
    let error =
        |set: &FileDescriptorSet| mdp_schema::hash(set, "a.v1.Auth").unwrap_err().to_string();
    let good = proto3(BASE);
    let no_service = mdp_schema::hash(&good, "a.v1.No").unwrap_err().to_string();
    assert_eq!(no_service, "the descriptors have no service `a.v1.No`");
    let mut twice = good.clone();
    let again = twice.file[0].clone();
    twice.file.push(again);
    assert!(error(&twice).contains("is declared twice; give one of the two another name"));
    let mut lacking = good.clone();
    lacking.file[0].message_type.retain(|item| item.name() != "Device");
    assert_eq!(
        error(&lacking),
        "`a.v1.Request.device` names the type `.a.v1.Device`, which the descriptors lack"
    );
    let mut edition = good;
    edition.file[0].syntax = Some("editions".to_owned());
    assert!(error(&edition).contains("only proto2 and proto3 are understood"));
    assert!(mdp_schema::Schema::from_bytes(None, b"\x0a\xff").is_err());
}
