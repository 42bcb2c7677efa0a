//! Reads the metadata of a record (`wire.md` R102), for the broker and for both ends of a call.
//!
//! Metadata is a protobuf message, and this crate uses no protobuf library. The reader accepts any bytes without a
//! panic, allocates nothing, and reads each byte once.

use core::ops::Range;

/// The most bytes that a key of metadata may have.
pub const MAX_KEY: usize = 255;

/// Why the key of an entry is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key is empty.
    #[error("it is empty; give 1 to 255 bytes of a-z, 0-9, `-`, `_` and `.`")]
    Empty,
    /// The key is longer than 255 bytes.
    #[error("it has {0} bytes; at most 255 are allowed")]
    TooLong(usize),
    /// The key has a byte that keys must not have.
    #[error("byte {at} of it is {byte:#04x}; only a-z, 0-9, `-`, `_` and `.` are allowed")]
    BadByte {
        /// The position of the byte, counted from 0.
        at: usize,
        /// The byte.
        byte: u8,
    },
}

/// Why metadata cannot be read. Positions are counted from 0, at the first byte of the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The metadata is cut off, is not protobuf, or has a field of the wrong type.
    #[error("the metadata is no `mdp.rpc.v1.Metadata` from byte {at} on")]
    Encoding {
        /// The start of the field that cannot be read.
        at: usize,
    },
    /// An entry has an invalid key, or no key.
    #[error("the key of the metadata's entry at byte {at} is invalid: {error}")]
    Key {
        /// The start of the entry.
        at: usize,
        /// The fault of the key.
        error: KeyError,
    },
}

/// Checks a key of metadata: 1 to 255 bytes of lower-case ASCII letters, digits, `-`, `_` and `.`.
///
/// ```
/// use mdp_protocol::wire::{KeyError, check_key};
/// assert_eq!(check_key(b"traceparent"), Ok("traceparent"));
/// assert_eq!(check_key(b"User"), Err(KeyError::BadByte { at: 0, byte: b'U' }));
/// ```
///
/// # Errors
///
/// The fault of the key and its position.
pub fn check_key(key: &[u8]) -> Result<&str, KeyError> {
    if key.is_empty() {
        return Err(KeyError::Empty);
    }
    if key.len() > MAX_KEY {
        return Err(KeyError::TooLong(key.len()));
    }
    let good = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if let Some(at) = key.iter().position(|byte| !good(byte)) {
        return Err(KeyError::BadByte { at, byte: key.get(at).copied().unwrap_or_default() });
    }
    // ASCII is UTF-8, so the error is never given.
    core::str::from_utf8(key).map_err(|_| KeyError::Empty)
}

/// The fields of a REQUEST's metadata, besides its entries, that a caller sets for the broker and the worker (`wire.md`
/// R102).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The codec with which replies may be compressed. 0: none.
    pub accept: u32,
    /// The call must not wait for a worker if no worker offers its service.
    pub no_wait: bool,
    /// How long the call may wait for a worker, in milliseconds. 0: until its deadline.
    pub wait_ms: u32,
}

/// Reads metadata, calls `entry` with the ranges of each entry's key and value, and returns the codec with which
/// replies may be compressed (0: none). Use the entries only if the function succeeds.
///
/// Unknown fields are skipped. A repeated field counts as in protobuf: entries add up, and the last one of any other
/// field counts.
///
/// ```
/// use mdp_protocol::wire::read_metadata;
/// let bytes = b"\x0a\x09\x0a\x04user\x12\x01a";
/// let mut found = Vec::new();
/// let accept = read_metadata(bytes, |key, value| found.push((&bytes[key], &bytes[value])));
/// assert_eq!((accept, found), (Ok(0), vec![(&b"user"[..], &b"a"[..])]));
/// ```
///
/// # Errors
///
/// The first field or key that is invalid, and its position.
pub fn read_metadata(
    bytes: &[u8],
    entry: impl FnMut(Range<usize>, Range<usize>),
) -> Result<u32, MetadataError> {
    read_all(bytes, entry).map(|marks| marks.accept)
}

/// Reads the fields of metadata that a caller sets for the broker and the worker. Empty metadata gives the defaults.
///
/// ```
/// use mdp_protocol::wire::read_marks;
/// let marks = read_marks(b"\x18\x01").unwrap();
/// assert!(marks.no_wait);
/// assert_eq!((marks.accept, marks.wait_ms), (0, 0));
/// ```
///
/// # Errors
///
/// The first field or key that is invalid, and its position.
pub fn read_marks(bytes: &[u8]) -> Result<Marks, MetadataError> {
    if bytes.is_empty() {
        return Ok(Marks::default());
    }
    read_all(bytes, |_, _| {})
}

