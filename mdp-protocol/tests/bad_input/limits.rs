//! Messages beyond the limits of one message, and names that are none.

use mdp_protocol::broker::{Config, Outgoing};
use mdp_protocol::client::{Action, Call, Client, Input, Outcome};
use mdp_protocol::names::{self, NameError};
use mdp_protocol::wire::{
    CallKind, DisconnectReason, HEADER_LEN, Record, Reply, Tail, put, put_tail,
};
use mdp_protocol::{Code, Limits, Reason, Span, Time};

use crate::machines::{Body, ROLES, Role, World, hear, request};

/// What a bad peer in `role` is told for a message. The broker is alive afterwards.
fn answer(role: Role, packet: &[u8], frames: &[usize]) -> Vec<Outgoing<Body>> {
    let mut world = World::with(role);
    world.told_bad();
    world.bad(&hear(packet, frames, &Limits::default()));
    let told = world.told_bad();
    world.assert_alive();
    world.assert_ends(role);
    told
}

fn is_refused(told: &[Outgoing<Body>], reason: DisconnectReason) -> bool {
    matches!(told, [Record::Disconnect(found)] if *found == reason)
}

fn heartbeats(count: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    for _ in 0..count {
        put(&mut packet, &Record::<&[u8], ()>::Heartbeat);
    }
    packet
}

/// A REQUEST whose payload travels in a frame of `len` bytes.
fn request_out(packet: &mut Vec<u8>, path: &[u8], len: usize) {
    let record = request(1, b"", Span::from_secs(1));
    let tail = Tail {
        bytes: path,
        name_len: path.len() as u8,
        meta: false,
        payload_len: len as u32,
        out: true,
        ..Tail::default()
    };
    put_tail(packet, &record, tail);
}

#[test]
fn a_payload_frame_beyond_the_limit_is_refused() {
    let max = Limits::default().frame_bytes;
    for (len, refused) in [(max, false), (max + 1, true), (usize::MAX, true)] {
        let mut packet = Vec::new();
        request_out(&mut packet, b"auth.v1.Auth/Login", len);
        for role in ROLES {
            let told = answer(role, &packet, &[len]);
            assert_eq!(is_refused(&told, DisconnectReason::Malformed), refused, "{len} {role:?}");
        }
    }
}

#[test]
fn a_packet_beyond_the_limit_is_refused() {
    let max = Limits::default().frame_bytes;
    let path = b"auth.v1.Auth/Login";
    for (len, refused) in [(max, false), (max + 1, true)] {
        let payload = len - 2 - HEADER_LEN - path.len();
        let tail = [&path[..], &vec![0; payload]].concat();
        let tail = Tail {
            bytes: &tail,
            name_len: path.len() as u8,
            meta: false,
            payload_len: payload as u32,
            out: false,
            ..Tail::default()
        };
        let mut packet = Vec::new();
        put_tail(&mut packet, &request(1, b"", Span::from_secs(1)), tail);
        assert_eq!(packet.len(), len);
        let told = answer(Role::Client, &packet, &[]);
        assert_eq!(is_refused(&told, DisconnectReason::Malformed), refused, "{len}");
    }
}

#[test]
fn too_many_frames_are_refused() {
    let max = Limits::default().frames;
    // The packet is one of them.
    for (frames, refused) in [(max - 1, false), (max, true), (1_000, true)] {
        let mut packet = Vec::new();
        for _ in 0..frames {
            request_out(&mut packet, b"auth.v1.Auth/Login", 3);
        }
        let told = answer(Role::Client, &packet, &vec![3; frames]);
        assert_eq!(is_refused(&told, DisconnectReason::Malformed), refused, "{frames}");
    }
}

