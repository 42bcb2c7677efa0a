//! Tests the statements of RFC 27, each under its id in docs/security.md. The handler is this crate's. The server side
//! is libzmq's own; a handler of the test watches it.

use std::io;
use std::time::Duration;

use proptest::prelude::*;

use super::request::{self, Refusal};
use super::*;
use crate::libzmq::curve::{set_up_client, set_up_server};
use crate::security::{KeyPair, PublicKey};

const PATIENCE_MS: i32 = 10_000;

/// A context with a handler that allows one key, and the domain.
struct Fixture {
    context: Context,
    registration: Registration,
    key: PublicKey,
}

impl Fixture {
    fn new() -> Self {
        let context = Context::new();
        let key = *KeyPair::new().unwrap().public();
        let registration = Registration::new(&context, AllowList::of([key]), || {}).unwrap();
        Fixture { context, registration, key }
    }

    /// A socket that asks as a server does.
    fn socket(&self, kind: zmq::SocketType) -> zmq::Socket {
        let socket = self.context.socket(kind).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(PATIENCE_MS).unwrap();
        socket.connect(ENDPOINT).unwrap();
        socket
    }

    fn request(&self) -> Vec<Vec<u8>> {
        curve(self.registration.domain(), &self.key)
    }

    /// The reply to a request without its delimiter.
    fn asks(&self, request: &[Vec<u8>]) -> ZapReply {
        let socket = self.socket(zmq::REQ);
        socket.send_multipart(request, 0).unwrap();
        ZapReply::read(socket.recv_multipart(0).unwrap())
    }
}

fn curve(domain: &str, key: &PublicKey) -> Vec<Vec<u8>> {
    let frames: [&[u8]; 7] =
        [b"1.0", b"1", domain.as_bytes(), b"127.0.0.1", b"", b"CURVE", key.as_bytes()];
    frames.map(<[u8]>::to_vec).into()
}

/// Replaces one frame of a request.
fn with(mut request: Vec<Vec<u8>>, place: usize, frame: &[u8]) -> Vec<Vec<u8>> {
    request[place] = frame.to_vec();
    request
}

#[derive(Debug, PartialEq, Eq)]
struct ZapReply {
    version: String,
    id: Vec<u8>,
    status: String,
    text: String,
    user: String,
    metadata: Vec<u8>,
}

impl ZapReply {
    fn read(frames: Vec<Vec<u8>>) -> Self {
        let [version, id, status, text, user, metadata]: [Vec<u8>; 6] =
            frames.try_into().expect("six frames");
        let text_of = |frame: Vec<u8>| String::from_utf8(frame).unwrap();
        ZapReply {
            version: text_of(version),
            id,
            status: text_of(status),
            text: text_of(text),
            user: text_of(user),
            metadata,
        }
    }
}

/// The request that libzmq sends to a handler about a peer with this mechanism.
fn libzmq_asks(handler: zmq::SocketType, mechanism: &str, server: &str) -> Vec<Vec<u8>> {
    let context = Context::new();
    let zap = context.socket(handler).unwrap();
    zap.set_rcvtimeo(PATIENCE_MS).unwrap();
    zap.bind(ENDPOINT).unwrap();
    let mut router = context.socket(zmq::ROUTER).unwrap();
    router.set_linger(0).unwrap();
    router.set_identity(b"broker").unwrap();
    let keys = KeyPair::new().unwrap();
    match mechanism {
        "CURVE" => set_up_server(&mut router, &keys, "a domain").unwrap(),
        _ => router.set_zap_domain("a domain").unwrap(),
    }
    if mechanism == "PLAIN" {
        router.set_plain_server(true).unwrap();
    }
    router.set_ipv6(server.contains('[')).unwrap();
    router.bind(server).unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    let peer = Context::new().socket(zmq::DEALER).unwrap();
    peer.set_linger(0).unwrap();
    peer.set_ipv6(server.contains('[')).unwrap();
    match mechanism {
        "CURVE" => set_up_client(&peer, &KeyPair::new().unwrap(), keys.public()).unwrap(),
        "PLAIN" => {
            peer.set_plain_username(Some("ann")).unwrap();
            peer.set_plain_password(Some("secret")).unwrap();
        }
        _ => {}
    }
    peer.connect(&endpoint).unwrap();
    zap.recv_multipart(0).unwrap()
}

