//! Keys and types that are refused, as both sides see it.

use std::thread;

use mdp_zmtp::{Command, Config, Error, Refusal, SocketType};

use crate::peer::{End, Keys, Peer, bind, listen, socket};

/// The events of a monitor, by libzmq's numbers.
const FAILED_NO_DETAIL: u16 = 0x0800;
const FAILED_PROTOCOL: u16 = 0x2000;
const FAILED_AUTH: u16 = 0x4000;

/// The next failed handshake that libzmq's socket reports.
fn failure(monitor: &zmq::Socket) -> (u16, u32) {
    loop {
        let frames = monitor.recv_multipart(0).unwrap();
        let event = u16::from_ne_bytes(frames[0][..2].try_into().unwrap());
        let value = u32::from_ne_bytes(frames[0][2..6].try_into().unwrap());
        if [FAILED_NO_DETAIL, FAILED_PROTOCOL, FAILED_AUTH].contains(&event) {
            return (event, value);
        }
    }
}

fn monitored(context: &zmq::Context, kind: zmq::SocketType) -> (zmq::Socket, zmq::Socket) {
    let watched = socket(context, kind);
    watched.monitor("inproc://monitor", i32::from(u16::MAX)).unwrap();
    let monitor = socket(context, zmq::PAIR);
    monitor.connect("inproc://monitor").unwrap();
    (watched, monitor)
}

#[test]
fn their_client_reports_our_refusal() {
    for (refusal, code) in [(Refusal::Denied, 400), (Refusal::Failed, 500)] {
        let (keys, context) = (Keys::new(), zmq::Context::new());
        let (dealer, monitor) = monitored(&context, zmq::DEALER);
        keys.their_client(&dealer);
        let (listener, endpoint) = listen();
        dealer.connect(&endpoint).unwrap();
        let mut peer =
            Peer::accept(&listener, Config::new(SocketType::Router).mechanism(keys.our_server()));
        peer.refusal = Some(refusal);
        let end = peer.handshake().unwrap_err();
        assert!(matches!(&end, End::Error(Error::NotAdmitted(of)) if *of == refusal), "{end:?}");
        drop(peer);
        assert_eq!(failure(&monitor), (FAILED_AUTH, code));
    }
}

#[test]
fn our_client_reports_their_refusal() {
    for code in ["400", "500"] {
        let (keys, context) = (Keys::new(), zmq::Context::new());
        let zap = socket(&context, zmq::REP);
        zap.bind("inproc://zeromq.zap.01").unwrap();
        let handler = thread::spawn(move || {
            let request = zap.recv_multipart(0).unwrap();
            let id = request[1].clone();
            let reply: [&[u8]; 6] = [b"1.0", &id, code.as_bytes(), b"no", b"", b""];
            zap.send_multipart(reply, 0).unwrap();
            // The socket comes back, too: it is not closed before its reply is read.
            (request[6].clone(), zap)
        });
        let router = socket(&context, zmq::ROUTER);
        router.set_zap_domain("test").unwrap();
        keys.their_server(&router);
        let config = Config::new(SocketType::Dealer).mechanism(keys.our_client());
        let mut peer = Peer::connect(&bind(&router), config);
        let End::Error(error) = peer.handshake().unwrap_err() else { panic!("no reason") };
        assert_eq!(error.refusal().map(Refusal::code), Some(code));
        // The handler was asked about our key.
        assert_eq!(handler.join().unwrap().0, keys.client.public_key);
    }
}

#[test]
fn wrong_server_keys_are_found_by_the_server() {
    let (keys, others, context) = (Keys::new(), Keys::new(), zmq::Context::new());
    let (dealer, monitor) = monitored(&context, zmq::DEALER);
    others.their_client(&dealer);
    let (listener, endpoint) = listen();
    dealer.connect(&endpoint).unwrap();
    let config = Config::new(SocketType::Router).mechanism(keys.our_server());
    let mut peer = Peer::accept(&listener, config);
    let end = peer.handshake().unwrap_err();
    assert!(matches!(end, End::Error(Error::Box { command: Command::Hello })), "{end:?}");
    drop(peer);
    assert_eq!(failure(&monitor).0, FAILED_NO_DETAIL);

    let router = socket(&context, zmq::ROUTER);
    keys.their_server(&router);
    let config = Config::new(SocketType::Dealer).mechanism(others.our_client());
    let end = Peer::connect(&bind(&router), config).handshake().unwrap_err();
    assert!(matches!(end, End::Closed), "{end:?}");
}

#[test]
fn a_wrong_socket_type_is_refused() {
    let context = zmq::Context::new();
    let publisher = socket(&context, zmq::PUB);
    let mut peer = Peer::connect(&bind(&publisher), Config::new(SocketType::Dealer));
    let end = peer.handshake().unwrap_err();
    assert!(matches!(end, End::Error(Error::SocketType { .. }) | End::Closed), "{end:?}");
}

#[test]
fn another_mechanism_is_refused() {
    let (keys, context) = (Keys::new(), zmq::Context::new());
    let (router, monitor) = monitored(&context, zmq::ROUTER);
    keys.their_server(&router);
    let end = Peer::connect(&bind(&router), Config::new(SocketType::Dealer)).handshake();
    // libzmq may close the connection before it has sent all of its greeting.
    match end.unwrap_err() {
        End::Error(error) => assert!(matches!(error, Error::Mechanism { ours: "NULL", .. })),
        End::Closed => {}
    }
    let (event, _) = failure(&monitor);
    assert!([FAILED_PROTOCOL, FAILED_NO_DETAIL].contains(&event), "{event:#x}");
}
