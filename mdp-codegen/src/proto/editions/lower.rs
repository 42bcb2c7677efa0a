//! From a file of an edition to one in proto2 or proto3 that means the same.
//!
//! Everything behind knows two syntaxes: prost-build, prost-reflect, and the schemas. A file whose fields are all present
//! or absent (the default of editions) can be either. proto3 is taken if the file has a field with implicit presence, or
//! nothing that only proto2 can say; proto2 otherwise.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FieldOptions, FileDescriptorProto,
    OneofDescriptorProto, UninterpretedOption,
};

use super::features::{Features, Presence};

/// A mistake, at the path of a part of the file.
pub(crate) type Wrong = (Vec<i32>, String);

/// Makes a file of an edition one of proto2 or proto3. The file has its features as options that are not interpreted, its
/// names are resolved, and `default` is what the options with that name say.
pub(crate) fn lower(file: &mut FileDescriptorProto, default: &str) -> Vec<Wrong> {
    let mut reading = Reading { default, ..Reading::default() };
    let features = {
        let options = file.options.as_mut().map(|options| &mut options.uninterpreted_option);
        reading.features(Features::DEFAULT, options, &[])
    };
    for (number, item) in (0..).zip(&mut file.message_type) {
        reading.message(item, features, &[4, number]);
    }
    for (number, item) in (0..).zip(&mut file.enum_type) {
        reading.enumeration(item, features, &[5, number]);
    }
    for (number, item) in (0..).zip(&mut file.extension) {
        reading.field(item, features, &[7, number]);
    }
    let is_proto3 = reading.implicit || !reading.only_proto2;
    file.syntax = is_proto3.then(|| "proto3".to_owned());
    let mut writing = Writing { is_proto3, fields: reading.fields.into_iter() };
    for item in &mut file.message_type {
        writing.message(item);
    }
    for item in &mut file.extension {
        writing.field(item);
    }
    reading.wrong
}

/// What was found at the fields, in the order of the walk.
#[derive(Default)]
struct Reading<'d> {
    default: &'d str,
    fields: Vec<Features>,
    /// A field has no presence.
    implicit: bool,
    /// Something that proto3 cannot say.
    only_proto2: bool,
    wrong: Vec<Wrong>,
}

