//! A broker, a client and a worker without sockets, and the few lines that a driver puts between
//! bytes and them.

use std::collections::HashMap;

use mdp_protocol::broker::{Action, Broker, Config, Input, Outgoing};
use mdp_protocol::wire::{CallKind, Direction, DisconnectReason, Record, WireError, decode};
use mdp_protocol::{Code, Identity, Key, Limits, Payload, Span, Time, client, worker};

/// A body: its path, its metadata, and how many bytes it is said to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) path: Vec<u8>,
    pub(crate) meta: Vec<u8>,
    pub(crate) size: usize,
}

impl Body {
    pub(crate) fn of(path: &[u8]) -> Self {
        Body::with_meta(path, b"")
    }

    pub(crate) fn with_meta(path: &[u8], meta: &[u8]) -> Self {
        Body { path: path.into(), meta: meta.into(), size: path.len() + meta.len() }
    }
}

impl Payload for Body {
    fn path(&self) -> &[u8] {
        &self.path
    }

    fn metadata(&self) -> &[u8] {
        &self.meta
    }

    fn size(&self) -> usize {
        self.size
    }

    fn keep(&self) -> Self {
        self.clone()
    }

    fn detach(self) -> Self {
        self
    }
}

/// What a driver makes of a message: records, and between them what is none.
pub(crate) type Heard<'a> = Result<Record<&'a [u8], Body>, DisconnectReason>;

/// Decodes a message as a driver does, and checks that nothing reaches past the packet.
pub(crate) fn hear<'a>(packet: &'a [u8], frames: &[usize], limits: &Limits) -> Vec<Heard<'a>> {
    let mut heads = Vec::new();
    match decode(packet, frames, limits, &mut heads) {
        Err(error) => {
            assert!(heads.is_empty(), "heads of a packet that was refused");
            assert!(!error.to_string().is_empty());
            return vec![Err(reason_of(&error))];
        }
        Ok(()) => assert!(!heads.is_empty() && heads.len() <= limits.records),
    }
    let mut end = 2;
    let mut out = 0;
    let mut heard = Vec::with_capacity(heads.len());
    for head in &heads {
        // Record stands behind record, without a gap and without an overlap.
        assert!(head.tail.range().start >= end + 20);
        let start = head.tail.range().start;
        end = head.tail.range().end;
        assert!(end <= packet.len());
        for slice in [head.name, head.meta] {
            assert!(slice.range().start >= start && slice.range().end <= end);
        }
        assert!(head.peer.range().end <= start);
        let payload = match head.body {
            mdp_protocol::wire::Body::Inline(slice) => {
                assert!(slice.range().end <= end);
                slice.len()
            }
            mdp_protocol::wire::Body::Frame(number) => {
                assert_eq!(number, out);
                out += 1;
                frames[number as usize]
            }
        };
        assert_eq!(payload, head.payload_len as usize);
        let body = |head: &mdp_protocol::wire::Head| Body {
            path: head.name.of(packet).into(),
            meta: head.meta.of(packet).into(),
            size: head.tail.len() + payload,
        };
        heard.push(Record::read(head, packet, body).map_err(DisconnectReason::from));
    }
    assert_eq!(end, packet.len());
    assert_eq!(out as usize, frames.len());
    heard
}

/// wire.md R55: what a message that cannot be read is answered with.
fn reason_of(error: &WireError) -> DisconnectReason {
    match error {
        WireError::Version(_) => DisconnectReason::Version,
        _ => DisconnectReason::Malformed,
    }
}

/// Whom the bad input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Somebody without a session.
    Stranger,
    /// A session that has made a call.
    Client,
    /// A session that holds a call.
    Worker,
}

pub(crate) const ROLES: [Role; 3] = [Role::Stranger, Role::Client, Role::Worker];

