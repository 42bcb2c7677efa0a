//! Peers of others, and ours of each dialect, through our broker.

#![allow(clippy::unwrap_used)] // tests

use std::time::Duration;

use bytes::Bytes;
use mdp_runtime::{Broker, Client, Code, Dialect, RawClient, RawWorker, Worker};
use test_interop::{CALLS, EchoClient, EchoWorker, Parrot, Python, Words};

const NAMES: [&str; 2] = ["0.1", "0.2"];
const ALL: [Dialect; 3] = [Dialect::Rpc, Dialect::Mdp01, Dialect::Mdp02];

fn broker() -> (Broker, String) {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let endpoint = broker.endpoints().first().unwrap().clone();
    (broker, endpoint)
}

fn words(text: impl ToString) -> Words {
    Words { text: text.to_string() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn their_clients_and_workers() {
    for works in NAMES {
        for asks in NAMES {
            let (broker, endpoint) = broker();
            let worker = Python::start("worker.py", &[works, &endpoint, "echo"]);
            let calls = CALLS.to_string();
            let mut client = Python::start("client.py", &[asks, &endpoint, "echo", &calls]);
            let said = tokio::task::spawn_blocking(move || client.line());
            assert_eq!(said.await.unwrap(), "end", "{asks} with {works}");
            assert_eq!(worker.end(), calls, "{asks} with {works}");
            broker.shutdown(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn their_partial_replies() {
    let (broker, endpoint) = broker();
    let worker = Python::start("worker.py", &["0.2", &endpoint, "echo", "5"]);
    let calls = (CALLS / 10).to_string();
    let mut client = Python::start("client.py", &["0.2", &endpoint, "echo", &calls, "5"]);
    let said = tokio::task::spawn_blocking(move || client.line());
    assert_eq!(said.await.unwrap(), "end");
    // A client of RFC 7 gets the last one only.
    let mut client = Python::start("client.py", &["0.1", &endpoint, "echo", "100"]);
    let said = tokio::task::spawn_blocking(move || client.line());
    assert_eq!(said.await.unwrap(), "end");
    worker.end();
    broker.shutdown(Duration::from_secs(1)).await;
}

/// A client that knows nothing of us but the address reads what our workers serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the packages pyzmq and protobuf; .ci/python has it"]
async fn their_clients_read_our_schemas() {
    let (broker, endpoint) = broker();
    let worker = Worker::builder().connect(&endpoint).serve(EchoWorker::new(Parrot));
    let worker = worker.start().unwrap();
    worker.connected().await.unwrap();
    for asks in NAMES {
        let mut client = Python::start("schema.py", &[asks, &endpoint, "interop.v1.Echo"]);
        let said = tokio::task::spawn_blocking(move || (client.line(), client.line()));
        let (method, _) = said.await.unwrap();
        assert_eq!(method, "Same interop.v1.Words interop.v1.Words", "{asks}");
    }
    worker.shutdown(Duration::ZERO).await;
    broker.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_calls_between_all_dialects() {
    for works in ALL {
        let (broker, endpoint) = broker();
        let worker = Worker::builder().dialect(works).connect(&endpoint).capacity(4);
        let worker = worker.serve(EchoWorker::new(Parrot)).start().unwrap();
        for asks in ALL {
            let client = Client::builder().dialect(asks).connect(&endpoint).open().await.unwrap();
            let echo = EchoClient::new(client.clone());
            let mut callers = Vec::new();
            for caller in 0..10 {
                let echo = echo.clone();
                callers.push(tokio::spawn(async move {
                    for number in 0..100 {
                        let said = words(caller * 1_000 + number);
                        assert_eq!(echo.same(said.clone()).await.unwrap(), said);
                    }
                }));
            }
            for caller in callers {
                caller.await.unwrap();
            }
            let status = echo.same(words("")).await.unwrap_err();
            let expected = (Code::InvalidArgument, "say something");
            assert_eq!((status.code(), status.message()), expected, "{asks:?} with {works:?}");

            let letters = echo.letters(words("abc")).await;
            if asks == Dialect::Mdp01 || works == Dialect::Mdp01 {
                let status = letters.unwrap_err();
                assert_eq!(status.code(), Code::Unimplemented, "{asks:?} with {works:?}: {status}");
            } else {
                let mut letters = letters.unwrap();
                for letter in ["a", "b", "c"] {
                    let came = letters.message().await.unwrap();
                    assert_eq!(came, Some(words(letter)), "{asks:?} with {works:?}");
                }
                assert_eq!(letters.message().await.unwrap(), None);
            }
            client.shutdown(Duration::from_secs(1)).await;
        }
        worker.shutdown(Duration::from_secs(1)).await;
        broker.shutdown(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_requests_between_both_dialects() {
    for works in [Dialect::Mdp01, Dialect::Mdp02] {
        let (broker, endpoint) = broker();
        let worker = RawWorker::builder("echo").dialect(works).connect(&endpoint).capacity(2);
        let mut worker = worker.start().unwrap();
        tokio::spawn(async move {
            while let Some((frames, replier)) = worker.recv().await {
                replier.finish(frames).unwrap();
            }
        });
        for asks in [Dialect::Mdp01, Dialect::Mdp02] {
            let client = RawClient::builder().dialect(asks).connect(&endpoint).open().unwrap();
            for number in 0..1_000 {
                let body = vec![Bytes::from(number.to_string()), Bytes::new()];
                assert_eq!(client.send("echo", body.clone()).await.unwrap(), body);
            }
            // RFC 8.
            let known = client.send("mmi.service", vec![Bytes::from("echo")]).await.unwrap();
            assert_eq!(known, ["200"]);
            let unknown = client.send("mmi.service", vec![Bytes::from("nobody")]).await.unwrap();
            assert_eq!(unknown, ["404"]);
        }
        broker.shutdown(Duration::from_secs(1)).await;
    }
}
