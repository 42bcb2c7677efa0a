//! Each rule, with what breaks it and what does not, and at which levels it counts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use mdp_schema::{Level, Rule, breaking};
use prost_types::FileDescriptorSet;
use test_schema::{compile, proto2, proto3};

/// The rules that break at a level.
fn at(level: Level, old: &FileDescriptorSet, new: &FileDescriptorSet) -> BTreeSet<Rule> {
    breaking(old, new, level).unwrap().into_iter().map(|found| found.rule).collect()
}

/// What breaks at both levels together.
fn broken(old: &FileDescriptorSet, new: &FileDescriptorSet) -> BTreeSet<Rule> {
    let mut both = at(Level::Wire, old, new);
    both.extend(at(Level::WireJson, old, new));
    both
}

/// Exactly these break, each at its own levels only.
fn breaks_set(old: &FileDescriptorSet, new: &FileDescriptorSet, rules: &[Rule]) {
    for level in [Level::Wire, Level::WireJson] {
        let expected: BTreeSet<Rule> =
            rules.iter().copied().filter(|rule| rule.is_of(level)).collect();
        assert_eq!(at(level, old, new), expected, "at {level:?}");
    }
}

fn breaks(old: &str, new: &str, rules: &[Rule]) {
    breaks_set(&proto3(old), &proto3(new), rules);
}

fn fine(old: &str, new: &str) {
    breaks(old, new, &[]);
}

/// A message with one field.
fn field(field: &str) -> FileDescriptorSet {
    proto3(&format!(
        "message M {{ {field} }} message A {{}} message B {{}}
         enum E {{ Z = 0; O = 1; }} enum F {{ Y = 0; }}
         message In {{ enum E {{ Z = 0; O = 1; T = 2; }} }}
         message Less {{ enum E {{ Z = 0; }} }}"
    ))
}

fn field_breaks(old: &str, new: &str, rules: &[Rule]) {
    breaks_set(&field(old), &field(new), rules);
}

#[test]
fn the_levels_have_the_rules_that_buf_gives_them() {
    let of = |level| -> Vec<&str> {
        Rule::ALL.iter().filter(|rule| rule.is_of(level)).map(|rule| rule.name()).collect()
    };
    let wire = [
        "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED",
        "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED",
        "FIELD_SAME_DEFAULT",
        "FIELD_SAME_ONEOF",
        "FIELD_WIRE_COMPATIBLE_CARDINALITY",
        "FIELD_WIRE_COMPATIBLE_TYPE",
        "FILE_SAME_PACKAGE",
        "MESSAGE_SAME_REQUIRED_FIELDS",
        "RESERVED_ENUM_NO_DELETE",
        "RESERVED_MESSAGE_NO_DELETE",
        "RPC_SAME_CLIENT_STREAMING",
        "RPC_SAME_IDEMPOTENCY_LEVEL",
        "RPC_SAME_REQUEST_TYPE",
        "RPC_SAME_RESPONSE_TYPE",
        "RPC_SAME_SERVER_STREAMING",
    ];
    assert_eq!(of(Level::Wire), wire);
    let json = [
        "ENUM_SAME_JSON_FORMAT",
        "ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED",
        "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED",
        "ENUM_VALUE_SAME_NAME",
        "FIELD_NO_DELETE_UNLESS_NAME_RESERVED",
        "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED",
        "FIELD_SAME_DEFAULT",
        "FIELD_SAME_JSON_NAME",
        "FIELD_SAME_NAME",
        "FIELD_SAME_ONEOF",
        "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
        "FIELD_WIRE_JSON_COMPATIBLE_TYPE",
        "FILE_SAME_PACKAGE",
        "MESSAGE_SAME_JSON_FORMAT",
        "MESSAGE_SAME_REQUIRED_FIELDS",
        "RESERVED_ENUM_NO_DELETE",
        "RESERVED_MESSAGE_NO_DELETE",
        "RPC_SAME_CLIENT_STREAMING",
        "RPC_SAME_IDEMPOTENCY_LEVEL",
        "RPC_SAME_REQUEST_TYPE",
        "RPC_SAME_RESPONSE_TYPE",
        "RPC_SAME_SERVER_STREAMING",
    ];
    assert_eq!(of(Level::WireJson), json);
    assert_eq!(Rule::FieldSameOneof.to_string(), "FIELD_SAME_ONEOF");
}

