//! The toolkit's own sockets: ZMTP over tcp and Unix sockets, and queues within the process.
//!
//! `dealer` is the socket of a tokio task, `router` that of the broker's thread. `pattern` has the sockets without a
//! broker. `wire` puts messages into bytes and takes them out, `outgoing` holds the bytes that wait to be written.
//! `address`, `bind`, `ipc` and `listeners` are about endpoints, `stream` is about byte streams, `inproc` about connections
//! within the process. `admission` says whose keys are accepted, `handshakes` bounds those that are not over, `incomplete`
//! the messages that are not complete. `open_files` warns before there are no files left.

mod address;
mod admission;
mod bind;
mod closing;
mod connections;
mod dealer;
mod handshakes;
mod incomplete;
mod inproc;
mod ipc;
mod listeners;
mod open_files;
mod outgoing;
pub(crate) mod pattern;
mod router;
mod stream;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests;
mod waker;
mod wire;

pub(crate) use closing::Closing;
pub use connections::Route;
pub(crate) use dealer::Dealer;
#[cfg(any(test, feature = "testing"))]
pub(crate) use inproc::Connected;
pub(crate) use inproc::Hub;
pub(crate) use router::{Message as Arrived, Router};
pub(crate) use waker::{Wait, WakeHandle};
