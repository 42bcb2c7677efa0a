//! An enum with data as a message of its own: a request, a reply, or a field that is no oneof of its record.

use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType, encode_key, encode_varint};
use prost::encoding::{encoded_len_varint, key_len};
use prost::{DecodeError, Message};

use super::Place;
use super::codec::{Codec, Zero};
use super::oneof::Oneof;
use super::unknown::Forget;
use crate::codegen::schema::{Described, Field, MessageBuilder, Scalar};

/// The codec of an enum with data: a message with one oneof.
///
/// A message without a known variant is an error, because the enum has no value for it.
#[derive(Debug)]
pub enum Choice {}

impl<E: Oneof + Described + Send + Sync> Codec<E> for Choice {
    const WIRE: WireType = WireType::LengthDelimited;

    // As for any message: present or absent.
    fn is_zero(_: &E) -> bool {
        false
    }

    fn encode(tag: u32, value: &E, buf: &mut impl BufMut) {
        encode_key(tag, WireType::LengthDelimited, buf);
        encode_varint(value.encoded_len() as u64, buf);
        value.encode(buf);
    }

    fn encoded_len(tag: u32, value: &E) -> usize {
        let len = value.encoded_len();
        key_len(tag) + encoded_len_varint(len as u64) + len
    }

    fn field(message: &mut MessageBuilder<'_>, field: &Field) {
        message.named::<E>(field);
    }

    fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
        message.named_map::<E>(field, key);
    }

    fn read(
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(E, Option<i32>), DecodeError> {
        let mut slot = Slot(None);
        encoding::message::merge(wire, &mut slot, buf, ctx)?;
        slot.0.map(|value| (value, None)).ok_or_else(none_set)
    }

    // The variant that is there is merged with the one that comes, if they are the same.
    fn merge_optional(
        field: &mut Option<E>,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<Option<i32>, DecodeError> {
        let mut slot = Slot(field.take());
        encoding::message::merge(wire, &mut slot, buf, ctx)?;
        *field = Some(slot.0.ok_or_else(none_set)?);
        Ok(None)
    }

    fn absent() -> Option<E> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<E: Oneof + Described + Default + Send + Sync> Zero<E> for Choice {
    fn zero() -> E {
        E::default()
    }
}

/// Decodes an enum with data from the bytes of a message.
///
/// # Errors
///
/// The bytes are not a message, or none of the enum's variants is in it.
pub fn read_choice<E: Oneof + Send + Sync>(buf: impl Buf) -> Result<E, DecodeError> {
    Slot::decode(buf)?.0.ok_or_else(none_set)
}

fn none_set() -> DecodeError {
    super::invalid("none of the variants that this program knows is set")
}

/// A message with one oneof.
struct Slot<E>(Option<E>);

impl<E> Default for Slot<E> {
    fn default() -> Self {
        Slot(None)
    }
}

impl<E: Oneof + Send + Sync> Message for Slot<E> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if let Some(value) = &self.0 {
            value.encode(buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        E::merge(&mut self.0, Place { tag, wire }, buf, ctx, &mut Forget)
    }

    fn encoded_len(&self) -> usize {
        self.0.as_ref().map_or(0, E::encoded_len)
    }

    fn clear(&mut self) {
        self.0 = None;
    }
}
