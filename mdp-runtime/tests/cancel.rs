//! Calls that are given up: at the broker, at the worker, and before they are sent.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mdp_runtime::{Broker, Client, Worker};
use support::{answering, broker, call, client, until, within, worker};

/// Counts the handlers that are at work.
struct AtWork(Arc<AtomicUsize>);

impl AtWork {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        AtWork(Arc::clone(count))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A worker with one slot whose handlers never end, how many of them there are, and a client.
async fn endless(broker: &Broker) -> (Worker, Arc<AtomicUsize>, Client) {
    let at_work = Arc::new(AtomicUsize::new(0));
    let service = answering({
        let at_work = Arc::clone(&at_work);
        move |_, request| {
            let here = AtWork::new(&at_work);
            async move {
                if request == "quick" {
                    return Ok(request);
                }
                std::future::pending::<()>().await;
                drop(here);
                Ok(request)
            }
        }
    });
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(1).serve(service);
    let worker = worker.start().unwrap();
    within(worker.connected()).await.unwrap();
    (worker, at_work, client(broker).await)
}

#[tokio::test]
async fn a_dropped_future_stops_the_handler_and_frees_its_slot() {
    let broker = broker();
    let (_worker, at_work, client) = endless(&broker).await;
    let running = tokio::spawn(call(&client, "endless").into_future());
    until(async || at_work.load(Ordering::SeqCst) == 1).await;
    running.abort();
    // Its one slot is free again.
    assert_eq!(within(call(&client, "quick").into_future()).await.unwrap(), "quick");
    until(async || at_work.load(Ordering::SeqCst) == 0).await;
    let stats = broker.stats().await;
    assert_eq!((stats.cancelled, stats.running, stats.queued), (1, 0, 0));
}

#[tokio::test]
async fn a_call_that_waits_in_the_broker_vanishes() {
    let broker = broker();
    let (_worker, at_work, client) = endless(&broker).await;
    let running = tokio::spawn(call(&client, "endless").into_future());
    until(async || at_work.load(Ordering::SeqCst) == 1).await;
    let waiting = tokio::spawn(call(&client, "endless").into_future());
    until(async || broker.stats().await.queued == 1).await;
    waiting.abort();
    until(async || broker.stats().await.queued == 0).await;
    assert_eq!(at_work.load(Ordering::SeqCst), 1);
    assert_eq!(broker.stats().await.dispatched, 1);
    running.abort();
    until(async || at_work.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_timeout_around_the_future_is_a_cancellation() {
    let broker = broker();
    let (_worker, at_work, client) = endless(&broker).await;
    let short = Duration::from_millis(50);
    assert!(tokio::time::timeout(short, call(&client, "endless").into_future()).await.is_err());
    until(async || at_work.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_client_that_vanishes_takes_its_handlers_along() {
    let broker = broker();
    let (_worker, at_work, client) = endless(&broker).await;
    let running = tokio::spawn(call(&client, "endless").into_future());
    until(async || at_work.load(Ordering::SeqCst) == 1).await;
    within(client.shutdown(Duration::ZERO)).await;
    assert!(within(running).await.unwrap().is_err());
    until(async || at_work.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn calls_given_up_before_they_are_sent_are_never_sent() {
    let broker = broker();
    let _worker = worker(&broker, support::echo()).await;
    let client = client(&broker).await;
    for _ in 0..100 {
        // Polled once, so that the client's task is told of it, and dropped before that runs.
        let mut given_up = call(&client, "never").into_future();
        let polled = std::pin::pin!(&mut given_up)
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(polled.is_pending());
        drop(given_up);
    }
    assert_eq!(within(call(&client, "sent").into_future()).await.unwrap(), "sent");
    assert_eq!(broker.stats().await.requests, 1);
}

/// The tables of all three are empty afterwards, and no handler is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_given_up_at_any_moment_leave_nothing() {
    // An optimised build makes a hundred thousand in the time.
    const CALLS: usize = if cfg!(debug_assertions) { 30_000 } else { 100_000 };
    const USERS: usize = 100;
    let broker = broker();
    let at_work = Arc::new(AtomicUsize::new(0));
    let service = answering({
        let at_work = Arc::clone(&at_work);
        move |_, request| {
            let here = AtWork::new(&at_work);
            async move {
                let wait = request.len() as u64 % 3;
                if wait > 0 {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                drop(here);
                Ok(request)
            }
        }
    });
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(64).serve(service);
    let worker = worker.start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = client(&broker).await;
    let users = (0..USERS).map(|user: usize| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut random = user as u64 + 1;
            let (mut replies, mut given_up) = (0_usize, 0_usize);
            // About what a call takes on this machine: half of them are given up.
            let mut max_patience = 20_000;
            for _ in 0..CALLS / USERS {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let patience = Duration::from_micros((random >> 33) % max_patience);
                let text = "x".repeat((random >> 40) as usize % 7);
                match tokio::time::timeout(patience, call(&client, &text).into_future()).await {
                    Ok(reply) => {
                        assert_eq!(reply.unwrap(), text);
                        replies += 1;
                        max_patience -= max_patience / 16;
                    }
                    Err(_) => {
                        given_up += 1;
                        max_patience += max_patience / 16 + 20;
                    }
                }
            }
            (replies, given_up)
        })
    });
    let (mut replies, mut given_up) = (0, 0);
    for user in users.collect::<Vec<_>>() {
        let (some, others) =
            tokio::time::timeout(Duration::from_secs(120), user).await.unwrap().unwrap();
        replies += some;
        given_up += others;
    }
    println!("{replies} replies, {given_up} given up");
    assert_eq!(replies + given_up, CALLS);
    assert!(replies > CALLS / 10 && given_up > CALLS / 10);
    until(async || {
        let stats = broker.stats().await;
        stats.running == 0 && stats.queued == 0 && stats.held_bytes == 0
    })
    .await;
    until(async || at_work.load(Ordering::SeqCst) == 0).await;
    // Every slot of the worker is free.
    let last = (0..64).map(|_| tokio::spawn(call(&client, "").into_future()));
    for last in last.collect::<Vec<_>>() {
        within(last).await.unwrap().unwrap();
    }
    assert_eq!(broker.stats().await.invalid, 0);
}
