//! Messages of all sizes, there and back.

use bytes::Bytes;
use mdp_zmtp::{Config, Limits, SocketType};

use crate::peer::{Keys, Peer, bind, listen, socket};

const SIZES: [usize; 8] = [0, 1, 254, 255, 256, 257, 64 << 10, 8 << 20];

/// Which side binds, and is the server of CURVE.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Binds {
    We,
    They,
}

/// A connection between our socket and libzmq's.
fn pair(
    ours: SocketType,
    theirs: zmq::SocketType,
    binds: Binds,
    keys: Option<&Keys>,
) -> (Peer, zmq::Socket, zmq::Context) {
    let context = zmq::Context::new();
    let socket = socket(&context, theirs);
    let limits = Limits { frame_bytes: 16 << 20, message_bytes: 32 << 20, ..Limits::default() };
    let mut config = Config::new(ours).limits(limits);
    let mut peer = match binds {
        Binds::They => {
            if let Some(keys) = keys {
                keys.their_server(&socket);
                config = config.mechanism(keys.our_client());
            }
            Peer::connect(&bind(&socket), config)
        }
        Binds::We => {
            if let Some(keys) = keys {
                keys.their_client(&socket);
                config = config.mechanism(keys.our_server());
            }
            let (listener, endpoint) = listen();
            socket.connect(&endpoint).unwrap();
            Peer::accept(&listener, config)
        }
    };
    let said = peer.handshake().unwrap();
    assert_eq!(said.version(), (3, 1));
    let key = keys.map(|keys| match binds {
        Binds::We => keys.client.public_key,
        Binds::They => keys.server.public_key,
    });
    assert_eq!(said.key().map(|key| *key.as_bytes()), key);
    (peer, socket, context)
}

fn payload(len: usize) -> Bytes {
    (0..len).map(|at| (at % 251) as u8).collect::<Vec<_>>().into()
}

/// We ask, libzmq sends back what it gets.
fn ask(peer: &mut Peer, socket: &zmq::Socket, frames: &[Bytes]) {
    peer.send(frames);
    let got = socket.recv_multipart(0).unwrap();
    socket.send_multipart(got, 0).unwrap();
    assert!(peer.receive().unwrap() == frames);
}

/// libzmq asks, we send back what we get.
fn answer(peer: &mut Peer, socket: &zmq::Socket, frames: &[Bytes]) {
    socket.send_multipart(frames.iter().map(|frame| &frame[..]), 0).unwrap();
    let got = peer.receive().unwrap();
    peer.send(&got);
    assert!(socket.recv_multipart(0).unwrap() == frames);
}

fn for_each_pair(
    ours: SocketType,
    theirs: zmq::SocketType,
    check: impl Fn(&mut Peer, &zmq::Socket),
) {
    for binds in [Binds::We, Binds::They] {
        for keys in [None, Some(Keys::new())] {
            let (mut peer, socket, _context) = pair(ours, theirs, binds, keys.as_ref());
            check(&mut peer, &socket);
        }
    }
}

#[test]
fn our_dealer_and_their_router() {
    for_each_pair(SocketType::Dealer, zmq::ROUTER, |peer, socket| {
        for len in SIZES {
            ask(peer, socket, &[payload(len)]);
            ask(peer, socket, &[payload(len), Bytes::new(), payload(3), payload(len)]);
        }
    });
}

#[test]
fn our_router_and_their_dealer() {
    for_each_pair(SocketType::Router, zmq::DEALER, |peer, socket| {
        for len in SIZES {
            answer(peer, socket, &[payload(len)]);
            ask(peer, socket, &[payload(len), Bytes::new(), payload(len)]);
        }
    });
}

#[test]
fn our_req_and_their_rep() {
    for_each_pair(SocketType::Req, zmq::REP, |peer, socket| {
        for len in SIZES {
            // REQ puts an empty frame before its body; REP sends it back.
            ask(peer, socket, &[Bytes::new(), payload(len)]);
        }
    });
}

#[test]
fn our_router_and_their_req() {
    for_each_pair(SocketType::Router, zmq::REQ, |peer, socket| {
        for len in SIZES {
            socket.send(&payload(len)[..], 0).unwrap();
            let got = peer.receive().unwrap();
            assert!(got == [Bytes::new(), payload(len)]);
            peer.send(&got);
            assert!(socket.recv_bytes(0).unwrap() == payload(len));
        }
    });
}

#[test]
fn thousands_of_messages_at_once() {
    for_each_pair(SocketType::Dealer, zmq::DEALER, |peer, socket| {
        socket.set_sndhwm(0).unwrap();
        let messages: Vec<Bytes> = (0..5_000).map(|len| payload(len % 600)).collect();
        for message in &messages {
            peer.send(std::slice::from_ref(message));
        }
        for message in &messages {
            let got = socket.recv_bytes(0).unwrap();
            assert!(got == message[..]);
            socket.send(got, 0).unwrap();
        }
        for message in messages {
            assert!(peer.receive().unwrap() == [message]);
        }
    });
}

#[test]
fn identities_travel() {
    let context = zmq::Context::new();
    let router = socket(&context, zmq::ROUTER);
    let config = Config::new(SocketType::Dealer).identity("ann").unwrap();
    let mut peer = Peer::connect(&bind(&router), config);
    peer.handshake().unwrap();
    peer.send(&["hello".into()]);
    assert_eq!(router.recv_multipart(0).unwrap(), [b"ann".to_vec(), b"hello".to_vec()]);

    let dealer = socket(&context, zmq::DEALER);
    dealer.set_identity(b"ben").unwrap();
    let (listener, endpoint) = listen();
    dealer.connect(&endpoint).unwrap();
    let mut peer = Peer::accept(&listener, Config::new(SocketType::Router));
    assert_eq!(peer.handshake().unwrap().identity(), "ben");
}
