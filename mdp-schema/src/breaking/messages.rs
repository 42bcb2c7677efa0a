//! Compares messages.

use std::collections::BTreeMap;

use prost_types::field_descriptor_proto::Label;
use prost_types::{DescriptorProto, FieldDescriptorProto};

use super::oneofs::Oneofs;
use super::scope::Scope;
use super::{Check, Rule};
use crate::index::{Declared, is_map_entry, join};

impl<'a> Check<'a> {
    pub(super) fn messages(&mut self, scope: &Scope<'_>) {
        for (name, before) in self.old.messages.iter().filter(|(name, _)| scope.has_type(name)) {
            let Some(after) = self.new.messages.get(name) else { continue };
            // The entry of a map is compared with its field: nobody wrote the entry's name.
            if is_map_entry(before.item) || is_map_entry(after.item) {
                continue;
            }
            self.reserved_in_message(name, after.file.name(), before.item, after.item);
            self.message(name, before, after);
        }
    }

    /// Compares the extensions of messages. One that is gone breaks nothing: its bytes are kept as an unknown field.
    pub(super) fn extensions(&mut self, scope: &Scope<'_>) {
        for (of, olds) in self.old.extensions.iter().filter(|(name, _)| scope.has_type(name)) {
            let messages = (self.old.messages.get(of), self.new.messages.get(of));
            let (Some(before), Some(after)) = messages else { continue };
            let Some(news) = self.new.extensions.get(of) else { continue };
            for (number, old) in olds {
                if let Some(new) = news.get(number) {
                    self.extension(of, (before.item, after.item), old, new);
                }
            }
        }
    }

    /// Compares what is in two messages, except for what they reserve.
    pub(super) fn message(
        &mut self,
        name: &str,
        before: &Declared<'a, DescriptorProto>,
        after: &Declared<'a, DescriptorProto>,
    ) {
        self.file = after.file.name().to_owned();
        self.json_format(Rule::MessageSameJsonFormat, name, before.file, after.file);
        let (old, new) = (by_number(before.item), by_number(after.item));
        self.required(name, &old, &new);
        let mut oneofs = Oneofs::of((before.item, &old), (after.item, &new));
        for (number, field) in &old {
            let element = join(name, field.name());
            match new.get(number) {
                Some(now) => {
                    self.oneof(&element, &mut oneofs, field, now);
                    self.field(&element, &before.field(field), &after.field(now));
                }
                None => self.field_gone(&element, field, after.item),
            }
        }
    }

    fn required(&mut self, name: &str, old: &Fields<'_>, new: &Fields<'_>) {
        let changes = [
            (old, new, "is gone", "is no longer required"),
            (new, old, "is new", "is required now"),
        ];
        for (these, others, alone, both) in changes {
            for (number, field) in these.iter().filter(|(_, field)| is_required(field)) {
                let what = match others.get(number) {
                    Some(other) if is_required(other) => continue,
                    Some(_) => format!("the field {number} `{}` {both}", field.name()),
                    None => format!("the required field {number} `{}` {alone}", field.name()),
                };
                self.report(Rule::MessageSameRequiredFields, name, what);
            }
        }
    }
}

/// The fields of a message by number.
pub(super) type Fields<'a> = BTreeMap<i32, &'a FieldDescriptorProto>;

pub(super) fn by_number(message: &DescriptorProto) -> Fields<'_> {
    message.field.iter().map(|field| (field.number(), field)).collect()
}

fn is_required(field: &FieldDescriptorProto) -> bool {
    field.label() == Label::Required
}