fn read_all(
    bytes: &[u8],
    mut entry: impl FnMut(Range<usize>, Range<usize>),
) -> Result<Marks, MetadataError> {
    let mut reader = Reader { bytes, at: 0, field: 0 };
    let mut marks = Marks::default();
    while let Some(field) = reader.next_field()? {
        match field {
            (ENTRIES, LEN) => {
                let at = reader.field;
                let range = reader.delimited()?;
                let (key, value) = read_entry(bytes, range, at)?;
                entry(key, value);
            }
            // The field has 32 bits, of which protobuf takes the lowest where there are more.
            (ACCEPT, VARINT) => marks.accept = reader.varint()? as u32,
            (NO_WAIT, VARINT) => marks.no_wait = reader.varint()? != 0,
            (WAIT_MS, VARINT) => marks.wait_ms = reader.varint()? as u32,
            (ENTRIES | ACCEPT | NO_WAIT | WAIT_MS, _) => return Err(reader.fault()),
            (number, kind) => reader.skip(number, kind, DEPTH)?,
        }
    }
    Ok(marks)
}

/// Checks that metadata can be read. Empty metadata is valid.
///
/// # Errors
///
/// The first field or key that is invalid, and its position.
pub fn check_metadata(bytes: &[u8]) -> Result<(), MetadataError> {
    read_marks(bytes).map(|_| ())
}

/// The fields of the message, and of an entry.
const ENTRIES: u32 = 1;
const ACCEPT: u32 = 2;
const NO_WAIT: u32 = 3;
const WAIT_MS: u32 = 4;
const KEY: u32 = 1;
const VALUE: u32 = 2;

/// Protobuf's wire types.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LEN: u8 = 2;
const GROUP: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

/// The most groups within each other, in fields that are skipped. An entry counts as one.
const DEPTH: u32 = 100;

/// The places of key and value of the entry that stands at `range`, and whose field begins `at` this byte.
fn read_entry(
    bytes: &[u8],
    range: Range<usize>,
    at: usize,
) -> Result<(Range<usize>, Range<usize>), MetadataError> {
    let (mut key, mut value) = (range.start..range.start, range.start..range.start);
    let part = bytes.get(..range.end).unwrap_or_default();
    let mut reader = Reader { bytes: part, at: range.start, field: range.start };
    let check = |key: &Range<usize>| {
        let key = bytes.get(key.clone()).unwrap_or_default();
        check_key(key).map(|_| ()).map_err(|error| MetadataError::Key { at, error })
    };
    while let Some(field) = reader.next_field()? {
        match field {
            (KEY, LEN) => {
                key = reader.delimited()?;
                // Each of them, so that no reader which takes another one than the last sees a bad one.
                check(&key)?;
            }
            (VALUE, LEN) => value = reader.delimited()?,
            (KEY | VALUE, _) => return Err(reader.fault()),
            (number, kind) => reader.skip(number, kind, DEPTH - 1)?,
        }
    }
    check(&key)?;
    Ok((key, value))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the field begins that is read.
    field: usize,
}

