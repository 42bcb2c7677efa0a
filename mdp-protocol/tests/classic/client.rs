//! The client of classic MDP.

use std::sync::Arc;

use mdp_protocol::classic::client::{Action, Client, Config, Input};
use mdp_protocol::{Key, Time};

use super::{ms, session, state_text};

/// A client, the time, and what was done.
struct Bench {
    client: Client<&'static str, &'static str>,
    /// The request that the last input made.
    made: Option<Key>,
    now: u64,
    lines: Vec<String>,
}

impl Bench {
    fn new(endpoints: usize) -> Self {
        let client = Client::new(Config { session: session(endpoints), requests: 3 });
        let mut bench = Bench { client, made: None, now: 1_000, lines: Vec::new() };
        bench.input(Input::Tick);
        bench
    }

    fn connected() -> Self {
        let mut bench = Bench::new(1);
        bench.input(Input::Connected);
        bench.take();
        bench
    }

    fn input(&mut self, input: Input<'_, &'static str, &'static str>) {
        let mut actions = Vec::new();
        self.made = self.client.handle(Time::from_ms(self.now), input, &mut actions);
        self.lines.extend(actions.into_iter().map(text));
    }

    /// A request for `echo` that waits up to a second for each reply. Its token is its body.
    fn request(&mut self, body: &'static str) -> Option<Key> {
        let service = Arc::from(*b"echo");
        self.input(Input::Request { token: body, service, patience: ms(1_000), body });
        self.made
    }

    fn reply(&mut self, last: bool, body: &'static str) {
        self.input(Input::Reply { service: b"echo", last, body });
    }

