//! The worker's rules, one by one, as transcripts of what it says.

// A test may end at the first wrong assumption.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod leaving;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use mdp_protocol::wire::{CallKind, DisconnectReason, Record};
use mdp_protocol::worker::{Action, Config, Input, Method, Offer, Worker};
use mdp_protocol::{Code, ConnectionState, Key, SessionAction, SessionConfig};
use support::{at, call, ms, shared, text};

/// A worker with two services, and what it says.
struct Bench {
    worker: Worker,
    now: u64,
    lines: Vec<String>,
}

impl Bench {
    /// It offers `s.S` with a capacity of 1 and `t.T` with one of 2 and a schema.
    fn new() -> Self {
        Bench::with(Config::default())
    }

    /// The same with these settings.
    fn with(config: Config) -> Self {
        let session = SessionConfig { id: b"w".to_vec(), ..SessionConfig::default() };
        let offer = |name, capacity, schema| Offer { service: shared(name), capacity, schema };
        let services = vec![offer("s.S", 1, None), offer("t.T", 2, Some([0xab; 16]))];
        let worker = Worker::new(Config { session, services, ..config });
        Bench { worker, now: 1_000, lines: Vec::new() }
    }

    /// A worker that is registered.
    fn registered() -> Self {
        let mut bench = Bench::new();
        bench.input(Input::Tick);
        bench.welcome();
        bench.take();
        bench
    }

    fn welcome(&mut self) {
        let frame_bytes = 100;
        self.say(Record::Welcome { id: b"w", heartbeat: ms(1_000), liveness: 3, frame_bytes });
    }

    fn request(&mut self, number: u64, path: &str, timeout: u64) {
        self.request_as(number, path, timeout, CallKind::Unary);
    }

    fn request_as(&mut self, number: u64, path: &str, timeout: u64, kind: CallKind) {
        self.say(Record::Request {
            call: number,
            timeout: ms(timeout),
            idempotent: false,
            attempt: 1,
            peer: b"c",
            kind,
            body: path.into(),
        });
    }

    /// The handler of the call that started as `handle` is done.
    fn done(&mut self, handle: &str, reply: &str) {
        let call = Key::from_u64(call(handle)).unwrap();
        self.input(Input::Done { call, code: Code::Ok, reply: reply.into() });
    }

    fn say(&mut self, record: Record<&[u8], Vec<u8>>) {
        self.input(Input::Record(record));
    }

    fn input(&mut self, input: Input<'_, Vec<u8>>) {
        let mut out = Vec::new();
        self.worker.handle(at(self.now), input, &mut out);
        self.lines.extend(out.into_iter().map(line));
    }

