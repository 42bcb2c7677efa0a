//! Metadata that cannot be read (wire.md R103): every truncation, and keys that are invalid.

use mdp_protocol::wire::{Direction, Part, Record, Reply};
use mdp_protocol::{Code, Reason, Refusal, Span, Time, worker};

use crate::machines::{
    BAD, BAD_PATH, Body, GOOD_CLIENT, GOOD_PATH, GOOD_WORKER, Role, VICTIM, WELCOME, World, credit,
    request,
};

/// `token`: `secret`; zstd is accepted; `user`: `ann`.
const WHOLE: &[u8] = b"\x0a\x0f\x0a\x05token\x12\x06secret\x10\x01\x0a\x0b\x0a\x04user\x12\x03ann";
/// Where a field of it ends, so that what stands before is metadata, too.
const ENDS: [usize; 4] = [0, 17, 19, WHOLE.len()];

/// Every truncation that is no metadata, and what has an invalid key.
fn bad() -> Vec<Vec<u8>> {
    let cut = (0..WHOLE.len()).filter(|len| !ENDS.contains(len));
    let mut bad: Vec<Vec<u8>> = cut.map(|len| WHOLE[..len].to_vec()).collect();
    for key in [&b""[..], b"User", b"\xff", b"a b", b"user\0", &[b'k'; 100]] {
        let mut entry = vec![0x0a, key.len() as u8 + 2, 0x0a, key.len() as u8];
        entry.extend_from_slice(key);
        match key.len() {
            // A good one, which is cut off by its entry.
            100 => entry[1] -= 1,
            _ => entry.splice(0..0, WHOLE.iter().copied()).for_each(drop),
        }
        bad.push(entry);
    }
    bad
}

fn of(path: &[u8], meta: &[u8]) -> Record<&'static [u8], Body> {
    let mut record = request(77, path, Span::from_secs(1));
    if let Record::Request { body, .. } = &mut record {
        *body = Body::with_meta(path, meta);
    }
    record
}

fn end(call: u64, code: Code, not_started: bool, meta: &[u8]) -> Record<&'static [u8], Body> {
    let reply = Reply::Body(Body::with_meta(b"", meta));
    Record::Final { call, code, not_started, attempt: 0, peer: b"", reply }
}

/// Code, `not_started` and reason of the FINAL among these.
fn refused<N>(records: &[Record<N, Body>]) -> Option<(Code, bool, Reason)> {
    records.iter().find_map(|record| match record {
        Record::Final { code, not_started, reply: Reply::Refused(refusal), .. } => {
            let Refusal { reason, message, .. } = &**refusal;
            assert!(message.contains("metadata"), "{message}");
            Some((*code, *not_started, *reason))
        }
        _ => None,
    })
}

#[test]
fn a_broker_refuses_a_request_whose_metadata_cannot_be_read() {
    for meta in bad() {
        let mut world = World::with(Role::Client);
        world.told(BAD);
        world.told(GOOD_WORKER);
        let before = world.broker.stats();
        world.say(BAD, of(GOOD_PATH, &meta));
        let wanted = Some((Code::InvalidArgument, true, Reason::BadRequest));
        assert_eq!(refused(&world.told(BAD)), wanted, "{meta:02x?}");
        assert_eq!(world.told(GOOD_WORKER), [], "{meta:02x?}");
        let stats = world.broker.stats();
        assert_eq!((stats.invalid - before.invalid, stats.refused - before.refused), (1, 1));
        world.assert_alive();
        world.assert_ends(Role::Client);
    }
}

#[test]
fn metadata_that_can_be_read_goes_on_as_it_came() {
    for len in ENDS {
        let mut world = World::with(Role::Client);
        world.told(GOOD_WORKER);
        world.say(BAD, of(GOOD_PATH, &WHOLE[..len]));
        let told = world.told(GOOD_WORKER);
        let [Record::Request { body, .. }] = &told[..] else { panic!("{told:?}") };
        assert_eq!(body.meta, WHOLE[..len]);
    }
}

#[test]
fn a_call_whose_reply_has_metadata_that_cannot_be_read_ends_with_internal() {
    for meta in bad() {
        for (code, not_started) in
            [(Code::Ok, false), (Code::NotFound, false), (Code::Unavailable, true)]
        {
            let mut world = World::with(Role::Worker);
            let handle = world.handle_of(BAD, 0);
            world.told(GOOD_CLIENT);
            world.say(BAD, end(handle, code, not_started, &meta));
            let reason = if not_started { Reason::NotDispatched } else { Reason::MaybeExecuted };
            let wanted = Some((Code::Internal, not_started, reason));
            assert_eq!(refused(&world.told(GOOD_CLIENT)), wanted, "{meta:02x?}");
            assert_eq!(world.broker.stats().invalid, 1);
            world.assert_alive();
        }
    }
}

#[test]
fn a_stream_that_is_opened_with_metadata_that_cannot_be_read_ends_and_its_handler_is_stopped() {
    for meta in bad() {
        let mut world = World::with(Role::Worker);
        let handle = world.handle_of(BAD, 0);
        world.say(GOOD_CLIENT, credit(VICTIM, Direction::Replies));
        world.told(GOOD_CLIENT);
        world.told(BAD);
        let part = Part::Open(Body::with_meta(b"", &meta));
        world.say(BAD, Record::Data { call: handle, of: Direction::Replies, part });
        let told = world.told(GOOD_CLIENT);
        assert_eq!(refused(&told), Some((Code::Internal, false, Reason::MaybeExecuted)));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(world.told(BAD), [Record::Cancel { call: handle }]);
        // The slot comes back as with every call that is given up.
        world.say(BAD, end(handle, Code::Cancelled, false, b""));
        assert_eq!(world.told(BAD), []);
        world.assert_alive();
        assert_eq!(world.broker.stats().running, 0);
    }
}

#[test]
fn a_worker_refuses_a_request_whose_metadata_cannot_be_read() {
    for meta in bad() {
        let service = b"auth.v1.Auth"[..].into();
        let services = vec![worker::Offer { service, capacity: 1, schema: None }];
        let config = worker::Config { services, ..worker::Config::default() };
        let mut worker = worker::Worker::new(config);
        let (now, mut out) = (Time::from_ms(1), Vec::new());
        worker.handle(now, worker::Input::<Body>::Tick, &mut out);
        worker.handle(now, worker::Input::Record(WELCOME), &mut out);
        out.clear();
        worker.handle(now, worker::Input::Record(of(BAD_PATH, &meta)), &mut out);
        assert_eq!(worker.running(), 0, "{meta:02x?}");
        let said: Vec<_> = out
            .into_iter()
            .filter_map(|action| match action {
                worker::Action::Session(mdp_protocol::SessionAction::Send(record)) => Some(record),
                _ => None,
            })
            .collect();
        let wanted = Some((Code::InvalidArgument, true, Reason::BadRequest));
        assert_eq!(refused(&said), wanted, "{meta:02x?}");
    }
}
