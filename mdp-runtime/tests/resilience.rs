//! What goes on when something does not: blocked handlers, lost brokers, dropped handles.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::sync::mpsc;
use std::time::Duration;

use mdp_runtime::{Broker, Client, Code, DisconnectReason, Worker};
use support::{
    Raw, RawPeer, answering, broker, call, client, echo, safe_call, start, until, within, worker,
};

/// RFC 7 and RFC 18 want heartbeats whatever a worker does (known fault 4.4 of other systems).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_handler_stops_neither_heartbeats_nor_other_calls() {
    let broker = start(Broker::builder().heartbeat(Duration::from_millis(50)).liveness(2));
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let service = answering(move |_, request| {
        if request == "block" {
            // A handler that does what none should.
            let _ = blocked.lock().unwrap().recv_timeout(Duration::from_secs(20));
        }
        async move { Ok(request) }
    });
    // The handlers have a runtime of their own, so that the test's is not blocked with them.
    let handlers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let builder = Worker::builder()
        .connect(&broker.endpoints()[0])
        .heartbeat(Duration::from_millis(50))
        .liveness(2)
        .serve(service);
    let worker = handlers.block_on_elsewhere(async move { builder.start().unwrap() });
    within(worker.connected()).await.unwrap();
    let client = client(&broker).await;
    let stuck = tokio::spawn(call(&client, "block").into_future());
    until(async || broker.stats().await.running == 1).await;
    let begin = std::time::Instant::now();
    while begin.elapsed() < Duration::from_millis(600) {
        assert_eq!(within(call(&client, "free").into_future()).await.unwrap(), "free");
    }
    release.send(()).unwrap();
    assert_eq!(within(stuck).await.unwrap().unwrap(), "block");
    assert_eq!(broker.stats().await.redispatched, 0);
    drop(worker);
    handlers.shutdown_background();
}

trait Elsewhere {
    /// Runs a future on this runtime from within another one.
    fn block_on_elsewhere<T: Send>(&self, future: impl Future<Output = T> + Send) -> T;
}

impl Elsewhere for tokio::runtime::Runtime {
    fn block_on_elsewhere<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        std::thread::scope(|scope| scope.spawn(|| self.block_on(future)).join().unwrap())
    }
}

#[tokio::test]
async fn several_endpoints_are_tried_in_turn() {
    let (first, second) = (broker(), broker());
    let endpoints = [first.endpoints()[0].clone(), second.endpoints()[0].clone()];
    let mut client = Client::builder();
    let mut worker = Worker::builder();
    for endpoint in &endpoints {
        client = client.connect(endpoint);
        worker = worker.connect(endpoint);
    }
    let client = client.open().await.unwrap();
    let worker = worker.serve(echo()).start().unwrap();
    within(worker.connected()).await.unwrap();
    assert_eq!(within(call(&client, "first").into_future()).await.unwrap(), "first");
    first.shutdown(Duration::from_secs(1)).await;
    assert_eq!(within(call(&client, "second").into_future()).await.unwrap(), "second");
    assert_eq!(second.stats().await.replies, 1);
}

#[tokio::test]
async fn calls_end_though_the_handles_are_gone() {
    let broker = broker();
    let _worker = worker(
        &broker,
        answering(|_, request| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(request)
        }),
    )
    .await;
    let call = call(&client(&broker).await, "orphan");
    assert_eq!(within(call.into_future()).await.unwrap(), "orphan");
    // The last handle went with the call, and the client with it.
    until(async || broker.stats().await.sessions == 1).await;
}

#[tokio::test]
async fn a_worker_without_grace_ends_its_calls_by_name() {
    let broker = broker();
    let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let service = answering(move |_, _| {
        let _ = begun.send(());
        std::future::pending()
    });
    let worker = worker(&broker, service).await;
    let client = client(&broker).await;
    let running = tokio::spawn(call(&client, "").into_future());
    within(has_begun.recv()).await.unwrap();
    within(worker.shutdown(Duration::ZERO)).await;
    let status = within(running).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "the worker was shut down while the handler ran");
    assert_eq!(status.reason().as_deref(), Some("MAYBE_EXECUTED"));
}

#[tokio::test]
async fn tasks_of_a_handler_learn_that_nobody_waits() {
    let broker = broker();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let _worker = worker(
        &broker,
        answering(move |cx, _| {
            let told = told.clone();
            tokio::spawn(async move {
                cx.cancelled().await;
                let _ = told.send(cx.is_cancelled());
            });
            std::future::pending()
        }),
    )
    .await;
    let client = client(&broker).await;
    let call = call(&client, "").timeout(Duration::from_millis(100));
    assert_eq!(within(call.into_future()).await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(within(heard.recv()).await, Some(true));
}

#[tokio::test]
async fn a_second_worker_of_one_id_waits_until_the_first_is_gone() {
    let broker = broker();
    let first = RawPeer::worker(&broker, "only");
    let second = RawPeer::connect(&broker);
    let hello = |id: &[u8]| Raw::Hello {
        id: id.to_vec(),
        heartbeat: mdp_protocol::Span::from_secs(1),
        liveness: 3,
    };
    let ready = || Raw::Ready {
        service: support::SERVICE.name.into(),
        capacity: 1,
        shared: false,
        schema: None,
    };
    second.send(&[hello(b"only"), ready()]);
    let reason = second.receive_one(|record| match record {
        Raw::Disconnect(reason) => Some(reason),
        _ => None,
    });
    assert_eq!(reason, DisconnectReason::IdTaken);
    drop(first);
    let third =
        Worker::builder().connect(&broker.endpoints()[0]).id("only").serve(echo()).start().unwrap();
    let client = client(&broker).await;
    until(async || {
        let call = call(&client, "mine").to_worker("only").timeout(Duration::from_secs(1));
        call.await.is_ok_and(|reply| reply == "mine")
    })
    .await;
    drop(third);
}

/// A heartbeat would show it a minute later.
#[tokio::test]
async fn the_calls_of_a_worker_whose_connection_breaks_move_at_once() {
    let broker = start(Broker::builder().heartbeat(Duration::from_secs(60)));
    let first = RawPeer::worker(&broker, "first");
    let client = client(&broker).await;
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(safe_call(&client, "safe").into_future());
    calls.spawn(call(&client, "once").into_future());
    until(async || broker.stats().await.running == 2).await;
    let second = worker(&broker, echo()).await;
    drop(first);
    let mut ends = Vec::new();
    while let Some(end) = within(calls.join_next()).await {
        ends.push(end.unwrap().map_err(|status| status.reason().unwrap_or_default().to_owned()));
    }
    ends.sort();
    assert_eq!(ends, [Ok("safe".to_owned()), Err("MAYBE_EXECUTED".to_owned())]);
    drop(second);
}
