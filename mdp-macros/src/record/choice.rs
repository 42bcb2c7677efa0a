//! An enum with data: a oneof.

use proc_macro2::Ident;
use syn::{DataEnum, DeriveInput, Field, Fields, Type, Variant};

use super::attributes::{ALTERNATIVE, Container, Member, Notes, Text};
use super::check;
use super::message::Coding;
use super::mistakes::Mistakes;
use super::names;
use super::numbers::{Free, Reserved, Tag};
use super::types;

/// An enum whose variants are fields of the record that contains the enum.
pub(super) struct Choice<'a> {
    pub(super) ident: &'a Ident,
    pub(super) container: &'a Container,
    pub(super) alternatives: Vec<Alternative>,
}

/// A variant with one value.
pub(super) struct Alternative {
    pub(super) ident: Ident,
    /// The field's name in the schema.
    pub(super) name: Text,
    pub(super) notes: Notes,
    pub(super) tag: Tag,
    pub(super) ty: Type,
    pub(super) coding: Coding,
}

impl Choice<'_> {
    /// The name of the oneof where the enum is a message of its own.
    pub(super) fn name_of_oneof(&self) -> String {
        let mut name = "kind".to_owned();
        while self.alternatives.iter().any(|alternative| alternative.name.text == name) {
            name.push('_');
        }
        name
    }
}

pub(super) fn read<'a>(
    item: &'a DeriveInput,
    data: &DataEnum,
    container: &'a Container,
    mistakes: &mut Mistakes,
) -> Choice<'a> {
    let why = "the fields of a oneof belong to the record that contains it; write `reserved` there";
    container.refuse(&["reserved"], why, mistakes);
    let members: Vec<_> = data
        .variants
        .iter()
        .map(|variant| (variant, Member::read(&variant.attrs, &ALTERNATIVE, mistakes)))
        .collect();
    let taken = members.iter().filter_map(|(_, member)| member.number.as_ref()?.value);
    let mut free = Free::of_fields(taken);
    let alternatives = members
        .into_iter()
        .filter_map(|(variant, member)| alternative(variant, member, &mut free, mistakes))
        .collect();
    Choice { ident: &item.ident, container, alternatives }
}

fn alternative(
    variant: &Variant,
    mut member: Member,
    free: &mut Free,
    mistakes: &mut Mistakes,
) -> Option<Alternative> {
    let tag = match &member.number {
        Some(number) => check::tag(number, &Reserved::default(), free, mistakes),
        None => {
            let next = free.next(&Reserved::default());
            let message = format!(
                "the variant has no number; write `#[mdp({next})]` if its record does not use this number"
            );
            mistakes.of(&variant.ident, message);
            None
        }
    };
    let held = held(variant, mistakes);
    let converted = member.converts.is_some();
    let carried = held.and_then(|field| mistakes.value(single(&field.ty, converted)));
    let name = names::of_alternative(&variant.ident, member.rename.take(), mistakes);
    let (tag, ty) = (tag?, carried?);
    let ident = variant.ident.clone();
    let coding = Coding::of(&member, &member.kind, &ident, &ty, mistakes);
    Some(Alternative { ident, name, notes: member.notes, tag, ty, coding })
}

/// Returns the only field of a variant.
fn held<'a>(variant: &'a Variant, mistakes: &mut Mistakes) -> Option<&'a Field> {
    let name = &variant.ident;
    match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => fields.unnamed.first(),
        Fields::Unit => {
            let message = format!(
                "a variant of a oneof holds one value; write `{name}(())` for a variant without content"
            );
            mistakes.of(name, message);
            None
        }
        fields => {
            let message = format!(
                "a variant of a oneof holds one value; make a record of these and write `{name}(Record)`"
            );
            mistakes.of(fields, message);
            None
        }
    }
}

fn single(ty: &Type, converted: bool) -> syn::Result<Type> {
    if converted {
        return Ok(ty.clone());
    }
    let carried = types::field(ty, false)?;
    match carried.container {
        types::Container::One => Ok(carried.value),
        _ => Err(syn::Error::new_spanned(
            ty,
            "a variant of a oneof holds one value; make this the field of a record and hold that",
        )),
    }
}
