//! Codecs: each encodes and decodes one value.

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType, encode_key, encode_varint};
use prost::encoding::{encoded_len_varint, key_len};

use crate::codegen::schema::{Described, Field, MessageBuilder, Scalar};

/// Encodes and decodes values of the Rust type `T` as one of protobuf's types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot encode a `{T}`",
    label = "this protobuf type needs another Rust type",
    note = "leave the type's name out of `#[mdp(..)]`, or change the type of the field"
)]
pub trait Codec<T> {
    /// The wire type of one value.
    const WIRE: WireType;

    /// Whether a field without presence omits this value.
    fn is_zero(value: &T) -> bool;

    /// Whether an entry of a map omits this value.
    fn is_zero_in_map(value: &T) -> bool {
        Self::is_zero(value)
    }

    /// Appends the key and the value.
    fn encode(tag: u32, value: &T, buf: &mut impl BufMut);

    /// Returns the number of bytes that [`encode`](Self::encode) appends.
    fn encoded_len(tag: u32, value: &T) -> usize;

    /// Appends the values of a repeated field, packed if protobuf packs the type.
    fn encode_all<'a, I>(tag: u32, values: I, buf: &mut impl BufMut)
    where
        I: Iterator<Item = &'a T> + Clone,
        T: 'a,
    {
        for value in values {
            Self::encode(tag, value, buf);
        }
    }

    /// Returns the number of bytes that [`encode_all`](Self::encode_all) appends.
    fn all_len<'a, I>(tag: u32, values: I) -> usize
    where
        I: Iterator<Item = &'a T> + Clone,
        T: 'a,
    {
        values.map(|value| Self::encoded_len(tag, value)).sum()
    }

    /// Adds a field to a schema.
    fn field(message: &mut MessageBuilder<'_>, field: &Field);

    /// Adds a map with values of this type to a schema.
    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar);

    /// Decodes a new value. If an enum has no variant for the number, the number is returned, too, and the value is
    /// what such a number reads as.
    ///
    /// # Errors
    ///
    /// The bytes are not a value of this type.
    fn read(
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(T, Option<i32>), DecodeError>;

    /// Decodes a value into `value`: messages are merged, other values are replaced.
    ///
    /// If an enum has no variant for the number, the number is returned and `value` does not change.
    ///
    /// # Errors
    ///
    /// The bytes are not a value of this type.
    fn merge(
        value: &mut T,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<Option<i32>, DecodeError> {
        let (new, unknown) = Self::read(wire, buf, ctx)?;
        if unknown.is_none() {
            *value = new;
        }
        Ok(unknown)
    }

    /// Decodes a value into a field that may be absent. As [`merge`](Self::merge) if it is present.
    ///
    /// # Errors
    ///
    /// The bytes are not a value of this type.
    fn merge_optional(
        field: &mut Option<T>,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<Option<i32>, DecodeError> {
        if let Some(value) = field {
            return Self::merge(value, wire, buf, ctx);
        }
        let (new, unknown) = Self::read(wire, buf, ctx)?;
        if unknown.is_none() {
            *field = Some(new);
        }
        Ok(unknown)
    }

    /// Returns what an absent value reads as, and an enum's number without a variant: the value of [`Zero`]. `None`: the
    /// type has no such value.
    fn absent() -> Option<T>;
}

/// Codecs of types that have a value for a field which is absent from the wire.
#[diagnostic::on_unimplemented(
    message = "a field of type `{T}` has no value when it is absent",
    label = "this type has no zero value",
    note = "write `Option<{T}>`, or implement `Default` for `{T}`"
)]
pub trait Zero<T>: Codec<T> {
    /// The value of a field that is absent from the wire.
    fn zero() -> T;
}

/// Decodes a new value of a codec that merges.
pub(super) fn read_by_merging<T, C: Zero<T>>(
    wire: WireType,
    buf: &mut impl Buf,
    ctx: DecodeContext,
) -> Result<(T, Option<i32>), DecodeError> {
    let mut value = C::zero();
    let unknown = C::merge(&mut value, wire, buf, ctx)?;
    Ok((value, unknown))
}

/// Appends a packed list: the key, the length of all values, and the values without keys.
fn encode_packed<'a, T: 'a, B: BufMut>(
    tag: u32,
    values: impl Iterator<Item = &'a T> + Clone,
    buf: &mut B,
    len: impl Fn(&T) -> usize,
    put: impl Fn(&T, &mut B),
) {
    let mut rest = values.clone().peekable();
    if rest.peek().is_none() {
        return;
    }
    encode_key(tag, WireType::LengthDelimited, buf);
    encode_varint(values.map(len).sum::<usize>() as u64, buf);
    for value in rest {
        put(value, buf);
    }
}

/// Returns the number of bytes of a packed list.
fn packed_len<'a, T: 'a>(
    tag: u32,
    values: impl Iterator<Item = &'a T>,
    len: impl Fn(&T) -> usize,
) -> usize {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return 0;
    }
    let len = values.map(len).sum::<usize>();
    key_len(tag) + encoded_len_varint(len as u64) + len
}

