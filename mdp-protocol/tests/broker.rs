//! The broker's rules, one by one, as transcripts of what it says.

// A test may end at the first wrong assumption.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;

use mdp_protocol::broker::{Action, Broker, Cause, Config, Input, Note, Sender};
use mdp_protocol::wire::{DisconnectReason, Record};
use mdp_protocol::{Code, Key, Limit, Limits};
use support::{at, call, ms, not_started, reply, text};

/// A broker and what it says; peers go by the routing ids that the test gives them.
struct Bench {
    broker: Broker<Vec<u8>>,
    now: u64,
    names: BTreeMap<Key, String>,
    keys: BTreeMap<String, Key>,
    lines: Vec<String>,
    notes: Vec<Note>,
}

impl Bench {
    fn new(config: Config) -> Self {
        Bench {
            broker: Broker::new(config),
            now: 1_000,
            names: BTreeMap::new(),
            keys: BTreeMap::new(),
            lines: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn with_limits(change: impl FnOnce(&mut Limits)) -> Self {
        let mut config = Config::default();
        change(&mut config.limits);
        Bench::new(config)
    }

    /// A session whose id is its name.
    fn hello(&mut self, name: &str) {
        self.say(name, Record::Hello { id: name.as_bytes(), heartbeat: ms(1_000), liveness: 3 });
        assert_eq!(self.lines.pop(), Some(format!("{name}: WELCOME {name} 1000 ms x3")));
    }

    /// A session that offers one service.
    fn worker(&mut self, name: &str, service: &str, capacity: u32) {
        self.hello(name);
        self.ready(name, service, capacity);
    }

    fn ready(&mut self, name: &str, service: &str, capacity: u32) {
        self.say(name, Record::Ready { service: service.as_bytes(), capacity });
    }

    /// A call with a timeout of 10 s.
    fn request(&mut self, name: &str, number: u64, path: &str) {
        self.request_as(name, number, path, 10_000, false, "");
    }

    fn idempotent(&mut self, name: &str, number: u64, path: &str) {
        self.request_as(name, number, path, 10_000, true, "");
    }

    fn request_as(
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
            body: path.into(),
        };
        self.say(name, record);
    }

    /// A worker's OK.
    fn done(&mut self, name: &str, handle: &str) {
        self.say(name, reply(call(handle), Code::Ok, "done"));
    }

    fn say(&mut self, name: &str, record: Record<&[u8], Vec<u8>>) {
        let from = match self.keys.get(name) {
            Some(key) => Sender::Session(*key),
            None => Sender::Stranger(name.as_bytes()),
        };
        self.input(Input::Record { from, record });
    }

    fn input(&mut self, input: Input<'_, Vec<u8>>) {
        let mut out = Vec::new();
        self.broker.handle(at(self.now), input, &mut out);
        for action in out {
            self.act(action);
        }
        self.broker.audit().unwrap();
    }

    fn act(&mut self, action: Action<Vec<u8>>) {
        let line = match action {
            Action::Open { session, route } => {
                let name = support::string(&route);
                assert_eq!(self.broker.sender(&route), Sender::Session(session));
                self.keys.insert(name.clone(), session);
                self.names.insert(session, name);
                return;
            }
            Action::Send { to, record } => format!("{}: {}", self.names[&to], text(&record)),
            Action::Answer { route, record } => {
                format!("({}): {}", support::string(&route), text(&record))
            }
            Action::Close { session } => {
                let name = self.names.remove(&session).unwrap();
                self.keys.remove(&name);
                format!("close {name}")
            }
            Action::Note(note) => return self.notes.push(note),
            Action::Closed => "closed".into(),
        };
        self.lines.push(line);
    }

    /// Lets time pass as a driver does, except that nobody sends anything.
    fn pass(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(next) = self.broker.next_deadline().filter(|next| next.as_ms() <= end) {
            self.now = self.now.max(next.as_ms());
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    /// Lets time pass while all sessions give signs of life, and drops the broker's own.
    fn live(&mut self, time: u64) {
        let end = self.now + time;
        while self.now < end {
            self.pass(500.min(end - self.now));
            for name in self.keys.keys().cloned().collect::<Vec<_>>() {
                self.say(&name, Record::Heartbeat);
            }
        }
        self.lines.retain(|line| !line.ends_with(": HEARTBEAT"));
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// What was said, but for signs of life.
    fn said(&mut self) -> Vec<String> {
        self.lines.retain(|line| !line.ends_with(": HEARTBEAT"));
        self.take()
    }

    fn limits_met(&self) -> Vec<Limit> {
        let limit = |note: &Note| match note {
            Note::LimitReached { limit, .. } => Some(*limit),
            _ => None,
        };
        self.notes.iter().filter_map(limit).collect()
    }
}

const LIMIT: &str = "RESOURCE_EXHAUSTED not started LIMIT_REACHED: the broker's limit";

#[test]
fn a_call_goes_to_a_worker_and_its_reply_comes_back() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 7, "s.S/M");
    assert_eq!(bench.take(), ["w: REQUEST 0v1 s.S/M 10000 ms try 1 peer c"]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 7 OK from w done"]);
    assert!(bench.broker.is_quiet());
}

#[test]
fn the_time_in_the_queue_is_taken_off() {
    let mut bench = Bench::new(Config::default());
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.pass(400);
    bench.worker("w", "s.S", 1);
    assert_eq!(bench.take(), ["w: REQUEST 0v1 s.S/M 9600 ms try 1 peer c"]);
}

#[test]
fn a_clients_calls_stay_in_order_and_clients_take_turns() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    for client in ["a", "b", "c"] {
        bench.hello(client);
    }
    for number in 1..=3 {
        bench.request("a", number, &format!("s.S/a{number}"));
    }
    bench.request("b", 1, "s.S/b1");
    bench.request("c", 1, "s.S/c1");
    bench.request("b", 2, "s.S/b2");
    let mut order = Vec::new();
    let request = |lines: Vec<String>| lines.into_iter().find(|line| line.contains("REQUEST"));
    while let Some(line) = request(bench.take()) {
        let words: Vec<&str> = line.split(' ').collect();
        order.push(words[3].to_owned());
        bench.done("w", words[2]);
    }
    assert_eq!(order, ["s.S/a1", "s.S/a2", "s.S/b1", "s.S/c1", "s.S/a3", "s.S/b2"]);
}

#[test]
fn the_least_loaded_worker_is_next_and_among_equals_the_one_used_longest_ago() {
    let mut bench = Bench::new(Config::default());
    bench.worker("small", "s.S", 1);
    bench.worker("large", "s.S", 4);
    bench.worker("other", "s.S", 1);
    bench.hello("c");
    let mut order = Vec::new();
    for number in 1..=6 {
        bench.request("c", number, "s.S/M");
        let line = bench.take().remove(0);
        order.push(line.split(':').next().unwrap().to_owned());
    }
    // All are empty: in the order in which they came. Then a quarter, a half and three quarters.
    assert_eq!(order, ["small", "large", "other", "large", "large", "large"]);
    bench.request("c", 7, "s.S/M");
    assert_eq!(bench.take(), [""; 0]);
    // `other` is free again before `small`, so it is the one that was used longest ago.
    bench.done("other", "2v1");
    assert_eq!(
        bench.take(),
        ["c: FINAL 3 OK from other done", "other: REQUEST 6v1 s.S/M 10000 ms try 1 peer c"]
    );
    bench.done("other", "6v1");
    bench.done("small", "0v1");
    bench.take();
    bench.request("c", 8, "s.S/M");
    assert!(bench.take()[0].starts_with("other: REQUEST"));
}

#[test]
fn a_reply_counts_only_from_the_worker_that_holds_the_call() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.worker("evil", "other.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.done("evil", "0v1");
    assert_eq!(bench.take(), ["evil: DISCONNECT Unexpected", "close evil"]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w done"]);
}

#[test]
fn a_reply_counts_once() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.done("w", "0v1");
    bench.take();
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["w: DISCONNECT Unexpected", "close w"]);
}

#[test]
fn a_reply_to_a_call_that_never_was_is_a_fault() {
    for handle in ["0v1", "77v3"] {
        let mut bench = Bench::new(Config::default());
        bench.hello("evil");
        bench.done("evil", handle);
        assert_eq!(bench.take(), ["evil: DISCONNECT Unexpected", "close evil"], "{handle}");
    }
}

#[test]
fn a_reply_to_a_waiting_call_is_a_fault() {
    let mut bench = Bench::new(Config::default());
    bench.hello("c");
    bench.hello("evil");
    bench.request("c", 1, "s.S/M");
    bench.done("evil", "0v1");
    assert_eq!(bench.take(), ["evil: DISCONNECT Unexpected", "close evil"]);
    bench.worker("w", "s.S", 1);
    assert!(bench.take()[0].starts_with("w: REQUEST 0v1"));
}

#[test]
fn a_deadline_ends_a_call_in_the_queue() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.request_as("c", 2, "s.S/M", 300, false, "");
    bench.pass(299);
    assert_eq!(bench.said(), [""; 0]);
    bench.pass(1);
    let told = "c: FINAL 2 DEADLINE_EXCEEDED not started DEADLINE_EXCEEDED: \
                the deadline passed before a worker was free; no handler was started";
    assert_eq!(bench.said(), [told]);
}

