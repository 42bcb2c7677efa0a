//! Editions in encoded descriptors: prost's types have neither the edition nor the features.

use prost::Message;
use prost_types::uninterpreted_option::NamePart;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, FieldDescriptorProto, FieldOptions,
    FileDescriptorProto, FileOptions, MessageOptions, OneofOptions, UninterpretedOption,
};
use protox::prost_reflect::{DynamicMessage, ReflectMessage, Value};

/// A `google.protobuf.FileDescriptorSet` whose files are not decoded.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Parts {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) file: Vec<Vec<u8>>,
}

/// The parts of `google.protobuf.FileDescriptorProto` that have features.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Encoded {
    #[prost(message, repeated, tag = "4")]
    messages: Vec<OfMessage>,
    #[prost(message, repeated, tag = "5")]
    enums: Vec<OfEnum>,
    #[prost(message, repeated, tag = "7")]
    extensions: Vec<OfField>,
    #[prost(message, optional, tag = "8")]
    options: Option<FileFeatures>,
    /// `google.protobuf.Edition`.
    #[prost(int32, tag = "14")]
    pub(crate) edition: i32,
}

#[derive(Clone, PartialEq, Message)]
struct OfMessage {
    #[prost(message, repeated, tag = "2")]
    fields: Vec<OfField>,
    #[prost(message, repeated, tag = "3")]
    messages: Vec<OfMessage>,
    #[prost(message, repeated, tag = "4")]
    enums: Vec<OfEnum>,
    #[prost(message, repeated, tag = "6")]
    extensions: Vec<OfField>,
    #[prost(message, optional, tag = "7")]
    options: Option<MessageFeatures>,
    #[prost(message, repeated, tag = "8")]
    oneofs: Vec<OfOneof>,
}

#[derive(Clone, PartialEq, Message)]
struct OfField {
    #[prost(message, optional, tag = "8")]
    options: Option<FieldFeatures>,
}

#[derive(Clone, PartialEq, Message)]
struct OfOneof {
    #[prost(message, optional, tag = "2")]
    options: Option<OneofFeatures>,
}

#[derive(Clone, PartialEq, Message)]
struct OfEnum {
    #[prost(message, optional, tag = "3")]
    options: Option<EnumFeatures>,
}

#[derive(Clone, PartialEq, Message)]
struct FileFeatures {
    #[prost(message, optional, tag = "50")]
    features: Option<Set>,
}

#[derive(Clone, PartialEq, Message)]
struct MessageFeatures {
    #[prost(message, optional, tag = "12")]
    features: Option<Set>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldFeatures {
    #[prost(message, optional, tag = "21")]
    features: Option<Set>,
}

#[derive(Clone, PartialEq, Message)]
struct OneofFeatures {
    #[prost(message, optional, tag = "1")]
    features: Option<Set>,
}

#[derive(Clone, PartialEq, Message)]
struct EnumFeatures {
    #[prost(message, optional, tag = "7")]
    features: Option<Set>,
}

/// `google.protobuf.FeatureSet`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Set {
    #[prost(int32, tag = "1")]
    field_presence: i32,
    #[prost(int32, tag = "2")]
    enum_type: i32,
    #[prost(int32, tag = "3")]
    repeated_field_encoding: i32,
    #[prost(int32, tag = "5")]
    message_encoding: i32,
}

impl Set {
    /// The features as the options of a text.
    fn write(self, to: &mut Vec<UninterpretedOption>) {
        let of = |values: &[&'static str], number: i32| {
            let place = usize::try_from(number).ok()?.checked_sub(1)?;
            values.get(place).copied()
        };
        for (name, value) in [
            (
                "field_presence",
                of(&["EXPLICIT", "IMPLICIT", "LEGACY_REQUIRED"], self.field_presence),
            ),
            ("enum_type", of(&["OPEN", "CLOSED"], self.enum_type)),
            ("repeated_field_encoding", of(&["PACKED", "EXPANDED"], self.repeated_field_encoding)),
            ("message_encoding", of(&["LENGTH_PREFIXED", "DELIMITED"], self.message_encoding)),
        ] {
            let Some(value) = value else { continue };
            let part = |name: &str| NamePart { name_part: name.to_owned(), is_extension: false };
            to.push(UninterpretedOption {
                name: vec![part("features"), part(name)],
                identifier_value: Some(value.to_owned()),
                ..UninterpretedOption::default()
            });
        }
    }
}

