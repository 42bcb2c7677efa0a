//! Fields of a message that the record does not know.

use std::fmt;

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType, encode_key, encode_varint};
use prost::encoding::{decode_key, decode_varint};

use super::Place;

/// Fields of a message that the record does not have, in encoded form.
///
/// A record with a field of this type and `#[mdp(unknown)]` writes unknown fields back. So a program that is older than
/// the sender can change a record and pass it on. The numbers of enums without a variant are kept here, too. The
/// unknown fields are written after the known ones, in the order in which they arrived. So a reader that knows a kept
/// number uses it, even if the field was changed meanwhile; [`clear`](Self::clear) prevents this.
///
/// A record without such a field drops its unknown fields.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct UnknownFields {
    bytes: Vec<u8>,
}

impl UnknownFields {
    /// Whether there are no unknown fields.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the encoded fields, each with its key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Removes all unknown fields.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Appends the fields.
    #[doc(hidden)]
    pub fn encode(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.bytes);
    }

    /// Returns the number of bytes that [`encode`](Self::encode) appends.
    #[doc(hidden)]
    pub fn encoded_len(&self) -> usize {
        self.bytes.len()
    }
}

impl fmt::Debug for UnknownFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnknownFields({} bytes)", self.bytes.len())
    }
}

/// Returns the record's field for unknown fields. This is a function, so that a field of another type gives a clear
/// error.
pub fn kept(field: &mut UnknownFields) -> &mut UnknownFields {
    field
}

/// Decides what happens to fields that a record does not know.
pub trait Keep {
    /// Stores an enum's number without a variant. `false`: the number is not stored.
    fn number(&mut self, tag: u32, number: i32) -> bool;

    /// Stores a field with a length prefix. `false`: the field is not stored.
    fn bytes(&mut self, tag: u32, bytes: impl FnOnce() -> Vec<u8>) -> bool;

    /// Reads a field that the record does not have.
    ///
    /// # Errors
    ///
    /// The bytes are not a field.
    fn field(
        &mut self,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError>;
}

/// Drops unknown fields.
#[derive(Debug)]
pub struct Forget;

impl Keep for Forget {
    fn number(&mut self, _: u32, _: i32) -> bool {
        false
    }

    fn bytes(&mut self, _: u32, _: impl FnOnce() -> Vec<u8>) -> bool {
        false
    }

    fn field(
        &mut self,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        encoding::skip_field(place.wire, place.tag, buf, ctx)
    }
}

impl Keep for UnknownFields {
    fn number(&mut self, tag: u32, number: i32) -> bool {
        encoding::int32::encode(tag, &number, &mut self.bytes);
        true
    }

    fn bytes(&mut self, tag: u32, bytes: impl FnOnce() -> Vec<u8>) -> bool {
        encoding::bytes::encode(tag, &bytes(), &mut self.bytes);
        true
    }

    fn field(
        &mut self,
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let before = self.bytes.len();
        let copied = copy(place, buf, ctx, &mut self.bytes);
        if copied.is_err() {
            self.bytes.truncate(before);
        }
        copied
    }
}

/// Copies a field with its key. Groups are copied in a loop without recursion, so they need no stack.
fn copy(
    place: Place,
    buf: &mut impl Buf,
    ctx: DecodeContext,
    to: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    encode_key(place.tag, place.wire, to);
    if place.wire != WireType::StartGroup {
        return copy_value(place, buf, ctx, to);
    }
    let mut open = vec![place.tag];
    while let Some(innermost) = open.last() {
        let (tag, wire) = decode_key(buf)?;
        encode_key(tag, wire, to);
        match wire {
            WireType::StartGroup => open.push(tag),
            WireType::EndGroup if tag == *innermost => drop(open.pop()),
            _ => copy_value(Place { tag, wire }, buf, ctx.clone(), to)?,
        }
    }
    Ok(())
}

fn copy_value(
    place: Place,
    buf: &mut impl Buf,
    ctx: DecodeContext,
    to: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    match place.wire {
        WireType::Varint => encode_varint(decode_varint(buf)?, to),
        WireType::ThirtyTwoBit => {
            let mut value = 0;
            encoding::fixed32::merge(place.wire, &mut value, buf, ctx)?;
            to.put_u32_le(value);
        }
        WireType::SixtyFourBit => {
            let mut value = 0;
            encoding::fixed64::merge(place.wire, &mut value, buf, ctx)?;
            to.put_u64_le(value);
        }
        WireType::LengthDelimited => {
            let mut value = Vec::new();
            encoding::bytes::merge(place.wire, &mut value, buf, ctx)?;
            encode_varint(value.len() as u64, to);
            to.put_slice(&value);
        }
        // Neither wire type is a value. prost returns the error.
        WireType::StartGroup | WireType::EndGroup => {
            return encoding::skip_field(WireType::EndGroup, place.tag, buf, ctx);
        }
    }
    Ok(())
}