#[test]
fn a_deadline_ends_a_call_in_flight_and_its_slot_comes_back_later() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 300, true, "");
    bench.request_as("c", 2, "s.S/M", 20_000, true, "");
    bench.take();
    bench.pass(300);
    let told = "c: FINAL 1 DEADLINE_EXCEEDED DEADLINE_EXCEEDED: \
                the deadline passed while a worker held the call; its handler may have run";
    assert_eq!(bench.said(), [told]);
    assert_eq!(bench.broker.stats().running, 0);
    bench.live(999);
    assert_eq!(bench.take(), [""; 0], "the worker has a second to give the slot back");
    bench.live(1);
    assert_eq!(bench.take(), ["w: REQUEST 1v1 idempotent s.S/M 18700 ms try 1 peer c"]);
    assert!(bench.notes.iter().any(|note| matches!(note, Note::SlotReclaimed { .. })));
    // The late reply of the call whose slot was taken is dropped, once.
    bench.done("w", "0v1");
    assert_eq!(bench.take(), [""; 0]);
    bench.done("w", "0v1");
    assert!(bench.take().contains(&"w: DISCONNECT Unexpected".to_owned()));
}

#[test]
fn a_worker_that_answers_late_gives_its_slot_back_and_tells_nobody() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 300, false, "");
    bench.request("c", 2, "s.S/M");
    bench.pass(500);
    bench.said();
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["w: REQUEST 1v1 s.S/M 9500 ms try 1 peer c"]);
    assert_eq!(bench.broker.stats().late, 1);
}