    fn pass(&mut self, span: u64) {
        let until = self.now + span;
        while let Some(deadline) = self.client.next_deadline().map(Time::as_ms)
            && deadline <= until
        {
            self.now = self.now.max(deadline);
            self.input(Input::Tick);
        }
        self.now = until;
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

fn text(action: Action<&'static str, &'static str>) -> String {
    match action {
        Action::Connect { endpoint } => format!("new socket to {endpoint}"),
        Action::Hang => "socket closed".into(),
        Action::State(state) => state_text(&state),
        Action::Send { service, body } => {
            format!("REQUEST {} {body}", String::from_utf8_lossy(&service))
        }
        Action::Part { body, .. } => format!("partial {body}"),
        Action::Done { token, end: Ok(body) } => format!("{token}: {body}"),
        Action::Done { token, end: Err(failure) } => format!("{token}: {failure:?}"),
        Action::Closed => "done".into(),
    }
}

const NONE: [&str; 0] = [];

#[test]
fn one_request_at_a_time() {
    let mut bench = Bench::new(1);
    bench.request("one");
    // It waits for the connection.
    assert_eq!(bench.take(), ["connecting to 0", "new socket to 0"]);
    bench.input(Input::Connected);
    assert_eq!(bench.take(), ["connected to 0", "REQUEST echo one"]);
    // Those after it wait for its last reply.
    bench.request("two");
    bench.reply(false, "half");
    assert_eq!(bench.take(), ["partial half"]);
    bench.reply(true, "whole");
    assert_eq!(bench.take(), ["one: whole", "REQUEST echo two"]);
    bench.reply(true, "second");
    assert_eq!(bench.take(), ["two: second"]);
    assert_eq!(bench.client.pending(), 0);
}

#[test]
fn a_late_reply_has_nowhere_to_go() {
    let mut bench = Bench::connected();
    bench.request("one");
    bench.now += 500;
    bench.request("two");
    bench.take();
    bench.pass(500);
    // A new socket before the next request goes out: RFC 7, "Reliability".
    let expected =
        ["one: Timeout { sent: true }", "socket closed", "connecting to 0", "new socket to 0"];
    assert_eq!(bench.take(), expected);
    bench.input(Input::Connected);
    assert_eq!(bench.take(), ["connected to 0", "REQUEST echo two"]);
    bench.reply(true, "second");
    assert_eq!(bench.take(), ["two: second"]);
}

#[test]
fn a_request_that_nobody_wants_closes_its_socket_if_it_was_sent() {
    let mut bench = Bench::connected();
    let one = bench.request("one").unwrap();
    let two = bench.request("two").unwrap();
    bench.take();
    // The second one waits for its turn: nobody will ever hear of it.
    bench.input(Input::Cancel(two));
    assert_eq!(bench.take(), NONE);
    bench.input(Input::Cancel(one));
    assert_eq!(bench.take(), ["socket closed", "connecting to 0", "new socket to 0"]);
    bench.input(Input::Cancel(one));
    bench.pass(10);
    assert_eq!(bench.take(), NONE);
}

#[test]
fn each_partial_reply_starts_the_time_anew() {
    let mut bench = Bench::connected();
    bench.request("one");
    for _ in 0..3 {
        bench.pass(900);
        bench.reply(false, "more");
    }
    bench.take();
    bench.pass(1_000);
    assert_eq!(bench.take()[0], "one: Timeout { sent: true }");
}

#[test]
fn a_request_without_a_connection_times_out_unsent() {
    let mut bench = Bench::new(1);
    bench.request("one");
    bench.take();
    bench.pass(1_000);
    let lines = bench.take();
    assert!(lines.contains(&"one: Timeout { sent: false }".to_owned()), "{lines:?}");
}

#[test]
fn a_lost_connection_ends_what_was_sent_and_keeps_what_waits() {
    let mut bench = Bench::connected();
    bench.request("one");
    bench.request("two");
    bench.take();
    bench.input(Input::Broken);
    let expected = ["socket closed", "one: Lost(Broken)", "disconnected: the connection broke"];
    assert_eq!(bench.take(), expected);
    bench.pass(100);
    assert_eq!(bench.take(), ["connecting to 0", "new socket to 0"]);
    bench.input(Input::Connected);
    assert_eq!(bench.take(), ["connected to 0", "REQUEST echo two"]);
}

#[test]
fn an_endpoint_that_is_not_there_is_left_for_the_next() {
    let mut bench = Bench::new(2);
    bench.take();
    bench.pass(1_000);
    let lines = bench.take();
    assert_eq!(lines, ["socket closed", "disconnected: the broker did not answer"]);
    bench.pass(100);
    assert_eq!(bench.take(), ["connecting to 1", "new socket to 1"]);
}

#[test]
fn what_nobody_asked_for_ends_the_connection() {
    let mut bench = Bench::connected();
    bench.reply(true, "a gift");
    assert_eq!(bench.take()[0], "socket closed");

    let mut bench = Bench::connected();
    bench.request("one");
    bench.take();
    bench.input(Input::Reply { service: b"other", last: true, body: "" });
    assert_eq!(bench.take()[..2], ["socket closed", "one: Lost(Invalid)"]);
}

#[test]
fn there_is_a_limit_on_requests() {
    let mut bench = Bench::connected();
    for body in ["one", "two", "three", "four"] {
        bench.request(body);
    }
    assert_eq!(bench.take(), ["REQUEST echo one", "four: TooMany"]);
    // Those that were given up while they waited leave nothing behind.
    for _ in 0..100 {
        bench.reply(true, "");
        let last = bench.request("five");
        last.into_iter().for_each(|key| bench.input(Input::Cancel(key)));
    }
    assert!(bench.client.pending() <= 3);
}

#[test]
fn closing_waits_for_what_is_open() {
    let mut bench = Bench::connected();
    bench.request("one");
    bench.take();
    bench.input(Input::Close { grace: ms(500) });
    bench.request("two");
    assert_eq!(bench.take(), ["two: Closed { sent: false }"]);
    bench.reply(true, "whole");
    assert_eq!(bench.take(), ["one: whole", "socket closed", "closed", "done"]);

    let mut bench = Bench::connected();
    bench.request("one");
    bench.request("two");
    bench.take();
    bench.input(Input::Close { grace: ms(500) });
    bench.pass(500);
    let expected = [
        "one: Closed { sent: true }",
        "two: Closed { sent: false }",
        "socket closed",
        "closed",
        "done",
    ];
    assert_eq!(bench.take(), expected);
    assert_eq!(bench.client.next_deadline(), None);
}
