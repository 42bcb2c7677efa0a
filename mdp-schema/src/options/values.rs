//! Encoded values as text, by the descriptors of their messages.

use std::collections::{BTreeMap, HashMap};

use prost::encoding::{WireType, decode_key, decode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto};

use super::{Printed, known};
use crate::fields::can_be_packed;
use crate::index::Index;
use crate::strings::{quoted, quoted_bytes};

/// Messages within messages that are printed. What is deeper counts as unknown.
const DEPTH: usize = 64;

/// The number of `map_entry` in `MessageOptions`.
const MAP_ENTRY: u32 = 7;

/// The declarations by which values are printed.
pub(super) struct Values<'a> {
    index: &'a Index<'a>,
    messages: HashMap<String, DescriptorProto>,
    enums: HashMap<String, EnumDescriptorProto>,
}

/// Gives the name of an extension as it is written in the place of the options.
type Name<'n> = &'n dyn Fn(&str) -> String;

/// A value on the wire.
#[derive(Clone, Copy)]
enum Wire<'b> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Bytes(&'b [u8]),
    Group(&'b [u8]),
}

/// The values of a message by the numbers of their fields, each in the order of the bytes.
type Fields<'b> = BTreeMap<u32, Vec<Wire<'b>>>;

impl<'a> Values<'a> {
    pub(super) fn of(index: &'a Index<'a>) -> Self {
        let full = |name: Option<&str>| format!("google.protobuf.{}", name.unwrap_or_default());
        Self {
            index,
            messages: known::messages().map(|item| (full(item.name.as_deref()), item)).collect(),
            enums: known::enums().map(|item| (full(item.name.as_deref()), item)).collect(),
        }
    }

    /// Prints the options of a declaration. `kind` is the full name of their message.
    pub(super) fn options(&self, kind: &str, bytes: &[u8], name: Name<'_>) -> Printed {
        let mut printed = Printed::default();
        let Some(fields) = read(bytes) else {
            printed.unknown.push(format!("unreadable options: {}", in_hex(bytes)));
            return printed;
        };
        for (number, values) in fields {
            // That a message is the entry of a map is not written as an option.
            if kind == "google.protobuf.MessageOptions" && number == MAP_ENTRY {
                continue;
            }
            let found = self.field(kind, number).and_then(|field| {
                let texts = self.texts(field.item, &values, 0, false)?;
                Some((field.name(name), texts))
            });
            match found {
                Some((name, texts)) => {
                    printed.set.extend(texts.into_iter().map(|text| (name.clone(), text)));
                }
                None => {
                    let bytes: Vec<String> = values.iter().map(Wire::in_hex).collect();
                    printed.unknown.push(format!("unknown option {number}: {}", bytes.join(", ")));
                }
            }
        }
        printed
    }

    /// Returns the field, or the extension, of a message.
    fn field(&self, message: &str, number: u32) -> Option<Found<'_>> {
        let number = i32::try_from(number).ok()?;
        let of = |message: &'_ DescriptorProto| -> Option<usize> {
            message.field.iter().position(|field| field.number() == number)
        };
        let declared = self.index.messages.get(message).map(|declared| declared.item);
        for message in declared.into_iter().chain(self.messages.get(message)) {
            if let Some(item) = of(message).and_then(|place| message.field.get(place)) {
                return Some(Found { item, extension: None });
            }
        }
        let extension = self.index.extensions.get(message)?.get(&number)?;
        Some(Found { item: extension.item, extension: Some(&extension.name) })
    }

    /// Prints the values of a field, one for each time that it is to be written. `within`: they are part of a message.
    fn texts(
        &self,
        field: &FieldDescriptorProto,
        values: &[Wire<'_>],
        depth: usize,
        within: bool,
    ) -> Option<Vec<String>> {
        let kind = field.r#type();
        let repeated = field.label() == Label::Repeated;
        if matches!(kind, Type::Message | Type::Group) {
            let pieces = values.iter().map(|value| match (value, kind) {
                (Wire::Bytes(bytes), Type::Message) | (Wire::Group(bytes), Type::Group) => {
                    Some(*bytes)
                }
                _ => None,
            });
            let mut pieces: Vec<Vec<u8>> =
                pieces.map(|it| it.map(<[u8]>::to_vec)).collect::<Option<_>>()?;
            if !repeated {
                // A message that is encoded in several pieces is the pieces behind each other.
                pieces = vec![pieces.concat()];
            }
            let of = field.type_name().trim_start_matches('.');
            return pieces.iter().map(|bytes| self.message(of, bytes, depth + 1)).collect();
        }
        let mut single = Vec::new();
        for value in values {
            match value {
                Wire::Bytes(bytes) if repeated && can_be_packed(kind) => {
                    single.extend(packed(kind, bytes)?)
                }
                value => single.push(*value),
            }
        }
        let first = if repeated { 0 } else { single.len().saturating_sub(1) };
        single.iter().skip(first).map(|value| self.text(field, value, within)).collect()
    }

    fn text(&self, field: &FieldDescriptorProto, value: &Wire<'_>, within: bool) -> Option<String> {
        Some(match (field.r#type(), *value) {
            (Type::Bool, Wire::Varint(value)) => (value != 0).to_string(),
            (Type::Int32, Wire::Varint(value)) => (value as i32).to_string(),
            (Type::Int64, Wire::Varint(value)) => value.cast_signed().to_string(),
            (Type::Uint32, Wire::Varint(value)) => (value as u32).to_string(),
            (Type::Uint64, Wire::Varint(value)) => value.to_string(),
            (Type::Sint32, Wire::Varint(value)) => (zigzag(value) as i32).to_string(),
            (Type::Sint64, Wire::Varint(value)) => zigzag(value).to_string(),
            (Type::Enum, Wire::Varint(value)) => {
                let of = field.type_name().trim_start_matches('.');
                match self.value_name(of, value as i32) {
                    Some(name) => name.to_owned(),
                    None if within => (value as i32).to_string(),
                    // No syntax sets an option to a number that has no name.
                    None => return None,
                }
            }
            (Type::Fixed32, Wire::Fixed32(bytes)) => u32::from_le_bytes(bytes).to_string(),
            (Type::Sfixed32, Wire::Fixed32(bytes)) => i32::from_le_bytes(bytes).to_string(),
            (Type::Float, Wire::Fixed32(bytes)) => {
                let value = f32::from_le_bytes(bytes);
                number(format!("{value:?}"))
            }
            (Type::Fixed64, Wire::Fixed64(bytes)) => u64::from_le_bytes(bytes).to_string(),
            (Type::Sfixed64, Wire::Fixed64(bytes)) => i64::from_le_bytes(bytes).to_string(),
            (Type::Double, Wire::Fixed64(bytes)) => {
                let value = f64::from_le_bytes(bytes);
                number(format!("{value:?}"))
            }
            (Type::String, Wire::Bytes(bytes)) => quoted(std::str::from_utf8(bytes).ok()?),
            (Type::Bytes, Wire::Bytes(bytes)) => quoted_bytes(bytes),
            _ => return None,
        })
    }

    /// Prints a message in protobuf's text format. `None`: it has a field that nothing declares.
    fn message(&self, full: &str, bytes: &[u8], depth: usize) -> Option<String> {
        if depth > DEPTH {
            return None;
        }
        let mut parts = Vec::new();
        for (number, values) in read(bytes)? {
            let found = self.field(full, number)?;
            let name = match (found.extension, found.item.r#type()) {
                (Some(full), _) => format!("[{full}]"),
                // The text format names a group as its type.
                (None, Type::Group) => last(found.item.type_name()).to_owned(),
                (None, _) => found.item.name().to_owned(),
            };
            let texts = self.texts(found.item, &values, depth, true)?;
            parts.extend(texts.into_iter().map(|text| format!("{name}: {text}")));
        }
        Some(if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) })
    }

    fn value_name(&self, full: &str, number: i32) -> Option<&str> {
        let declared = self.index.enums.get(full).map(|declared| declared.item);
        let mut values = declared.into_iter().chain(self.enums.get(full)).flat_map(|it| &it.value);
        values.find(|value| value.number() == number).map(|value| value.name())
    }
}

