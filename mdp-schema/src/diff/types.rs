//! The differences between messages, their fields, and enums.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto};

use super::Diff;
use crate::fields::{Cardinality, can_be_packed, keyword, oneof};
use crate::index::{Declared, Extension, Index, entry, is_googles, join, listed, values};
use crate::print::{in_words, json_name};

impl<'a> Diff<'a> {
    pub(super) fn message(
        &mut self,
        name: &str,
        old: &Declared<'a, DescriptorProto>,
        new: &Declared<'a, DescriptorProto>,
    ) {
        let by_number = |message: &'a DescriptorProto| -> BTreeMap<i32, &'a FieldDescriptorProto> {
            message.field.iter().map(|field| (field.number(), field)).collect()
        };
        let (olds, news) = (by_number(old.item), by_number(new.item));
        for (number, before) in &olds {
            let element = join(name, before.name());
            match news.get(number) {
                Some(after) => self.field(&element, (old, before), (new, after)),
                None => self.say(&element, format!("the field {number} is gone")),
            }
        }
        for (number, after) in news.iter().filter(|(number, _)| !olds.contains_key(number)) {
            let kind = described(self.new, new, after);
            let within = oneof(new.item, after).map(|name| format!(", in the oneof `{name}`"));
            let within = within.unwrap_or_default();
            self.say(
                &join(name, after.name()),
                format!("the field {number} is new: {kind}{within}"),
            );
        }
        let deprecated = |it: &DescriptorProto| it.options.as_ref().and_then(|it| it.deprecated);
        self.deprecated(name, deprecated(old.item), deprecated(new.item));
        let reserved = |message: &DescriptorProto| {
            let ranges = message.reserved_range.iter();
            let ranges = ranges.map(|range| (range.start(), range.end().saturating_sub(1)));
            reserved(ranges, &message.reserved_name, crate::print::HIGHEST)
        };
        self.reserved(name, &reserved(old.item), &reserved(new.item));
    }

    /// Compares the extensions with one number of a message.
    pub(super) fn extension(
        &mut self,
        of: &str,
        old: Option<&Extension<'a>>,
        new: Option<&Extension<'a>>,
    ) {
        let Some(named) = old.or(new).filter(|it| !is_googles(it.file)) else { return };
        let element = format!("{of}.[{}]", named.name);
        self.file = new.unwrap_or(named).file.name().to_owned();
        // An extension is in no oneof, so its message does not matter.
        let outside = DescriptorProto::default();
        match (old, new) {
            (Some(old), Some(new)) => {
                if old.name != new.name {
                    self.say(&element, format!("the extension is called `{}` now", new.name));
                }
                self.content(
                    &element,
                    (&Declared { file: old.file, item: &outside }, old.item),
                    (&Declared { file: new.file, item: &outside }, new.item),
                );
            }
            (None, Some(new)) => {
                let kind =
                    described(self.new, &Declared { file: new.file, item: &outside }, new.item);
                self.say(&element, format!("the extension {} is new: {kind}", new.item.number()));
            }
            (Some(old), None) => {
                self.say(&element, format!("the extension {} is gone", old.item.number()));
            }
            (None, None) => {}
        }
    }

    fn field(
        &mut self,
        element: &str,
        old: (&Declared<'a, DescriptorProto>, &'a FieldDescriptorProto),
        new: (&Declared<'a, DescriptorProto>, &'a FieldDescriptorProto),
    ) {
        let (before, after) = (old.1, new.1);
        if before.name() != after.name() {
            self.say(
                element,
                format!("the field {} is called `{}` now", before.number(), after.name()),
            );
        }
        self.content(element, old, new);
        match (oneof(old.0.item, before), oneof(new.0.item, after)) {
            (old, new) if old == new => {}
            (_, Some(new)) => self.say(element, format!("it is in the oneof `{new}` now")),
            (old, None) => {
                let old = old.unwrap_or_default();
                self.say(element, format!("it is no longer in the oneof `{old}`"));
            }
        }
        let json = |field: &FieldDescriptorProto| {
            field.json_name.clone().unwrap_or_else(|| json_name(field.name()))
        };
        // With another name goes another name in JSON.
        if before.name() == after.name() && json(before) != json(after) {
            self.say(element, format!("its name in JSON is `{}` now", json(after)));
        }
    }

