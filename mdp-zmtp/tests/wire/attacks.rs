//! What a hostile peer tries under CURVE: replays, foreign cookies, keys that anybody knows.

use mdp_zmtp::SocketType::{Dealer, Router};
use mdp_zmtp::{Command, Config, Error, Event, Fault, Mechanism, PublicKey};

use crate::curve::{asking, connected, served};
use crate::golden::curve;
use crate::side::{
    Side, client_keys, curve_client, curve_server, golden_client, golden_server, ready, seed,
};

fn unexpected(error: Result<Option<Event>, Error>, name: &str, wanted: &str) {
    match error {
        Err(Error::Unexpected { name: came, expected }) => {
            assert_eq!((came.as_bytes(), expected), (name.as_bytes(), wanted));
        }
        other => panic!("{other:?}"),
    }
}

/// A server that has sent WELCOME.
fn welcomed() -> Side {
    let mut server = golden_server();
    server.read(&[curve("client-greeting"), curve("hello")].concat()).unwrap();
    server
}

#[test]
fn each_command_of_the_handshake_counts_once() {
    unexpected(welcomed().read(&curve("hello")), "HELLO", "INITIATE");
    unexpected(served().read(&curve("hello")), "HELLO", "MESSAGE");
    unexpected(served().read(&curve("initiate")), "INITIATE", "MESSAGE");
    let mut server = asking();
    // While admission is open, nothing is read.
    assert_eq!(server.read(&curve("initiate")), Ok(None));
    server.connection.admit(&mut server.out).unwrap();
    assert!(matches!(server.next(), Ok(Some(Event::Ready(_)))));
    unexpected(server.next(), "INITIATE", "MESSAGE");

    let mut client = golden_client();
    client.read(&[curve("server-greeting"), curve("welcome")].concat()).unwrap();
    unexpected(client.read(&curve("welcome")), "WELCOME", "READY");
    unexpected(connected().read(&curve("ready")), "READY", "MESSAGE");
    // ERROR is not sealed, so it means nothing on a connection that is ready, nor from a client.
    unexpected(connected().read(b"\x04\x0a\x05ERROR\x03400"), "ERROR", "MESSAGE");
    unexpected(welcomed().read(b"\x04\x0a\x05ERROR\x03400"), "ERROR", "INITIATE");
}

#[test]
fn commands_come_in_their_order() {
    let mut server = golden_server();
    server.read(&curve("client-greeting")).unwrap();
    unexpected(server.read(&curve("initiate")), "INITIATE", "HELLO");
    let mut client = golden_client();
    client.read(&curve("server-greeting")).unwrap();
    unexpected(client.read(&curve("ready")), "READY", "WELCOME");
    assert_eq!(welcomed().read(&curve("asked")), Err(Error::EarlyMessage));
}

#[test]
fn a_conversation_cannot_be_replayed_to_another_connection() {
    // The same HELLO, another connection: its own key opens no cookie of the first one.
    let mut server = Side::with_seed(curve_server(Router), seed(8));
    assert_eq!(server.read(&[curve("client-greeting"), curve("hello")].concat()), Ok(None));
    assert_ne!(server.written()[64..], curve("welcome"));
    assert_eq!(server.read(&curve("initiate")), Err(Error::Box { command: Command::Initiate }));
    // The cookie is all that a server remembers of its transient key. One with the same cookie key, which no two
    // connections have, takes the key out of it.
    let keys = ["client-transient-secret", "cookie-key", "welcome-nonce", "cookie-nonce"];
    let keys = keys.map(curve);
    let other = crate::side::seed_of(keys.each_ref().map(Vec::as_slice));
    let mut server = Side::with_seed(curve_server(Router), other);
    server.read(&[curve("client-greeting"), curve("hello")].concat()).unwrap();
    server.written();
    assert!(matches!(server.read(&curve("initiate")), Ok(Some(Event::Admission(_)))));
    server.connection.admit(&mut server.out).unwrap();
    assert_eq!(server.written(), curve("ready"));
}

#[test]
fn a_message_cannot_be_replayed() {
    let replayed = |nonce, last| Err(Error::Nonce { command: Command::Message, nonce, last });
    let mut server = served();
    assert!(matches!(server.read(&curve("asked")), Ok(Some(Event::Message(_)))));
    assert_eq!(server.read(&curve("asked")), replayed(3, 4));
    let mut client = connected();
    assert!(matches!(client.read(&curve("answered")), Ok(Some(Event::Message(_)))));
    assert_eq!(client.read(&curve("answered")), replayed(2, 2));
    // Nor can one be sent back to its sender.
    let mut client = connected();
    client.send(&["secret".into()]);
    let said = client.written();
    assert_eq!(client.read(&said), Err(Error::Box { command: Command::Message }));
    // Messages that are left out are not noticed: TCP does not lose any, and nonces may rise by more than 1.
    let (mut one, mut other) = ready(curve_client(Dealer), curve_server(Router));
    one.send(&["lost".into()]);
    one.written();
    one.send(&["there".into()]);
    assert!(matches!(other.read(&one.written()), Ok(Some(Event::Message(_)))));
}

#[test]
fn a_nonce_that_does_not_rise_is_refused_in_the_handshake_too() {
    // HELLO has the nonce 1, INITIATE 2 at octet 9 + 1 + 8 + 96.
    let mut octets = curve("initiate");
    octets[9 + 105 + 7] = 1;
    let error = welcomed().read(&octets).unwrap_err();
    assert_eq!(error, Error::Nonce { command: Command::Initiate, nonce: 1, last: 1 });
}

#[test]
fn padding_and_versions_are_checked() {
    let fault = |at: usize, octet: u8| {
        let mut octets = curve("hello");
        octets[2 + at] = octet;
        let mut server = golden_server();
        server.read(&curve("client-greeting")).unwrap();
        match server.read(&octets) {
            Err(Error::Malformed { command: Command::Hello, fault }) => fault,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((fault(6, 2), fault(7, 1)), (Fault::Version, Fault::Version));
    assert_eq!((fault(8, 1), fault(79, 1)), (Fault::Padding, Fault::Padding));
}

#[test]
fn keys_of_low_order_are_refused() {
    // With these points every shared secret is zero.
    let mut one = [0; 32];
    one[0] = 1;
    for point in [[0; 32], one] {
        let mut hello = curve("hello");
        hello[2 + 80..2 + 112].copy_from_slice(&point);
        let mut server = golden_server();
        server.read(&curve("client-greeting")).unwrap();
        assert_eq!(server.read(&hello), Err(Error::Box { command: Command::Hello }));
        let server = PublicKey::new(point);
        let config =
            Config::new(Dealer).mechanism(Mechanism::CurveClient { own: client_keys(), server });
        let mut client = Side::new(config);
        let error = client.read(&curve("server-greeting"));
        assert_eq!(error, Err(Error::Box { command: Command::Welcome }));
    }
}

#[test]
fn hello_is_longer_than_what_it_makes_a_server_send() {
    let (hello, welcome) = (curve("hello").len(), curve("welcome").len());
    assert!(hello > welcome);
}

#[test]
fn vouches_are_for_this_connection_and_this_server() {
    for section in ["initiate-other-server", "initiate-other-connection"] {
        let error = welcomed().read(&curve(section)).unwrap_err();
        assert_eq!(error, Error::Malformed { command: Command::Initiate, fault: Fault::Vouch });
    }
}
