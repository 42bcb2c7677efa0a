//! The implementation of the sockets with libzmq.
//!
//! `dealer`, `router` and `pattern` are the sockets of the seam. `watch` and `connection_monitor` receive libzmq's
//! events about their connections. `message` sends and receives whole messages; `frame` has the unsafe code for that.
//! `context` makes sockets and `close` ends them. `curve` sets keys on sockets, `zap` decides which keys libzmq
//! accepts, and `identity` reads the key of a message's connection.

pub(super) mod close;
mod connection_monitor;
pub(super) mod context;
pub(super) mod curve;
pub(super) mod dealer;
mod error;
pub(crate) mod frame;
pub(super) mod identity;
pub(super) mod message;
pub(super) mod pattern;
mod polled;
pub(super) mod router;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::unwrap_used)]
pub(super) mod testing;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
mod version;
pub(super) mod waker;
mod watch;
pub(crate) mod zap;

pub(crate) use close::{Closing, close_all};
pub(crate) use context::Context;
pub(crate) use dealer::Dealer;
pub(crate) use message::{Arrived, Sender};
pub(crate) use router::Router;
pub(crate) use version::version;
pub(crate) use waker::{WakeSocket, Wakeups};