#[test]
fn a_call_without_time_is_refused() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 0, false, "");
    assert!(bench.take()[0].starts_with("c: FINAL 1 DEADLINE_EXCEEDED not started"));
}

#[test]
fn a_lost_workers_calls_move_if_that_is_safe_and_end_if_not() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 2);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/safe");
    bench.request("c", 2, "s.S/once");
    bench.worker("w2", "s.S", 2);
    bench.take();
    bench.say("w1", Record::Disconnect(DisconnectReason::Shutdown));
    let told = "c: FINAL 2 UNAVAILABLE MAYBE_EXECUTED: worker w1 left while it held the call \
                (attempt 1 of 1); the handler may have run";
    let moved = "w2: REQUEST 0v1 idempotent s.S/safe 10000 ms try 2 peer c";
    assert_eq!(bench.take(), [told, "close w1", moved]);
    let cause = Cause::Said(DisconnectReason::Shutdown);
    let note = Note::SessionClosed { id: support::shared("w1"), cause, moved: 1, ended: 1 };
    assert!(bench.notes.contains(&note), "{:?}", bench.notes);
    bench.done("w2", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w2 done"]);
}

#[test]
fn a_call_that_is_moved_goes_before_its_clients_other_calls() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/first");
    bench.idempotent("c", 2, "s.S/second");
    bench.say("w1", Record::Disconnect(DisconnectReason::Shutdown));
    bench.take();
    bench.worker("w2", "s.S", 1);
    assert!(bench.take()[0].starts_with("w2: REQUEST 0v1 idempotent s.S/first"));
}