/// The codecs of types that can be a map's key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a map",
    label = "protobuf's maps have integers, `bool` or `String` as keys",
    note = "make it a `Vec` of a record with two fields"
)]
pub trait MapKey {
    /// The type's name in the schema.
    const SCALAR: Scalar;
}

/// The codecs of types that can have a `default`.
#[diagnostic::on_unimplemented(
    message = "a message cannot have a `default`",
    label = "it is a message",
    note = "make the field an `Option`, and choose the default where the field is read"
)]
pub trait WithDefault {}

/// Returns a default value, if the type may have one.
pub fn default_of<C: Codec<T> + WithDefault, T>(value: T) -> T {
    value
}

/// The schema methods of a type without a name.
macro_rules! unnamed {
    ($scalar:ident) => {
        fn field(message: &mut MessageBuilder<'_>, field: &Field) {
            message.scalar(field, Scalar::$scalar);
        }

        fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
            message.scalar_map(field, key, Scalar::$scalar);
        }
    };
}

/// The schema methods of a type with a name.
macro_rules! named {
    ($ty:ident) => {
        fn field(message: &mut MessageBuilder<'_>, field: &Field) {
            message.named::<$ty>(field);
        }

        fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
            message.named_map::<$ty>(field, key);
        }
    };
}

/// Codecs for types of fixed or varying width, from prost's functions. `$len` is the number of bytes of a value in a
/// packed list, and `$put` appends it.
macro_rules! number {
    ($codec:ident = $module:ident($ty:ty), $wire:ident, $is_zero:expr, $len:expr, $put:expr) => {
        #[doc = concat!("protobuf's `", stringify!($module), "`.")]
        #[derive(Debug)]
        pub enum $codec {}

        impl WithDefault for $codec {}

        impl Zero<$ty> for $codec {
            fn zero() -> $ty {
                Default::default()
            }
        }

        impl Codec<$ty> for $codec {
            const WIRE: WireType = WireType::$wire;

            fn is_zero(value: &$ty) -> bool {
                $is_zero(value)
            }

            fn encode(tag: u32, value: &$ty, buf: &mut impl BufMut) {
                encoding::$module::encode(tag, value, buf);
            }

            fn encoded_len(tag: u32, value: &$ty) -> usize {
                encoding::$module::encoded_len(tag, value)
            }

            fn encode_all<'a, I>(tag: u32, values: I, buf: &mut impl BufMut)
            where
                I: Iterator<Item = &'a $ty> + Clone,
            {
                encode_packed(tag, values, buf, $len, $put);
            }

            fn all_len<'a, I>(tag: u32, values: I) -> usize
            where
                I: Iterator<Item = &'a $ty> + Clone,
            {
                packed_len(tag, values, $len)
            }

            unnamed!($codec);

            fn read(
                wire: WireType,
                buf: &mut impl Buf,
                ctx: DecodeContext,
            ) -> Result<($ty, Option<i32>), DecodeError> {
                read_by_merging::<$ty, Self>(wire, buf, ctx)
            }

            fn absent() -> Option<$ty> {
                Some(Self::zero())
            }

            fn merge(
                value: &mut $ty,
                wire: WireType,
                buf: &mut impl Buf,
                ctx: DecodeContext,
            ) -> Result<Option<i32>, DecodeError> {
                encoding::$module::merge(wire, value, buf, ctx).map(|()| None)
            }
        }
    };
}

/// Numbers of varying width: `$varint` is what is written of a value.
macro_rules! varints {
    ($($codec:ident = $module:ident($ty:ty), |$value:ident| $varint:expr;)*) => {$(
        number! {
            $codec = $module($ty), Varint,
            |$value: &$ty| *$value == <$ty>::default(),
            |$value: &$ty| encoded_len_varint($varint),
            |$value: &$ty, buf: &mut _| encode_varint($varint, buf)
        }
    )*};
}

