//! Compares one field before and after a change.

use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::reserved::Reserved;
use super::{Check, Level, Rule, enums};
use crate::fields::{Cardinality, keyword, oneof};
use crate::index::{Declared, Index, entry, is_map_entry};
use crate::print::json_name;

/// A field with its message and its file.
pub(super) struct Field<'a> {
    file: &'a FileDescriptorProto,
    pub(super) message: &'a DescriptorProto,
    field: &'a FieldDescriptorProto,
}

impl<'a> Declared<'a, DescriptorProto> {
    pub(super) fn field(&self, field: &'a FieldDescriptorProto) -> Field<'a> {
        Field { file: self.file, message: self.item, field }
    }
}

/// How often a field may occur. Changes within one variant are compatible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Single,
    Required,
    Repeated,
    Map,
}

impl Count {
    fn in_words(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Required => "required",
            Self::Repeated => "repeated",
            Self::Map => "a map",
        }
    }
}

impl Field<'_> {
    fn count(&self, index: &Index<'_>) -> Count {
        match Cardinality::of(self.file, self.message, self.field) {
            Cardinality::Required => Count::Required,
            Cardinality::Implicit | Cardinality::Optional | Cardinality::Oneof(_) => Count::Single,
            Cardinality::Repeated | Cardinality::Packed if self.is_map(index) => Count::Map,
            Cardinality::Repeated | Cardinality::Packed => Count::Repeated,
        }
    }

    fn is_map(&self, index: &Index<'_>) -> bool {
        let entry = index.messages.get(self.type_name());
        entry.is_some_and(|entry| is_map_entry(entry.item))
    }

    fn type_name(&self) -> &str {
        self.field.type_name().trim_start_matches('.')
    }

    fn kind(&self) -> Type {
        self.field.r#type()
    }

    fn in_words(&self) -> String {
        match self.type_name() {
            "" => keyword(self.kind()).to_owned(),
            name => format!("{} {name}", keyword(self.kind())),
        }
    }

    fn json(&self) -> String {
        self.field.json_name.clone().unwrap_or_else(|| json_name(self.field.name()))
    }

    /// The explicit or implicit default. `None`: the field has no default.
    fn default<'i>(&'i self, index: &'i Index<'_>) -> Option<&'i str> {
        if let Some(said) = &self.field.default_value {
            return Some(said);
        }
        match self.kind() {
            Type::Message | Type::Group => None,
            Type::String | Type::Bytes => Some(""),
            Type::Bool => Some("false"),
            Type::Enum => index.enums.get(self.type_name())?.item.value.first().map(|it| it.name()),
            _ => Some("0"),
        }
    }
}

