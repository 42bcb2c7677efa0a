//! Peers of plain MDP: a worker ([`worker`]) and a client ([`client`]) of MDP/0.1 (RFC 7) and MDP/0.2 (RFC 18).
//!
//! They are driven as all machines are, see the [crate's guide](crate). Bodies are a type parameter of which nothing
//! is asked. Both take their settings from a [`SessionConfig`](crate::SessionConfig); its `id` says nothing here, for
//! plain MDP has no names for peers.

pub mod client;
pub mod worker;
