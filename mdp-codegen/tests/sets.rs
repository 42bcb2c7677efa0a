//! Sets of descriptors: those of our own schemas, of `protoc`, and broken ones.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::Project;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MessageOptions, MethodDescriptorProto,
    OneofDescriptorProto, ServiceDescriptorProto,
};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn field(name: &str, number: i32, of: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: some(name),
        number: Some(number),
        label: Some(Label::Optional as i32),
        r#type: Some(of as i32),
        ..FieldDescriptorProto::default()
    }
}

fn message(name: &str, field: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto { name: some(name), field, ..DescriptorProto::default() }
}

fn set(messages: Vec<DescriptorProto>) -> FileDescriptorSet {
    let file = FileDescriptorProto {
        name: some("a.proto"),
        package: some("a"),
        syntax: some("proto3"),
        message_type: messages,
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }
}

#[track_caller]
fn problems(set: FileDescriptorSet) -> Vec<String> {
    let project = Project::new(&[]);
    let error = project.builder().compile_fds(set).unwrap_err();
    assert_eq!(project.files(), [""; 0], "something was written");
    error.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn the_schema_of_a_service_is_a_set() {
    let proto = "syntax = \"proto3\";\npackage a;\n// A message.\nmessage M { int32 a = 1; // A field.\n }\n\
                 message Bare { oneof of { M m = 1; string t = 2; } enum E { ZERO = 0; } E e = 3; }\n\
                 // A service.\nservice S { rpc Do(M) returns (Bare); }\n";
    let project = Project::new(&[("a.proto", proto)]);
    let set = protox::compile(["a.proto"], [project.protos()]).unwrap();
    // It has positions of what has a comment, and no others.
    let schema = mdp_schema::service(&set, "a.S").unwrap();
    project
        .builder()
        .compile_fds(FileDescriptorSet::decode(schema.to_bytes().as_slice()).unwrap())
        .unwrap();
    let code = project.read("a.rs");
    for comment in ["/// A message.", "/// A field.", "/// A service."] {
        assert!(code.contains(comment), "{comment} is not in:\n{code}");
    }
}

#[test]
fn what_no_parser_writes() {
    let entry = |fields| DescriptorProto {
        options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
        ..message("XEntry", fields)
    };
    let with_entry = |fields| DescriptorProto {
        nested_type: vec![entry(fields)],
        ..message(
            "M",
            vec![FieldDescriptorProto {
                label: Some(Label::Repeated as i32),
                type_name: some(".a.M.XEntry"),
                ..field("x", 1, Type::Message)
            }],
        )
    };
    let untyped = FieldDescriptorProto { r#type: None, ..field("f", 1, Type::Bool) };
    let typed =
        |name: &str, of| FieldDescriptorProto { type_name: some(name), ..field("f", 1, of) };
    for (broken, expected) in [
        (message("", Vec::new()), "a.proto: a message has no name"),
        (message("a-b", Vec::new()), "a.proto: \"a-b\" is no name for a message"),
        (message("M", vec![field("", 1, Type::Bool)]), "a.proto: a field has no name"),
        (message("M", vec![untyped]), "a.proto: field `f` has no type"),
        (
            message("M", vec![typed("M", Type::Message)]),
            "a.proto: field `f` has the type \"M\", which is not a full name with a dot in front",
        ),
        (
            message("M", vec![typed(".a.N", Type::Message)]),
            "a.proto: field `f` has the type `a.N`, which is not defined",
        ),
        (
            message("M", vec![typed(".a.M", Type::Enum)]),
            "a.proto: field `f` has the type `a.M`, which is no enum",
        ),
        (
            message("M", vec![typed(".a.M", Type::Bool)]),
            "a.proto: field `f` is no message and no enum, but has the type `.a.M`",
        ),
        (
            with_entry(vec![field("key", 1, Type::Int32)]),
            "a.proto: `XEntry` is the entry of a map, and must have just the fields `key = 1` and `value = 2`",
        ),
        (
            with_entry(vec![field("value", 2, Type::Int32), field("key", 1, Type::Int32)]),
            "a.proto: `XEntry` is the entry of a map, and must have just the fields `key = 1` and `value = 2`",
        ),
        (
            DescriptorProto {
                oneof_decl: vec![OneofDescriptorProto { name: some("of"), options: None }],
                ..message("M", Vec::new())
            },
            "a.proto: the oneof `of` has no field",
        ),
        (
            message(
                "M",
                vec![FieldDescriptorProto { oneof_index: Some(-1), ..field("f", 1, Type::Bool) }],
            ),
            "a.proto: field `f` is in a oneof that is not there",
        ),
        (
            DescriptorProto {
                enum_type: vec![EnumDescriptorProto {
                    name: some("E"),
                    ..EnumDescriptorProto::default()
                }],
                ..message("M", Vec::new())
            },
            "a.proto: the enum `E` has no value",
        ),
    ] {
        assert_eq!(problems(set(vec![broken])), [expected]);
    }
    let mut deep = message("M", Vec::new());
    for _ in 0..80 {
        deep = DescriptorProto { nested_type: vec![deep], ..message("M", Vec::new()) };
    }
    // prost decodes a hundred messages in each other, and no more.
    assert!(
        !problems(set(vec![DescriptorProto { nested_type: vec![deep; 1], ..message("", vec![]) }]))
            .is_empty()
    );
}

#[test]
fn services_and_files() {
    let method = |input: &str| MethodDescriptorProto {
        name: some("Do"),
        input_type: some(input),
        output_type: some(".a.M"),
        ..MethodDescriptorProto::default()
    };
    let mut broken = set(vec![message("M", Vec::new())]);
    broken.file[0].service = vec![ServiceDescriptorProto {
        name: some("S"),
        method: vec![method("M"), method(".a.M")],
        options: None,
    }];
    assert_eq!(
        problems(broken),
        [
            "a.proto: method `Do` has the type \"M\", which is not a full name with a dot in front",
            "a.proto: method `Do` is declared twice"
        ]
    );
    let mut twice = set(Vec::new());
    twice.file.push(twice.file[0].clone());
    twice.file.push(FileDescriptorProto::default());
    assert_eq!(
        problems(twice),
        [
            "file 3 of the set of descriptors has no name",
            "a.proto: the set has two files with this name"
        ]
    );
    let mut package = set(Vec::new());
    package.file[0].package = some("a..b");
    assert_eq!(problems(package), ["a.proto: \"a..b\" is no name of a package"]);
    let mut syntax = set(Vec::new());
    syntax.file[0].syntax = some("proto4");
    assert_eq!(problems(syntax), ["a.proto: the syntax \"proto4\" is not known"]);
    let mut edition = set(Vec::new());
    edition.file[0].syntax = some("editions");
    assert!(problems(edition)[0].contains("compile_encoded_fds"));
}

#[test]
fn a_panic_of_a_library_is_a_problem_of_its_file() {
    // prost-build reads octal numbers into a byte, and this one is larger.
    let value = FieldDescriptorProto { default_value: some("\\777"), ..field("f", 1, Type::Bytes) };
    let mut broken = set(vec![message("M", vec![value])]);
    broken.file[0].syntax = None;
    broken.file[0].name = some("broken.proto");
    for (number, at) in [(0, "first.proto"), (2, "last.proto")] {
        let mut file =
            set(vec![message(if number == 0 { "A" } else { "Z" }, Vec::new())]).file.remove(0);
        file.name = some(at);
        broken.file.insert(number, file);
    }
    let problems = problems(broken);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("broken.proto"), "{problems:?}");
}

#[test]
fn bytes_that_are_no_set() {
    let project = Project::new(&[]);
    let error = project.builder().compile_encoded_fds(b"\xff\xff").unwrap_err();
    let text = error.problems()[0].to_string();
    assert!(text.starts_with("the bytes are no google.protobuf.FileDescriptorSet ("), "{text}");
}

#[test]
fn files_need_no_order() {
    let mut user = set(vec![message(
        "U",
        vec![FieldDescriptorProto { type_name: some(".a.M"), ..field("f", 1, Type::Message) }],
    )]);
    user.file[0].name = some("user.proto");
    user.file[0].dependency = vec!["a.proto".to_owned()];
    user.file.extend(set(vec![message("M", Vec::new())]).file);
    let project = Project::new(&[]);
    project.builder().compile_fds(user).unwrap();
    assert_eq!(project.code(), ["a.rs"]);
}

#[test]
fn an_edition_in_descriptors() {
    // What protoc writes: the edition, and the features as options, which prost's types do not have.
    #[derive(Clone, PartialEq, Message)]
    struct File {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        package: String,
        #[prost(message, repeated, tag = "4")]
        messages: Vec<Record>,
        #[prost(string, tag = "12")]
        syntax: String,
        #[prost(int32, tag = "14")]
        edition: i32,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Record {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, repeated, tag = "2")]
        fields: Vec<Field>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Field {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(int32, tag = "3")]
        number: i32,
        #[prost(int32, tag = "4")]
        label: i32,
        #[prost(int32, tag = "5")]
        of: i32,
        #[prost(message, optional, tag = "8")]
        options: Option<Options>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Options {
        #[prost(message, optional, tag = "21")]
        features: Option<Features>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Features {
        #[prost(int32, tag = "1")]
        field_presence: i32,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Set {
        #[prost(message, repeated, tag = "1")]
        file: Vec<File>,
    }
    let field = |name: &str, number, presence| Field {
        name: name.to_owned(),
        number,
        label: 1,
        of: Type::Int32 as i32,
        options: (presence > 0)
            .then_some(Options { features: Some(Features { field_presence: presence }) }),
    };
    let record = Record {
        name: "M".to_owned(),
        fields: vec![field("a", 1, 0), field("b", 2, 2), field("c", 3, 3)],
    };
    let file = |edition| File {
        name: "a.proto".to_owned(),
        package: "a".to_owned(),
        messages: vec![record.clone()],
        syntax: "editions".to_owned(),
        edition,
    };
    let project = Project::new(&[]);
    for edition in [1000, 1001] {
        let bytes = Set { file: vec![file(edition)] }.encode_to_vec();
        project.builder().compile_encoded_fds(bytes).unwrap();
        let code = project.read("a.rs");
        for part in
            ["pub a: ::core::option::Option<i32>", "pub b: i32", "int32, required, tag = \"3\""]
        {
            assert!(code.contains(part), "{part} is not in:\n{code}");
        }
    }
    let bytes = Set { file: vec![file(9999)] }.encode_to_vec();
    let error = project.builder().compile_encoded_fds(bytes).unwrap_err();
    assert_eq!(
        error.problems()[0].to_string(),
        "a.proto: the edition with the number 9999 is not known; 2023 and 2024 are"
    );
}

#[test]
fn a_value_needs_a_name_too() {
    let mut broken = set(Vec::new());
    broken.file[0].enum_type = vec![EnumDescriptorProto {
        name: some("E"),
        value: vec![EnumValueDescriptorProto {
            number: Some(0),
            ..EnumValueDescriptorProto::default()
        }],
        ..EnumDescriptorProto::default()
    }];
    assert_eq!(problems(broken), ["a.proto: a value of an enum has no name"]);
}

#[test]
fn a_long_row_of_messages_does_not_overflow_the_stack() {
    let messages = (0..20_000).map(|number| {
        let next = format!(".a.M{}", (number + 1).min(19_999));
        let field = FieldDescriptorProto { type_name: Some(next), ..field("f", 1, Type::Message) };
        message(&format!("M{number}"), vec![field])
    });
    let problems = problems(set(messages.collect()));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("begins a row of more than 500 messages"), "{problems:?}");
}