/// Numbers of a fixed width.
macro_rules! fixed {
    ($($codec:ident = $module:ident($ty:ty), $wire:ident, $put:ident, |$value:ident| $is_zero:expr;)*) => {$(
        number! {
            $codec = $module($ty), $wire,
            |$value: &$ty| $is_zero,
            |_: &$ty| size_of::<$ty>(),
            |value: &$ty, buf: &mut _| BufMut::$put(buf, *value)
        }
    )*};
}

// A negative number is extended to 64 bits; `sint32` and `sint64` put the sign last.
varints! {
    Bool = bool(bool), |value| u64::from(*value);
    Int32 = int32(i32), |value| i64::from(*value).cast_unsigned();
    Int64 = int64(i64), |value| value.cast_unsigned();
    Uint32 = uint32(u32), |value| u64::from(*value);
    Uint64 = uint64(u64), |value| *value;
    Sint32 = sint32(i32), |value| u64::from(((*value << 1) ^ (*value >> 31)).cast_unsigned());
    Sint64 = sint64(i64), |value| ((*value << 1) ^ (*value >> 63)).cast_unsigned();
}

// A float is zero if all its bits are zero: protobuf distinguishes `-0.0` from `0.0`.
fixed! {
    Fixed32 = fixed32(u32), ThirtyTwoBit, put_u32_le, |value| *value == 0;
    Fixed64 = fixed64(u64), SixtyFourBit, put_u64_le, |value| *value == 0;
    Sfixed32 = sfixed32(i32), ThirtyTwoBit, put_i32_le, |value| *value == 0;
    Sfixed64 = sfixed64(i64), SixtyFourBit, put_i64_le, |value| *value == 0;
    Float = float(f32), ThirtyTwoBit, put_f32_le, |value| value.to_bits() == 0;
    Double = double(f64), SixtyFourBit, put_f64_le, |value| value.to_bits() == 0;
}

macro_rules! keys {
    ($($codec:ident = $scalar:ident,)*) => {
        $(impl MapKey for $codec {
            const SCALAR: Scalar = Scalar::$scalar;
        })*
    };
}

keys! {
    Bool = Bool,
    Int32 = Int32,
    Int64 = Int64,
    Uint32 = Uint32,
    Uint64 = Uint64,
    Sint32 = Sint32,
    Sint64 = Sint64,
    Fixed32 = Fixed32,
    Fixed64 = Fixed64,
    Sfixed32 = Sfixed32,
    Sfixed64 = Sfixed64,
    Text = String,
}

/// Codecs for types with a length prefix, from prost's functions.
macro_rules! bytes {
    ($($codec:ident = $module:ident($ty:ty), $scalar:ident;)*) => {$(
        impl Zero<$ty> for $codec {
            fn zero() -> $ty {
                Default::default()
            }
        }

        impl Codec<$ty> for $codec {
            const WIRE: WireType = WireType::LengthDelimited;

            fn is_zero(value: &$ty) -> bool {
                value.is_empty()
            }

            fn encode(tag: u32, value: &$ty, buf: &mut impl BufMut) {
                encoding::$module::encode(tag, value, buf);
            }

            fn encoded_len(tag: u32, value: &$ty) -> usize {
                encoding::$module::encoded_len(tag, value)
            }

            unnamed!($scalar);

            fn read(
                wire: WireType,
                buf: &mut impl Buf,
                ctx: DecodeContext,
            ) -> Result<($ty, Option<i32>), DecodeError> {
                read_by_merging::<$ty, Self>(wire, buf, ctx)
            }

            fn absent() -> Option<$ty> {
                Some(Self::zero())
            }

            fn merge(
                value: &mut $ty,
                wire: WireType,
                buf: &mut impl Buf,
                ctx: DecodeContext,
            ) -> Result<Option<i32>, DecodeError> {
                encoding::$module::merge(wire, value, buf, ctx).map(|()| None)
            }
        }
    )*};
}

/// The `string` of protobuf.
#[derive(Debug)]
pub enum Text {}

/// The `bytes` of protobuf.
#[derive(Debug)]
pub enum Bytes {}

impl WithDefault for Text {}
impl WithDefault for Bytes {}

bytes! {
    Text = string(String), String;
    Bytes = bytes(Vec<u8>), Bytes;
    Bytes = bytes(bytes::Bytes), Bytes;
}

/// The codec of a message: a record of `#[derive(MdpRecord)]`, or a message that prost has generated.
#[derive(Debug)]
pub enum EmbeddedMessage {}

impl<M: prost::Message + Default + Described> Zero<M> for EmbeddedMessage {
    fn zero() -> M {
        M::default()
    }
}

impl<M: prost::Message + Default + Described> Codec<M> for EmbeddedMessage {
    const WIRE: WireType = WireType::LengthDelimited;