    /// Compares what fields and extensions have.
    fn content(
        &mut self,
        element: &str,
        old: (&Declared<'_, DescriptorProto>, &FieldDescriptorProto),
        new: (&Declared<'_, DescriptorProto>, &FieldDescriptorProto),
    ) {
        let (before, after) = (old.1, new.1);
        let kinds = (described(self.old, old.0, before), described(self.new, new.0, after));
        if kinds.0 != kinds.1 {
            self.say(element, format!("its type is {} now, in place of {}", kinds.1, kinds.0));
        }
        match (&before.default_value, &after.default_value) {
            (old, new) if old == new => {}
            (_, Some(new)) => self.say(element, format!("its default is `{new}` now")),
            (_, None) => self.say(element, "it has no default any more"),
        }
        let deprecated =
            |it: &FieldDescriptorProto| it.options.as_ref().and_then(|it| it.deprecated);
        self.deprecated(element, deprecated(before), deprecated(after));
    }

    pub(super) fn enumeration(
        &mut self,
        name: &str,
        old: &EnumDescriptorProto,
        new: &EnumDescriptorProto,
    ) {
        let (olds, news) = (values(old), values(new));
        for number in olds.keys().chain(news.keys()).collect::<BTreeSet<_>>() {
            let message = match (olds.get(number), news.get(number)) {
                (Some(old), Some(new)) if old == new => continue,
                (Some(old), Some(new)) => {
                    format!(
                        "the value {number} is {} now, in place of {}",
                        listed(new),
                        listed(old)
                    )
                }
                (Some(old), None) => format!("the value {number} {} is gone", listed(old)),
                (None, new) => {
                    let new = new.map(listed).unwrap_or_default();
                    format!("the value {number} {new} is new")
                }
            };
            self.say(name, message);
        }
        let deprecated =
            |it: &EnumDescriptorProto| it.options.as_ref().and_then(|it| it.deprecated);
        self.deprecated(name, deprecated(old), deprecated(new));
        let reserved = |item: &EnumDescriptorProto| {
            let ranges = item.reserved_range.iter().map(|range| (range.start(), range.end()));
            reserved(ranges, &item.reserved_name, i32::MAX)
        };
        self.reserved(name, &reserved(old), &reserved(new));
    }

    fn reserved(&mut self, name: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
        for gone in old.difference(new) {
            self.say(name, format!("{gone} is no longer reserved"));
        }
        for added in new.difference(old) {
            self.say(name, format!("{added} is reserved now"));
        }
    }
}

/// The reserved ranges and names in words.
fn reserved(
    ranges: impl Iterator<Item = (i32, i32)>,
    names: &[String],
    highest: i32,
) -> BTreeSet<String> {
    let ranges = ranges.map(|range| in_words(range, highest));
    ranges.chain(names.iter().map(|name| format!("`{name}`"))).collect()
}

/// Describes how often a field may occur, and its type: `repeated string`, `map<string, a.v1.M>`.
fn described(
    index: &Index<'_>,
    of: &Declared<'_, DescriptorProto>,
    field: &FieldDescriptorProto,
) -> String {
    let kind = |field: &FieldDescriptorProto| match field.type_name() {
        "" => keyword(field.r#type()).to_owned(),
        name => name.trim_start_matches('.').to_owned(),
    };
    let map = index.messages.get(field.type_name().trim_start_matches('.'));
    if let Some((key, value)) = map.and_then(|it| entry(it.item)) {
        return format!("`map<{}, {}>`", kind(key), kind(value));
    }
    let message = field.r#type() == prost_types::field_descriptor_proto::Type::Message;
    let often = match Cardinality::of(of.file, of.item, field) {
        Cardinality::Optional if !message => "optional ",
        Cardinality::Implicit | Cardinality::Optional | Cardinality::Oneof(_) => "",
        Cardinality::Required => "required ",
        Cardinality::Repeated if can_be_packed(field.r#type()) => "repeated (not packed) ",
        Cardinality::Repeated | Cardinality::Packed => "repeated ",
    };
    format!("`{often}{}`", kind(field))
}
