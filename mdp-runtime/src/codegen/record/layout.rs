//! Layouts of fields: when a value is written, and the value of an absent field.

use std::marker::PhantomData;

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, merge_loop};

use super::Place;
use super::codec::Codec;
use super::unknown::Keep;
use crate::codegen::schema::{Field, Label, MessageBuilder};

/// The layout of a field with the Rust type `T` in a message.
pub trait Layout<T> {
    /// The value of a field that is absent from the wire.
    fn empty() -> T;

    /// Appends the field, or nothing.
    fn encode(tag: u32, field: &T, buf: &mut impl BufMut);

    /// Returns the number of bytes that [`encode`](Self::encode) appends.
    fn encoded_len(tag: u32, field: &T) -> usize;

    /// Adds the field to a schema. The layout sets the field's label.
    fn describe(message: &mut MessageBuilder<'_>, field: &Field);

    /// Decodes one occurrence of the field into `field`. `keep` gets the numbers of enums without a variant. If `keep`
    /// does not store a number, the field gets the variant with the number zero.
    ///
    /// # Errors
    ///
    /// The bytes are not a value of this type.
    fn merge(
        field: &mut T,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
        keep: &mut impl Keep,
    ) -> Result<(), DecodeError>;
}

/// A field without presence: zero values are not written.
#[derive(Debug)]
pub struct Implicit<C>(PhantomData<C>);

impl<T, C: Codec<T>> Layout<T> for Implicit<C> {
    fn empty() -> T {
        C::zero()
    }

    fn encode(tag: u32, field: &T, buf: &mut impl BufMut) {
        if !C::is_zero(field) {
            C::encode(tag, field, buf);
        }
    }

    fn encoded_len(tag: u32, field: &T) -> usize {
        if C::is_zero(field) { 0 } else { C::encoded_len(tag, field) }
    }

    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { label: Label::Implicit, ..*field });
    }

    fn merge(
        field: &mut T,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
        keep: &mut impl Keep,
    ) -> Result<(), DecodeError> {
        let unknown = C::merge(field, place.wire, buf, ctx)?;
        if unknown.is_some_and(|number| !keep.number(place.tag, number)) {
            *field = C::zero();
        }
        Ok(())
    }
}

/// A field that is always written, because an absent field does not mean zero.
#[derive(Debug)]
pub struct Always<C>(PhantomData<C>);

impl<T, C: Codec<T>> Layout<T> for Always<C> {
    fn empty() -> T {
        C::zero()
    }

    fn encode(tag: u32, field: &T, buf: &mut impl BufMut) {
        C::encode(tag, field, buf);
    }

    fn encoded_len(tag: u32, field: &T) -> usize {
        C::encoded_len(tag, field)
    }

    // A field that is always written has presence.
    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { label: Label::Optional, ..*field });
    }

    fn merge(
        field: &mut T,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
        keep: &mut impl Keep,
    ) -> Result<(), DecodeError> {
        Implicit::<C>::merge(field, place, buf, ctx, keep)
    }
}

/// A field with presence.
#[derive(Debug)]
pub struct Optional<C>(PhantomData<C>);

impl<T, C: Codec<T>> Layout<Option<T>> for Optional<C> {
    fn empty() -> Option<T> {
        None
    }

    fn encode(tag: u32, field: &Option<T>, buf: &mut impl BufMut) {
        if let Some(value) = field {
            C::encode(tag, value, buf);
        }
    }

    fn encoded_len(tag: u32, field: &Option<T>) -> usize {
        field.as_ref().map_or(0, |value| C::encoded_len(tag, value))
    }

    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { label: Label::Optional, ..*field });
    }

    fn merge(
        field: &mut Option<T>,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
        keep: &mut impl Keep,
    ) -> Result<(), DecodeError> {
        if let Some(value) = field {
            return Implicit::<C>::merge(value, place, buf, ctx, keep);
        }
        if let Some(value) = read::<T, C>(place, buf, ctx, keep)? {
            *field = Some(value);
        }
        Ok(())
    }
}

/// A list. Numbers are written packed, and both forms can be read.
#[derive(Debug)]
pub struct Repeated<C>(PhantomData<C>);

impl<T, C: Codec<T>> Layout<Vec<T>> for Repeated<C> {
    fn empty() -> Vec<T> {
        Vec::new()
    }

    fn encode(tag: u32, field: &Vec<T>, buf: &mut impl BufMut) {
        C::encode_all(tag, field, buf);
    }

    fn encoded_len(tag: u32, field: &Vec<T>) -> usize {
        C::all_len(tag, field)
    }

    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { label: Label::Repeated, ..*field });
    }

    fn merge(
        field: &mut Vec<T>,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
        keep: &mut impl Keep,
    ) -> Result<(), DecodeError> {
        let packed = place.wire == WireType::LengthDelimited && C::WIRE != place.wire;
        if !packed {
            field.extend(read::<T, C>(place, buf, ctx, keep)?);
            return Ok(());
        }
        let place = Place { wire: C::WIRE, ..place };
        merge_loop(field, buf, ctx, |field, buf, ctx| {
            field.extend(read::<T, C>(place, buf, ctx, keep)?);
            Ok(())
        })
    }
}

/// Decodes a new value. `None` if the value was the number of an enum without a variant, and `keep` has stored it.
pub(super) fn read<T, C: Codec<T>>(
    place: Place,
    buf: &mut impl Buf,
    ctx: DecodeContext,
    keep: &mut impl Keep,
) -> Result<Option<T>, DecodeError> {
    let mut value = C::zero();
    let unknown = C::merge(&mut value, place.wire, buf, ctx)?;
    let kept = unknown.is_some_and(|number| keep.number(place.tag, number));
    Ok(if kept { None } else { Some(value) })
}
