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

    /// The value of a field that is absent from the wire.
    fn zero() -> T;

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
    fn encode_all(tag: u32, values: &[T], buf: &mut impl BufMut) {
        for value in values {
            Self::encode(tag, value, buf);
        }
    }

    /// Returns the number of bytes that [`encode_all`](Self::encode_all) appends.
    fn all_len(tag: u32, values: &[T]) -> usize {
        values.iter().map(|value| Self::encoded_len(tag, value)).sum()
    }

    /// Adds a field to a schema.
    fn field(message: &mut MessageBuilder<'_>, field: &Field);

    /// Adds a map with values of this type to a schema.
    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar);

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
    ) -> Result<Option<i32>, DecodeError>;
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

/// Codecs for types of fixed or varying width, from prost's functions.
macro_rules! number {
    ($($codec:ident = $module:ident($ty:ty), $wire:ident, |$value:ident| $is_zero:expr;)*) => {$(
        #[doc = concat!("protobuf's `", stringify!($module), "`.")]
        #[derive(Debug)]
        pub enum $codec {}

        impl WithDefault for $codec {}

        impl Codec<$ty> for $codec {
            const WIRE: WireType = WireType::$wire;

            fn zero() -> $ty {
                Default::default()
            }

            fn is_zero($value: &$ty) -> bool {
                $is_zero
            }

            fn encode(tag: u32, value: &$ty, buf: &mut impl BufMut) {
                encoding::$module::encode(tag, value, buf);
            }

            fn encoded_len(tag: u32, value: &$ty) -> usize {
                encoding::$module::encoded_len(tag, value)
            }

            fn encode_all(tag: u32, values: &[$ty], buf: &mut impl BufMut) {
                encoding::$module::encode_packed(tag, values, buf);
            }

            fn all_len(tag: u32, values: &[$ty]) -> usize {
                encoding::$module::encoded_len_packed(tag, values)
            }

            unnamed!($codec);

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

// A float is zero if all its bits are zero: protobuf distinguishes `-0.0` from `0.0`.
number! {
    Bool = bool(bool), Varint, |value| !*value;
    Int32 = int32(i32), Varint, |value| *value == 0;
    Int64 = int64(i64), Varint, |value| *value == 0;
    Uint32 = uint32(u32), Varint, |value| *value == 0;
    Uint64 = uint64(u64), Varint, |value| *value == 0;
    Sint32 = sint32(i32), Varint, |value| *value == 0;
    Sint64 = sint64(i64), Varint, |value| *value == 0;
    Fixed32 = fixed32(u32), ThirtyTwoBit, |value| *value == 0;
    Fixed64 = fixed64(u64), SixtyFourBit, |value| *value == 0;
    Sfixed32 = sfixed32(i32), ThirtyTwoBit, |value| *value == 0;
    Sfixed64 = sfixed64(i64), SixtyFourBit, |value| *value == 0;
    Float = float(f32), ThirtyTwoBit, |value| value.to_bits() == 0;
    Double = double(f64), SixtyFourBit, |value| value.to_bits() == 0;
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
        impl Codec<$ty> for $codec {
            const WIRE: WireType = WireType::LengthDelimited;

            fn zero() -> $ty {
                Default::default()
            }

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

impl<M: prost::Message + Default + Described> Codec<M> for EmbeddedMessage {
    const WIRE: WireType = WireType::LengthDelimited;

    fn zero() -> M {
        M::default()
    }

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

impl<E: Enumeration + Described> Codec<E> for Enum {
    const WIRE: WireType = WireType::Varint;

    fn zero() -> E {
        E::zero()
    }

    fn is_zero(value: &E) -> bool {
        value.number() == 0
    }

    fn encode(tag: u32, value: &E, buf: &mut impl BufMut) {
        encoding::int32::encode(tag, &value.number(), buf);
    }

    fn encoded_len(tag: u32, value: &E) -> usize {
        encoding::int32::encoded_len(tag, &value.number())
    }

    fn encode_all(tag: u32, values: &[E], buf: &mut impl BufMut) {
        if values.is_empty() {
            return;
        }
        encode_key(tag, WireType::LengthDelimited, buf);
        encode_varint(packed_len(values) as u64, buf);
        for value in values {
            encode_varint(wire_number(value), buf);
        }
    }

    fn all_len(tag: u32, values: &[E]) -> usize {
        if values.is_empty() {
            return 0;
        }
        let len = packed_len(values);
        key_len(tag) + encoded_len_varint(len as u64) + len
    }

    named!(E);

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
}

fn packed_len<E: Enumeration>(values: &[E]) -> usize {
    values.iter().map(|value| encoded_len_varint(wire_number(value))).sum()
}

/// Negative numbers need ten bytes, like those of `int32`.
fn wire_number<E: Enumeration>(value: &E) -> u64 {
    i64::from(value.number()) as u64
}

/// A codec whose repeated fields are not packed.
#[derive(Debug)]
pub struct Unpacked<C>(C);

impl<T, C: Codec<T>> Codec<T> for Unpacked<C> {
    const WIRE: WireType = C::WIRE;

    fn zero() -> T {
        C::zero()
    }

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

    fn merge(
        value: &mut T,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<Option<i32>, DecodeError> {
        C::merge(value, wire, buf, ctx)
    }
}
