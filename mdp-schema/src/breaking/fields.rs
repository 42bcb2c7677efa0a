//! Compares one field before and after a change.

use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::renamed::What;
use super::reserved::Reserved;
use super::{Check, Level, Rule, enums};
use crate::fields::{Cardinality, keyword};
use crate::index::{Declared, Extension, Index, entry};
use crate::print::json_name;

/// A field with its message and its file.
pub(super) struct Field<'a> {
    file: &'a FileDescriptorProto,
    message: &'a DescriptorProto,
    field: &'a FieldDescriptorProto,
}

impl<'a> Declared<'a, DescriptorProto> {
    pub(super) fn field(&self, field: &'a FieldDescriptorProto) -> Field<'a> {
        Field { file: self.file, message: self.item, field }
    }
}

/// How often a field may occur. Changes within one variant are compatible. Another rule is about required fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Single,
    Repeated,
    Map,
}

impl Count {
    fn in_words(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Repeated => "repeated",
            Self::Map => "a map",
        }
    }
}

/// Whether a field's new type reads what the old one wrote.
#[derive(Debug)]
enum Reads {
    Yes,
    No,
    /// It does if the type of the second name reads the type of the first one.
    If(String, String),
}

impl<'a> Field<'a> {
    fn count(&self, index: &Index<'_>) -> Count {
        match self.cardinality() {
            Cardinality::Repeated | Cardinality::Packed if self.entry(index).is_some() => {
                Count::Map
            }
            Cardinality::Repeated | Cardinality::Packed => Count::Repeated,
            _ => Count::Single,
        }
    }

