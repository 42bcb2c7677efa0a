//! Who speaks: identities of messages, and records that hide in the bodies of others.

// A test may end at the first wrong assumption.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

// Other tests use more of it.
#[allow(dead_code, unreachable_pub)]
#[path = "../dialogues/body.rs"]
mod body;
mod collisions;
mod identities;
mod management;
mod stage;
mod tunnels;