impl Reading<'_> {
    fn features(
        &mut self,
        outer: Features,
        options: Option<&mut Vec<UninterpretedOption>>,
        path: &[i32],
    ) -> Features {
        let mut wrong = Vec::new();
        let features = options.map_or(outer, |options| outer.with(options, &mut wrong));
        self.wrong.extend(wrong.into_iter().map(|text| (path.to_vec(), text)));
        features
    }

    fn message(&mut self, item: &mut DescriptorProto, outer: Features, path: &[i32]) {
        let is_entry = item.options.as_ref().is_some_and(|options| options.map_entry());
        let options = item.options.as_mut().map(|options| &mut options.uninterpreted_option);
        let features = self.features(outer, options, path);
        // Only proto2 lets others than options have extensions.
        self.only_proto2 |= !item.extension_range.is_empty();
        let oneofs: Vec<_> = (0..)
            .zip(&mut item.oneof_decl)
            .map(|(number, oneof)| {
                let options =
                    oneof.options.as_mut().map(|options| &mut options.uninterpreted_option);
                self.features(features, options, &[path, &[8, number]].concat())
            })
            .collect();
        for (number, field) in (0..).zip(&mut item.field) {
            if is_entry {
                self.fields.push(features);
                continue;
            }
            let oneof = field.oneof_index.and_then(|at| oneofs.get(usize::try_from(at).ok()?));
            let outer = oneof.copied().unwrap_or(features);
            self.field(field, outer, &[path, &[2, number]].concat());
        }
        for (number, item) in (0..).zip(&mut item.nested_type) {
            self.message(item, features, &[path, &[3, number]].concat());
        }
        for (number, item) in (0..).zip(&mut item.enum_type) {
            self.enumeration(item, features, &[path, &[4, number]].concat());
        }
        for (number, field) in (0..).zip(&mut item.extension) {
            self.field(field, features, &[path, &[6, number]].concat());
        }
    }

    fn field(&mut self, field: &mut FieldDescriptorProto, outer: Features, path: &[i32]) {
        let options = field.options.as_mut().map(|options| &mut options.uninterpreted_option);
        let features = self.features(outer, options, path);
        if let Some(options) = &mut field.options {
            let of = |option: &UninterpretedOption| {
                option.name.len() == 1
                    && option.name.iter().all(|part| part.name_part == self.default)
            };
            let at = options.uninterpreted_option.iter().position(of);
            if let Some(at) = at.filter(|_| !self.default.is_empty()) {
                let option = options.uninterpreted_option.remove(at);
                field.default_value = Some(text_of(&option, field.r#type() == Type::Bytes));
            }
        }
        self.only_proto2 |= field.default_value.is_some();
        let is_singular = field.label() != Label::Repeated && field.oneof_index.is_none();
        match features.presence {
            Presence::Required => self.only_proto2 |= is_singular,
            Presence::Implicit => {
                self.implicit |= is_singular && !is_message(field) && field.extendee.is_none();
            }
            Presence::Explicit => {}
        }
        self.only_proto2 |= features.delimited && is_message(field);
        self.fields.push(features);
    }

    fn enumeration(&mut self, item: &mut EnumDescriptorProto, outer: Features, path: &[i32]) {
        let options = item.options.as_mut().map(|options| &mut options.uninterpreted_option);
        let features = self.features(outer, options, path);
        for (number, value) in (0..).zip(&mut item.value) {
            let options = value.options.as_mut().map(|options| &mut options.uninterpreted_option);
            self.features(features, options, &[path, &[2, number]].concat());
        }
        let zero = item.value.first().is_some_and(|value| value.number() == 0);
        self.only_proto2 |= features.closed || !zero;
    }
}

/// Gives each field what it has in the syntax of the file.
struct Writing<I> {
    is_proto3: bool,
    fields: I,
}

impl<I: Iterator<Item = Features>> Writing<I> {
    fn message(&mut self, item: &mut DescriptorProto) {
        let is_entry = item.options.as_ref().is_some_and(|options| options.map_entry());
        let entries: Vec<String> = item
            .nested_type
            .iter()
            .filter(|nested| nested.options.as_ref().is_some_and(|options| options.map_entry()))
            .map(|nested| format!(".{}", nested.name()))
            .collect();
        for field in &mut item.field {
            if is_entry {
                let _ = self.fields.next();
                continue;
            }
            let name = field.type_name().to_owned();
            let is_map = field.label() == Label::Repeated
                && entries.iter().any(|entry| name.ends_with(entry.as_str()));
            let Some(features) = self.fields.next() else { return };
            if is_map {
                continue;
            }
            let gets_oneof = write(field, features, self.is_proto3);
            if gets_oneof {
                field.proto3_optional = Some(true);
                field.oneof_index = i32::try_from(item.oneof_decl.len()).ok();
                let mut name = format!("_{}", field.name());
                while item.oneof_decl.iter().any(|oneof| oneof.name() == name) {
                    name.insert(0, 'X');
                }
                item.oneof_decl.push(OneofDescriptorProto { name: Some(name), options: None });
            }
        }
        for item in &mut item.nested_type {
            self.message(item);
        }
        for field in &mut item.extension {
            self.field(field);
        }
    }

    /// An extension.
    fn field(&mut self, field: &mut FieldDescriptorProto) {
        if let Some(features) = self.fields.next() {
            write(field, features, self.is_proto3);
        }
    }
}

/// Writes the features of one field. Returns whether it needs a oneof of its own, as `optional` has in proto3.
fn write(field: &mut FieldDescriptorProto, features: Features, is_proto3: bool) -> bool {
    let (is_group, is_singular) = (
        features.delimited && field.r#type() == Type::Message,
        field.label() != Label::Repeated && field.oneof_index.is_none(),
    );
    if is_group {
        field.set_type(Type::Group);
    }
    if field.label() == Label::Repeated && can_pack(field) {
        // `prost-build` takes a field with options, and without this one, as not packed.
        if features.packed != is_proto3 || field.options.is_some() {
            let options = field.options.get_or_insert_with(FieldOptions::default);
            options.packed = Some(features.packed);
        }
        return false;
    }
    if !is_singular || field.extendee.is_some() {
        return false;
    }
    match features.presence {
        Presence::Required => {
            field.set_label(Label::Required);
            false
        }
        Presence::Explicit => is_proto3 && (!is_message(field) || is_group),
        Presence::Implicit => is_proto3 && is_group,
    }
}

fn is_message(field: &FieldDescriptorProto) -> bool {
    matches!(field.r#type(), Type::Message | Type::Group)
}

fn can_pack(field: &FieldDescriptorProto) -> bool {
    !matches!(field.r#type(), Type::String | Type::Bytes | Type::Message | Type::Group)
}

/// The value of `default`, as a descriptor has it.
fn text_of(option: &UninterpretedOption, is_bytes: bool) -> String {
    if let Some(name) = &option.identifier_value {
        name.clone()
    } else if let Some(number) = option.positive_int_value {
        number.to_string()
    } else if let Some(number) = option.negative_int_value {
        number.to_string()
    } else if let Some(number) = option.double_value {
        number.to_string().to_ascii_lowercase()
    } else {
        let bytes = option.string_value();
        match std::str::from_utf8(bytes) {
            Ok(text) if !is_bytes => text.to_owned(),
            _ => bytes.escape_ascii().to_string(),
        }
    }
}
