//! What the layer makes of events and spans, and what the shipper does when calls fail. Over real connections, in one process.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "support/inside.rs"]
mod inside;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use example_cloud_logger::buffer::Bounds;
use example_cloud_logger::pb::log_client::LogClient;
use example_cloud_logger::pb::view_client::ViewClient;
use example_cloud_logger::pb::{
    self, Event, QueryRequest, Record, Source, WatchRequest, WriteRequest,
};
use inside::{LONG, Plain, World, end, pairs};
use mdp_runtime::{Code, Interceptor, Next, Reply, Request, Status};

#[tokio::test(flavor = "multi_thread")]
async fn events_have_their_fields_and_their_spans() {
    let world = World::new(Plain).await;
    let events = world
        .logged(|| {
            let outer = tracing::info_span!("outer", customer = 7, basket = tracing::field::Empty);
            let _outer = outer.enter();
            outer.record("basket", "full");
            outer.record("customer", 8);
            let _inner = tracing::debug_span!("inner").entered();
            let error: &(dyn std::error::Error + 'static) = &fmt::Error;
            tracing::warn!(target: "shop::cart", error, paid = false, price = 1.5, what = ?Some(1), "no {}", "money");
        })
        .await;
    let event = &events[0];
    assert_eq!((event.level(), event.target.as_str()), (pb::Level::Warn, "shop::cart"));
    assert_eq!(event.message, "no money");
    let error = fmt::Error.to_string();
    let fields =
        [("error", error.as_str()), ("paid", "false"), ("price", "1.5"), ("what", "Some(1)")];
    assert_eq!(pairs(&event.fields), fields);
    let names: Vec<&str> = event.spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["outer", "inner"]);
    assert_eq!(pairs(&event.spans[0].fields), [("basket", "full"), ("customer", "8")]);
}

/// Loses the replies to two of three batches, after they were stored.
#[derive(Default)]
struct Forgetful(AtomicU32);

impl Interceptor for Forgetful {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        let writes = request.method() == "cloudlog.v1.Log/Write";
        let reply = next.call(request).await;
        if writes && self.0.fetch_add(1, Ordering::SeqCst) % 3 < 2 {
            return Err(Status::unavailable("the reply is lost"));
        }
        reply
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_reply_is_lost_is_stored_once() {
    let world = World::new(Forgetful::default()).await;
    let events = world.logged(|| (0..900).for_each(|number| tracing::info!(number))).await;
    let numbers: Vec<String> =
        events.into_iter().map(|event| event.fields[0].value.clone()).collect();
    assert!(
        numbers.iter().cloned().eq((0..900).map(|number: u32| number.to_string())),
        "{}",
        numbers.len()
    );
}

/// Refuses the first batch for good.
#[derive(Default)]
struct Choosy(AtomicBool);

impl Interceptor for Choosy {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        if request.method() == "cloudlog.v1.Log/Write" && !self.0.swap(true, Ordering::SeqCst) {
            return Err(Status::invalid_argument("not this one"));
        }
        next.call(request).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_refused_for_good_is_told_as_dropped() {
    let world = World::new(Choosy::default()).await;
    let (dispatch, guard) = world.program(Bounds::default());
    tracing::dispatcher::with_default(&dispatch, || {
        (0..3).for_each(|number| tracing::info!(number))
    });
    end(guard).await;
    let events = world.events().await;
    assert_eq!((events.len(), events[0].dropped), (1, 3));
    assert!(events[0].message.contains("or the logger refused them: INFO 3"), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_waits_for_what_was_logged_before_it_and_not_for_what_comes() {
    let world = World::new(Plain).await;
    let (dispatch, guard) = world.program(Bounds::default());
    let stop = Arc::new(AtomicBool::new(false));
    let logs = std::thread::spawn({
        let (dispatch, stop) = (dispatch.clone(), Arc::clone(&stop));
        move || {
            tracing::dispatcher::with_default(&dispatch, || {
                while !stop.load(Ordering::SeqCst) {
                    tracing::trace!("noise");
                    std::thread::sleep(Duration::from_micros(100));
                }
            });
        }
    });
    for number in 0..10 {
        tracing::dispatcher::with_default(&dispatch, || tracing::error!(number, "before"));
        tokio::task::block_in_place(|| guard.flush(LONG)).unwrap();
        let filter = pb::Filter { level: pb::Level::Error.into(), ..pb::Filter::default() };
        let request = QueryRequest { filter: Some(filter), ..QueryRequest::default() };
        let stored = ViewClient::new(world.client.clone()).query(request).await.unwrap();
        assert_eq!(stored.records.len(), number + 1);
    }
    stop.store(true, Ordering::SeqCst);
    logs.join().unwrap();
    end(guard).await;
}

fn batch(events: Vec<Event>) -> WriteRequest {
    let source = Source { id: "x".into(), ..Source::default() };
    WriteRequest { source: Some(source), sequence: 1, events }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_layer_sends_is_refused() {
    let world = World::new(Plain).await;
    let log = LogClient::new(world.client.clone());
    let good = Event { level: pb::Level::Info.into(), ..Event::default() };
    let with_text = |bytes| Event { message: "x".repeat(bytes), ..good.clone() };
    for (request, words) in [
        (WriteRequest::default(), "a source has an id"),
        (WriteRequest { sequence: 0, ..batch(vec![good.clone()]) }, "1, 2, 3"),
        (WriteRequest { sequence: u64::MAX, ..batch(vec![good.clone()]) }, "1, 2, 3"),
        (batch(vec![good.clone(); 1_001]), "up to 1000 events"),
        (batch(vec![good.clone(), Event::default()]), "event 1 of the batch has no level"),
        (batch(vec![with_text(200_000)]), "event 0 of the batch has more than"),
        (batch(vec![with_text(100_000); 30]), "a batch has up to"),
    ] {
        let status = log.write(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(words), "{status}");
    }
    assert!(world.events().await.is_empty());
}

/// The largest events that a worker takes: pages and messages to viewers stay within the broker's frames.
#[tokio::test(flavor = "multi_thread")]
async fn large_events_reach_viewers_in_several_pages() {
    let world = World::new(Plain).await;
    let log = LogClient::new(world.client.clone());
    let large = Event { level: 3, message: "x".repeat(120_000), ..Event::default() };
    for sequence in 1..=5 {
        log.write(WriteRequest { sequence, ..batch(vec![large.clone(); 10]) }).await.unwrap();
    }
    let view = ViewClient::new(world.client.clone());
    let mut watch =
        view.watch(WatchRequest { after: Some(0), ..WatchRequest::default() }).await.unwrap();
    let mut seen: Vec<Record> = Vec::new();
    while seen.len() < 50 {
        let reply = tokio::time::timeout(LONG, watch.message()).await.unwrap().unwrap().unwrap();
        seen.extend(reply.records);
    }
    let (mut before, mut found) = (0, 0);
    loop {
        let page = view
            .query(QueryRequest { before, limit: 1_000, ..QueryRequest::default() })
            .await
            .unwrap();
        found += page.records.len();
        before = page.next;
        if before == 0 {
            break;
        }
        assert!(page.records.len() < 12, "{} of them are more than a page", page.records.len());
    }
    assert_eq!((seen.len(), found), (50, 50));
}