/// Adds the features to the options of the decoded file, as a text has them.
pub(crate) fn features_of(file: &mut FileDescriptorProto, encoded: &Encoded) {
    if let Some(set) = encoded.options.as_ref().and_then(|of| of.features) {
        let options = file.options.get_or_insert_with(FileOptions::default);
        set.write(&mut options.uninterpreted_option);
    }
    for (item, of) in file.message_type.iter_mut().zip(&encoded.messages) {
        message(item, of);
    }
    for (item, of) in file.enum_type.iter_mut().zip(&encoded.enums) {
        enumeration(item, of);
    }
    for (item, of) in file.extension.iter_mut().zip(&encoded.extensions) {
        field(item, of);
    }
}

fn message(item: &mut DescriptorProto, encoded: &OfMessage) {
    if let Some(set) = encoded.options.as_ref().and_then(|of| of.features) {
        let options = item.options.get_or_insert_with(MessageOptions::default);
        set.write(&mut options.uninterpreted_option);
    }
    for (item, of) in item.oneof_decl.iter_mut().zip(&encoded.oneofs) {
        if let Some(set) = of.options.as_ref().and_then(|of| of.features) {
            let options = item.options.get_or_insert_with(OneofOptions::default);
            set.write(&mut options.uninterpreted_option);
        }
    }
    let fields = item.field.iter_mut().zip(&encoded.fields);
    for (item, of) in fields.chain(item.extension.iter_mut().zip(&encoded.extensions)) {
        field(item, of);
    }
    for (item, of) in item.nested_type.iter_mut().zip(&encoded.messages) {
        message(item, of);
    }
    for (item, of) in item.enum_type.iter_mut().zip(&encoded.enums) {
        enumeration(item, of);
    }
}

fn enumeration(item: &mut EnumDescriptorProto, encoded: &OfEnum) {
    if let Some(set) = encoded.options.as_ref().and_then(|of| of.features) {
        let options = item.options.get_or_insert_with(EnumOptions::default);
        set.write(&mut options.uninterpreted_option);
    }
}

fn field(item: &mut FieldDescriptorProto, encoded: &OfField) {
    if let Some(set) = encoded.options.as_ref().and_then(|of| of.features) {
        let options = item.options.get_or_insert_with(FieldOptions::default);
        set.write(&mut options.uninterpreted_option);
    }
}

/// The encoded form of a changed descriptor, with all options of the original one, custom ones included.
pub(crate) fn with_options(file: &FileDescriptorProto, original: &[u8]) -> Option<Vec<u8>> {
    let of = FileDescriptorProto::default().descriptor();
    let mut changed = DynamicMessage::decode(of.clone(), file.encode_to_vec().as_slice()).ok()?;
    graft(&mut changed, &DynamicMessage::decode(of, original).ok()?);
    Some(changed.encode_to_vec())
}

/// Gives a changed descriptor the options of the original one. What the change has set stays.
fn graft(changed: &mut DynamicMessage, original: &DynamicMessage) {
    let fields: Vec<_> = original.fields().map(|(field, _)| field).collect();
    for field in fields {
        let old = original.get_field(&field);
        match (field.name(), old.as_ref()) {
            ("options", Value::Message(old)) => {
                let mut options = old.clone();
                if let Value::Message(new) = changed.get_field(&field).as_ref() {
                    for (field, value) in new.fields() {
                        options.set_field(&field, value.clone());
                    }
                }
                changed.set_field(&field, Value::Message(options));
            }
            (_, Value::List(old)) => {
                let Value::List(new) = changed.get_field_mut(&field) else { continue };
                for (new, old) in new.iter_mut().zip(old) {
                    if let (Value::Message(new), Value::Message(old)) = (new, old) {
                        graft(new, old);
                    }
                }
            }
            _ => {}
        }
    }
}