#[test]
fn attempts_are_bounded() {
    let mut bench = Bench::with_limits(|limits| limits.attempts = 2);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    for attempt in 1..=2 {
        let worker = format!("w{attempt}");
        bench.worker(&worker, "s.S", 1);
        assert!(bench.take().pop().unwrap().contains(&format!("try {attempt} ")));
        bench.say(&worker, Record::Disconnect(DisconnectReason::Shutdown));
    }
    let told = "c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED: worker w2 left while it held the call \
                (attempt 2 of 2); the handler may have run";
    assert_eq!(bench.take(), [told, "close w2"]);
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_silent_worker_is_gone_after_the_agreed_time() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.take();
    let mut told = Vec::new();
    for _ in 0..6 {
        bench.pass(500);
        bench.say("c", Record::Heartbeat);
        told.extend(bench.said());
    }
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "w: DISCONNECT Silence");
    assert!(told[1].starts_with("c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED"));
    assert_eq!(told[2], "close w");
}

#[test]
fn a_worker_that_started_nothing_costs_an_idempotent_call_nothing() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.take();
    bench.say("w1", not_started(call("0v1"), Code::Unavailable));
    assert_eq!(bench.take(), ["w2: REQUEST 0v1 idempotent s.S/M 10000 ms try 2 peer c"]);
}

#[test]
fn a_refusal_after_a_lost_attempt_does_not_claim_that_nothing_ran() {
    let mut bench = Bench::new(Config::default());
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.worker("w1", "s.S", 1);
    bench.say("w1", Record::Disconnect(DisconnectReason::Shutdown));
    bench.worker("w2", "s.S", 1);
    for attempt in 2..=3 {
        assert!(bench.take().pop().unwrap().contains(&format!("try {attempt} ")));
        bench.say("w2", not_started(call("0v1"), Code::Unavailable));
    }
    let told = "c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED: the last attempt ended as UNAVAILABLE \
                before a handler was started; in an earlier one the handler may have run";
    assert_eq!(bench.take().first().map(String::as_str), Some(told));
}

#[test]
fn calls_per_client_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.calls_per_client = 1);
    bench.worker("w", "s.S", 5);
    bench.hello("c");
    bench.hello("d");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.request("c", 2, "s.S/M");
    assert_eq!(
        bench.take(),
        [format!("c: FINAL 2 {LIMIT} calls_per_client is reached; try again later")]
    );
    assert_eq!(bench.limits_met(), [Limit::CallsPerClient]);
    bench.request("d", 1, "s.S/M");
    assert!(bench.take()[0].starts_with("w: REQUEST"));
}

#[test]
fn calls_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.calls = 1);
    bench.worker("w", "s.S", 5);
    bench.hello("c");
    bench.hello("d");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.request("d", 1, "s.S/M");
    assert_eq!(bench.take(), [format!("d: FINAL 1 {LIMIT} calls is reached; try again later")]);
    assert_eq!(bench.limits_met(), [Limit::Calls]);
}

#[test]
fn queued_calls_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.queued_calls_per_service = 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    let name = "queued_calls_per_service";
    assert_eq!(bench.take(), [format!("c: FINAL 2 {LIMIT} {name} is reached; try again later")]);
    assert_eq!(bench.limits_met(), [Limit::QueuedCallsPerService]);
}

#[test]
fn queued_bytes_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.queued_bytes_per_service = 9);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    let name = "queued_bytes_per_service";
    assert_eq!(bench.take(), [format!("c: FINAL 2 {LIMIT} {name} is reached; try again later")]);
    bench.request("c", 3, "other.S/longer");
    assert_eq!(bench.take(), [format!("c: FINAL 3 {LIMIT} {name} is reached; try again later")]);
    assert_eq!(bench.limits_met(), [Limit::QueuedBytesPerService; 2]);
}

#[test]
fn held_bytes_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.held_bytes = 9);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "t.T/M");
    assert_eq!(
        bench.take(),
        [format!("c: FINAL 2 {LIMIT} held_bytes is reached; try again later")]
    );
    assert_eq!(bench.limits_met(), [Limit::HeldBytes]);
}

#[test]
fn without_room_a_body_is_not_kept_for_another_attempt() {
    let mut bench = Bench::with_limits(|limits| limits.held_bytes = 9);
    bench.worker("w", "s.S", 5);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.idempotent("c", 2, "s.S/M");
    assert_eq!(bench.broker.stats().held_bytes, 5);
    bench.take();
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    let told = bench.take();
    assert!(told[0].starts_with("c: FINAL 2 UNAVAILABLE MAYBE_EXECUTED"), "{told:?}");
    assert_eq!(bench.broker.stats().queued, 1);
}

