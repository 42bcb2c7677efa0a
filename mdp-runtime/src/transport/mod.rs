//! The seam to the sockets: messages, keys, and the decision which peers may connect. The code above it does not depend
//! on one kind of sockets.
//!
//! Connections of workers and clients:
//!
//! - [`Dealer`]: connects to one endpoint in the background, on a tokio task. `receive` and `send` do not wait. `ready`
//!   waits for a message, for room to send, or for a change of the connection. `look_around`, `take_made` and `is_lost`
//!   report the change. `into_closing` or `discard` ends the socket.
//! - [`Closing`], [`close_all`]: sockets that still write their messages before they close.
//!
//! The broker's side:
//!
//! - [`Router`]: is bound to endpoints and has a thread of its own. `receive` returns the next message and its sender.
//!   `send` and `send_frames` take a value that is dropped when the message is written: the broker counts unread bytes
//!   with it. They return the reason why a message was not sent ([`Unsent`]). `wait` waits for messages, lost
//!   connections and calls of the waker. `next_look` and `is_lost` report lost connections.
//! - [`Waker`]: wakes the router's thread while it waits.
//! - [`Registration`]: admits the keys of an allow list while it exists.
//!
//! Both sides: [`OutPacket`] and [`InPacket`] are messages; [`Frame`] is one received frame; [`SocketError`] is the
//! error that users see when a socket fails. [`pattern`] has the sockets without a broker, [`security`] the keys.
//!
//! `libzmq` is the only implementation, and the only place that names the crate `zmq` (tests/hygiene). Calls through
//! the seam are static. Errors are built only when an operation fails.

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

/// Sockets of ZeroMQ's patterns that need no broker.
pub(crate) mod pattern {
    pub(crate) use super::libzmq::pattern::{
        Connections, Pattern, PatternKeys, PatternMessage, PatternSettings, PatternSocket, Wanted,
    };
}

#[cfg(test)]
pub(crate) use libzmq::testing::Stranger;
