//! The schema that the records give is the one in `proto/shapes.proto`.

use std::fs;
use std::path::Path;

use mdp_runtime::codegen::SchemaBuilder;
use mdp_runtime::codegen::prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto,
};
use test_records::records::Everything;

const PACKAGE: &str = "shapes.v1";

/// What a file of the package is, by protox.
fn read(file: &str, folder: &Path) -> FileDescriptorProto {
    let set = protox::compile([file], [folder]).unwrap();
    set.file.into_iter().find(|file| file.package() == PACKAGE).unwrap()
}

fn of_the_proto() -> FileDescriptorProto {
    read("shapes.proto", &Path::new(env!("CARGO_MANIFEST_DIR")).join("proto"))
}

fn of_the_records() -> FileDescriptorProto {
    let schema = SchemaBuilder::of::<Everything>(PACKAGE);
    let files = schema.descriptors().file.iter();
    files.into_iter().find(|file| file.package() == PACKAGE).unwrap().clone()
}

/// The records' schema as it is exported, read again.
fn of_the_export() -> FileDescriptorProto {
    let schema = SchemaBuilder::of::<Everything>(PACKAGE);
    let files = mdp_schema::print(schema.descriptors()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for file in &files {
        let path = folder.path().join(&file.name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &file.text).unwrap();
    }
    assert_eq!(files.len(), 1);
    read(&files[0].name, folder.path())
}

fn by_name(mut messages: Vec<DescriptorProto>) -> Vec<DescriptorProto> {
    messages.sort_by(|a, b| a.name().cmp(b.name()));
    for message in &mut messages {
        message.nested_type = by_name(std::mem::take(&mut message.nested_type));
        // Declared in another order: a oneof stands together in a .proto, a field where it was written.
        message.field.sort_by_key(|field| field.number());
    }
    messages
}

fn enums_by_name(mut enums: Vec<EnumDescriptorProto>) -> Vec<EnumDescriptorProto> {
    enums.sort_by(|a, b| a.name().cmp(b.name()));
    enums
}

/// That two files declare the same, in whatever order.
fn same(one: FileDescriptorProto, other: FileDescriptorProto) {
    assert_eq!(enums_by_name(one.enum_type), enums_by_name(other.enum_type));
    let (one, other) = (by_name(one.message_type), by_name(other.message_type));
    let names = |messages: &[DescriptorProto]| -> Vec<String> {
        messages.iter().map(|message| message.name().to_owned()).collect()
    };
    assert_eq!(names(&one), names(&other));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one, other, "{}", one.name());
    }
}

#[test]
fn the_schema_is_the_proto() {
    same(of_the_records(), of_the_proto());
}

#[test]
fn the_exported_proto_is_the_proto() {
    same(of_the_export(), of_the_proto());
}

#[test]
fn documentation_and_defaults_are_comments() {
    let info = of_the_records().source_code_info.unwrap();
    let comments: Vec<&str> =
        info.location.iter().map(|location| location.leading_comments()).collect();
    for comment in [
        " One field of each type that has no name.\n",
        " Where it is absent it is 30.\n",
        " Where it is absent it is -1.\n",
        " Where it is absent it is \"nobody\".\n",
        " Where it is absent it is Color::Red.\n",
    ] {
        assert!(comments.contains(&comment), "{comment:?} is not in {comments:?}");
    }
}
