//! The Rust of the pages: each block is compiled, and run where it can be. What stands around the blocks is in `around`,
//! `build.rs` puts both together.

// A page's code is for reading: it makes values to show how, and a test names its fault by failing.
#![allow(missing_docs, dead_code, unused_mut, unused_variables, unreachable_pub)]
#![allow(non_local_definitions)] // a block may stand in a function
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod auth;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use mdp_runtime::Stream;

/// How a block ends, which uses `?`.
type Ran = Result<(), Box<dyn Error>>;

/// What is waited for comes much sooner, or never.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for a value, but not for ever.
async fn soon<T>(value: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, value).await.expect("it did not come")
}

/// The next item of a stream.
async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}
