//! Every beginning of the goldens, and every changed octet of them: an error, or an event that is well formed, and never a
//! panic.

use mdp_zmtp::SocketType::{Pub, Router};
use mdp_zmtp::{Config, Error, Event};

use crate::curve::{asking, connected, served};
use crate::golden::{curve, plain};
use crate::side::{Side, golden_client, golden_server};

/// A side that has read these octets.
fn after(mut side: Side, octets: &[&[u8]]) -> Side {
    side.read_all(&octets.concat()).unwrap();
    side.written();
    side
}

fn router() -> Side {
    Side::new(Config::new(Router))
}

fn plain_router() -> Side {
    after(router(), &[&plain("greeting"), &plain("ready-dealer")])
}

fn plain_publisher() -> Side {
    let ready = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB";
    after(Side::new(Config::new(Pub)), &[&plain("greeting"), &ready[..]])
}

/// A step of a conversation: its name, a side, and what the side reads next.
type Step = (&'static str, fn() -> Side, Vec<u8>);

/// Each step of the conversations.
fn steps() -> Vec<Step> {
    vec![
        ("greeting", router, plain("greeting")),
        ("greeting of 3.0", router, plain("greeting-3.0")),
        ("READY", || after(router(), &[&plain("greeting")]), plain("ready-dealer")),
        ("ERROR", || after(router(), &[&plain("greeting")]), plain("error")),
        ("empty", plain_router, plain("empty")),
        ("two", plain_router, plain("two")),
        ("long", plain_router, plain("long")),
        ("PING", plain_router, plain("ping")),
        ("PONG", plain_router, plain("pong")),
        ("SUBSCRIBE", plain_publisher, plain("subscribe")),
        ("CANCEL", plain_publisher, plain("cancel")),
        ("CURVE greeting", golden_server, curve("client-greeting")),
        ("HELLO", || after(golden_server(), &[&curve("client-greeting")]), curve("hello")),
        ("WELCOME", || after(golden_client(), &[&curve("server-greeting")]), curve("welcome")),
        (
            "INITIATE",
            || after(golden_server(), &[&curve("client-greeting"), &curve("hello")]),
            curve("initiate"),
        ),
        (
            "CURVE READY",
            || after(golden_client(), &[&curve("server-greeting"), &curve("welcome")]),
            curve("ready"),
        ),
        ("MESSAGE", served, curve("asked")),
        ("MESSAGE of the server", connected, curve("answered")),
        ("sealed PING", || after(served(), &[&curve("asked")]), curve("ping")),
    ]
}

#[test]
fn what_has_not_all_come_is_waited_for() {
    for (name, side, octets) in steps() {
        let whole = side().read_all(&octets);
        for len in 0..octets.len() {
            let mut side = side();
            let (first, rest) = octets.split_at(len);
            let began = side.read_all(first);
            let began = began.unwrap_or_else(|error| panic!("{name}, {len} octets: {error}"));
            let mut all = began;
            let ended = side.read_all(rest).map(|rest| {
                all.extend(rest);
                all
            });
            assert_eq!(ended, whole, "{name}, {len} octets first");
        }
        // Octet by octet.
        let mut side = side();
        let mut events = Vec::new();
        let read = octets
            .iter()
            .try_for_each(|octet| side.read_all(&[*octet]).map(|read| events.extend(read)));
        assert_eq!(read.map(|()| events), whole, "{name}");
    }
}

#[test]
fn a_changed_octet_is_an_error_or_another_event() {
    for (name, side, octets) in steps() {
        let whole = side().read_all(&octets);
        for at in 0..octets.len() {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 255, octets[at]] {
                if change == 0 {
                    continue;
                }
                let mut changed = octets.clone();
                changed[at] ^= change;
                let mut side = side();
                let read = side.read_all(&changed);
                if let (Ok(events), true) = (&read, is_sealed(name, at, &octets)) {
                    panic!(
                        "{name}, octet {at} changed by {change}: {events:?} in place of {whole:?}"
                    );
                }
                if let Err(error) = read {
                    assert!(!error.to_string().is_empty());
                    assert_eq!(side.connection.close_reason(), Some(&error));
                    assert_eq!(side.next(), Err(error));
                    assert!(!side.connection.is_ready());
                }
            }
        }
    }
}

/// Whether CURVE vouches for this octet of a command: all but the header of its frame, which the body's length tells, and
/// the mark of a command.
fn is_sealed(name: &str, at: usize, octets: &[u8]) -> bool {
    let header = if octets[0] & 2 == 0 { 2 } else { 9 };
    let sealed =
        ["HELLO", "WELCOME", "INITIATE", "CURVE READY", "MESSAGE of the server", "sealed PING"];
    // X25519 ignores the highest bit of a public key, and C' is not sealed in HELLO. The vouch seals it.
    let is_top_of_key = name == "HELLO" && at == header + 111;
    sealed.contains(&name) && at >= header && !is_top_of_key
}

#[test]
fn cut_off_boxes_are_errors() {
    for len in 0..33 {
        let octets = curve("answered");
        let mut cut = vec![0, len];
        cut.extend_from_slice(&octets[2..2 + usize::from(len)]);
        assert!(connected().read(&cut).is_err(), "{len}");
    }
    for len in [0, 1, 8, 16, 200] {
        let octets = curve("initiate");
        let mut cut = vec![4, len];
        cut.extend_from_slice(&octets[9..9 + usize::from(len)]);
        let mut side = after(golden_server(), &[&curve("client-greeting"), &curve("hello")]);
        assert!(side.read(&cut).is_err(), "{len}");
    }
}

/// Random octets in every state, from a seed.
#[test]
fn noise_is_an_error_or_an_event() {
    let mut random = crate::pipe::Random(0x5eed);
    let mut errors = 0;
    for round in 0..20_000 {
        let sides: [fn() -> Side; 6] =
            [router, plain_router, plain_publisher, golden_server, asking, served];
        let mut side = sides[round % sides.len()]();
        let noise: Vec<u8> =
            (0..random.below(80))
                .map(|_| {
                    if random.below(2) == 0 {
                        random.below(8) as u8
                    } else {
                        random.below(256) as u8
                    }
                })
                .collect();
        match side.read_all(&noise) {
            Ok(events) => assert!(events.iter().all(|event| !matches!(event, Event::Ready(_)))),
            Err(Error::Box { .. }) if round % 6 < 3 => panic!("there is no box with NULL"),
            Err(_) => errors += 1,
        }
    }
    assert!(errors > 10_000);
}
