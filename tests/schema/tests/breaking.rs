//! What breaks between two schemas, by the pairs in the folder `pairs`, and how it is told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use mdp_schema::{Comparison, Level, Rule, SchemaError, compare};
use test_schema::{Pair, pair, pairs, proto2, proto3};

const LEVELS: [(Level, &str); 2] = [(Level::Wire, "wire"), (Level::WireJson, "wire-json")];

fn found(pair: &Pair, level: Level) -> Comparison {
    compare(&pair.old, &pair.new, level, &pair.files).unwrap()
}

/// Lines `RULE ELEMENT`.
fn breaks(pair: &Pair, level: Level) -> Vec<String> {
    let breaking = found(pair, level).breaking;
    let mut lines: Vec<_> =
        breaking.iter().map(|found| format!("{} {}", found.rule, found.element)).collect();
    lines.sort();
    lines
}

#[test]
fn each_pair_breaks_what_it_says_and_nothing_else() {
    let mut faults = String::new();
    for pair in pairs().iter().filter(|pair| pair.types.is_empty()) {
        for (level, name) in LEVELS {
            let of_level = |line: &&String| {
                let rule = line.split(' ').next().unwrap();
                let known = Rule::ALL.iter().find(|known| known.name() == rule);
                known.unwrap_or_else(|| panic!("{}: no rule {rule}", pair.name)).is_of(level)
            };
            let mut expected: Vec<String> = pair.breaks.iter().filter(of_level).cloned().collect();
            expected.sort();
            let said = breaks(pair, level);
            if said != expected {
                faults += &format!("{} {name}: {said:#?} is not {expected:#?}\n", pair.name);
            }
            let notes = found(pair, level).notes;
            let said: Vec<_> =
                notes.iter().map(|note| format!("{name} {}", note.element)).collect();
            let expected: Vec<_> =
                pair.notes.iter().filter(|it| it.starts_with(&format!("{name} "))).collect();
            if said.iter().collect::<Vec<_>>() != expected {
                faults += &format!("{} {name}: notes {said:#?}, not {expected:#?}\n", pair.name);
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn each_rule_is_broken_by_a_pair() {
    let mut open: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    for pair in pairs() {
        for line in &pair.breaks {
            open.remove(line.split(' ').next().unwrap());
        }
    }
    assert_eq!(open, BTreeSet::new());
}

#[test]
fn a_schema_breaks_nothing_of_itself() {
    for pair in pairs() {
        for (level, _) in LEVELS {
            for set in [&pair.old, &pair.new] {
                let found = compare(set, set, level, &pair.files).unwrap();
                assert_eq!(found, Comparison::default(), "{}", pair.name);
            }
        }
    }
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
        "PACKAGE_SERVICE_NO_DELETE",
        "RESERVED_ENUM_NO_DELETE",
        "RESERVED_MESSAGE_NO_DELETE",
        "RPC_NO_DELETE",
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
        "PACKAGE_SERVICE_NO_DELETE",
        "RESERVED_ENUM_NO_DELETE",
        "RESERVED_MESSAGE_NO_DELETE",
        "RPC_NO_DELETE",
        "RPC_SAME_CLIENT_STREAMING",
        "RPC_SAME_IDEMPOTENCY_LEVEL",
        "RPC_SAME_REQUEST_TYPE",
        "RPC_SAME_RESPONSE_TYPE",
        "RPC_SAME_SERVER_STREAMING",
    ];
    assert_eq!(of(Level::WireJson), json);
    assert_eq!(Rule::FieldSameOneof.to_string(), "FIELD_SAME_ONEOF");
}

/// The types within which a change is fine, at a level.
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
        vec!["A"],
        vec!["B"],
    ]);
    groups
}

#[test]
fn each_type_becomes_each_other_type() {
    let pair = pair("types");
    assert_eq!(pair.types.len(), groups(Level::Wire).concat().len());
    let rules = [Rule::FieldWireCompatibleType, Rule::FieldWireJsonCompatibleType];
    for ((level, _), rule) in LEVELS.into_iter().zip(rules) {
        let groups = groups(level);
        let group = |kind: &str| groups.iter().position(|group| group.contains(&kind)).unwrap();
        let mut expected = Vec::new();
        for old in &pair.types {
            for new in &pair.types {
                let evolves = level == Level::Wire && (old == "string" && new == "bytes");
                if group(old) != group(new) && !evolves {
                    for field in [format!("{old}_to_{new}"), format!("map_{old}_to_{new}")] {
                        expected.push(format!("{rule} a.v1.Matrix.{field}"));
                    }
                }
            }
        }
        expected.sort();
        assert_eq!(breaks(&pair, level), expected);
    }
}

