//! A libzmq without CURVE, and a handler of ZAP that ends.

#![cfg_attr(not(feature = "zmq"), allow(unused_imports, dead_code))] // For tests that are left out.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use mdp_runtime::security::{AllowList, CurveClient, CurveServer, KeyPair};
use mdp_runtime::testing;
use mdp_runtime::{
    BindError, Broker, BrokerFailure, Client, ConnectError, Context, ServeError, Transport, Worker,
};
use mdp_transport::testing::{end_handler, has_handler};

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
fn testing_service() -> impl mdp_runtime::codegen::Service {
    struct Nothing;
    impl mdp_runtime::codegen::Service for Nothing {
        fn spec(&self) -> &'static mdp_runtime::codegen::ServiceSpec {
            static SPEC: mdp_runtime::codegen::ServiceSpec =
                mdp_runtime::codegen::ServiceSpec { name: "test.v1.Nothing", methods: &[] };
            &SPEC
        }

        fn schema(&self) -> mdp_runtime::codegen::Schema {
            mdp_runtime::codegen::Schema::of_files(Vec::new())
        }

        fn call(
            &self,
            _: u32,
            _: mdp_runtime::CallContext,
            _: bytes::Bytes,
        ) -> mdp_runtime::codegen::HandlerFuture {
            mdp_runtime::codegen::handling(async {
                Err(mdp_runtime::Status::unimplemented("nothing"))
            })
        }
    }
    Nothing
}

#[cfg(feature = "zmq")]
#[tokio::test]
async fn a_broker_whose_handler_ends_lets_nobody_in_and_stops() {
    // Only libzmq has a handler of ZAP.
    let context = Context::with_transport(Transport::Libzmq);
    let keys = KeyPair::new().unwrap();
    let curve = CurveClient::new(*keys.public());
    let server = CurveServer::new(keys).allow_list(AllowList::anybody());
    let start = || {
        let builder = Broker::builder().bind("tcp://127.0.0.1:*").context(&context);
        builder.curve(server.clone()).start().unwrap()
    };
    let (mut first, mut second) = (start(), start());
    let connect = |broker: &Broker, patience| {
        let builder = Client::builder().connect(&broker.endpoints()[0]).curve(curve.clone());
        builder.connect_timeout(patience).open()
    };
    let client = connect(&first, DEADLINE).await.unwrap();
    end_handler(&context);
    for broker in [&mut first, &mut second] {
        let stopped = tokio::time::timeout(DEADLINE, broker.stopped()).await.unwrap();
        assert_eq!(stopped, Err(BrokerFailure::Authenticator));
        assert!(connect(broker, Duration::from_millis(300)).await.is_err());
    }
    // Connected peers are informed at once, and do not wait for missing heartbeats.
    let mut state = client.state();
    let lost =
        state.wait_for(|state| !matches!(state, mdp_runtime::ConnectionState::Connected { .. }));
    tokio::time::timeout(DEADLINE, lost).await.unwrap().unwrap();
    // The next broker has a handler of its own.
    let third = start();
    connect(&third, DEADLINE).await.unwrap();
}

#[cfg(feature = "zmq")]
#[tokio::test]
async fn the_handler_goes_with_the_last_broker() {
    let context = Context::with_transport(Transport::Libzmq);
    let handler = || has_handler(&context);
    let server = CurveServer::new(KeyPair::new().unwrap());
    for _ in 0..5 {
        let builder = Broker::builder().bind("tcp://127.0.0.1:*").context(&context);
        let broker = builder.curve(server.clone()).start().unwrap();
        assert!(handler());
        broker.shutdown(Duration::ZERO).await;
        let until = Instant::now() + DEADLINE;
        while handler() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(!handler());
    }
    // Without CURVE there is no handler.
    let _classic = testing::broker().unwrap();
    assert!(!handler());
}