#[test]
fn z1_a_server_asks_with_req_or_dealer() {
    let fixture = Fixture::new();
    assert_eq!(fixture.asks(&fixture.request()).status, "200", "REQ");
    let dealer = fixture.socket(zmq::DEALER);
    let request: Vec<Vec<u8>> = [vec![Vec::new()], fixture.request()].concat();
    dealer.send_multipart(&request, 0).unwrap();
    dealer.send_multipart(&request, 0).unwrap();
    for _ in 0..2 {
        let reply = dealer.recv_multipart(0).unwrap();
        assert_eq!(reply[0], b"");
        assert_eq!(ZapReply::read(reply[1..].to_vec()).status, "200");
    }
    // libzmq's own side: a handler with a REP socket receives its requests, which only REQ and DEALER sockets can send.
    assert_eq!(libzmq_asks(zmq::REP, "CURVE", "tcp://127.0.0.1:*")[0], b"1.0");
}

#[test]
fn z2_the_handler_is_a_router() {
    // A ROUTER accepts several requests at once and answers each. A REP would accept the second one only after its
    // answer to the first.
    let fixture = Fixture::new();
    let sockets: Vec<_> = (0..20).map(|_| fixture.socket(zmq::REQ)).collect();
    for (number, socket) in sockets.iter().enumerate() {
        let id = number.to_string();
        socket.send_multipart(with(fixture.request(), 1, id.as_bytes()), 0).unwrap();
    }
    for (number, socket) in sockets.iter().enumerate().rev() {
        let reply = ZapReply::read(socket.recv_multipart(0).unwrap());
        assert_eq!(reply.id, number.to_string().as_bytes());
    }
}

#[test]
fn z3_the_handler_binds_where_servers_connect() {
    assert_eq!(ENDPOINT, "inproc://zeromq.zap.01");
    let fixture = Fixture::new();
    let other = fixture.context.socket(zmq::REP).unwrap();
    assert_eq!(other.bind("inproc://zeromq.zap.01"), Err(zmq::Error::EADDRINUSE));
    // libzmq's servers connect to this address: they ask a handler of another library, too.
    libzmq_asks(zmq::ROUTER, "CURVE", "tcp://127.0.0.1:*");
}

#[test]
fn z4_one_handler_serves_all_servers_of_a_context() {
    let fixture = Fixture::new();
    let context = &fixture.context;
    let other_key = *KeyPair::new().unwrap().public();
    let other = Registration::new(context, AllowList::of([other_key]), || {}).unwrap();
    assert!(Arc::ptr_eq(&other.handler, &fixture.registration.handler));
    assert_ne!(other.domain(), fixture.registration.domain());
    // Each registration has its own list.
    let asks = |domain: &str, key| fixture.asks(&curve(domain, &key)).status;
    assert_eq!(asks(other.domain(), other_key), "200");
    assert_eq!(asks(other.domain(), fixture.key), "400");
    assert_eq!(asks(fixture.registration.domain(), other_key), "400");
    // A domain that was given back belongs to no server.
    let domain = other.domain().to_owned();
    drop(other);
    assert_eq!(asks(&domain, other_key), "400");
    // Another context has another handler.
    let elsewhere = Fixture::new();
    assert!(!Arc::ptr_eq(&elsewhere.registration.handler, &fixture.registration.handler));
}