#[test]
fn names_without_a_worker_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.unserved_services = 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/N");
    bench.request("c", 3, "t.T/M");
    let name = "unserved_services";
    assert_eq!(bench.take(), [format!("c: FINAL 3 {LIMIT} {name} is reached; try again later")]);
    assert_eq!(bench.limits_met(), [Limit::UnservedServices]);
    assert_eq!(bench.broker.stats().services, 1);
}

#[test]
fn sessions_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.sessions = 1);
    bench.hello("a");
    bench.say("b", Record::Hello { id: b"", heartbeat: ms(1_000), liveness: 3 });
    assert_eq!(bench.take(), ["(b): DISCONNECT LimitReached"]);
}

#[test]
fn services_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.services = 1);
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    // Names that calls wait for do not count.
    bench.request("c", 1, "t.T/M");
    assert_eq!(bench.take(), [""; 0]);
    bench.worker("w3", "t.T", 1);
    assert_eq!(bench.take(), ["w3: DISCONNECT LimitReached", "close w3"]);
    assert_eq!(bench.limits_met(), [Limit::Services]);
}

#[test]
fn services_of_one_worker_are_limited() {
    let mut bench = Bench::with_limits(|limits| limits.services_per_worker = 1);
    bench.worker("w", "s.S", 1);
    bench.ready("w", "t.T", 1);
    assert_eq!(bench.take(), ["w: DISCONNECT LimitReached", "close w"]);
    assert_eq!(bench.limits_met(), [Limit::ServicesPerWorker]);
}

#[test]
fn a_capacity_is_limited_and_not_zero() {
    for capacity in [0, 3] {
        let mut bench = Bench::with_limits(|limits| limits.capacity = 2);
        bench.worker("w", "s.S", capacity);
        assert_eq!(bench.take(), ["w: DISCONNECT LimitReached", "close w"]);
        assert_eq!(bench.limits_met(), [Limit::Capacity]);
    }
}

#[test]
fn a_second_ready_for_a_service_is_a_fault_and_its_calls_move() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.worker("x", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.take();
    bench.ready("w", "s.S", 1);
    let moved = "x: REQUEST 0v1 idempotent s.S/M 10000 ms try 2 peer c";
    assert_eq!(bench.take(), ["w: DISCONNECT Unexpected", "close w", moved]);
}

#[test]
fn a_session_may_offer_several_services_and_call_them() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.ready("w", "t.T", 1);
    bench.request("w", 1, "t.T/M");
    assert_eq!(bench.take(), ["w: REQUEST 0v1 t.T/M 10000 ms try 1 peer w"]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["w: FINAL 1 OK from w done"]);
}

#[test]
fn names_are_checked() {
    for service in ["", "a b", "mmi.service", "bell\x07", &"x".repeat(256)] {
        let mut bench = Bench::new(Config::default());
        bench.worker("w", service, 1);
        assert_eq!(bench.take(), ["w: DISCONNECT BadName", "close w"], "{service:?}");
    }
    let mut bench = Bench::new(Config::default());
    bench.say("r", Record::Hello { id: b"no good", heartbeat: ms(1_000), liveness: 3 });
    assert_eq!(bench.take(), ["(r): DISCONNECT BadName"]);
    bench.hello("c");
    for path in ["", "s.S", "/M", "s.S/", "s S/M"] {
        bench.request("c", 1, path);
        let line = bench.take().remove(0);
        assert!(line.starts_with("c: FINAL 1 INVALID_ARGUMENT not started BAD_REQUEST"), "{line}");
    }
    assert_eq!(bench.broker.stats().services, 0);
}

