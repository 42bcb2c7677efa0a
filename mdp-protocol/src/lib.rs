//! The Majordomo Protocol without I/O: the wire format, and the state machines of broker, worker and client.
//!
//! This crate has no socket, no clock and no source of randomness. Each of the three state machines,
//! [`broker::Broker`], [`worker::Worker`] and [`client::Client`], has one input function, one list of actions and one
//! deadline:
//!
//! ```text
//! handle(now, input, &mut actions)        next_deadline() -> Option<Time>
//! ```
//!
//! A driver receives, calls `handle`, performs the actions in their order and calls `handle` with `Input::Tick` when
//! the deadline has come. The new state is a function of the old state, the time and the input, so a test can run whole
//! clusters in simulated time.
//!
//! ```
//! use mdp_protocol::broker::{Action, Broker, Config, Input};
//! use mdp_protocol::wire::Record;
//! use mdp_protocol::{Identity, Span, Time};
//!
//! let mut broker: Broker<Vec<u8>> = Broker::new(Config::default());
//! let mut actions = Vec::new();
//! let hello = Record::Hello { id: b"".as_slice(), heartbeat: Span::from_secs(1), liveness: 3 };
//! let from = broker.sender(b"route", Identity::anonymous());
//! let input = Input::Record { from, record: hello };
//! broker.handle(Time::from_ms(0), input, &mut actions);
//! assert!(matches!(actions.first(), Some(Action::Open { .. })));
//! ```
//!
//! The payload of a call is a type parameter: the machines pass it on and never read it. They use only its size,
//! through [`Payload`], to keep memory within [`Limits`].
//!
//! [`wire`] encodes and decodes the bytes; `docs/wire.md` is their normative text.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod broker;
pub mod classic;
pub mod client;
mod codes;
mod hash;
mod identity;
mod limits;
mod list;
pub mod names;
mod payload;
pub mod policy;
mod rng;
mod session;
mod slab;
mod status;
mod stream;
mod time;
pub mod watchdog;
mod wheel;
pub mod wire;
pub mod worker;
pub mod z85;

pub use identity::Identity;
pub use limits::{Limit, Limits};
pub use payload::Payload;
pub use session::{ConnectionState, LossCause, SessionAction, SessionConfig};
pub use slab::Key;
pub use status::{Code, Reason, Refusal};
pub use time::{HEARTBEAT, LIVENESS, Span, Time};
