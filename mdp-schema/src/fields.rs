//! The properties of a field, independent of its file's syntax.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

/// How often a field may occur, and how its presence is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cardinality<'a> {
    /// Once. A zero is the same as an absent field.
    Implicit,
    /// Once or not at all.
    Optional,
    /// Exactly once; proto2 checks this.
    Required,
    /// At most one of the fields of this oneof.
    Oneof(&'a str),
    /// Any number of times, each with a tag.
    Repeated,
    /// Any number of times, in one block.
    Packed,
}

impl<'a> Cardinality<'a> {
    pub(crate) fn of(
        file: &FileDescriptorProto,
        message: &'a DescriptorProto,
        field: &FieldDescriptorProto,
    ) -> Self {
        match field.label() {
            Label::Repeated if is_packed(file, field) => Self::Packed,
            Label::Repeated => Self::Repeated,
            Label::Required => Self::Required,
            Label::Optional => match oneof(message, field) {
                Some(name) => Self::Oneof(name),
                None if has_presence(file, field) => Self::Optional,
                None => Self::Implicit,
            },
        }
    }
}

/// The oneof of a field. The synthetic oneof of a proto3 `optional` does not count.
pub(crate) fn oneof<'a>(
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a str> {
    if field.proto3_optional() {
        return None;
    }
    let place = usize::try_from(field.oneof_index?).ok()?;
    Some(message.oneof_decl.get(place)?.name())
}

pub(crate) fn is_proto3(file: &FileDescriptorProto) -> bool {
    file.syntax() == "proto3"
}

fn has_presence(file: &FileDescriptorProto, field: &FieldDescriptorProto) -> bool {
    let message = matches!(field.r#type(), Type::Message | Type::Group);
    message || field.proto3_optional() || !is_proto3(file)
}

fn is_packed(file: &FileDescriptorProto, field: &FieldDescriptorProto) -> bool {
    let said = field.options.as_ref().and_then(|options| options.packed);
    can_be_packed(field.r#type()) && said.unwrap_or(is_proto3(file))
}

/// Whether a list of this type can be packed: values of the type have no length on the wire.
pub(crate) fn can_be_packed(kind: Type) -> bool {
    !matches!(kind, Type::String | Type::Bytes | Type::Message | Type::Group)
}

/// The type's name in a `.proto` file. For types with their own names, the kind of the type.
pub(crate) fn keyword(kind: Type) -> &'static str {
    match kind {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int64 => "int64",
        Type::Uint64 => "uint64",
        Type::Int32 => "int32",
        Type::Fixed64 => "fixed64",
        Type::Fixed32 => "fixed32",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Group => "group",
        Type::Message => "message",
        Type::Bytes => "bytes",
        Type::Uint32 => "uint32",
        Type::Enum => "enum",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
    }
}