#[test]
fn of_a_packet_with_too_many_records_none_counts() {
    let max = Limits::default().records;
    for (records, refused) in [(max, false), (max + 1, true)] {
        for role in ROLES {
            let told = answer(role, &heartbeats(records), &[]);
            // A stranger is told once for each record that HELLO comes first.
            let expected = match (role, refused) {
                (_, true) => vec![DisconnectReason::Malformed],
                (Role::Stranger, false) => vec![DisconnectReason::NoSession; records],
                (_, false) => vec![],
            };
            let found: Vec<_> = told
                .iter()
                .map(|record| match record {
                    Record::Disconnect(reason) => *reason,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(found, expected, "{records} {role:?}");
        }
    }

    let mut world = World::with(Role::Client);
    let before = world.broker.stats().requests;
    let mut packet = Vec::new();
    for _ in 0..=max {
        put(&mut packet, &request(7, b"", Span::from_secs(1)));
    }
    world.bad(&hear(&packet, &[], &Limits::default()));
    assert_eq!(world.broker.stats().requests, before);
}

/// Names, and whether they are ones.
fn names() -> Vec<(Vec<u8>, bool)> {
    let mut names = vec![
        (b"".to_vec(), false),
        (b" ".to_vec(), false),
        (b"auth v1".to_vec(), false),
        (b"auth\n".to_vec(), false),
        (b"\0".to_vec(), false),
        (b"auth\x07".to_vec(), false),
        (b"auth\x7f".to_vec(), false),
        ("aüth".as_bytes().to_vec(), false),
        (b"auth\xff".to_vec(), false),
        (b"a".to_vec(), true),
        (b"!~".to_vec(), true),
        (vec![b'a'; 255], true),
    ];
    names.extend((0..=255).map(|byte: u8| (vec![b'a', byte], (0x21..=0x7e).contains(&byte))));
    names
}

#[test]
fn a_ready_with_a_bad_service_name_is_refused() {
    let reserved = [(b"mmi.service".to_vec(), false), (b"mmi.".to_vec(), false)];
    for (service, good) in names().into_iter().chain(reserved) {
        for role in [Role::Client, Role::Worker] {
            let mut packet = Vec::new();
            put(
                &mut packet,
                &Record::<_, ()>::Ready {
                    service: service.clone(),
                    capacity: 1,
                    shared: false,
                    schema: None,
                },
            );
            let told = answer(role, &packet, &[]);
            let name = String::from_utf8_lossy(&service);
            assert_eq!(is_refused(&told, DisconnectReason::BadName), !good, "{name:?} {role:?}");
            assert!(!good || told.is_empty(), "{name:?}: {told:?}");
        }
    }
}

#[test]
fn a_ready_with_a_bad_capacity_is_refused() {
    let max = Limits::default().capacity;
    for (capacity, good) in [(0, false), (1, true), (max, true), (max + 1, false)] {
        let mut packet = Vec::new();
        put(
            &mut packet,
            &Record::<_, ()>::Ready {
                service: b"some.v1.Some",
                capacity,
                shared: false,
                schema: None,
            },
        );
        let told = answer(Role::Client, &packet, &[]);
        assert_eq!(is_refused(&told, DisconnectReason::LimitReached), !good, "{capacity}");
    }
}

#[test]
fn a_hello_with_a_bad_id_is_refused() {
    // A HELLO without an id asks for one.
    for (id, good) in names().into_iter().filter(|(id, _)| !id.is_empty()) {
        let mut packet = Vec::new();
        let heartbeat = Span::from_secs(1);
        put(&mut packet, &Record::<_, ()>::Hello { id: id.clone(), heartbeat, liveness: 3 });
        let told = answer(Role::Stranger, &packet, &[]);
        let welcome = matches!(&told[..], [Record::Welcome { id: found, .. }] if **found == *id);
        assert_eq!(welcome, good, "{id:?}: {told:?}");
        assert_eq!(is_refused(&told, DisconnectReason::BadName), !good, "{id:?}");
    }
}

#[test]
fn a_request_with_a_bad_path_ends_and_its_client_stays() {
    let mut paths: Vec<Vec<u8>> =
        names().into_iter().filter(|(_, good)| !good).map(|(name, _)| name).collect();
    let bad = paths.clone();
    paths.extend(bad.iter().map(|name| [b"auth.v1.Auth/", &name[..]].concat()));
    // With a `/` in it a bad name is two names, and they are bad.
    paths.extend(bad.iter().map(|name| [&name[..], b"/Login"].concat()));
    paths.extend([b"/".to_vec(), b"auth".to_vec(), b"/Login".to_vec(), b"auth.v1.Auth/".to_vec()]);
    for path in paths {
        let tail = Tail { bytes: &path, name_len: path.len() as u8, ..Tail::default() };
        let mut packet = Vec::new();
        put_tail(&mut packet, &request(9, b"", Span::from_secs(1)), tail);
        let told = answer(Role::Client, &packet, &[]);
        let [Record::Final { call: 9, code, not_started: true, reply, .. }] = &told[..] else {
            panic!("{}: {told:?}", String::from_utf8_lossy(&path));
        };
        let Reply::Refused(refusal) = reply else { panic!("{reply:?}") };
        assert_eq!((*code, refusal.reason), (Code::InvalidArgument, Reason::BadRequest));
        assert!(refusal.message.starts_with("the REQUEST's name is not a method's path: "));
    }
}

#[test]
fn a_name_that_does_not_fit_never_leaves_a_client() {
    let long = [b"auth.v1.Auth/", &[b'a'; 243][..]].concat();
    assert_eq!(long.len(), 256);
    let expected =
        "the method's path cannot be sent: the name has 256 bytes; at most 255 are allowed";
    assert_eq!(refused(&long, b""), expected);
    let expected = "the method's path cannot be sent: the name is empty; give 1 to 255 bytes of \
                    printable ASCII without spaces";
    assert_eq!(refused(b"", b""), expected);
    let expected = "the method's path cannot be sent: byte 4 of the name is 0x07; only printable \
                    ASCII without spaces is allowed";
    assert_eq!(refused(b"auth\x07/Login", b""), expected);
    let expected =
        "the worker's id cannot be sent: the name has 256 bytes; at most 255 are allowed";
    assert_eq!(refused(b"auth.v1.Auth/Login", &[b'w'; 256]), expected);
}

/// The words with which a client refuses a call.
fn refused(path: &[u8], worker: &[u8]) -> String {
    let mut client: Client<Body, ()> = Client::new(Default::default());
    let mut out = Vec::new();
    let call = Call {
        token: (),
        timeout: Span::from_secs(1),
        begin_within: Span::from_secs(86_400),
        idempotent: false,
        worker: worker.into(),
        kind: CallKind::Unary,
        body: Body::of(path),
    };
    client.handle(Time::from_ms(1), Input::Call(call), &mut out);
    let refusal = out.into_iter().find_map(|action| match action {
        Action::Done { outcome: Outcome::Refused(refusal), .. } => Some(refusal),
        _ => None,
    });
    let refusal = refusal.expect("the call is refused at once");
    assert_eq!((refusal.code, refusal.reason), (Code::InvalidArgument, Reason::BadRequest));
    assert!(refusal.not_started);
    refusal.message
}

#[test]
fn the_check_of_names_says_what_is_wrong() {
    assert_eq!(names::check(&[b'a'; 256]), Err(NameError::TooLong(256)));
    assert_eq!(names::check("aü".as_bytes()), Err(NameError::BadByte { at: 1, byte: 0xc3 }));
    for (name, good) in names() {
        assert_eq!(names::check(&name).is_ok(), good, "{name:?}");
    }
}

#[test]
fn sessions_beyond_the_limit_are_turned_away() {
    let limits = Limits { sessions: 2, ..Limits::default() };
    // The good client and the good worker are two.
    let mut world = World::new(Config { limits, ..Config::default() });
    let mut packet = Vec::new();
    let heartbeat = Span::from_secs(1);
    put(&mut packet, &Record::<_, ()>::Hello { id: b"third", heartbeat, liveness: 3 });
    world.bad(&hear(&packet, &[], &Limits::default()));
    assert!(is_refused(&world.told_bad(), DisconnectReason::LimitReached));
    world.assert_alive();
}
