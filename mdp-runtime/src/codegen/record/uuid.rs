//! UUIDs: `string` in the form with hyphens, or `bytes`.

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::codec::{Bytes, Codec, Text, Zero};
use super::field_type::FieldType;
use crate::codegen::schema::{Field, MessageBuilder, Scalar};

impl FieldType for Uuid {
    type Codec = Text;
}

/// The schema of a codec, and that an absent UUID is the nil UUID.
macro_rules! common {
    ($scalar:ident) => {
        const WIRE: WireType = WireType::LengthDelimited;

        fn is_zero(value: &Uuid) -> bool {
            value.is_nil()
        }

        fn field(message: &mut MessageBuilder<'_>, field: &Field) {
            message.scalar(field, Scalar::$scalar);
        }

        fn map(message: &mut MessageBuilder<'_>, field: &Field, key: Scalar) {
            message.scalar_map(field, key, Scalar::$scalar);
        }

        fn absent() -> Option<Uuid> {
            Some(Uuid::nil())
        }
    };
}

impl Zero<Uuid> for Text {
    fn zero() -> Uuid {
        Uuid::nil()
    }
}

impl Codec<Uuid> for Text {
    common!(String);

    fn encode(tag: u32, value: &Uuid, buf: &mut impl BufMut) {
        let mut text = [0; Hyphenated::LENGTH];
        let text: &str = value.hyphenated().encode_lower(&mut text);
        super::std_types::put(tag, text.as_bytes(), buf);
    }

    fn encoded_len(tag: u32, _: &Uuid) -> usize {
        super::std_types::put_len(tag, Hyphenated::LENGTH)
    }

    fn read(
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(Uuid, Option<i32>), DecodeError> {
        let (text, _) = <Text as Codec<String>>::read(wire, buf, ctx)?;
        // For protobuf an empty text and an absent one are the same.
        let uuid = if text.is_empty() { Ok(Uuid::nil()) } else { Uuid::try_parse(&text) };
        Ok((uuid.map_err(|error| super::invalid(format!("this is no UUID: {error}")))?, None))
    }
}

impl Zero<Uuid> for Bytes {
    fn zero() -> Uuid {
        Uuid::nil()
    }
}

impl Codec<Uuid> for Bytes {
    common!(Bytes);

    fn encode(tag: u32, value: &Uuid, buf: &mut impl BufMut) {
        <Bytes as Codec<uuid::Bytes>>::encode(tag, value.as_bytes(), buf);
    }

    fn encoded_len(tag: u32, value: &Uuid) -> usize {
        <Bytes as Codec<uuid::Bytes>>::encoded_len(tag, value.as_bytes())
    }

    fn read(
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(Uuid, Option<i32>), DecodeError> {
        let (bytes, _) = <Bytes as Codec<uuid::Bytes>>::read(wire, buf, ctx)?;
        Ok((Uuid::from_bytes(bytes), None))
    }
}
