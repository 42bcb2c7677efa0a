//! Services declared in Rust, in a crate as strict as a crate can be: no prelude, and each warning an error.

#![no_implicit_prelude]
#![deny(warnings)]
#![deny(rustdoc::all)]

pub mod everything;
pub mod streams;
pub mod values;