#[test]
fn a_stranger_is_told_to_say_hello_and_gets_its_call_back() {
    let mut bench = Bench::new(Config::default());
    bench.done("r", "0v1");
    bench.ready("r", "s.S", 1);
    bench.say("r", Record::Heartbeat);
    assert_eq!(bench.take(), ["(r): DISCONNECT NoSession"; 3]);
    bench.request("r", 9, "s.S/M");
    assert_eq!(bench.take(), ["(r): CANCEL 9", "(r): DISCONNECT NoSession"]);
    bench.say("r", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(bench.take(), [""; 0], "never an answer to an answer");
    let stats = bench.broker.stats();
    assert_eq!((stats.sessions, stats.services, stats.turned_away), (0, 0, 4));
}

#[test]
fn records_without_a_place_end_the_session() {
    let welcome = Record::Welcome { id: &b""[..], heartbeat: ms(1), liveness: 1, frame_bytes: 1 };
    let hello = Record::Hello { id: &b"x"[..], heartbeat: ms(1), liveness: 1 };
    for record in [welcome, hello, Record::Cancel { call: 1 }] {
        let mut bench = Bench::new(Config::default());
        bench.hello("p");
        bench.say("p", record);
        assert_eq!(bench.take(), ["p: DISCONNECT Unexpected", "close p"]);
    }
}

#[test]
fn what_cannot_be_read_ends_the_session() {
    let mut bench = Bench::new(Config::default());
    bench.hello("p");
    let (from, reason) = (Sender::Session(bench.keys["p"]), DisconnectReason::Malformed);
    bench.input(Input::Invalid { from, reason });
    assert_eq!(bench.take(), ["p: DISCONNECT Malformed", "close p"]);
    bench.input(Input::Invalid { from: Sender::Stranger(b"r"), reason });
    assert_eq!(bench.take(), ["(r): DISCONNECT Malformed"]);
    assert_eq!(bench.broker.stats().invalid, 2);
}

const NO_SERVICE: &str = "UNAVAILABLE not started NO_SERVICE: \
                          no worker offers the service, and none came in time";

#[test]
fn a_call_for_an_unknown_service_waits_a_while() {
    let mut bench = Bench::new(Config::default());
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.live(4_999);
    assert_eq!(bench.take(), [""; 0]);
    bench.live(1);
    assert_eq!(bench.take(), [format!("c: FINAL 1 {NO_SERVICE}")]);
    assert_eq!(bench.broker.stats().services, 0, "a request leaves nothing behind");
}

#[test]
fn a_call_waits_a_while_after_the_last_worker_left() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 60_000, true, "");
    bench.request_as("c", 2, "s.S/M", 60_000, false, "");
    bench.live(8_000);
    bench.take();
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(bench.take(), ["close w"]);
    bench.live(4_999);
    assert_eq!(bench.take(), [""; 0]);
    bench.live(1);
    let told = bench.take();
    assert!(told.contains(&format!("c: FINAL 2 {NO_SERVICE}")), "{told:?}");
    let first = "c: FINAL 1 UNAVAILABLE NO_SERVICE";
    assert!(told.iter().any(|line| line.starts_with(first)), "it may have run: {told:?}");
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_worker_that_leaves_serves_nobody_new() {
    let mut bench = Bench::new(Config { unserved_wait: ms(0), ..Config::default() });
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.say("w", Record::Drain);
    bench.take();
    bench.request("c", 1, "s.S/M");
    assert_eq!(bench.take(), [format!("c: FINAL 1 {NO_SERVICE}")]);
}

#[test]
fn a_wait_of_zero_refuses_at_once() {
    let mut bench = Bench::new(Config { unserved_wait: ms(0), ..Config::default() });
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    assert_eq!(bench.take(), [format!("c: FINAL 1 {NO_SERVICE}")]);
    bench.worker("w", "s.S", 1);
    bench.request("c", 2, "s.S/M");
    bench.request("c", 3, "s.S/M");
    assert_eq!(bench.take().len(), 1, "a busy worker is a worker: the call waits for it");
}

const NO_WORKER: &str = "UNAVAILABLE not started NO_WORKER: \
                         the worker that the call asks for does not offer the service";

#[test]
fn a_call_for_one_worker_goes_to_no_other() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 9_000, false, "w2");
    assert_eq!(bench.take(), ["w2: REQUEST 0v1 s.S/M 9000 ms try 1 peer c"]);
    // It is busy: the call waits for it, though the other one is free.
    bench.request_as("c", 2, "s.S/M", 9_000, false, "w2");
    assert_eq!(bench.take(), [""; 0]);
    bench.done("w2", "0v1");
    let next = "w2: REQUEST 1v1 s.S/M 9000 ms try 1 peer c";
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w2 done", next]);
    bench.request_as("c", 3, "s.S/M", 9_000, false, "nobody");
    bench.request_as("c", 4, "t.T/M", 9_000, false, "w1");
    let no = |number| format!("c: FINAL {number} {NO_WORKER}");
    assert_eq!(bench.take(), [no(3), no(4)]);
    // It leaves: what waits for it ends, and what it held does not move.
    bench.request_as("c", 5, "s.S/M", 9_000, true, "w2");
    bench.say("w2", Record::Disconnect(DisconnectReason::Shutdown));
    let told = bench.take();
    assert_eq!(told[0], no(5));
    assert!(told[1].starts_with("c: FINAL 2 UNAVAILABLE MAYBE_EXECUTED"));
    assert_eq!(told[2..], ["close w2"]);
}

