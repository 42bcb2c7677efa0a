//! Maps Rust types to protobuf's types.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

use super::codec::{self, Codec, MapKey, Zero};
use super::layout::{Empty, Implicit, Layout, Optional, Repeated};
use super::map::Map;
use super::oneof::same_text;
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

    /// The values of an enum without data. `None`: the type is another one, or its values are not known here.
    const ENUM: Option<EnumNames> = None;
}

/// The names of an enum and of its values in the schema. All values of a package share one namespace.
#[derive(Clone, Copy, Debug)]
pub struct EnumNames {
    /// The package of the enum. Empty: that of the service that uses it.
    pub package: &'static str,
    /// The name of the enum.
    pub name: &'static str,
    /// The names of its values.
    pub values: &'static [&'static str],
}

/// Whether an enum has no value with the name of a value of another enum. Evaluated when a record with both is compiled.
pub const fn values_are_apart(mut others: &[Option<EnumNames>], one: Option<EnumNames>) -> bool {
    let Some(one) = one else { return true };
    while let [other, rest @ ..] = others {
        if let Some(other) = other
            && same_text(other.package, one.package)
            && !same_text(other.name, one.name)
            && !have_none_in_common(other.values, one.values)
        {
            return false;
        }
        others = rest;
    }
    true
}

const fn have_none_in_common(mut ones: &[&str], others: &[&str]) -> bool {
    while let [one, rest @ ..] = ones {
        let mut left = others;
        while let [other, after @ ..] = left {
            if same_text(one, other) {
                return false;
            }
            left = after;
        }
        ones = rest;
    }
    true
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    label = "protobuf has no type for this"
)]
pub trait FieldLayout: Sized {
    /// The layout of a field of this type.
    type Layout: Layout<Self> + Empty<Self>;

    /// The values of an enum without data, if the field or the values in it have one.
    const ENUM: Option<EnumNames> = None;
}

/// The layout of a type.
pub type LayoutOf<T> = <T as FieldLayout>::Layout;

impl<T: FieldType<Codec: Zero<T>>> FieldLayout for T {
    type Layout = Implicit<T::Codec>;
    const ENUM: Option<EnumNames> = T::ENUM;
}

impl<T: FieldType> FieldLayout for Option<T> {
    type Layout = Optional<T::Codec>;
    const ENUM: Option<EnumNames> = T::ENUM;
}

impl<T: FieldType> FieldLayout for Vec<T> {
    type Layout = Repeated<T::Codec>;
    const ENUM: Option<EnumNames> = T::ENUM;
}

impl<T: FieldType> FieldLayout for VecDeque<T> {
    type Layout = Repeated<T::Codec>;
    const ENUM: Option<EnumNames> = T::ENUM;
}

impl<T: FieldType + Ord> FieldLayout for BTreeSet<T> {
    type Layout = Repeated<T::Codec>;
    const ENUM: Option<EnumNames> = T::ENUM;
}

impl<T: FieldType + Eq + Hash, S: BuildHasher + Default> FieldLayout for HashSet<T, S> {
    type Layout = Repeated<T::Codec>;
    const ENUM: Option<EnumNames> = T::ENUM;
}

impl<K, V> FieldLayout for BTreeMap<K, V>
where
    K: FieldType<Codec: Zero<K> + MapKey> + Ord + Send + Sync,
    V: FieldType + Send + Sync,
{
    type Layout = Map<K::Codec, V::Codec>;
    const ENUM: Option<EnumNames> = V::ENUM;
}

impl<K, V, S> FieldLayout for HashMap<K, V, S>
where
    K: FieldType<Codec: Zero<K> + MapKey> + Eq + Hash + Send + Sync,
    V: FieldType + Send + Sync,
    S: BuildHasher + Default,
{
    type Layout = Map<K::Codec, V::Codec>;
    const ENUM: Option<EnumNames> = V::ENUM;
}
