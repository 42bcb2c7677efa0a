//! Where handlers run, and what they may do there: block, spawn, sleep, never end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mdp_runtime::codegen::Service;
use mdp_runtime::{Broker, Status, Worker};
use support::{Echo, answering, broker, call, client, start, until, within, worker};

/// Blocks on "block" until the sender says so, or is dropped.
fn blocking() -> (mpsc::Sender<()>, Echo) {
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let service = answering(move |_, request| {
        if request == "block" {
            let _ = blocked.lock().unwrap().recv_timeout(Duration::from_secs(20));
        }
        async move { Ok(request) }
    });
    (release, service)
}

/// A worker on a runtime of its own with four threads: a thread that is blocked may hold a task that no
/// other can take from it, and the client's must not be that one.
async fn elsewhere(broker: &Broker, service: impl Service) -> (tokio::runtime::Runtime, Worker) {
    let threads = 4;
    let handlers =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let handlers = handlers.unwrap();
    let builder = Worker::builder().connect(&broker.endpoints()[0]).serve(service);
    let start = || handlers.block_on(async move { builder.start().unwrap() });
    let worker = thread::scope(|scope| scope.spawn(start).join().unwrap());
    within(worker.connected()).await.unwrap();
    (handlers, worker)
}

#[tokio::test]
async fn one_blocked_handler_after_another_stops_nobody_else() {
    let broker = start(Broker::builder().heartbeat(Duration::from_millis(50)).liveness(4));
    let (release, service) = blocking();
    let (handlers, worker) = elsewhere(&broker, service).await;
    let client = client(&broker).await;
    let mut stuck = Vec::new();
    for count in 1..=3 {
        stuck.push(tokio::spawn(call(&client, "block").into_future()));
        until(async || broker.stats().await.running == count).await;
        // Longer than the broker waits for a sign of life.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(400) {
            assert_eq!(within(call(&client, "free").into_future()).await.unwrap(), "free");
        }
    }
    for _ in &stuck {
        release.send(()).unwrap();
    }
    for stuck in stuck {
        assert_eq!(within(stuck).await.unwrap().unwrap(), "block");
    }
    assert_eq!(broker.stats().await.redispatched, 0);
    // Whoever had to wait drives again, or is the standby thread.
    for _ in 0..100 {
        assert_eq!(within(call(&client, "free").into_future()).await.unwrap(), "free");
    }
    drop(worker);
    handlers.shutdown_background();
}

/// They were to be polled on the same thread, behind the one that blocks.
#[tokio::test]
async fn calls_that_came_in_one_packet_with_one_that_blocks_are_answered() {
    let broker = broker();
    let (release, service) = blocking();
    let (handlers, worker) = elsewhere(&broker, service).await;
    let client = client(&broker).await;
    for _ in 0..3 {
        let stuck = tokio::spawn(call(&client, "block").into_future());
        // Made in the same turn of the client's task.
        let free: Vec<_> =
            (0..20).map(|_| tokio::spawn(call(&client, "free").into_future())).collect();
        for free in free {
            assert_eq!(within(free).await.unwrap().unwrap(), "free");
        }
        release.send(()).unwrap();
        assert_eq!(within(stuck).await.unwrap().unwrap(), "block");
    }
    drop(worker);
    handlers.shutdown_background();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_is_within_the_runtime_that_its_worker_was_started_on() {
    let broker = broker();
    let main = thread::current().id();
    let service = answering(move |_, request| async move {
        let spawned = tokio::spawn(async { thread::current().id() }).await.unwrap();
        let blocking = tokio::task::spawn_blocking(|| 1 + 1).await.unwrap();
        tokio::task::block_in_place(|| thread::sleep(Duration::from_millis(1)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        match (spawned == main, blocking) {
            (false, 2) => Ok(request),
            _ => Err(Status::internal("not on the runtime")),
        }
    });
    let _worker = worker(&broker, service).await;
    let client = client(&broker).await;
    for _ in 0..20 {
        assert_eq!(within(call(&client, "within").into_future()).await.unwrap(), "within");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_poll_may_block_in_place() {
    let broker = broker();
    let service = answering(|_, request| async move {
        Ok(tokio::task::block_in_place(|| request.to_uppercase()))
    });
    let _worker = worker(&broker, service).await;
    let client = client(&broker).await;
    for _ in 0..20 {
        assert_eq!(within(call(&client, "in place").into_future()).await.unwrap(), "IN PLACE");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_can_be_dropped_under_a_handler_that_blocks() {
    let broker = broker();
    let (release, service) = blocking();
    let worker = worker(&broker, service).await;
    let client = client(&broker).await;
    let stuck = tokio::spawn(call(&client, "block").into_future());
    until(async || broker.stats().await.running == 1).await;
    let begin = Instant::now();
    within(tokio::task::spawn_blocking(move || drop(worker))).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(within(stuck).await.unwrap().is_err());
    drop(release);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_compute_share_the_threads_of_the_runtime() {
    let broker = broker();
    let threads = Arc::new(Mutex::new(std::collections::HashSet::new()));
    let service = answering({
        let threads = Arc::clone(&threads);
        move |_, request| {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            threads.lock().unwrap().insert(thread::current().id());
            async move { Ok(request) }
        }
    });
    let _worker = worker(&broker, service).await;
    let client = client(&broker).await;
    // The first ones are polled where the socket is, until it is known how long they take.
    until(async || {
        let calls: Vec<_> =
            (0..16).map(|_| tokio::spawn(call(&client, "compute").into_future())).collect();
        for call in calls {
            within(call).await.unwrap().unwrap();
        }
        threads.lock().unwrap().len() >= 3
    })
    .await;
}
