//! Maps: lists of messages with a key and a value on the wire.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType, encode_key, encode_varint};
use prost::encoding::{encoded_len_varint, key_len, skip_field};
use prost::{DecodeError, Message};

use super::Place;
use super::codec::{Codec, MapKey, Zero};
use super::layout::{Empty, Layout};
use super::unknown::Keep;
use crate::codegen::schema::{Field, MessageBuilder};

const KEY: u32 = 1;
const VALUE: u32 = 2;

/// The layout of a map, whose keys and values have the codecs `KC` and `VC`. A later entry replaces an earlier one with
/// the same key.
#[derive(Debug)]
pub struct Map<KC, VC>(PhantomData<(KC, VC)>);

macro_rules! layout {
    ($map:ty, [$($generics:tt)*], [$($bounds:tt)*]) => {
        impl<K, V, KC, VC, $($generics)*> Empty<$map> for Map<KC, VC>
        where
            K: Send + Sync,
            V: Send + Sync,
            KC: Zero<K> + MapKey,
            VC: Codec<V>,
            $($bounds)*
        {
            fn empty() -> $map {
                Default::default()
            }
        }

        impl<K, V, KC, VC, $($generics)*> Layout<$map> for Map<KC, VC>
        where
            K: Send + Sync,
            V: Send + Sync,
            KC: Zero<K> + MapKey,
            VC: Codec<V>,
            $($bounds)*
        {
            fn encode(tag: u32, field: &$map, buf: &mut impl BufMut) {
                for (key, value) in field {
                    encode_key(tag, WireType::LengthDelimited, buf);
                    encode_varint(entry_len::<K, V, KC, VC>(key, value) as u64, buf);
                    encode_entry::<K, V, KC, VC>(key, value, buf);
                }
            }

            fn encoded_len(tag: u32, field: &$map) -> usize {
                let entries = field.iter().map(|(key, value)| {
                    let len = entry_len::<K, V, KC, VC>(key, value);
                    key_len(tag) + encoded_len_varint(len as u64) + len
                });
                entries.sum()
            }

            fn describe(message: &mut MessageBuilder<'_>, field: &Field) {
                VC::map(message, field, KC::SCALAR);
            }

            fn merge(
                field: &mut $map,
                place: Place,
                buf: &mut impl Buf,
                ctx: DecodeContext,
                keep: &mut impl Keep,
            ) -> Result<(), DecodeError> {
                let entry = Entry::<K, V, KC, VC>::read(place, buf, ctx, keep)?;
                field.extend(entry);
                Ok(())
            }
        }
    };
}

layout!(BTreeMap<K, V>, [], [K: Ord]);
layout!(HashMap<K, V, S>, [S], [K: Eq + Hash, S: BuildHasher + Default]);

fn encode_key_of<K, KC: Codec<K>>(key: &K, buf: &mut impl BufMut) {
    if !KC::is_zero_in_map(key) {
        KC::encode(KEY, key, buf);
    }
}

fn encode_entry<K, V, KC: Codec<K>, VC: Codec<V>>(key: &K, value: &V, buf: &mut impl BufMut) {
    encode_key_of::<K, KC>(key, buf);
    if !VC::is_zero_in_map(value) {
        VC::encode(VALUE, value, buf);
    }
}

fn entry_len<K, V, KC: Codec<K>, VC: Codec<V>>(key: &K, value: &V) -> usize {
    let key_len = if KC::is_zero_in_map(key) { 0 } else { KC::encoded_len(KEY, key) };
    let value_len = if VC::is_zero_in_map(value) { 0 } else { VC::encoded_len(VALUE, value) };
    key_len + value_len
}

/// One entry of a map. It is a message, so prost checks its length and its depth.
struct Entry<K, V, KC, VC> {
    key: K,
    /// `None`: no value has come.
    value: Option<V>,
    /// The enum's number, if the value is an enum without a variant for the number.
    unknown: Option<i32>,
    codecs: PhantomData<fn() -> (KC, VC)>,
}

impl<K, V, KC, VC> Entry<K, V, KC, VC>
where
    K: Send + Sync,
    V: Send + Sync,
    KC: Zero<K>,
    VC: Codec<V>,
{
    fn empty() -> Self {
        Entry { key: KC::zero(), value: None, unknown: None, codecs: PhantomData }
    }

    /// Decodes an entry. `None` if the value has no variant and `keep` has stored the whole entry.
    fn read(
        place: Place,
        buf: &mut impl Buf,
        ctx: DecodeContext,
        keep: &mut impl Keep,
    ) -> Result<Option<(K, V)>, DecodeError> {
        let mut entry = Self::empty();
        encoding::message::merge(place.wire, &mut entry, buf, ctx)?;
        if let Some(number) = entry.unknown {
            let kept = keep.bytes(place.tag, || {
                let mut bytes = Vec::new();
                encode_key_of::<K, KC>(&entry.key, &mut bytes);
                encoding::int32::encode(VALUE, &number, &mut bytes);
                bytes
            });
            if kept {
                return Ok(None);
            }
            entry.value = None;
        }
        let value = entry.value.or_else(VC::absent);
        let value = value.ok_or_else(|| super::invalid("an entry of the map has no value"))?;
        Ok(Some((entry.key, value)))
    }
}

impl<K, V, KC, VC> Message for Entry<K, V, KC, VC>
where
    K: Send + Sync,
    V: Send + Sync,
    KC: Zero<K>,
    VC: Codec<V>,
{
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if let Some(value) = &self.value {
            encode_entry::<K, V, KC, VC>(&self.key, value, buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            KEY => KC::merge(&mut self.key, wire, buf, ctx).map(drop),
            VALUE => {
                self.unknown = VC::merge_optional(&mut self.value, wire, buf, ctx)?;
                Ok(())
            }
            _ => skip_field(wire, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        self.value.as_ref().map_or(0, |value| entry_len::<K, V, KC, VC>(&self.key, value))
    }

    fn clear(&mut self) {
        *self = Self::empty();
    }
}
