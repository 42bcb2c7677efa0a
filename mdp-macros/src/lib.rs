//! The attribute front end: services and records declared in Rust.
