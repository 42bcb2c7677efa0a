//! NULL, octet by octet.

use bytes::{Bytes, BytesMut};
use mdp_zmtp::SocketType::{Dealer, Pub, Req, Router, Sub, XSub};
use mdp_zmtp::{Config, Error, Event, Fault, Message, SendError, SocketTypes};

use crate::golden::plain;
use crate::side::{Side, ready, talk};

fn router() -> Side {
    Side::new(Config::new(Router))
}

/// A ROUTER that has read the greeting and READY of a DEALER.
fn served() -> Side {
    let mut router = router();
    let events = router.read_all(&[plain("greeting"), plain("ready-dealer")].concat()).unwrap();
    assert!(matches!(&events[..], [Event::Ready(_)]));
    router.written();
    router
}

#[test]
fn a_handshake_has_the_octets_of_the_rfc() {
    let mut router = router();
    assert_eq!(router.written(), plain("greeting"));
    assert_eq!(router.read(&plain("greeting")), Ok(None));
    assert_eq!(router.written(), plain("ready-router"));
    let Ok(Some(Event::Ready(peer))) = router.read(&plain("ready-dealer")) else { panic!() };
    assert_eq!(peer.socket_type(), Dealer);
    assert_eq!(peer.identity(), "ann");
    assert_eq!((peer.key(), peer.version()), (None, (3, 1)));
    assert!(router.written().is_empty() && router.input.is_empty());
}

#[test]
fn a_peer_of_3_0_is_served_and_never_pinged() {
    let heartbeat = mdp_zmtp::Heartbeat::default();
    let mut router = Side::new(Config::new(Router).heartbeat(heartbeat));
    let octets = [plain("greeting-3.0"), plain("ready-dealer"), plain("two")].concat();
    let events = router.read_all(&octets).unwrap();
    let Event::Ready(peer) = &events[0] else { panic!() };
    assert_eq!(peer.version(), (3, 0));
    assert_eq!(events.len(), 2);
    assert_eq!(router.connection.next_deadline(), None);
}

#[test]
fn later_versions_are_spoken_to_as_3_1() {
    for (major, minor) in [(3, 2), (3, 255), (4, 0), (255, 255)] {
        let mut octets = plain("greeting");
        (octets[10], octets[11]) = (major, minor);
        // What a later version does with the filler is not known.
        octets[63] = 1;
        let mut router = router();
        assert_eq!(router.read(&octets), Ok(None));
        let Ok(Some(Event::Ready(peer))) = router.read(&plain("ready-dealer")) else { panic!() };
        assert_eq!(peer.version(), (3, 1));
    }
}

#[test]
fn what_is_no_zmtp_is_refused_at_its_first_wrong_octet() {
    let refused = |octets: &[u8]| router().read(octets).unwrap_err();
    assert_eq!(refused(b"G"), Error::NotZmtp { at: 0, octet: b'G' });
    assert_eq!(refused(b"\x16\x03\x01"), Error::NotZmtp { at: 0, octet: 0x16 });
    // ZMTP 1.0 begins with a frame.
    assert_eq!(refused(b"\x01\0"), Error::NotZmtp { at: 0, octet: 1 });
    assert_eq!(refused(b"\xff\0\0\0\0\0\0\0\x01\0"), Error::NotZmtp { at: 9, octet: 0 });
    for (revision, name) in [(0, "1.0"), (1, "2.0")] {
        let mut octets = b"\xff\0\0\0\0\0\0\0\x01\x7f".to_vec();
        octets.push(revision);
        let error = refused(&octets);
        assert_eq!(error, Error::OldVersion { revision });
        assert!(error.to_string().contains(name), "{error}");
    }
    let mut octets = plain("greeting");
    octets.truncate(12);
    octets.extend_from_slice(b"PLAIN\0\0\0");
    let error = refused(&octets);
    assert!(error.to_string().contains("`PLAIN`") && error.to_string().contains("NULL"), "{error}");
    octets.truncate(13);
    assert!(matches!(refused(&octets), Error::Mechanism { .. }));
    // NULL and something behind it.
    let mut octets = plain("greeting");
    octets[16] = b'2';
    assert!(matches!(refused(&octets), Error::Mechanism { .. }));
    let mut octets = plain("greeting");
    octets[40] = 9;
    assert_eq!(refused(&octets), Error::Greeting { at: 40, octet: 9 });
    octets[32] = 2;
    assert_eq!(refused(&octets), Error::Greeting { at: 32, octet: 2 });
}