    // A message is present or absent. A field without `Option` is always present.
    fn is_zero(_: &M) -> bool {
        false
    }

    fn is_zero_in_map(value: &M) -> bool {
        value.encoded_len() == 0
    }

    fn encode(tag: u32, value: &M, buf: &mut impl BufMut) {
        encoding::message::encode(tag, value, buf);
    }

    fn encoded_len(tag: u32, value: &M) -> usize {
        encoding::message::encoded_len(tag, value)
    }

    named!(M);

    fn read(
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(M, Option<i32>), DecodeError> {
        read_by_merging::<M, Self>(wire, buf, ctx)
    }

    fn absent() -> Option<M> {
        Some(M::default())
    }

    fn merge(
        value: &mut M,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<Option<i32>, DecodeError> {
        encoding::message::merge(wire, value, buf, ctx).map(|()| None)
    }
}

/// An enum without data, which `#[derive(MdpRecord)]` makes an enum of protobuf.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an enum of protobuf",
    note = "derive `MdpRecord` for it"
)]
pub trait Enumeration: Sized {
    /// Returns the variant with the number zero.
    fn zero() -> Self;
    /// Returns the number on the wire.
    fn number(&self) -> i32;
    /// Returns the variant with this number, if there is one.
    fn from_number(number: i32) -> Option<Self>;
}

/// The codec of an enum without data.
#[derive(Debug)]
pub enum Enum {}

impl WithDefault for Enum {}

impl<E: Enumeration + Described> Zero<E> for Enum {
    fn zero() -> E {
        E::zero()
    }
}

impl<E: Enumeration + Described> Codec<E> for Enum {
    const WIRE: WireType = WireType::Varint;

    fn is_zero(value: &E) -> bool {
        value.number() == 0
    }

    fn encode(tag: u32, value: &E, buf: &mut impl BufMut) {
        encoding::int32::encode(tag, &value.number(), buf);
    }

    fn encoded_len(tag: u32, value: &E) -> usize {
        encoding::int32::encoded_len(tag, &value.number())
    }

    fn encode_all<'a, I>(tag: u32, values: I, buf: &mut impl BufMut)
    where
        I: Iterator<Item = &'a E> + Clone,
        E: 'a,
    {
        let len = |value: &E| encoded_len_varint(wire_number(value));
        encode_packed(tag, values, buf, len, |value, buf| encode_varint(wire_number(value), buf));
    }

    fn all_len<'a, I>(tag: u32, values: I) -> usize
    where
        I: Iterator<Item = &'a E> + Clone,
        E: 'a,
    {
        packed_len(tag, values, |value| encoded_len_varint(wire_number(value)))
    }

    named!(E);

    fn read(
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(E, Option<i32>), DecodeError> {
        read_by_merging::<E, Self>(wire, buf, ctx)
    }

    fn merge(
        value: &mut E,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<Option<i32>, DecodeError> {
        let mut number = 0;
        encoding::int32::merge(wire, &mut number, buf, ctx)?;
        match E::from_number(number) {
            Some(known) => *value = known,
            None => return Ok(Some(number)),
        }
        Ok(None)
    }

    fn absent() -> Option<E> {
        Some(E::zero())
    }
}

/// Negative numbers need ten bytes, like those of `int32`.
fn wire_number<E: Enumeration>(value: &E) -> u64 {
    i64::from(value.number()).cast_unsigned()
}

/// A codec whose repeated fields are not packed.
#[derive(Debug)]
pub struct Unpacked<C>(C);

impl<T, C: Zero<T>> Zero<T> for Unpacked<C> {
    fn zero() -> T {
        C::zero()
    }
}

impl<T, C: Codec<T>> Codec<T> for Unpacked<C> {
    const WIRE: WireType = C::WIRE;

    fn is_zero(value: &T) -> bool {
        C::is_zero(value)
    }

    fn encode(tag: u32, value: &T, buf: &mut impl BufMut) {
        C::encode(tag, value, buf);
    }

    fn encoded_len(tag: u32, value: &T) -> usize {
        C::encoded_len(tag, value)
    }

    fn field(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { unpacked: true, ..*field });
    }

    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
        C::map(message, field, key);
    }

    fn read(
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(T, Option<i32>), DecodeError> {
        C::read(wire, buf, ctx)
    }

    fn merge(
        value: &mut T,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<Option<i32>, DecodeError> {
        C::merge(value, wire, buf, ctx)
    }

    fn absent() -> Option<T> {
        C::absent()
    }
}
