//! What a caller is told where no worker serves: one answer, and a true one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // tests

mod support;

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use mdp_runtime::{Broker, Client, Code, Interceptor, Next, Reply, Request, Status, Worker};
use support::{answering, call, client, echo, start, within};

fn told(status: &Status) -> (Code, Option<String>, bool) {
    (status.code(), status.reason(), status.not_started())
}

fn no_service() -> (Code, Option<String>, bool) {
    (Code::Unavailable, Some("NO_SERVICE".to_owned()), true)
}

fn late() -> (Code, Option<String>, bool) {
    (Code::DeadlineExceeded, Some("DEADLINE_EXCEEDED".to_owned()), true)
}

/// The broker's answer is there before the client's own timer, which cannot know whether a handler was started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_serves_ends_so_before_its_deadline() {
    let broker = start(Broker::builder());
    let client = client(&broker).await;
    let time = Duration::from_secs(2);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let call = call(&client, "").timeout(time);
            tokio::spawn(async move {
                let begun = Instant::now();
                (call.into_future().await.unwrap_err(), begun.elapsed())
            })
        })
        .collect();
    for call in calls {
        let (status, took) = call.await.unwrap();
        assert_eq!(told(&status), no_service(), "{status}");
        assert!(took < time, "{took:?}");
        assert!(took > time / 2, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_no_worker_has_room_for_ends_as_not_started_before_its_deadline() {
    let broker = start(Broker::builder());
    let (endpoint, client) = (&broker.endpoints()[0], client(&broker).await);
    let service = answering(|_, _| std::future::pending());
    let worker = Worker::builder().connect(endpoint).capacity(1).serve(service);
    let worker = worker.start().unwrap();
    within(worker.connected()).await.unwrap();
    let holder = tokio::spawn(call(&client, "holds the slot").into_future());
    support::until(async || broker.stats().await.running == 1).await;
    let time = Duration::from_secs(2);
    let begun = Instant::now();
    let status = call(&client, "").timeout(time).into_future().await.unwrap_err();
    assert!(begun.elapsed() < time, "{:?}", begun.elapsed());
    assert_eq!(told(&status), late(), "{status}");
    holder.abort();
}

#[tokio::test]
async fn a_call_that_does_not_wait_is_answered_at_once() {
    let broker = start(Broker::builder().unserved_wait(Duration::from_secs(600)));
    let (endpoint, client) = (&broker.endpoints()[0], client(&broker).await);
    let never = Client::builder().connect(endpoint).no_wait();
    let never = within(never.open()).await.unwrap();
    let through = never.intercept(Through);
    for call in [call(&client, "").no_wait(), call(&never, ""), call(&through, "")] {
        let begun = Instant::now();
        let status = call.timeout(Duration::from_secs(300)).into_future();
        let status = within(status).await.unwrap_err();
        assert_eq!(told(&status), no_service(), "{status}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
    // Where there is a worker nothing is different.
    let worker = Worker::builder().connect(endpoint).serve(echo()).start().unwrap();
    within(worker.connected()).await.unwrap();
    assert_eq!(within(call(&never, "there").into_future()).await.unwrap(), "there");
}

struct Through;

impl Interceptor for Through {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        next.call(request).await
    }
}

#[tokio::test]
async fn a_call_without_any_time_is_not_sent() {
    let broker = start(Broker::builder());
    let (endpoint, client) = (&broker.endpoints()[0], client(&broker).await);
    let worker = Worker::builder().connect(endpoint).serve(echo()).start().unwrap();
    within(worker.connected()).await.unwrap();
    let passed = Instant::now() - Duration::from_secs(1);
    let without_broker = Client::builder().connect("tcp://127.0.0.1:1").open_lazy().unwrap();
    for call in [
        call(&client, "").timeout(Duration::ZERO),
        call(&client, "").deadline(passed),
        call(&without_broker, "").deadline(passed),
    ] {
        let status = within(call.into_future()).await.unwrap_err();
        assert_eq!(told(&status), late(), "{status}");
        assert!(status.message().contains("before the call was made"), "{status}");
    }
    assert_eq!(broker.stats().await.requests, 0, "something was sent");
    assert_eq!(within(call(&client, "there").into_future()).await.unwrap(), "there");
}
