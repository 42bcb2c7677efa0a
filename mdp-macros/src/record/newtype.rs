//! A struct around one value: on the wire it is the value.

use proc_macro2::Ident;
use syn::{DataStruct, DeriveInput, Fields, Type};

use super::attributes::{Container, HELD, Member};
use super::message::{self, Coding};
use super::mistakes::Mistakes;
use super::scalars::Kind;
use super::types::{self, Carried};

/// A struct with one field without a name.
pub(super) struct Newtype<'a> {
    pub(super) ident: &'a Ident,
    /// The type of the field.
    pub(super) ty: Type,
    pub(super) carried: Carried,
    pub(super) coding: Coding,
    pub(super) key: Option<Kind>,
    pub(super) unpacked: bool,
}

/// Whether a struct is one.
pub(super) fn is_one(data: &DataStruct) -> bool {
    matches!(&data.fields, Fields::Unnamed(fields) if fields.unnamed.len() == 1)
}

/// Reads the struct. `None`: its field has a mistake, which was reported.
pub(super) fn read<'a>(
    item: &'a DeriveInput,
    data: &DataStruct,
    container: &Container,
    mistakes: &mut Mistakes,
) -> Option<Newtype<'a>> {
    let why = "a struct around one value is that value in the schema";
    container.refuse(&["package", "name", "reserved"], why, mistakes);
    let field = data.fields.iter().next()?;
    let member = Member::read(&field.attrs, &HELD, mistakes);
    if let Some(number) = &member.number {
        mistakes
            .of(number, "a struct around one value has no number; the field that holds it has one");
    }
    let carried = mistakes.value(types::field(&field.ty, member.converts.is_some()))?;
    let (coding, key) = message::codings(&item.ident, &carried, &member, mistakes);
    message::unpacked(&carried, &member, mistakes);
    let unpacked = member.unpacked.is_some();
    Some(Newtype { ident: &item.ident, ty: field.ty.clone(), carried, coding, key, unpacked })
}
