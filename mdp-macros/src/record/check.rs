//! Checks protobuf's rules.

use std::collections::HashMap;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{GenericParam, Generics, Variant};

use super::arguments::Number;
use super::attributes::Container;
use super::choice::Choice;
use super::enumeration::Enumeration;
use super::message::{Field, Message, Role, Value};
use super::mistakes::Mistakes;
use super::names;
use super::numbers::{Free, MAX_TAG, PROTOBUFS_OWN, Reserved, Tag};
use super::types::{self, Container as Holds};

/// Checks for generics: a schema has no lifetimes and no type parameters.
pub(super) fn generics(generics: &Generics, mistakes: &mut Mistakes) {
    for param in &generics.params {
        match param {
            GenericParam::Lifetime(lifetime) => mistakes.of(
                lifetime,
                "protobuf cannot carry borrowed data; use an owned type: `String`, `Vec<u8>` or `bytes::Bytes`",
            ),
            GenericParam::Type(_) | GenericParam::Const(_) => mistakes.of(
                param,
                "a record has one schema, so it cannot be generic; write one record for each type",
            ),
        }
    }
}

/// Checks the number of a field.
pub(super) fn tag(
    number: &Number,
    reserved: &Reserved,
    free: &mut Free,
    mistakes: &mut Mistakes,
) -> Option<Tag> {
    let what = match number.value {
        Some(0) => "a field's number cannot be zero".to_owned(),
        Some(value) if value < 0 => "a field's number is not negative".to_owned(),
        Some(value) if PROTOBUFS_OWN.contains(&value) => {
            format!("protobuf keeps 19000 to 19999 for itself, {value} too")
        }
        Some(value) if value > MAX_TAG => format!("the highest number of a field is {MAX_TAG}"),
        None => format!("the highest number of a field is {MAX_TAG}"),
        Some(value) if reserved.has(value) => format!("the number {value} is reserved"),
        Some(value) => {
            let number_of_field = u32::try_from(value).ok()?;
            return Some(Tag { number: number_of_field, span: number.span() });
        }
    };
    let next = free.next(reserved);
    mistakes.of(number, format!("{what}; the next free one is {next}"));
    None
}

/// Checks the number of an enum's value.
pub(super) fn value_number(
    variant: &Variant,
    number: Option<Number>,
    container: &Container,
    free: &mut Free,
    mistakes: &mut Mistakes,
) -> Option<(i32, Span)> {
    let reserved = &container.reserved;
    let Some(number) = number else {
        // A number that is not a literal was already reported.
        if variant.discriminant.is_none() {
            let (next, name) = (free.next(reserved), &variant.ident);
            let message =
                format!("the variant has no number; write `{name} = {next}` or `#[mdp({next})]`");
            mistakes.of(&variant.ident, message);
        }
        return None;
    };
    let Some(value) = number.value.and_then(|value| i32::try_from(value).ok()) else {
        mistakes.of(&number, "the number of an enum's value is an `i32`; take a smaller one");
        return None;
    };
    if reserved.has(i64::from(value)) {
        let next = free.next(reserved);
        mistakes
            .of(&number, format!("the number {value} is reserved; the next free one is {next}"));
        return None;
    }
    Some((value, number.span()))
}

/// Checks the rules about several fields of a message.
pub(super) fn message(message: &Message<'_>, mistakes: &mut Mistakes) {
    let reserved = &message.container.reserved;
    let mut free = Free::of_fields(message.numbered().iter().map(|(_, v)| v.tag.number.into()));
    let mut taken = HashMap::new();
    let mut unknown = false;
    for field in &message.fields {
        match &field.role {
            Role::Value(value) => {
                endless(message, field, value, mistakes);
                let name = field.ident.to_string();
                duplicate_tag(&value.tag, name, &mut taken, reserved, &mut free, mistakes);
            }
            Role::Unknown if std::mem::replace(&mut unknown, true) => {
                mistakes.of(&field.ident, "a second `unknown`; one field keeps all unknown fields");
            }
            _ => {}
        }
    }
    field_names(message, mistakes);
    reserved_ranges(reserved, 1, MAX_TAG, mistakes);
}

/// Checks for a `Box` of the record itself: a value that is always present would contain itself without end.
fn endless(message: &Message<'_>, field: &Field, value: &Value, mistakes: &mut Mistakes) {
    if !matches!(value.carried.container, Holds::One) {
        return;
    }
    let Some(inner) = types::in_box(&field.ty) else { return };
    if inner.is_ident(message.ident) || inner.is_ident("Self") {
        let name = message.ident;
        mistakes.of(
            &field.ty,
            format!("`{name}` would hold itself without end; write `Option<Box<{name}>>`"),
        );
    }
}

