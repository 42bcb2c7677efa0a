//! The octets of ZMTP, without sockets: goldens, damaged goldens, two connections in memory.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod alive;
mod attacks;
mod curve;
mod damage;
mod golden;
mod limits;
mod pipe;
mod plain;
mod side;
