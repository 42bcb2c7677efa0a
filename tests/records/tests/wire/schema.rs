//! The schema that the records give is the one in `proto/shapes.proto`.

use std::path::Path;

use mdp_runtime::codegen::SchemaBuilder;
use mdp_runtime::codegen::prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto,
};
use test_records::records::Everything;

/// What `shapes.proto` is, by protox.
fn of_the_proto() -> FileDescriptorProto {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let set = protox::compile(["shapes.proto"], [folder]).unwrap();
    set.file.into_iter().find(|file| file.package() == "shapes.v1").unwrap()
}

fn of_the_records() -> FileDescriptorProto {
    let schema = SchemaBuilder::of::<Everything>("shapes.v1");
    let files = schema.descriptors().file.iter();
    files.into_iter().find(|file| file.package() == "shapes.v1").unwrap().clone()
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

#[test]
fn the_schema_is_the_proto() {
    let (rust, proto) = (of_the_records(), of_the_proto());
    let rust_enums = enums_by_name(rust.enum_type);
    assert_eq!(rust_enums, enums_by_name(proto.enum_type));
    let (rust, proto) = (by_name(rust.message_type), by_name(proto.message_type));
    let names = |messages: &[DescriptorProto]| -> Vec<String> {
        messages.iter().map(|message| message.name().to_owned()).collect()
    };
    assert_eq!(names(&rust), names(&proto));
    for (rust, proto) in rust.iter().zip(&proto) {
        assert_eq!(rust, proto, "{}", rust.name());
    }
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
