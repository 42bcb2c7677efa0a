//! Deadlines and heartbeats.

use mdp_zmtp::SocketType::{Dealer, Router};
use mdp_zmtp::{Config, Error, Event, Heartbeat, Limits, Time};

use crate::golden::{curve, plain};
use crate::side::{Side, curve_client, curve_server, golden_server, ready};

const HEARTBEAT: Heartbeat = Heartbeat { interval_ms: 1_000, timeout_ms: 3_000, ttl_ms: 2_000 };

fn at(side: &mut Side, ms: u64) -> Result<(), Error> {
    side.now = Time::from_ms(ms);
    side.connection.tick(side.now, &mut side.out)
}

fn due(side: &Side) -> Option<u64> {
    side.connection.next_deadline().map(Time::as_ms)
}

#[test]
fn a_handshake_has_its_time() {
    let mut server = golden_server();
    for octets in ["client-greeting", "hello", "initiate"] {
        assert_eq!(due(&server), Some(3_000));
        server.now = Time::from_ms(2_500);
        server.read(&curve(octets)).unwrap();
    }
    // Also while admission is open.
    assert_eq!(at(&mut server, 2_999), Ok(()));
    assert_eq!(at(&mut server, 3_000), Err(Error::HandshakeTime { ms: 2_000 }));
    assert_eq!((due(&server), at(&mut server, 4_000)), (None, Ok(())));
    assert_eq!(server.next(), Err(Error::HandshakeTime { ms: 2_000 }));

    let limits = Limits { handshake_ms: 10, ..Limits::default() };
    let mut router = Side::new(Config::new(Router).limits(limits));
    assert_eq!(due(&router), Some(1_010));
    router.read_all(&[plain("greeting"), plain("ready-dealer")].concat()).unwrap();
    assert_eq!((due(&router), at(&mut router, 9_999)), (None, Ok(())));
}

#[test]
fn a_silent_peer_is_asked_and_then_given_up() {
    let pairs = [
        ready(Config::new(Router).heartbeat(HEARTBEAT), Config::new(Dealer)),
        ready(curve_server(Router).heartbeat(HEARTBEAT), curve_client(Dealer)),
    ];
    for (mut router, mut dealer) in pairs {
        assert_eq!(due(&router), Some(2_000));
        assert_eq!(at(&mut router, 1_999), Ok(()));
        assert!(router.written().is_empty());
        assert_eq!(at(&mut router, 2_000), Ok(()));
        let ping = router.written();
        // It is asked once.
        assert_eq!(
            (at(&mut router, 2_001), router.written(), due(&router)),
            (Ok(()), vec![], Some(5_000))
        );
        // The answer comes, and all is as before.
        dealer.now = router.now;
        assert_eq!(dealer.read(&ping), Ok(None));
        assert_eq!(due(&dealer), Some(4_001));
        router.now = Time::from_ms(2_500);
        assert_eq!(router.read(&dealer.written()), Ok(None));
        assert_eq!(due(&router), Some(3_500));
        // The next one is not answered.
        assert_eq!(at(&mut router, 3_500), Ok(()));
        assert_eq!(due(&router), Some(6_500));
        assert_eq!(at(&mut router, 6_500), Err(Error::Silent { ms: 3_000 }));
    }
}

#[test]
fn a_ping_has_a_ttl_in_tenths_of_a_second() {
    for (ttl_ms, tenths) in [(0, [0, 0]), (2_000, [0, 20]), (90_000, [2, 143])] {
        let heartbeat = Heartbeat { ttl_ms, ..HEARTBEAT };
        let (mut router, _) = ready(Config::new(Router).heartbeat(heartbeat), Config::new(Dealer));
        at(&mut router, 2_000).unwrap();
        assert_eq!(router.written(), [b"\x04\x07\x04PING", &tenths[..]].concat());
    }
}

#[test]
fn a_ping_is_answered_with_its_context() {
    let (mut router, _) = ready(Config::new(Router), Config::new(Dealer));
    assert_eq!(router.read(&plain("ping")), Ok(None));
    assert_eq!(router.written(), plain("pong"));
    // Its TTL of 0.5 s begins.
    assert_eq!(due(&router), Some(1_500));
    router.now = Time::from_ms(1_400);
    assert!(matches!(router.read(&plain("empty")), Ok(Some(Event::Message(_)))));
    assert_eq!(due(&router), None);
    router.read(&plain("ping")).unwrap();
    assert_eq!(at(&mut router, 1_899), Ok(()));
    assert_eq!(at(&mut router, 1_900), Err(Error::Expired { ms: 500 }));
}

#[test]
fn a_part_of_a_frame_is_a_sign_that_the_peer_is_alive() {
    let (mut router, _) = ready(Config::new(Router).heartbeat(HEARTBEAT), Config::new(Dealer));
    router.now = Time::from_ms(1_900);
    assert_eq!(router.read(b"\0\x05a"), Ok(None));
    assert_eq!(due(&router), Some(2_900));
    // To look again at the same octets is none.
    router.now = Time::from_ms(2_500);
    assert_eq!(router.next(), Ok(None));
    assert_eq!(due(&router), Some(2_900));
    router.connection.touch(router.now);
    assert_eq!(due(&router), Some(3_500));
}
