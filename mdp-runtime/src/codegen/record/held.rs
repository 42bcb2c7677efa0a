//! A struct around one value: on the wire it is what it holds.

use std::marker::PhantomData;

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};

use super::Place;
use super::codec::{Codec, MapKey, WithDefault, Zero};
use super::layout::{Empty, Layout};
use super::unknown::Keep;
use crate::codegen::schema::{Field, MessageBuilder, Scalar};

/// A struct with one field without a name.
pub trait Newtype: Sized {
    /// The type of the field.
    type Inner: 'static;

    /// Makes the struct.
    fn wrap(inner: Self::Inner) -> Self;

    /// Returns the field.
    fn inner(&self) -> &Self::Inner;

    /// Returns the field.
    fn inner_mut(&mut self) -> &mut Self::Inner;
}

/// The codec of a struct around one value, whose codec is `C`.
#[derive(Debug)]
pub struct Held<C>(PhantomData<C>);

impl<C: WithDefault> WithDefault for Held<C> {}

impl<C: MapKey> MapKey for Held<C> {
    const SCALAR: Scalar = C::SCALAR;
}

impl<T: Newtype, C: Zero<T::Inner>> Zero<T> for Held<C> {
    fn zero() -> T {
        T::wrap(C::zero())
    }
}

impl<T: Newtype, C: Codec<T::Inner>> Codec<T> for Held<C> {
    const WIRE: WireType = C::WIRE;

    fn is_zero(value: &T) -> bool {
        C::is_zero(value.inner())
    }

    fn is_zero_in_map(value: &T) -> bool {
        C::is_zero_in_map(value.inner())
    }

    fn encode(tag: u32, value: &T, buf: &mut impl BufMut) {
        C::encode(tag, value.inner(), buf);
    }

    fn encoded_len(tag: u32, value: &T) -> usize {
        C::encoded_len(tag, value.inner())
    }

    fn encode_all<'a, I>(tag: u32, values: I, buf: &mut impl BufMut)
    where
        I: Iterator<Item = &'a T> + Clone,
        T: 'a,
    {
        C::encode_all(tag, values.map(T::inner), buf);
    }

    fn all_len<'a, I>(tag: u32, values: I) -> usize
    where
        I: Iterator<Item = &'a T> + Clone,
        T: 'a,
    {
        C::all_len(tag, values.map(T::inner))
    }

    fn field(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, field);
    }

    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
        C::map(message, field, key);
    }

    fn read(
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(T, Option<i32>), DecodeError> {
        C::read(wire, buf, ctx).map(|(inner, unknown)| (T::wrap(inner), unknown))
    }

    fn merge(
        value: &mut T,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<Option<i32>, DecodeError> {
        C::merge(value.inner_mut(), wire, buf, ctx)
    }

    fn absent() -> Option<T> {
        C::absent().map(T::wrap)
    }
}

/// The layout of a struct around a list, a map or an `Option`, whose layout is `L`.
#[derive(Debug)]
pub struct HeldLayout<L>(PhantomData<L>);

impl<T: Newtype, L: Empty<T::Inner>> Empty<T> for HeldLayout<L> {
    fn empty() -> T {
        T::wrap(L::empty())
    }
}

impl<T: Newtype, L: Layout<T::Inner>> Layout<T> for HeldLayout<L> {
    fn encode(tag: u32, field: &T, buf: &mut impl BufMut) {
        L::encode(tag, field.inner(), buf);
    }

    fn encoded_len(tag: u32, field: &T) -> usize {
        L::encoded_len(tag, field.inner())
    }

    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        L::describe(message, field);
    }

    fn merge(
        field: &mut T,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
        keep: &mut impl Keep,
    ) -> Result<(), DecodeError> {
        L::merge(field.inner_mut(), place, buf, ctx, keep)
    }
}
