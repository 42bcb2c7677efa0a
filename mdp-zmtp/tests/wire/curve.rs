//! CURVE, octet by octet, against a conversation that another implementation has computed (`tests/goldens/curve.py`).

use bytes::Bytes;
use mdp_zmtp::SocketType::{Dealer, Pub, Router, Sub};
use mdp_zmtp::{Config, Error, Event, KeyPair, Message, Refusal};

use crate::golden::{curve, fixed};
use crate::side::{
    Side, client_keys, curve_client, curve_server, golden_client, golden_server, ready, seed,
    server_keys, talk,
};

/// The server of the golden conversation after INITIATE.
pub(crate) fn asking() -> Side {
    let mut server = golden_server();
    let octets = [curve("client-greeting"), curve("hello"), curve("initiate")].concat();
    assert!(matches!(server.read(&octets), Ok(Some(Event::Admission(_)))));
    server.written();
    server
}

/// The server of the golden conversation when it is ready.
pub(crate) fn served() -> Side {
    let mut server = asking();
    server.connection.admit(&mut server.out).unwrap();
    assert!(matches!(server.next(), Ok(Some(Event::Ready(_)))));
    server.written();
    server
}

/// The client of the golden conversation when it is ready.
pub(crate) fn connected() -> Side {
    let mut client = golden_client();
    let octets = [curve("server-greeting"), curve("welcome"), curve("ready")].concat();
    assert!(matches!(client.read(&octets), Ok(Some(Event::Ready(_)))));
    client.written();
    client
}

fn asked() -> Event {
    let frames = vec![Bytes::from("hello"), Bytes::from(vec![b'w'; 300])];
    Event::Message(Message::from(frames))
}

#[test]
fn public_keys_belong_to_their_secret_keys() {
    assert_eq!(server_keys().public().as_bytes(), &fixed("server-public"));
    assert_eq!(client_keys().public().as_bytes(), &fixed("client-public"));
}

#[test]
fn a_client_has_the_octets_of_the_rfc() {
    let mut client = golden_client();
    assert_eq!(client.written(), curve("client-greeting"));
    assert_eq!(client.read(&curve("server-greeting")), Ok(None));
    assert_eq!(client.written(), curve("hello"));
    assert_eq!(client.read(&curve("welcome")), Ok(None));
    assert_eq!(client.written(), curve("initiate"));
    let Ok(Some(Event::Ready(peer))) = client.read(&curve("ready")) else { panic!() };
    assert_eq!((peer.socket_type(), peer.key()), (Router, Some(server_keys().public())));
    client.send(&["hello".into(), vec![b'w'; 300].into()]);
    assert_eq!(client.written(), curve("asked"));
    let answered = Event::Message(Message::default());
    assert_eq!(client.read(&curve("answered")), Ok(Some(answered)));
}

#[test]
fn a_server_has_the_octets_of_the_rfc() {
    let mut server = golden_server();
    assert_eq!(server.written(), curve("server-greeting"));
    assert_eq!(server.read(&curve("client-greeting")), Ok(None));
    assert!(server.written().is_empty());
    assert_eq!(server.read(&curve("hello")), Ok(None));
    assert_eq!(server.written(), curve("welcome"));
    let Ok(Some(Event::Admission(peer))) = server.read(&curve("initiate")) else { panic!() };
    assert_eq!((peer.socket_type(), peer.identity()), (Dealer, &Bytes::from("ann")));
    assert_eq!(peer.key(), Some(client_keys().public()));
    assert_eq!(server.next(), Ok(None));
    assert!(server.written().is_empty());
    server.connection.admit(&mut server.out).unwrap();
    assert_eq!(server.written(), curve("ready"));
    assert_eq!(server.next(), Ok(Some(Event::Ready(peer))));
    assert_eq!(server.read(&curve("asked")), Ok(Some(asked())));
    server.send(&[Bytes::new()]);
    assert_eq!(server.written(), curve("answered"));
    assert_eq!(server.read(&curve("ping")), Ok(None));
    assert_eq!(server.written(), curve("pong"));
}

#[test]
fn lengths_are_those_of_the_rfc() {
    let body = |section| curve(section).len() - if curve(section)[0] & 2 == 0 { 2 } else { 9 };
    assert_eq!((body("hello"), body("welcome")), (200, 168));
    let dealer = 12 + 4 + 6 + 9 + 4 + 3;
    assert_eq!(body("initiate"), 257 + dealer);
    let router = 12 + 4 + 6 + 9 + 4;
    assert_eq!(body("ready"), 30 + router);
    assert_eq!(body("answered"), 33);
}

#[test]
fn a_frame_is_one_box() {
    let mut client = connected();
    client.send(&[vec![1; 16_000].into()]);
    assert_eq!(client.written().len(), 9 + 33 + 16_000);
}

