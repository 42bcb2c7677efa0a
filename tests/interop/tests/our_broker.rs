//! Peers of others, and ours of each dialect, through our broker.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_runtime::security::{CurveServer, KeyPair, PublicKey};
use mdp_runtime::{Broker, Client, Code, Dialect, Limits, RawClient, RawWorker, Worker};
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

/// A key pair as libzmq has made it: the public key, and the text of both.
fn pairs(count: usize) -> Vec<(PublicKey, String)> {
    let mut keys = Python::start("keys.py", &[&count.to_string()]);
    let pairs = (0..count).map(|_| {
        let line = keys.line();
        (line.split(' ').next().unwrap().parse().unwrap(), line)
    });
    pairs.collect()
}

/// What Python's peers with CURVE are told: the broker's key and their own pair.
fn keys_of(broker: &PublicKey, pair: &str) -> String {
    format!("{broker} {pair}")
}

/// Another test may have the port for a moment.
async fn bound_again(endpoint: &str) -> Broker {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match Broker::builder().bind(endpoint).start() {
            Ok(broker) => return broker,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn line_of(mut script: Python) -> String {
    tokio::task::spawn_blocking(move || script.line()).await.unwrap()
}

/// Bodies from nothing to the largest frame that the broker takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn their_bodies_of_all_sizes() {
    const SIZES: [usize; 14] = [
        0,
        1,
        255,
        256,
        4_095,
        8_192,
        65_535,
        65_536,
        65_537,
        1 << 20,
        (4 << 20) + 1,
        16 << 20,
        (64 << 20) - 1,
        64 << 20,
    ];
    // A body counts as one frame, with all of its frames and their lengths.
    let limits = Limits { frame_bytes: (64 << 20) + 1_024, ..Limits::default() };
    let pair = KeyPair::new().unwrap();
    let public = *pair.public();
    let theirs = pairs(2);
    let curve = CurveServer::new(pair).allow(theirs.iter().map(|(key, _)| *key));
    for curve in [None, Some(curve)] {
        let builder = Broker::builder().bind("tcp://127.0.0.1:*").limits(limits.clone());
        let keys: Vec<String> = theirs.iter().map(|(_, pair)| keys_of(&public, pair)).collect();
        let (broker, keys) = match curve {
            Some(curve) => (builder.curve(curve).start().unwrap(), keys),
            None => (builder.start().unwrap(), vec![String::new(); 2]),
        };
        let endpoint = broker.endpoints().first().unwrap().clone();
        let worker = Python::start_with("worker.py", &["0.2", &endpoint, "echo"], &keys[0]);
        let sizes: Vec<String> = SIZES.iter().map(ToString::to_string).collect();
        let mut arguments = vec![endpoint.as_str(), "echo"];
        arguments.extend(sizes.iter().map(String::as_str));
        let client = Python::start_with("sizes.py", &arguments, &keys[1]);
        assert_eq!(line_of(client).await, "end");
        assert_eq!(worker.end(), SIZES.len().to_string());
        broker.shutdown(Duration::from_secs(1)).await;
    }
}

/// libzmq's own monitor says why, as it does beside a broker of libzmq.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn their_wrong_keys() {
    let pair = KeyPair::new().unwrap();
    let public = *pair.public();
    let theirs = pairs(2);
    let curve = CurveServer::new(pair).allow([theirs[0].0]);
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").curve(curve).start().unwrap();
    let endpoint = broker.endpoints().first().unwrap().clone();
    for (pair, said) in theirs.iter().zip(["HANDSHAKE_SUCCEEDED 0", "HANDSHAKE_FAILED_AUTH 400"]) {
        let keys = keys_of(&public, &pair.1);
        let script = Python::start_with("handshake.py", &[&endpoint], &keys);
        assert_eq!(line_of(script).await, said);
    }
    broker.shutdown(Duration::from_secs(1)).await;
}

/// Their peers go on with a broker that comes in the place of another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn their_peers_come_back() {
    let (mut broker, endpoint) = broker();
    let worker = Python::start("worker.py", &["0.1", &endpoint, "echo"]);
    for round in 0..3 {
        let client = Python::start("client.py", &["0.2", &endpoint, "echo", "100"]);
        assert_eq!(line_of(client).await, "end", "round {round}");
        broker.shutdown(Duration::from_secs(1)).await;
        broker = bound_again(&endpoint).await;
    }
    let client = Python::start("client.py", &["0.1", &endpoint, "echo", "100"]);
    assert_eq!(line_of(client).await, "end");
    assert_eq!(worker.end(), "400");
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
