//! CURVE (RFC 25 and RFC 26): the handshake of both sides, and the boxes after it.
//!
//! ```text
//! client                                              server
//! HELLO     C', Box[0](C'->S)                    -->
//!                                                <--  WELCOME   Box[S', cookie](S->C')
//! INITIATE  cookie, Box[C, vouch, data](C'->S')  -->
//!                                                <--  READY     Box[data](S'->C')
//! MESSAGE   Box[flags, frame](C'->S')            <->  MESSAGE   Box[flags, frame](S'->C')
//! ```
//!
//! C and S are the permanent keys, C' and S' those of the connection. The cookie holds C' and the secret key of S',
//! sealed with a key that only this connection has. The vouch holds C' and S, sealed from C to S'. Each step consumes
//! the state before it, so no command counts twice.

pub(crate) mod client;
pub(crate) mod server;
pub(crate) mod session;

use alloc::vec::Vec;

use crate::error::{Command, Error, Fault};
use crate::keys::{KEY_LEN, NONCE_LEN, PublicKey};
use crate::seal::{Cipher, NONCE, TAG};

const VERSION: [u8; 2] = [1, 0];
/// Zeros that make HELLO longer than WELCOME, so that nobody is sent more than was asked for.
const PADDING: usize = 72;
/// The zeros in the box of HELLO.
const ZEROS: usize = 64;
/// Two keys, as in the cookie and in the vouch.
const TWO_KEYS: usize = 2 * KEY_LEN;
/// The cookie: its nonce and its box.
const COOKIE: usize = NONCE_LEN + TAG + TWO_KEYS;
/// The vouch: its nonce and its box.
const VOUCH: usize = NONCE_LEN + TAG + TWO_KEYS;

/// A nonce of a prefix and a number that rises.
fn short_nonce(prefix: &[u8; 16], number: u64) -> [u8; NONCE] {
    nonce(prefix, &number.to_be_bytes())
}

/// A nonce of a prefix and random octets.
fn long_nonce(prefix: &[u8; 8], random: &[u8; NONCE_LEN]) -> [u8; NONCE] {
    nonce(prefix, random)
}

fn nonce(prefix: &[u8], rest: &[u8]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce.iter_mut().zip(prefix.iter().chain(rest)).for_each(|(to, from)| *to = *from);
    nonce
}

/// Takes the next `N` octets of a command.
fn take<const N: usize>(data: &mut &[u8], command: Command) -> Result<[u8; N], Error> {
    let (taken, rest) = data.split_first_chunk().ok_or(Error::malformed(command, Fault::Length))?;
    *data = rest;
    Ok(*taken)
}

/// Takes a nonce, which must be larger than the last one.
fn take_nonce(data: &mut &[u8], command: Command, last: u64) -> Result<u64, Error> {
    let nonce = u64::from_be_bytes(take(data, command)?);
    if nonce > last { Ok(nonce) } else { Err(Error::Nonce { command, nonce, last }) }
}

/// Takes a box of `N` octets of text, and opens it.
fn take_box<const N: usize>(
    data: &mut &[u8],
    command: Command,
    cipher: &Cipher,
    nonce: &[u8; NONCE],
) -> Result<[u8; N], Error> {
    let tag = take(data, command)?;
    let mut text = take(data, command)?;
    if cipher.open(nonce, &tag, &mut text) { Ok(text) } else { Err(Error::Box { command }) }
}

/// Opens a box that takes up the rest of a command.
fn open_rest(
    data: &[u8],
    command: Command,
    cipher: &Cipher,
    nonce: &[u8; NONCE],
) -> Result<Vec<u8>, Error> {
    let mut rest = data;
    let tag = take(&mut rest, command)?;
    let mut text = rest.to_vec();
    if cipher.open(nonce, &tag, &mut text) { Ok(text) } else { Err(Error::Box { command }) }
}

/// Writes a box.
fn put_box(out: &mut Vec<u8>, cipher: &Cipher, nonce: &[u8; NONCE], text: &mut [u8]) {
    let tag = cipher.seal(nonce, text);
    out.extend_from_slice(&tag);
    out.extend_from_slice(text);
}

/// The cipher between two keys. A public key of low order gives a secret that anybody knows, and is refused.
fn agree(
    secret: &x25519_dalek::StaticSecret,
    public: &PublicKey,
    command: Command,
) -> Result<Cipher, Error> {
    Cipher::agree(secret, public).ok_or(Error::Box { command })
}
