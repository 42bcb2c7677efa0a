//! Enums with data: a choice between fields of the record that contains the enum.

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::DecodeContext;

use super::Place;
use super::codec::Codec;
use super::layout::{merge, read};
use super::unknown::Keep;
use crate::codegen::schema::{DescribedOneof, MessageBuilder};

/// An enum whose variants are fields. At most one of them is present.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a oneof",
    label = "not an enum with data that derives `MdpRecord`",
    note = "a oneof is an enum with `#[derive(MdpRecord)]` whose variants each hold one value"
)]
pub trait Oneof: DescribedOneof + Sized {
    /// The numbers and names of the fields.
    const FIELDS: &'static [(u32, &'static str)];

    /// Appends the field that is present.
    fn encode(&self, buf: &mut impl BufMut);

    /// Returns the number of bytes that [`encode`](Self::encode) appends.
    fn encoded_len(&self) -> usize;

    /// Adds the oneof and its fields to a schema.
    fn describe(message: &mut MessageBuilder<'_>, name: &str, docs: &[&str]) {
        message.oneof::<Self>(name, docs);
    }

    /// Decodes one of the fields, whose number is in `place`. This field replaces a previous one.
    ///
    /// # Errors
    ///
    /// The bytes are not a value of this type.
    fn merge(
        field: &mut Option<Self>,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
        keep: &mut impl Keep,
    ) -> Result<(), DecodeError>;
}

/// Decodes a variant's value into the existing value. Without an existing value, returns the new value.
///
/// # Errors
///
/// The bytes are not a value of this type.
pub fn merge_variant<T, C: Codec<T>>(
    current: Option<&mut T>,
    place: Place,
    buf: &mut impl Buf,
    ctx: DecodeContext,
    keep: &mut impl Keep,
) -> Result<Option<T>, DecodeError> {
    match current {
        Some(value) => merge::<T, C>(value, place, buf, ctx, keep).map(|()| None),
        None => read::<T, C>(place, buf, ctx, keep),
    }
}

/// Whether the lowest number of a oneof is between two numbers. Fields are written in the order of their numbers, and a
/// oneof at the place of its lowest number.
pub const fn begins_between(fields: &[(u32, &str)], after: u32, before: u32) -> bool {
    let mut fields = fields;
    let mut lowest = u32::MAX;
    while let [(tag, _), rest @ ..] = fields {
        if *tag < lowest {
            lowest = *tag;
        }
        fields = rest;
    }
    after < lowest && lowest < before
}

/// Whether no field has this number.
pub const fn tag_is_free(fields: &[(u32, &str)], tag: u32) -> bool {
    let mut fields = fields;
    while let [(taken, _), rest @ ..] = fields {
        if *taken == tag {
            return false;
        }
        fields = rest;
    }
    true
}

/// Whether no field has this name. Evaluated when the record is compiled.
pub const fn name_is_free(fields: &[(u32, &str)], name: &str) -> bool {
    let mut fields = fields;
    while let [(_, taken), rest @ ..] = fields {
        if same_text(taken, name) {
            return false;
        }
        fields = rest;
    }
    true
}

/// Whether no field has a number in this range, both ends included. Evaluated when the record is compiled.
pub const fn range_is_free(fields: &[(u32, &str)], low: u32, high: u32) -> bool {
    let mut fields = fields;
    while let [(taken, _), rest @ ..] = fields {
        if low <= *taken && *taken <= high {
            return false;
        }
        fields = rest;
    }
    true
}

/// Whether two oneofs have no number and no name in common. Evaluated when the record is compiled.
pub const fn are_apart(one: &[(u32, &str)], other: &[(u32, &str)]) -> bool {
    let mut one = one;
    while let [(tag, name), rest @ ..] = one {
        if !tag_is_free(other, *tag) || !name_is_free(other, name) {
            return false;
        }
        one = rest;
    }
    true
}

/// Whether two texts are equal. Evaluated when a record is compiled.
pub(super) const fn same_text(one: &str, other: &str) -> bool {
    equal(one.as_bytes(), other.as_bytes())
}

const fn equal(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([a, rest_one @ ..], [b, rest_other @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (rest_one, rest_other);
    }
    one.is_empty() && other.is_empty()
}