    fn cardinality(&self) -> Cardinality<'a> {
        Cardinality::of(self.file, self.message, self.field)
    }

    /// The key and the value of a map.
    fn entry<'i>(&self, index: &Index<'i>) -> Option<(Field<'i>, Field<'i>)> {
        let declared = index.messages.get(self.type_name())?;
        let (key, value) = entry(declared.item)?;
        Some((declared.field(key), declared.field(value)))
    }

    fn type_name(&self) -> &'a str {
        self.field.type_name().trim_start_matches('.')
    }

    fn kind(&self) -> Type {
        self.field.r#type()
    }

    fn in_words(&self, index: &Index<'_>) -> String {
        if let Some((key, value)) = self.entry(index) {
            return format!("map<{}, {}>", key.type_in_words(), value.type_in_words());
        }
        self.type_in_words()
    }

    fn type_in_words(&self) -> String {
        match self.type_name() {
            "" => keyword(self.kind()).to_owned(),
            name => format!("{} {name}", keyword(self.kind())),
        }
    }

    fn json(&self) -> String {
        self.field.json_name.clone().unwrap_or_else(|| json_name(self.field.name()))
    }

    /// The explicit or implicit default. `None`: the field has no default.
    fn default(&self, index: &Index<'a>) -> Option<&'a str> {
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

    /// The number of the default of an enum.
    fn default_number(&self, index: &Index<'a>) -> Option<i32> {
        let item = index.enums.get(self.type_name())?.item;
        enums::number(item, self.default(index)?)
    }
}

impl<'a> Check<'a> {
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

    pub(super) fn field(&mut self, element: &str, old: &Field<'a>, new: &Field<'a>) {
        let names = (old.field.name(), new.field.name());
        self.same(Rule::FieldSameName, element, names, |_, new| {
            format!("the field {} is called `{new}` now", old.field.number())
        });
        self.same(Rule::FieldSameJsonName, element, (old.json(), new.json()), |old, new| {
            format!("its name in JSON changed from `{old}` to `{new}`")
        });
        self.content(element, old, new);
    }

    /// Compares two extensions with one number. Their name in JSON is their full name.
    pub(super) fn extension(
        &mut self,
        of: &str,
        message: (&'a DescriptorProto, &'a DescriptorProto),
        old: &Extension<'a>,
        new: &Extension<'a>,
    ) {
        let element = format!("{of}.[{}]", old.name);
        self.file = new.file.name().to_owned();
        self.same(Rule::FieldSameName, &element, (&old.name, &new.name), |_, name| {
            format!("the extension {} is called `{name}` now", new.item.number())
        });
        let old = Field { file: old.file, message: message.0, field: old.item };
        let new = Field { file: new.file, message: message.1, field: new.item };
        self.content(&element, &old, &new);
    }

    fn content(&mut self, element: &str, old: &Field<'a>, new: &Field<'a>) {
        self.default(element, old, new);
        self.cardinality(element, old, new);
        self.kind(element, old, new);
    }

    fn default(&mut self, element: &str, old: &Field<'a>, new: &Field<'a>) {
        // Another rule reports a change of the type.
        if old.kind() != new.kind()
            || (old.field.default_value.is_none() && new.field.default_value.is_none())
        {
            return;
        }
        let (Some(before), Some(after)) = (old.default(self.old), new.default(self.new)) else {
            return;
        };
        // A value may have several names.
        let numbers = (old.default_number(self.old), new.default_number(self.new));
        if numbers.0.is_some() && numbers.0 == numbers.1 {
            return;
        }
        self.same(Rule::FieldSameDefault, element, (before, after), |old, new| {
            format!("its default changed from `{old}` to `{new}`")
        });
    }

    fn cardinality(&mut self, element: &str, old: &Field<'a>, new: &Field<'a>) {
        let (before, after) = (old.count(self.old), new.count(self.new));
        if before == after {
            return;
        }
        let mut message = format!("it was {}, and is {} now", before.in_words(), after.in_words());
        self.report(Rule::FieldWireJsonCompatibleCardinality, element, message.clone());
        message += match (old.cardinality(), new.cardinality()) {
            (Cardinality::Packed, _) if after == Count::Single => {
                ", which does not read the packed form of the old schema"
            }
            _ if after == Count::Single => ": of several values one is left",
            (_, Cardinality::Packed) if before == Count::Single => {
                ", in a packed form that programs of the old schema do not read"
            }
            // A single value is written as a list of one, and a map as a list of pairs.
            _ => return,
        };
        self.report(Rule::FieldWireCompatibleCardinality, element, message);
    }

    fn kind(&mut self, element: &str, old: &Field<'a>, new: &Field<'a>) {
        let rule = match self.level {
            Level::Wire => Rule::FieldWireCompatibleType,
            Level::WireJson => Rule::FieldWireJsonCompatibleType,
        };
        let what = || {
            let (old, new) = (old.in_words(self.old), new.in_words(self.new));
            format!("its type changed from {old} to {new}")
        };
        match self.reads(old, new) {
            Reads::Yes => {}
            Reads::No => self.report(rule, element, what()),
            Reads::If(before, after) => {
                let what = What::Field(what());
                self.rename(rule, element, what, (&before, &after));
            }
        }
    }

    /// Whether the new field can read data that the old one wrote.
    fn reads(&self, old: &Field<'a>, new: &Field<'a>) -> Reads {
        match (old.entry(self.old), new.entry(self.new)) {
            (None, None) => self.reads_one(old, new),
            (Some(before), Some(after)) => match self.reads_one(&before.0, &after.0) {
                Reads::Yes => self.reads_one(&before.1, &after.1),
                _ => Reads::No,
            },
            // The rule for the cardinality reports it.
            _ if self.level == Level::WireJson => Reads::Yes,
            _ if old.kind() != new.kind() => Reads::No,
            _ => Reads::If(old.type_name().to_owned(), new.type_name().to_owned()),
        }
    }

    /// The same for two fields that are not maps.
    fn reads_one(&self, old: &Field<'a>, new: &Field<'a>) -> Reads {
        let (before, after) = (old.kind(), new.kind());
        if self.level == Level::Wire && evolves(before, after) {
            return Reads::Yes;
        }
        if group(self.level, before) != group(self.level, after) {
            return Reads::No;
        }
        match (old.type_name(), new.type_name()) {
            (old, new) if old == new => Reads::Yes,
            (old, new) => Reads::If(old.to_owned(), new.to_owned()),
        }
    }
}

/// Whether one type reads the bytes of the other, although the two are not in one [`group`].
fn evolves(old: Type, new: Type) -> bool {
    use Type::{Bytes, Enum, Int32, Int64, String, Uint32, Uint64};
    let number = |kind| matches!(kind, Int32 | Int64 | Uint32 | Uint64);
    match (old, new) {
        (String, Bytes) => true,
        (Enum, other) | (other, Enum) => number(other),
        _ => false,
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
