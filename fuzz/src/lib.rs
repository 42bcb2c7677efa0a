//! What the fuzz targets share: bodies of bytes, frames out of noise, and a broker that is fed messages.

#[path = "../../mdp-protocol/tests/dialogues/body.rs"]
pub mod body;
pub mod events;
mod guard;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use body::Body;
use mdp_protocol::broker::{
    Action, Broker, Config, Content, FromClassic, Incoming, Input, Outgoing, ToClassic,
};
use mdp_protocol::policy::Policy;
use mdp_protocol::wire::classic::{self, Command, Form, ClassicError, Reader, Side};
use mdp_protocol::wire::{self, DisconnectReason, Head, Record, SIGNATURE, decode, tunnel};
use mdp_protocol::{Key, Limits, Span, Time};

/// Frames of a message; seldom many, seldom large.
#[derive(Clone, Debug)]
pub struct Frames(pub Vec<Vec<u8>>);

impl<'a> Arbitrary<'a> for Frames {
    fn arbitrary(noise: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let count = noise.int_in_range(0..=40)?;
        let mut frames = Vec::new();
        for _ in 0..count {
            frames.push(frame(noise)?);
        }
        Ok(Frames(frames))
    }
}

/// A frame that may be one of those with a meaning.
fn frame(noise: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    Ok(match noise.int_in_range(0..=9)? {
        0 => Vec::new(),
        1 => vec![noise.int_in_range(0..=8)?],
        2 => b"MDPC01".to_vec(),
        3 => b"MDPC02".to_vec(),
        4 => b"MDPW01".to_vec(),
        5 => b"MDPW02".to_vec(),
        6 => b"echo".to_vec(),
        7 => b"mmi.service".to_vec(),
        8 => b"mmi.schema".to_vec(),
        _ => {
            let len = noise.int_in_range(0..=64)?;
            noise.bytes(len)?.to_vec()
        }
    })
}

/// Limits so low that noise meets them.
pub fn low() -> Limits {
    Limits {
        frame_bytes: 256,
        frames: 12,
        records: 16,
        sessions: 12,
        services: 4,
        unserved_services: 3,
        services_per_worker: 2,
        registrations: 8,
        queued_calls_per_service: 6,
        queued_bytes_per_service: 600,
        held_bytes: 1_500,
        incomplete_bytes: 1_500,
        unread_bytes_per_session: 2_000,
        unread_bytes: 8_000,
        calls_per_client: 5,
        calls: 20,
        methods: 3,
        capacity: 3,
        window: 16,
        schemas: 2,
        schema_bytes: 30,
        attempts: 2,
        unanswered: 2,
    }
}

/// A broker with low limits, and what it said last to each peer.
pub struct Stage {
    pub broker: Broker<Body>,
    limits: Limits,
    pub now: u64,
    routes: BTreeMap<Key, Vec<u8>>,
    /// The handle of the last request that each peer got.
    pub last: BTreeMap<Vec<u8>, u64>,
    /// Messages to classic peers since they were asked for.
    pub classic: Vec<(Vec<u8>, Form, ToClassic<Body>)>,
    pub closed: bool,
    /// Sessions whose connections are not read.
    paused: BTreeSet<Key>,
    /// The policy, if there is one.
    policy: Option<Arc<Policy>>,
    /// A policy that comes between the moment at which the next message is attributed and the one at which it is handled.
    pub between: Option<u16>,
}

impl Default for Stage {
    fn default() -> Self {
        let limits = low();
        let mut config = Config { limits: limits.clone(), pauses_reading: true, ..Config::default() };
        config.classic.queue_expiry = Span::from_secs(2);
        config.classic.run_timeout = Span::from_secs(4);
        Stage {
            broker: Broker::new(config),
            limits,
            now: 1_000,
            routes: BTreeMap::new(),
            last: BTreeMap::new(),
            classic: Vec::new(),
            closed: false,
            paused: BTreeSet::new(),
            policy: None,
            between: None,
        }
    }
}

impl Stage {
    /// A message of a peer, of whatever dialect.
    pub fn message(&mut self, route: &[u8], frames: &[Vec<u8>]) {
        match frames.first().and_then(|frame| frame.first()) {
            Some(&SIGNATURE) => self.packet(route, frames),
            _ => self.classic_message(route, frames),
        }
    }

    fn packet(&mut self, route: &[u8], frames: &[Vec<u8>]) {
        let mut heads = Vec::new();
        let of = |head: &Head| Body::of(head, &frames[0], &frames[1..]);
        let Ok(records) = wire::read(&frames[0], &frames[1..], &self.limits, &mut heads, of) else {
            let from = self.broker.sender(route, self.identity(route));
            return self.handle(Input::Invalid { from, reason: DisconnectReason::Malformed });
        };
        for record in records {
            let from = self.broker.sender(route, self.identity(route));
            let input = match record {
                Ok(record) => Input::Record { from, record },
                Err(error) => Input::Invalid { from, reason: error.into() },
            };
            self.handle(input);
        }
    }

