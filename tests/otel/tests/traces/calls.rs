//! Calls of one request and one reply, as spans.

use std::time::{Duration, SystemTime};

use mdp_runtime::{Call, Code, RetryPolicy, Status};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{FutureExt, SpanId, SpanKind, Status as SpanStatus};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SpanData};
use test_otel::{Part, Text, World, attribute, until};

const ORDER: &str = "shop.v1.Shop/Order";
const RELAY: &str = "shop.v1.Shop/Relay";
const TAKE: &str = "stock.v1.Stock/Take";
const QUEUE: &str = "mdp.queue";

async fn order(world: &World, text: &str) -> Result<Text, Status> {
    world.shop().order(text).await
}

fn is_error(span: &SpanData) -> bool {
    matches!(span.status, SpanStatus::Error { .. })
}

fn took(span: &SpanData) -> Duration {
    span.end_time.duration_since(span.start_time).unwrap()
}

#[tokio::test]
async fn one_trace_leads_from_the_program_over_client_and_broker_to_the_worker() {
    let world = World::start().await;
    let (root, known) = world.root();
    let reply = order(&world, "tea").with_context(root).await;
    assert_eq!(reply.unwrap().text, "tea");
    let client = world.caller.only(ORDER).await;
    let queue = world.queue.only(QUEUE).await;
    let server = world.shop.only(ORDER).await;
    for span in [&client, &queue, &server] {
        assert_eq!(span.span_context.trace_id(), known.trace_id());
        assert_eq!(span.status, SpanStatus::Unset);
        assert_eq!(attribute(span, "rpc.system.name").as_deref(), Some("mdp"));
        assert_eq!(attribute(span, "rpc.method").as_deref(), Some(ORDER));
        assert_eq!(attribute(span, "error.type"), None);
        assert_eq!(span.instrumentation_scope.name(), "mdp-runtime");
    }
    assert_eq!(client.parent_span_id, known.span_id());
    assert_eq!(queue.parent_span_id, client.span_context.span_id());
    assert_eq!(server.parent_span_id, client.span_context.span_id());
    assert_eq!(client.span_kind, SpanKind::Client);
    assert_eq!(queue.span_kind, SpanKind::Internal);
    assert_eq!(server.span_kind, SpanKind::Server);
    assert!(!client.parent_span_is_remote);
    assert!(queue.parent_span_is_remote && server.parent_span_is_remote);
    assert!(client.start_time <= queue.start_time && queue.end_time <= client.end_time);
    assert!(client.start_time <= server.start_time && server.end_time <= client.end_time);
    for span in [&client, &server] {
        assert_eq!(attribute(span, "rpc.response.status_code").as_deref(), Some("OK"));
    }
    let port = world.broker.endpoints()[0].rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(attribute(&client, "server.address").as_deref(), Some("127.0.0.1"));
    assert_eq!(attribute(&client, "server.port"), Some(port));
    assert!(attribute(&client, "mdp.worker.id").is_some());
    assert_eq!(attribute(&client, "mdp.attempts"), None);
}

#[tokio::test]
async fn a_call_of_a_handler_belongs_to_the_handlers_span() {
    let world = World::start().await;
    let shop = world.shop();
    world.gate.add_permits(1);
    let methods: [(&str, Call<Text>); 3] = [
        (RELAY, shop.relay("a")),
        ("shop.v1.Shop/RelayBlocking", shop.relay_blocking("b")),
        ("shop.v1.Shop/RelayDetached", shop.relay_detached("c")),
    ];
    for (made, (name, call)) in methods.into_iter().enumerate() {
        let reply = call.await.unwrap();
        let client = world.caller.only(name).await;
        let server = world.shop.only(name).await;
        let nested = world.shop.wait_for(TAKE, made + 1).await.remove(made);
        let store = world.store.wait_for(TAKE, made + 1).await.remove(made);
        let queues = world.queue.wait_for(QUEUE, 2 * (made + 1)).await;
        assert_eq!(nested.span_kind, SpanKind::Client, "{name}");
        assert_eq!(nested.parent_span_id, server.span_context.span_id(), "{name}");
        assert_eq!(store.parent_span_id, nested.span_context.span_id(), "{name}");
        assert_eq!(queues.last().unwrap().parent_span_id, nested.span_context.span_id(), "{name}");
        let trace = client.span_context.trace_id();
        assert!([server, nested, store].iter().all(|span| span.span_context.trace_id() == trace));
        assert!(reply.text.ends_with(&trace.to_string()), "{name}: the store's own is {reply:?}");
    }
}

