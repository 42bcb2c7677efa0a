//! Against libzmq, both as the side that binds and as the side that connects, with NULL and CURVE.

#![cfg(not(mdp_without_c))]
// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod echo;
mod heartbeat;
mod peer;
mod refusals;
