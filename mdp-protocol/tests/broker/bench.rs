//! A broker on the bench: what peers say to it, and what it says as lines of text.

use std::collections::BTreeMap;

use crate::support::{at, call, ms, reply, text};
use mdp_protocol::broker::{Action, Broker, Config, Input, Note, Question, Sender};
use mdp_protocol::wire::{CallKind, Direction, Part, Record, SchemaHash};
use mdp_protocol::{Code, Identity, Key, Limit, Limits};

pub(crate) const NO_SERVICE: &str = "UNAVAILABLE not started NO_SERVICE: \
                          no worker offers the service, and none came in time";

/// A broker and what it says; peers go by the routing ids that the test gives them.
pub(crate) struct Bench {
    pub(crate) broker: Broker<Vec<u8>>,
    pub(crate) now: u64,
    pub(crate) names: BTreeMap<Key, String>,
    pub(crate) keys: BTreeMap<String, Key>,
    /// Whose messages are not anonymous.
    pub(crate) identities: BTreeMap<String, Identity>,
    pub(crate) lines: Vec<String>,
    pub(crate) notes: Vec<Note>,
    /// What the hooks were asked last.
    pub(crate) question: Option<Question<Vec<u8>>>,
}

impl Bench {
    pub(crate) fn new(config: Config) -> Self {
        Bench {
            broker: Broker::new(config),
            now: 1_000,
            names: BTreeMap::new(),
            keys: BTreeMap::new(),
            identities: BTreeMap::new(),
            lines: Vec::new(),
            notes: Vec::new(),
            question: None,
        }
    }

    pub(crate) fn with_limits(change: impl FnOnce(&mut Limits)) -> Self {
        let mut config = Config::default();
        change(&mut config.limits);
        Bench::new(config)
    }

    /// A session whose id is its name.
    pub(crate) fn hello(&mut self, name: &str) {
        self.say(name, Record::Hello { id: name.as_bytes(), heartbeat: ms(1_000), liveness: 3 });
        assert_eq!(self.lines.pop(), Some(format!("{name}: WELCOME {name} 1000 ms x3")));
    }

    /// A session that offers one service.
    pub(crate) fn worker(&mut self, name: &str, service: &str, capacity: u32) {
        self.hello(name);
        self.ready(name, service, capacity);
    }

    pub(crate) fn ready(&mut self, name: &str, service: &str, capacity: u32) {
        self.ready_with(name, service, capacity, None);
    }

    /// A worker that says what it was built with.
    pub(crate) fn ready_with(
        &mut self,
        name: &str,
        service: &str,
        capacity: u32,
        schema: Option<SchemaHash>,
    ) {
        self.say(
            name,
            Record::Ready { service: service.as_bytes(), capacity, shared: false, schema },
        );
    }

    /// A call with a timeout of 10 s.
    pub(crate) fn request(&mut self, name: &str, number: u64, path: &str) {
        self.request_as(name, number, path, 10_000, false, "");
    }

    pub(crate) fn idempotent(&mut self, name: &str, number: u64, path: &str) {
        self.request_as(name, number, path, 10_000, true, "");
    }

    pub(crate) fn request_as(
        &mut self,
        name: &str,
        number: u64,
        path: &str,
        timeout: u64,
        idempotent: bool,
        worker: &str,
    ) {
        let record = Record::Request {
            call: number,
            timeout: ms(timeout),
            idempotent,
            attempt: 1,
            peer: worker.as_bytes(),
            kind: CallKind::Unary,
            body: path.into(),
        };
        self.say(name, record);
    }

    /// A call with streams and a timeout of 10 s.
    pub(crate) fn stream(&mut self, name: &str, number: u64, kind: CallKind, idempotent: bool) {
        self.stream_to(name, number, "s.S/M", kind, idempotent);
    }

    pub(crate) fn stream_of(&mut self, name: &str, number: u64, path: &str, kind: CallKind) {
        self.stream_to(name, number, path, kind, false);
    }

