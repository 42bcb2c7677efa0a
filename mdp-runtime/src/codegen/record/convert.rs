//! Types that go as another type: what is written is converted, and converted back.

use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};

use super::codec::{Codec, MapKey, WithDefault, Zero};
use super::field_type::{CodecOf, FieldType};
use crate::codegen::schema::{Field, MessageBuilder, Scalar};

/// A way to convert types, and the type on the wire.
pub trait Conversion {
    /// The type on the wire.
    type Wire: FieldType;
}

/// Converts the type `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be converted by `{Self}`",
    label = "this type is not converted",
    note = "`as = String` needs `Display` and `FromStr`; another `as = Wire` needs `Clone`, `Into<Wire>` and \
            `TryFrom<Wire>`; `with = module` needs `module::to_wire` and `module::from_wire`"
)]
pub trait Convert<T>: Conversion {
    /// Converts a value for the wire.
    fn to_wire(value: &T) -> Self::Wire;

    /// Converts a value from the wire.
    ///
    /// # Errors
    ///
    /// What is wrong with the value, for people.
    fn from_wire(wire: Self::Wire) -> Result<T, String>;

    /// Returns the value of an absent field.
    fn absent() -> Option<T>;

    /// Returns what a value that comes is merged into. `None`: it replaces the value that is there.
    fn merges_into(value: &T) -> Option<Self::Wire> {
        let _ = value;
        None
    }
}

/// Converts a type that has a value for an absent field.
#[diagnostic::on_unimplemented(
    message = "a field of type `{T}` has no value when it is absent",
    label = "this type has no `Default`",
    note = "write `Option<{T}>`, give a `default = ..`, or implement `Default` for `{T}`"
)]
pub trait ConvertZero<T>: Convert<T> {
    /// Returns the value of an absent field.
    fn zero() -> T;
}

/// `#[mdp(as = Wire)]`: by `Into` and `TryFrom`.
#[derive(Debug)]
pub struct As<Wire>(PhantomData<Wire>);

impl<Wire: FieldType> Conversion for As<Wire> {
    type Wire = Wire;
}

#[diagnostic::do_not_recommend]
impl<T, Wire> Convert<T> for As<Wire>
where
    T: Clone + Into<Wire> + TryFrom<Wire, Error: Display>,
    Wire: FieldType<Codec: Zero<Wire>>,
{
    fn to_wire(value: &T) -> Wire {
        value.clone().into()
    }

    fn from_wire(wire: Wire) -> Result<T, String> {
        T::try_from(wire).map_err(|error| error.to_string())
    }

    fn absent() -> Option<T> {
        T::try_from(<CodecOf<Wire> as Zero<Wire>>::zero()).ok()
    }
}

// A value that is not written must be read as itself. So the value of an absent field is what the zero on the wire stands
// for, where it stands for a value.
#[diagnostic::do_not_recommend]
impl<T: Default, Wire> ConvertZero<T> for As<Wire>
where
    As<Wire>: Convert<T>,
{
    fn zero() -> T {
        Self::absent().unwrap_or_default()
    }
}

/// `#[mdp(as = String)]`: by `Display` and `FromStr`.
#[derive(Debug)]
pub enum ByText {}

impl Conversion for ByText {
    type Wire = String;
}

#[diagnostic::do_not_recommend]
impl<T: Display + FromStr<Err: Display>> Convert<T> for ByText {
    fn to_wire(value: &T) -> String {
        value.to_string()
    }

    fn from_wire(wire: String) -> Result<T, String> {
        wire.parse().map_err(|error: T::Err| error.to_string())
    }

