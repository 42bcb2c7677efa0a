//! Values that make trouble, within the one subscriber of a process.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "support/inside.rs"]
mod inside;

use std::fmt;

use example_cloud_logger::layer::{EVENT_BYTES, SPANS};
use example_cloud_logger::{CloudLogger, parts};
use inside::{Plain, World, end, pairs};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

/// Logs while it is asked what it is.
struct Talkative;

impl fmt::Debug for Talkative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!("asked");
        f.write_str("talkative")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_log_or_are_endless_stop_nobody() {
    let world = World::new(Plain).await;
    let logger = CloudLogger::new("test").start(parts::client(&world.endpoint));
    let (layer, guard) = logger.unwrap();
    // Within a subscriber of a thread's own tracing lets nothing log that is asked what it is; within this one it does.
    let own = filter_fn(|metadata| metadata.target() == "nested");
    tracing_subscriber::registry().with(layer.with_filter(own)).try_init().unwrap();
    {
        let span = tracing::info_span!("span", who = ?Talkative);
        let _span = span.enter();
        span.record("who", tracing::field::debug(Talkative));
        tracing::info!(who = ?Talkative, "talks");
        tracing::info!(text = "x".repeat(1_000_000), "much");
        let spans: Vec<_> =
            (0..40).map(|depth| tracing::info_span!("deep", depth).entered()).collect();
        tracing::info!("deep");
        spans.into_iter().rev().for_each(drop);
    }
    end(guard).await;
    let events = world.events().await;
    let messages: Vec<&str> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages, ["asked", "asked", "asked", "talks", "much", "deep"]);
    assert_eq!(pairs(&events[3].fields), [("who", "talkative")]);
    let text = &events[4].fields[0].value;
    assert!(text.ends_with('…') && text.len() <= EVENT_BYTES, "{}", text.len());
    let depths: Vec<_> = events[5].spans.iter().map(|span| span.fields[0].value.as_str()).collect();
    assert_eq!((depths.len(), depths[0], depths[SPANS - 1]), (SPANS, "24", "39"));
}
