//! Part of mdp-runtime. Use mdp-runtime; this crate's API may change with each release.
//!
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

pub mod clock;
pub mod endpoint;
pub mod ends;
mod error;
mod libzmq;
mod packet;
pub mod security;
pub mod spin;

pub use endpoint::EndpointError;
pub use error::{SocketError, Unsent};
pub use libzmq::close::{Closing, close_all};
pub use libzmq::context::Runtime;
pub use libzmq::dealer::Dealer;
pub use libzmq::frame::Frame;
pub use libzmq::identity::Unproven;
pub use libzmq::router::{Arrival, Content, Origin, Router};
pub use libzmq::waker::{Waker, Wakeups};
pub use libzmq::zap::{NoHandler, Registration};
pub use packet::{InPacket, OutPacket};
pub use security::curve::{ClientKeys, Unusable};
pub use security::handshake::Faults;
pub use security::trusted::{Mark, SETTLED, read_now, wait_until_settled};

use libzmq::curve::{has_curve, make_keys, public_key_of};

/// Sockets of ZeroMQ's patterns without a broker.
pub mod pattern {
    pub use crate::libzmq::pattern::{
        Connections, Pattern, PatternKeys, PatternMessage, PatternSettings, PatternSocket, Wanted,
    };
}

/// What only tests need, behind the feature `testing`.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    pub use crate::libzmq::testing::{Stranger, end_handler, has_handler};
}
