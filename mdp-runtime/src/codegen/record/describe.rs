//! How fields stand in a schema, by their codecs: an alias of a type stands there as what it is.

use super::codec::{
    Bool, Bytes, Codec, Double, Enum, Fixed32, Fixed64, Float, Int32, Int64, MapKey, Message,
    Sfixed32, Sfixed64, Sint32, Sint64, Text, Uint32, Uint64, Unpacked,
};
use super::layout::{Always, Implicit, Optional, Repeated};
use super::map::Map;
use crate::codegen::schema::{Described, Field, Label, MessageBuilder, Scalar};

/// A codec's place in a schema.
pub trait DescribedCodec<T>: Codec<T> {
    /// Adds a field.
    fn field(message: &mut MessageBuilder<'_>, field: &Field);

    /// Adds a map whose values it writes.
    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar);
}

/// A codec whose type has no name, and can be a map's key.
pub trait DescribedKey: MapKey {
    /// The type.
    const SCALAR: Scalar;
}

/// A field's place in a schema.
pub trait DescribedLayout<T> {
    /// Adds the field; its label is set here.
    fn describe(message: &mut MessageBuilder<'_>, field: &Field);
}

macro_rules! scalars {
    ($($codec:ident($ty:ty) = $scalar:ident,)*) => {$(
        impl DescribedCodec<$ty> for $codec {
            fn field(message: &mut MessageBuilder<'_>, field: &Field) {
                message.scalar(field, Scalar::$scalar);
            }

            fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
                message.scalar_map(field, key, Scalar::$scalar);
            }
        }
    )*};
}

macro_rules! keys {
    ($($codec:ident($ty:ty) = $scalar:ident,)*) => {
        scalars! { $($codec($ty) = $scalar,)* }
        $(impl DescribedKey for $codec {
            const SCALAR: Scalar = Scalar::$scalar;
        })*
    };
}

keys! {
    Bool(bool) = Bool,
    Int32(i32) = Int32,
    Int64(i64) = Int64,
    Uint32(u32) = Uint32,
    Uint64(u64) = Uint64,
    Sint32(i32) = Sint32,
    Sint64(i64) = Sint64,
    Fixed32(u32) = Fixed32,
    Fixed64(u64) = Fixed64,
    Sfixed32(i32) = Sfixed32,
    Sfixed64(i64) = Sfixed64,
    Text(String) = String,
}

scalars! {
    Float(f32) = Float,
    Double(f64) = Double,
    Bytes(Vec<u8>) = Bytes,
    Bytes(bytes::Bytes) = Bytes,
}

impl<M: prost::Message + Default + Described> DescribedCodec<M> for Message {
    fn field(message: &mut MessageBuilder<'_>, field: &Field) {
        message.named::<M>(field);
    }

    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
        message.named_map::<M>(field, key);
    }
}

impl<E: super::Enumeration + Described> DescribedCodec<E> for Enum {
    fn field(message: &mut MessageBuilder<'_>, field: &Field) {
        message.named::<E>(field);
    }

    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
        message.named_map::<E>(field, key);
    }
}

impl<T, C: DescribedCodec<T>> DescribedCodec<T> for Unpacked<C> {
    fn field(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { unpacked: true, ..*field });
    }

    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
        C::map(message, field, key);
    }
}

impl<T, C: DescribedCodec<T>> DescribedLayout<T> for Implicit<C> {
    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { label: Label::Implicit, ..*field });
    }
}

// What is always written was written by somebody: it has presence.
impl<T, C: DescribedCodec<T>> DescribedLayout<T> for Always<C> {
    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { label: Label::Optional, ..*field });
    }
}

impl<T, C: DescribedCodec<T>> DescribedLayout<Option<T>> for Optional<C> {
    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { label: Label::Optional, ..*field });
    }
}

impl<T, C: DescribedCodec<T>> DescribedLayout<Vec<T>> for Repeated<C> {
    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        C::field(message, &Field { label: Label::Repeated, ..*field });
    }
}

impl<K, V, KC, VC> DescribedLayout<std::collections::BTreeMap<K, V>> for Map<KC, VC>
where
    KC: DescribedKey,
    VC: DescribedCodec<V>,
{
    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        VC::map(message, field, KC::SCALAR);
    }
}

impl<K, V, S, KC, VC> DescribedLayout<std::collections::HashMap<K, V, S>> for Map<KC, VC>
where
    KC: DescribedKey,
    VC: DescribedCodec<V>,
{
    fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
        VC::map(message, field, KC::SCALAR);
    }
}
