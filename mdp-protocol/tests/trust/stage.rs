//! A broker, and peers of all dialects around it.

use std::collections::BTreeMap;

use mdp_protocol::broker::{
    Action, Broker, Config, Content, FromClassic, Incoming, Input, Note, Outgoing, Question,
    ToClassic,
};
use mdp_protocol::wire::classic::{Dialect, Form};
use mdp_protocol::wire::{self, CallKind, Direction, Head, Part, Record, Reply, decode, tunnel};
use mdp_protocol::{Code, Identity, Key, Limits, Span, Time};

use crate::body::Body;

pub(crate) const VAULT: &str = "bank.v1.Vault";
pub(crate) const OPEN: &str = "bank.v1.Vault/Open";

/// What a peer speaks; `None` is MDP/RPC.
pub(crate) type Speaks = Option<Dialect>;

pub(crate) const ALL: [Speaks; 3] = [None, Some(Dialect::V01), Some(Dialect::V02)];

/// What the broker said to a peer.
#[derive(Debug)]
pub(crate) enum Said {
    Record(Outgoing<Body>),
    Classic(ToClassic<Body>),
}

pub(crate) struct Stage {
    pub(crate) broker: Broker<Body>,
    pub(crate) now: u64,
    routes: BTreeMap<Key, String>,
    said: Vec<(String, Said)>,
    pub(crate) questions: Vec<Question<Body>>,
    pub(crate) notes: Vec<Note>,
}

impl Stage {
    pub(crate) fn new(config: Config) -> Self {
        Stage {
            broker: Broker::new(config),
            now: 1_000,
            routes: BTreeMap::new(),
            said: Vec::new(),
            questions: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn input(&mut self, input: Input<'_, Body>) {
        let mut out = Vec::new();
        self.broker.handle(Time::from_ms(self.now), input, &mut out);
        self.perform(out);
    }

    fn perform(&mut self, out: Vec<Action<Body>>) {
        for action in out {
            match action {
                Action::Open { session, route } => {
                    let route = String::from_utf8(route.into()).unwrap();
                    self.routes.insert(session, route);
                }
                Action::Send { to, record } => {
                    self.said.push((self.routes[&to].clone(), Said::Record(record)));
                }
                Action::SendClassic { to, message, .. } => {
                    self.said.push((self.routes[&to].clone(), Said::Classic(message)));
                }
                Action::Answer { route, record } => {
                    let route = String::from_utf8(route.into()).unwrap();
                    self.said.push((route, Said::Record(record)));
                }
                Action::AnswerClassic { route, message, .. } => {
                    let route = String::from_utf8(route.into()).unwrap();
                    self.said.push((route, Said::Classic(message)));
                }
                Action::Close { session } => drop(self.routes.remove(&session)),
                Action::Ask(question) => self.questions.push(*question),
                Action::Note(note) => self.notes.push(note),
                Action::Pause { .. } | Action::Resume { .. } | Action::Closed => {}
            }
        }
        self.broker.audit().unwrap();
    }

    /// What a peer was told since the last time, but for heartbeats.
    pub(crate) fn told(&mut self, who: &str) -> Vec<Said> {
        let (own, rest) = self.said.drain(..).partition(|(to, _)| to == who);
        self.said = rest;
        let own: Vec<(String, Said)> = own;
        let said = own.into_iter().map(|(_, said)| said);
        said.filter(|said| !matches!(said, Said::Record(Record::Heartbeat))).collect()
    }

    /// A record of a peer of MDP/RPC, from a connection with this identity.
    pub(crate) fn say_as(&mut self, who: &str, identity: Identity, record: Record<&[u8], Body>) {
        let from = self.broker.sender(who.as_bytes(), identity);
        self.input(Input::Record { from, record });
    }

    pub(crate) fn say(&mut self, who: &str, record: Record<&[u8], Body>) {
        self.say_as(who, Identity::anonymous(), record);
    }

    pub(crate) fn classic_as(
        &mut self,
        who: &str,
        identity: Identity,
        dialect: Dialect,
        said: FromClassic<'_, Body>,
    ) {
        let from = self.broker.sender(who.as_bytes(), identity);
        self.input(Input::Classic { from, form: form(dialect), said });
    }

    pub(crate) fn classic(&mut self, who: &str, dialect: Dialect, said: FromClassic<'_, Body>) {
        self.classic_as(who, Identity::anonymous(), dialect, said);
    }

    /// A worker that offers a service.
    pub(crate) fn worker(&mut self, who: &str, speaks: Speaks, service: &str) {
        match speaks {
            None => {
                self.say(who, hello(who));
                let service = service.as_bytes();
                self.say(who, Record::Ready { service, capacity: 8, shared: false, schema: None });
            }
            Some(dialect) => {
                self.classic(who, dialect, FromClassic::Ready { service: service.as_bytes() });
            }
        }
        self.told(who);
    }

    /// A client that is ready to call.
    pub(crate) fn client(&mut self, who: &str, speaks: Speaks) {
        if speaks.is_none() {
            self.say(who, hello(who));
        }
        self.told(who);
    }

    /// A raw call with these frames, as the driver hands it over: one that is a tunnel of a classic client is read as
    /// such.
    pub(crate) fn call(&mut self, who: &str, speaks: Speaks, service: &str, frames: &[Vec<u8>]) {
        match speaks {
            None => self.say(who, raw_request(1, service, frames)),
            Some(dialect) => {
                let content = content(service, frames, tunnel::is_request);
                let service = service.as_bytes();
                self.classic(who, dialect, FromClassic::Request { service, content });
            }
        }
    }

    /// The raw call that a worker was given.
    pub(crate) fn given(&mut self, who: &str) -> u64 {
        match self.told(who).as_slice() {
            [Said::Record(Record::Request { call, .. }), ..] => *call,
            [Said::Classic(ToClassic::Task { call, .. }), ..] => *call,
            other => panic!("{who} was told {other:?}"),
        }
    }

    /// A worker's raw answer with these frames, as the driver hands it over.
    pub(crate) fn answer(
        &mut self,
        who: &str,
        speaks: Speaks,
        call: u64,
        last: bool,
        frames: &[Vec<u8>],
    ) {
        let raw = Body::of_frames(b"", frames);
        match speaks {
            None if last => self.say(who, ok(call, raw)),
            None => {
                let (of, part) = (Direction::Replies, Part::Item(raw));
                self.say(who, Record::Data { call, of, part });
            }
            Some(dialect) => {
                let content = content("", frames, |head| tunnel::is_reply(head, last));
                let address = call.to_be_bytes();
                self.classic(
                    who,
                    dialect,
                    FromClassic::Answer { address: &address, last, content },
                );
            }
        }
    }
}

fn form(dialect: Dialect) -> Form {
    match dialect {
        Dialect::V01 => Form::V01,
        Dialect::V02 => Form::V02,
    }
}

fn content<'a>(
    service: &str,
    frames: &'a [Vec<u8>],
    fits: impl Fn(&Head) -> bool,
) -> Incoming<'a, Body> {
    match tunnel::read(frames, &Limits::default()).filter(fits) {
        Some(head) => {
            let of = |head: &Head| Body::of(head, &frames[0], &frames[1..]);
            Incoming::Call(Box::new(Record::read(&head, &frames[0], of).unwrap()))
        }
        None => Incoming::Raw(Body::of_frames(service.as_bytes(), frames)),
    }
}

