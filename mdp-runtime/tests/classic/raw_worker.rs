//! The worker of raw requests.

use std::time::Duration;

use bytes::Bytes;
use mdp_runtime::{Dialect, RawClient, RawWorker, RawWorkerBuilder, Replier, ReplyError};

use crate::broker::{ClassicBroker, Order};
use crate::support::{until, within};
use crate::{BOTH, is_connected, ms};

fn builder(broker: &ClassicBroker, dialect: Dialect) -> RawWorkerBuilder {
    let builder = RawWorker::builder("echo").dialect(dialect).connect(&broker.endpoint);
    builder.heartbeat(ms(100)).liveness(50)
}

fn client(broker: &ClassicBroker, dialect: Dialect) -> RawClient {
    RawClient::builder().dialect(dialect).connect(&broker.endpoint).open().unwrap()
}

fn text(text: &'static str) -> Vec<Bytes> {
    vec![Bytes::from_static(text.as_bytes())]
}

#[tokio::test]
async fn an_answer_may_come_later_and_from_elsewhere() {
    for dialect in BOTH {
        let broker = ClassicBroker::with(ms(100), ms(1_000), "tcp://127.0.0.1:*");
        let mut worker = builder(&broker, dialect).capacity(2).start().unwrap();
        let (one, two) = (client(&broker, dialect), client(&broker, dialect));
        let (one, two) = (one.request("echo", text("1")), two.request("echo", text("2")));
        let mut open = Vec::new();
        for _ in 0..2 {
            open.push(within(worker.recv()).await.unwrap());
        }
        // Longer than the broker waits for a sign of life; those go on.
        let before = broker.seen().heartbeats;
        until(async || broker.seen().heartbeats > before + 30).await;
        assert_eq!(broker.seen().expired, 0);
        let answering = std::thread::spawn(move || {
            for (frames, replier) in open.into_iter().rev() {
                replier.finish(frames).unwrap();
            }
        });
        assert_eq!(within(one.last()).await.unwrap(), ["1"]);
        assert_eq!(within(two.last()).await.unwrap(), ["2"]);
        answering.join().unwrap();
        broker.assert_clean();
    }
}

#[tokio::test]
async fn a_replier_that_is_dropped_takes_its_connection_with_it() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let mut worker = builder(&broker, dialect).start().unwrap();
        let asker = client(&broker, dialect);
        let lost = asker.request("echo", text("lost"));
        let (_, replier) = within(worker.recv()).await.unwrap();
        drop(replier);
        // DISCONNECT, and READY on a new socket.
        until(async || broker.seen().disconnects == 1 && broker.seen().readies == 2).await;
        drop(lost);
        let next = asker.request("echo", text("next"));
        let (frames, replier) = within(worker.recv()).await.unwrap();
        replier.finish(frames).unwrap();
        assert_eq!(within(next.last()).await.unwrap(), ["next"]);
        broker.assert_clean();
    }
}

#[tokio::test]
async fn who_answers_is_told_that_nobody_waits() {
    let broker = ClassicBroker::start();
    let mut worker = builder(&broker, BOTH[1]).start().unwrap();
    let client = client(&broker, BOTH[1]);
    let _lost = client.request("echo", text("lost"));
    let (_, replier) = within(worker.recv()).await.unwrap();
    assert!(!replier.is_over());
    broker.order(Order::Dismiss);
    within(replier.over()).await;
    assert_eq!(within(replier.partial(text("half"))).await, Err(ReplyError::Over));
    assert_eq!(replier.finish(text("whole")), Err(ReplyError::Over));
    within(worker.state().wait_for(is_connected)).await.unwrap();
    until(async || broker.seen().readies == 2).await;
    broker.assert_clean();
}

#[tokio::test]
async fn rfc_7_has_no_partial_replies() {
    let broker = ClassicBroker::start();
    let mut worker = builder(&broker, BOTH[0]).start().unwrap();
    let client = client(&broker, BOTH[0]);
    let open = client.request("echo", text("?"));
    let (_, replier) = within(worker.recv()).await.unwrap();
    assert_eq!(replier.partial(text("half")).await, Err(ReplyError::NoPartials));
    replier.finish(text("whole")).unwrap();
    assert_eq!(within(open.last()).await.unwrap(), ["whole"]);
    broker.assert_clean();
}

