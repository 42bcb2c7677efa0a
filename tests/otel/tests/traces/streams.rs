//! Calls with streams, as spans.

use std::time::SystemTime;

use opentelemetry::trace::{FutureExt, SpanKind};
use opentelemetry_sdk::trace::SpanData;
use test_otel::{Text, World, attribute};

const LETTERS: &str = "shop.v1.Shop/Letters";
const JOIN: &str = "shop.v1.Shop/Join";
const EACH: &str = "shop.v1.Shop/Each";
const TAKE: &str = "stock.v1.Stock/Take";

fn code(span: &SpanData) -> Option<String> {
    attribute(span, "rpc.response.status_code")
}

#[tokio::test]
async fn the_span_of_a_stream_of_replies_ends_with_the_stream() {
    let world = World::start().await;
    let (root, known) = world.root();
    let mut letters = world.shop().letters("abc").into_future().with_context(root).await.unwrap();
    for letter in ["a", "b"] {
        assert_eq!(letters.message().await.unwrap().unwrap().text, letter);
    }
    let in_between = SystemTime::now();
    assert!(world.caller.spans().is_empty() && world.shop.spans().is_empty());
    world.gate.add_permits(1);
    assert_eq!(letters.message().await.unwrap(), Some(Text::from("c")));
    assert_eq!(letters.message().await.unwrap(), None);
    let (client, server) = (world.caller.only(LETTERS).await, world.shop.only(LETTERS).await);
    let queue = world.queue.only("mdp.queue").await;
    assert!(client.end_time > in_between && server.end_time > in_between);
    assert!(queue.end_time <= in_between);
    assert_eq!(client.parent_span_id, known.span_id());
    assert_eq!(server.parent_span_id, client.span_context.span_id());
    assert_eq!(queue.parent_span_id, client.span_context.span_id());
    assert_eq!(
        (client.span_kind.clone(), server.span_kind.clone()),
        (SpanKind::Client, SpanKind::Server)
    );
    assert_eq!((code(&client).as_deref(), code(&server).as_deref()), (Some("OK"), Some("OK")));
}

#[tokio::test]
async fn a_stream_that_its_reader_drops_is_a_cancelled_call() {
    let world = World::start().await;
    let mut letters = world.shop().letters("abc").await.unwrap();
    letters.message().await.unwrap();
    drop(letters);
    let (client, server) = (world.caller.only(LETTERS).await, world.shop.only(LETTERS).await);
    assert_eq!(
        (code(&client).as_deref(), code(&server).as_deref()),
        (Some("CANCELLED"), Some("CANCELLED"))
    );
}

#[tokio::test]
async fn streams_of_requests_and_both_ways_are_one_span_on_each_side() {
    let world = World::start().await;
    let (root, known) = world.root();
    let shop = world.shop();
    let calls = async {
        let (mut texts, all) = shop.join().start();
        for text in ["a", "b"] {
            texts.send(text).await.unwrap();
        }
        texts.finish();
        assert_eq!(all.await.unwrap().text, "ab");
        let (mut texts, mut found) = shop.each().start();
        for text in ["a", "b"] {
            texts.send(text).await.unwrap();
        }
        texts.finish();
        let mut count = 0;
        while let Some(text) = found.message().await.unwrap() {
            assert!(text.text.ends_with(&known.trace_id().to_string()), "{text:?}");
            count += 1;
        }
        assert_eq!(count, 2);
    };
    calls.with_context(root).await;
    for name in [JOIN, EACH] {
        let (client, server) =
            (world.caller.only(name).await, world.shop.wait_for(name, 1).await.remove(0));
        assert_eq!(client.parent_span_id, known.span_id(), "{name}");
        assert_eq!(server.parent_span_id, client.span_context.span_id(), "{name}");
        assert_eq!(
            (code(&client).as_deref(), code(&server).as_deref()),
            (Some("OK"), Some("OK")),
            "{name}"
        );
    }
    // What a handler of a stream calls is a child of the stream's span.
    let server = world.shop.only(EACH).await;
    let nested = world.shop.wait_for(TAKE, 2).await;
    assert!(nested.iter().all(|span| span.parent_span_id == server.span_context.span_id()));
}
