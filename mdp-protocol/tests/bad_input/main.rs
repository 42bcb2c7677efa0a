//! Bad input, and the machines alive: issue by issue of what bytes can do to a broker, a client and
//! a worker. Nothing of it may panic, and the next normal call must go through.

// A test names its fault by failing, and its bytes are its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod limits;
mod machines;
mod metadata;
mod mutations;
mod random;
#[allow(dead_code)] // what writes the vectors is for the test `vectors`
#[path = "../vector_files/mod.rs"]
mod vector_files;