#[tokio::test]
async fn a_function_answers_in_tasks_of_its_own() {
    let broker = ClassicBroker::start();
    let mut worker = builder(&broker, BOTH[1]).capacity(3).start().unwrap();
    let mut state = worker.state();
    let serving = tokio::spawn(async move {
        let serve = worker.serve(async |frames: Vec<Bytes>, replier: Replier| {
            match &frames[0][..] {
                b"slow" => tokio::time::sleep(ms(500)).await,
                b"panic" => panic!("on purpose"),
                _ => {}
            }
            replier.finish(frames).unwrap();
        });
        tokio::select! {
            () = serve => {}
            () = tokio::time::sleep(Duration::from_secs(30)) => {}
        }
        worker
    });
    within(state.wait_for(is_connected)).await.unwrap();
    let slow = client(&broker, BOTH[1]);
    let slow = slow.request("echo", text("slow"));
    let quick = client(&broker, BOTH[1]);
    let panicking = client(&broker, BOTH[1]);
    let _lost = panicking.request("echo", text("panic"));
    // One that panics leaves the broker; the others go on.
    until(async || broker.seen().disconnects == 1).await;
    assert_eq!(within(quick.send("echo", text("quick"))).await.unwrap(), ["quick"]);
    assert_eq!(within(slow.last()).await.unwrap(), ["slow"]);
    broker.assert_clean();
    serving.abort();
}

#[tokio::test]
async fn leaving_waits_for_open_requests() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let mut worker = builder(&broker, dialect).capacity(2).start().unwrap();
        let client = client(&broker, dialect);
        let open = client.request("echo", text("open"));
        let (frames, replier) = within(worker.recv()).await.unwrap();
        let answering = tokio::spawn(async move {
            tokio::time::sleep(ms(300)).await;
            replier.finish(frames).unwrap();
        });
        within(worker.shutdown(Duration::from_secs(20))).await;
        within(answering).await.unwrap();
        assert_eq!(within(open.last()).await.unwrap(), ["open"]);
        assert!(within(worker.recv()).await.is_none());
        until(async || broker.seen().disconnects == 2).await;
        broker.assert_clean();
    }
}

#[tokio::test]
async fn a_worker_that_is_dropped_leaves() {
    let broker = ClassicBroker::start();
    let worker = builder(&broker, BOTH[1]).capacity(2).start().unwrap();
    assert!(within(worker.connected()).await);
    until(async || broker.seen().readies == 2).await;
    drop(worker);
    until(async || broker.seen().disconnects == 2).await;
    broker.assert_clean();
}

#[tokio::test]
async fn settings_that_cannot_be() {
    let broker = ClassicBroker::start();
    assert!(builder(&broker, BOTH[0]).capacity(0).start().is_err());
    assert!(builder(&broker, BOTH[0]).capacity(300).start().is_err());
    assert!(builder(&broker, Dialect::Rpc).capacity(0).start().is_err());
    assert!(RawWorker::builder("").connect(&broker.endpoint).start().is_err());
    assert!(RawWorker::builder("a").start().is_err());
}

/// Whoever answers a request that is over still works on it, so nothing comes in its place.
#[tokio::test]
async fn a_replier_that_is_kept_keeps_its_place() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let mut worker = builder(&broker, dialect).start().unwrap();
        let asker = client(&broker, dialect);
        let lost = asker.request("echo", text("lost"));
        let (frames, kept) = within(worker.recv()).await.unwrap();
        broker.order(Order::Dismiss);
        within(kept.over()).await;
        until(async || broker.seen().readies == 2).await;
        drop(lost);
        let next = client(&broker, dialect).request("echo", text("next"));
        let early = tokio::time::timeout(ms(200), worker.recv()).await;
        assert!(early.is_err(), "two requests at once");
        // Nobody waits for it.
        let _ = kept.finish(frames);
        let (frames, replier) = within(worker.recv()).await.unwrap();
        replier.finish(frames).unwrap();
        assert_eq!(within(next.last()).await.unwrap(), ["next"]);
        broker.assert_clean();
    }
}
