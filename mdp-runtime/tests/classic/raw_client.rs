//! The client of raw requests.

use std::time::Duration;

use bytes::Bytes;
use mdp_runtime::{
    ConnectionState, Dialect, LossCause, RawClient, RawClientBuilder, RawError, RawWorker, Replier,
};

use crate::broker::{ClassicBroker, Order};
use crate::support::{until, within};
use crate::{BOTH, ms};

fn client(broker: &ClassicBroker, dialect: Dialect) -> RawClient {
    builder(broker, dialect).open().unwrap()
}

fn builder(broker: &ClassicBroker, dialect: Dialect) -> RawClientBuilder {
    RawClient::builder().dialect(dialect).connect(&broker.endpoint)
}

fn frames(texts: &[&'static str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
}

/// Answers each request with a function, for as long as the test runs.
fn worker<F, Fut>(broker: &ClassicBroker, dialect: Dialect, handler: F)
where
    F: Fn(Vec<Bytes>, Replier) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let builder = RawWorker::builder("echo").dialect(dialect).connect(&broker.endpoint);
    let mut worker = builder.heartbeat(ms(100)).liveness(50).start().unwrap();
    tokio::spawn(async move {
        while let Some((frames, replier)) = worker.recv().await {
            tokio::spawn(handler(frames, replier));
        }
    });
}

async fn echo(frames: Vec<Bytes>, replier: Replier) {
    replier.finish(frames).unwrap();
}

#[tokio::test]
async fn frames_come_back_as_they_were() {
    for (asks, answers) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let broker = ClassicBroker::start();
        worker(&broker, BOTH[answers], echo);
        let client = client(&broker, BOTH[asks]);
        let large = Bytes::from(vec![7; 300_000]);
        for body in [
            frames(&["hello"]),
            frames(&["", "", "three"]),
            vec![large.clone(), Bytes::new(), large],
        ] {
            assert_eq!(within(client.send("echo", body.clone())).await.unwrap(), body);
        }
        broker.assert_clean();
    }
}

#[tokio::test]
async fn a_late_reply_is_never_taken_for_the_next() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        worker(&broker, dialect, echo);
        let client = client(&broker, dialect);
        let quick = client.with_timeout(ms(300));
        assert_eq!(within(client.send("echo", frames(&["0"]))).await.unwrap(), ["0"]);
        for round in 1..=3 {
            // The reply is there, and comes when nobody waits for it any more.
            broker.order(Order::Hold(true));
            let late = within(quick.send("echo", frames(&["late"]))).await;
            assert_eq!(late, Err(RawError::Timeout { sent: true }));
            let next = client.request("echo", frames(&["next"]));
            until(async || broker.seen().requests == 2 * round + 1).await;
            broker.order(Order::Hold(false));
            assert_eq!(within(next.last()).await.unwrap(), ["next"]);
        }
        // Each time on a socket of its own.
        assert_eq!(broker.seen().clients.len(), 4);
        broker.assert_clean();
    }
}

#[tokio::test]
async fn a_reply_that_nobody_waits_for_any_more_is_not_the_next_ones() {
    let broker = ClassicBroker::start();
    worker(&broker, BOTH[1], echo);
    let client = client(&broker, BOTH[1]);
    broker.order(Order::Hold(true));
    let dropped = client.request("echo", frames(&["dropped"]));
    let waiting = client.request("echo", frames(&["never sent"]));
    until(async || broker.seen().requests == 1).await;
    drop((waiting, dropped));
    let next = client.request("echo", frames(&["next"]));
    until(async || broker.seen().requests == 2).await;
    broker.order(Order::Hold(false));
    assert_eq!(within(next.last()).await.unwrap(), ["next"]);
}

#[tokio::test]
async fn requests_wait_for_their_turn() {
    let broker = ClassicBroker::start();
    worker(&broker, BOTH[0], echo);
    let client = builder(&broker, BOTH[0]).max_requests(50).open().unwrap();
    let pending: Vec<_> = (0..50)
        .map(|number| client.request("echo", vec![Bytes::from(number.to_string())]))
        .collect();
    let many = within(client.send("echo", frames(&["one more"]))).await;
    assert_eq!(many, Err(RawError::TooMany));
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(within(pending.last()).await.unwrap(), [number.to_string()]);
    }
    assert_eq!(broker.seen().clients.len(), 1);
}

