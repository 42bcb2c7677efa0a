//! What can only be seen from within: what libzmq would do, and what it does with our settings.

use super::Context;
use super::curve::{set_up_client, set_up_server};
use super::zap;
use crate::security::{AllowList, KeyPair};

/// Whether one of libzmq's servers accepts a peer with a key of its own.
fn takes_a_stranger(set_up: impl Fn(&Context, &mut zmq::Socket, &KeyPair)) -> bool {
    let (context, keys) = (Context::new(), KeyPair::new().unwrap());
    let mut router = context.socket(zmq::ROUTER).unwrap();
    router.set_linger(0).unwrap();
    set_up(&context, &mut router, &keys);
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    let elsewhere = Context::new();
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
        takes_a_stranger(move |context, router, keys| {
            let registration = zap::Registration::new(context, allowed.clone(), || {}).unwrap();
            set_up_server(router, keys, registration.domain()).unwrap();
            std::mem::forget(registration); // as long as the test's process
        })
    };
    assert!(server(AllowList::anybody()));
    assert!(!server(AllowList::nobody()));
    assert!(!server(AllowList::of([*KeyPair::new().unwrap().public()])));
}
