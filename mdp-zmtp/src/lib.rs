//! ZMTP 3.1, the wire protocol of ZeroMQ, without I/O: NULL and CURVE, for peers of any ZeroMQ library.
//!
//! A [`Connection`] is a state machine. It has no socket, no clock and no source of randomness: the driver passes in
//! what it has read, the time and a [`Seed`], and writes what is in the [`Output`]. So it runs in a task, in a thread with
//! its own poll that serves thousands of connections, and in a test.
//!
//! ```text
//! receive(now, &mut input, &mut out) -> Result<Option<Event>, Error>
//! send(frames, &mut out)      next_deadline()      tick(now, &mut out)
//! ```
//!
//! Two connections exchange a message in memory:
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::BytesMut;
//! use mdp_zmtp::{Config, Connection, Event, KeyPair, Mechanism, Output, Seed, SocketType, Time};
//!
//! let server_keys = KeyPair::new(&[1; 32]); // secret keys, in a program
//! let own = KeyPair::new(&[2; 32]);
//! let server = *server_keys.public();
//! let router = Config::new(SocketType::Router).mechanism(Mechanism::CurveServer(server_keys));
//! let dealer =
//!     Config::new(SocketType::Dealer).mechanism(Mechanism::CurveClient { own: own.clone(), server });
//!
//! // In a program, random octets of the system.
//! let seed = |octet| Seed::fill(|part| Ok::<(), ()>(part.fill(octet))).unwrap();
//! let now = Time::from_ms(0);
//! let (mut to_router, mut to_dealer) = (Output::new(), Output::new());
//! let mut dealer = Connection::new(&Arc::new(dealer), seed(3), now, &mut to_router);
//! let mut router = Connection::new(&Arc::new(router), seed(4), now, &mut to_dealer);
//!
//! // Stands for a socket: all that one side writes is read by the other.
//! fn carry(out: &mut Output, input: &mut BytesMut) {
//!     out.chunks().for_each(|chunk| input.extend_from_slice(chunk));
//!     out.advance(out.len());
//! }
//! let (mut at_router, mut at_dealer) = (BytesMut::new(), BytesMut::new());
//! let message = loop {
//!     carry(&mut to_dealer, &mut at_dealer);
//!     match dealer.receive(now, &mut at_dealer, &mut to_router)? {
//!         Some(Event::Ready(_)) => dealer.send([b"hello", b"world"], &mut to_router)?,
//!         _ => {}
//!     }
//!     carry(&mut to_router, &mut at_router);
//!     match router.receive(now, &mut at_router, &mut to_dealer)? {
//!         Some(Event::Admission(peer)) => {
//!             assert_eq!(peer.key(), Some(own.public()));
//!             router.admit(&mut to_dealer)?;
//!         }
//!         Some(Event::Message(message)) => break message,
//!         _ => {}
//!     }
//! };
//! assert_eq!(message.into_frames(), ["hello", "world"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a peer cannot do
//!
//! No octet of a peer causes a panic. What a peer can make a connection hold is within [`Limits`], and each limit is
//! checked when a header comes, before the body is stored. Under CURVE nonces rise in both directions and none is used
//! twice, the cookie is of this connection and counts once, and no command of the handshake counts twice. Secrets are
//! compared in constant time and overwritten when they are dropped.
//!
//! # Memory
//!
//! An idle connection has some 210 bytes, and with CURVE 100 more. It has no buffer: octets of a frame that is not
//! complete stay in the driver's buffer, and [`Connection::missing`] says how many more it needs. Frames are handed out
//! without a copy.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod connection;
mod curve;
mod error;
mod event;
mod handshake;
mod keys;
mod limits;
mod message;
mod output;
mod peer;
mod seal;
mod socket_type;
mod time;
mod wire;

pub use config::{Config, Heartbeat, InvalidIdentity, Mechanism};
pub use connection::Connection;
pub use error::{Command, Error, Excerpt, Fault, NotAsked, Refusal, SendError};
pub use event::Event;
pub use keys::{KEY_LEN, KeyPair, PublicKey, Seed};
pub use limits::Limits;
pub use message::{Message, Part};
pub use output::{Output, SHARE_FROM};
pub use peer::Peer;
pub use socket_type::{SocketType, SocketTypes};
pub use time::Time;
