//! The header of a frame (RFC 37, "Framing"): flags, and a length of one octet or of eight.

use alloc::vec::Vec;

use crate::error::Error;

/// More frames of the message follow.
pub(crate) const MORE: u8 = 1;
/// The length has eight octets.
const LONG: u8 = 2;
/// The frame is a command.
pub(crate) const COMMAND: u8 = 4;

/// The longest header.
pub(crate) const MAX_HEADER: usize = 9;

/// A header that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes of the header.
    pub(crate) header: usize,
    /// Bytes of the body.
    pub(crate) body: u64,
    /// Whether more frames of the message follow.
    pub(crate) more: bool,
    /// Whether the frame is a command.
    pub(crate) command: bool,
}

impl Header {
    /// Reads the header at the beginning of `input`. `None`: it is not all there.
    #[inline]
    pub(crate) fn read(input: &[u8]) -> Result<Option<Header>, Error> {
        let Some((&flags, rest)) = input.split_first() else { return Ok(None) };
        let (more, command) = (flags & MORE != 0, flags & COMMAND != 0);
        if flags & !(MORE | LONG | COMMAND) != 0 || more && command {
            return Err(Error::Flags { flags });
        }
        let length = match flags & LONG {
            0 => rest.first().map(|octet| (2, u64::from(*octet))),
            _ => rest.first_chunk().map(|octets| (MAX_HEADER, u64::from_be_bytes(*octets))),
        };
        Ok(length.map(|(header, body)| Header { header, body, more, command }))
    }
}

/// Writes the header of a frame of `body` bytes.
#[inline]
pub(crate) fn put_header(out: &mut Vec<u8>, flags: u8, body: usize) {
    match u8::try_from(body) {
        Ok(short) => out.extend_from_slice(&[flags, short]),
        Err(_) => {
            out.push(flags | LONG);
            out.extend_from_slice(&(body as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for (flags, body) in [(0, 0), (MORE, 255), (COMMAND, 256), (0, 1 << 40)] {
            let mut out = Vec::new();
            put_header(&mut out, flags, body);
            let header = Header {
                header: out.len(),
                body: body as u64,
                more: flags == MORE,
                command: flags == COMMAND,
            };
            assert_eq!(Header::read(&out), Ok(Some(header)));
            for len in 0..out.len() {
                assert_eq!(Header::read(out.get(..len).unwrap_or_default()), Ok(None));
            }
        }
    }

    #[test]
    fn unknown_flags_are_errors() {
        for flags in 0..=255 {
            let known = flags < 8 && flags & (MORE | COMMAND) != MORE | COMMAND;
            let read = Header::read(&[flags]);
            assert_eq!(read, if known { Ok(None) } else { Err(Error::Flags { flags }) });
        }
    }
}
