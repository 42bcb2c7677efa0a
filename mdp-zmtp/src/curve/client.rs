//! The client's side of the handshake.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::session::Session;
use super::{
    COOKIE, PADDING, TWO_KEYS, VERSION, VOUCH, ZEROS, agree, long_nonce, open_rest, put_box,
    short_nonce, take, take_box, take_nonce,
};
use crate::error::{Command, Error, Fault};
use crate::keys::{KEY_LEN, KeyPair, NONCE_LEN, PublicKey, Seed};
use crate::seal::{Cipher, TAG};
use crate::wire::command::put_name;

const HELLO_NONCE: u64 = 1;
const INITIATE_NONCE: u64 = 2;

/// A client that has sent HELLO.
pub(crate) struct Greeted {
    transient: Box<KeyPair>,
    /// Between this connection's key and the server's permanent one.
    cipher: Box<Cipher>,
    seed: Seed,
}

/// A client that has sent INITIATE.
pub(crate) struct Introduced {
    session: Box<Session>,
}

/// Writes HELLO.
pub(crate) fn hello(server: &PublicKey, seed: Seed, out: &mut Vec<u8>) -> Result<Greeted, Error> {
    let transient = Box::new(seed.transient());
    // The only way to fail here is a server's key of low order.
    let cipher = agree(transient.secret(), server, Command::Welcome)?;
    put_name(out, Command::Hello);
    out.extend_from_slice(&VERSION);
    out.extend_from_slice(&[0; PADDING]);
    out.extend_from_slice(transient.public().as_bytes());
    out.extend_from_slice(&HELLO_NONCE.to_be_bytes());
    put_box(out, &cipher, &short_nonce(b"CurveZMQHELLO---", HELLO_NONCE), &mut [0; ZEROS]);
    Ok(Greeted { transient, cipher: Box::new(cipher), seed })
}

impl Greeted {
    /// Reads WELCOME and writes INITIATE.
    pub(crate) fn initiate(
        self,
        own: &KeyPair,
        server: &PublicKey,
        mut welcome: &[u8],
        metadata: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Introduced, Error> {
        const WELCOME: Command = Command::Welcome;
        if welcome.len() != NONCE_LEN + TAG + KEY_LEN + COOKIE {
            return Err(Error::malformed(WELCOME, Fault::Length));
        }
        let data = &mut welcome;
        let nonce = long_nonce(b"WELCOME-", &take(data, WELCOME)?);
        let text: [u8; KEY_LEN + COOKIE] = take_box(data, WELCOME, &self.cipher, &nonce)?;
        let text = &mut &text[..];
        let server_transient = PublicKey::new(take(text, WELCOME)?);
        let cookie: [u8; COOKIE] = take(text, WELCOME)?;

        let cipher = agree(self.transient.secret(), &server_transient, WELCOME)?;
        let mut text = Vec::with_capacity(KEY_LEN + VOUCH + metadata.len());
        text.extend_from_slice(own.public().as_bytes());
        self.put_vouch(own, server, &server_transient, &mut text)?;
        text.extend_from_slice(metadata);

        put_name(out, Command::Initiate);
        out.extend_from_slice(&cookie);
        out.extend_from_slice(&INITIATE_NONCE.to_be_bytes());
        put_box(out, &cipher, &short_nonce(b"CurveZMQINITIATE", INITIATE_NONCE), &mut text);
        Ok(Introduced { session: Box::new(Session::client(cipher, INITIATE_NONCE)) })
    }

    /// This connection's key and the server's, sealed with the permanent key.
    fn put_vouch(
        &self,
        own: &KeyPair,
        server: &PublicKey,
        server_transient: &PublicKey,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut text = Vec::with_capacity(TWO_KEYS);
        text.extend_from_slice(self.transient.public().as_bytes());
        text.extend_from_slice(server.as_bytes());
        let cipher = agree(own.secret(), server_transient, Command::Welcome)?;
        out.extend_from_slice(self.seed.nonce());
        put_box(out, &cipher, &long_nonce(b"VOUCH---", self.seed.nonce()), &mut text);
        Ok(())
    }
}

impl Introduced {
    /// Reads READY. Returns the server's metadata.
    pub(crate) fn ready(mut self, ready: &[u8]) -> Result<(Box<Session>, Vec<u8>), Error> {
        const READY: Command = Command::Ready;
        let data = &mut &*ready;
        let nonce = take_nonce(data, READY, 0)?;
        let full = short_nonce(b"CurveZMQREADY---", nonce);
        let metadata = open_rest(data, READY, self.session.cipher(), &full)?;
        self.session.begin_after(nonce);
        Ok((self.session, metadata))
    }
}
