//! Maps Rust types to protobuf's types.

use super::codec::{self, Codec};
use crate::codegen::schema::Described;

/// A type that a field of a record can have, also in an `Option`, a `Vec` or a map.
///
/// `#[derive(MdpRecord)]` implements this trait for records and for enums without data. `mdp-codegen` implements it for
/// types from `.proto` files.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    label = "protobuf has no type for this",
    note = "derive `MdpRecord` for it, or hold its parts in fields of their own"
)]
pub trait FieldType: Sized {
    /// The codec of the type, unless the record names another one.
    type Codec: Codec<Self>;
}

/// The codec of a type.
pub type CodecOf<T> = <T as FieldType>::Codec;

macro_rules! field_types {
    ($($ty:ty => $codec:ident,)*) => {
        $(impl FieldType for $ty {
            type Codec = codec::$codec;
        })*
    };
}

field_types! {
    bool => Bool,
    i32 => Int32,
    i64 => Int64,
    u32 => Uint32,
    u64 => Uint64,
    f32 => Float,
    f64 => Double,
    String => Text,
    Vec<u8> => Bytes,
    bytes::Bytes => Bytes,
    // `google.protobuf.Empty`.
    () => EmbeddedMessage,
    prost_types::Any => EmbeddedMessage,
    prost_types::Duration => EmbeddedMessage,
    prost_types::FieldMask => EmbeddedMessage,
    prost_types::ListValue => EmbeddedMessage,
    prost_types::Struct => EmbeddedMessage,
    prost_types::Timestamp => EmbeddedMessage,
    prost_types::Value => EmbeddedMessage,
}

impl<M> FieldType for Box<M>
where
    M: prost::Message + Default + Described + FieldType<Codec = codec::EmbeddedMessage>,
{
    type Codec = codec::EmbeddedMessage;
}