#[test]
fn additions_and_what_is_gone_as_a_whole_break_nothing() {
    fine(
        "message M { int32 a = 1; } enum E { Z = 0; } service S { rpc R(M) returns (M); rpc Q(M) returns (M); }
         service T {} message N {} enum F { Y = 0; }",
        "message M { int32 a = 1; int32 b = 2; reserved 7; } enum E { Z = 0; O = 1; }
         message New { M m = 1; } service S { rpc R(M) returns (M); rpc P(M) returns (M); }",
    );
}

#[test]
fn enum_same_json_format() {
    let (two, three) = (proto2("enum E { Z = 0; }"), proto3("enum E { Z = 0; }"));
    breaks_set(&three, &two, &[Rule::EnumSameJsonFormat]);
    breaks_set(&two, &three, &[]);
}

#[test]
fn message_same_json_format() {
    let (two, three) = (proto2("message M {}"), proto3("message M {}"));
    breaks_set(&three, &two, &[Rule::MessageSameJsonFormat]);
    breaks_set(&two, &three, &[]);
}

#[test]
fn enum_value_no_delete_unless_number_reserved() {
    let old = "enum E { Z = 0; O = 1; }";
    let rule = Rule::EnumValueNoDeleteUnlessNumberReserved;
    breaks(old, "enum E { Z = 0; reserved \"O\"; }", &[rule]);
    breaks(old, "enum E { Z = 0; reserved \"O\"; reserved 2 to 9; }", &[rule]);
    fine(old, "enum E { Z = 0; reserved \"O\"; reserved 1 to 3; }");
}

#[test]
fn enum_value_no_delete_unless_name_reserved() {
    let old = "enum E { option allow_alias = true; Z = 0; O = 1; ONE = 1; }";
    let rule = Rule::EnumValueNoDeleteUnlessNameReserved;
    breaks(old, "enum E { Z = 0; reserved 1; }", &[rule]);
    breaks(old, "enum E { Z = 0; reserved 1; reserved \"O\"; }", &[rule]);
    fine(old, "enum E { Z = 0; reserved 1; reserved \"O\", \"ONE\"; }");
}

#[test]
fn enum_value_same_name() {
    let alias = "enum E { option allow_alias = true; Z = 0; O = 1; ONE = 1; }";
    let one = "enum E { Z = 0; O = 1; }";
    breaks(one, "enum E { Z = 0; N = 1; }", &[Rule::EnumValueSameName]);
    breaks(alias, one, &[Rule::EnumValueSameName]);
    fine(one, alias);
}

#[test]
fn field_no_delete_unless_number_reserved() {
    let rule = Rule::FieldNoDeleteUnlessNumberReserved;
    field_breaks("int32 a = 5;", "reserved \"a\";", &[rule]);
    field_breaks("int32 a = 5;", "reserved \"a\"; reserved 6 to 9;", &[rule]);
    field_breaks("int32 a = 5;", "reserved \"a\"; reserved 1 to 5;", &[]);
}

#[test]
fn field_no_delete_unless_name_reserved() {
    let rule = Rule::FieldNoDeleteUnlessNameReserved;
    field_breaks("int32 a = 5;", "reserved 5;", &[rule]);
    field_breaks("int32 a = 5;", "reserved 5; reserved \"b\";", &[rule]);
    field_breaks("int32 a = 5;", "reserved 5; reserved \"b\", \"a\";", &[]);
}