impl Reader<'_> {
    /// The number and the wire type of the next field.
    fn next_field(&mut self) -> Result<Option<(u32, u8)>, MetadataError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        self.field = self.at;
        self.tag().map(Some)
    }

    fn tag(&mut self) -> Result<(u32, u8), MetadataError> {
        let tag = u32::try_from(self.varint()?).map_err(|_| self.fault())?;
        match (tag >> 3, (tag & 7) as u8) {
            (1.., kind) if kind <= FIXED32 => Ok((tag >> 3, kind)),
            _ => Err(self.fault()),
        }
    }

    fn varint(&mut self) -> Result<u64, MetadataError> {
        let mut value = 0;
        for place in 0..10 {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.fault())?;
            self.at += 1;
            // Ten bytes have room for 70 bits, and a number has 64.
            if place == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.fault())
    }

    /// The place of what stands behind its own length.
    fn delimited(&mut self) -> Result<Range<usize>, MetadataError> {
        let len = self.varint()?;
        self.take(len)
    }

    fn take(&mut self, len: u64) -> Result<Range<usize>, MetadataError> {
        let left = self.bytes.len().saturating_sub(self.at);
        let len = usize::try_from(len).ok().filter(|len| *len <= left);
        let start = self.at;
        self.at += len.ok_or_else(|| self.fault())?;
        Ok(start..self.at)
    }

    /// Passes over an unknown field.
    fn skip(&mut self, number: u32, kind: u8, depth: u32) -> Result<(), MetadataError> {
        if depth == 0 {
            return Err(self.fault());
        }
        match kind {
            VARINT => self.varint().map(|_| ()),
            FIXED32 => self.take(4).map(|_| ()),
            FIXED64 => self.take(8).map(|_| ()),
            LEN => self.delimited().map(|_| ()),
            GROUP => loop {
                match self.tag()? {
                    (end, GROUP_END) if end == number => return Ok(()),
                    (inner, kind) => self.skip(inner, kind, depth - 1)?,
                }
            },
            _ => Err(self.fault()),
        }
    }

    fn fault(&self) -> MetadataError {
        MetadataError::Encoding { at: self.field }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    type Entries = Vec<(String, Vec<u8>)>;

    fn read(bytes: &[u8]) -> Result<(Entries, u32), MetadataError> {
        let mut found = Vec::new();
        let accept = read_metadata(bytes, |key, value| {
            found.push((String::from_utf8(bytes[key].to_vec()).unwrap(), bytes[value].to_vec()));
        })?;
        Ok((found, accept))
    }

    fn one(key: &str, value: &[u8]) -> (String, Vec<u8>) {
        (key.into(), value.into())
    }

    #[test]
    fn entries_come_in_their_order_and_unknown_fields_are_skipped() {
        let bytes = b"\x0a\x06\x0a\x01a\x12\x011\x10\x02\x0a\x03\x0a\x01b\x351234\x0a\x0a\x12\x00\x18\x7f\x0a\x01a\x12\x012";
        let (entries, accept) = read(bytes).unwrap();
        assert_eq!(entries, [one("a", b"1"), one("b", b""), one("a", b"2")]);
        assert_eq!(accept, 2);
        assert_eq!(read(b""), Ok((Vec::new(), 0)));
        // A group, with another one in it; 64 bits; a number of ten bytes.
        let skipped =
            b"\x33\x23\x28\x01\x24\x34\x3112345678\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(read(skipped), Ok((Vec::new(), 0)));
    }

    #[test]
    fn what_a_caller_says_to_whoever_carries_the_call_is_read() {
        let marks = |accept, no_wait, wait_ms| Ok(Marks { accept, no_wait, wait_ms });
        assert_eq!(read_marks(b""), marks(0, false, 0));
        assert_eq!(read_marks(b"\x10\x02\x18\x01\x20\xac\x02"), marks(2, true, 300));
        // The last one counts.
        assert_eq!(read_marks(b"\x18\x01\x0a\x03\x0a\x01b\x18\x00"), marks(0, false, 0));
    }

    #[test]
    fn what_is_cut_off_cannot_be_read() {
        let whole = b"\x10\x02\x0a\x09\x0a\x04user\x12\x01a";
        for len in 0..whole.len() {
            let found = read(&whole[..len]);
            // Two ends are those of fields.
            let good = [0, 2].contains(&len);
            assert_eq!(found.is_ok(), good, "{len}: {found:?}");
            let at = if len < 2 { 0 } else { 2 };
            assert!(good || found == Err(MetadataError::Encoding { at }), "{len}: {found:?}");
        }
    }

    #[test]
    fn a_field_of_another_type_a_tag_of_zero_and_a_group_without_its_begin_cannot_be_read() {
        let bad: [&[u8]; 12] = [
            b"\x08\x01",                                     // entries as a number
            b"\x12\x00",                                     // accept as a message
            b"\x1a\x00",                                     // no_wait as a message
            b"\x25\x00\x00\x00\x00",                         // wait_ms as 32 bits
            b"\x00\x00",                                     // field 0
            b"\x0e\x00",                                     // wire type 6
            b"\x34",                                         // the end of a group
            b"\x33\x24",                                     // the end of another group
            b"\x33",                                         // a group without an end
            b"\x80\x80\x80\x80\x10\x00",                     // a field number of 33 bits
            b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", // a number of 65 bits
            b"\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // a length of 64 bits
        ];
        for bytes in bad {
            assert_eq!(read(bytes), Err(MetadataError::Encoding { at: 0 }), "{bytes:02x?}");
        }
        // The length of a key goes beyond its entry.
        assert!(matches!(read(b"\x0a\x02\x0a\x05abcdef"), Err(MetadataError::Encoding { .. })));
        let deep = |groups: usize| [b"\x33".repeat(groups), b"\x34".repeat(groups)].concat();
        assert!(
            read(&deep(100)).is_ok() && read(&deep(101)).is_err() && read(&deep(9_999)).is_err()
        );
    }

    #[test]
    fn a_key_is_1_to_255_lower_case_letters_digits_and_three_signs() {
        for key in ["a", "user", "x-b3-traceid", "grpc-status", "a_b.c-9", &"k".repeat(255)] {
            assert_eq!(check_key(key.as_bytes()), Ok(key));
        }
        assert_eq!(check_key(b""), Err(KeyError::Empty));
        assert_eq!(check_key(&[b'k'; 256]), Err(KeyError::TooLong(256)));
        for byte in (0..=255u8).filter(|byte| !b"-_.".contains(byte)) {
            let good = byte.is_ascii_lowercase() || byte.is_ascii_digit();
            assert_eq!(check_key(&[b'a', byte]).is_ok(), good, "{byte:#04x}");
        }
        for (bytes, error) in [
            (&b"\x0a\x00"[..], KeyError::Empty),
            (b"\x0a\x03\x12\x01a", KeyError::Empty),
            (b"\x0a\x03\x0a\x01\xff", KeyError::BadByte { at: 0, byte: 0xff }),
            // The last one counts, and no bad one may stand before it.
            (b"\x0a\x06\x0a\x01A\x0a\x01a", KeyError::BadByte { at: 0, byte: b'A' }),
        ] {
            assert_eq!(read(bytes), Err(MetadataError::Key { at: 0, error }), "{bytes:02x?}");
        }
    }
}