#[test]
fn an_idempotent_call_for_one_worker_does_not_move_to_another() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 9_000, true, "w2");
    bench.take();
    bench.say("w2", Record::Disconnect(DisconnectReason::Shutdown));
    let told = bench.take();
    assert!(told[0].starts_with("c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED"), "{told:?}");
    assert_eq!(told[1..], ["close w2"]);
}

#[test]
fn calls_that_wait_for_one_worker_count_as_queued() {
    let mut bench = Bench::with_limits(|limits| limits.queued_calls_per_service = 1);
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    for number in 1..=3 {
        bench.request_as("c", number, "s.S/M", 9_000, false, "w");
    }
    let name = "queued_calls_per_service";
    let told = format!("c: FINAL 3 {LIMIT} {name} is reached; try again later");
    assert_eq!(bench.take()[1..], [told]);
    assert_eq!(bench.limits_met(), [Limit::QueuedCallsPerService]);
}

#[test]
fn a_worker_that_drains_gets_no_new_calls_and_finishes_its_own() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 2);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.take();
    bench.say("w", Record::Drain);
    assert_eq!(bench.take(), ["w: DRAIN"]);
    bench.request("c", 2, "s.S/M");
    bench.request_as("c", 3, "s.S/M", 9_000, false, "w");
    assert_eq!(bench.take(), [format!("c: FINAL 3 {NO_WORKER}")]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w done"]);
    bench.worker("x", "s.S", 1);
    assert!(bench.take()[0].starts_with("x: REQUEST 1v1"));
}

#[test]
fn a_broker_that_shuts_down_gives_waiting_calls_back_and_lets_running_ones_end() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.take();
    bench.input(Input::Shutdown { grace: ms(5_000) });
    assert_eq!(bench.take(), ["w: DRAIN", "c: DRAIN", "c: CANCEL 2"]);
    bench.request("c", 3, "s.S/M");
    assert_eq!(bench.take(), ["c: CANCEL 3"]);
    bench.say("new", Record::Hello { id: b"", heartbeat: ms(1_000), liveness: 3 });
    assert_eq!(bench.take(), ["(new): DISCONNECT Shutdown"]);
    bench.done("w", "0v1");
    let end = ["c: FINAL 1 OK from w done", "w: DISCONNECT Shutdown", "c: DISCONNECT Shutdown"];
    assert_eq!(bench.take(), [&end[..], &["closed"]].concat());
    assert_eq!(bench.broker.next_deadline(), None);
}

#[test]
fn a_broker_that_shuts_down_waits_no_longer_than_its_grace_period() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.input(Input::Shutdown { grace: ms(2_000) });
    bench.take();
    bench.live(1_999);
    assert_eq!(bench.take(), [""; 0]);
    bench.pass(1);
    let said = bench.said();
    assert_eq!(said.last().map(String::as_str), Some("closed"), "{said:?}");
}

#[test]
fn a_call_whose_handler_may_have_run_is_not_given_back() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    bench.take();
    bench.input(Input::Shutdown { grace: ms(0) });
    let said = bench.take();
    assert!(said.iter().any(|line| line.starts_with("c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED")));
    assert!(!said.iter().any(|line| line.contains("CANCEL")));
}

#[test]
fn the_larger_heartbeat_and_liveness_of_both_sides_are_agreed_on() {
    let config = Config { heartbeat_most: ms(30_000), ..Config::default() };
    for (asked, liveness, agreed) in
        [(200, 1, "1000 ms x3"), (4_000, 5, "4000 ms x5"), (90_000, 255, "30000 ms x10")]
    {
        let mut bench = Bench::new(config.clone());
        bench.say("r", Record::Hello { id: b"p", heartbeat: ms(asked), liveness });
        assert_eq!(bench.take(), [format!("r: WELCOME p {agreed}")]);
    }
}

