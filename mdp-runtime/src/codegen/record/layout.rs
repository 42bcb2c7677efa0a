//! Layouts of fields: when a value is written, and the value of an absent field.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, merge_loop};

use super::Place;
use super::codec::{Codec, Zero};
use super::unknown::Keep;
use crate::codegen::schema::{Field, Label, MessageBuilder};

/// The layout of a field with the Rust type `T` in a message.
pub trait Layout<T> {
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

/// The layout of a field that has a value when it is absent from the wire.
pub trait Empty<T>: Layout<T> {
    /// The value of a field that is absent from the wire.
    fn empty() -> T;
}

/// A field without presence: zero values are not written.
#[derive(Debug)]
pub struct Implicit<C>(PhantomData<C>);

impl<T, C: Zero<T>> Empty<T> for Implicit<C> {
    fn empty() -> T {
        C::zero()
    }
}

impl<T, C: Codec<T>> Layout<T> for Implicit<C> {
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
        merge::<T, C>(field, place, buf, ctx, keep)
    }
}

/// Decodes a value into the existing one.
pub(super) fn merge<T, C: Codec<T>>(
    field: &mut T,
    place: Place,
    buf: &mut impl Buf,
    ctx: DecodeContext,
    keep: &mut impl Keep,
) -> Result<(), DecodeError> {
    let unknown = C::merge(field, place.wire, buf, ctx)?;
    if unknown.is_some_and(|number| !keep.number(place.tag, number))
        && let Some(zero) = C::absent()
    {
        *field = zero;
    }
    Ok(())
}

/// A field that is always written, because an absent field does not mean zero.
#[derive(Debug)]
pub struct Always<C>(PhantomData<C>);

impl<T, C: Codec<T>> Layout<T> for Always<C> {
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
        merge::<T, C>(field, place, buf, ctx, keep)
    }
}

/// A field with presence.
#[derive(Debug)]
pub struct Optional<C>(PhantomData<C>);

impl<T, C: Codec<T>> Empty<Option<T>> for Optional<C> {
    fn empty() -> Option<T> {
        None
    }
}

impl<T, C: Codec<T>> Layout<Option<T>> for Optional<C> {
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
        let unknown = C::merge_optional(field, place.wire, buf, ctx)?;
        if unknown.is_some_and(|number| !keep.number(place.tag, number)) {
            *field = C::absent();
        }
        Ok(())
    }
}

/// A list. Numbers are written packed, and both forms can be read.
#[derive(Debug)]
pub struct Repeated<C>(PhantomData<C>);

macro_rules! list {
    ($list:ty, [$($generics:tt)*], [$($bounds:tt)*]) => {
        impl<T, C: Codec<T>, $($generics)*> Empty<$list> for Repeated<C>
        where
            $($bounds)*
        {
            fn empty() -> $list {
                Default::default()
            }
        }

        impl<T, C: Codec<T>, $($generics)*> Layout<$list> for Repeated<C>
        where
            $($bounds)*
        {
            fn encode(tag: u32, field: &$list, buf: &mut impl BufMut) {
                C::encode_all(tag, field.iter(), buf);
            }

            fn encoded_len(tag: u32, field: &$list) -> usize {
                C::all_len(tag, field.iter())
            }

            fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
                C::field(message, &Field { label: Label::Repeated, ..*field });
            }

            fn merge(
                field: &mut $list,
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
    };
}

list!(Vec<T>, [], []);
list!(VecDeque<T>, [], []);
// A value that comes twice is in the set once.
list!(BTreeSet<T>, [], [T: Ord]);
list!(HashSet<T, S>, [S], [T: Eq + Hash, S: BuildHasher + Default]);

/// Decodes a new value. `None` if the value was the number of an enum without a variant, and `keep` has stored it.
pub(super) fn read<T, C: Codec<T>>(
    place: Place,
    buf: &mut impl Buf,
    ctx: DecodeContext,
    keep: &mut impl Keep,
) -> Result<Option<T>, DecodeError> {
    let (value, unknown) = C::read(place.wire, buf, ctx)?;
    let kept = unknown.is_some_and(|number| keep.number(place.tag, number));
    Ok(if kept { None } else { Some(value) })
}
