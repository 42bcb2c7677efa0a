//! Builders for the content of messages and enums.

use prost_types::descriptor_proto::ReservedRange;
use prost_types::enum_descriptor_proto::EnumReservedRange;
use prost_types::field_descriptor_proto::{Label as ProtoLabel, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto,
    FieldDescriptorProto, FieldOptions, FileDescriptorProto, MessageOptions, OneofDescriptorProto,
};

use super::{
    Comments, Described, DescribedOneof, ENUMS, Field, Item, Label, MESSAGES, Scalar,
    SchemaBuilder, TypeName, index,
};

const FIELDS: i32 = 2;
const ONEOFS: i32 = 8;
const VALUES: i32 = 2;

/// Collects the fields of a message, in the order of declaration.
#[derive(Debug)]
pub struct MessageBuilder<'a> {
    schemas: &'a mut SchemaBuilder,
    /// The full name, with a leading dot.
    full_name: &'a str,
    message: DescriptorProto,
    /// The index of the oneof whose fields are being added.
    oneof: Option<i32>,
    comments: Comments,
}

impl<'a> MessageBuilder<'a> {
    pub(super) fn new(schemas: &'a mut SchemaBuilder, full_name: &'a str, item: &Item) -> Self {
        let options = item
            .deprecated
            .then(|| MessageOptions { deprecated: Some(true), ..MessageOptions::default() });
        let message = DescriptorProto {
            name: Some(item.name.to_owned()),
            options,
            ..DescriptorProto::default()
        };
        Self { schemas, full_name, message, oneof: None, comments: Comments::of(item.docs) }
    }

    /// Adds a field of a scalar type.
    pub fn scalar(&mut self, field: &Field, scalar: Scalar) {
        self.field(field, scalar.kind(), None);
    }

    /// Adds a field whose type is a record or an enum.
    pub fn named<T: Described>(&mut self, field: &Field) {
        let name = T::describe(self.schemas);
        self.field(field, name.kind(), Some(name));
    }

    /// Adds a map whose values have a scalar type.
    pub fn scalar_map(&mut self, field: &Field, key: Scalar, value: Scalar) {
        self.map(field, key, value.kind(), None);
    }

    /// Adds a map whose values are records or enums.
    pub fn named_map<T: Described>(&mut self, field: &Field, key: Scalar) {
        let name = T::describe(self.schemas);
        self.map(field, key, name.kind(), Some(name));
    }

    /// Adds a oneof with its documentation.
    pub fn oneof<T: DescribedOneof>(&mut self, name: &str, docs: &[&str]) {
        let place = index(self.message.oneof_decl.len());
        self.comments.add(&[ONEOFS, place], docs);
        self.message
            .oneof_decl
            .push(OneofDescriptorProto { name: Some(name.to_owned()), options: None });
        self.oneof = Some(place);
        T::describe_fields(self);
        self.oneof = None;
    }

    /// Reserves numbers that no field may have, both ends included.
    pub fn reserved(&mut self, first: i32, last: i32) {
        // In the descriptor the end is not included.
        let end = Some(last.saturating_add(1));
        self.message.reserved_range.push(ReservedRange { start: Some(first), end });
    }

    /// Reserves a name that no field may have.
    pub fn reserved_name(&mut self, name: &str) {
        self.message.reserved_name.push(name.to_owned());
    }

    fn map(&mut self, field: &Field, key: Scalar, value: Type, value_name: Option<TypeName>) {
        let entry = format!("{}Entry", camel_case(field.name, true));
        let entry_name = TypeName::Message(format!("{}.{entry}", self.full_name));
        self.message.nested_type.push(DescriptorProto {
            name: Some(entry),
            field: vec![
                descriptor(&Field::new("key", 1, Label::Implicit), key.kind(), None),
                descriptor(&Field::new("value", 2, Label::Implicit), value, value_name),
            ],
            options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
            ..DescriptorProto::default()
        });
        self.field(&Field { label: Label::Repeated, ..*field }, Type::Message, Some(entry_name));
    }

    fn field(&mut self, field: &Field, kind: Type, name: Option<TypeName>) {
        self.comments.add(&[FIELDS, index(self.message.field.len())], field.docs);
        let mut descriptor = descriptor(field, kind, name);
        descriptor.oneof_index = self.oneof;
        let presence = field.label == Label::Optional && self.oneof.is_none();
        descriptor.proto3_optional = (presence && kind != Type::Message).then_some(true);
        self.message.field.push(descriptor);
    }