pub(crate) const GOOD_CLIENT: &[u8] = b"good client's route";
pub(crate) const GOOD_WORKER: &[u8] = b"good worker's route";
pub(crate) const BAD: &[u8] = b"bad peer's route";
const GOOD_SERVICE: &[u8] = b"good.v1.Echo";
pub(crate) const GOOD_PATH: &[u8] = b"good.v1.Echo/Say";
const BAD_SERVICE: &[u8] = b"auth.v1.Auth";
pub(crate) const BAD_PATH: &[u8] = b"auth.v1.Auth/Login";
/// The good client's call that the bad worker holds.
pub(crate) const VICTIM: u64 = 1 << 40;
/// The bad client's call with streams, as the vectors from a client to the broker name it.
const STREAM: u64 = 1 << 32 | 8;
/// It is the second that the good worker is given.
const STREAM_AT_WORKER: usize = 1;

/// A broker with a good client, a good worker and a bad peer.
pub(crate) struct World {
    pub(crate) broker: Broker<Body>,
    now: Time,
    out: Vec<Action<Body>>,
    routes: HashMap<Key, Box<[u8]>>,
    mail: Vec<(Box<[u8]>, Outgoing<Body>)>,
    calls: u64,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let mut world = World {
            broker: Broker::new(config),
            now: Time::from_ms(1),
            out: Vec::new(),
            routes: HashMap::new(),
            mail: Vec::new(),
            calls: 0,
        };
        world.hello(GOOD_CLIENT);
        world.hello(GOOD_WORKER);
        world.say(
            GOOD_WORKER,
            Record::Ready { service: GOOD_SERVICE, capacity: 3, shared: false, schema: None },
        );
        world
    }

    /// A world in which the bad peer plays a role.
    pub(crate) fn with(role: Role) -> Self {
        let mut world = World::new(Config::default());
        if role != Role::Stranger {
            world.hello(BAD);
        }
        match role {
            Role::Stranger => {}
            Role::Client => {
                world.say(BAD, request(1, GOOD_PATH, Span::from_ms(500)));
                world.say(BAD, streamed(STREAM, GOOD_PATH));
                let seen = world.handle_of(GOOD_WORKER, STREAM_AT_WORKER);
                world.say(GOOD_WORKER, credit(seen, Direction::Requests));
            }
            Role::Worker => {
                world.say(
                    BAD,
                    Record::Ready {
                        service: BAD_SERVICE,
                        capacity: 1,
                        shared: false,
                        schema: None,
                    },
                );
                world.say(GOOD_CLIENT, streamed(VICTIM, BAD_PATH));
                world.say(GOOD_CLIENT, credit(VICTIM, Direction::Replies));
                world.handle_of(BAD, 0);
            }
        }
        world
    }

    /// The handle of the REQUEST of this number that a worker was given.
    pub(crate) fn handle_of(&self, worker: &[u8], number: usize) -> u64 {
        let mut requests = self.mail.iter().filter_map(|(to, record)| match record {
            Record::Request { call, .. } if **to == *worker => Some(*call),
            _ => None,
        });
        requests.nth(number).expect("the worker is given the call")
    }

    pub(crate) fn hello(&mut self, route: &[u8]) {
        let hello = Record::Hello { id: &b""[..], heartbeat: Span::from_secs(1), liveness: 3 };
        self.say(route, hello);
    }

    pub(crate) fn say(&mut self, route: &[u8], record: Record<&[u8], Body>) {
        let from = self.broker.sender(route, Identity::anonymous());
        self.handle(Input::Record { from, record });
    }

    /// A message of the bad peer, as a driver passes it on.
    pub(crate) fn bad(&mut self, heard: &[Heard<'_>]) {
        self.message(BAD, heard);
    }

    pub(crate) fn message(&mut self, route: &[u8], heard: &[Heard<'_>]) {
        for one in heard {
            let from = self.broker.sender(route, Identity::anonymous());
            let input = match one {
                Ok(record) => Input::Record { from, record: record.clone() },
                Err(reason) => Input::Invalid { from, reason: *reason },
            };
            self.handle(input);
        }
    }

    pub(crate) fn tick(&mut self, pause: Span) {
        self.now = self.now + pause;
        self.handle(Input::Tick);
    }

    pub(crate) fn keep_good_peers_alive(&mut self) {
        self.say(GOOD_CLIENT, Record::Heartbeat);
        self.say(GOOD_WORKER, Record::Heartbeat);
    }

    pub(crate) fn unreachable(&mut self, route: &[u8]) {
        if let Some(session) = self.broker.sender(route, Identity::anonymous()).session() {
            self.handle(Input::Unreachable { session });
        }
    }

    fn handle(&mut self, input: Input<'_, Body>) {
        self.broker.handle(self.now, input, &mut self.out);
        for action in self.out.drain(..) {
            match action {
                Action::Open { session, route } => {
                    assert!(self.routes.insert(session, route).is_none(), "opened twice");
                }
                Action::Send { to, record } => {
                    let route = self.routes.get(&to).expect("sends to a session that is open");
                    self.mail.push((route.clone(), record));
                }
                Action::Answer { route, record } => self.mail.push((route, record)),
                Action::SendClassic { .. }
                | Action::AnswerClassic { .. }
                | Action::Pause { .. }
                | Action::Resume { .. } => {
                    unreachable!("nobody here speaks classic MDP")
                }
                Action::Close { session } => {
                    assert!(self.routes.remove(&session).is_some(), "closed twice");
                }
                Action::Ask(_) => unreachable!("there are no hooks"),
                Action::Note(_) => {}
                Action::Closed => panic!("the broker closed"),
            }
        }
    }

    /// What the bad peer was told since the last time, in order.
    pub(crate) fn told_bad(&mut self) -> Vec<Outgoing<Body>> {
        self.told(BAD)
    }

    /// The same of any peer.
    pub(crate) fn told(&mut self, route: &[u8]) -> Vec<Outgoing<Body>> {
        let (told, rest) = self.mail.drain(..).partition(|(to, _)| **to == *route);
        self.mail = rest;
        let told: Vec<_> = told;
        told.into_iter().map(|(_, record)| record).collect()
    }

    /// The broker is alive: a normal call goes through it and back.
    pub(crate) fn assert_alive(&mut self) {
        self.broker.audit().unwrap();
        let seen = self.mail.len();
        self.calls += 1;
        let call = self.calls;
        self.say(GOOD_CLIENT, request(call, GOOD_PATH, Span::from_secs(1)));
        let handle = self.mail[seen..].iter().find_map(|(to, record)| match record {
            Record::Request { call, .. } if **to == *GOOD_WORKER => Some(*call),
            _ => None,
        });
        let handle = handle.expect("the good worker is given the good call");
        self.say(GOOD_WORKER, reply(handle));
        let answered = self.mail[seen..].iter().any(|(to, record)| {
            let ok =
                matches!(record, Record::Final { call: of, code: Code::Ok, .. } if *of == call);
            **to == *GOOD_CLIENT && ok
        });
        assert!(answered, "the good client is given the good reply");
        self.broker.audit().unwrap();
    }

    /// The call that the bad worker held ends once and no more, and when everybody has left nothing
    /// remains.
    pub(crate) fn assert_ends(&mut self, role: Role) {
        self.tick(Span::from_ms(500));
        self.tick(Span::from_ms(1_000));
        let ends = self.mail.iter().filter(|(to, record)| {
            let of = match record {
                Record::Final { call, .. } | Record::Cancel { call } => *call,
                _ => 0,
            };
            **to == *GOOD_CLIENT && of == VICTIM
        });
        assert_eq!(ends.count(), usize::from(role == Role::Worker), "ends of the call");
        for route in [BAD, GOOD_WORKER, GOOD_CLIENT] {
            self.unreachable(route);
        }
        self.broker.audit().unwrap();
        assert!(self.broker.is_quiet(), "something is left: {:?}", self.broker.stats());
        let stats = self.broker.stats();
        assert_eq!((stats.sessions, stats.services, self.routes.len()), (0, 0, 0));
    }
}

pub(crate) fn request(call: u64, path: &[u8], timeout: Span) -> Record<&'static [u8], Body> {
    Record::Request {
        call,
        timeout,
        idempotent: false,
        attempt: 1,
        peer: b"",
        kind: CallKind::Unary,
        body: Body::of(path),
    }
}

