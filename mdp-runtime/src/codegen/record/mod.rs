//! The base of `#[derive(MdpRecord)]`: how Rust types are encoded as protobuf's types.
//!
//! The derive macro combines three layers by type, so a type alias counts as its type:
//!
//! - a [`Codec`] encodes and decodes one value, as [`Sint32`] does with an `i32`; [`FieldType`] names the default codec
//!   of a type;
//! - a [`Layout`] makes a field of the codec: omitted when zero, optional, repeated, a map;
//! - a [`Oneof`] is an enum whose variants are fields of the record that contains it.
//!
//! The layers use prost's functions for single values, so the bytes are the same as prost's. There is one difference:
//! `-0.0` is written, as protobuf requires, and prost omits it.

mod codec;
mod field_type;
mod layout;
mod map;
mod oneof;
mod unknown;

pub use prost;
pub use prost::bytes::{Buf, BufMut};
pub use prost::encoding::{DecodeContext, WireType};
pub use prost::{DecodeError, Message as ProstMessage};

pub use super::schema::{
    Described, DescribedOneof, EnumBuilder, Field, Item, Label, MessageBuilder, SchemaBuilder,
    TypeName,
};
pub use codec::{
    Bool, Bytes, Codec, Double, EmbeddedMessage, Enum, Enumeration, Fixed32, Fixed64, Float, Int32,
    Int64, MapKey, Sfixed32, Sfixed64, Sint32, Sint64, Text, Uint32, Uint64, Unpacked, WithDefault,
    default_of,
};
pub use field_type::{CodecOf, FieldType};
pub use layout::{Always, Implicit, Layout, Optional, Repeated};
pub use map::Map;
pub use oneof::{Oneof, are_apart, begins_between, merge_variant, name_is_free};
pub use oneof::{range_is_free, tag_is_free};
pub use unknown::{Forget, Keep, UnknownFields, kept};

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
