//! What exporters get of calls over client, broker and worker.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod calls;
mod metrics;
mod moved;
mod streams;
