//! Sockets: what receives and sends, keys, and who is let in.

pub(crate) mod libzmq;
pub mod security;

pub use libzmq::context::Runtime;
