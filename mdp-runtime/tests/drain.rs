//! Workers and brokers that somebody wants to end: `mmi.drain.` (wire.md R101), over sockets.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use mdp_runtime::{Broker, Client, Code, ConnectionState, Dialect, Policy, RawClient, Worker};
use support::{answering, call, client, echo, within};
use tokio::sync::Notify;

fn broker(allow: bool) -> Broker {
    Broker::builder().bind("tcp://127.0.0.1:*").allow_drain(allow).start().unwrap()
}

async fn ask(broker: &Broker, dialect: Dialect, service: &str, about: &str) -> Vec<Bytes> {
    let builder = RawClient::builder().dialect(dialect).connect(&broker.endpoints()[0]);
    let client = builder.open().unwrap();
    within(client.send(service, vec![Bytes::copy_from_slice(about.as_bytes())])).await.unwrap()
}

fn starting(broker: &Broker, id: &str) -> mdp_runtime::WorkerBuilder {
    Worker::builder().connect(&broker.endpoints()[0]).id(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_finishes_and_its_program_ends() {
    let broker = broker(true);
    let (entered, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (in_it, open) = (Arc::clone(&entered), Arc::clone(&gate));
    let slow = answering(move |_, text| {
        let (in_it, open) = (Arc::clone(&in_it), Arc::clone(&open));
        async move {
            in_it.notify_one();
            open.notified().await;
            Ok(text)
        }
    });
    // As a program does it, whose end is that of `run`.
    let run = tokio::spawn(starting(&broker, "old").serve(slow).run());
    let client = client(&broker).await;
    let held = tokio::spawn(call(&client, "held").send());
    within(entered.notified()).await;
    let told = ask(&broker, Dialect::Rpc, "mmi.drain.worker", "old").await;
    assert_eq!(told, [Bytes::from("200"), Bytes::from(r#"{"workers":1}"#)]);
    // It gets nothing new, and the next one does.
    let new = starting(&broker, "new").serve(echo()).start().unwrap();
    within(new.connected()).await.unwrap();
    for _ in 0..20 {
        assert_eq!(within(call(&client, "next").send()).await.unwrap().worker(), b"new");
    }
    assert!(!run.is_finished(), "it holds a call");
    gate.notify_one();
    assert_eq!(within(held).await.unwrap().unwrap().into_message(), "held");
    within(run).await.unwrap().unwrap();
    let told = ask(&broker, Dialect::Mdp02, "mmi.drain.worker", "old").await;
    assert_eq!(told, [Bytes::from("404")], "it does not come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_of_a_service_leave_and_only_these() {
    let broker = broker(true);
    let mut workers = Vec::new();
    for id in ["a", "b", "c"] {
        let worker = starting(&broker, id).serve(echo()).start().unwrap();
        within(worker.connected()).await.unwrap();
        workers.push(worker);
    }
    let other = starting(&broker, "d").serve_raw("other", async |frames, replier| {
        // An error means that nobody waits for it.
        let _ = replier.finish(frames);
    });
    let other = other.start().unwrap();
    within(other.connected()).await.unwrap();
    let told = ask(&broker, Dialect::Mdp01, "mmi.drain.service", "test.v1.Echo").await;
    assert_eq!(told, [Bytes::from("200"), Bytes::from(r#"{"workers":3}"#)]);
    for worker in &workers {
        within(worker.stopped()).await.unwrap();
    }
    assert!(matches!(*other.state().borrow(), ConnectionState::Connected { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_broker_says_so_and_stops() {
    let mut broker = broker(true);
    // A classic client may miss the answer (wire.md R101).
    let told = ask(&broker, Dialect::Rpc, "mmi.drain.broker", "").await;
    assert_eq!(told[0], "200");
    within(broker.stopped()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_refused() {
    let guarded = |drain: &str| {
        let policy = format!("[anonymous]\ncall = ['*']\nserve = ['*']\nmanage = true\n{drain}");
        let policy = Policy::parse(&policy).unwrap();
        // With a policy it is the policy that counts.
        let builder = Broker::builder().bind("tcp://127.0.0.1:*").policy(policy);
        builder.allow_drain(true).start().unwrap()
    };
    for (broker, may) in
        [(broker(false), false), (guarded(""), false), (guarded("drain = true"), true)]
    {
        let worker = starting(&broker, "w").serve(echo()).start().unwrap();
        within(worker.connected()).await.unwrap();
        for what in ["mmi.drain.worker", "mmi.drain.service", "mmi.drain.broker"] {
            let told = ask(&broker, Dialect::Rpc, what, "nobody").await;
            let status = match (may, what) {
                (false, _) => "403",
                (true, "mmi.drain.broker") => "200",
                (true, _) => "404",
            };
            assert_eq!(told[0], status, "{what}");
        }
        if !may {
            let client: Client = client(&broker).await;
            within(call(&client, "all is as it was").send()).await.unwrap();
            assert_eq!(within(broker.stats()).await.denied, 3);
        }
    }
    let nobody = Policy::parse("[anonymous]\ncall = ['*']").unwrap();
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").policy(nobody).start().unwrap();
    let builder = RawClient::builder().dialect(Dialect::Rpc).connect(&broker.endpoints()[0]);
    let refused = within(builder.open().unwrap().send("mmi.drain.broker", vec![])).await;
    match refused {
        Err(mdp_runtime::RawError::Status(status)) => {
            assert_eq!(status.code(), Code::PermissionDenied);
        }
        other => panic!("{other:?}"),
    }
}