#[test]
fn frames_are_read() {
    let message = |frames: &[&'static str]| {
        let frames: Vec<Bytes> =
            frames.iter().map(|frame| Bytes::from_static(frame.as_bytes())).collect();
        Ok(Some(Event::Message(Message::from(frames))))
    };
    let mut router = served();
    assert_eq!(router.read(&plain("empty")), message(&[""]));
    assert_eq!(router.read(&plain("two")), message(&["ab", "c"]));
    assert_eq!(router.read(&plain("long")), message(&["ab"]));
    assert_eq!(router.next(), Ok(None));
}

#[test]
fn frames_are_written() {
    let mut router = served();
    router.send(&["ab".into(), "c".into()]);
    assert_eq!(router.written(), plain("two"));
    router.send(&[Bytes::new()]);
    assert_eq!(router.written(), plain("empty"));
    for (len, head) in [(255, &[0, 255][..]), (256, &[2, 0, 0, 0, 0, 0, 0, 1, 0])] {
        router.send(&[vec![b'x'; len].into()]);
        assert_eq!(router.written(), [head, &vec![b'x'; len]].concat());
    }
}

#[test]
fn large_payloads_are_not_copied() {
    let mut router = served();
    let payload = Bytes::from(vec![1; 5_000]);
    router.send(&["head".into(), payload.clone(), "end".into()]);
    let chunks: Vec<_> = router.out.chunks().collect();
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[1].as_ptr(), payload.as_ptr());
    // In the other direction, they are parts of the buffer that they were read into.
    let octets = router.written();
    let mut dealer = Side::new(Config::new(Dealer));
    dealer.read(&[plain("greeting"), plain("ready-router")].concat()).unwrap();
    dealer.input.extend_from_slice(&octets);
    let read = dealer.input.as_ptr_range();
    let Ok(Some(Event::Message(message))) = dealer.next() else { panic!() };
    assert!(message.frames().all(|frame| read.contains(&frame.as_ptr())));
    assert_eq!(message.rest()[0], payload);
}

#[test]
fn a_large_frame_says_how_much_it_lacks() {
    let mut router = served();
    let mut octets = vec![2, 0, 0, 0, 0, 0, 1, 0, 0];
    assert_eq!((router.read(&octets[..5]), router.connection.missing()), (Ok(None), 0));
    assert_eq!((router.read(&octets[5..]), router.connection.missing()), (Ok(None), 65_536));
    octets = vec![7; 65_535];
    assert_eq!((router.read(&octets), router.connection.missing()), (Ok(None), 1));
    let Ok(Some(Event::Message(message))) = router.read(&[7]) else { panic!() };
    assert_eq!((message.bytes(), router.connection.missing()), (65_536, 0));
}