#[tokio::test]
async fn a_call_that_waits_has_its_wait_as_a_span() {
    let world = World::start().await;
    let held = tokio::spawn(world.shop().order("hold").into_future());
    until(async || world.queue.spans().len() == 1).await;
    let waiting = tokio::spawn(world.shop().order("tea").into_future());
    world.queued(1).await;
    let queued = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(120)).await;
    let released = SystemTime::now();
    world.gate.add_permits(1);
    held.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    let client = world.caller.wait_for(ORDER, 2).await;
    let client = client.iter().max_by_key(|span| span.start_time).unwrap();
    let queue = world.queue.wait_for(QUEUE, 2).await.remove(1);
    assert_eq!(queue.parent_span_id, client.span_context.span_id());
    assert!(queue.start_time <= queued && queue.end_time >= released, "{queue:#?}");
    assert!(took(&queue) >= Duration::from_millis(120) && took(&queue) <= took(client));
    let server = world.shop.wait_for(ORDER, 2).await.remove(1);
    assert!(queue.end_time <= server.start_time, "{queue:#?} {server:#?}");
    assert_eq!(queue.status, SpanStatus::Unset);
}

#[tokio::test]
async fn a_failure_is_an_error_of_the_client_and_of_the_worker_if_it_is_to_blame() {
    let world = World::start().await;
    for (made, (text, code, to_blame)) in
        [("nothing", "NOT_FOUND", false), ("panic", "INTERNAL", true)].into_iter().enumerate()
    {
        let status = order(&world, text).await.unwrap_err();
        assert_eq!(status.code().name(), code);
        let client = world.caller.wait_for(ORDER, made + 1).await.remove(made);
        let server = world.shop.wait_for(ORDER, made + 1).await.remove(made);
        let description = status.message().to_owned();
        assert_eq!(client.status, SpanStatus::error(description));
        assert_eq!(attribute(&client, "error.type").as_deref(), Some(code));
        assert_eq!(attribute(&client, "rpc.response.status_code").as_deref(), Some(code));
        assert_eq!(attribute(&server, "rpc.response.status_code").as_deref(), Some(code));
        assert_eq!(is_error(&server), to_blame);
        assert_eq!(attribute(&server, "error.type").is_some(), to_blame);
        // It was dispatched, and that is all that the queue has to do with it.
        assert!(world.queue.wait_for(QUEUE, made + 1).await.iter().all(|span| !is_error(span)));
    }
}

#[tokio::test]
async fn a_call_that_no_worker_gets_ends_in_the_queue() {
    let world = World::start().await;
    let held = tokio::spawn(world.shop().order("hold").into_future());
    until(async || world.queue.spans().len() == 1).await;
    let call = world.shop().order("tea").timeout(Duration::from_millis(60));
    let status = call.await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let client = world.caller.only(ORDER).await;
    let queue = world.queue.wait_for(QUEUE, 2).await.remove(1);
    assert_eq!(queue.parent_span_id, client.span_context.span_id());
    for span in [&queue, &client] {
        assert!(is_error(span), "{span:#?}");
        let code = attribute(span, "rpc.response.status_code");
        assert_eq!(code.as_deref(), Some("DEADLINE_EXCEEDED"));
        assert_eq!(attribute(span, "error.type"), code);
    }
    assert!(took(&queue) >= Duration::from_millis(50), "{queue:#?}");
    // Given up by its caller.
    let given_up = tokio::spawn(world.shop().order("tea").into_future());
    world.queued(1).await;
    given_up.abort();
    let queue = world.queue.wait_for(QUEUE, 3).await.remove(2);
    let client = world.caller.wait_for(ORDER, 2).await.remove(1);
    for span in [&queue, &client] {
        assert_eq!(attribute(span, "rpc.response.status_code").as_deref(), Some("CANCELLED"));
        assert!(is_error(span));
    }
    // To a worker that is not there: refused at once.
    let refused = world.shop().order("tea").to_worker("nobody").await.unwrap_err();
    let queue = world.queue.wait_for(QUEUE, 4).await.remove(3);
    assert_eq!(attribute(&queue, "error.type").as_deref(), Some(refused.code().name()));
    assert_eq!(queue.status, SpanStatus::error(refused.message().to_owned()));
    world.gate.add_permits(1);
    held.await.unwrap().unwrap();
    let servers = world.shop.wait_for(ORDER, 1).await;
    assert_eq!(servers.len(), 1, "the others never came to a worker");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_waiting_calls_along() {
    let world = World::start().await;
    let held = tokio::spawn(world.shop().order("hold").into_future());
    until(async || world.queue.spans().len() == 1).await;
    let waiting = tokio::spawn(world.shop().order("tea").into_future());
    world.queued(1).await;
    world.client.shutdown(Duration::ZERO).await;
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), Code::Cancelled);
    assert!(held.await.unwrap().is_err());
    let queue = world.queue.wait_for(QUEUE, 2).await.remove(1);
    assert_eq!(attribute(&queue, "rpc.response.status_code").as_deref(), Some("CANCELLED"));
    // The handler that nobody waits for any more is stopped.
    let server = world.shop.only(ORDER).await;
    assert_eq!(attribute(&server, "rpc.response.status_code").as_deref(), Some("CANCELLED"));
}