/// The first sentence that a pair gets at a level.
fn told(name: &str, level: Level, element: &str) -> String {
    let found = found(&pair(name), level);
    let mut told = found.breaking.into_iter().filter(|found| found.element == element);
    told.next().unwrap().message
}

fn noted(name: &str, level: Level, element: &str) -> String {
    let notes = found(&pair(name), level).notes;
    notes.into_iter().find(|note| note.element == element).unwrap().message
}

#[test]
fn what_breaks_is_told_where_and_how() {
    let old = proto3("message M { message Deep { repeated sint64 ids = 3; } Deep d = 1; }");
    let new = proto3("message M { message Deep { repeated string ids = 3; } Deep d = 1; }");
    let found = compare(&old, &new, Level::Wire, &[]).unwrap().breaking.remove(0);
    assert_eq!(found.file, "a.proto");
    assert_eq!(found.element, "a.v1.M.Deep.ids");
    assert_eq!(found.message, "its type changed from sint64 to string");
}

#[test]
fn callers_learn_what_they_will_get() {
    let method = told("rpc_gone", Level::Wire, "a.v1.S/Q");
    assert_eq!(method, "the method is gone: its callers get UNIMPLEMENTED");
    let service = told("service_gone", Level::Wire, "a.v1.T");
    assert_eq!(service, "the service is gone: its callers get UNAVAILABLE, NO_SERVICE");
    let found = found(&pair("service_gone"), Level::Wire).breaking.remove(0);
    assert_eq!(found.file, "a.proto");
}

#[test]
fn a_map_is_named_as_it_is_written() {
    let told = told("map_to_other_pairs", Level::Wire, "a.v1.M.to");
    let words = "its type changed from map<string, int32> to message a.v1.Pair; `a.v1.M.ToEntry.value`: \
                 its type changed from int32 to string";
    assert_eq!(told, words);
    let other = self::told("map_to_other_pairs", Level::Wire, "a.v1.M.other");
    assert_eq!(other, "its type changed from map<string, int32> to map<int32, int32>");
}

#[test]
fn a_required_field_is_told_by_one_line_that_is_true() {
    let of = |name| told(name, Level::Wire, "a.v1.M");
    assert_eq!(of("required_to_optional"), "the field 1 `a` is no longer required");
    assert_eq!(of("optional_to_required"), "the field 1 `a` is required now");
    assert_eq!(of("required_gone"), "the required field 1 `a` is gone");
    assert_eq!(of("required_new"), "the required field 1 `a` is new");
}

#[test]
fn another_name_with_the_same_bytes_is_told_as_such() {
    let name = "message_of_the_same_bytes";
    let words = "its type is `a.v1.B` now, in place of `a.v1.A`; the bytes are the same";
    assert_eq!(noted(name, Level::Wire, "a.v1.M.a"), words);
    let words = "the type of its requests is `a.v1.B` now, in place of `a.v1.A`; \
                 the bytes and the JSON are the same";
    assert_eq!(noted(name, Level::WireJson, "a.v1.S/R"), words);
    let grown = noted("message_that_has_grown", Level::Wire, "a.v1.M.a");
    assert!(grown.ends_with("; the bytes are compatible"), "{grown}");
    let json = told("message_of_the_same_bytes_with_other_names", Level::WireJson, "a.v1.M.a");
    let words = "its type changed from message a.v1.A to message a.v1.B; \
                 `a.v1.A.x`: the field 1 is called `y` now";
    assert_eq!(json, words);
    let deep = told("message_of_other_bytes", Level::Wire, "a.v1.S/R");
    let words = "the type of its replies changed from `a.v1.A` to `a.v1.B`; \
                 `a.v1.A2.z`: its type changed from int32 to string";
    assert_eq!(deep, words);
}

