//! An enum without data.

use proc_macro2::Ident;
use syn::{DataEnum, DeriveInput, Fields, Type, Variant};

use super::arguments::Number;
use super::attributes::{Container, Member, Notes, Text, VALUE};
use super::check;
use super::mistakes::Mistakes;
use super::names;
use super::numbers::Free;

/// An enum without data, with a number for each variant.
pub(super) struct Enumeration<'a> {
    pub(super) ident: &'a Ident,
    pub(super) container: &'a Container,
    pub(super) values: Vec<EnumValue>,
    /// The variant that holds numbers without a variant.
    pub(super) other: Option<Ident>,
}

/// A variant without data.
pub(super) struct EnumValue {
    pub(super) ident: Ident,
    /// The name in the schema.
    pub(super) name: Text,
    /// The number on the wire. `None`: it was invalid, and reported.
    pub(super) number: Option<(i32, proc_macro2::Span)>,
    pub(super) notes: Notes,
}

/// Whether an enum has no data, so that it is not a oneof.
pub(super) fn is_one(data: &DataEnum) -> bool {
    data.variants.iter().all(|variant| variant.fields.is_empty() || is_other(variant))
}

fn is_other(variant: &Variant) -> bool {
    let mut ignored = Mistakes::default();
    Member::read(&variant.attrs, &VALUE, &mut ignored).other.is_some()
}

pub(super) fn read<'a>(
    item: &'a DeriveInput,
    data: &DataEnum,
    container: &'a Container,
    mistakes: &mut Mistakes,
) -> Enumeration<'a> {
    let mut enumeration =
        Enumeration { ident: &item.ident, container, values: Vec::new(), other: None };
    let members: Vec<_> =
        data.variants.iter().map(|variant| (variant, number_of(variant, mistakes))).collect();
    let taken = members.iter().filter_map(|(_, (_, number))| number.as_ref()?.value);
    let mut free = Free::of_values(taken);
    for (variant, (member, number)) in members {
        if member.other.is_some() {
            enumeration.take_other(variant, &member, mistakes);
            continue;
        }
        let number = check::value_number(variant, number, container, &mut free, mistakes);
        let name = names::of_value(&container.name, &variant.ident, member.rename);
        if !names::is_identifier(&name.text) {
            mistakes.at(name.span, names::not_a_name(&name.text));
        }
        enumeration.values.push(EnumValue {
            ident: variant.ident.clone(),
            name,
            number,
            notes: member.notes,
        });
    }
    enumeration
}

/// Returns the number of the attribute, or the number after `=`.
fn number_of(variant: &Variant, mistakes: &mut Mistakes) -> (Member, Option<Number>) {
    let mut member = Member::read(&variant.attrs, &VALUE, mistakes);
    let said = member.number.take();
    let Some((_, expr)) = &variant.discriminant else { return (member, said) };
    let Some(behind) = Number::of_expr(expr) else {
        if said.is_none() {
            mistakes.of(expr, "the macro must see the number; write a literal, or add `#[mdp(N)]`");
        }
        // With a zero in place of the unknown number, a second error would appear.
        return (member, said);
    };
    if let Some(said) = &said
        && said.value != behind.value
    {
        mistakes.of(said, "this number differs from the one after `=`; leave one of them out");
    }
    (member, Some(said.unwrap_or(behind)))
}

impl Enumeration<'_> {
    fn take_other(&mut self, variant: &Variant, member: &Member, mistakes: &mut Mistakes) {
        if let Some(word) = &member.other {
            member.only(word, "`other` stands for all numbers that no variant has", mistakes);
        }
        let holds_number =
            match &variant.fields {
                Fields::Unnamed(fields) => fields.unnamed.len() == 1
                    && fields.unnamed.iter().all(
                        |field| matches!(&field.ty, Type::Path(path) if path.path.is_ident("i32")),
                    ),
                _ => false,
            };
        if !holds_number {
            let name = &variant.ident;
            mistakes.of(
                variant.fields.is_empty().then_some(name).map_or_else(
                    || quote::ToTokens::to_token_stream(&variant.fields),
                    quote::ToTokens::to_token_stream,
                ),
                format!("`other` holds the number: write `{name}(i32)`"),
            );
        }
        if self.other.is_some() {
            mistakes.of(&variant.ident, "a second `other`; one is enough for all numbers");
        }
        self.other = Some(variant.ident.clone());
    }
}