    fn stream_to(&mut self, name: &str, number: u64, path: &str, kind: CallKind, idempotent: bool) {
        self.say(
            name,
            Record::Request {
                call: number,
                timeout: ms(10_000),
                idempotent,
                attempt: 1,
                peer: b"",
                kind,
                body: path.as_bytes().to_vec(),
            },
        );
    }

    /// An item of a stream.
    pub(crate) fn item(&mut self, name: &str, call: u64, of: Direction, body: &str) {
        self.part(name, call, of, Part::Item(body.into()));
    }

    pub(crate) fn part(&mut self, name: &str, call: u64, of: Direction, part: Part<Vec<u8>>) {
        self.say(name, Record::Data { call, of, part });
    }

    pub(crate) fn credit(&mut self, name: &str, call: u64, of: Direction, units: u32) {
        self.say(name, Record::Credit { call, of, units });
    }

    /// A worker's OK.
    pub(crate) fn done(&mut self, name: &str, handle: &str) {
        self.say(name, reply(call(handle), Code::Ok, "done"));
    }

    pub(crate) fn say(&mut self, name: &str, record: Record<&[u8], Vec<u8>>) {
        let from = self.sender(name);
        self.input(Input::Record { from, record });
    }

    /// Who sends the next message under this routing id.
    pub(crate) fn sender<'n>(&self, name: &'n str) -> Sender<'n> {
        let identity = self.identities.get(name).copied().unwrap_or(Identity::anonymous());
        self.broker.sender(name.as_bytes(), identity)
    }

    pub(crate) fn input(&mut self, input: Input<'_, Vec<u8>>) {
        let mut out = Vec::new();
        self.broker.handle(at(self.now), input, &mut out);
        for action in out {
            self.act(action);
        }
        self.broker.audit().unwrap();
    }

    pub(crate) fn act(&mut self, action: Action<Vec<u8>>) {
        let line = match action {
            Action::Open { session, route } => {
                let name = crate::support::string(&route);
                assert_eq!(self.sender(&name).session(), Some(session));
                self.keys.insert(name.clone(), session);
                self.names.insert(session, name);
                return;
            }
            Action::Send { to, record } => format!("{}: {}", self.names[&to], text(&record)),
            Action::Answer { route, record } => {
                format!("({}): {}", crate::support::string(&route), text(&record))
            }
            Action::SendClassic { .. }
            | Action::AnswerClassic { .. }
            | Action::Pause { .. }
            | Action::Resume { .. } => {
                unreachable!("nobody here speaks classic MDP")
            }
            Action::Close { session } => {
                let name = self.names.remove(&session).unwrap();
                self.keys.remove(&name);
                format!("close {name}")
            }
            Action::Ask(question) => return self.ask(*question),
            Action::Note(note) => return self.notes.push(note),
            Action::Closed => "closed".into(),
        };
        self.lines.push(line);
    }

    /// Lets time pass as a driver does, except that nobody sends anything.
    pub(crate) fn pass(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(next) = self.broker.next_deadline().filter(|next| next.as_ms() <= end) {
            self.now = self.now.max(next.as_ms());
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    /// Lets time pass while all sessions give signs of life, and drops the broker's own.
    pub(crate) fn live(&mut self, time: u64) {
        let end = self.now + time;
        while self.now < end {
            self.pass(500.min(end - self.now));
            for name in self.keys.keys().cloned().collect::<Vec<_>>() {
                self.say(&name, Record::Heartbeat);
            }
        }
        self.lines.retain(|line| !line.ends_with(": HEARTBEAT"));
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// What was said, but for signs of life.
    pub(crate) fn said(&mut self) -> Vec<String> {
        self.lines.retain(|line| !line.ends_with(": HEARTBEAT"));
        self.take()
    }

    pub(crate) fn limits_met(&self) -> Vec<Limit> {
        let limit = |note: &Note| match note {
            Note::LimitReached { limit, .. } => Some(*limit),
            _ => None,
        };
        self.notes.iter().filter_map(limit).collect()
    }
}

pub(crate) const LIMIT: &str = "RESOURCE_EXHAUSTED not started LIMIT_REACHED: the broker's limit";