#[test]
fn field_same_default() {
    let of = |field: &str| proto2(&format!("message M {{ {field} }} enum E {{ Z = 0; O = 1; }}"));
    let changes = [
        ("optional int32 a = 1 [default = 5];", "optional int32 a = 1 [default = 6];", true),
        ("optional int32 a = 1 [default = 5];", "optional int32 a = 1;", true),
        ("optional string a = 1;", "optional string a = 1 [default = \"x\"];", true),
        ("optional E a = 1 [default = O];", "optional E a = 1;", true),
        ("optional E a = 1 [default = Z];", "optional E a = 1;", false),
        ("optional int32 a = 1 [default = 0];", "optional int32 a = 1;", false),
        ("optional bool a = 1 [default = false];", "optional bool a = 1;", false),
        ("optional int32 a = 1 [default = 5];", "optional int32 a = 1 [default = 5];", false),
    ];
    for (old, new, breaks) in changes {
        let rules: &[Rule] = if breaks { &[Rule::FieldSameDefault] } else { &[] };
        breaks_set(&of(old), &of(new), rules);
    }
}

#[test]
fn field_same_name() {
    let name = "int32 b = 1 [json_name = \"a\"];";
    field_breaks("int32 a = 1;", name, &[Rule::FieldSameName]);
    field_breaks(name, name, &[]);
    field_breaks("int32 a = 1;", "int32 b = 1;", &[Rule::FieldSameName, Rule::FieldSameJsonName]);
    let map = [Rule::FieldSameName, Rule::FieldSameJsonName];
    field_breaks("map<int32, A> a = 1;", "map<int32, A> b = 1;", &map);
}

#[test]
fn field_same_json_name() {
    let rule = Rule::FieldSameJsonName;
    field_breaks("int32 a_b = 1;", "int32 a_b = 1 [json_name = \"x\"];", &[rule]);
    field_breaks("int32 a_b = 1;", "int32 a_b = 1 [json_name = \"aB\"];", &[]);
}

#[test]
fn field_same_oneof() {
    let rule = Rule::FieldSameOneof;
    let (alone, inside) = ("int32 a = 1;", "oneof o { int32 a = 1; }");
    field_breaks(alone, inside, &[rule]);
    field_breaks(inside, alone, &[rule]);
    field_breaks(inside, "oneof p { int32 a = 1; }", &[rule]);
    field_breaks(inside, "oneof o { int32 b = 2; int32 a = 1; }", &[]);
    // The oneof of an `optional` is nobody's.
    field_breaks(alone, "optional int32 a = 1;", &[]);
}

#[test]
fn field_wire_compatible_cardinality() {
    let both = [Rule::FieldWireCompatibleCardinality, Rule::FieldWireJsonCompatibleCardinality];
    field_breaks("int32 a = 1;", "repeated int32 a = 1;", &both);
    field_breaks("repeated A a = 1;", "A a = 1;", &both);
    field_breaks("optional A a = 1;", "A a = 1;", &[]);
    field_breaks("repeated int32 a = 1;", "repeated int32 a = 1 [packed = false];", &[]);
    let of = |label: &str| proto2(&format!("message M {{ {label} int32 a = 1; }}"));
    let required = [both[0], both[1], Rule::MessageSameRequiredFields];
    breaks_set(&of("optional"), &of("required"), &required);
    breaks_set(&of("required"), &of("required"), &[]);
}

#[test]
fn field_wire_json_compatible_cardinality() {
    // On the wire a map is a repeated message of this shape; in JSON it is not.
    let map = proto3("message M { map<int32, int32> a = 1; }");
    let list = proto3(
        "message M { repeated AEntry a = 1; message AEntry { int32 key = 1; int32 value = 2; } }",
    );
    breaks_set(&map, &list, &[Rule::FieldWireJsonCompatibleCardinality]);
    breaks_set(&list, &map, &[Rule::FieldWireJsonCompatibleCardinality]);
    breaks_set(&list, &list, &[]);
}

