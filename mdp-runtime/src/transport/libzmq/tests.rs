//! Tests that need access to internals: a libzmq without CURVE, a handler that ends, and libzmq's own behaviour.

use std::time::{Duration, Instant};

use super::curve::{set_up_client, set_up_server};
use super::zap;
use crate::security::{AllowList, CurveClient, CurveServer, KeyPair};
use crate::testing;
use crate::{BindError, Broker, BrokerFailure, Client, ConnectError, Runtime, ServeError, Worker};

const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn without_curve_in_libzmq_nothing_starts_and_the_mend_is_told() {
    let keys = KeyPair::new().unwrap();
    let client = CurveClient::new(*keys.public()).without_curve();
    let broker = Broker::builder().bind("tcp://127.0.0.1:*");
    let broker = broker.curve(CurveServer::new(keys).without_curve()).start().unwrap_err();
    assert!(matches!(broker, BindError::CurveUnavailable(_)), "{broker:?}");
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let _entered = tokio.enter();
    let endpoint = "tcp://127.0.0.1:1";
    let opened = Client::builder().connect(endpoint).curve(client.clone()).open_lazy();
    let opened = opened.unwrap_err();
    assert!(matches!(opened, ConnectError::CurveUnavailable(_)), "{opened:?}");
    let service = testing_service();
    let started = Worker::builder().connect(endpoint).curve(client).serve(service).start();
    let started = started.unwrap_err();
    assert!(matches!(started, ServeError::CurveUnavailable(_)), "{started:?}");
    for text in [broker.to_string(), opened.to_string(), started.to_string()] {
        assert!(text.contains("[patch.crates-io]") && text.contains("zeromq-src"), "{text}");
    }
}

/// A service without methods.
fn testing_service() -> impl crate::codegen::Service {
    struct Nothing;
    impl crate::codegen::Service for Nothing {
        fn spec(&self) -> &'static crate::codegen::ServiceSpec {
            static SPEC: crate::codegen::ServiceSpec =
                crate::codegen::ServiceSpec { name: "test.v1.Nothing", methods: &[] };
            &SPEC
        }

        fn schema(&self) -> crate::codegen::Schema {
            crate::codegen::Schema::of_files(Vec::new())
        }

        fn call(&self, _: u32, _: crate::CallContext, _: bytes::Bytes) -> crate::codegen::Handling {
            crate::codegen::handling(async { Err(crate::Status::unimplemented("nothing")) })
        }
    }
    Nothing
}

/// Whether one of libzmq's servers accepts a peer with a key of its own.
fn takes_a_stranger(set_up: impl Fn(&Runtime, &mut zmq::Socket, &KeyPair)) -> bool {
    let (runtime, keys) = (Runtime::new(), KeyPair::new().unwrap());
    let mut router = runtime.socket(zmq::ROUTER).unwrap();
    router.set_linger(0).unwrap();
    set_up(&runtime, &mut router, &keys);
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    let elsewhere = Runtime::new();
    let dealer = elsewhere.socket(zmq::DEALER).unwrap();
    dealer.set_linger(0).unwrap();
    set_up_client(&dealer, &KeyPair::new().unwrap(), keys.public()).unwrap();
    // The handshake succeeds, or libzmq reports a failure. So the test does not wait for a timeout.
    let events = zmq::SocketEvent::HANDSHAKE_SUCCEEDED.to_raw()
        | zmq::SocketEvent::HANDSHAKE_FAILED_AUTH.to_raw()
        | zmq::SocketEvent::HANDSHAKE_FAILED_PROTOCOL.to_raw()
        | zmq::SocketEvent::HANDSHAKE_FAILED_NO_DETAIL.to_raw();
    dealer.monitor("inproc://events", i32::from(events)).unwrap();
    let monitor = elsewhere.socket(zmq::PAIR).unwrap();
    monitor.set_rcvtimeo(10_000).unwrap();
    monitor.connect("inproc://events").unwrap();
    dealer.connect(&endpoint).unwrap();
    let event = monitor.recv_msg(0).unwrap();
    let succeeded = zmq::SocketEvent::HANDSHAKE_SUCCEEDED.to_raw();
    let taken = event[..2] == succeeded.to_ne_bytes();
    let mut dealer = dealer;
    super::frame::stop_monitor(&mut dealer).unwrap();
    taken
}

