//! Peers of classic MDP: a worker ([`worker`]) and a client ([`client`]) of MDP/0.1 (RFC 7) and MDP/0.2 (RFC 18).
//!
//! The [crate's guide](crate) shows how to drive them. Bodies are a type parameter without requirements. Both take
//! their settings from a [`SessionConfig`](crate::SessionConfig); they ignore its `id`, because peers of classic MDP
//! have no names.

pub mod client;
pub mod worker;

use crate::time::Span;

/// The default interval of a classic worker's heartbeats: 2.5 s, as in the examples of RFC 7.
pub const HEARTBEAT: Span = Span::from_ms(2_500);
