//! Prints messages and their fields.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto};

use super::{Printer, options};
use crate::fields::{keyword, oneof};
use crate::index::{entry, is_map_entry, join};
use crate::options::Printed;

const FIELDS: i32 = 2;
const NESTED: i32 = 3;
const NESTED_ENUMS: i32 = 4;
const RANGES: i32 = 5;
const EXTENSIONS: i32 = 6;
const ONEOFS: i32 = 8;

/// The highest number that a field can have.
pub(crate) const HIGHEST: i32 = 536_870_911;

impl Printer<'_> {
    pub(super) fn message(&mut self, message: &DescriptorProto) {
        self.comment();
        self.open(&format!("message {}", message.name()), message.name(), |printer| {
            printer.body(message);
        });
    }

    /// Prints the content of a message.
    ///
    /// Maps and groups declare a nested type of their own. To keep the order of nested types, such a field is printed
    /// after the nested types that come before its own.
    fn body(&mut self, message: &DescriptorProto) {
        self.options(&self.kept("MessageOptions"));
        for (place, item) in message.enum_type.iter().enumerate() {
            self.at(NESTED_ENUMS, place, |printer| printer.enumeration(item));
        }
        let mut nested = 0;
        let mut done = Vec::new();
        for (place, field) in message.field.iter().enumerate() {
            if let Some(own) = self.own_type(message, field) {
                self.nested(message, nested..own);
                nested = nested.max(own + 1);
            }
            match oneof(message, field) {
                None => self.at(FIELDS, place, |printer| printer.field(message, field)),
                Some(name) if done.contains(&name) => {}
                Some(name) => {
                    done.push(name);
                    self.oneof(message, name, &mut nested);
                }
            }
        }
        self.nested(message, nested..message.nested_type.len());
        self.ranges(message);
        self.extensions(EXTENSIONS, &message.extension);
    }

    fn nested(&mut self, message: &DescriptorProto, places: std::ops::Range<usize>) {
        for place in places {
            let Some(item) = message.nested_type.get(place) else { continue };
            if !is_map_entry(item) && !is_group(message, &join(&self.scope, item.name())) {
                self.at(NESTED, place, |printer| printer.message(item));
            }
        }
    }

    /// Returns the index of the nested type that the field itself declares.
    fn own_type(&self, message: &DescriptorProto, field: &FieldDescriptorProto) -> Option<usize> {
        message.nested_type.iter().position(|item| {
            let declares = is_map_entry(item) || field.r#type() == Type::Group;
            let full = join(&self.scope, item.name());
            declares && field.type_name().strip_prefix('.') == Some(&full)
        })
    }

    fn oneof(&mut self, message: &DescriptorProto, name: &str, nested: &mut usize) {
        let place = message.oneof_decl.iter().position(|oneof| oneof.name() == name);
        let mut options = Printed::default();
        self.at(ONEOFS, place.unwrap_or_default(), |printer| {
            printer.comment();
            options = printer.kept("OneofOptions");
        });
        self.open(&format!("oneof {name}"), "", |printer| {
            printer.options(&options);
            for (place, field) in message.field.iter().enumerate() {
                if oneof(message, field) != Some(name) {
                    continue;
                }
                if let Some(own) = printer.own_type(message, field) {
                    *nested = (*nested).max(own + 1);
                }
                printer.at(FIELDS, place, |printer| printer.field(message, field));
            }
        });
    }

    fn field(&mut self, message: &DescriptorProto, field: &FieldDescriptorProto) {
        self.comment();
        let own = self
            .own_type(message, field)
            .and_then(|place| message.nested_type.get(place).map(|item| (place, item)));
        match own {
            Some((place, item)) if field.r#type() == Type::Group => {
                self.group(message, field, place, item);
            }
            Some((_, item)) => self.map(field, item),
            None => self.plain_field(field, oneof(message, field).is_some()),
        }
    }

    pub(super) fn plain_field(&mut self, field: &FieldDescriptorProto, in_oneof: bool) {
        let label = self.label(field, in_oneof);
        let kind = self.kind(field);
        let tail = self.field_tail(field);
        self.line(&format!("{label}{kind} {} = {}{tail};", field.name(), field.number()));
    }

    fn map(&mut self, field: &FieldDescriptorProto, item: &DescriptorProto) {
        let Some((key, value)) = entry(item) else { return };
        let kind = format!("map<{}, {}>", self.kind(key), self.kind(value));
        let tail = self.field_tail(field);
        self.line(&format!("{kind} {} = {}{tail};", field.name(), field.number()));
    }

    fn group(
        &mut self,
        message: &DescriptorProto,
        field: &FieldDescriptorProto,
        place: usize,
        item: &DescriptorProto,
    ) {
        let label = self.label(field, oneof(message, field).is_some());
        let tail = self.field_tail(field);
        let head = format!("{label}group {} = {}{tail}", item.name(), field.number());
        // The paths of its fields are those of the nested type.
        let of_field = self.path.split_off(self.path.len().saturating_sub(2));
        self.at(NESTED, place, |printer| {
            printer.open(&head, item.name(), |printer| printer.body(item));
        });
        self.path.extend(of_field);
    }

    /// Returns what is written behind a field's number.
    fn field_tail(&mut self, field: &FieldDescriptorProto) -> String {
        self.tail("FieldOptions", options::of_field(field))
    }

    fn label(&self, field: &FieldDescriptorProto, in_oneof: bool) -> &'static str {
        match field.label() {
            _ if in_oneof => "",
            Label::Repeated => "repeated ",
            Label::Required => "required ",
            Label::Optional if self.proto3 && !field.proto3_optional() => "",
            Label::Optional => "optional ",
        }
    }

    fn kind(&self, field: &FieldDescriptorProto) -> String {
        if field.type_name().is_empty() {
            return keyword(field.r#type()).to_owned();
        }
        self.names.shortest(&self.scope, field.type_name())
    }

    fn ranges(&mut self, message: &DescriptorProto) {
        for (place, range) in message.extension_range.iter().enumerate() {
            let range = super::in_words((range.start(), range.end().saturating_sub(1)), HIGHEST);
            self.at(RANGES, place, |printer| {
                let tail = printer.tail("ExtensionRangeOptions", Vec::new());
                printer.line(&format!("extensions {range}{tail};"));
            });
        }
        let ranges = message.reserved_range.iter();
        self.reserved(
            ranges.map(|range| (range.start(), range.end().saturating_sub(1))).collect(),
            &message.reserved_name,
            HIGHEST,
        );
    }
}

fn is_group(message: &DescriptorProto, full: &str) -> bool {
    message.field.iter().any(|field| {
        field.r#type() == Type::Group && field.type_name().strip_prefix('.') == Some(full)
    })
}
