//! The broker's rules, one by one, as transcripts of what it says.

// A test may end at the first wrong assumption.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod bench;
mod cancel;
mod dispatch;
mod fairness;
mod hooks;
mod leaving;
mod limits;
mod method_stats;
mod rights;
mod sessions;
mod shared;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod unread;
