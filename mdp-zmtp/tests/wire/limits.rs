//! Limits are checked when a header comes.

use bytes::Bytes;
use mdp_zmtp::SocketType::{Dealer, Router};
use mdp_zmtp::{Config, Error, Event, Limits};

use crate::golden::{curve, plain};
use crate::side::{Side, curve_client, curve_server, golden_server, ready};

const LIMITS: Limits = Limits {
    handshake_ms: 2_000,
    handshake_bytes: 600,
    command_bytes: 500,
    frame_bytes: 1_000,
    message_frames: 3,
    message_bytes: 1_500,
};

fn pairs() -> [(Side, Side); 2] {
    [
        ready(Config::new(Dealer), Config::new(Router).limits(LIMITS)),
        ready(curve_client(Dealer), curve_server(Router).limits(LIMITS)),
    ]
}

fn frames(lens: &[usize]) -> Vec<Bytes> {
    lens.iter().map(|len| Bytes::from(vec![1; *len])).collect()
}

#[test]
fn what_is_at_the_limit_passes() {
    for lens in [&[1_000][..], &[1_000, 500], &[500, 500, 500], &[0, 0, 0]] {
        for (mut dealer, mut router) in pairs() {
            // Twice: a message leaves nothing behind.
            for _ in 0..2 {
                dealer.send(&frames(lens));
                let Ok(Some(Event::Message(message))) = router.read(&dealer.written()) else {
                    panic!("{lens:?}")
                };
                assert_eq!(message.into_frames(), frames(lens));
            }
        }
    }
}

#[test]
fn what_is_over_the_limit_ends_the_connection() {
    let cases: [(&[usize], Error); 4] = [
        (&[1_001], Error::FrameBytes { bytes: 1_001, limit: 1_000 }),
        (&[0, 0, 0, 0], Error::MessageFrames { limit: 3 }),
        (&[1_000, 501], Error::MessageBytes { limit: 1_500 }),
        (&[600, 600, 301], Error::MessageBytes { limit: 1_500 }),
    ];
    for (lens, error) in cases {
        for (mut dealer, mut router) in pairs() {
            dealer.send(&frames(lens));
            assert_eq!(router.read(&dealer.written()), Err(error.clone()));
        }
    }
}

#[test]
fn a_header_is_enough() {
    let (_, mut router) = ready(Config::new(Dealer), Config::new(Router).limits(LIMITS));
    let error = router.read(b"\x02\x7f\xff\xff\xff\xff\xff\xff\xff").unwrap_err();
    assert_eq!(error, Error::FrameBytes { bytes: i64::MAX as u64, limit: 1_000 });
    let (_, mut router) = ready(Config::new(Dealer), Config::new(Router).limits(LIMITS));
    let error = router.read(b"\x02\xff\xff\xff\xff\xff\xff\xff\xff").unwrap_err();
    assert_eq!(error, Error::FrameBytes { bytes: u64::MAX, limit: 1_000 });
    let (_, mut router) = ready(Config::new(Dealer), Config::new(Router).limits(LIMITS));
    let error = router.read(b"\x06\0\0\0\0\0\0\x01\xf5").unwrap_err();
    assert_eq!(error, Error::CommandBytes { bytes: 501, limit: 500 });
}

#[test]
fn a_million_empty_frames_cost_what_the_limit_says() {
    let (_, mut router) = ready(Config::new(Dealer), Config::new(Router).limits(LIMITS));
    let error = router.read(&[1, 0].repeat(1_000_000)).unwrap_err();
    assert_eq!(error, Error::MessageFrames { limit: 3 });
    // Three were read, and the header of one more.
    assert_eq!(router.input.len(), 2_000_000 - 6);
}

#[test]
fn the_handshake_has_a_limit_of_its_own() {
    let config = || Config::new(Router).limits(LIMITS);
    let command = |bytes: usize| {
        let mut octets = vec![6];
        octets.extend_from_slice(&(bytes as u64).to_be_bytes());
        octets
    };
    let error = |octets: &[u8]| {
        let mut router = Side::new(config());
        router.read(&plain("greeting")).unwrap();
        router.read(octets).unwrap_err()
    };
    assert_eq!(error(&command(501)), Error::CommandBytes { bytes: 501, limit: 500 });
    assert_eq!(error(b"\0\x01"), Error::EarlyMessage);
    let small = Limits { handshake_bytes: 100, ..LIMITS };
    let mut router = Side::new(config().limits(small));
    router.read(&plain("greeting")).unwrap();
    assert_eq!(router.read(&command(92)), Err(Error::HandshakeBytes { limit: 100 }));
    // HELLO fits, INITIATE does not any more.
    let small = Limits { handshake_bytes: 400, ..LIMITS };
    let mut server = Side::new(curve_server(Router).limits(small));
    server.read(&[curve("client-greeting"), curve("hello")].concat()).unwrap();
    assert_eq!(server.read(&curve("initiate")), Err(Error::HandshakeBytes { limit: 400 }));
    // Nothing is gathered while admission is open.
    let mut server = golden_server();
    server.read(&[curve("client-greeting"), curve("hello"), curve("initiate")].concat()).unwrap();
    assert_eq!(server.read(&[0; 1_000]), Ok(None));
    assert!(matches!(server.read(&[0; 8_000]), Err(Error::HandshakeBytes { .. })));
}

#[test]
fn commands_between_frames_do_not_count() {
    for (mut dealer, mut router) in pairs() {
        dealer.send(&frames(&[500, 500, 500]));
        let message = dealer.written();
        let first = if message[0] & 2 == 0 { 2 } else { 9 } + 500;
        let is_sealed = message.len() > 3 * 509;
        let (first, rest) = message.split_at(first + if is_sealed { 33 } else { 0 });
        assert_eq!(router.read(first), Ok(None));
        if !is_sealed {
            assert_eq!(router.read(&plain("ping")), Ok(None));
            assert_eq!(router.written(), plain("pong"));
        }
        assert!(matches!(router.read(rest), Ok(Some(Event::Message(_)))));
    }
}
