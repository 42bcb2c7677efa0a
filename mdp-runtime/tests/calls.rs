//! Calls from a client through a broker to a worker and back, over real sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::time::Duration;

use mdp_runtime::{Broker, Client, Code, Context, Metadata, Status, Worker};
use support::{
    RawPeer, answering, broker, call, client, echo, missing_call, safe_call, until, within, worker,
};

#[tokio::test]
async fn a_call_comes_back() {
    let broker = broker();
    let _worker = worker(&broker, echo()).await;
    let client = client(&broker).await;
    assert_eq!(within(call(&client, "hello").into_future()).await.unwrap(), "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_and_large_ones() {
    let broker = broker();
    let _worker = worker(&broker, echo()).await;
    let client = client(&broker).await;
    let mut calls = Vec::new();
    for number in 0..2_000_usize {
        let text = format!("{number}-{}", "x".repeat(if number % 50 == 0 { 100_000 } else { 50 }));
        let client = client.clone();
        calls.push(tokio::spawn(async move {
            // On a busy machine they take longer than the default time.
            let call = call(&client, &text).timeout(Duration::from_secs(20));
            assert_eq!(call.await.unwrap(), text);
        }));
    }
    for call in calls {
        within(call).await.unwrap();
    }
    let stats = broker.stats().await;
    assert_eq!((stats.requests, stats.replies, stats.queued, stats.running), (2_000, 2_000, 0, 0));
}

#[tokio::test]
async fn ipc_and_inproc_and_tcp_lead_to_the_same_broker() {
    let folder = tempfile::tempdir().unwrap();
    let ipc = format!("ipc://{}", folder.path().join("mdp.sock").display());
    let context = Context::new();
    let broker = Broker::builder()
        .context(&context)
        .bind("inproc://calls")
        .bind(&ipc)
        .bind("tcp://127.0.0.1:*")
        .start()
        .unwrap();
    assert_eq!(broker.endpoints()[..2], ["inproc://calls".to_owned(), ipc]);
    let worker = Worker::builder()
        .context(&context)
        .connect("inproc://calls")
        .serve(echo())
        .start()
        .unwrap();
    within(worker.connected()).await.unwrap();
    for endpoint in broker.endpoints() {
        let client = Client::builder().context(&context).connect(endpoint).open().await.unwrap();
        assert_eq!(within(call(&client, endpoint).into_future()).await.unwrap(), *endpoint);
    }
}

#[tokio::test]
async fn a_status_comes_back_with_code_message_details_and_metadata() {
    let broker = broker();
    let _worker = worker(
        &broker,
        answering(|cx, _| async move {
            cx.reply_metadata("hint", "try ann");
            let detail = mdp_runtime::Detail {
                type_url: "type.googleapis.com/test.v1.Why".into(),
                value: b"why".as_slice().into(),
            };
            Err(Status::with_details(Code::Unauthenticated, "no password", vec![detail]))
        }),
    )
    .await;
    let client = client(&broker).await;
    let status = within(call(&client, "").into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.to_string(), "UNAUTHENTICATED: test.v1.Echo/Echo: no password");
    assert_eq!(status.details()[0].value, b"why".as_slice());
    assert_eq!(status.metadata().get_str("hint"), Some("try ann"));
    assert_eq!(status.reason(), None);
}

#[tokio::test]
async fn metadata_goes_both_ways_and_the_handler_knows_its_call() {
    let broker = broker();
    let worker = worker(
        &broker,
        answering(|cx, _| async move {
            assert_eq!(cx.method(), "test.v1.Echo/Echo");
            assert_eq!(cx.attempt(), 1);
            assert!(cx.time_left() <= Duration::from_secs(3));
            assert!(cx.time_left() > Duration::from_secs(1));
            let tenant = cx.metadata().get_str("tenant").unwrap().to_owned();
            cx.reply_metadata("seen", tenant);
            Ok(String::from_utf8(cx.client().to_vec()).unwrap())
        }),
    )
    .await;
    let client = Client::builder()
        .connect(broker.endpoints()[0].clone())
        .id("phone-7")
        .open()
        .await
        .unwrap();
    let call = call(&client, "").metadata("tenant", "acme").timeout(Duration::from_secs(3));
    let reply = within(call.send()).await.unwrap();
    assert_eq!(reply.message(), "phone-7");
    assert_eq!(*reply.metadata(), Metadata::from_iter([("seen", "acme")]));
    assert_eq!(reply.attempts(), 1);
    assert_eq!(reply.worker(), within(worker.connected()).await.unwrap());
}

#[tokio::test]
async fn a_panic_is_internal_and_keeps_the_slot() {
    let broker = broker();
    let worker = Worker::builder()
        .connect(broker.endpoints()[0].clone())
        .capacity(1)
        .serve(answering(|_, request| async move {
            if request == "now" {
                panic!("at once");
            }
            tokio::task::yield_now().await;
            if request == "later" {
                panic!("later");
            }
            Ok(request)
        }))
        .start()
        .unwrap();
    within(worker.connected()).await.unwrap();
    let client = client(&broker).await;
    for text in ["now", "later"] {
        let status = within(call(&client, text).into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.message(), "the handler of test.v1.Echo/Echo panicked");
    }
    assert_eq!(within(call(&client, "fine").into_future()).await.unwrap(), "fine");
}

#[tokio::test]
async fn what_is_not_there_has_a_name() {
    let broker = support::start(Broker::builder().wait_for_worker(false));
    let client = client(&broker).await;
    let status = within(call(&client, "").into_future()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.reason().as_deref()),
        (Code::Unavailable, Some("NO_SERVICE"))
    );
    assert!(status.not_started());

    let _worker = worker(&broker, echo()).await;
    let status = within(missing_call(&client).into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let status = within(call(&client, "").to_worker("nobody").into_future()).await.unwrap_err();
    assert_eq!((status.code(), status.reason().as_deref()), (Code::Unavailable, Some("NO_WORKER")));
}

#[tokio::test]
async fn a_call_waits_for_its_worker() {
    let broker = broker();
    let client = client(&broker).await;
    let early = tokio::spawn(call(&client, "early").into_future());
    until(async || broker.stats().await.queued == 1).await;
    let _worker = worker(&broker, echo()).await;
    assert_eq!(within(early).await.unwrap().unwrap(), "early");
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_the_handler() {
    let broker = broker();
    let (stopped, mut is_stopped) = tokio::sync::mpsc::unbounded_channel();
    struct Guard(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let _worker = worker(
        &broker,
        answering(move |_, _| {
            let guard = Guard(stopped.clone());
            async move {
                let _guard = guard;
                std::future::pending().await
            }
        }),
    )
    .await;
    let client = client(&broker).await;
    let start = std::time::Instant::now();
    let call = call(&client, "").timeout(Duration::from_millis(200));
    let status = within(call.into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(!status.not_started());
    assert!(start.elapsed() < Duration::from_millis(450), "{:?}", start.elapsed());
    within(is_stopped.recv()).await.unwrap();
    until(async || broker.stats().await.running == 0).await;
}

#[tokio::test]
async fn sticky_calls_find_their_worker() {
    let broker = broker();
    let named = |name: &'static str| {
        Worker::builder()
            .connect(broker.endpoints()[0].clone())
            .id(name)
            .serve(answering(move |_, _| async move { Ok(name.to_owned()) }))
            .start()
            .unwrap()
    };
    let workers = [named("left"), named("right")];
    for worker in &workers {
        within(worker.connected()).await.unwrap();
    }
    let client = client(&broker).await;
    for name in ["right", "left", "right", "right"] {
        let reply = within(call(&client, "").to_worker(name).send()).await.unwrap();
        assert_eq!((reply.message().as_str(), reply.worker()), (name, name.as_bytes()));
    }
}

#[tokio::test]
async fn a_stopped_worker_finishes_and_the_next_one_goes_on() {
    let broker = broker();
    let slow = || {
        answering(|_, request| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(request)
        })
    };
    let first = worker(&broker, slow()).await;
    let client = client(&broker).await;
    let running = tokio::spawn(call(&client, "running").into_future());
    until(async || broker.stats().await.running == 1).await;
    let _second = worker(&broker, slow()).await;
    within(first.shutdown(Duration::from_secs(5))).await;
    assert_eq!(within(running).await.unwrap().unwrap(), "running");
    assert_eq!(within(call(&client, "next").into_future()).await.unwrap(), "next");
}

#[tokio::test]
async fn a_lost_worker_moves_what_is_safe_and_names_what_is_not() {
    let broker = broker();
    let first = RawPeer::worker(&broker, "w-7f3a");
    let client = client(&broker).await;
    let safe = tokio::spawn(safe_call(&client, "safe").into_future());
    let unsafe_one = tokio::spawn(call(&client, "unsafe").into_future());
    until(async || broker.stats().await.running == 2).await;
    let _second = worker(&broker, echo()).await;
    drop(first); // without a word
    assert_eq!(within(safe).await.unwrap().unwrap(), "safe");
    let status = within(unsafe_one).await.unwrap().unwrap_err();
    assert_eq!(status.reason().as_deref(), Some("MAYBE_EXECUTED"));
    let words = "UNAVAILABLE: test.v1.Echo/Echo: worker w-7f3a left while it held the call \
                 (attempt 1 of 1); the handler may have run";
    assert_eq!(status.to_string(), words);
}

#[tokio::test]
async fn a_client_finds_the_restarted_broker() {
    let first = broker();
    let endpoint = first.endpoints()[0].clone();
    let _worker = worker(&first, echo()).await;
    let client = client(&first).await;
    assert_eq!(within(call(&client, "one").into_future()).await.unwrap(), "one");
    first.shutdown(Duration::ZERO).await;
    let waiting = tokio::spawn(call(&client, "two").into_future());
    let _again = Broker::builder().bind(&endpoint).start().unwrap();
    assert_eq!(within(waiting).await.unwrap().unwrap(), "two");
}

#[tokio::test]
async fn a_broker_that_stops_waits_for_what_runs() {
    let broker = broker();
    let _worker = worker(
        &broker,
        answering(|_, request| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(request)
        }),
    )
    .await;
    let client = client(&broker).await;
    let running = tokio::spawn(call(&client, "running").into_future());
    until(async || broker.stats().await.running == 1).await;
    within(broker.shutdown(Duration::from_secs(5))).await;
    assert_eq!(within(running).await.unwrap().unwrap(), "running");
}