/// All types, in groups within which a change is fine.
fn groups(level: Level) -> Vec<Vec<&'static str>> {
    let mut groups = match level {
        Level::Wire => {
            vec![vec!["int32", "int64", "uint32", "uint64", "bool"], vec!["sint32", "sint64"]]
        }
        Level::WireJson => vec![
            vec!["int32", "uint32"],
            vec!["int64", "uint64"],
            vec!["bool"],
            vec!["sint32"],
            vec!["sint64"],
        ],
    };
    groups.extend([
        vec!["fixed32", "sfixed32"],
        vec!["fixed64", "sfixed64"],
        vec!["float"],
        vec!["double"],
        vec!["string"],
        vec!["bytes"],
        vec!["E"],
        vec!["F"],
        vec!["A"],
        vec!["B"],
    ]);
    groups
}

fn types_at(level: Level, rule: Rule) {
    let groups = groups(level);
    let types = groups
        .iter()
        .enumerate()
        .flat_map(|(group, types)| types.iter().map(move |kind| (group, *kind)));
    let types: Vec<_> = types.collect();
    let set = |kind: &str| field(&format!("{kind} a = 1; map<string, {kind}> m = 2;"));
    for (old_group, old) in &types {
        for (new_group, new) in &types {
            let evolves = level == Level::Wire && (*old, *new) == ("string", "bytes");
            let found = breaking(&set(old), &set(new), level).unwrap();
            let fine = old_group == new_group || evolves;
            assert_eq!(found.is_empty(), fine, "{old} -> {new}: {found:?}");
            assert!(found.iter().all(|found| found.rule == rule), "{old} -> {new}: {found:?}");
            if !fine {
                let elements: Vec<_> = found.iter().map(|found| found.element.as_str()).collect();
                assert_eq!(elements, ["a.v1.M.MEntry.value", "a.v1.M.a"], "{old} -> {new}");
            }
        }
    }
}

#[test]
fn field_wire_compatible_type() {
    types_at(Level::Wire, Rule::FieldWireCompatibleType);
}

#[test]
fn field_wire_json_compatible_type() {
    types_at(Level::WireJson, Rule::FieldWireJsonCompatibleType);
}

#[test]
fn an_enum_that_was_moved_and_has_grown_is_the_same_type() {
    let both = [Rule::FieldWireCompatibleType, Rule::FieldWireJsonCompatibleType];
    field_breaks("E e = 1;", "In.E e = 1;", &[]);
    field_breaks("E e = 1;", "Less.E e = 1;", &both);
    field_breaks("E e = 1;", "F e = 1;", &both);
}

#[test]
fn file_same_package() {
    let of = |package: &str| {
        compile(&[("a.proto", &format!("syntax = \"proto3\"; package {package};"))])
    };
    breaks_set(&of("a.v1"), &of("a.v2"), &[Rule::FileSamePackage]);
    breaks_set(&of("a.v1"), &of("a.v1"), &[]);
}

#[test]
fn message_same_required_fields() {
    let rule = Rule::MessageSameRequiredFields;
    let none = proto2("message M { reserved 1; reserved \"a\"; }");
    let one = proto2("message M { required int32 a = 1; }");
    let less = [rule];
    breaks_set(&one, &none, &less);
    let empty = proto2("message M {}");
    breaks_set(&empty, &one, &[rule]);
    breaks_set(&one, &one, &[]);
    breaks_set(&empty, &proto2("message M { optional int32 a = 1; }"), &[]);
}

#[test]
fn reserved_enum_no_delete() {
    let old = "enum E { Z = 0; reserved 3 to 6, -1; reserved \"A\", \"B\"; }";
    let rule = Rule::ReservedEnumNoDelete;
    breaks(old, "enum E { Z = 0; reserved 3 to 5, -1; reserved \"A\", \"B\"; }", &[rule]);
    breaks(old, "enum E { Z = 0; reserved 3 to 6, -1; reserved \"A\"; }", &[rule]);
    fine(
        old,
        "enum E { Z = 0; reserved -5 to -1, 2 to 4, 5 to max; reserved \"C\", \"B\", \"A\"; }",
    );
}

