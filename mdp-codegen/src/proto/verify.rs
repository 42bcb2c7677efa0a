//! What a descriptor must have that did not come from a parser.
//!
//! The pool of descriptors finds names that are missing and numbers that are taken. It takes what no parser writes: a
//! declaration without a name, a field without a type, a map without a value. `prost-build` would panic on these.

use std::collections::HashSet;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    ServiceDescriptorProto,
};

use super::parser::{Kind, Names};

/// A mistake, at the path of a part of the file.
type Wrong = (Vec<i32>, String);

/// Checks a file. `names` has all that it and its imports declare.
pub(super) fn file(file: &FileDescriptorProto, names: &Names) -> Vec<Wrong> {
    let mut checking = Checking { names, wrong: Vec::new() };
    let package = file.package();
    if !package.is_empty() && !package.split('.').all(is_name) {
        checking.no(&[2], format!("\"{package}\" is no name of a package"));
    }
    if !matches!(file.syntax(), "" | "proto2" | "proto3" | "editions") {
        checking.no(&[12], format!("the syntax \"{}\" is not known", file.syntax()));
    }
    for (number, item) in (0..).zip(&file.message_type) {
        checking.message(item, &[4, number], 0);
    }
    for (number, item) in (0..).zip(&file.enum_type) {
        checking.enumeration(item, &[5, number]);
    }
    for (number, item) in (0..).zip(&file.service) {
        checking.service(item, &[6, number]);
    }
    for (number, item) in (0..).zip(&file.extension) {
        checking.field(item, &[7, number], "an extension");
    }
    checking.wrong
}

/// Editions have no `optional` and no `required`.
pub(super) fn labels(file: &FileDescriptorProto) -> Vec<Wrong> {
    fn of(message: &DescriptorProto, path: &[i32], wrong: &mut Vec<Wrong>) {
        for (number, field) in (0..).zip(&message.field) {
            if field.proto3_optional() {
                let text = format!(
                    "field `{}`: an edition has no label `optional`; a field has presence by itself, or by \
                     `features.field_presence = EXPLICIT`",
                    field.name()
                );
                wrong.push(([path, &[2, number]].concat(), text));
            }
        }
        for (number, nested) in (0..).zip(&message.nested_type) {
            of(nested, &[path, &[3, number]].concat(), wrong);
        }
    }
    let mut wrong = Vec::new();
    for (number, message) in (0..).zip(&file.message_type) {
        of(message, &[4, number], &mut wrong);
    }
    wrong
}

/// Messages in each other; protoc allows 32.
const MAX_DEPTH: usize = 100;

struct Checking<'a> {
    names: &'a Names,
    wrong: Vec<Wrong>,
}