#[test]
fn a_message_may_be_marked_as_a_command() {
    // The RFCs say so; libzmq does not mark it.
    let mut octets = curve("asked");
    octets[0] |= 4;
    assert_eq!(served().read(&octets), Ok(Some(asked())));
    octets[0] = 1;
    assert_eq!(served().read(&octets), Err(Error::Flags { flags: 1 }));
}

#[test]
fn a_client_with_another_server_key_learns_so() {
    let wrong = mdp_zmtp::Mechanism::CurveClient {
        own: client_keys(),
        server: *KeyPair::new(&[9; 32]).public(),
    };
    let mut client = Side::with_seed(Config::new(Dealer).mechanism(wrong), seed(3));
    let mut server = golden_server();
    let error = talk(&mut client, &mut server).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the peer's HELLO does not open: the peer uses another public key of this server; give it the right one"
    );
    // A server that makes a WELCOME up.
    let error = client.read(&curve("welcome")).unwrap_err();
    assert!(error.to_string().contains("give it the right one"), "{error}");
}

#[test]
fn a_refused_client_learns_the_code() {
    for (refusal, code) in [(Refusal::Denied, "400"), (Refusal::Failed, "500")] {
        let mut server = asking();
        server.connection.refuse(refusal, &mut server.out).unwrap();
        let said = server.written();
        assert_eq!(said, [b"\x04\x0a\x05ERROR\x03", code.as_bytes()].concat());
        assert_eq!(server.connection.close_reason(), Some(&Error::NotAdmitted(refusal)));
        assert_eq!(server.next(), Err(Error::NotAdmitted(refusal)));
        assert!(server.connection.refuse(refusal, &mut server.out).is_err());

        let mut client = golden_client();
        client.read(&[curve("server-greeting"), curve("welcome")].concat()).unwrap();
        let error = client.read(&said).unwrap_err();
        assert_eq!(error.refusal(), Some(refusal));
    }
    // A client of libzmq takes an ERROR for final, so there is none for what may be tried again.
    let mut server = asking();
    server.connection.refuse(Refusal::Temporary, &mut server.out).unwrap();
    assert!(server.written().is_empty() && server.connection.close_reason().is_some());
}

#[test]
fn a_wrong_socket_type_is_refused_in_both_directions() {
    let mut server = golden_server();
    let mut client = Side::with_seed(curve_client(Sub), seed(3));
    client.read(&curve("server-greeting")).unwrap();
    assert_eq!(server.read(&client.written()), Ok(None));
    client.read(&server.written()[64..]).unwrap();
    let error = server.read(&client.written()).unwrap_err();
    assert!(matches!(error, Error::SocketType { ours: Router, .. }), "{error}");
    let error = client.read(&server.written()).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");

    // The client finds it in READY, and sends nothing: RFC 26.
    let mut client = Side::with_seed(curve_client(Sub), seed(3));
    let mut server = Side::new(curve_server(Pub).accept(Pub.opposites()));
    assert!(talk(&mut client, &mut server).is_ok());
    let mut client = Side::with_seed(curve_client(Dealer).accept(Default::default()), seed(3));
    let mut server = Side::new(curve_server(Router));
    let error = talk(&mut client, &mut server).unwrap_err();
    assert!(matches!(error, Error::SocketType { ours: Dealer, .. }), "{error}");
    assert!(client.written().is_empty());
}

#[test]
fn null_and_curve_do_not_mix() {
    let mut plain = Side::new(Config::new(Dealer));
    let mut server = golden_server();
    let error = server.read(&plain.written()).unwrap_err();
    assert!(matches!(&error, Error::Mechanism { ours: "CURVE", .. }), "{error}");
    let error = plain.read(&server.written()).unwrap_err();
    assert!(matches!(&error, Error::Mechanism { ours: "NULL", .. }), "{error}");
    // Two servers.
    assert_eq!(golden_server().read(&golden_server().written()), Err(Error::BothServers));
    // libzmq's servers do not say that they are servers.
    assert_eq!(golden_client().read(&curve("client-greeting")), Ok(None));
}

#[test]
fn subscriptions_travel_in_boxes() {
    let (mut publisher, mut subscriber) = ready(curve_server(Pub), curve_client(Sub));
    subscriber.connection.subscribe(b"t", &mut subscriber.out).unwrap();
    let octets = subscriber.written();
    assert!(!octets.windows(9).any(|part| part == b"SUBSCRIBE"));
    assert_eq!(publisher.read(&octets), Ok(Some(Event::Subscribe("t".into()))));
}

#[test]
fn no_key_is_shown() {
    let secret = "5151";
    for shown in [
        format!("{:?}", server_keys()),
        format!("{:?}", curve_server(Router)),
        format!("{:?}", golden_server().connection),
        format!("{:?}", seed(0x51)),
        format!("{:?}", served().out),
    ] {
        assert!(!shown.contains(secret) && !shown.contains("81, 81"), "{shown}");
    }
}
