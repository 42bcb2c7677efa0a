//! The login service of `examples/auth`, declared in Rust: no `.proto` file, no build script, the same wire.

pub mod accounts;
pub mod client;
pub mod service;