#[test]
fn lists_are_told_with_what_happens_to_their_values() {
    let told = |pair, element| told(pair, Level::Wire, element);
    let words = "it was repeated, and is single now: of several values one is left";
    assert_eq!(told("repeated_to_single", "a.v1.M.text"), words);
    let words =
        "it was repeated, and is single now, which does not read the packed form of the old schema";
    assert_eq!(told("repeated_to_single", "a.v1.M.number"), words);
    let words = "it was single, and is repeated now, in a packed form that programs of the old schema do not read";
    assert_eq!(told("single_to_repeated", "a.v1.M.number"), words);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let set = proto3("message M {}");
    let error = compare(&set, &set, Level::Wire, &["b.proto".to_owned()]).unwrap_err();
    assert_eq!(error, SchemaError::NoFile("b.proto".to_owned()));
    let words = "neither schema has the file `b.proto`; write its name as `import` does";
    assert_eq!(error.to_string(), words);
}

/// `google.protobuf` changes with the compiler.
#[test]
fn googles_types_do_not_count() {
    let of = |text: &str| {
        let mut set = proto3(
            "message M { google.protobuf.Timestamp t = 1; }"
                .replace("message M", "import \"google/protobuf/timestamp.proto\"; message M")
                .as_str(),
        );
        let file = set.file.iter_mut().find(|file| file.name().starts_with("google/")).unwrap();
        file.message_type[0].field[0].name = Some(text.to_owned());
        file.message_type[0].field[0].r#type = Some(9);
        set
    };
    let changed = of("other");
    let plain = proto3(
        "import \"google/protobuf/timestamp.proto\"; message M { google.protobuf.Timestamp t = 1; }",
    );
    for (level, _) in LEVELS {
        let found = compare(&plain, &changed, level, &[]).unwrap();
        assert_eq!(found, Comparison::default());
    }
}

/// A compiler may leave imports out; what they declare is not known then.
#[test]
fn what_a_schema_lacks_is_compared_by_name() {
    let of = |kind: &str| {
        let mut set = proto2(&format!(
            "message M {{ optional {kind} a = 1; }} message A {{}} message B {{}}"
        ));
        set.file[0].message_type.truncate(1);
        set
    };
    let found = compare(&of("A"), &of("A"), Level::Wire, &[]).unwrap();
    assert_eq!(found, Comparison::default());
    let found = compare(&of("A"), &of("B"), Level::Wire, &[]).unwrap().breaking;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "its type changed from message a.v1.A to message a.v1.B");
}

/// No compiler makes such descriptors, but somebody may send them.
#[test]
fn descriptors_of_no_compiler_end_too() {
    let mut set = proto3("message M { map<string, M> m = 1; }");
    let entry = &mut set.file[0].message_type[0].nested_type[0];
    entry.field[1].type_name = Some(".a.v1.M.MEntry".to_owned());
    let mut other = set.clone();
    other.file[0].message_type[0].nested_type[0].name = Some("Other".to_owned());
    other.file[0].message_type[0].field[0].type_name = Some(".a.v1.M.Other".to_owned());
    other.file[0].message_type[0].nested_type[0].field[1].type_name =
        Some(".a.v1.M.Other".to_owned());
    compare(&set, &set, Level::Wire, &[]).unwrap();
    compare(&set, &other, Level::Wire, &[]).unwrap();
}

/// A package of thousands of messages that gets another name is compared in a moment.
#[test]
fn a_large_schema_under_other_names_takes_no_square_of_time() {
    let of = |prefix: &str| {
        let mut text = String::new();
        for at in 0..1500 {
            let next = (at + 1) % 1500;
            text += &format!("message {prefix}{at} {{ {prefix}{next} a = 1; {prefix}0 b = 2; }}\n");
        }
        let users: String =
            (0..1500).map(|at| format!("{prefix}{at} f{at} = {};\n", at + 1)).collect();
        proto3(&format!("{text} message M {{ {users} }} service S {{ rpc R(M) returns (M); }}"))
    };
    let (old, new) = (of("Old"), of("New"));
    let began = std::time::Instant::now();
    let found = compare(&old, &new, Level::Wire, &[]).unwrap();
    assert_eq!((found.breaking.len(), found.notes.len()), (0, 1500));
    let took = began.elapsed();
    println!("{took:?}");
    assert!(took.as_secs() < 30, "{took:?}");
}