#[test]
fn heartbeats_go_out_only_while_nothing_else_does() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 100);
    bench.hello("c");
    for number in 0..10 {
        bench.pass(500);
        bench.request("c", number, "s.S/M");
        bench.say("w", Record::Heartbeat);
    }
    let beats = |lines: &[String], name: &str| {
        lines.iter().filter(|line| **line == format!("{name}: HEARTBEAT")).count()
    };
    let lines = bench.take();
    assert_eq!((beats(&lines, "w"), beats(&lines, "c")), (0, 5), "{lines:?}");
}

#[test]
fn any_record_is_a_sign_of_life() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 100);
    bench.hello("c");
    for number in 0..10 {
        bench.pass(900);
        bench.say("w", Record::Heartbeat);
        bench.request("c", number, "s.S/M");
    }
    assert_eq!(bench.broker.stats().sessions, 2);
}

#[test]
fn after_a_pause_of_the_broker_nobody_is_taken_for_dead_at_once() {
    let mut bench = Bench::new(Config::default());
    bench.hello("alive");
    bench.hello("dead");
    bench.now += 20_000;
    bench.input(Input::Tick);
    assert_eq!(bench.said(), [""; 0]);
    bench.say("alive", Record::Heartbeat);
    let mut wakes = 0;
    let end = bench.now + 1_000;
    while let Some(next) = bench.broker.next_deadline().filter(|next| next.as_ms() <= end) {
        bench.now = next.as_ms();
        bench.input(Input::Tick);
        wakes += 1;
    }
    assert_eq!(bench.said(), ["dead: DISCONNECT Silence", "close dead"]);
    assert!(wakes < 10, "it woke {wakes} times to wait one second");
}

#[test]
fn an_id_belongs_to_one_live_worker() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.say("r", Record::Hello { id: b"w", heartbeat: ms(1_000), liveness: 3 });
    bench.take();
    bench.ready("r", "s.S", 1);
    // The holder is sent something, so that a dead connection shows.
    assert_eq!(bench.take(), ["w: HEARTBEAT", "r: DISCONNECT IdTaken", "close r"]);
    let session = bench.keys["w"];
    bench.input(Input::Unreachable { session });
    bench.take();
    bench.say("r", Record::Hello { id: b"w", heartbeat: ms(1_000), liveness: 3 });
    bench.ready("r", "s.S", 1);
    assert_eq!(bench.take(), ["r: WELCOME w 1000 ms x3"]);
}

#[test]
fn ids_are_given_to_those_who_have_none() {
    let mut bench = Bench::new(Config::default());
    for (route, id) in [("r1", "p-1"), ("r2", "p-2")] {
        bench.say(route, Record::Hello { id: b"", heartbeat: ms(1_000), liveness: 3 });
        assert_eq!(bench.take(), [format!("{route}: WELCOME {id} 1000 ms x3")]);
    }
}

#[test]
fn a_request_that_could_not_be_sent_goes_to_another_worker_though_not_idempotent() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.worker("w2", "s.S", 1);
    bench.take();
    let to = bench.keys["w1"];
    bench.input(Input::Undelivered { to, call: call("0v1"), body: b"s.S/M".to_vec() });
    bench.input(Input::Unreachable { session: to });
    assert_eq!(bench.take(), ["close w1"]);
    bench.done("w2", "1v1");
    let again = "w2: REQUEST 0v1 s.S/M 10000 ms try 1 peer c";
    assert_eq!(bench.take(), ["c: FINAL 2 OK from w2 done", again]);
}

#[test]
fn a_request_for_one_worker_that_could_not_be_sent_is_refused() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w1", "s.S", 1);
    bench.worker("w2", "s.S", 1);
    bench.hello("c");
    bench.request_as("c", 1, "s.S/M", 9_000, false, "w1");
    bench.take();
    let to = bench.keys["w1"];
    bench.input(Input::Undelivered { to, call: call("0v1"), body: b"s.S/M".to_vec() });
    bench.input(Input::Unreachable { session: to });
    assert_eq!(bench.take(), [format!("c: FINAL 1 {NO_WORKER}"), "close w1".into()]);
}

#[test]
fn a_client_that_leaves_takes_its_waiting_calls_along() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.take();
    bench.say("c", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(bench.take(), ["close c"]);
    let stats = bench.broker.stats();
    assert_eq!((stats.queued, stats.running, stats.held_bytes), (0, 1, 0));
    bench.done("w", "0v1");
    assert_eq!(bench.take(), [""; 0]);
    assert!(bench.broker.is_quiet());
}