#[tokio::test]
async fn attempts_are_events_of_the_calls_span_or_spans_of_their_own() {
    let world = World::start().await;
    let policy = RetryPolicy::new().attempts(3).backoff(Duration::ZERO, Duration::ZERO);
    let status = world.shop().fail("a").retry(&policy).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let fail = "shop.v1.Shop/Fail";
    let client = world.caller.only(fail).await;
    let of_event = |span: &SpanData, place: usize| -> KeyValue {
        assert_eq!(span.events[place].name, "mdp.attempt");
        span.events[place].attributes[0].clone()
    };
    assert_eq!(client.events.len(), 2, "{client:#?}");
    assert_eq!(of_event(&client, 0), KeyValue::new("mdp.attempt", 2));
    assert_eq!(of_event(&client, 1), KeyValue::new("mdp.attempt", 3));
    let servers = world.shop.wait_for(fail, 3).await;
    let parent = client.span_context.span_id();
    assert!(servers.iter().all(|span| span.parent_span_id == parent));
    assert_eq!(world.queue.wait_for(QUEUE, 3).await.len(), 3);
    // Further in than the policy: a span for each.
    let inner = world.client.retry(policy).intercept(world.caller.telemetry());
    let shop = test_otel::ShopClient::new(inner);
    assert!(shop.fail("b").await.is_err());
    let spans = world.caller.wait_for(fail, 5).await;
    let outer = spans.last().unwrap().span_context.span_id();
    let of_attempts: Vec<_> = spans.iter().filter(|span| span.parent_span_id == outer).collect();
    assert_eq!(of_attempts.len(), 3, "{spans:#?}");
}

#[tokio::test]
async fn what_is_not_sampled_is_recorded_nowhere() {
    let world = World::with(Part::sampled(Sampler::AlwaysOff)).await;
    let reply = world.shop().relay("a").await.unwrap();
    assert!(!reply.text.ends_with(&"0".repeat(32)), "there is a trace all the same: {reply:?}");
    let parts = [&world.caller, &world.queue, &world.shop, &world.store];
    assert!(parts.iter().all(|part| part.spans().is_empty()));
}

#[tokio::test]
async fn a_call_without_a_trace_begins_one_at_the_worker() {
    let world = World::start().await;
    let endpoint = world.broker.endpoints()[0].clone();
    let bare = mdp_runtime::Client::connect(endpoint).await.unwrap();
    test_otel::ShopClient::new(bare).order("tea").await.unwrap();
    let server = world.shop.only(ORDER).await;
    assert_eq!(server.parent_span_id, SpanId::INVALID);
    assert!(world.queue.spans().is_empty());
}

#[tokio::test]
async fn baggage_travels_along_and_a_trace_of_somebody_elses_does_not() {
    let world = World::start().await;
    let context = Context::new().with_baggage([KeyValue::new("tenant", "acme")]);
    let reply = order(&world, "baggage").with_context(context).await.unwrap();
    assert_eq!(reply.text, "acme");
    let old = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = world.shop().order("metadata").metadata("traceparent", old);
    let reply = call.metadata("tenant", "acme").await.unwrap();
    let keys: Vec<_> = reply.text.split(' ').collect();
    assert_eq!(keys.iter().filter(|key| **key == "traceparent").count(), 1, "{keys:?}");
    assert!(keys.contains(&"tenant"), "{keys:?}");
    let client = world.caller.wait_for(ORDER, 2).await.remove(1);
    let server = world.shop.wait_for(ORDER, 2).await.remove(1);
    assert_eq!(server.parent_span_id, client.span_context.span_id());
}
