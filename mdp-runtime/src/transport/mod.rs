//! The seam to the sockets: what carries messages, keys, and who is let in. Above it nobody knows whose sockets they are.
//!
//! Connections of worker and client:
//!
//! - [`Dealer`]: connects to one endpoint in the background, on a tokio task. `receive` and `send` do not wait; `ready`
//!   does, for something to receive, for room or for news of the connection, which `look_around`, `take_made` and `is_lost`
//!   tell. It ends by `into_closing` or `discard`.
//! - [`Closing`], [`close_all`]: sockets that still write what they hold.
//!
//! The broker's side:
//!
//! - [`Router`]: bound to endpoints, on a thread of its own. `receive` gives the next message with who sent it; `send` and
//!   `send_frames` take a value that is dropped when the message is written, by which the broker counts what each peer has
//!   not read, and say why a message was not sent ([`Unsent`]). `wait` waits for all that the thread has to do with;
//!   `next_look` and `is_lost` tell of connections that broke.
//! - [`Waker`]: wakes that thread out of its wait.
//! - [`Registration`]: lets the keys of an allow list in, as long as it is held.
//!
//! Both: [`OutPacket`] and [`InPacket`] are messages; [`Frame`] is one frame as it came; [`SocketError`] is what users
//! see of a socket that fails. [`pattern`] has the sockets without a broker, [`security`] keys.
//!
//! `libzmq` is the one implementation, and the one place where the crate `zmq` is named (tests/hygiene). Calls through the seam
//! are static; errors are made only where something fails.

mod error;
mod libzmq;
mod packet;
pub mod security;

pub use error::SocketError;
pub use libzmq::context::Runtime;

pub(crate) use error::Unsent;
pub(crate) use libzmq::close::{Closing, close_all};
pub(crate) use libzmq::dealer::Dealer;
pub(crate) use libzmq::frame::Frame;
pub(crate) use libzmq::identity::Unproven;
pub(crate) use libzmq::router::{Content, Router};
pub(crate) use libzmq::waker::{Waker, Wakeups};
pub(crate) use libzmq::zap::{NoHandler, Registration};
pub(crate) use packet::{InPacket, OutPacket};

use libzmq::curve::{has_curve, make_keys, public_key_of};

/// Sockets of ZeroMQ's patterns without a broker.
pub(crate) mod pattern {
    pub(crate) use super::libzmq::pattern::{
        Connections, Pattern, PatternKeys, PatternMessage, PatternSettings, PatternSocket, Wanted,
    };
}

#[cfg(test)]
pub(crate) use libzmq::testing::Stranger;