    /// Completes the message: each `optional` field gets a oneof of its own, after the declared oneofs.
    fn finish(mut self) -> (DescriptorProto, Comments) {
        let taken: Vec<String> =
            self.message.field.iter().map(|field| field.name().to_owned()).collect();
        for field in self.message.field.iter_mut().filter(|field| field.proto3_optional()) {
            field.oneof_index = Some(index(self.message.oneof_decl.len()));
            let mut name = format!("_{}", field.name());
            while taken.contains(&name) {
                name.insert(0, 'X');
            }
            self.message.oneof_decl.push(OneofDescriptorProto { name: Some(name), options: None });
        }
        (self.message, self.comments)
    }

    pub(super) fn fill(
        mut self,
        fill: impl FnOnce(&mut MessageBuilder<'_>),
    ) -> (DescriptorProto, Comments) {
        fill(&mut self);
        self.finish()
    }
}

fn descriptor(field: &Field, kind: Type, name: Option<TypeName>) -> FieldDescriptorProto {
    let label = match field.label {
        Label::Repeated => ProtoLabel::Repeated,
        Label::Implicit | Label::Optional => ProtoLabel::Optional,
    };
    let options = (field.deprecated || field.unpacked).then(|| FieldOptions {
        deprecated: field.deprecated.then_some(true),
        packed: field.unpacked.then_some(false),
        ..FieldOptions::default()
    });
    FieldDescriptorProto {
        name: Some(field.name.to_owned()),
        number: Some(field.number),
        label: Some(label.into()),
        r#type: Some(kind.into()),
        type_name: name.map(|name| name.as_str().to_owned()),
        json_name: Some(camel_case(field.name, false)),
        options,
        ..FieldDescriptorProto::default()
    }
}

/// Converts `user_id` to `userId`, or to `UserId` with `upper`. Other characters stay, as in protoc.
fn camel_case(name: &str, upper: bool) -> String {
    let mut up = upper;
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter == '_' {
            up = true;
        } else if up {
            out.push(letter.to_ascii_uppercase());
            up = false;
        } else {
            out.push(letter);
        }
    }
    out
}

/// Collects the values of an enum.
#[derive(Debug)]
pub struct EnumBuilder {
    enumeration: EnumDescriptorProto,
    /// The documentation of each value, in the order of the values.
    docs: Vec<&'static [&'static str]>,
}

impl EnumBuilder {
    pub(super) fn new(item: &Item) -> Self {
        let options = item
            .deprecated
            .then(|| EnumOptions { deprecated: Some(true), ..EnumOptions::default() });
        let name = Some(item.name.to_owned());
        let enumeration = EnumDescriptorProto { name, options, ..EnumDescriptorProto::default() };
        Self { enumeration, docs: Vec::new() }
    }

    /// Adds a value. The value with the number zero comes first in the schema, wherever it is declared.
    pub fn value(&mut self, name: &str, number: i32, docs: &'static [&'static str]) {
        let values = &mut self.enumeration.value;
        let place = if number == 0 { 0 } else { values.len() };
        values.insert(
            place,
            EnumValueDescriptorProto {
                name: Some(name.to_owned()),
                number: Some(number),
                options: None,
            },
        );
        self.docs.insert(place, docs);
    }

    /// Reserves numbers that no value may have, both ends included.
    pub fn reserved(&mut self, first: i32, last: i32) {
        let range = EnumReservedRange { start: Some(first), end: Some(last) };
        self.enumeration.reserved_range.push(range);
    }

    /// Reserves a name that no value may have.
    pub fn reserved_name(&mut self, name: &str) {
        self.enumeration.reserved_name.push(name.to_owned());
    }

    pub(super) fn place(self, item: &Item, file: &mut FileDescriptorProto) {
        let mut comments = Comments::of(item.docs);
        for (place, docs) in self.docs.iter().enumerate() {
            comments.add(&[VALUES, index(place)], docs);
        }
        comments.place(&[ENUMS, index(file.enum_type.len())], file);
        file.enum_type.push(self.enumeration);
    }
}

pub(super) fn place(
    (message, comments): (DescriptorProto, Comments),
    place: usize,
    file: &mut FileDescriptorProto,
) {
    comments.place(&[MESSAGES, index(place)], file);
    if let Some(slot) = file.message_type.get_mut(place) {
        *slot = message;
    }
}