/// The driver reads the bodies of large frames itself, wherever the reads end.
#[test]
fn the_driver_may_read_a_large_frame() {
    let frames: Vec<Bytes> = [70_000, 3, 66_000, 65_536, 0]
        .iter()
        .map(|bytes| Bytes::from(vec![(bytes % 251) as u8; *bytes]))
        .collect();
    let mut router = served();
    router.send(&frames);
    router.send(&["next".into()]);
    let octets = router.written();
    for step in [7, 1_000, 65_000, 66_001, 80_000, octets.len()] {
        let mut dealer = Side::new(Config::new(Dealer));
        dealer.read(&[plain("greeting"), plain("ready-router")].concat()).unwrap();
        let (mut messages, mut given) = (Vec::new(), 0);
        let mut large: Option<(Vec<u8>, usize)> = None;
        for read in octets.chunks(step) {
            dealer.input.extend_from_slice(read);
            loop {
                let event = match large.take() {
                    Some((mut body, bytes)) => {
                        let some = dealer.input.len().min(bytes - body.len());
                        body.extend_from_slice(&dealer.input.split_to(some));
                        if body.len() < bytes {
                            // Nothing else is read meanwhile.
                            assert_eq!(dealer.next(), Ok(None));
                            large = Some((body, bytes));
                            break;
                        }
                        given += 1;
                        dealer.connection.end_large(dealer.now, body.into()).unwrap()
                    }
                    None => match dealer.next().unwrap() {
                        None => {
                            let Some(bytes) =
                                dealer.connection.begin_large(&mut dealer.input, 65_536)
                            else {
                                break;
                            };
                            large = Some((Vec::new(), bytes));
                            None
                        }
                        event => event,
                    },
                };
                if let Some(event) = event {
                    let Event::Message(message) = event else { panic!("{event:?}") };
                    messages.push(message.into_frames());
                }
            }
        }
        assert_eq!(messages, [frames.clone(), vec!["next".into()]], "reads of {step}");
        assert!(given == 3 || step > 65_536, "{given} with reads of {step}");
    }
}

#[test]
fn a_large_frame_has_the_limits_of_all_frames() {
    let mut router = served();
    assert_eq!(router.connection.begin_large(&mut BytesMut::from(&[0, 5][..]), 1), Some(5));
    let mut router = served();
    let mut begin = |octets: &[u8]| router.connection.begin_large(&mut BytesMut::from(octets), 2);
    // Too small, a command, all there, no header.
    assert_eq!(begin(&[0, 1]), None);
    assert_eq!(begin(&[4, 200]), None);
    assert_eq!(begin(&[0, 2, 1, 1]), None);
    assert_eq!(begin(&[2, 0]), None);
    assert_eq!(begin(&[8, 9]), None);
    assert_eq!(router.connection.end_large(router.now, Bytes::new()), Ok(None));
    let mut dealer = Side::new(Config::new(Dealer));
    assert_eq!(dealer.connection.begin_large(&mut BytesMut::from(&[0, 5][..]), 1), None);
}

#[test]
fn socket_types_must_fit() {
    let octets = String::from_utf8_lossy(&plain("ready-dealer")).replace("DEALER", "XXXXXX");
    let mut router = router();
    router.read(&plain("greeting")).unwrap();
    router.written();
    let error = router.read(octets.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a ROUTER does not take a peer of the type `XXXXXX`; change the type of one side, or the endpoint"
    );
    // The peer is told, and knows the reason.
    let said = router.written();
    let mut other = Side::new(Config::new(Dealer));
    other.read(&[plain("greeting"), plain("ready-router")].concat()).unwrap();
    let Err(Error::Refused { reason }) = other.read(&said) else { panic!() };
    assert_eq!(reason.as_bytes(), b"socket-type-does-not-fit");
    // A type that is not among those that are taken.
    let config = Config::new(Router).accept(SocketTypes::of(&[Req, Pub]));
    let mut router = Side::new(config);
    router.read(&plain("greeting")).unwrap();
    let error = router.read(&plain("ready-dealer")).unwrap_err();
    assert!(matches!(error, Error::SocketType { ours: Router, .. }));
    assert_eq!(router.connection.close_reason(), Some(&error));
    assert_eq!(router.next(), Err(error));
}

#[test]
fn an_error_of_the_peer_is_reported_with_its_reason() {
    for before in [plain("greeting"), [plain("greeting"), plain("ready-dealer")].concat()] {
        let mut router = router();
        router.read_all(&before).unwrap();
        let error = router.read(&plain("error")).unwrap_err();
        assert_eq!(error.to_string(), "the peer refused the connection: no");
        assert_eq!(error.refusal(), None);
    }
}

