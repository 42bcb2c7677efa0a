//! The greeting (RFC 37, "Formal Grammar").
//!
//! ```text
//! octet  0      signature ff       12 .. 31  mechanism, padded with zeros
//!        1 .. 8 padding, ignored   32        as-server
//!        9      7f                 33 .. 63  filler, zeros
//!        10, 11 version
//! ```

use crate::error::{Error, Excerpt};

/// The length of the greeting.
pub(crate) const LEN: usize = 64;

const SIGNATURE: usize = 10;
const MINOR: usize = 11;
const MECHANISM: core::ops::Range<usize> = 12..32;
const AS_SERVER: usize = 32;

const MAJOR_VERSION: u8 = 3;
const MINOR_VERSION: u8 = 1;

/// What this side says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greeting {
    pub(crate) mechanism: &'static str,
    pub(crate) as_server: bool,
}

impl Greeting {
    /// The octets of a greeting.
    pub(crate) fn encode(self) -> [u8; LEN] {
        let mut octets = [0; LEN];
        let beginning = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, MAJOR_VERSION, MINOR_VERSION];
        let said = beginning.iter().chain(self.mechanism.as_bytes());
        octets.iter_mut().zip(said).for_each(|(octet, said)| *octet = *said);
        if let Some(octet) = octets.get_mut(AS_SERVER) {
            *octet = self.as_server.into();
        }
        octets
    }

    /// Checks the part of the peer's greeting that has come. Returns the minor version that both speak when all of it
    /// is there.
    pub(crate) fn check(self, input: &[u8]) -> Result<Option<u8>, Error> {
        let mut version = (MAJOR_VERSION, MINOR_VERSION);
        for (at, octet) in input.iter().copied().enumerate().take(LEN) {
            match at {
                0 if octet != 0xff => return Err(Error::NotZmtp { at, octet }),
                9 if octet != 0x7f => return Err(Error::NotZmtp { at, octet }),
                SIGNATURE if octet < MAJOR_VERSION => {
                    return Err(Error::OldVersion { revision: octet });
                }
                SIGNATURE => version.0 = octet,
                MINOR => version.1 = octet,
                _ if MECHANISM.contains(&at) && octet != self.mechanism_octet(at) => {
                    return Err(self.other_mechanism(input));
                }
                _ if at >= AS_SERVER && version <= (MAJOR_VERSION, MINOR_VERSION) => {
                    self.check_end(at, octet)?;
                }
                _ => {}
            }
        }
        // RFC 37: a later version is spoken to as 3.1.
        Ok((input.len() >= LEN).then(|| match version {
            (MAJOR_VERSION, minor) => minor.min(MINOR_VERSION),
            _ => MINOR_VERSION,
        }))
    }

    fn mechanism_octet(self, at: usize) -> u8 {
        let own = self.mechanism.as_bytes();
        own.get(at - MECHANISM.start).copied().unwrap_or_default()
    }

    fn other_mechanism(self, input: &[u8]) -> Error {
        let came = input.get(MECHANISM.start..MECHANISM.end.min(input.len())).unwrap_or_default();
        let end = came.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        let theirs = Excerpt::of(came.get(..end).unwrap_or_default());
        Error::Mechanism { ours: self.mechanism, theirs }
    }

    /// as-server and the filler. A later version may use these octets otherwise, so they are read of 3.0 and 3.1 only.
    /// libzmq never sets as-server, not even in a server, so zero says nothing.
    fn check_end(self, at: usize, octet: u8) -> Result<(), Error> {
        match (at, octet) {
            (_, 0) => Ok(()),
            (AS_SERVER, 1) if self.as_server => Err(Error::BothServers),
            (AS_SERVER, 1) => Ok(()),
            _ => Err(Error::Greeting { at, octet }),
        }
    }
}
