//! The base of `#[derive(MdpRecord)]`: how Rust types are encoded as protobuf's types.
//!
//! The derive macro combines three layers by type, so a type alias counts as its type:
//!
//! - a [`Codec`] encodes and decodes one value, as [`Sint32`] does with an `i32`; [`FieldType`] names the default codec
//!   of a type; [`Zero`] is a codec whose type has a value for an absent field;
//! - a [`Layout`] makes a field of the codec: omitted when zero, optional, repeated, a map; [`FieldLayout`] names the
//!   layout of a type, also of one that is a list or a map;
//! - a [`Oneof`] is an enum whose variants are fields of the record that contains it.
//!
//! Two codecs go by way of another type: [`Held`] for a struct around one value, [`Through`] for a type that is
//! converted. [`Choice`] makes a message of a oneof.
//!
//! The layers use prost's functions for single values, so the bytes are the same as prost's. There is one difference:
//! `-0.0` is written, as protobuf requires, and prost omits it.

mod choice;
mod codec;
mod convert;
mod field_type;
mod held;
mod layout;
mod map;
mod oneof;
mod std_types;
mod times;
mod unknown;
#[cfg(feature = "uuid")]
mod uuid;

pub use prost;
pub use prost::bytes::{Buf, BufMut};
pub use prost::encoding::{DecodeContext, WireType};
pub use prost::{DecodeError, Message as ProstMessage};

pub use super::schema::{
    Described, DescribedOneof, EnumBuilder, Field, Item, Label, MessageBuilder, SchemaBuilder,
    TypeName,
};
pub use choice::{Choice, read_choice};
pub use codec::{
    Bool, Bytes, Codec, Double, EmbeddedMessage, Enum, Enumeration, Fixed32, Fixed64, Float, Int32,
    Int64, MapKey, Sfixed32, Sfixed64, Sint32, Sint64, Text, Uint32, Uint64, Unpacked, WithDefault,
    Zero, default_of,
};
pub use convert::{As, By, ByText, Conversion, Convert, ConvertZero, Through, With};
pub use field_type::{CodecOf, EnumNames, FieldLayout, FieldType, LayoutOf, values_are_apart};
pub use held::{Held, HeldLayout, Newtype};
pub use layout::{Always, Empty, Implicit, Layout, Optional, Repeated};
pub use map::Map;
pub use oneof::{Oneof, are_apart, begins_between, merge_variant, name_is_free};
pub use oneof::{range_is_free, tag_is_free};
pub use times::{AsDuration, AsTimestamp};
pub use unknown::{Forget, Keep, UnknownFields, kept};

pub use ::bytes::Bytes as SharedBytes;
pub use mdp_call::codec::record::TypedMessage;

/// A list of bytes, under a name that no type of a user's can hide.
pub type ByteVec = Vec<u8>;

/// The position of a value in a message: the number of the field, and the wire type.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The field's number.
    pub tag: u32,
    /// The wire type of the next value.
    pub wire: WireType,
}

/// Adds the record's name and the field's name to an error.
pub fn at(record: &'static str, field: &'static str) -> impl FnOnce(DecodeError) -> DecodeError {
    move |mut error| {
        error.push(record, field);
        error
    }
}

/// The error of bytes that are protobuf, but no value of the type.
pub(crate) fn invalid(why: impl Into<std::borrow::Cow<'static, str>>) -> DecodeError {
    // prost has no other constructor with a text.
    #[expect(deprecated)]
    DecodeError::new(why)
}