pub(crate) fn hello(id: &str) -> Record<&[u8], Body> {
    Record::Hello { id: id.as_bytes(), heartbeat: Span::from_secs(1), liveness: 3 }
}

pub(crate) fn request(call: u64, body: Body, kind: CallKind) -> Record<&'static [u8], Body> {
    let (timeout, idempotent, attempt, peer) = (Span::from_secs(10), false, 1, &b""[..]);
    Record::Request { call, timeout, idempotent, attempt, peer, kind, body }
}

pub(crate) fn raw_request(
    call: u64,
    service: &str,
    frames: &[Vec<u8>],
) -> Record<&'static [u8], Body> {
    request(call, Body::of_frames(service.as_bytes(), frames), CallKind::ServerStreaming)
}

pub(crate) fn ok(call: u64, body: Body) -> Record<&'static [u8], Body> {
    let (code, not_started, attempt, peer) = (Code::Ok, false, 0, &b""[..]);
    Record::Final { call, code, not_started, attempt, peer, reply: Reply::Body(body) }
}

/// A record as the frames of a body.
fn frames_of(record: &Record<&[u8], ()>, body: &Body) -> Vec<Vec<u8>> {
    let mut packet = Vec::new();
    wire::begin(&mut packet);
    body.put(&mut packet, record);
    let mut heads = Vec::new();
    decode(&packet, &[], &Limits::default(), &mut heads).unwrap();
    vec![packet]
}

/// A typed call that says it is somebody else's.
pub(crate) fn forged_request(path: &str) -> Vec<Vec<u8>> {
    let record = Record::Request {
        call: 7,
        timeout: Span::from_secs(5),
        idempotent: false,
        attempt: 1,
        peer: &b"x admin"[..],
        kind: CallKind::Unary,
        body: (),
    };
    frames_of(&record, &Body::of_path(path.as_bytes(), b"all of it"))
}

/// A reply that says it is another worker's.
pub(crate) fn forged_reply(last: bool) -> Vec<Vec<u8>> {
    let body = Body::of_text("forged");
    let record = match last {
        true => Record::Final {
            call: 1,
            code: Code::NotFound,
            not_started: false,
            attempt: 1,
            peer: &b"boss"[..],
            reply: Reply::Body(()),
        },
        false => Record::Data { call: 1, of: Direction::Replies, part: Part::Item(()) },
    };
    frames_of(&record, &body)
}

/// The record in what a classic peer was told, if it is one.
pub(crate) fn record_in(said: &Said) -> Option<&Outgoing<Body>> {
    match said {
        Said::Record(record) => Some(record),
        Said::Classic(ToClassic::Task { content, .. } | ToClassic::Reply { content, .. }) => {
            match content {
                Content::Call(record) => Some(record),
                Content::Raw(_) | Content::Listing(_) => None,
            }
        }
        Said::Classic(ToClassic::Heartbeat | ToClassic::Disconnect) => None,
    }
}

/// The frames of a raw body in what a peer was told, if there is one.
pub(crate) fn raw_frames(said: &Said) -> Option<Vec<Vec<u8>>> {
    let raw = |body: &Body| mdp_protocol::Payload::is_raw(body).then(|| body.frames());
    match said {
        Said::Record(record) => record.body().and_then(raw),
        Said::Classic(ToClassic::Task { content, .. } | ToClassic::Reply { content, .. }) => {
            match content {
                Content::Raw(body) => Some(body.frames()),
                Content::Call(record) => record.body().and_then(raw),
                Content::Listing(_) => None,
            }
        }
        Said::Classic(ToClassic::Heartbeat | ToClassic::Disconnect) => None,
    }
}
