//! The sockets of ZeroMQ's patterns without a broker, for tokio tasks.
//!
//! A `socket` has no thread and no task of its own: its owner's task moves the bytes, in `ready` and in `drive`. It has
//! `listener`s for what it binds, a `link` for each endpoint that it connects to, and a `peer` for each connection. Each of
//! these has a waker of its own (`signals`), so one event costs the same with one peer and with thousands. `pipe` is a
//! connection within the process. `topics` compares messages with subscriptions, `subscribers` keeps those that a publisher
//! has received. `message` is what is sent, `ending` why a connection is over.

mod ending;
mod link;
mod listener;
mod message;
mod peer;
mod pipe;
mod places;
mod signals;
mod socket;
mod subscribers;
#[cfg(all(test, feature = "zmq"))] // libzmq is the other side.
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
mod topics;

pub(super) use pipe::{Door, Pipe};
pub(crate) use socket::{Keys, PatternSocket};
