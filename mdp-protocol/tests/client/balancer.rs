//! A client of several brokers: where its calls go, and what becomes of those that a broker cannot begin.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mdp_protocol::client::{Action, Balancer, BalancerConfig, Call, Event, Outcome};
use mdp_protocol::wire::{CallKind, DisconnectReason, Record, Reply};
use mdp_protocol::{Code, ConnectionState, Key, SessionAction, SessionConfig, Span, Time};

use crate::support::{self, ms, text};

/// A client, and what it says: lines with the number of the broker.
struct Bench {
    client: Balancer<Vec<u8>, u32>,
    now: u64,
    lines: Vec<String>,
    /// The REQUESTs that brokers were given: the broker, and the number of the call.
    requests: Vec<(usize, u64)>,
}

impl Bench {
    fn new(brokers: usize) -> Self {
        let client = Balancer::new(BalancerConfig::default(), brokers);
        Bench { client, now: 1_000, lines: Vec::new(), requests: Vec::new() }
    }

    /// A client with sessions at all brokers.
    fn connected(brokers: usize) -> Self {
        let mut bench = Bench::new(brokers);
        bench.tick();
        (0..brokers).for_each(|broker| bench.welcome(broker));
        bench.lines.clear();
        bench
    }

    fn act(&mut self, act: impl FnOnce(&mut Balancer<Vec<u8>, u32>, Time, &mut Out)) {
        let mut out = Vec::new();
        act(&mut self.client, Time::from_ms(self.now), &mut out);
        for (broker, action) in out {
            match action {
                Action::Session(SessionAction::Send(record)) => {
                    if let Record::Request { call, .. } = &record {
                        self.requests.push((broker, *call));
                    }
                    self.lines.push(format!("{broker} {}", text(&record)));
                }
                Action::Session(SessionAction::State(state)) => {
                    if let ConnectionState::Disconnected(cause) = state {
                        self.lines.push(format!("{broker} disconnected: {cause}"));
                    }
                }
                Action::Session(SessionAction::Connect { .. }) => {}
                Action::Done { token, outcome } => {
                    let end = match outcome {
                        Outcome::Final { code, not_started, body, .. } => {
                            let not_started = if not_started { " not started" } else { "" };
                            format!("{}{not_started} {}", code.name(), support::string(body))
                        }
                        Outcome::Refused(refusal) => {
                            let not_started = if refusal.not_started { " not started" } else { "" };
                            let (code, reason) = (refusal.code.name(), refusal.reason.name());
                            format!("{code}{not_started} {reason}: {}", refusal.message)
                        }
                    };
                    self.lines.push(format!("call {token}: {end}"));
                }
                Action::Closed => self.lines.push(format!("{broker} closed")),
                Action::Part { .. } | Action::Credit { .. } => {}
                Action::Returned(_) => panic!("a call leaves its client"),
            }
        }
    }

    fn say(&mut self, broker: usize, record: Record<&[u8], Vec<u8>>) {
        self.act(|client, now, out| client.handle(now, broker, Event::Record(record), out));
    }

    fn welcome(&mut self, broker: usize) {
        let heartbeat = ms(100_000);
        let frame_bytes = 1_000_000;
        self.say(broker, Record::Welcome { id: b"me", heartbeat, liveness: 3, frame_bytes });
    }

    fn tick(&mut self) {
        self.act(|client, now, out| client.tick(now, out));
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += 1;
            if self.client.next_deadline().is_some_and(|at| at.as_ms() <= self.now) {
                self.tick();
            }
        }
    }

    fn call(&mut self, token: u32, timeout: u64, idempotent: bool, no_wait: bool) -> Option<Key> {
        let mut made = None;
        self.act(|client, now, out| {
            made = client.call(now, call(token, timeout, idempotent), no_wait, out);
        });
        made
    }

    /// The broker that was given the last REQUEST ends it so.
    fn end(&mut self, code: Code, not_started: bool) -> usize {
        let (broker, call) = self.requests.pop().expect("no REQUEST");
        self.say(broker, answer(call, code, not_started));
        broker
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

type Out = Vec<(usize, Action<Vec<u8>, u32>)>;

fn call(token: u32, timeout: u64, idempotent: bool) -> Call<Vec<u8>, u32> {
    Call {
        token,
        timeout: ms(timeout),
        begin_within: ms(timeout),
        idempotent,
        worker: Arc::from([]),
        kind: CallKind::Unary,
        body: b"s.S/M".to_vec(),
    }
}

fn answer(call: u64, code: Code, not_started: bool) -> Record<&'static [u8], Vec<u8>> {
    let reply = Reply::Body(b"said".to_vec());
    Record::Final { call, code, not_started, attempt: 1, peer: b"", reply }
}