/// A call with streams both ways.
pub(crate) fn streamed(number: u64, path: &[u8]) -> Record<&'static [u8], Body> {
    let mut record = request(number, path, Span::from_ms(500));
    if let Record::Request { kind, .. } = &mut record {
        *kind = CallKind::BidiStreaming;
    }
    record
}

pub(crate) fn credit(call: u64, of: Direction) -> Record<&'static [u8], Body> {
    Record::Credit { call, of, units: 2 }
}

fn reply(call: u64) -> Record<&'static [u8], Body> {
    Record::Final {
        call,
        code: Code::Ok,
        not_started: false,
        attempt: 0,
        peer: b"",
        reply: mdp_protocol::wire::Reply::Body(Body::of(b"")),
    }
}

pub(crate) const WELCOME: Record<&[u8], Body> = Record::Welcome {
    id: b"p-1",
    heartbeat: Span::from_secs(1),
    liveness: 3,
    frame_bytes: 1 << 22,
};

/// A client with two calls at its broker, one idempotent and one with streams, gets a message. Both calls end,
/// once each, by their deadline; a further call is taken.
pub(crate) fn feed_client(heard: &[Heard<'_>]) {
    let mut client: client::Client<Body, u32> = client::Client::new(client::Config::default());
    let mut out = Vec::new();
    let mut now = Time::from_ms(1);
    client.handle(now, client::Input::Tick, &mut out);
    client.handle(now, client::Input::Record(WELCOME), &mut out);
    for token in [0, 1] {
        client.handle(now, client::Input::Call(call(token)), &mut out);
    }
    for one in heard {
        let input = match one {
            Ok(record) => client::Input::Record(record.clone()),
            Err(_) => client::Input::Invalid,
        };
        client.handle(now, input, &mut out);
    }
    client.handle(now, client::Input::Call(call(2)), &mut out);
    for _ in 0..3 {
        now = now + Span::from_ms(400);
        client.handle(now, client::Input::Tick, &mut out);
    }
    let mut done: Vec<u32> = out
        .iter()
        .filter_map(|action| match action {
            client::Action::Done { token, .. } => Some(*token),
            _ => None,
        })
        .collect();
    done.sort_unstable();
    assert_eq!(done, [0, 1, 2], "each call ends once");
    assert_eq!(client.pending(), 0);
}

fn call(token: u32) -> client::Call<Body, u32> {
    client::Call {
        token,
        timeout: Span::from_ms(1_000),
        begin_within: Span::from_secs(86_400),
        idempotent: token == 0,
        worker: [].into(),
        kind: if token == 1 { CallKind::BidiStreaming } else { CallKind::Unary },
        body: Body::of(BAD_PATH),
    }
}

/// A worker with a call with streams in its hands gets a message. Each handler that it starts is either stopped
/// by it or may end, and it is never given more calls at once than it offered to take.
pub(crate) fn feed_worker(heard: &[Heard<'_>]) {
    const CAPACITY: usize = 2;
    let offer =
        worker::Offer { service: BAD_SERVICE.into(), capacity: CAPACITY as u32, schema: None };
    let config = worker::Config { services: vec![offer], ..worker::Config::default() };
    let mut worker = worker::Worker::new(config);
    let mut out = Vec::new();
    let now = Time::from_ms(1);
    worker.handle(now, worker::Input::<Body>::Tick, &mut out);
    worker.handle(now, worker::Input::Record(WELCOME), &mut out);
    let first = streamed(1 << 32, BAD_PATH);
    worker.handle(now, worker::Input::Record(first), &mut out);
    assert_eq!(worker.running(), 1);
    for one in heard {
        let input = match one {
            Ok(record) => worker::Input::Record(record.clone()),
            Err(_) => worker::Input::Invalid,
        };
        worker.handle(now, input, &mut out);
        assert!(worker.running() <= CAPACITY);
    }
    let mut running: Vec<Key> = Vec::new();
    for action in &out {
        match action {
            worker::Action::Start { call, .. } => running.push(*call),
            worker::Action::Abort { call, .. } => running.retain(|other| other != call),
            worker::Action::Part { call, .. } | worker::Action::Credit { call, .. } => {
                assert!(running.contains(call), "a part of {call:?}, which does not run");
            }
            _ => {}
        }
    }
    assert_eq!(running.len(), worker.running());
    for call in running {
        let done = worker::Input::Done { call, code: Code::Ok, reply: Body::of(b"") };
        worker.handle(now, done, &mut out);
    }
    assert_eq!(worker.running(), 0);
}
