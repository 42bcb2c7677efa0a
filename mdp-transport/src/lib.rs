//! Part of mdp-runtime. Use mdp-runtime; this crate's API may change with each release.
//!
//! The seam to the sockets: what carries messages, keys, and who is let in. Above it nobody knows whose sockets they are.
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
//!   connections and calls of the waker. `next_loss` reports lost connections, and `next_look` when to ask for them.
//! - [`Waker`]: wakes the router's thread while it waits.
//! - [`Registration`]: admits the keys of an allow list while it exists.
//!
//! Both sides: [`OutPacket`] and [`InPacket`] are messages; [`Frame`] is one received frame; [`SocketError`] is the
//! error that users see when a socket fails. [`pattern`] has the sockets without a broker, [`security`] the keys.
//!
//! There are two implementations, `native` and `libzmq`. A [`Context`] says which one its sockets have ([`Transport`]).
//! Only `libzmq` names the crate `zmq` (tests/hygiene); without the feature `zmq`, `no_libzmq` stands in for it. Errors are
//! built only when an operation fails. [`buffers`] keeps buffers for large messages, of both and of what is above them.
//!
//! What both implementations keep:
//!
//! - A message is sent and received as a whole. Messages between two sockets keep their order.
//! - What arrived before a connection was lost is received before the loss is reported.
//! - A socket of [`Dealer::connect`] does not connect again after a loss. One of [`Dealer::connect_classic`] does.
//! - The future of `ready` may be dropped at any time. It may end although nothing has changed.
//! - A value given to [`Router::send`] is dropped once: when its message is written or discarded, or on an error.

mod arrival;
pub mod buffers;
pub mod clock;
mod context;
mod dealer;
pub mod endpoint;
pub mod ends;
mod error;
mod frame;
mod ipc_path;
#[cfg(feature = "zmq")]
mod libzmq;
#[cfg(not(feature = "zmq"))]
#[path = "no_libzmq.rs"]
mod libzmq;
mod log_limit;
mod native;
mod packet;
pub mod pattern;
mod pattern_types;
mod registration;
mod router;
pub mod security;
pub mod spin;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::unwrap_used)]
pub mod testing;
mod transport;
mod waker;

pub use arrival::{Content, Unproven};
pub use context::Context;
pub use dealer::{Closing, Dealer, close_all};
pub use endpoint::EndpointError;
pub use error::{NoHandler, SocketError, Unsent};
pub use frame::Frame;
pub use native::Route;
pub use packet::{InPacket, OutPacket};
pub use registration::Registration;
pub use router::{Arrival, Loss, Origin, Router};
pub use security::curve::{ClientKeys, Unusable};
pub use security::handshake::Faults;
pub use security::trusted::{Mark, SETTLED, read_now, wait_until_settled};
pub use transport::Transport;
pub use waker::{Waker, Wakeups};
