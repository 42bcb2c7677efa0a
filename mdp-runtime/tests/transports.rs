//! Peers of both transports reach each other.

#![cfg(feature = "zmq")]
// A test may end at the first wrong assumption.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use mdp_runtime::security::{AllowList, CurveClient, CurveServer, KeyPair};
use mdp_runtime::{
    BindError, Broker, Client, ConnectionState, Context, Dialect, RawClient, RawWorker, Transport,
    Worker,
};
use support::{call, echo, within};

const BOTH: [Transport; 2] = [Transport::Native, Transport::Libzmq];

/// A broker, a worker and a client of these transports do their work, with and without CURVE.
async fn works(endpoint: &str, [broker, worker, client]: [Transport; 3], curve: bool) {
    let context = Context::with_transport;
    let (keys, own) = (KeyPair::new().unwrap(), KeyPair::new().unwrap());
    // A broker that is short of processors would refuse some of five hundred calls at once.
    let builder = Broker::builder().bind(endpoint).context(&context(broker));
    let mut builder = builder.admission(false);
    if curve {
        let list = AllowList::of([*own.public()]);
        builder = builder.curve(CurveServer::new(keys.clone()).allow_list(list));
    }
    let broker = builder.start().unwrap();
    let endpoint = &broker.endpoints()[0];
    let with = || CurveClient::new(*keys.public()).key_pair(own.clone());
    let mut builder = Worker::builder().connect(endpoint).context(&context(worker)).serve(echo());
    if curve {
        builder = builder.curve(with());
    }
    let worker = builder.start().unwrap();
    let mut builder = Client::builder().connect(endpoint).context(&context(client));
    if curve {
        builder = builder.curve(with());
    }
    let client = within(builder.open()).await.unwrap();
    for bytes in [0, 10, 5_000, 1 << 20] {
        let text = "x".repeat(bytes);
        assert_eq!(call(&client, &text).await.unwrap(), text);
    }
    let many: Vec<_> = (0..500)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { call(&client, &n.to_string()).await })
        })
        .collect();
    for (n, call) in many.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), n.to_string());
    }
    // All know of the end at once.
    let mut state = client.state();
    within(worker.shutdown(Duration::from_secs(10))).await;
    broker.shutdown(Duration::ZERO).await;
    let lost = state.wait_for(|state| !matches!(state, ConnectionState::Connected { .. }));
    within(lost).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_of_both_transports_reach_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    for broker in BOTH {
        for worker in BOTH {
            for client in BOTH {
                number += 1;
                let ipc = format!("ipc://{}/{number}", folder.path().display());
                works("tcp://127.0.0.1:*", [broker, worker, client], number % 2 == 0).await;
                works(&ipc, [broker, worker, client], number % 2 == 1).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_peers_over_inproc() {
    let context = Context::with_transport(Transport::Native);
    let broker = Broker::builder().bind("inproc://native").context(&context).start().unwrap();
    let worker = Worker::builder().connect("inproc://native").context(&context).serve(echo());
    let worker = worker.start().unwrap();
    let client = Client::builder().connect("inproc://native").context(&context).open();
    let client = within(client).await.unwrap();
    assert_eq!(call(&client, "here").await.unwrap(), "here");
    drop((worker, broker));
}

/// Classic MDP, and a broker that comes back.
#[tokio::test(flavor = "multi_thread")]
async fn native_classic_peers_come_back_to_their_broker() {
    let context = Context::with_transport(Transport::Native);
    for dialect in [Dialect::Mdp01, Dialect::Mdp02] {
        let bind = |endpoint: &str| Broker::builder().bind(endpoint).context(&context).start();
        let broker = bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = broker.endpoints()[0].clone();
        let worker = RawWorker::builder("echo").dialect(dialect).connect(&endpoint);
        let mut worker = worker.context(&context).start().unwrap();
        tokio::spawn(async move {
            while let Some((frames, replier)) = worker.recv().await {
                let _ = replier.finish(frames);
            }
        });
        let client = RawClient::builder().dialect(dialect).connect(&endpoint).context(&context);
        let client = client.open().unwrap().with_timeout(Duration::from_secs(30));
        assert_eq!(client.send("echo", vec!["one".into()]).await.unwrap(), ["one"]);
        broker.shutdown(Duration::ZERO).await;
        let _again = bind(&endpoint).unwrap();
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        while client.send("echo", vec!["two".into()]).await.is_err() {
            assert!(tokio::time::Instant::now() < until, "{dialect:?}");
        }
    }
}

/// Neither a living broker nor a file loses its path; a path that a process left when it ended is used again.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_taken_is_left_alone() {
    for transport in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let bind = |path: &Path| {
            let context = Context::with_transport(transport);
            Broker::builder().bind(format!("ipc://{}", path.display())).context(&context).start()
        };
        let path = folder.path().join("broker");
        let broker = bind(&path).unwrap();
        let refused = |path: &Path| match bind(path).unwrap_err() {
            BindError::Bind(error) => error.kind(),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&path), ErrorKind::AddrInUse, "{transport:?}");
        let client = Client::builder().connect(&broker.endpoints()[0]);
        let client = client.context(&Context::with_transport(transport)).open();
        assert!(
            within(client).await.is_ok(),
            "{transport:?}: the living broker still has its path"
        );

        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        assert_eq!(refused(&file), ErrorKind::AlreadyExists, "{transport:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");

        let left = folder.path().join("left");
        drop(UnixListener::bind(&left).unwrap());
        assert!(bind(&left).is_ok(), "{transport:?}");
    }
}
