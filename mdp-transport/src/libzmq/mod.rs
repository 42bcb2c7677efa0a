//! The sockets of libzmq.
//!
//! `dealer`, `router` and `pattern` are the sockets of the seam; `watch` and `losses` hear from libzmq what becomes of their
//! connections. `message` sends and receives whole messages, `frame` holds what is unsafe about that. `context` makes
//! sockets and `close` ends them for good. `curve` puts keys into sockets, `zap` says which keys libzmq lets in, and
//! `identity` reads off a message whose key its connection has.

pub(super) mod close;
pub(super) mod context;
pub(super) mod curve;
pub(super) mod dealer;
mod error;
pub(super) mod frame;
pub(super) mod identity;
mod losses;
mod message;
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
pub(super) mod zap;
