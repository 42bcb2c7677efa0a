//! Peers of plain MDP: a worker ([`worker`]) and a client ([`client`]) of MDP/0.1 (RFC 7) and MDP/0.2 (RFC 18).
//!
//! They are driven as all machines are, see the [crate's guide](crate). Bodies are a type parameter of which nothing
//! is asked. Both take their settings from a [`SessionConfig`](crate::SessionConfig); its `id` says nothing here, for
//! plain MDP has no names for peers.

pub mod client;
pub mod worker;

use crate::time::Span;

/// How often a worker of plain MDP sends heartbeats unless it is told otherwise: 2.5 s, as in the examples of RFC 7.
pub const HEARTBEAT: Span = Span::from_ms(2_500);