#[test]
fn calls_are_spread_and_the_busier_broker_gets_fewer() {
    let mut bench = Bench::connected(3);
    for token in 0..300 {
        bench.call(token, 9_000, false, false);
    }
    let counts: Vec<usize> = (0..3).map(|broker| bench.client.pending_at(broker)).collect();
    assert!(counts.iter().all(|count| (90..=110).contains(count)), "{counts:?}");
}

#[test]
fn without_any_session_calls_wait_and_go_where_one_opens() {
    let mut bench = Bench::new(2);
    bench.tick();
    for token in 0..4 {
        bench.call(token, 9_000, false, false);
    }
    bench.take();
    bench.welcome(1);
    assert_eq!(bench.requests.len(), 4);
    assert!(bench.requests.iter().all(|(broker, _)| *broker == 1), "{:?}", bench.requests);
    assert_eq!(bench.client.pending(), 4);
}

#[test]
fn a_lost_broker_s_calls_go_on_at_the_other_one_if_they_may() {
    let mut bench = Bench::connected(2);
    for token in 0..20 {
        bench.call(token, 9_000, token % 2 == 0, false);
    }
    let lost: Vec<u64> =
        bench.requests.iter().filter(|(broker, _)| *broker == 0).map(|(_, call)| *call).collect();
    bench.take();
    bench.act(|client, now, out| client.handle(now, 0, Event::Broken, out));
    let lines = bench.take();
    let moved = lines.iter().filter(|line| line.starts_with("1 REQUEST")).count();
    let ended = lines.iter().filter(|line| line.contains("UNAVAILABLE MAYBE_EXECUTED")).count();
    assert_eq!(moved + ended, lost.len(), "{lines:#?}");
    assert!(moved > 0 && ended > 0, "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("1 REQUEST") || line.contains("idempotent")));
    // New ones stay away from the lost broker.
    bench.requests.clear();
    for token in 100..110 {
        bench.call(token, 9_000, false, false);
    }
    assert!(bench.requests.iter().all(|(broker, _)| *broker == 1));
}

#[test]
fn a_call_that_one_broker_has_no_worker_for_goes_to_the_other_one() {
    let mut bench = Bench::connected(2);
    bench.call(1, 9_000, false, false);
    let first = bench.end(Code::Unavailable, true);
    let second = bench.end(Code::Ok, false);
    assert_ne!(first, second);
    assert_eq!(bench.take().last().unwrap(), "call 1: OK said");
    // The first is left out for a while, and then one call tries it.
    for token in 2..10 {
        bench.call(token, 9_000, false, false);
        assert_eq!(bench.end(Code::Ok, false), second);
    }
    bench.pass(260);
    bench.call(10, 9_000, false, false);
    let (trial, number) = bench.requests.pop().unwrap();
    assert_eq!(trial, first);
    bench.call(11, 9_000, false, false);
    assert_eq!(bench.end(Code::Ok, false), second, "one call is enough to try it");
    bench.say(trial, answer(number, Code::Ok, false));
    let mut seen = BTreeSet::new();
    for token in 12..30 {
        bench.call(token, 9_000, false, false);
        seen.insert(bench.end(Code::Ok, false));
    }
    assert_eq!(seen.len(), 2, "both again");
}

#[test]
fn a_call_ends_for_want_of_a_worker_when_all_brokers_have_said_so() {
    let mut bench = Bench::connected(2);
    bench.call(1, 9_000, false, true);
    bench.end(Code::Unavailable, true);
    assert_eq!(bench.take().len(), 2, "it was sent twice");
    bench.end(Code::Unavailable, true);
    assert_eq!(bench.take(), ["call 1: UNAVAILABLE not started said"]);

    // By default it asks again, until a worker is there.
    bench.call(2, 9_000, false, false);
    bench.end(Code::Unavailable, true);
    bench.end(Code::Unavailable, true);
    assert!(bench.requests.is_empty());
    bench.pass(100);
    assert_eq!(bench.requests.len(), 1);
    bench.end(Code::Ok, false);
    assert_eq!(bench.take().last().unwrap(), "call 2: OK said");

    // Or until it has asked for long enough.
    bench.call(3, 60_000, false, false);
    let begin = bench.now;
    while bench.client.pending() > 0 {
        match bench.requests.is_empty() {
            true => bench.pass(1),
            false => drop(bench.end(Code::Unavailable, true)),
        }
    }
    assert_eq!(bench.take().last().unwrap(), "call 3: UNAVAILABLE not started said");
    assert!((5_000..5_200).contains(&(bench.now - begin)), "{}", bench.now - begin);
}

#[test]
fn a_status_of_a_handler_goes_nowhere_else() {
    let mut bench = Bench::connected(3);
    for (code, not_started) in [(Code::Unavailable, false), (Code::NotFound, true)] {
        bench.call(1, 9_000, true, false);
        bench.end(code, not_started);
        assert!(bench.requests.is_empty());
        assert!(bench.take().last().unwrap().starts_with("call 1: "));
    }
}

#[test]
fn a_draining_broker_hands_its_calls_on() {
    let mut bench = Bench::connected(2);
    bench.call(1, 9_000, false, false);
    let (broker, call) = bench.requests.pop().unwrap();
    bench.say(broker, Record::Drain);
    bench.say(broker, Record::Cancel { call });
    let (other, _) = *bench.requests.last().unwrap();
    assert_ne!(broker, other);
    bench.end(Code::Ok, false);
    assert_eq!(bench.take().last().unwrap(), "call 1: OK said");
    bench.say(broker, Record::Disconnect(DisconnectReason::Shutdown));
    bench.call(2, 9_000, false, false);
    assert_eq!(bench.end(Code::Ok, false), other);
}

#[test]
fn a_call_is_given_up_wherever_it_is() {
    let mut bench = Bench::connected(2);
    let call = bench.call(1, 9_000, false, false).unwrap();
    let (broker, number) = bench.requests.pop().unwrap();
    bench.act(|client, now, out| client.cancel(now, call, out));
    assert!(bench.take().last().unwrap().starts_with(&format!("{broker} CANCEL")));
    bench.say(broker, answer(number, Code::Ok, false));
    let call = bench.call(2, 9_000, false, false).unwrap();
    bench.end(Code::Unavailable, true);
    bench.end(Code::Unavailable, true);
    bench.take();
    bench.act(|client, now, out| client.cancel(now, call, out));
    bench.pass(1_000);
    assert_eq!((bench.take(), bench.client.pending()), (Vec::new(), 0));
}

#[test]
fn brokers_come_and_go() {
    let mut bench = Bench::connected(1);
    bench.call(1, 9_000, false, false);
    let joined = bench.client.join().unwrap();
    bench.tick();
    bench.welcome(joined);
    bench.act(|client, now, out| client.leave(now, 0, out));
    bench.call(2, 9_000, false, false);
    assert_eq!(bench.requests.last().unwrap().0, joined);
    bench.end(Code::Ok, false);
    assert!(!bench.take().contains(&"0 closed".into()), "its call runs");
    bench.end(Code::Ok, false);
    assert!(bench.take().contains(&"0 closed".into()));
    assert_eq!(bench.client.join(), Some(0), "its place is free");
    bench.act(|client, now, out| client.close(now, Span::ZERO, out));
    assert!(bench.client.is_closed());
    bench.call(3, 9_000, false, false);
    assert!(bench.take().last().unwrap().starts_with("call 3: CANCELLED not started"));
}

/// Whatever brokers do, each call ends once and in time, and one that is not idempotent is with two brokers only if the
/// first has said that it was not started.
#[test]
fn each_call_ends_once_whatever_brokers_do() {
    for seed in 0..if cfg!(debug_assertions) { 40 } else { 400 } {
        World::new(seed).run();
    }
}

struct World {
    client: Balancer<Vec<u8>, u32>,
    rng: u64,
    now: u64,
    calls: BTreeMap<u32, Made>,
    /// What brokers hold: the number, and the token.
    held: Vec<Vec<(u64, u32)>>,
    connected: Vec<bool>,
    next: u32,
}

struct Made {
    at: u64,
    timeout: u64,
    idempotent: bool,
    /// It is with a broker that may have started it.
    begun: bool,
    key: Option<Key>,
    ended: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = World {
            client: Balancer::new(BalancerConfig::default(), 0),
            rng: seed,
            now: 1,
            calls: BTreeMap::new(),
            held: Vec::new(),
            connected: Vec::new(),
            next: 0,
        };
        let brokers = 1 + world.random(5) as usize;
        let mut config = BalancerConfig::default();
        config.client.session = SessionConfig { seed, ..SessionConfig::default() };
        world.client = Balancer::new(config, brokers);
        world.held = vec![Vec::new(); brokers];
        world.connected = vec![false; brokers];
        world
    }

    fn random(&mut self, below: u64) -> u64 {
        self.rng = self
            .rng
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.rng >> 33) % below
    }

    fn run(&mut self) {
        for _ in 0..20_000 {
            self.now += 1;
            self.act(|client, now, out| client.tick(now, out));
            let broker = self.random(self.held.len() as u64) as usize;
            match self.random(12) {
                0..=2 => self.make(),
                3..=6 => self.answer(broker, Code::Ok, false),
                7 if self.random(4) == 0 => self.answer(broker, Code::Unavailable, true),
                8 if self.random(40) == 0 => self.lose(broker),
                9 if self.connected[broker] && self.random(30) == 0 => {
                    if let Some((call, token)) = self.held[broker].pop() {
                        self.calls.get_mut(&token).unwrap().begun = false;
                        self.say(broker, Record::Cancel { call });
                    }
                }
                10 if self.random(50) == 0 => self.cancel(),
                _ => {}
            }
            self.welcome();
        }
        for _ in 0..70_000 {
            self.now += 1;
            self.act(|client, now, out| client.tick(now, out));
            self.welcome();
        }
        let open = self.calls.iter().find(|(_, made)| !made.ended);
        assert!(open.is_none(), "call {:?} has not ended", open.map(|(token, _)| token));
        assert_eq!(self.client.pending(), 0);
    }

    fn act(&mut self, act: impl FnOnce(&mut Balancer<Vec<u8>, u32>, Time, &mut Out)) {
        let mut out = Vec::new();
        act(&mut self.client, Time::from_ms(self.now), &mut out);
        for (broker, action) in out {
            match action {
                Action::Session(SessionAction::Connect { .. }) => self.connected[broker] = false,
                Action::Session(SessionAction::Send(Record::Request { call, body, .. })) => {
                    let token: u32 = String::from_utf8(body).unwrap()[5..].parse().unwrap();
                    let made = self.calls.get_mut(&token).unwrap();
                    assert!(!made.begun || made.idempotent, "call {token} is sent twice");
                    assert!(!made.ended, "call {token} is sent after its end");
                    made.begun = true;
                    self.held[broker].push((call, token));
                }
                Action::Session(SessionAction::Send(Record::Cancel { call })) => {
                    self.held[broker].retain(|(held, _)| *held != call);
                }
                Action::Done { token, outcome: _ } => {
                    let made = self.calls.get_mut(&token).unwrap();
                    assert!(!made.ended, "call {token} ends twice");
                    assert!(self.now <= made.at + made.timeout, "call {token} ends late");
                    made.ended = true;
                }
                _ => {}
            }
        }
    }

    fn say(&mut self, broker: usize, record: Record<&[u8], Vec<u8>>) {
        self.act(|client, now, out| client.handle(now, broker, Event::Record(record), out));
    }

    fn welcome(&mut self) {
        for broker in 0..self.held.len() {
            if !self.connected[broker] && self.random(30) == 0 {
                self.connected[broker] = true;
                let (heartbeat, frame_bytes) = (ms(1_000_000), 1_000_000);
                self.say(
                    broker,
                    Record::Welcome { id: b"me", heartbeat, liveness: 3, frame_bytes },
                );
            }
        }
    }

    fn make(&mut self) {
        self.next += 1;
        let (token, timeout) = (self.next, 1 + self.random(3_000));
        let (idempotent, no_wait) = (self.random(2) == 0, self.random(2) == 0);
        let at = self.now;
        let made = Made { at, timeout, idempotent, begun: false, key: None, ended: false };
        self.calls.insert(token, made);
        let mut call = call(token, timeout, idempotent);
        call.body = format!("s.S/M{token}").into_bytes();
        let mut key = None;
        self.act(|client, now, out| key = client.call(now, call, no_wait, out));
        self.calls.get_mut(&token).unwrap().key = key;
    }

    fn answer(&mut self, broker: usize, code: Code, not_started: bool) {
        if !self.connected[broker] || self.held[broker].is_empty() {
            return;
        }
        let place = self.random(self.held[broker].len() as u64) as usize;
        let (call, token) = self.held[broker].swap_remove(place);
        if not_started {
            self.calls.get_mut(&token).unwrap().begun = false;
        }
        self.say(broker, answer(call, code, not_started));
    }

    fn lose(&mut self, broker: usize) {
        self.held[broker].clear();
        self.act(|client, now, out| client.handle(now, broker, Event::Broken, out));
    }

    fn cancel(&mut self) {
        let open = self.calls.iter().find(|(_, made)| !made.ended && made.key.is_some());
        let Some((token, key)) = open.map(|(token, made)| (*token, made.key.unwrap())) else {
            return;
        };
        self.calls.get_mut(&token).unwrap().ended = true;
        self.act(|client, now, out| client.cancel(now, key, out));
    }
}
