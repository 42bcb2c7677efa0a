//! Each setting of the builders has an effect, and a wrong one says what is wrong.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::time::{Duration, Instant};

use mdp_protocol::Span;
use mdp_runtime::{
    BindError, Broker, Client, Code, ConnectError, ConnectionState, Limits, ServeError, Worker,
};
use support::{
    Raw, RawPeer, answering, broker, call, client, echo, safe_call, start, until, within,
};

/// Less than the defaults of what is set here.
const SOON: Duration = Duration::from_secs(4);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Whether a wait of `least` was kept. Time counts in whole milliseconds, so one may be missing.
fn waited(begin: Instant, least: Duration) -> bool {
    (least - ms(1)..SOON).contains(&begin.elapsed())
}

fn hello(heartbeat_ms: u64, liveness: u8) -> Raw {
    Raw::Hello { id: Vec::new(), heartbeat: Span::from_ms(heartbeat_ms), liveness }
}

fn welcome(record: Raw) -> Option<(u64, u8, u64)> {
    match record {
        Raw::Welcome { heartbeat, liveness, frame_bytes, .. } => {
            Some((heartbeat.as_ms(), liveness, frame_bytes))
        }
        _ => None,
    }
}

#[tokio::test]
async fn the_broker_says_what_it_is_set_to() {
    let limits = Limits { frame_bytes: 100_000, ..Limits::default() };
    let broker = start(Broker::builder().heartbeat(ms(1_234)).liveness(5).limits(limits));
    let peer = RawPeer::connect(&broker);
    peer.send(&[hello(1, 1)]);
    assert_eq!(peer.receive_one(welcome), (1_234, 5, 100_000));

    let client = client(&broker).await;
    let status = within(call(&client, &"x".repeat(100_001)).into_future()).await.unwrap_err();
    assert_eq!((status.code(), status.not_started()), (Code::ResourceExhausted, true));
    assert!(status.message().contains("frame_bytes"), "{status}");
}