fn duplicate_tag(
    tag: &Tag,
    name: String,
    taken: &mut HashMap<u32, String>,
    reserved: &Reserved,
    free: &mut Free,
    mistakes: &mut Mistakes,
) {
    if let Some(first) = taken.get(&tag.number) {
        let (number, next) = (tag.number, free.next(reserved));
        let message = format!("`{first}` has the number {number} too; the next free one is {next}");
        mistakes.at(tag.span, message);
    } else {
        taken.insert(tag.number, name);
    }
}

fn field_names(message: &Message<'_>, mistakes: &mut Mistakes) {
    let mut taken: HashMap<String, String> = HashMap::new();
    for field in &message.fields {
        let name = &field.name;
        match field.role {
            Role::Skipped | Role::Unknown => continue,
            Role::Oneof(_) | Role::Value(_) | Role::Broken => {}
        }
        if message.container.reserved.has_name(&name.text) {
            let text = &name.text;
            mistakes
                .at(name.span, format!("the name `{text}` is reserved; give the field another"));
        }
        // A oneof has no name in JSON, but it needs a unique name among the fields.
        let json = names::json(&name.text);
        if let Some(first) = taken.get(&json) {
            let message = format!(
                "in the schema this is `{}`, which is too much like `{first}`; give it another name with `rename`",
                name.text
            );
            mistakes.at(name.span, message);
        } else {
            taken.insert(json, name.text.clone());
        }
    }
}

/// Checks the rules about several values of an enum.
pub(super) fn enumeration(enumeration: &Enumeration<'_>, mistakes: &mut Mistakes) {
    let reserved = &enumeration.container.reserved;
    let numbers = || enumeration.values.iter().filter_map(|value| value.number);
    let mut free = Free::of_values(numbers().map(|(number, _)| number.into()));
    let mut taken: HashMap<i32, String> = HashMap::new();
    let mut names: HashMap<&str, String> = HashMap::new();
    for value in &enumeration.values {
        let name = value.ident.to_string();
        if let Some((number, span)) = value.number {
            if let Some(first) = taken.get(&number) {
                let next = free.next(reserved);
                let message =
                    format!("`{first}` has the number {number} too; the next free one is {next}");
                mistakes.at(span, message);
            }
            taken.entry(number).or_insert_with(|| name.clone());
        }
        let text = &value.name.text;
        if reserved.has_name(text) {
            mistakes.at(value.name.span, format!("the name `{text}` is reserved; use another"));
        }
        if let Some(first) = names.get(text.as_str()) {
            let message =
                format!("in the schema this is `{text}`, and so is `{first}`; `rename` one");
            mistakes.at(value.name.span, message);
        }
        names.entry(text).or_insert(name);
    }
    let complete = enumeration.values.iter().all(|value| value.number.is_some());
    if complete && !taken.contains_key(&0) {
        let name = enumeration.ident;
        mistakes.of(
            name,
            format!(
                "`{name}` has no variant of number zero, which is what reads when nothing was sent; \
                 add one, such as `Unspecified = 0`"
            ),
        );
    }
    reserved_ranges(reserved, i32::MIN.into(), i32::MAX.into(), mistakes);
}

/// Checks the rules about several variants of a oneof.
pub(super) fn choice(choice: &Choice<'_>, mistakes: &mut Mistakes) {
    let tags = choice.alternatives.iter().map(|alternative| alternative.tag.number.into());
    let mut free = Free::of_fields(tags);
    let mut taken = HashMap::new();
    let mut names: HashMap<String, &str> = HashMap::new();
    for alternative in &choice.alternatives {
        let ident = alternative.ident.to_string();
        duplicate_tag(
            &alternative.tag,
            ident,
            &mut taken,
            &Reserved::default(),
            &mut free,
            mistakes,
        );
        let name = &alternative.name;
        if let Some(first) = names.insert(names::json(&name.text), &name.text) {
            let message =
                format!("too much like `{first}` in the schema; give it another `rename`");
            mistakes.at(name.span, message);
        }
    }
}

fn reserved_ranges(reserved: &Reserved, low: i64, high: i64, mistakes: &mut Mistakes) {
    for (place, (range, span)) in reserved.ranges.iter().enumerate() {
        if *range.start() < low || *range.end() > high {
            mistakes.at(*span, format!("numbers are {low} to {high}, and so are reserved ones"));
        }
        let before = reserved.ranges.get(..place).into_iter().flatten();
        if before
            .into_iter()
            .any(|(other, _)| other.start() <= range.end() && range.start() <= other.end())
        {
            mistakes.at(*span, "this is reserved already; leave it out");
        }
    }
    for (place, name) in reserved.names.iter().enumerate() {
        if !names::is_identifier(&name.text) {
            mistakes.at(name.span, names::not_a_name(&name.text));
        }
        if reserved.names.iter().take(place).any(|other| other.text == name.text) {
            mistakes.at(name.span, "this name is reserved already; leave it out");
        }
    }
}
