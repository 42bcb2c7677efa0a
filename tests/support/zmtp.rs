//! As much of ZMTP 3.0 as it takes for a peer that speaks by hand, and to do what libzmq never does: to begin a message and
//! not end it, to announce a frame that does not come, to say nothing at all.

// Tests, each of which uses its part of it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What comes, comes much sooner.
const PATIENCE: Duration = Duration::from_secs(30);
const GREETING_BYTES: usize = 64;
const LAST: u8 = 0;
const MORE: u8 = 1;
const LARGE: u8 = 2;
const COMMAND: u8 = 4;
/// The command of a DEALER that ends its part of the handshake.
const READY: &[u8] = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER";

/// A DEALER over a plain connection.
pub(crate) struct Peer {
    stream: Stream,
    /// What was read and is not taken yet.
    input: RefCell<Vec<u8>>,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn connect(endpoint: &str) -> io::Result<Self> {
        match endpoint.strip_prefix("ipc://") {
            Some(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Stream::Unix(stream))
            }
            None => silent(endpoint).map(Stream::Tcp),
        }
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => (&*stream).write_all(bytes),
            Stream::Unix(stream) => (&*stream).write_all(bytes),
        }
    }

    fn read_within(&self, patience: Duration, bytes: &mut [u8]) -> io::Result<usize> {
        let patience = Some(patience.max(Duration::from_millis(1)));
        match self {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(patience)?;
                (&*stream).read(bytes)
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(patience)?;
                (&*stream).read(bytes)
            }
        }
    }
}

impl Peer {
    /// Connects as soon as there is a broker.
    pub(crate) fn connect(endpoint: &str) -> Self {
        let until = Instant::now() + PATIENCE;
        loop {
            match Peer::try_connect(endpoint) {
                Ok(peer) => return peer,
                Err(error) => assert!(Instant::now() < until, "{endpoint}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn try_connect(endpoint: &str) -> io::Result<Self> {
        let peer = Peer { stream: Stream::connect(endpoint)?, input: RefCell::default() };
        peer.stream.write_all(&greeting())?;
        peer.read(GREETING_BYTES)?;
        peer.stream.write_all(&frame(COMMAND, READY))?;
        // The broker's READY: the handshake is over, and it reads messages.
        let head = peer.read(2)?;
        assert_eq!(head.first(), Some(&COMMAND));
        peer.read(head.last().copied().unwrap().into())?;
        Ok(peer)
    }

    /// Sends a message. A broker that has cut this peer off does not get it.
    pub(crate) fn send<F: AsRef<[u8]>>(&self, frames: &[F]) {
        let mut bytes = Vec::new();
        for (number, body) in frames.iter().enumerate() {
            let flags = if number + 1 < frames.len() { MORE } else { LAST };
            bytes.extend(frame(flags, body.as_ref()));
        }
        let _ = self.stream.write_all(&bytes);
    }

    /// The next message, if one comes within this time.
    pub(crate) fn receive_within(&self, patience: Duration) -> Option<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        // Commands, a PING for instance, are not for the tests.
        while self.hears(if frames.is_empty() { patience } else { PATIENCE }) {
            let flags = self.octets(1)[0];
            let len = match flags & LARGE {
                0 => self.octets(1)[0].into(),
                _ => u64::from_be_bytes(self.octets(8).try_into().unwrap()),
            };
            let body = self.octets(usize::try_from(len).unwrap());
            if flags & COMMAND != 0 {
                continue;
            }
            frames.push(body);
            if flags & MORE == 0 {
                return Some(frames);
            }
        }
        None
    }

    /// The next message.
    pub(crate) fn receive(&self) -> Vec<Vec<u8>> {
        self.receive_within(PATIENCE).expect("the broker should have said something")
    }

    /// Whether something to read comes within this time.
    pub(crate) fn hears(&self, within: Duration) -> bool {
        !self.input.borrow().is_empty() || self.take_in(within).is_ok_and(|count| count > 0)
    }

    fn octets(&self, len: usize) -> Vec<u8> {
        self.read(len).unwrap()
    }

    /// Reads what is there, or comes within this time.
    fn take_in(&self, within: Duration) -> io::Result<usize> {
        let mut bytes = [0; 16 << 10];
        let count = self.stream.read_within(within, &mut bytes)?;
        self.input.borrow_mut().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// A frame that is not the last of its message.
    pub(crate) fn send_part(&mut self, frame: &[u8]) {
        self.send_frame(MORE, frame).unwrap();
    }

    /// A frame that is not the last of its message, to a broker that may have cut this peer off.
    pub(crate) fn try_part(&mut self, frame: &[u8]) -> io::Result<()> {
        self.send_frame(MORE, frame)
    }

    /// The last frame of a message.
    pub(crate) fn send_last(&mut self, frame: &[u8]) -> io::Result<()> {
        self.send_frame(LAST, frame)
    }

    /// So many empty frames that are not the last of their message.
    pub(crate) fn send_empty_parts(&mut self, count: usize) -> io::Result<()> {
        let bytes = [MORE, 0].repeat(count);
        self.stream.write_all(&bytes)
    }

    /// Announces a frame of so many bytes, and sends the first of them.
    pub(crate) fn announce(&mut self, len: u64) -> io::Result<()> {
        let mut bytes = vec![LARGE];
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&[0xd3; 100]);
        self.stream.write_all(&bytes)
    }

    /// Reads until the other side ends the connection.
    pub(crate) fn wait_closed(&self) {
        let mut bytes = [0; 256];
        loop {
            match self.stream.read_within(PATIENCE, &mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the connection stays: {error}"),
            }
        }
    }

    fn send_frame(&mut self, flags: u8, frame: &[u8]) -> io::Result<()> {
        self.stream.write_all(&self::frame(flags, frame))
    }

    fn read(&self, len: usize) -> io::Result<Vec<u8>> {
        while self.input.borrow().len() < len {
            if self.take_in(PATIENCE)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.input.borrow_mut().drain(..len).collect())
    }
}

/// A connection over which nothing has been said.
pub(crate) fn silent(endpoint: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Says over a new connection all that a DEALER says in its handshake, and does not wait for the other side.
pub(crate) fn shake_hands(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&greeting())?;
    stream.write_all(&frame(COMMAND, READY))
}

fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = match u8::try_from(body.len()) {
        Ok(len) => vec![flags, len],
        Err(_) => {
            let mut head = vec![flags | LARGE];
            head.extend_from_slice(&(body.len() as u64).to_be_bytes());
            head
        }
    };
    bytes.extend_from_slice(body);
    bytes
}

/// Signature, version 3.0, the mechanism NULL, as a client.
fn greeting() -> [u8; GREETING_BYTES] {
    let mut greeting = [0; GREETING_BYTES];
    let beginning = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL";
    for (byte, said) in greeting.iter_mut().zip(beginning) {
        *byte = *said;
    }
    greeting
}