#[test]
fn z5_the_handler_is_there_before_a_server_is() {
    let context = Context::new();
    for _ in 0..50 {
        // The handler answers as soon as a domain exists, and ends with the last domain. So does the next handler.
        let registration = Registration::new(&context, AllowList::anybody(), || {}).unwrap();
        let socket = context.socket(zmq::REQ).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(PATIENCE_MS).unwrap();
        socket.connect(ENDPOINT).unwrap();
        let key = PublicKey::from_bytes([7; 32]);
        socket.send_multipart(curve(registration.domain(), &key), 0).unwrap();
        assert_eq!(ZapReply::read(socket.recv_multipart(0).unwrap()).status, "200");
        drop(registration);
        assert!(context.zap().lock().unwrap().upgrade().is_none());
    }
    // If another library's handler holds the address, no server starts.
    let _other = {
        let other = context.socket(zmq::REP).unwrap();
        other.bind(ENDPOINT).unwrap();
        other
    };
    let failed = Registration::new(&context, AllowList::anybody(), || {}).err();
    let Some(NoHandler::Socket(error)) = failed else { panic!("{failed:?}") };
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn z6_a_request_has_its_frames_in_their_order() {
    let asked = libzmq_asks(zmq::ROUTER, "CURVE", "tcp://127.0.0.1:*");
    let [_route, delimiter, version, id, domain, address, identity, mechanism, key] =
        <[Vec<u8>; 9]>::try_from(asked).unwrap();
    assert_eq!((&*delimiter, &*version), (&b""[..], &b"1.0"[..]));
    assert!(!id.is_empty());
    assert_eq!((&*domain, &*address), (&b"a domain"[..], &b"127.0.0.1"[..]));
    assert_eq!((&*identity, &*mechanism, key.len()), (&b"broker"[..], &b"CURVE"[..], 32));
    // A request with fewer or other frames is an error, and gets an answer.
    let fixture = Fixture::new();
    let good = fixture.request();
    for frames in 1..good.len() {
        let reply = fixture.asks(&good[..frames]);
        assert_eq!(reply.status, "500", "{frames} frames: {reply:?}");
    }
    for version in ["", "1", "1.1", "2.0", "1.0\0"] {
        let reply = fixture.asks(&with(good.clone(), 0, version.as_bytes()));
        assert_eq!((&*reply.status, &*reply.version), ("500", "1.0"), "{version:?}");
    }
    assert_eq!(fixture.asks(&with(good, 2, b"")).status, "400", "a domain is not empty");
}

#[test]
fn z7_a_reply_has_its_frames_in_their_order() {
    let fixture = Fixture::new();
    let wanted = ZapReply {
        version: "1.0".into(),
        id: b"1".to_vec(),
        status: "200".into(),
        text: String::new(),
        user: fixture.key.to_string(),
        metadata: Vec::new(),
    };
    assert_eq!(fixture.asks(&fixture.request()), wanted);
}

#[test]
fn z8_the_id_comes_back_as_it_is() {
    let fixture = Fixture::new();
    for id in [&b""[..], b"1", &[0, 255, 10], &[b'x'; 5_000]] {
        for place in [(4, &b""[..]), (0, b"2.0"), (5, b"NULL")] {
            let request = with(with(fixture.request(), 1, id), place.0, place.1);
            assert_eq!(fixture.asks(&request).id, id, "{place:?}");
        }
    }
}

#[test]
fn z9_the_address_is_that_of_the_peer() {
    let address = |server: &str| libzmq_asks(zmq::ROUTER, "CURVE", server)[5].clone();
    assert_eq!(address("tcp://127.0.0.1:*"), b"127.0.0.1");
    assert_eq!(address("tcp://[::1]:*"), b"::1");
    // The address decides nothing, whatever it is.
    let fixture = Fixture::new();
    for address in ["", "10.1.2.3", "::1", "nowhere"] {
        let request = with(fixture.request(), 3, address.as_bytes());
        assert_eq!(fixture.asks(&request).status, "200", "{address}");
    }
}

#[test]
fn z10_an_identity_has_up_to_255_bytes() {
    let fixture = Fixture::new();
    for (bytes, status) in [(0, "200"), (255, "200"), (256, "500")] {
        let request = with(fixture.request(), 4, &vec![0xff; bytes]);
        assert_eq!(fixture.asks(&request).status, status, "{bytes}");
    }
}

#[test]
fn z11_a_mechanism_is_not_empty_and_is_curve() {
    let fixture = Fixture::new();
    for (mechanism, status) in
        [("", "500"), ("CURVE", "200"), ("GSSAPI", "400"), ("curve", "400"), ("CURVE ", "400")]
    {
        let request = with(fixture.request(), 5, mechanism.as_bytes());
        assert_eq!(fixture.asks(&request).status, status, "{mechanism:?}");
    }
}

#[test]
fn z12_a_status_says_what_became_of_it() {
    // 200 and 400 are answers about keys, 500 about invalid requests. 300 is never sent, because the handler always
    // knows its answer.
    let fixture = Fixture::new();
    assert_eq!(fixture.asks(&fixture.request()).status, "200");
    let unknown = *KeyPair::new().unwrap().public();
    let refused = fixture.asks(&curve(fixture.registration.domain(), &unknown));
    assert_eq!((&*refused.status, &*refused.text), ("400", "the key is not allowed"));
    let refused = fixture.asks(&curve("another", &fixture.key));
    assert_eq!((&*refused.status, &*refused.text), ("400", "the domain is not known"));
    assert_eq!(fixture.asks(&with(fixture.request(), 6, b"short")).status, "500");
    // The list may change at any time.
    let list = AllowList::nobody();
    let own = Registration::new(&fixture.context, list.clone(), || {}).unwrap();
    let asks = || fixture.asks(&curve(own.domain(), &unknown)).status;
    assert_eq!(asks(), "400");
    list.add(unknown);
    assert_eq!(asks(), "200");
    assert!(list.remove(&unknown));
    assert_eq!(asks(), "400");
}

#[test]
fn z13_a_user_id_is_for_those_who_are_let_in() {
    let fixture = Fixture::new();
    let good = fixture.request();
    let reply = fixture.asks(&good);
    assert_eq!((&*reply.text, &*reply.user), ("", &*fixture.key.to_string()));
    for (place, frame) in [(0, &b"2.0"[..]), (2, b"another"), (5, b"NULL"), (6, &[1; 32])] {
        let reply = fixture.asks(&with(good.clone(), place, frame));
        assert!(reply.user.is_empty() && !reply.text.is_empty(), "{reply:?}");
    }
}

#[test]
fn z14_metadata_is_empty() {
    let fixture = Fixture::new();
    assert_eq!(fixture.asks(&fixture.request()).metadata, b"");
    assert_eq!(fixture.asks(&with(fixture.request(), 2, b"another")).metadata, b"");
}

#[test]
fn z15_strings_are_ascii_of_up_to_255_characters() {
    let fixture = Fixture::new();
    let good = fixture.request();
    let long = "x".repeat(256);
    for place in [2, 3, 5] {
        for bad in [long.as_bytes(), "ä".as_bytes(), b"\0", b"\xff", b"a\nb"] {
            assert_eq!(fixture.asks(&with(good.clone(), place, bad)).status, "500", "{place}");
        }
    }
    let just = with(good, 3, &long.as_bytes()[1..]);
    assert_eq!(fixture.asks(&just).status, "200");
}

#[test]
fn z16_the_routing_id_goes_first_and_the_delimiter_stays() {
    // REQ and REP hide the delimiter, as `Fixture::asks` and the REP of Z1 show. A ROUTER sees the routing id and the
    // delimiter, and they bring the reply back to a DEALER.
    let fixture = Fixture::new();
    let dealer = fixture.socket(zmq::DEALER);
    dealer.send_multipart([vec![Vec::new()], fixture.request()].concat(), 0).unwrap();
    assert_eq!(dealer.recv_multipart(0).unwrap().len(), 7);
    let frames = [vec![b"route".to_vec(), Vec::new()], fixture.request()].concat();
    let reply = request::answer(&frames, |question| Ok(question.key)).unwrap();
    assert_eq!(reply[..2], [b"route".to_vec(), Vec::new()]);
}

/// The handler asks no other handler, so it does not need to be a proxy (MAY). Z18 shows that it works behind a proxy.
#[test]
fn z17_the_handler_is_no_proxy() {
    let fixture = Fixture::new();
    let started = Instant::now();
    assert_eq!(fixture.asks(&fixture.request()).status, "200");
    assert!(started.elapsed() < Duration::from_millis(i64::from(PATIENCE_MS) as u64));
}

#[test]
fn z18_all_routing_frames_come_back() {
    let fixture = Fixture::new();
    let dealer = fixture.socket(zmq::DEALER);
    for count in [0, 1, 2, 10, 100] {
        let route: Vec<Vec<u8>> = (0..count).map(|number| vec![number + 1; 5]).collect();
        let request = [route.clone(), vec![Vec::new()], fixture.request()].concat();
        dealer.send_multipart(&request, 0).unwrap();
        let reply = dealer.recv_multipart(0).unwrap();
        let (envelope, rest) = reply.split_at(route.len() + 1);
        assert_eq!(envelope, [route, vec![Vec::new()]].concat());
        assert_eq!(ZapReply::read(rest.to_vec()).status, "200");
    }
}

#[test]
fn z19_null_has_no_credentials_and_is_refused() {
    let asked = libzmq_asks(zmq::ROUTER, "NULL", "tcp://127.0.0.1:*");
    assert_eq!((asked.len(), &*asked[7]), (8, &b"NULL"[..]));
    let fixture = Fixture::new();
    let null = with(fixture.request(), 5, b"NULL");
    assert_eq!(fixture.asks(&null[..6]).status, "400");
    assert_eq!(fixture.asks(&null).status, "500", "with credentials");
}

#[test]
fn z20_plain_has_two_credentials_and_is_refused() {
    let asked = libzmq_asks(zmq::ROUTER, "PLAIN", "tcp://127.0.0.1:*");
    assert_eq!(asked[7..], ["PLAIN", "ann", "secret"].map(|text| text.as_bytes().to_vec()));
    let fixture = Fixture::new();
    let plain = with(fixture.request(), 5, b"PLAIN");
    let two = [&plain[..6], &[b"ann".to_vec(), b"secret".to_vec()]].concat();
    assert_eq!(fixture.asks(&two).status, "400");
    assert_eq!(fixture.asks(&two[..7]).status, "500", "one credential");
    assert_eq!(fixture.asks(&[two, vec![Vec::new()]].concat()).status, "500", "three");
}

#[test]
fn z21_curve_has_one_credential_the_key() {
    let asked = libzmq_asks(zmq::ROUTER, "CURVE", "tcp://127.0.0.1:*");
    assert_eq!((asked.len(), asked[8].len()), (9, 32));
    let fixture = Fixture::new();
    let good = fixture.request();
    assert_eq!(fixture.asks(&good[..6]).status, "500", "no credential");
    let two = [good.clone(), vec![good[6].clone()]].concat();
    assert_eq!(fixture.asks(&two).status, "500", "two");
    for bytes in [0, 31, 33, 40] {
        let request = with(good.clone(), 6, &vec![1; bytes]);
        assert_eq!(fixture.asks(&request).status, "500", "{bytes} bytes");
    }
}

/// The handler survives any message, and does not answer messages that cannot be answered.
#[test]
fn no_request_ends_the_handler() {
    let fixture = Fixture::new();
    let dealer = fixture.socket(zmq::DEALER);
    for frames in [&[&b"x"[..]][..], &[b"a", b"b"], &[b""], &[b"", b""], &[b"", b"1.0"]] {
        dealer.send_multipart(frames, 0).unwrap();
    }
    assert_eq!(fixture.asks(&fixture.request()).status, "200");
    assert!(!fixture.registration.is_gone());
}

#[test]
fn when_the_handler_ends_the_servers_are_told() {
    let fixture = Fixture::new();
    let (told, tells) = std::sync::mpsc::channel();
    let other = Registration::new(&fixture.context, AllowList::nobody(), move || {
        let _ = told.send(());
    })
    .unwrap();
    other.handler.end();
    tells.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(other.is_gone() && fixture.registration.is_gone());
    // The next server gets a new handler, which does not share the old registrations.
    let next = Registration::new(&fixture.context, AllowList::nobody(), || {}).unwrap();
    assert!(!next.is_gone() && other.is_gone());
}

proptest! {
    #[test]
    fn whatever_comes_is_answered_in_form_or_not_at_all(
        frames in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                prop::sample::select(vec![
                    Vec::new(), b"1.0".to_vec(), b"CURVE".to_vec(), b"NULL".to_vec(), vec![9; 32],
                ]),
            ],
            0..12,
        ),
        allow: bool,
    ) {
        let decide = |question: &request::Question<'_>| match allow {
            true => Ok(question.key),
            false => Err(Refusal::Denied("no")),
        };
        match request::answer(&frames, decide) {
            None => prop_assert!(frames.iter().all(|frame| !frame.is_empty())),
            Some(reply) => {
                let route = frames.iter().position(Vec::is_empty).unwrap();
                prop_assert_eq!(&reply[..=route], &frames[..=route]);
                let reply = ZapReply::read(reply[route + 1..].to_vec());
                prop_assert_eq!(reply.status == "200", !reply.user.is_empty());
                prop_assert!(allow || reply.status != "200");
            }
        }
    }
}