#[tokio::test]
async fn partial_replies_come_before_the_last() {
    let broker = ClassicBroker::start();
    let counting = async |_, replier: Replier| {
        for number in 0..100 {
            replier.partial(vec![Bytes::from(number.to_string())]).await.unwrap();
        }
        replier.finish(frames(&["end"])).unwrap();
    };
    worker(&broker, BOTH[1], counting);
    let asker = client(&broker, BOTH[1]);
    let mut pending = asker.request("echo", frames(&["count"]));
    for number in 0..100 {
        let reply = within(pending.next()).await.unwrap().unwrap();
        assert_eq!((reply.frames[0].clone(), reply.last), (number.to_string().into(), false));
    }
    let reply = within(pending.next()).await.unwrap().unwrap();
    assert_eq!((reply.frames, reply.last), (frames(&["end"]), true));
    assert!(within(pending.next()).await.is_none());
    // Who wants the last one only.
    assert_eq!(within(asker.send("echo", frames(&["count"]))).await.unwrap(), ["end"]);
    // A client of RFC 7 gets no others.
    let old = client(&broker, BOTH[0]);
    let mut pending = old.request("echo", frames(&["count"]));
    assert!(within(pending.next()).await.unwrap().unwrap().last);
    broker.assert_clean();
}

#[tokio::test]
async fn who_reads_too_slowly_is_told() {
    let broker = ClassicBroker::start();
    let flood = async |_, replier: Replier| {
        while replier.partial(frames(&["more"])).await.is_ok() {}
    };
    worker(&broker, BOTH[1], flood);
    let client = builder(&broker, BOTH[1]).window(10).open().unwrap();
    let mut pending = client.request("echo", frames(&["flood"]));
    // It has its turn when the one before was given up.
    let _after = client.request("nobody", frames(&[""]));
    until(async || broker.seen().requests == 2).await;
    let mut read = 0;
    let error = loop {
        match within(pending.next()).await.unwrap() {
            Ok(_) => read += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, RawError::TooSlow);
    assert!(read >= 10, "{read}");
    assert!(within(pending.next()).await.is_none());
}

#[tokio::test]
async fn a_lost_broker_is_found_again() {
    for dialect in BOTH {
        let broker = ClassicBroker::start();
        let client = client(&broker, dialect);
        assert!(within(client.connected()).await);
        let lost = client.request("echo", frames(&["lost"]));
        until(async || broker.seen().requests == 1).await;
        let waiting = client.request("echo", frames(&["kept"]));
        let endpoint = broker.stop();
        assert_eq!(within(lost.last()).await, Err(RawError::Lost(LossCause::Broken)));
        let broker = ClassicBroker::with(ms(100), Duration::from_secs(5), &endpoint);
        worker(&broker, dialect, echo);
        assert_eq!(within(waiting.last()).await.unwrap(), ["kept"]);
        broker.assert_clean();
    }
}

#[tokio::test]
async fn a_request_that_the_broker_forgets_times_out() {
    let broker = ClassicBroker::start();
    worker(&broker, BOTH[1], echo);
    let client = builder(&broker, BOTH[1]).timeout(ms(300)).open().unwrap();
    broker.order(Order::Swallow);
    let first = within(client.send("echo", frames(&["one"]))).await;
    // Unless the order came second.
    assert!(matches!(first, Err(RawError::Timeout { sent: true }) | Ok(_)));
    if first.is_err() {
        let client = client.with_timeout(Duration::from_secs(20));
        assert_eq!(within(client.send("echo", frames(&["two"]))).await.unwrap(), ["two"]);
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", nobody.local_addr().unwrap());
    let builder = RawClient::builder().connect(endpoint).connect_timeout(ms(50));
    let client = builder.timeout(ms(300)).open().unwrap();
    let end = within(client.send("echo", frames(&["one"]))).await;
    assert_eq!(end, Err(RawError::Timeout { sent: false }));
    let name = within(client.send("no name", frames(&["one"]))).await;
    assert!(matches!(name, Err(RawError::Service { .. })));
}

#[tokio::test]
async fn closing_waits_for_what_is_open() {
    let broker = ClassicBroker::start();
    worker(&broker, BOTH[1], async |frames, replier: Replier| {
        tokio::time::sleep(ms(300)).await;
        replier.finish(frames).unwrap();
    });
    let client = client(&broker, BOTH[1]);
    let open = client.request("echo", frames(&["open"]));
    until(async || broker.seen().requests == 1).await;
    within(client.shutdown(Duration::from_secs(20))).await;
    assert_eq!(within(open.last()).await.unwrap(), ["open"]);
    let late = within(client.send("echo", frames(&["late"]))).await;
    assert_eq!(late, Err(RawError::Closed { sent: false }));
    assert_eq!(*client.state().borrow(), ConnectionState::Closed);
}

#[tokio::test]
async fn settings_that_cannot_be() {
    assert!(RawClient::builder().open().is_err());
    assert!(RawClient::builder().connect("nowhere").open().is_err());
    assert!(RawClient::builder().dialect(Dialect::Rpc).open().is_err());
}