#[tokio::test]
async fn a_silent_peer_is_gone_after_heartbeat_times_liveness() {
    let broker = start(Broker::builder().heartbeat(ms(50)).liveness(2));
    let peer = RawPeer::connect(&broker);
    peer.send(&[hello(1, 1)]);
    peer.receive_one(welcome);
    let begin = Instant::now();
    until(async || broker.stats().await.sessions == 0).await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_peer_may_want_longer_intervals() {
    let broker = start(Broker::builder().heartbeat(ms(50)).liveness(2));
    let peer = RawPeer::connect(&broker);
    peer.send(&[hello(700, 4)]);
    assert_eq!(peer.receive_one(welcome), (700, 4, 4 << 20));
    // The builders of worker and client say so to the broker.
    let endpoint = &broker.endpoints()[0];
    let slow = Client::builder().connect(endpoint).heartbeat(ms(3_000)).liveness(3);
    let slow = slow.open().await.unwrap();
    let worker = Worker::builder().connect(endpoint).heartbeat(ms(3_000)).liveness(3);
    let worker = worker.serve(echo()).start().unwrap();
    within(worker.connected()).await.unwrap();
    // Intervals of 50 ms would have ended these sessions by now.
    tokio::time::sleep(ms(400)).await;
    assert_eq!(within(call(&slow, "there").into_future()).await.unwrap(), "there");
    assert_eq!(broker.stats().await.turned_away, 0);
}

#[tokio::test]
async fn an_unserved_call_waits_as_long_as_is_set() {
    let broker = start(Broker::builder().unserved_wait(ms(100)));
    let client = client(&broker).await;
    let begin = Instant::now();
    let status = within(call(&client, "").into_future()).await.unwrap_err();
    assert_eq!(status.reason().as_deref(), Some("NO_SERVICE"));
    assert!(waited(begin, ms(100)), "{:?}", begin.elapsed());

    let broker = start(Broker::builder().unserved_wait(ms(60_000)).wait_for_worker(false));
    let client = self::client(&broker).await;
    let status = within(call(&client, "").timeout(ms(20_000)).into_future()).await.unwrap_err();
    assert_eq!(status.reason().as_deref(), Some("NO_SERVICE"));
}

#[tokio::test]
async fn a_slot_is_given_back_after_the_overrun() {
    let broker = start(Broker::builder().overrun(ms(100)));
    let deaf = RawPeer::worker(&broker, "deaf");
    let client = client(&broker).await;
    let status = within(call(&client, "").timeout(ms(50)).into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    // A late answer is dropped, and the worker stays.
    let handle = deaf.receive_one(|record| match record {
        Raw::Request { call, .. } => Some(call),
        _ => None,
    });
    tokio::time::sleep(ms(300)).await;
    deaf.send(&[Raw::Final {
        call: handle,
        code: Code::Ok,
        not_started: false,
        attempt: 0,
        peer: Vec::new(),
        reply: mdp_protocol::wire::Reply::Body(Vec::new()),
    }]);
    until(async || broker.stats().await.late == 1).await;
    assert_eq!(broker.stats().await.sessions, 2);
}

#[tokio::test]
async fn limits_have_names() {
    let limits = Limits { calls_per_client: 3, ..Limits::default() };
    let broker = start(Broker::builder().limits(limits));
    let client = client(&broker).await;
    let waiting: Vec<_> = (0..3).map(|_| tokio::spawn(call(&client, "").into_future())).collect();
    until(async || broker.stats().await.queued == 3).await;
    let status = within(call(&client, "").into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("calls_per_client"), "{status}");
    assert!(status.not_started());
    drop(waiting);
}

#[tokio::test]
async fn the_clients_own_settings_count() {
    let broker = start(Broker::builder().unserved_wait(ms(60_000)));
    let endpoint = &broker.endpoints()[0];
    let client =
        Client::builder().connect(endpoint).timeout(ms(2_000)).max_calls(1).open().await.unwrap();
    let begin = Instant::now();
    let first = tokio::spawn(call(&client, "").into_future());
    until(async || broker.stats().await.queued == 1).await;
    let status = within(call(&client, "").into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("limit of 1 calls"), "{status}");
    // The broker answers an eighth of the time before the client would.
    let status = within(first).await.unwrap().unwrap_err();
    assert_eq!(status.reason().as_deref(), Some("NO_SERVICE"));
    assert!(waited(begin, ms(1_740)), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn attempts_are_counted_over_lost_brokers() {
    for (attempts, second_life) in [(1, false), (3, true)] {
        let first = broker();
        let endpoint = first.endpoints()[0].clone();
        let client = Client::builder().connect(&endpoint).attempts(attempts).open().await.unwrap();
        let _deaf = RawPeer::worker(&first, "deaf");
        let waiting = tokio::spawn(safe_call(&client, "again").into_future());
        until(async || first.stats().await.running == 1).await;
        first.shutdown(Duration::ZERO).await;
        let again = Broker::builder().bind(&endpoint).start().unwrap();
        let _worker = support::worker(&again, echo()).await;
        match within(waiting).await.unwrap() {
            Ok(reply) => assert!(second_life && reply == "again"),
            Err(status) => {
                assert!(!second_life, "{status}");
                assert_eq!(status.reason().as_deref(), Some("MAYBE_EXECUTED"));
            }
        }
    }
}

#[tokio::test]
async fn capacity_is_kept() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let broker = broker();
    let (now, max) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (now.clone(), max.clone());
    let service = answering(move |_, request| {
        let (running, peak) = (running.clone(), peak.clone());
        async move {
            peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(ms(20)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(request)
        }
    });
    let endpoint = &broker.endpoints()[0];
    let _worker = Worker::builder().connect(endpoint).capacity(3).serve(service).start().unwrap();
    let client = client(&broker).await;
    let calls: Vec<_> = (0..12).map(|_| tokio::spawn(call(&client, "").into_future())).collect();
    for call in calls {
        within(call).await.unwrap().unwrap();
    }
    assert_eq!(max.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn wrong_settings_say_what_is_wrong() {
    let words = |error: &dyn std::error::Error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    };
    let error = Broker::builder().start().unwrap_err();
    assert!(matches!(error, BindError::Endpoint(_)), "{error}");
    let error = Broker::builder().bind("tcp//x").start().unwrap_err();
    assert!(words(&error).contains("`tcp//x` is not an endpoint"), "{error}");
    let taken = broker();
    let error = Broker::builder().bind(&taken.endpoints()[0]).start().unwrap_err();
    assert!(
        words(&error).contains(": Address already in use; another socket listens"),
        "{}",
        words(&error)
    );

    let error = Client::builder().open_lazy().unwrap_err();
    assert!(matches!(error, ConnectError::Endpoint(_)));
    let error = Client::builder().connect("inproc://x").id("a b").open_lazy().unwrap_err();
    assert!(words(&error).contains("byte 1 of the name is 0x20"), "{}", words(&error));
    let nobody = Client::builder().connect("tcp://127.0.0.1:1").connect_timeout(ms(200));
    let error = nobody.open().await.unwrap_err();
    assert!(words(&error).starts_with("no broker answered within 200ms at tcp://127.0.0.1:1"));

    let builder = || Worker::builder().connect("tcp://127.0.0.1:1");
    assert!(matches!(builder().start().unwrap_err(), ServeError::NoService));
    let error = builder().capacity(0).serve(echo()).start().unwrap_err();
    assert!(matches!(error, ServeError::Capacity(0)));
    let error = builder().serve(echo()).serve(echo()).start().unwrap_err();
    assert_eq!(words(&error), "the service `test.v1.Echo` is given twice");
    let error = builder().id("\u{7}").serve(echo()).start().unwrap_err();
    assert!(matches!(error, ServeError::Name { .. }));
}

#[test]
fn without_tokio_there_is_an_error_and_no_panic() {
    let error = Client::builder().connect("tcp://127.0.0.1:1").open_lazy().unwrap_err();
    assert!(matches!(error, ConnectError::NoTokio));
    let worker = Worker::builder().connect("tcp://127.0.0.1:1").serve(echo()).start();
    assert!(matches!(worker.unwrap_err(), ServeError::NoTokio));
}

#[tokio::test]
async fn names_and_ipv6_addresses_are_found() {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").bind("tcp://[::1]:*").start().unwrap();
    let [four, six] = broker.endpoints() else { panic!("two endpoints are bound") };
    assert!(four.starts_with("tcp://127.0.0.1:") && six.starts_with("tcp://[::1]:"), "{six}");
    let _worker = Worker::builder().connect(six).serve(echo()).start().unwrap();
    let named = four.replace("127.0.0.1", "localhost");
    let client = Client::connect(named).await.unwrap();
    assert_eq!(within(call(&client, "found").into_future()).await.unwrap(), "found");
}

#[tokio::test]
async fn the_state_can_be_watched() {
    let broker = broker();
    let endpoint = broker.endpoints()[0].clone();
    let client = Client::builder().connect(&endpoint).id("watched").open_lazy().unwrap();
    let mut state = client.state();
    let connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected { endpoint: 0, id } if **id == *b"watched");
    within(state.wait_for(connected)).await.unwrap();
    broker.shutdown(Duration::ZERO).await;
    let disconnected = |state: &ConnectionState| matches!(state, ConnectionState::Disconnected(_));
    within(state.wait_for(disconnected)).await.unwrap();
    let _again = Broker::builder().bind(&endpoint).start().unwrap();
    within(state.wait_for(connected)).await.unwrap();
    within(client.shutdown(Duration::ZERO)).await;
    assert_eq!(*state.borrow(), ConnectionState::Closed);
    let status = within(call(&client, "").into_future()).await.unwrap_err();
    assert_eq!((status.code(), status.not_started()), (Code::Cancelled, true));
}