impl Check<'_> {
    pub(super) fn field_gone(
        &mut self,
        element: &str,
        field: &FieldDescriptorProto,
        message: &DescriptorProto,
    ) {
        let reserved = Reserved::in_message(message);
        let number = field.number();
        if !reserved.has_number(number) {
            let message = format!("the field {number} is gone, and {number} is not reserved");
            self.report(Rule::FieldNoDeleteUnlessNumberReserved, element, message);
        }
        if !reserved.has_name(field.name()) {
            let message = format!("the field {number} is gone, and its name is not reserved");
            self.report(Rule::FieldNoDeleteUnlessNameReserved, element, message);
        }
    }

    pub(super) fn field(&mut self, element: &str, old: &Field<'_>, new: &Field<'_>, in_map: bool) {
        let names = (old.field.name(), new.field.name());
        self.same(Rule::FieldSameName, element, names, |_, new| {
            format!("the field {} is called `{new}` now", old.field.number())
        });
        self.same(Rule::FieldSameJsonName, element, (old.json(), new.json()), |old, new| {
            format!("its name in JSON changed from `{old}` to `{new}`")
        });
        let oneofs = (oneof(old.message, old.field), oneof(new.message, new.field));
        self.same(Rule::FieldSameOneof, element, oneofs, |old, new| match (old, new) {
            (None, Some(new)) => format!("it moved into the oneof `{new}`"),
            (Some(old), None) => format!("it moved out of the oneof `{old}`"),
            (old, new) => {
                let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                format!("it moved from the oneof `{old}` to `{new}`")
            }
        });
        self.default(element, old, new);
        // A map's key and value stay the same, whatever the syntax defines for fields.
        if !in_map {
            self.cardinality(element, old, new);
        }
        self.kind(element, old, new);
    }

    fn default(&mut self, element: &str, old: &Field<'_>, new: &Field<'_>) {
        if old.field.default_value.is_none() && new.field.default_value.is_none() {
            return;
        }
        let before = old.default(self.old).map(str::to_owned);
        let after = new.default(self.new).map(str::to_owned);
        // Another rule reports a change of the type.
        if let (Some(before), Some(after)) = (before, after)
            && old.kind() == new.kind()
        {
            self.same(Rule::FieldSameDefault, element, (before, after), |old, new| {
                format!("its default changed from `{old}` to `{new}`")
            });
        }
    }

    fn cardinality(&mut self, element: &str, old: &Field<'_>, new: &Field<'_>) {
        let (before, after) = (old.count(self.old), new.count(self.new));
        let message = || format!("it was {}, and is {} now", before.in_words(), after.in_words());
        let many = |count| matches!(count, Count::Repeated | Count::Map);
        if before != after && !(many(before) && many(after)) {
            self.report(Rule::FieldWireCompatibleCardinality, element, message());
        }
        if before != after {
            self.report(Rule::FieldWireJsonCompatibleCardinality, element, message());
        }
    }

    fn kind(&mut self, element: &str, old: &Field<'_>, new: &Field<'_>) {
        let rules = [
            (Level::Wire, Rule::FieldWireCompatibleType),
            (Level::WireJson, Rule::FieldWireJsonCompatibleType),
        ];
        for (level, rule) in rules {
            if !self.reads(level, old, new) {
                let (old, new) = (old.in_words(), new.in_words());
                self.report(rule, element, format!("its type changed from {old} to {new}"));
            }
        }
    }

    /// Whether the new field can read data that the old one wrote.
    fn reads(&self, level: Level, old: &Field<'_>, new: &Field<'_>) -> bool {
        let (before, after) = (old.kind(), new.kind());
        if level == Level::Wire && before == Type::String && after == Type::Bytes {
            return true;
        }
        if group(level, before) != group(level, after) {
            return false;
        }
        if old.type_name() == new.type_name() {
            return true;
        }
        let enums = (self.old.enums.get(old.type_name()), self.new.enums.get(new.type_name()));
        match enums {
            (Some(old), Some(new)) => enums::moved(old.item, new.item),
            // A map's entry is named after its field, so its content is compared.
            _ => old.is_map(self.old) && new.is_map(self.new) && self.maps_read(level, old, new),
        }
    }

    /// Whether a map can read another map whose entry has another name, because the field has another name.
    fn maps_read(&self, level: Level, old: &Field<'_>, new: &Field<'_>) -> bool {
        let before = self.old.messages.get(old.type_name());
        let after = self.new.messages.get(new.type_name());
        let (Some(before), Some(after)) = (before, after) else { return false };
        let (Some(one), Some(other)) = (entry(before.item), entry(after.item)) else {
            return false;
        };
        let read = |old: &FieldDescriptorProto, new: &FieldDescriptorProto| {
            // Key and value are not maps themselves, so this recursion ends. Descriptors that no compiler has checked
            // may be wrong.
            let (old, new) = (before.field(old), after.field(new));
            !old.is_map(self.old) && self.reads(level, &old, &new)
        };
        read(one.0, other.0) && read(one.1, other.1)
    }
}

/// Returns one representative for all types that can read each other's bytes, and at [`Level::WireJson`] each other's
/// JSON.
fn group(level: Level, kind: Type) -> Type {
    match (level, kind) {
        (Level::Wire, Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Bool) => Type::Int32,
        (Level::Wire, Type::Sint64) => Type::Sint32,
        (Level::WireJson, Type::Uint32) => Type::Int32,
        (Level::WireJson, Type::Uint64) => Type::Int64,
        (_, Type::Sfixed32) => Type::Fixed32,
        (_, Type::Sfixed64) => Type::Fixed64,
        (_, kind) => kind,
    }
}
