//! Part of mdp-runtime. Use mdp-runtime, whose feature `patterns` hands this out; this crate's API may change with each
//! release.
//!
//! Records over ZeroMQ's sockets without a broker, and classic messages as stacks of frames.

mod message;
pub mod patterns;

pub use message::{Message, MessageError};