#[test]
fn reserved_message_no_delete() {
    let old = "message M { reserved 3 to 6, 9; reserved \"a\", \"b\"; }";
    let rule = Rule::ReservedMessageNoDelete;
    breaks(old, "message M { reserved 3 to 5, 9; reserved \"a\", \"b\"; }", &[rule]);
    breaks(old, "message M { reserved 3 to 6; reserved \"a\", \"b\"; }", &[rule]);
    breaks(old, "message M { reserved 3 to 6, 9; reserved \"a\"; }", &[rule]);
    breaks(old, "message M { int32 a = 9; reserved 3 to 6; reserved \"b\"; }", &[rule]);
    fine(old, "message M { reserved 5 to max, 2, 3, 4; reserved \"b\", \"a\", \"c\"; }");
}

/// A service with one method.
fn rpc(method: &str) -> FileDescriptorSet {
    proto3(&format!("message A {{}} message B {{}} service S {{ {method} }}"))
}

#[test]
fn rpc_same_request_type() {
    let old = rpc("rpc R(A) returns (A);");
    breaks_set(&old, &rpc("rpc R(B) returns (A);"), &[Rule::RpcSameRequestType]);
    breaks_set(&old, &rpc("rpc R(A) returns (A) { option deprecated = true; }"), &[]);
}

#[test]
fn rpc_same_response_type() {
    let old = rpc("rpc R(A) returns (A);");
    breaks_set(&old, &rpc("rpc R(A) returns (B);"), &[Rule::RpcSameResponseType]);
    breaks_set(&old, &rpc("rpc Q(A) returns (B); rpc R(A) returns (A);"), &[]);
}

#[test]
fn rpc_same_client_streaming() {
    let (one, many) = (rpc("rpc R(A) returns (A);"), rpc("rpc R(stream A) returns (A);"));
    breaks_set(&one, &many, &[Rule::RpcSameClientStreaming]);
    breaks_set(&many, &one, &[Rule::RpcSameClientStreaming]);
    breaks_set(&many, &many, &[]);
}

#[test]
fn rpc_same_server_streaming() {
    let (one, many) = (rpc("rpc R(A) returns (A);"), rpc("rpc R(A) returns (stream A);"));
    breaks_set(&one, &many, &[Rule::RpcSameServerStreaming]);
    breaks_set(&many, &one, &[Rule::RpcSameServerStreaming]);
    breaks_set(&many, &many, &[]);
}

#[test]
fn rpc_same_idempotency_level() {
    let of = |level: &str| {
        rpc(&format!("rpc R(A) returns (A) {{ option idempotency_level = {level}; }}"))
    };
    let rule = Rule::RpcSameIdempotencyLevel;
    breaks_set(&of("IDEMPOTENT"), &of("NO_SIDE_EFFECTS"), &[rule]);
    breaks_set(&of("IDEMPOTENT"), &rpc("rpc R(A) returns (A);"), &[rule]);
    breaks_set(&of("IDEMPOTENCY_UNKNOWN"), &rpc("rpc R(A) returns (A);"), &[]);
}

#[test]
fn what_breaks_is_told_where_and_how() {
    let old = field("message Deep { repeated sint64 ids = 3; }");
    let new = field("message Deep { repeated string ids = 3; }");
    let found = breaking(&old, &new, Level::Wire).unwrap().remove(0);
    assert_eq!(found.file, "a.proto");
    assert_eq!(found.element, "a.v1.M.Deep.ids");
    assert_eq!(found.message, "its type changed from sint64 to string");
    assert_eq!(broken(&old, &new).len(), 2);
}