    fn classic_message(&mut self, route: &[u8], frames: &[Vec<u8>]) {
        let from = self.broker.sender(route, self.identity(route));
        let message = match classic::read(Reader::Broker, frames, &self.limits) {
            Ok(message) => message,
            Err(ClassicError::Signature) => {
                return self.handle(Input::Invalid { from, reason: DisconnectReason::Malformed });
            }
            Err(ClassicError::Wrong { form, side, .. }) => {
                return self.handle(Input::InvalidClassic { from, form, side });
            }
        };
        let body = &frames[message.body..];
        let said = match message.command {
            Command::Request { service } => {
                let fits = |head: &Head| tunnel::is_request(head);
                FromClassic::Request { service, content: self.content(service, body, fits) }
            }
            Command::Answer { address, last } => {
                let fits = |head: &Head| tunnel::is_reply(head, last);
                FromClassic::Answer { address, last, content: self.content(b"", body, fits) }
            }
            Command::Ready { service } => FromClassic::Ready { service },
            Command::Heartbeat => FromClassic::Heartbeat,
            Command::Disconnect => FromClassic::Disconnect,
            command => panic!("{command:?} is not for a broker"),
        };
        self.handle(Input::Classic { from, form: message.form, said });
    }

    fn content<'a>(
        &self,
        service: &[u8],
        body: &'a [Vec<u8>],
        fits: impl FnOnce(&Head) -> bool,
    ) -> Incoming<'a, Body> {
        match tunnel::read(body, &self.limits).filter(fits) {
            Some(head) => {
                let of = |head: &Head| Body::of(head, &body[0], &body[1..]);
                Incoming::Call(Box::new(Record::read(&head, &body[0], of).expect("its command was looked at")))
            }
            None => Incoming::Raw(Body::of_frames(service, body)),
        }
    }

    pub fn handle(&mut self, input: Input<'_, Body>) {
        if let Some(bits) = self.between.take() {
            self.set_policy(bits);
        }
        let mut out = Vec::new();
        self.broker.handle(Time::from_ms(self.now), input, &mut out);
        for action in out {
            self.perform(action);
        }
        if let Err(fault) = self.broker.audit() {
            panic!("{fault}");
        }
    }

    pub fn wait(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(next) = self.broker.next_deadline().filter(|next| next.as_ms() <= end) {
            self.now = self.now.max(next.as_ms());
            self.handle(Input::Tick);
        }
        self.now = end;
        self.handle(Input::Tick);
    }

    pub fn lost(&mut self, route: &[u8]) {
        let session = self.routes.iter().find(|(_, known)| *known == route).map(|(key, _)| *key);
        if let Some(session) = session {
            self.handle(Input::Unreachable { session });
        }
    }

    fn perform(&mut self, action: Action<Body>) {
        match action {
            Action::Open { session, route } => {
                assert!(self.routes.insert(session, route.into()).is_none(), "opened twice");
            }
            Action::Close { session } => {
                assert!(self.routes.remove(&session).is_some(), "closed twice");
                assert!(!self.paused.contains(&session), "its connection is never read again");
            }
            Action::Send { to, record } => {
                let route = self.routes.get(&to).expect("sends to an open session").clone();
                self.check_record(route, &record);
            }
            Action::SendClassic { to, form, message } => {
                let route = self.routes.get(&to).expect("sends to an open session").clone();
                if let ToClassic::Task { call, content } = &message {
                    self.last.insert(route.clone(), *call);
                    match content {
                        Content::Raw(body) => self.check_caller(*call, None, body),
                        Content::Call(record) => {
                            if let Record::Request { peer, body, .. } = &**record {
                                self.check_caller(*call, Some(peer), body);
                            }
                        }
                        Content::Listing(_) => {}
                    }
                }
                check_classic(form, &message);
                self.classic.push((route, form, message));
            }
            Action::Closed => self.closed = true,
            Action::Ask(_) => unreachable!("there are no hooks"),
            // What comes all the same is handled.
            Action::Pause { session } => assert!(self.paused.insert(session), "paused twice"),
            Action::Resume { session } => assert!(self.paused.remove(&session), "was not paused"),
            Action::Answer { .. } | Action::AnswerClassic { .. } | Action::Note(_) => {}
        }
    }

    fn check_record(&mut self, route: Vec<u8>, record: &Outgoing<Body>) {
        if let Record::Request { call, peer, body, .. } = record {
            self.last.insert(route, *call);
            self.check_caller(*call, Some(peer), body);
        }
        let mut packet = Vec::new();
        record.body().cloned().unwrap_or_default().put(&mut packet, record);
        let mut heads = Vec::new();
        let read = decode(&packet, &[], &Limits::default(), &mut heads);
        assert!(read.is_ok() && heads.len() == 1, "{record:?} cannot be read: {read:?}");
    }
}

/// What the broker says can be read by a peer, and is what it says.
fn check_classic(form: Form, message: &ToClassic<Body>) {
    let mut frames = Vec::new();
    message.heads(form, |frame| frames.push(frame.to_vec()));
    let heads = frames.len();
    if let ToClassic::Task { content: Content::Raw(body), .. }
    | ToClassic::Reply { content: Content::Raw(body), .. } = message
    {
        frames.extend(body.frames());
    }
    let read = classic::read(Reader::Peer, &frames, &Limits { frames: 64, ..Limits::default() });
    let read = read.unwrap_or_else(|error| panic!("{message:?} cannot be read: {error}"));
    assert_eq!((read.form, read.body), (form, heads));
    let side = if matches!(message, ToClassic::Reply { .. }) { Side::Client } else { Side::Worker };
    assert_eq!(read.side, side);
}
