//! PING and PONG, in both directions.

use std::time::Duration;

use mdp_zmtp::{Config, Heartbeat, SocketType};

use crate::peer::{Keys, Peer, bind, socket};

/// The connection must last as long, and have many heartbeats in it.
const LONG: Duration = Duration::from_millis(1_200);

fn lasts(keys: Option<&Keys>, set: impl Fn(&zmq::Socket), config: Config) {
    let context = zmq::Context::new();
    let router = socket(&context, zmq::ROUTER);
    set(&router);
    let mut config = config;
    if let Some(keys) = keys {
        keys.their_server(&router);
        config = config.mechanism(keys.our_client());
    }
    let mut peer = Peer::connect(&bind(&router), config);
    peer.handshake().unwrap();
    peer.run(LONG).unwrap();
    peer.send(&["hello".into()]);
    let got = router.recv_multipart(0).unwrap();
    router.send_multipart(&got, 0).unwrap();
    assert_eq!(peer.receive().unwrap(), ["hello"]);
}

#[test]
fn heartbeats_of_libzmq_are_answered() {
    for keys in [None, Some(Keys::new())] {
        let set = |socket: &zmq::Socket| {
            socket.set_heartbeat_ivl(50).unwrap();
            socket.set_heartbeat_timeout(300).unwrap();
            socket.set_heartbeat_ttl(1_000).unwrap();
        };
        lasts(keys.as_ref(), set, Config::new(SocketType::Dealer));
    }
}

#[test]
fn libzmq_answers_our_heartbeats() {
    for keys in [None, Some(Keys::new())] {
        let heartbeat = Heartbeat { interval_ms: 50, timeout_ms: 400, ttl_ms: 1_000 };
        lasts(keys.as_ref(), |_| {}, Config::new(SocketType::Dealer).heartbeat(heartbeat));
    }
}
