//! A call through the broker's machine: its REQUEST in, the worker's FINAL in.

use std::hint::black_box;

use mdp_protocol::broker::{Action, Broker, Config, Input, Sender};
use mdp_protocol::policy::{Grant, Pattern, Policy, Quota};
use mdp_protocol::wire::{CallKind, Record, Reply};
use mdp_protocol::{Code, Identity, Key, Span, Time};

use crate::{Case, Item};

const PATH: &str = "bench.v1.Echo/Echo";
const SERVICE: &[u8] = b"bench.v1.Echo";
const NOBODY: &[u8] = b"";

/// A broker with workers and clients.
#[derive(Debug)]
pub struct Calls {
    broker: Broker<Item>,
    now: u64,
    clients: Vec<Key>,
    /// Who sends, by the place of the session's key: as a driver finds it once for each message.
    senders: Vec<Sender<'static>>,
    number: u64,
    idempotent: bool,
    actions: Vec<Action<Item>>,
    /// What workers hold: the worker and the broker's handle.
    held: Vec<(Key, u64)>,
}

impl Calls {
    /// So many workers of 64 slots each, and so many clients.
    pub fn new(config: Config, workers: usize, clients: usize, idempotent: bool) -> Self {
        let mut calls = Calls {
            broker: Broker::new(config),
            now: 1_000,
            clients: Vec::new(),
            senders: Vec::new(),
            number: 0,
            idempotent,
            actions: Vec::new(),
            held: Vec::new(),
        };
        for number in 0..workers {
            let worker = calls.hello(&format!("w-{number}"));
            calls.input(
                worker,
                Record::Ready { service: SERVICE, capacity: 64, shared: false, schema: None },
            );
        }
        for number in 0..clients {
            let client = calls.hello(&format!("c-{number}"));
            calls.clients.push(client);
        }
        calls.held.clear();
        calls
    }

    fn hello(&mut self, name: &str) -> Key {
        let hello =
            Record::Hello { id: name.as_bytes(), heartbeat: Span::from_secs(60), liveness: 3 };
        let route: &'static [u8] = Box::leak(Box::<[u8]>::from(name.as_bytes()));
        let from = self.broker.sender(route, Identity::anonymous());
        let input = Input::Record { from, record: hello };
        self.broker.handle(Time::from_ms(self.now), input, &mut self.actions);
        let opened = self.actions.drain(..).find_map(|action| match action {
            Action::Open { session, .. } => Some(session),
            _ => None,
        });
        // Sessions are opened one after another, and none is closed.
        self.senders.push(self.broker.sender(route, Identity::anonymous()));
        opened.unwrap_or(Key::from_u64(1 << 32).unwrap_or_else(|| unreachable!()))
    }

    fn input(&mut self, from: Key, record: Record<&[u8], Item>) {
        let Some(from) = self.senders.get(from.index() as usize).copied() else { return };
        let input = Input::Record { from, record };
        self.broker.handle(Time::from_ms(self.now), input, &mut self.actions);
        for action in self.actions.drain(..) {
            match black_box(action) {
                Action::Send { to, record: Record::Request { call, .. } } => {
                    self.held.push((to, call));
                }
                other => drop(black_box(other)),
            }
        }
    }

    /// The next client makes a call.
    pub fn request(&mut self) {
        self.number += 1;
        // Calls of some thousand a millisecond.
        self.now += u64::from(self.number.is_multiple_of(1_000));
        let at = self.number as usize % self.clients.len().max(1);
        let Some(from) = self.clients.get(at).copied() else { return };
        let record = Record::Request {
            call: self.number,
            timeout: Span::from_secs(10),
            idempotent: self.idempotent,
            attempt: 1,
            peer: NOBODY,
            kind: CallKind::Unary,
            body: Item(PATH),
        };
        self.input(from, record);
    }

    /// The worker that got the oldest call answers it.
    pub fn reply(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let (worker, call) = self.held.swap_remove(0);
        let record = Record::Final {
            call,
            code: Code::Ok,
            not_started: false,
            attempt: 0,
            peer: NOBODY,
            reply: Reply::Body(Item("")),
        };
        self.input(worker, record);
    }

    /// One call in and out.
    pub fn call(&mut self) {
        self.request();
        self.reply();
    }

    /// Calls that workers hold.
    pub fn in_flight(&self) -> usize {
        self.held.len()
    }
}

fn with_policy() -> Config {
    let mut policy = Policy::new();
    let grant = Grant {
        name: b"all".as_slice().into(),
        call: Pattern::new("bench.*").into_iter().collect(),
        serve: Pattern::new("bench.*").into_iter().collect(),
        manage: false,
        drain: false,
        quota: Quota { calls_in_flight: Some(1_000), ..Quota::default() },
    };
    policy.grant_anonymous(grant.into());
    Config { policy: Some(policy.into()), ..Config::default() }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, mut calls: Calls, in_flight: usize| {
        (0..in_flight).for_each(|_| calls.request());
        // All tables have grown before anything is counted.
        (0..5_000).for_each(|_| calls.call());
        Case::new(name, move || calls.call())
    };
    let new = |workers, clients| Calls::new(Config::default(), workers, clients, false);
    vec![
        case("broker/call", new(4, 4), 0),
        case("broker/call, 128 in flight", new(4, 4), 128),
        case("broker/call, 1,000 workers", new(1_000, 100), 256),
        case("broker/call, idempotent", Calls::new(Config::default(), 4, 4, true), 0),
        case("broker/call, with a policy", Calls::new(with_policy(), 4, 4, false), 0),
    ]
}
