//! The server's side of the handshake.

use alloc::boxed::Box;
use alloc::vec::Vec;

use subtle::ConstantTimeEq;
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, Zeroizing};

use super::session::Session;
use super::{
    COOKIE, PADDING, TWO_KEYS, VERSION, VOUCH, ZEROS, agree, long_nonce, open_rest, put_box,
    short_nonce, take, take_box, take_nonce,
};
use crate::error::{Command, Error, Fault};
use crate::keys::{KEY_LEN, KeyPair, NONCE_LEN, PublicKey, Seed};
use crate::seal::{Cipher, TAG};
use crate::wire::command::put_name;

/// A server that has sent WELCOME. All that it keeps is the cookie's key: the transient keys are in the cookie.
pub(crate) struct Welcomed {
    cookie_key: Box<Zeroizing<[u8; KEY_LEN]>>,
    nonce: u64,
}

/// A client whose INITIATE is right. It waits for admission.
pub(crate) struct Initiated {
    pub(crate) session: Box<Session>,
    pub(crate) key: PublicKey,
    pub(crate) metadata: Vec<u8>,
}

/// Reads HELLO and writes WELCOME.
pub(crate) fn welcome(
    own: &KeyPair,
    seed: Seed,
    mut hello: &[u8],
    out: &mut Vec<u8>,
) -> Result<Welcomed, Error> {
    const HELLO: Command = Command::Hello;
    const LEN: usize = 2 + PADDING + KEY_LEN + 8 + TAG + ZEROS;
    if hello.len() != LEN {
        return Err(Error::malformed(HELLO, Fault::Length));
    }
    let data = &mut hello;
    if take(data, HELLO)? != VERSION {
        return Err(Error::malformed(HELLO, Fault::Version));
    }
    if take(data, HELLO)? != [0; PADDING] {
        return Err(Error::malformed(HELLO, Fault::Padding));
    }
    let client = PublicKey::new(take(data, HELLO)?);
    let nonce = u64::from_be_bytes(take(data, HELLO)?);
    let cipher = agree(own.secret(), &client, HELLO)?;
    let full = short_nonce(b"CurveZMQHELLO---", nonce);
    let zeros: [u8; ZEROS] = take_box(data, HELLO, &cipher, &full)?;
    if !bool::from(zeros.ct_eq(&[0; ZEROS])) {
        return Err(Error::malformed(HELLO, Fault::Padding));
    }
    put_welcome(&cipher, &client, &seed, out);
    Ok(Welcomed { cookie_key: Box::new(Zeroizing::new(*seed.cookie_key())), nonce })
}

fn put_welcome(cipher: &Cipher, client: &PublicKey, seed: &Seed, out: &mut Vec<u8>) {
    let transient = seed.transient();
    let mut cookie = Vec::with_capacity(TWO_KEYS);
    cookie.extend_from_slice(client.as_bytes());
    cookie.extend_from_slice(transient.secret().as_bytes());
    let mut text = Vec::with_capacity(KEY_LEN + COOKIE);
    text.extend_from_slice(transient.public().as_bytes());
    text.extend_from_slice(seed.cookie_nonce());
    let cookie_cipher = Cipher::new(seed.cookie_key());
    // Sealed where it stands: no copy of the secret key is left behind.
    put_box(&mut text, &cookie_cipher, &long_nonce(b"COOKIE--", seed.cookie_nonce()), &mut cookie);

    put_name(out, Command::Welcome);
    out.extend_from_slice(seed.nonce());
    put_box(out, cipher, &long_nonce(b"WELCOME-", seed.nonce()), &mut text);
}

impl Welcomed {
    /// Reads INITIATE.
    pub(crate) fn initiate(self, own: &KeyPair, initiate: &[u8]) -> Result<Initiated, Error> {
        const INITIATE: Command = Command::Initiate;
        let data = &mut &*initiate;
        let cookie_nonce = long_nonce(b"COOKIE--", &take(data, INITIATE)?);
        let cookie_cipher = Cipher::new(&self.cookie_key);
        let cookie: [u8; TWO_KEYS] = take_box(data, INITIATE, &cookie_cipher, &cookie_nonce)?;
        let cookie = Zeroizing::new(cookie);
        let keys = &mut &cookie[..];
        let client = PublicKey::new(take(keys, INITIATE)?);
        let transient = transient(keys)?;

        let nonce = take_nonce(data, INITIATE, self.nonce)?;
        let cipher = agree(&transient, &client, INITIATE)?;
        let text = open_rest(data, INITIATE, &cipher, &short_nonce(b"CurveZMQINITIATE", nonce))?;
        let text = &mut &text[..];
        let key = PublicKey::new(take(text, INITIATE)?);
        check_vouch(take(text, INITIATE)?, &transient, &key, &client, own.public())?;
        let session = Box::new(Session::server(cipher, nonce));
        Ok(Initiated { session, key, metadata: text.to_vec() })
    }
}

/// The secret key in a cookie.
fn transient(keys: &mut &[u8]) -> Result<StaticSecret, Error> {
    let mut secret: [u8; KEY_LEN] = take(keys, Command::Initiate)?;
    let transient = StaticSecret::from(secret);
    secret.zeroize();
    Ok(transient)
}

/// The vouch says that the owner of `key` made this connection (`client`) to this server (`own`).
fn check_vouch(
    vouch: [u8; VOUCH],
    transient: &StaticSecret,
    key: &PublicKey,
    client: &PublicKey,
    own: &PublicKey,
) -> Result<(), Error> {
    const INITIATE: Command = Command::Initiate;
    let data = &mut &vouch[..];
    let nonce: [u8; NONCE_LEN] = take(data, INITIATE)?;
    let cipher = agree(transient, key, INITIATE)?;
    let text: [u8; TWO_KEYS] = take_box(data, INITIATE, &cipher, &long_nonce(b"VOUCH---", &nonce))?;
    let said = client.as_bytes().iter().chain(own.as_bytes());
    let same =
        text.iter().zip(said).fold(subtle::Choice::from(1), |same, (a, b)| same & a.ct_eq(b));
    if bool::from(same) { Ok(()) } else { Err(Error::malformed(INITIATE, Fault::Vouch)) }
}