    fn absent() -> Option<T> {
        T::from_str("").ok()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Default> ConvertZero<T> for ByText
where
    ByText: Convert<T>,
{
    fn zero() -> T {
        Self::absent().unwrap_or_default()
    }
}

/// Converts the type `T` by the functions of a user's module.
pub trait With<T>: Conversion {
    /// Converts a value for the wire.
    fn to_wire(value: &T) -> Self::Wire;

    /// Converts a value from the wire.
    ///
    /// # Errors
    ///
    /// What is wrong with the value.
    fn from_wire(wire: Self::Wire) -> Result<T, impl Display>;
}

/// `#[mdp(with = module)]`: by the functions of a module, for which `M` stands.
#[derive(Debug)]
pub struct By<M>(PhantomData<M>);

impl<M: Conversion> Conversion for By<M> {
    type Wire = M::Wire;
}

#[diagnostic::do_not_recommend]
impl<T, M: With<T>> Convert<T> for By<M>
where
    WireCodec<M>: Zero<M::Wire>,
{
    fn to_wire(value: &T) -> M::Wire {
        M::to_wire(value)
    }

    fn from_wire(wire: M::Wire) -> Result<T, String> {
        M::from_wire(wire).map_err(|error| error.to_string())
    }

    fn absent() -> Option<T> {
        M::from_wire(<WireCodec<M>>::zero()).ok()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Default, M> ConvertZero<T> for By<M>
where
    By<M>: Convert<T>,
{
    fn zero() -> T {
        Self::absent().unwrap_or_default()
    }
}

/// The codec of a type that is converted by `V`.
#[derive(Debug)]
pub struct Through<V>(PhantomData<V>);

/// The codec of the type on the wire.
type WireCodec<V> = CodecOf<<V as Conversion>::Wire>;

impl<V> WithDefault for Through<V> {}

impl<V: Conversion> MapKey for Through<V>
where
    WireCodec<V>: MapKey,
{
    const SCALAR: Scalar = <WireCodec<V>>::SCALAR;
}

impl<T, V: ConvertZero<T>> Zero<T> for Through<V>
where
    WireCodec<V>: Zero<V::Wire>,
{
    fn zero() -> T {
        V::zero()
    }
}

impl<T, V: Convert<T>> Codec<T> for Through<V>
where
    WireCodec<V>: Zero<V::Wire>,
{
    const WIRE: WireType = <WireCodec<V>>::WIRE;

    fn is_zero(value: &T) -> bool {
        <WireCodec<V>>::is_zero(&V::to_wire(value))
    }

    fn is_zero_in_map(value: &T) -> bool {
        <WireCodec<V>>::is_zero_in_map(&V::to_wire(value))
    }

    fn encode(tag: u32, value: &T, buf: &mut impl BufMut) {
        <WireCodec<V>>::encode(tag, &V::to_wire(value), buf);
    }

    fn encoded_len(tag: u32, value: &T) -> usize {
        <WireCodec<V>>::encoded_len(tag, &V::to_wire(value))
    }

    fn encode_all<'a, I>(tag: u32, values: I, buf: &mut impl BufMut)
    where
        I: Iterator<Item = &'a T> + Clone,
        T: 'a,
    {
        let wire: Vec<V::Wire> = values.map(V::to_wire).collect();
        <WireCodec<V>>::encode_all(tag, wire.iter(), buf);
    }

    fn all_len<'a, I>(tag: u32, values: I) -> usize
    where
        I: Iterator<Item = &'a T> + Clone,
        T: 'a,
    {
        let wire: Vec<V::Wire> = values.map(V::to_wire).collect();
        <WireCodec<V>>::all_len(tag, wire.iter())
    }

    fn field(message: &mut MessageBuilder<'_>, field: &Field) {
        <WireCodec<V>>::field(message, field);
    }

    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
        <WireCodec<V>>::map(message, field, key);
    }

    fn read(
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(T, Option<i32>), DecodeError> {
        // An enum's number without a variant is zero here.
        let (wire, _) = <WireCodec<V>>::read(wire, buf, ctx)?;
        Ok((V::from_wire(wire).map_err(super::invalid)?, None))
    }

    fn merge(
        value: &mut T,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<Option<i32>, DecodeError> {
        let mut new = V::merges_into(value).unwrap_or_else(<WireCodec<V>>::zero);
        <WireCodec<V>>::merge(&mut new, wire, buf, ctx)?;
        *value = V::from_wire(new).map_err(super::invalid)?;
        Ok(None)
    }

    fn absent() -> Option<T> {
        V::absent()
    }
}