    /// Lets time pass as a driver does; the broker says nothing.
    fn pass(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(next) = self.worker.next_deadline().filter(|next| next.as_ms() <= end) {
            self.now = self.now.max(next.as_ms());
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

fn line(action: Action<Vec<u8>>) -> String {
    match action {
        Action::Session(SessionAction::Connect { endpoint }) => format!("connect {endpoint}"),
        Action::Session(SessionAction::Send(record)) => text(&record),
        Action::Session(SessionAction::State(state)) => match state {
            ConnectionState::Connecting { endpoint } => format!("connecting {endpoint}"),
            ConnectionState::Connected { id, .. } => {
                format!("connected as {}", support::string(id))
            }
            ConnectionState::Disconnected(cause) => format!("disconnected: {cause}"),
            ConnectionState::Closed => "closed for all to see".into(),
        },
        Action::Start { call, service, method, deadline, attempt, kind, body } => {
            let body = support::string(body);
            let service = match method {
                Some(method) => format!("{service}, method {method}"),
                None => service.to_string(),
            };
            let kind = if kind.is_stream() { format!(" as {kind:?}") } else { String::new() };
            format!(
                "start {call:?} of service {service}: {body} until {deadline}, try {attempt}{kind}"
            )
        }
        Action::Part { call, part } => format!("part {call:?}: {}", support::part_text(&part)),
        Action::Credit { call, units } => format!("credit {call:?}: {units}"),
        Action::Abort { call, cause } => format!("abort {call:?}: {cause:?}"),
        Action::Offered => "offered".into(),
        Action::Granted { service, number } => format!("granted {service} number {number}"),
        Action::Demand { service, calls } => format!("demand {service}: {calls}"),
        Action::Draining => "draining".into(),
        Action::Closed => "closed".into(),
    }
}

#[test]
fn it_registers_each_service_with_its_capacity() {
    let mut bench = Bench::new();
    bench.input(Input::Tick);
    let hello = "HELLO w 1000 ms x3";
    let opening = [
        "connecting 0",
        "connect 0",
        hello,
        "READY s.S 1",
        "READY t.T 2 schema abababababababababababababababab",
    ];
    assert_eq!(bench.take(), opening, "in one packet, so WELCOME finds it registered");
    bench.welcome();
    assert_eq!(bench.take(), ["connected as w"]);
}

#[test]
fn it_runs_a_call_and_sends_the_reply() {
    let mut bench = Bench::registered();
    bench.request(7, "t.T/M", 500);
    assert_eq!(bench.take(), ["start 0v1 of service 1: t.T/M until 1.500, try 1"]);
    assert_eq!(bench.worker.running(), 1);
    bench.done("0v1", "fine");
    assert_eq!(bench.take(), ["FINAL 7 OK fine"]);
    bench.done("0v1", "twice");
    assert_eq!(bench.take(), [""; 0]);
    assert_eq!(bench.worker.running(), 0);
}

#[test]
fn it_takes_no_more_calls_than_it_offered() {
    let mut bench = Bench::registered();
    bench.request(1, "s.S/M", 500);
    bench.request(2, "t.T/M", 500);
    bench.take();
    bench.request(3, "s.S/M", 500);
    let told = "FINAL 3 UNAVAILABLE not started NOT_DISPATCHED: \
                this worker holds 1 calls of s.S already";
    assert_eq!(bench.take(), [told]);
    bench.done("0v1", "fine");
    bench.request(4, "s.S/M", 500);
    assert!(bench.take()[1].starts_with("start 0v2 of service 0"));
}

#[test]
fn it_refuses_what_it_does_not_offer_or_cannot_read() {
    let mut bench = Bench::registered();
    bench.request(1, "u.U/M", 500);
    bench.request(2, "nothing", 500);
    let lines = bench.take();
    let told = "FINAL 1 UNIMPLEMENTED not started NOT_DISPATCHED: \
                this worker does not offer the service u.U";
    assert_eq!(lines[0], told);
    assert!(lines[1].starts_with("FINAL 2 INVALID_ARGUMENT not started BAD_REQUEST"), "{lines:?}");
    assert_eq!(bench.worker.running(), 0);
}

#[test]
fn each_path_is_looked_up_whatever_was_called_before() {
    let mut bench = Bench::registered();
    let paths = ["", "t.T/A", "", "t.T/A", "s.S/A", "t.T/B", "t.T/", "t.T/B"];
    for (number, path) in (1..).zip(paths) {
        bench.request(number, path, 500);
    }
    let lines = bench.take();
    let found = |line: &String| match line.split_once(" of service ") {
        Some((_, rest)) => rest.split(' ').next().unwrap_or_default().to_owned(),
        None if line.contains("INVALID_ARGUMENT") => "not a path".into(),
        None if line.contains("UNAVAILABLE") => "full".into(),
        None => line.clone(),
    };
    let found: Vec<String> = lines.iter().map(found).collect();
    let (bad, full) = ("not a path", "full");
    assert_eq!(found, [bad, "1:", bad, "1:", "0:", full, bad, full], "{lines:?}");
}

#[test]
fn a_path_leads_to_its_method() {
    let method = |path: &str, service| Method { path: Arc::from(path.as_bytes()), service };
    let methods = vec![method("t.T/B", 1), method("s.S/A", 0), method("t.T/A", 1)];
    let mut bench = Bench::with(Config { methods, ..Config::default() });
    bench.input(Input::Tick);
    bench.welcome();
    bench.take();
    // `C` is a method of this service for its driver only.
    for (number, path) in (1..).zip(["t.T/A", "t.T/C", "s.S/A"]) {
        bench.request(number, path, 500);
    }
    let lines = bench.take();
    let found: Vec<&str> =
        lines.iter().filter_map(|line| line.split(" of service ").nth(1)).collect();
    let starts = |line: &str, with: &str| assert!(line.starts_with(with), "{lines:?}");
    assert_eq!(found.len(), 3, "{lines:?}");
    starts(found[0], "1, method 2:");
    starts(found[1], "1:");
    starts(found[2], "0, method 1:");
}

/// The worker has no room, though the broker has given it no more than it offered: handlers of ended calls still run.
#[test]
fn a_call_that_was_not_started_says_so_and_its_slot_is_free() {
    let mut bench = Bench::registered();
    bench.request(11, "s.S/Do", 5_000);
    let call = Key::from_u64(call("0v1")).unwrap();
    bench.take();
    let input = |call| Input::NotStarted { call, message: "no room".into() };
    bench.input(input(call));
    let said = bench.take();
    assert!(said.len() == 1 && said[0].contains("NOT_DISPATCHED"), "{said:?}");
    assert!(said[0].contains("not started"), "{said:?}");
    bench.input(input(call));
    assert_eq!(bench.take(), Vec::<String>::new());
    bench.request(12, "s.S/Do", 5_000);
    assert!(bench.take()[0].starts_with("start"), "the slot is free");
}

#[test]
fn a_deadline_stops_the_handler_and_ends_the_call() {
    let mut bench = Bench::registered();
    bench.request(7, "s.S/M", 500);
    bench.take();
    bench.pass(499);
    assert_eq!(bench.take(), [""; 0]);
    bench.pass(1);
    let told = "FINAL 7 DEADLINE_EXCEEDED DEADLINE_EXCEEDED: \
                the deadline passed while the handler ran";
    assert_eq!(bench.take(), ["abort 0v1: Deadline", told]);
    // The handler did not heed it: its reply comes too late, and its slot is another call's.
    bench.request(8, "s.S/M", 500);
    bench.take();
    bench.done("0v1", "late");
    assert_eq!(bench.take(), [""; 0]);
    assert_eq!(bench.worker.running(), 1);
}

#[test]
fn a_reply_above_the_brokers_limit_becomes_an_error() {
    let mut bench = Bench::registered();
    bench.request(7, "s.S/M", 500);
    bench.take();
    bench.done("0v1", &"x".repeat(101));
    let told = "FINAL 7 RESOURCE_EXHAUSTED LIMIT_REACHED: \
                the reply has 101 bytes and the broker's limit frame_bytes is 100";
    assert_eq!(bench.take(), [told]);
}

#[test]
fn a_lost_session_stops_all_handlers_and_it_registers_anew() {
    let mut bench = Bench::registered();
    bench.request(1, "s.S/M", 60_000);
    bench.request(2, "t.T/M", 60_000);
    bench.take();
    bench.say(Record::Disconnect(DisconnectReason::NoSession));
    let lost = "disconnected: the broker ended the session: there is no session; HELLO comes first";
    assert_eq!(bench.take(), [lost, "abort 0v1: SessionLost", "abort 1v1: SessionLost"]);
    assert_eq!(bench.worker.running(), 0);
    bench.done("0v1", "too late");
    assert_eq!(bench.take(), [""; 0]);
    let next = bench.worker.next_deadline().unwrap().as_ms();
    let pause = next - bench.now;
    assert!((50..=100).contains(&pause), "{pause}");
    bench.pass(pause);
    let hello = "HELLO w 1000 ms x3";
    let opening = ["connecting 0", "connect 0", hello];
    assert_eq!(bench.take(), opening, "a busy broker gives no calls to a worker that has left");
    bench.welcome();
    let registered =
        ["connected as w", "READY s.S 1", "READY t.T 2 schema abababababababababababababababab"];
    assert_eq!(bench.take(), registered);
    bench.request(1, "s.S/M", 60_000);
    assert!(bench.take()[0].starts_with("start"), "its slots are free");
}

#[test]
fn it_leaves_a_broker_that_falls_silent_and_gives_signs_of_life_while_busy() {
    let mut bench = Bench::registered();
    bench.request(1, "s.S/M", 60_000);
    bench.take();
    bench.pass(2_999);
    assert_eq!(bench.take(), ["HEARTBEAT", "HEARTBEAT"]);
    bench.pass(1);
    let lost = "disconnected: the broker fell silent";
    assert_eq!(bench.take(), [lost, "abort 0v1: SessionLost"]);
}

#[test]
fn it_stays_with_a_broker_whose_message_is_on_its_way() {
    let mut bench = Bench::registered();
    for _ in 0..5 {
        bench.pass(2_000);
        bench.input(Input::Alive);
    }
    assert!(bench.take().iter().all(|line| line == "HEARTBEAT"));
    bench.pass(3_000);
    assert_eq!(bench.take().pop().unwrap(), "disconnected: the broker fell silent");
}

#[test]
fn it_drains_when_its_last_call_has_ended() {
    let mut bench = Bench::registered();
    bench.request(1, "s.S/M", 60_000);
    bench.take();
    bench.input(Input::Drain { grace: ms(5_000) });
    assert_eq!(bench.take(), ["DRAIN", "draining"]);
    // This one was under way.
    bench.request(2, "t.T/M", 60_000);
    bench.say(Record::Drain);
    bench.done("0v1", "one");
    assert_eq!(bench.take()[1..], ["FINAL 1 OK one"]);
    bench.done("1v1", "two");
    let end = ["FINAL 2 OK two", "DISCONNECT Shutdown", "closed for all to see", "closed"];
    assert_eq!(bench.take(), end);
    assert_eq!(bench.worker.next_deadline(), None);
}

#[test]
fn it_drains_no_longer_than_its_grace_period() {
    let mut bench = Bench::registered();
    bench.request(1, "s.S/M", 60_000);
    bench.input(Input::Drain { grace: ms(500) });
    bench.take();
    bench.pass(500);
    let end = [
        "abort 0v1: Shutdown",
        "FINAL 1 UNAVAILABLE MAYBE_EXECUTED: the worker was shut down while the handler ran",
        "DISCONNECT Shutdown",
        "closed for all to see",
        "closed",
    ];
    assert_eq!(bench.take(), end);
}

#[test]
fn it_closes_at_once_without_a_session() {
    let mut bench = Bench::new();
    bench.input(Input::Tick);
    bench.take();
    bench.input(Input::Drain { grace: ms(60_000) });
    assert_eq!(bench.take(), ["draining", "closed for all to see", "closed"]);
}

#[test]
fn a_brokers_drain_changes_nothing_for_a_worker_that_stays() {
    let mut bench = Bench::registered();
    bench.request(1, "s.S/M", 60_000);
    bench.take();
    bench.say(Record::Drain);
    bench.done("0v1", "fine");
    assert_eq!(bench.take(), ["draining", "FINAL 1 OK fine"]);
}

#[test]
fn a_cancelled_handler_is_stopped_and_its_slot_is_free_at_once() {
    let mut bench = Bench::registered();
    bench.request(7, "s.S/M", 60_000);
    bench.take();
    bench.say(Record::Cancel { call: 7 });
    let text = "FINAL 7 CANCELLED CANCELLED: the client gave the call up";
    assert_eq!(bench.take(), ["abort 0v1: Cancelled", text]);
    bench.done("0v1", "nobody hears this");
    bench.say(Record::Cancel { call: 7 }); // it has crossed with FINAL
    assert_eq!(bench.take(), [""; 0]);
    bench.request(8, "s.S/M", 60_000);
    assert_eq!(bench.worker.running(), 1);
}

#[test]
fn a_handle_in_use_is_no_new_call() {
    let mut bench = Bench::registered();
    bench.request(7, "t.T/M", 60_000);
    bench.take();
    bench.request(7, "t.T/M", 60_000);
    let told = bench.take();
    assert!(told.contains(&"disconnected: the broker broke the protocol".to_owned()), "{told:?}");
}

#[test]
fn records_without_a_place_end_the_session() {
    for record in [
        support::reply(1, Code::Ok, ""),
        Record::Ready { service: b"", capacity: 1, shared: false, schema: None },
    ] {
        let mut bench = Bench::registered();
        bench.say(record);
        assert_eq!(bench.take(), ["disconnected: the broker broke the protocol"]);
    }
}

#[test]
fn before_welcome_nothing_counts() {
    let mut bench = Bench::new();
    bench.input(Input::Tick);
    bench.take();
    bench.request(1, "s.S/M", 60_000);
    bench.say(Record::Heartbeat);
    assert_eq!(bench.take(), [""; 0]);
    assert_eq!(bench.worker.running(), 0);
}

/// Streams as a worker sees them.
mod streams {
    use super::*;
    use mdp_protocol::wire::Direction::{Replies, Requests};
    use mdp_protocol::wire::{Direction, Part};

    const LOST: &str = "disconnected: the broker broke the protocol";

    impl Bench {
        /// A worker with a call 7 of this kind.
        fn running(kind: CallKind) -> Self {
            let mut bench = Bench::registered();
            bench.request_as(7, "t.T/M", 60_000, kind);
            bench.take();
            bench
        }

        fn hear(&mut self, of: Direction, part: Part<Vec<u8>>) {
            self.say(Record::Data { call: 7, of, part });
        }

        fn hear_credit(&mut self, of: Direction, units: u32) {
            self.say(Record::Credit { call: 7, of, units });
        }

        /// The handler of the first call sends a part.
        fn part(&mut self, part: Part<Vec<u8>>) {
            let call = Key::from_u64(call("0v1")).unwrap();
            self.input(Input::Part { call, part });
        }

        fn taken(&mut self, units: u32) {
            let call = Key::from_u64(call("0v1")).unwrap();
            self.input(Input::Taken { call, units });
        }
    }

    fn item(body: &str) -> Part<Vec<u8>> {
        Part::Item(body.into())
    }

    #[test]
    fn a_call_with_streams_goes_both_ways() {
        let mut bench = Bench::registered();
        bench.request_as(7, "t.T/M", 500, CallKind::BidiStreaming);
        let begin = [
            "CREDIT 7 requests: 4096",
            "start 0v1 of service 1: t.T/M until 1.500, try 1 as BidiStreaming",
        ];
        assert_eq!(bench.take(), begin);
        bench.hear_credit(Replies, 2);
        bench.hear(Requests, item("a"));
        bench.part(Part::Open(b"meta".to_vec()));
        bench.part(item("x"));
        bench.taken(1);
        bench.hear(Requests, Part::End);
        bench.taken(1);
        bench.done("0v1", "");
        let told = [
            "credit 0v1: 2",
            "part 0v1: a",
            "DATA 7 replies: OPEN meta",
            "DATA 7 replies: x",
            "CREDIT 7 requests: 1",
            "part 0v1: END",
            "FINAL 7 OK ",
        ];
        assert_eq!(bench.take(), told, "and no credit behind END");
        // What the handler still does, and what was still under way, finds nothing.
        bench.part(item("late"));
        bench.taken(1);
        bench.hear_credit(Replies, 2);
        bench.hear(Requests, item("late"));
        assert_eq!(bench.take(), [""; 0]);
    }

    #[test]
    fn only_streams_of_requests_are_given_credit() {
        let mut bench = Bench::registered();
        bench.request_as(7, "t.T/M", 500, CallKind::ServerStreaming);
        bench.request_as(8, "t.T/M", 500, CallKind::ClientStreaming);
        let told = bench.take();
        assert!(told[0].starts_with("start 0v1"), "{told:?}");
        assert_eq!(told[1], "CREDIT 8 requests: 4096");
    }

    /// R77.
    #[test]
    fn a_part_that_has_no_place_ends_the_call() {
        type Wrong = (CallKind, u32, fn() -> Vec<Part<Vec<u8>>>, &'static str);
        let cases: [Wrong; 6] = [
            (CallKind::BidiStreaming, 0, || vec![item("x")], "sent an item without credit"),
            // The first one overdraws.
            (
                CallKind::BidiStreaming,
                1,
                || vec![item(&"x".repeat(90)), item("x")],
                "sent an item without credit",
            ),
            (CallKind::ClientStreaming, 0, || vec![item("x")], "sent an item without credit"),
            (
                CallKind::BidiStreaming,
                5,
                || vec![Part::Open(vec![]), Part::Open(vec![])],
                "opened its replies twice, or where there are none",
            ),
            (
                CallKind::BidiStreaming,
                5,
                || vec![item("x"), Part::Open(vec![])],
                "opened its replies twice, or where there are none",
            ),
            (CallKind::BidiStreaming, 5, || vec![Part::End], "ended a stream of requests"),
        ];
        for (kind, units, parts, fault) in cases {
            let mut bench = Bench::running(kind);
            if units > 0 {
                bench.hear_credit(Replies, units);
            }
            let parts = parts();
            let good = parts.len() - 1;
            for part in parts {
                bench.part(part);
            }
            let told = bench.take().split_off(good + usize::from(units > 0));
            let text = format!("FINAL 7 INTERNAL MAYBE_EXECUTED: the handler {fault}");
            assert_eq!(told, ["abort 0v1: BadItem".to_owned(), text]);
            bench.part(item("more"));
            bench.done("0v1", "done");
            assert_eq!(bench.take(), [""; 0], "what the handler does after that is ignored");
        }
    }

    /// R28.
    #[test]
    fn an_item_that_is_too_large_ends_the_call() {
        let mut bench = Bench::running(CallKind::ServerStreaming);
        bench.hear_credit(Replies, 9);
        bench.take();
        bench.part(item(&"x".repeat(101)));
        let told = [
            "abort 0v1: BadItem",
            "FINAL 7 RESOURCE_EXHAUSTED LIMIT_REACHED: \
             the reply has 101 bytes and the broker's limit frame_bytes is 100",
        ];
        assert_eq!(bench.take(), told);
    }

    #[test]
    fn parts_after_an_abort_are_ignored() {
        for end in [Record::Cancel { call: 7 }, Record::Disconnect(DisconnectReason::NoSession)] {
            let mut bench = Bench::running(CallKind::BidiStreaming);
            bench.hear_credit(Replies, 9);
            bench.say(end);
            bench.take();
            bench.part(item("x"));
            bench.taken(3);
            bench.hear(Requests, item("a"));
            bench.hear_credit(Replies, 1);
            assert_eq!(bench.take(), [""; 0]);
        }
        let mut bench = Bench::registered();
        bench.request_as(7, "t.T/M", 500, CallKind::BidiStreaming);
        bench.hear_credit(Replies, 9);
        bench.pass(500);
        bench.take();
        bench.part(item("x"));
        bench.hear(Requests, Part::End);
        assert_eq!(bench.take(), [""; 0], "the time is up");
    }

    /// A REQUEST that was refused here may have more behind it.
    #[test]
    fn what_follows_a_request_that_was_refused_is_ignored() {
        let mut bench = Bench::registered();
        bench.request_as(7, "u.U/M", 500, CallKind::BidiStreaming);
        bench.hear_credit(Replies, 9);
        bench.hear(Requests, Part::End);
        let told = bench.take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("FINAL 7 UNIMPLEMENTED not started"), "{told:?}");
    }

    /// R76.
    #[test]
    fn a_broker_that_breaks_the_rules_of_streams_is_left() {
        type Steps<'a> = &'a [fn(&mut Bench)];
        let cases: [(CallKind, Steps<'_>); 8] = [
            (CallKind::Unary, &[|bench| bench.hear(Requests, item("x"))]),
            (CallKind::Unary, &[|bench| bench.hear_credit(Replies, 1)]),
            (CallKind::ServerStreaming, &[|bench| bench.hear(Requests, Part::End)]),
            (CallKind::ServerStreaming, &[|bench| bench.hear_credit(Requests, 1)]),
            (CallKind::BidiStreaming, &[|bench| bench.hear(Replies, item("x"))]),
            (CallKind::BidiStreaming, &[|bench| bench.hear(Requests, Part::Open(vec![]))]),
            (
                CallKind::BidiStreaming,
                &[|bench| bench.hear(Requests, Part::End), |bench| bench.hear(Requests, item("x"))],
            ),
            // 4,096 units were allowed.
            (
                CallKind::BidiStreaming,
                &[
                    |bench| bench.hear(Requests, item(&"x".repeat(1 << 20))),
                    |bench| bench.hear(Requests, item("x")),
                ],
            ),
        ];
        for (number, (kind, steps)) in cases.into_iter().enumerate() {
            let mut bench = Bench::running(kind);
            let (last, before) = steps.split_last().unwrap();
            before.iter().for_each(|step| step(&mut bench));
            assert!(!bench.take().contains(&LOST.to_owned()), "case {number}: too early");
            last(&mut bench);
            assert_eq!(bench.take(), [LOST, "abort 0v1: SessionLost"], "case {number}");
        }
    }
}

/// wire.md R107 to R109.
#[test]
fn one_that_shares_its_slots_says_so_and_grants_them() {
    let mut bench = Bench::with(Config { shares_slots: true, ..Config::default() });
    bench.input(Input::Tick);
    bench.input(Input::Grant { service: 1, slots: 2, number: 1 });
    assert!(bench.take().contains(&"READY s.S 1 shared".into()), "no GRANT before WELCOME");
    bench.welcome();
    assert_eq!(bench.take(), ["connected as w", "offered"]);
    bench.input(Input::Grant { service: 1, slots: 2, number: 2 });
    assert_eq!(bench.take(), ["GRANT t.T 2 number 2"]);
    bench.say(Record::Grant { service: b"t.T", slots: 2, number: 2 });
    bench.say(Record::Demand { service: b"s.S", calls: 3 });
    bench.say(Record::Demand { service: b"u.U", calls: 3 });
    assert_eq!(bench.take(), ["granted 1 number 2", "demand 0: 3"]);
}
