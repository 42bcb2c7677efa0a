//! Each id of docs/conformance.md, from outside.

// A test may end at the first wrong assumption.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

/// Frames, of bytes of any length each.
macro_rules! m {
    ($($frame:expr),* $(,)?) => {
        &[$(AsRef::<[u8]>::as_ref(&$frame)),*] as &[&[u8]]
    };
}

mod broker;
mod broker_life;
mod faults;
mod framing;
mod ids;
mod mmi;
mod pausing;
mod peer;
mod peers;
