//! The cases that RPC systems are compared by, under their common names and with the published sizes,
//! and this project's own, as far as calls of one request and one reply go.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../support/process.rs"]
mod process;
#[path = "../src/service.rs"]
mod service;

use std::process::Command;
use std::time::Duration;

use mdp_runtime::{Broker, Client, Code, Worker};
use pb::test_client::TestClient;
use pb::test_worker::TestWorker;
use pb::unimplemented_client::UnimplementedClient;
use pb::{EchoStatus, Empty, Payload, SimpleRequest, SleepRequest};
use process::Process;
use service::{ECHOED, Tested};

#[allow(missing_docs, unreachable_pub, dead_code)] // generated
mod pb {
    mdp_runtime::include_proto!("mdp.testing.v1");
}

/// As a newer client knows the service.
#[allow(missing_docs, unreachable_pub, dead_code)] // generated
mod newer {
    include!(concat!(env!("OUT_DIR"), "/newer/mdp.testing.v1.rs"));
}

/// A broker, one worker with one slot, and a client, over tcp.
struct Bench {
    broker: Broker,
    _worker: Worker,
    client: Client,
    test: TestClient,
}

async fn bench() -> Bench {
    let (broker, client) = without_worker().await;
    let tested = TestWorker::new(Tested::new());
    let endpoint = &broker.endpoints()[0];
    let worker = Worker::builder().connect(endpoint).capacity(1).serve(tested).start().unwrap();
    worker.connected().await.unwrap();
    Bench { broker, _worker: worker, test: TestClient::new(client.clone()), client }
}

async fn without_worker() -> (Broker, Client) {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let client = Client::connect(&broker.endpoints()[0]).await.unwrap();
    (broker, client)
}

async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), met).await.unwrap();
}

fn asleep(ms: u32) -> SleepRequest {
    SleepRequest { ms }
}

#[tokio::test]
async fn empty_unary() {
    assert_eq!(bench().await.test.empty_call(Empty {}).await.unwrap(), Empty {});
}

#[tokio::test]
async fn large_unary() {
    let request = SimpleRequest {
        response_size: 314_159,
        payload: Some(Payload { body: vec![0; 271_828] }),
        ..SimpleRequest::default()
    };
    let reply = bench().await.test.unary_call(request).await.unwrap();
    assert_eq!(reply.payload.unwrap().body, vec![0; 314_159]);
}

#[tokio::test]
async fn custom_metadata() {
    let [text, binary] = ECHOED;
    let reply = bench()
        .await
        .test
        .unary_call(SimpleRequest { response_size: 1, ..SimpleRequest::default() })
        .metadata(text, "test_initial_metadata_value")
        .metadata(binary, vec![0xab, 0xab, 0xab])
        .send()
        .await
        .unwrap();
    assert_eq!(reply.metadata().get_str(text), Some("test_initial_metadata_value"));
    assert_eq!(reply.metadata().get(binary).unwrap().as_ref(), [0xab, 0xab, 0xab]);
}

async fn status_comes_back(code: i32, message: &str) {
    let response_status = Some(EchoStatus { code, message: message.into() });
    let request = SimpleRequest { response_status, ..SimpleRequest::default() };
    let status = bench().await.test.unary_call(request).await.unwrap_err();
    assert_eq!((status.code().as_u32(), status.message()), (code as u32, message));
}

#[tokio::test]
async fn status_code_and_message() {
    status_comes_back(2, "test status message").await;
}

#[tokio::test]
async fn special_status_message() {
    let message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
    status_comes_back(2, message).await;
}

