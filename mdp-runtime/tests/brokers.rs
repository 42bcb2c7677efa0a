//! Clients and workers with several brokers: calls go to all of them, go on when one is lost, and a worker never runs more
//! than it has slots for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // tests

mod support;

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mdp_runtime::codegen::{CallKind, MethodSpec};
use mdp_runtime::{
    Broker, Call, Client, Code, ConnectError, ConnectionState, Dialect, ServeError, Worker,
};
use support::{answering, call, echo, safe_call, until, within};

fn broker(endpoint: &str) -> Broker {
    Broker::builder().bind(endpoint).start().unwrap()
}

/// Brokers on ports that the system chooses, and their endpoints.
fn brokers(count: usize) -> (Vec<Broker>, Vec<String>) {
    let brokers: Vec<Broker> = (0..count).map(|_| broker("tcp://127.0.0.1:*")).collect();
    let endpoints = brokers.iter().map(|broker| broker.endpoints()[0].clone()).collect();
    (brokers, endpoints)
}

/// How many workers take calls at a broker.
async fn workers(broker: &Broker) -> usize {
    let report = broker.monitor().report().await.expect("a broker that runs");
    report.services.iter().map(|line| line.workers).sum()
}

async fn wait_for_workers(brokers: &[Broker], count: usize) {
    for broker in brokers {
        until(|| async { workers(broker).await == count }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_to_all_brokers() {
    let (brokers, endpoints) = brokers(3);
    let _worker = Worker::builder().brokers(&endpoints).serve(echo()).start().unwrap();
    wait_for_workers(&brokers, 1).await;
    let client = within(Client::builder().brokers(&endpoints).open()).await.unwrap();
    for number in 0..300 {
        let reply = within(call(&client, &number.to_string()).into_future()).await.unwrap();
        assert_eq!(reply, number.to_string());
    }
    for broker in &brokers {
        let replies = broker.stats().await.replies;
        assert!(replies > 30, "one of three brokers had {replies} of 300 calls");
    }
}

/// The case that one session at a time fails at: a broker comes back, workers are started anew, and clients stay elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_killed_and_comes_back_and_calls_go_on() {
    let (mut brokers, endpoints) = brokers(2);
    let worker = || Worker::builder().brokers(&endpoints).serve(echo()).start().unwrap();
    let mut workers = [worker(), worker()];
    wait_for_workers(&brokers, 2).await;
    let client = within(Client::builder().brokers(&endpoints).open()).await.unwrap();
    let ask = async |note: &str| {
        for number in 0..40 {
            let call = safe_call(&client, &number.to_string());
            let reply = within(call.timeout(Duration::from_secs(10)).into_future()).await;
            assert_eq!(
                reply.unwrap_or_else(|status| panic!("{note}: {status}")),
                number.to_string()
            );
        }
    };
    ask("both").await;
    for lost in [0, 1] {
        drop(brokers.remove(lost));
        ask("one of two").await;
        brokers.insert(lost, broker(&endpoints[lost]));
        ask("it is back").await;
        for place in &mut workers {
            *place = worker();
        }
        wait_for_workers(&brokers, 2).await;
        ask("other workers").await;
    }
}

/// A call of a service that nobody offers.
fn nobody(client: &Client) -> Call<String> {
    static METHOD: MethodSpec = MethodSpec::new("test.v1.Nobody/Call", CallKind::Unary);
    Call::new(client, &METHOD, &String::new())
}

/// A broker without a worker hands on; only when all have none does a call end for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_only_one_broker_has_is_found() {
    let (brokers, endpoints) = brokers(3);
    let _worker = Worker::builder().connect(&endpoints[2]).serve(echo()).start().unwrap();
    wait_for_workers(&brokers[2..], 1).await;
    let client = within(Client::builder().brokers(&endpoints).open()).await.unwrap();
    until(|| async {
        let mut sessions = 0;
        for broker in &brokers {
            sessions += broker.stats().await.sessions;
        }
        sessions == 4
    })
    .await;
    for number in 0..100 {
        let reply = within(call(&client, &number.to_string()).into_future()).await.unwrap();
        assert_eq!(reply, number.to_string());
    }
    let status = within(nobody(&client).no_wait().into_future()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.reason().as_deref()),
        (Code::Unavailable, Some("NO_SERVICE"))
    );
    assert!(status.not_started());
}

/// Two brokers with more calls than the worker has slots: it never runs more at once, and both are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_has_its_slots_once() {
    const SLOTS: usize = 3;
    let (brokers, endpoints) = brokers(2);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, highest) = (Arc::clone(&now), Arc::clone(&most));
    let service = answering(move |_, request| {
        let (now, most) = (Arc::clone(&running), Arc::clone(&highest));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(3)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(request)
        }
    });
    let worker = Worker::builder().brokers(&endpoints).capacity(SLOTS as u32).serve(service);
    let _worker = worker.start().unwrap();
    wait_for_workers(&brokers, 1).await;
    // One client at each broker, so that both have calls that wait.
    let mut calls = Vec::new();
    for endpoint in &endpoints {
        let client = within(Client::connect(endpoint)).await.unwrap();
        for number in 0..100 {
            calls.push(tokio::spawn(call(&client, &number.to_string()).into_future()));
        }
    }
    let begun = Instant::now();
    for call in calls {
        within(call).await.unwrap().unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), SLOTS, "at once, after {:?}", begun.elapsed());
    // And one broker alone can have them all.
    most.store(0, Ordering::SeqCst);
    let client = within(Client::connect(&endpoints[1])).await.unwrap();
    let calls: Vec<_> = (0..60).map(|_| tokio::spawn(call(&client, "x").into_future())).collect();
    for call in calls {
        within(call).await.unwrap().unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), SLOTS);
}

/// A worker that is told to stop leaves all brokers; a broker that ends leaves the others alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_one_by_one_and_together() {
    let (mut brokers, endpoints) = brokers(2);
    let worker = Worker::builder().brokers(&endpoints).serve(echo()).start().unwrap();
    assert!(within(worker.connected()).await.is_some());
    wait_for_workers(&brokers, 1).await;
    let client = within(Client::builder().brokers(&endpoints).open()).await.unwrap();
    within(brokers.remove(0).shutdown(Duration::from_secs(1))).await;
    assert_eq!(within(call(&client, "on").into_future()).await.unwrap(), "on");
    assert!(matches!(*worker.state().borrow(), ConnectionState::Connected { .. }));
    within(worker.shutdown(Duration::from_secs(1))).await;
    wait_for_workers(&brokers, 0).await;
    within(client.shutdown(Duration::from_secs(1))).await;
    assert_eq!(*client.state().borrow(), ConnectionState::Closed);
    let status = within(call(&client, "").into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::Cancelled);
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let many = || (0..65).map(|port| format!("tcp://127.0.0.1:{}", 20_000 + port));
    let error = Client::builder().brokers(many()).open_lazy().unwrap_err();
    assert!(matches!(error, ConnectError::Brokers { brokers: 65 }), "{error}");
    let error = Client::builder()
        .dialect(Dialect::Mdp02)
        .brokers(["tcp://127.0.0.1:20000"])
        .open_lazy()
        .unwrap_err();
    assert!(matches!(error, ConnectError::Brokers { brokers: 1 }), "{error}");
    let error = Worker::builder().brokers(many()).serve(echo()).start().unwrap_err();
    assert!(matches!(error, ServeError::Brokers { brokers: 65 }), "{error}");
}