/// A field, with its full name if it is an extension.
struct Found<'a> {
    item: &'a FieldDescriptorProto,
    extension: Option<&'a str>,
}

impl Found<'_> {
    fn name(&self, name: Name<'_>) -> String {
        match self.extension {
            Some(full) => format!("({})", name(full)),
            None => self.item.name().to_owned(),
        }
    }
}

impl Wire<'_> {
    fn in_hex(&self) -> String {
        match self {
            Self::Varint(value) => format!("varint {value}"),
            Self::Fixed32(bytes) => in_hex(bytes),
            Self::Fixed64(bytes) => in_hex(bytes),
            Self::Bytes(bytes) | Self::Group(bytes) => in_hex(bytes),
        }
    }
}

fn in_hex(bytes: &[u8]) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Rust and protobuf write the same numbers, but for one word.
fn number(text: String) -> String {
    if text == "NaN" { "nan".to_owned() } else { text }
}

/// Reads the fields of a message. `None`: the bytes are not a message.
fn read(mut bytes: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Fields::new();
    while !bytes.is_empty() {
        let (number, kind) = decode_key(&mut bytes).ok()?;
        let value = one(kind, number, &mut bytes, 0)?;
        fields.entry(number).or_default().push(value);
    }
    Some(fields)
}

fn one<'b>(kind: WireType, number: u32, bytes: &mut &'b [u8], depth: usize) -> Option<Wire<'b>> {
    Some(match kind {
        WireType::Varint => Wire::Varint(decode_varint(bytes).ok()?),
        WireType::ThirtyTwoBit => Wire::Fixed32(*bytes.split_off(..4)?.first_chunk()?),
        WireType::SixtyFourBit => Wire::Fixed64(*bytes.split_off(..8)?.first_chunk()?),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
            Wire::Bytes(bytes.split_off(..length)?)
        }
        WireType::StartGroup if depth < DEPTH => {
            let all = *bytes;
            loop {
                let before = bytes.len();
                let (inner, kind) = decode_key(bytes).ok()?;
                if matches!(kind, WireType::EndGroup) {
                    let within = all.get(..all.len() - before)?;
                    break (inner == number).then_some(Wire::Group(within))?;
                }
                one(kind, inner, bytes, depth + 1)?;
            }
        }
        WireType::StartGroup | WireType::EndGroup => return None,
    })
}

/// Reads a packed list.
fn packed<'b>(kind: Type, mut bytes: &'b [u8]) -> Option<Vec<Wire<'b>>> {
    let wire = match kind {
        Type::Fixed32 | Type::Sfixed32 | Type::Float => WireType::ThirtyTwoBit,
        Type::Fixed64 | Type::Sfixed64 | Type::Double => WireType::SixtyFourBit,
        _ => WireType::Varint,
    };
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(one(wire, 0, &mut bytes, 0)?);
    }
    Some(values)
}