#[test]
fn identities_are_checked() {
    assert!(Config::new(Dealer).identity(vec![1; 255]).is_ok());
    assert!(Config::new(Dealer).identity(vec![1; 256]).is_err());
    assert!(Config::new(Dealer).identity(&b"\0a"[..]).is_err());
    // That of a PUB is ignored.
    let ready = b"\x04\x28\x05READY\x0bSocket-Type\0\0\0\x03PUB\x08Identity\0\0\0\x02ab";
    let mut sub = Side::new(Config::new(Sub));
    let events = sub.read_all(&[&plain("greeting"), &ready[..]].concat()).unwrap();
    let [Event::Ready(peer)] = &events[..] else { panic!("{events:?}") };
    assert!(peer.identity().is_empty());
}

#[test]
fn subscriptions_are_events_of_publishers_only() {
    let (mut publisher, mut subscriber) = ready(Config::new(Pub), Config::new(XSub));
    subscriber.connection.subscribe(b"t", &mut subscriber.out).unwrap();
    subscriber.connection.cancel(b"t", &mut subscriber.out).unwrap();
    let octets = subscriber.written();
    assert_eq!(octets, [plain("subscribe"), plain("cancel")].concat());
    let events = publisher.read_all(&octets).unwrap();
    assert_eq!(events, [Event::Subscribe("t".into()), Event::Cancel("t".into())]);
    let error = served().read(&plain("subscribe")).unwrap_err();
    assert!(matches!(error, Error::UnknownCommand { .. }), "{error}");
    // A publisher of 3.0 gets messages.
    let mut old = Side::new(Config::new(Sub));
    let ready = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB";
    old.read(&[&plain("greeting-3.0"), &ready[..]].concat()).unwrap();
    old.written();
    old.connection.subscribe(b"t", &mut old.out).unwrap();
    old.connection.cancel(b"t", &mut old.out).unwrap();
    assert_eq!(old.written(), b"\0\x02\x01t\0\x02\0t");
}

#[test]
fn malformed_commands_are_named() {
    let fault = |octets: &[u8]| match served().read(octets) {
        Err(Error::Malformed { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(b"\x04\x05\x04PING"), Fault::Length);
    assert_eq!(fault(&[b"\x04\x18\x04PING\0\0", &[7; 17][..]].concat()), Fault::Length);
    assert_eq!(fault(&[b"\x04\x16\x04PONG", &[7; 17][..]].concat()), Fault::Length);
    assert_eq!(fault(b"\x04\x06\x05ERROR"), Fault::Length);
    for octets in [&b"\x04\0"[..], b"\x04\x01\0", b"\x04\x05\x04JOIN", b"\x04\x02\x09S"] {
        let error = served().read(octets).unwrap_err();
        assert!(matches!(error, Error::UnknownCommand { .. }), "{error}");
    }
    // READY comes once.
    let error = served().read(&plain("ready-dealer")).unwrap_err();
    assert!(matches!(error, Error::UnknownCommand { .. }), "{error}");
}

#[test]
fn nothing_is_sent_before_it_is_ready_or_after_its_end() {
    let mut router = router();
    let send = |side: &mut Side, frames: &[Bytes]| side.connection.send(frames, &mut side.out);
    assert_eq!(send(&mut router, &["a".into()]), Err(SendError::NotReady));
    router.read(&[plain("greeting"), plain("ready-dealer")].concat()).unwrap();
    assert_eq!(send(&mut router, &[]), Err(SendError::NoFrame));
    assert_eq!(send(&mut router, &["a".into()]), Ok(()));
    router.read(&[0xff]).unwrap_err();
    assert_eq!(send(&mut router, &["a".into()]), Err(SendError::Closed));
    assert!(router.connection.admit(&mut router.out).is_err());
}

#[test]
fn every_pair_of_types_that_fits_is_ready() {
    for one in mdp_zmtp::SocketType::ALL {
        for other in mdp_zmtp::SocketType::ALL {
            let mut sides = (Side::new(Config::new(one)), Side::new(Config::new(other)));
            let talked = talk(&mut sides.0, &mut sides.1);
            assert_eq!(talked.is_ok(), one.opposites().contains(other), "{one} and {other}");
        }
    }
}
