//! Texts and bytes in other types of the standard library than `String` and `Vec<u8>`.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes as SharedBytes;
use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType, encode_key, encode_varint};
use prost::encoding::{encoded_len_varint, key_len};

use super::codec::{Bytes, Codec, Text, Zero};
use super::field_type::FieldType;
use crate::codegen::schema::{Field, MessageBuilder, Scalar};

/// Appends a value with a length prefix.
pub(super) fn put(tag: u32, value: &[u8], buf: &mut impl BufMut) {
    encode_key(tag, WireType::LengthDelimited, buf);
    encode_varint(value.len() as u64, buf);
    buf.put_slice(value);
}

/// Returns the number of bytes that [`put`] appends.
pub(super) fn put_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

macro_rules! texts_and_bytes {
    ($([$($generics:tt)*] $ty:ty: $codec:ident = $scalar:ident, $module:ident($owned:ty),
       $as_bytes:expr, $from:expr, $zero:expr, $is_zero:expr;)*) => {$(
        impl<$($generics)*> FieldType for $ty {
            type Codec = $codec;
        }

        impl<$($generics)*> Zero<$ty> for $codec {
            fn zero() -> $ty {
                $zero
            }
        }

        impl<$($generics)*> Codec<$ty> for $codec {
            const WIRE: WireType = WireType::LengthDelimited;

            fn is_zero(value: &$ty) -> bool {
                $is_zero(value)
            }

            fn encode(tag: u32, value: &$ty, buf: &mut impl BufMut) {
                put(tag, $as_bytes(value), buf);
            }

            fn encoded_len(tag: u32, value: &$ty) -> usize {
                put_len(tag, $as_bytes(value).len())
            }

            fn field(message: &mut MessageBuilder<'_>, field: &Field) {
                message.scalar(field, Scalar::$scalar);
            }

            fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
                message.scalar_map(field, key, Scalar::$scalar);
            }

            fn read(
                wire: WireType,
                buf: &mut impl Buf,
                ctx: DecodeContext,
            ) -> Result<($ty, Option<i32>), DecodeError> {
                let mut owned = <$owned>::default();
                encoding::$module::merge(wire, &mut owned, buf, ctx)?;
                Ok(($from(owned)?, None))
            }

            fn absent() -> Option<$ty> {
                Some($zero)
            }
        }
    )*};
}

texts_and_bytes! {
    [] Box<str>: Text = String, string(String),
        str::as_bytes, owned, Box::default(), |value: &str| value.is_empty();
    [] Arc<str>: Text = String, string(String),
        str::as_bytes, owned, Arc::default(), |value: &str| value.is_empty();
    [] Cow<'static, str>: Text = String, string(String),
        str::as_bytes, owned, Cow::default(), |value: &str| value.is_empty();
    [] Box<[u8]>: Bytes = Bytes, bytes(Vec<u8>),
        slice, owned, Box::default(), |value: &[u8]| value.is_empty();
    [] Arc<[u8]>: Bytes = Bytes, bytes(Vec<u8>),
        slice, owned, Arc::default(), |value: &[u8]| value.is_empty();
    [const N: usize] [u8; N]: Bytes = Bytes, bytes(SharedBytes),
        slice, array, [0; N], |value: &[u8; N]| *value == [0; N];
}

fn owned<T, O: Into<T>>(owned: O) -> Result<T, DecodeError> {
    Ok(owned.into())
}

fn slice(value: &(impl AsRef<[u8]> + ?Sized)) -> &[u8] {
    value.as_ref()
}

fn array<const N: usize>(bytes: SharedBytes) -> Result<[u8; N], DecodeError> {
    <[u8; N]>::try_from(bytes.as_ref())
        .map_err(|_| super::invalid(format!("the field has {N} bytes, and {} came", bytes.len())))
}
