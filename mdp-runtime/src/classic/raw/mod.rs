//! Frames without a schema: a client and a worker for programs with their own encoding.

mod client;
mod handlers;
mod open_requests;
mod replier;
mod worker;

pub use client::{PendingReply, RawClient, RawClientBuilder, RawError, RawReply};
pub(crate) use handlers::{Handlers, RawHandler, raw_handler};
pub(crate) use replier::EndCall;
pub use replier::{Replier, ReplyError};
pub use worker::{RawWorker, RawWorkerBuilder};
