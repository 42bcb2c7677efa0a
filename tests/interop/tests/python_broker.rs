//! Our typed and raw peers through a broker of others, with peers of others.

#![allow(clippy::unwrap_used)] // tests

use std::time::Duration;

use bytes::Bytes;
use mdp_runtime::{Client, Code, Dialect, RawClient, RawWorker, Worker};
use test_interop::{CALLS, EchoClient, EchoWorker, Parrot, Python, Words};

const DIALECTS: [(Dialect, &str); 2] = [(Dialect::Mdp01, "0.1"), (Dialect::Mdp02, "0.2")];

fn broker() -> (Python, String) {
    let mut broker = Python::start("broker.py", &[]);
    let endpoint = broker.line();
    (broker, endpoint)
}

fn words(text: impl ToString) -> Words {
    Words { text: text.to_string() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn typed_calls() {
    for (dialect, _) in DIALECTS {
        let (broker, endpoint) = broker();
        let worker = Worker::builder().dialect(dialect).connect(&endpoint).capacity(4);
        let worker = worker.serve(EchoWorker::new(Parrot)).start().unwrap();
        let client = Client::builder().dialect(dialect).connect(&endpoint).open().await.unwrap();
        let echo = EchoClient::new(client.clone());
        let mut callers = Vec::new();
        for caller in 0..10 {
            let echo = echo.clone();
            callers.push(tokio::spawn(async move {
                for number in 0..CALLS / 10 {
                    let said = words(caller * CALLS + number);
                    assert_eq!(echo.same(said.clone()).await.unwrap(), said);
                }
            }));
        }
        for caller in callers {
            caller.await.unwrap();
        }
        let status = echo.same(words("")).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "say something"));
        match dialect {
            Dialect::Mdp02 => {
                let mut letters = echo.letters(words("abc")).await.unwrap();
                for letter in ["a", "b", "c"] {
                    assert_eq!(letters.message().await.unwrap(), Some(words(letter)));
                }
                assert_eq!(letters.message().await.unwrap(), None);
            }
            _ => {
                let status = echo.letters(words("abc")).await.unwrap_err();
                assert_eq!(status.code(), Code::Unimplemented);
            }
        }
        client.shutdown(Duration::from_secs(1)).await;
        worker.shutdown(Duration::from_secs(1)).await;
        assert_eq!(broker.end(), "end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn raw_client_and_their_worker() {
    for (dialect, name) in DIALECTS {
        let (broker, endpoint) = broker();
        let theirs = Python::start("worker.py", &[name, &endpoint, "echo"]);
        let client = RawClient::builder().dialect(dialect).connect(&endpoint);
        let client = client.timeout(Duration::from_secs(60)).open().unwrap();
        for number in 0..CALLS {
            let body = vec![Bytes::from(number.to_string()), Bytes::from(vec![7; number % 3_000])];
            assert_eq!(client.send("echo", body.clone()).await.unwrap(), body);
        }
        client.shutdown(Duration::from_secs(1)).await;
        assert_eq!(theirs.end(), CALLS.to_string());
        assert_eq!(broker.end(), "end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn raw_worker_and_their_client() {
    for (dialect, name) in DIALECTS {
        for (_, asks) in DIALECTS {
            let (broker, endpoint) = broker();
            let worker = RawWorker::builder("echo").dialect(dialect).connect(&endpoint);
            let mut worker = worker.start().unwrap();
            let calls = CALLS.to_string();
            let mut theirs = Python::start("client.py", &[asks, &endpoint, "echo", &calls]);
            let said = tokio::task::spawn_blocking(move || (theirs.line(), theirs));
            for _ in 0..CALLS {
                let (frames, replier) = worker.recv().await.unwrap();
                replier.finish(frames).unwrap();
            }
            let (said, theirs) = said.await.unwrap();
            assert_eq!(said, "end", "{asks} with {name}");
            theirs.end();
            worker.shutdown(Duration::from_secs(1)).await;
            assert_eq!(broker.end(), "end");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn partial_replies_both_ways() {
    let (broker, endpoint) = broker();
    let theirs = Python::start("worker.py", &["0.2", &endpoint, "theirs", "5"]);
    let client = RawClient::builder().connect(&endpoint).timeout(Duration::from_secs(60));
    let client = client.open().unwrap();
    for _ in 0..CALLS / 10 {
        let mut pending = client.request("theirs", vec![Bytes::from("last")]);
        for number in 0..5 {
            let reply = pending.next().await.unwrap().unwrap();
            assert_eq!((reply.frames, reply.last), (vec![Bytes::from(number.to_string())], false));
        }
        assert_eq!(pending.last().await.unwrap(), ["last"]);
    }
    theirs.end();

    let mut worker = RawWorker::builder("ours").connect(&endpoint).start().unwrap();
    let calls = (CALLS / 10).to_string();
    let mut asking = Python::start("client.py", &["0.2", &endpoint, "ours", &calls, "5"]);
    let said = tokio::task::spawn_blocking(move || asking.line());
    for _ in 0..CALLS / 10 {
        let (frames, replier) = worker.recv().await.unwrap();
        for number in 0..5 {
            replier.partial(vec![Bytes::from(number.to_string())]).await.unwrap();
        }
        replier.finish(frames).unwrap();
    }
    assert_eq!(said.await.unwrap(), "end");
    worker.shutdown(Duration::from_secs(1)).await;
    assert_eq!(broker.end(), "end");
}
