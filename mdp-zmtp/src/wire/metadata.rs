//! The properties that a peer sends with READY or INITIATE (RFC 37, "Connection Metadata").

use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::{Command, Error, Fault};

const SOCKET_TYPE: &str = "Socket-Type";
const IDENTITY: &str = "Identity";

const MAX_VALUE: u32 = i32::MAX as u32;
const MAX_IDENTITY: usize = 255;

/// The properties that are read. All others are checked and ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata<'a> {
    pub(crate) socket_type: &'a [u8],
    pub(crate) identity: &'a [u8],
}

/// Reads the properties of a command.
pub(crate) fn read(command: Command, mut data: &[u8]) -> Result<Metadata<'_>, Error> {
    let fail = |fault| Error::malformed(command, fault);
    let (mut socket_type, mut identity) = (None, None);
    while let Some((name, rest)) = property_name(data) {
        let name = name.filter(|name| is_name(name)).ok_or(fail(Fault::PropertyName))?;
        let (value, rest) = property_value(rest).ok_or(fail(Fault::PropertyValue))?;
        data = rest;
        // Names are case-insensitive.
        let known = match name {
            name if name.eq_ignore_ascii_case(SOCKET_TYPE.as_bytes()) => &mut socket_type,
            name if name.eq_ignore_ascii_case(IDENTITY.as_bytes()) => &mut identity,
            _ => continue,
        };
        if known.replace(value).is_some() {
            return Err(fail(Fault::Twice));
        }
    }
    let identity = identity.unwrap_or_default();
    if !is_identity(identity) {
        return Err(fail(Fault::Identity));
    }
    let socket_type = socket_type.ok_or(fail(Fault::NoSocketType))?;
    Ok(Metadata { socket_type, identity })
}

/// Writes the properties of this side.
pub(crate) fn put(out: &mut Vec<u8>, socket_type: &str, identity: Option<&Bytes>) {
    put_property(out, SOCKET_TYPE, socket_type.as_bytes());
    if let Some(identity) = identity {
        put_property(out, IDENTITY, identity);
    }
}

/// Whether a peer may have this identity. The empty one stands for no identity.
pub(crate) fn is_identity(identity: &[u8]) -> bool {
    identity.len() <= MAX_IDENTITY && identity.first() != Some(&0)
}

/// The name of the first property and what is behind it; `None` within if the name does not end. `None`: there is no
/// property.
fn property_name(data: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (len, rest) = data.split_first()?;
    Some(match rest.split_at_checked((*len).into()) {
        Some((name, rest)) => (Some(name), rest),
        None => (None, rest),
    })
}

fn property_value(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = data.split_first_chunk()?;
    let len = u32::from_be_bytes(*len);
    rest.split_at_checked(len.try_into().ok().filter(|_| len <= MAX_VALUE)?)
}

fn is_name(name: &[u8]) -> bool {
    let fits = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.+".contains(octet);
    !name.is_empty() && name.iter().all(fits)
}

fn put_property(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    // Both names are short, and a value has at most 255 octets.
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&(value.len() as u32).to_be_bytes());
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(data: &[u8]) -> Fault {
        match read(Command::Ready, data) {
            Err(Error::Malformed { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_are_case_insensitive_and_unknown_ones_ignored() {
        let mut data = b"\x0bsOCKET-tYPE\0\0\0\x03REQ".to_vec();
        data.extend_from_slice(b"\x06X-Nice\0\0\0\0\x08IDENTITY\0\0\0\x02ab");
        let read = read(Command::Ready, &data);
        assert_eq!(read, Ok(Metadata { socket_type: b"REQ", identity: b"ab" }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(fault(b""), Fault::NoSocketType);
        assert_eq!(fault(b"\0\0\0\0\0"), Fault::PropertyName);
        assert_eq!(fault(b"\x05ab"), Fault::PropertyName);
        assert_eq!(fault(b"\x01 \0\0\0\0"), Fault::PropertyName);
        assert_eq!(fault(b"\x01a\0\0\0"), Fault::PropertyValue);
        assert_eq!(fault(b"\x01a\0\0\0\x01"), Fault::PropertyValue);
        assert_eq!(fault(b"\x01a\x80\0\0\0"), Fault::PropertyValue);
        assert_eq!(fault(b"\x08Identity\0\0\0\x01\0"), Fault::Identity);
        assert_eq!(fault(b"\x08Identity\0\0\0\0\x08identity\0\0\0\0"), Fault::Twice);
    }
}