#[tokio::test]
async fn unimplemented_method() {
    let bench = bench().await;
    let newer = newer::test_client::TestClient::new(bench.client.clone());
    let status = newer.unimplemented_call(newer::Empty {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(status.method(), Some("mdp.testing.v1.Test/UnimplementedCall"));
}

/// Behind a broker a service that nobody serves may have workers in a moment: the call waits for one,
/// unless told not to, and ends as UNAVAILABLE.
#[tokio::test]
async fn unimplemented_service() {
    let broker =
        Broker::builder().bind("tcp://127.0.0.1:*").wait_for_worker(false).start().unwrap();
    let client = Client::connect(&broker.endpoints()[0]).await.unwrap();
    let nobody = UnimplementedClient::new(client);
    let status = nobody.unimplemented_call(Empty {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.reason().as_deref(), Some("NO_SERVICE"));
    assert!(status.not_started());
}

#[tokio::test]
async fn timeout_on_sleeping_server() {
    let bench = bench().await;
    let call = bench.test.sleep(asleep(60_000)).timeout(Duration::from_millis(20));
    assert_eq!(call.await.unwrap_err().code(), Code::DeadlineExceeded);
    // The handler does not sleep on: its slot is free.
    bench.test.empty_call(Empty {}).await.unwrap();
}

/// The published case is one of streams, in `streams.rs`.
#[tokio::test]
async fn cancel_after_begin_of_a_unary_call() {
    let bench = bench().await;
    let call = tokio::spawn(bench.test.sleep(asleep(60_000)).into_future());
    until(async || bench.broker.stats().await.running == 1).await;
    call.abort();
    bench.test.empty_call(Empty {}).await.unwrap();
    assert_eq!(bench.broker.stats().await.cancelled, 1);
}

#[tokio::test]
async fn cancel_while_queued() {
    let bench = bench().await;
    let running = tokio::spawn(bench.test.sleep(asleep(60_000)).into_future());
    until(async || bench.broker.stats().await.running == 1).await;
    let queued = tokio::spawn(bench.test.empty_call(Empty {}).into_future());
    until(async || bench.broker.stats().await.queued == 1).await;
    queued.abort();
    until(async || bench.broker.stats().await.queued == 0).await;
    assert_eq!(bench.broker.stats().await.dispatched, 1);
    running.abort();
}

#[tokio::test]
async fn expired_in_queue() {
    let bench = bench().await;
    let running = tokio::spawn(bench.test.sleep(asleep(60_000)).into_future());
    until(async || bench.broker.stats().await.running == 1).await;
    let call = bench.test.empty_call(Empty {}).timeout(Duration::from_millis(50));
    let status = call.await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    until(async || bench.broker.stats().await.queued == 0).await;
    assert_eq!(bench.broker.stats().await.dispatched, 1, "it was never started");
    running.abort();
}

#[tokio::test]
async fn deferred_after_handler_returned() {
    bench().await.test.later(Empty {}).await.unwrap();
}

fn worker(broker: &Broker) -> Process {
    let endpoint = &broker.endpoints()[0];
    let mut worker = Process::start(Command::new(env!("CARGO_BIN_EXE_cases-worker")).arg(endpoint));
    worker.line("ready");
    worker
}

/// What may run twice moves to the other worker; the rest ends and says that it may have run.
#[tokio::test]
async fn worker_dies_in_flight() {
    let (broker, client) = without_worker().await;
    let test = TestClient::new(client);
    let mut first = worker(&broker);
    let once =
        tokio::spawn(test.sleep(asleep(60_000)).timeout(Duration::from_secs(50)).into_future());
    until(async || broker.stats().await.running == 1).await;
    let second = worker(&broker);
    first.kill();
    let status = once.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.reason().as_deref(), Some("MAYBE_EXECUTED"));
    drop(second);

    let mut first = worker(&broker);
    let again = tokio::spawn(test.sleep_again(asleep(300)).timeout(Duration::from_secs(50)).send());
    until(async || broker.stats().await.running == 1).await;
    let second = worker(&broker);
    first.kill();
    let reply = again.await.unwrap().unwrap();
    assert_eq!((reply.message().process, reply.attempts()), (second.id(), 2));
}

#[tokio::test]
async fn worker_dies_while_queued() {
    let (broker, client) = without_worker().await;
    let test = TestClient::new(client);
    let mut first = worker(&broker);
    let long = Duration::from_secs(50);
    let running = tokio::spawn(test.sleep(asleep(60_000)).timeout(long).into_future());
    until(async || broker.stats().await.running == 1).await;
    let queued = tokio::spawn(test.empty_call(Empty {}).timeout(long).into_future());
    until(async || broker.stats().await.queued == 1).await;
    first.kill();
    assert_eq!(running.await.unwrap().unwrap_err().code(), Code::Unavailable);
    // No handler has seen it, so it waits for the next worker.
    let _second = worker(&broker);
    queued.await.unwrap().unwrap();
}