#[test]
fn a_keys_text_is_that_of_libzmq() {
    for _ in 0..50 {
        let key = *KeyPair::new().unwrap().public();
        assert_eq!(key.to_string(), zmq::z85_encode(key.as_bytes()).unwrap());
    }
}

/// CURVE alone does not limit which peers may connect.
#[test]
fn a22_curve_without_a_handler_takes_everybody_in_plain_libzmq() {
    assert!(takes_a_stranger(|_, router, keys| {
        router.set_curve_server(true).unwrap();
        router.set_curve_secretkey(keys.secret().expose()).unwrap();
    }));
    // The same with a domain and without a handler, unless the domain is enforced.
    assert!(takes_a_stranger(|_, router, keys| {
        router.set_curve_server(true).unwrap();
        router.set_curve_secretkey(keys.secret().expose()).unwrap();
        router.set_zap_domain("a domain").unwrap();
    }));
}

#[test]
fn a22_our_server_without_a_handler_takes_nobody() {
    assert!(!takes_a_stranger(|_, router, keys| set_up_server(router, keys, "a").unwrap()));
}

#[test]
fn a22_our_server_with_its_handler_takes_whom_it_allows() {
    let server = |allowed: AllowList| {
        takes_a_stranger(move |runtime, router, keys| {
            let registration = zap::Registration::new(runtime, allowed.clone(), || {}).unwrap();
            set_up_server(router, keys, registration.domain()).unwrap();
            std::mem::forget(registration); // as long as the test's process
        })
    };
    assert!(server(AllowList::anybody()));
    assert!(!server(AllowList::nobody()));
    assert!(!server(AllowList::of([*KeyPair::new().unwrap().public()])));
}

#[tokio::test]
async fn a_broker_whose_handler_ends_lets_nobody_in_and_stops() {
    let (runtime, keys) = (Runtime::new(), KeyPair::new().unwrap());
    let curve = CurveClient::new(*keys.public());
    let server = CurveServer::new(keys).allow_list(AllowList::anybody());
    let start = || {
        let builder = Broker::builder().bind("tcp://127.0.0.1:*").runtime(&runtime);
        builder.curve(server.clone()).start().unwrap()
    };
    let (mut first, mut second) = (start(), start());
    let connect = |broker: &Broker, patience| {
        let builder = Client::builder().connect(&broker.endpoints()[0]).curve(curve.clone());
        builder.connect_timeout(patience).open()
    };
    let client = connect(&first, DEADLINE).await.unwrap();
    runtime.zap().lock().unwrap().upgrade().unwrap().end();
    for broker in [&mut first, &mut second] {
        let stopped = tokio::time::timeout(DEADLINE, broker.stopped()).await.unwrap();
        assert_eq!(stopped, Err(BrokerFailure::Authenticator));
        assert!(connect(broker, Duration::from_millis(300)).await.is_err());
    }
    // Connected peers are informed at once, and do not wait for missing heartbeats.
    let mut state = client.state();
    let lost = state.wait_for(|state| !matches!(state, crate::ConnectionState::Connected { .. }));
    tokio::time::timeout(DEADLINE, lost).await.unwrap().unwrap();
    // The next broker has a handler of its own.
    let third = start();
    connect(&third, DEADLINE).await.unwrap();
}

#[tokio::test]
async fn the_handler_goes_with_the_last_broker() {
    let runtime = Runtime::new();
    let handler = || runtime.zap().lock().unwrap().upgrade();
    let server = CurveServer::new(KeyPair::new().unwrap());
    for _ in 0..5 {
        let builder = Broker::builder().bind("tcp://127.0.0.1:*").runtime(&runtime);
        let broker = builder.curve(server.clone()).start().unwrap();
        assert!(handler().is_some());
        broker.shutdown(Duration::ZERO).await;
        let until = Instant::now() + DEADLINE;
        while handler().is_some() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(handler().is_none());
    }
    // Without CURVE there is no handler.
    let _plain = testing::broker().unwrap();
    assert!(handler().is_none());
}
