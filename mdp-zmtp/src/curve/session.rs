//! The boxes after the handshake: one MESSAGE for each frame.

use alloc::vec::Vec;

use bytes::{Buf, BytesMut};

use super::{put_box, short_nonce};
use crate::error::{Command, Error, Excerpt, Fault};
use crate::seal::{Cipher, TAG};
use crate::wire::command::put_name;
use crate::wire::frame::put_header;

/// In a box: more frames of the message follow.
pub(crate) const MORE: u8 = 1;
/// In a box: the frame is a command. RFC 26 reserves this bit; libzmq has sent it since 4.2.
pub(crate) const COMMAND: u8 = 2;

const NAME: &[u8; 8] = b"\x07MESSAGE";
/// Name, nonce and tag.
const HEAD: usize = NAME.len() + 8 + TAG;
/// Bytes by which a MESSAGE is longer than its frame.
pub(crate) const OVERHEAD: usize = HEAD + 1;

type Prefix = &'static [u8; 16];
const OF_CLIENT: Prefix = b"CurveZMQMESSAGEC";
const OF_SERVER: Prefix = b"CurveZMQMESSAGES";

/// The keys of a connection, and the nonces of both directions.
pub(crate) struct Session {
    cipher: Cipher,
    sent: u64,
    received: u64,
    is_server: bool,
}

impl Session {
    pub(crate) fn server(cipher: Cipher, received: u64) -> Self {
        Session { cipher, sent: 0, received, is_server: true }
    }

    pub(crate) fn client(cipher: Cipher, sent: u64) -> Self {
        Session { cipher, sent, received: 0, is_server: false }
    }

    pub(super) fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    /// The peer's first command had this nonce.
    pub(super) fn begin_after(&mut self, nonce: u64) {
        self.received = nonce;
    }

    /// Writes a server's READY.
    pub(crate) fn put_ready(&mut self, metadata: &mut [u8], out: &mut Vec<u8>) {
        // The first nonce of a server: there is always one.
        self.sent = 1;
        put_name(out, Command::Ready);
        out.extend_from_slice(&self.sent.to_be_bytes());
        put_box(out, &self.cipher, &short_nonce(b"CurveZMQREADY---", self.sent), metadata);
    }

    /// Seals one frame, and writes it with its header. `None`: the nonces are used up, and nothing is written.
    #[inline]
    pub(crate) fn seal(&mut self, flags: u8, frame: &[u8], out: &mut Vec<u8>) -> Option<()> {
        // RFC 26: no nonce is used twice, so the number does not wrap.
        let number = self.sent.checked_add(1)?;
        let nonce = short_nonce(self.prefixes().0, number);
        let start = out.len();
        out.reserve(OVERHEAD + frame.len() + crate::wire::frame::MAX_HEADER);
        // Not marked as a command outside: libzmq does not mark it either, and would drop it as one.
        put_header(out, 0, OVERHEAD + frame.len());
        out.extend_from_slice(NAME);
        out.extend_from_slice(&number.to_be_bytes());
        let boxed = out.len();
        out.extend_from_slice(&[0; TAG]);
        out.push(flags);
        out.extend_from_slice(frame);
        let Some((tag, text)) =
            out.get_mut(boxed..).and_then(|boxed| boxed.split_first_chunk_mut())
        else {
            out.truncate(start);
            return None;
        };
        *tag = self.cipher.seal(&nonce, text);
        self.sent = number;
        Some(())
    }

    /// Opens a MESSAGE in place. Returns the flags and the frame.
    #[inline]
    pub(crate) fn open(&mut self, mut body: BytesMut) -> Result<(u8, BytesMut), Error> {
        let Some(data) = body.strip_prefix(NAME) else { return Err(other_command(&body)) };
        let fail = |fault| Error::malformed(Command::Message, fault);
        let (nonce, data) = data.split_first_chunk().ok_or(fail(Fault::Length))?;
        let (tag, text) = data.split_first_chunk::<TAG>().ok_or(fail(Fault::Length))?;
        if text.is_empty() {
            return Err(fail(Fault::Length));
        }
        let (tag, number) = (*tag, u64::from_be_bytes(*nonce));
        if number <= self.received {
            let (command, last) = (Command::Message, self.received);
            return Err(Error::Nonce { command, nonce: number, last });
        }
        let nonce = short_nonce(self.prefixes().1, number);
        body.advance(HEAD);
        if !self.cipher.open(&nonce, &tag, &mut body) {
            return Err(Error::Box { command: Command::Message });
        }
        self.received = number;
        let flags = body.get_u8();
        match flags {
            0 | MORE | COMMAND => Ok((flags, body)),
            _ => Err(fail(Fault::Flags)),
        }
    }

    /// The prefixes of the nonces of this side and of the peer.
    fn prefixes(&self) -> (Prefix, Prefix) {
        if self.is_server { (OF_SERVER, OF_CLIENT) } else { (OF_CLIENT, OF_SERVER) }
    }
}

fn other_command(body: &[u8]) -> Error {
    let name = match crate::wire::command::split(body) {
        Ok((command, _)) => Excerpt::of(command.name().as_bytes()),
        Err(name) => name,
    };
    Error::Unexpected { name, expected: Command::Message.name() }
}
