//! Maps Rust types to protobuf's types.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

use super::codec::{self, Codec, MapKey, Zero};
use super::layout::{Empty, Implicit, Layout, Optional, Repeated};
use super::map::Map;
use crate::codegen::schema::Described;
use crate::codegen::wkt;

/// A type that a field of a record can have, also in an `Option`, a `Vec` or a map.
///
/// `#[derive(MdpRecord)]` implements this trait for records and for enums without data. `mdp-codegen` implements it for
/// types from `.proto` files.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    label = "protobuf has no type for this",
    note = "derive `MdpRecord` for it if it is yours; else say how it goes: `#[mdp(1, as = String)]`, or \
            `#[mdp(1, with = module)]`",
    note = "`uuid::Uuid`, `chrono::DateTime<Utc>` and `time::OffsetDateTime` need the features `uuid`, `chrono` and \
            `time` of `mdp-runtime`"
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
    wkt::BoolValue => EmbeddedMessage,
    wkt::BytesValue => EmbeddedMessage,
    wkt::DoubleValue => EmbeddedMessage,
    wkt::FloatValue => EmbeddedMessage,
    wkt::Int32Value => EmbeddedMessage,
    wkt::Int64Value => EmbeddedMessage,
    wkt::StringValue => EmbeddedMessage,
    wkt::UInt32Value => EmbeddedMessage,
    wkt::UInt64Value => EmbeddedMessage,
}

impl<M> FieldType for Box<M>
where
    M: prost::Message + Default + Described + FieldType<Codec = codec::EmbeddedMessage>,
{
    type Codec = codec::EmbeddedMessage;
}

/// The layout of a type as a field: for an alias the derive does not see whether it stands for one value, for a list or
/// for a map.
pub trait FieldLayout: Sized {
    /// The layout of a field of this type.
    type Layout: Layout<Self> + Empty<Self>;
}

/// The layout of a type.
pub type LayoutOf<T> = <T as FieldLayout>::Layout;

impl<T: FieldType<Codec: Zero<T>>> FieldLayout for T {
    type Layout = Implicit<T::Codec>;
}

impl<T: FieldType> FieldLayout for Option<T> {
    type Layout = Optional<T::Codec>;
}

impl<T: FieldType> FieldLayout for Vec<T> {
    type Layout = Repeated<T::Codec>;
}

impl<T: FieldType> FieldLayout for VecDeque<T> {
    type Layout = Repeated<T::Codec>;
}

impl<T: FieldType + Ord> FieldLayout for BTreeSet<T> {
    type Layout = Repeated<T::Codec>;
}

impl<T: FieldType + Eq + Hash, S: BuildHasher + Default> FieldLayout for HashSet<T, S> {
    type Layout = Repeated<T::Codec>;
}

impl<K, V> FieldLayout for BTreeMap<K, V>
where
    K: FieldType<Codec: Zero<K> + MapKey> + Ord + Send + Sync,
    V: FieldType + Send + Sync,
{
    type Layout = Map<K::Codec, V::Codec>;
}

impl<K, V, S> FieldLayout for HashMap<K, V, S>
where
    K: FieldType<Codec: Zero<K> + MapKey> + Eq + Hash + Send + Sync,
    V: FieldType + Send + Sync,
    S: BuildHasher + Default,
{
    type Layout = Map<K::Codec, V::Codec>;
}
