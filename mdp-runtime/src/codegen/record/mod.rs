//! What `#[derive(MdpRecord)]` builds on: how Rust's types lie on the wire as protobuf's.
//!
//! Three layers, and the derive puts them together by type, so that an alias counts as what it stands for:
//!
//! - a [`Codec`] writes and reads one value, as [`Sint32`] does with an `i32`; [`FieldType`] names the
//!   one that a type has where the record says nothing else;
//! - a [`Layout`] makes a field of it: left out when zero, optional, repeated, a map;
//! - a [`Oneof`] is an enum whose variants are fields of the record around it.
//!
//! What prost offers per value is used as it is, so bytes are the same as prost's. One thing differs: `-0.0`
//! is written, as protobuf wants it, where prost leaves it out.

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

/// Where a value stands in a message: the number of its field, and how it is written.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The field's number.
    pub tag: u32,
    /// How the value that comes now is written.
    pub wire: WireType,
}

/// Adds to an error the field that it happened in.
pub fn at(record: &'static str, field: &'static str) -> impl FnOnce(DecodeError) -> DecodeError {
    move |mut error| {
        error.push(record, field);
        error
    }
}
