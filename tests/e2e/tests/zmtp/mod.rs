//! As much of ZMTP 3.0 as it takes to begin a message and not end it, which libzmq never does.

#![allow(clippy::unwrap_used)] // tests

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const GREETING_BYTES: usize = 64;
const MORE: u8 = 1;
const COMMAND: u8 = 4;

/// A DEALER over a plain connection.
pub(crate) struct Peer {
    stream: TcpStream,
}

impl Peer {
    pub(crate) fn connect(endpoint: &str) -> Self {
        let mut stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(&greeting()).unwrap();
        let mut peer = Peer { stream };
        peer.read(GREETING_BYTES);
        let mut ready = b"\x05READY".to_vec();
        ready.extend_from_slice(b"\x0bSocket-Type\0\0\0\x06DEALER");
        peer.send_frame(COMMAND, &ready);
        // The broker's READY: the handshake is over, and it reads messages.
        let head = peer.read(2);
        assert_eq!(head.first(), Some(&COMMAND));
        peer.read(head.last().copied().unwrap().into());
        peer
    }

    /// A frame that is not the last of its message.
    pub(crate) fn send_part(&mut self, frame: &[u8]) {
        self.send_frame(MORE, frame);
    }

    fn send_frame(&mut self, flags: u8, frame: &[u8]) {
        let mut bytes = vec![flags, u8::try_from(frame.len()).unwrap()];
        bytes.extend_from_slice(frame);
        self.stream.write_all(&bytes).unwrap();
    }

    fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
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