impl Checking<'_> {
    fn no(&mut self, path: &[i32], text: String) {
        self.wrong.push((path.to_vec(), text));
    }

    fn name(&mut self, name: &str, path: &[i32], what: &str) {
        if name.is_empty() {
            self.no(path, format!("{what} has no name"));
        } else if !is_name(name) {
            self.no(path, format!("\"{name}\" is no name for {what}"));
        }
    }

    fn message(&mut self, item: &DescriptorProto, path: &[i32], depth: usize) {
        if depth > MAX_DEPTH {
            return self.no(path, format!("more than {MAX_DEPTH} messages are in each other"));
        }
        self.name(item.name(), path, "a message");
        if item.options.as_ref().is_some_and(|options| options.map_entry()) {
            self.entry(item, path);
        }
        for (number, field) in (0..).zip(&item.field) {
            self.field(field, &[path, &[2, number]].concat(), "a field");
        }
        for (number, field) in (0..).zip(&item.extension) {
            self.field(field, &[path, &[6, number]].concat(), "an extension");
        }
        self.oneofs(item, path);
        for (number, nested) in (0..).zip(&item.nested_type) {
            self.message(nested, &[path, &[3, number]].concat(), depth + 1);
        }
        for (number, nested) in (0..).zip(&item.enum_type) {
            self.enumeration(nested, &[path, &[4, number]].concat());
        }
    }

    /// The entry of a map is a message with a key and a value, in this order.
    fn entry(&mut self, item: &DescriptorProto, path: &[i32]) {
        let is = |field: &FieldDescriptorProto, name: &str, number: i32| {
            field.name() == name && field.number() == number && field.label() != Label::Repeated
        };
        let is_entry = match item.field.as_slice() {
            [key, value] => {
                let no_key = [
                    Type::Double,
                    Type::Float,
                    Type::Bytes,
                    Type::Group,
                    Type::Message,
                    Type::Enum,
                ];
                is(key, "key", 1)
                    && is(value, "value", 2)
                    && !no_key.contains(&key.r#type())
                    && value.r#type() != Type::Group
            }
            _ => false,
        };
        if !is_entry || !item.nested_type.is_empty() || !item.enum_type.is_empty() {
            let name = item.name();
            self.no(
                path,
                format!(
                    "`{name}` is the entry of a map, and must have just the fields `key = 1` and `value = 2`"
                ),
            );
        }
    }

    fn oneofs(&mut self, item: &DescriptorProto, path: &[i32]) {
        for (number, oneof) in (0..).zip(&item.oneof_decl) {
            let path = [path, &[8, number]].concat();
            self.name(oneof.name(), &path, "a oneof");
            let mut fields = item.field.iter().filter(|field| field.oneof_index == Some(number));
            if fields.next().is_none() {
                self.no(&path, format!("the oneof `{}` has no field", oneof.name()));
            }
        }
        let count = i32::try_from(item.oneof_decl.len()).unwrap_or(i32::MAX);
        for (number, field) in (0..).zip(&item.field) {
            let path = [path, &[2, number]].concat();
            match field.oneof_index {
                Some(at) if !(0..count).contains(&at) => {
                    self.no(
                        &path,
                        format!("field `{}` is in a oneof that is not there", field.name()),
                    );
                }
                Some(_) if field.label() == Label::Repeated => {
                    self.no(&path, format!("field `{}` is repeated and in a oneof", field.name()));
                }
                _ => {}
            }
        }
    }

    fn field(&mut self, field: &FieldDescriptorProto, path: &[i32], what: &str) {
        self.name(field.name(), path, what);
        let name = field.name();
        if field.label.is_some_and(|label| Label::try_from(label).is_err()) {
            self.no(path, format!("field `{name}` has a label that is not known"));
        }
        let Some(kind) = field.r#type.and_then(|kind| Type::try_from(kind).ok()) else {
            return self.no(path, format!("field `{name}` has no type"));
        };
        let wanted = match kind {
            Type::Message | Type::Group => Kind::Message,
            Type::Enum => Kind::Enum,
            _ if field.type_name.is_some() => {
                let of = field.type_name();
                return self.no(
                    path,
                    format!("field `{name}` is no message and no enum, but has the type `{of}`"),
                );
            }
            _ => return,
        };
        self.type_name(field.type_name(), wanted, path, &format!("field `{name}`"));
    }

    fn type_name(&mut self, name: &str, wanted: Kind, path: &[i32], user: &str) {
        let Some(full) = name.strip_prefix('.') else {
            return self.no(
                path,
                format!(
                    "{user} has the type \"{name}\", which is not a full name with a dot in front"
                ),
            );
        };
        match self.names.kind(full) {
            Some(kind) if kind == wanted => {}
            Some(_) => {
                let wanted = if wanted == Kind::Message { "message" } else { "enum" };
                self.no(path, format!("{user} has the type `{full}`, which is no {wanted}"));
            }
            None => self.no(path, format!("{user} has the type `{full}`, which is not defined")),
        }
    }

    fn enumeration(&mut self, item: &EnumDescriptorProto, path: &[i32]) {
        self.name(item.name(), path, "an enum");
        if item.value.is_empty() {
            self.no(path, format!("the enum `{}` has no value", item.name()));
        }
        for (number, value) in (0..).zip(&item.value) {
            self.name(value.name(), &[path, &[2, number]].concat(), "a value of an enum");
        }
    }

    fn service(&mut self, item: &ServiceDescriptorProto, path: &[i32]) {
        self.name(item.name(), path, "a service");
        let mut seen = HashSet::new();
        for (number, method) in (0..).zip(&item.method) {
            let path = [path, &[2, number]].concat();
            self.name(method.name(), &path, "a method");
            let user = format!("method `{}`", method.name());
            if !seen.insert(method.name()) {
                self.no(&path, format!("{user} is declared twice"));
            }
            for name in [method.input_type(), method.output_type()] {
                self.type_name(name, Kind::Message, &path, &user);
            }
        }
    }
}

/// Letters, digits and underscores, without a digit in front.
fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
