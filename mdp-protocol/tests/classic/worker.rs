//! The worker of classic MDP.

use mdp_protocol::Time;
use mdp_protocol::classic::worker::{Action, Config, Input, Word, Worker};
use mdp_protocol::wire::classic::{Command, Dialect};

use super::{ms, session, state_text};

/// A worker, the time, and what was done.
struct Bench {
    worker: Worker,
    now: u64,
    lines: Vec<String>,
}

impl Bench {
    fn new(dialect: Dialect, endpoints: usize) -> Self {
        let worker = Worker::new(Config { dialect, session: session(endpoints) });
        let mut bench = Bench { worker, now: 1_000, lines: Vec::new() };
        bench.input(Input::Tick);
        bench
    }

    /// One that has heard its broker.
    fn connected(dialect: Dialect) -> Self {
        let mut bench = Bench::new(dialect, 1);
        bench.heartbeat();
        bench.take();
        bench
    }

    fn input(&mut self, input: Input<'_, &'static str>) {
        let mut actions = Vec::new();
        self.worker.handle(Time::from_ms(self.now), input, &mut actions);
        self.lines.extend(actions.iter().map(text));
    }

    fn heard(&mut self, command: Command<'_>, body: &'static str) {
        self.input(Input::Heard { command, body });
    }

    fn heartbeat(&mut self) {
        self.heard(Command::Heartbeat, "");
    }

    fn request(&mut self, address: &str, body: &'static str) {
        self.heard(Command::Task { address: address.as_bytes() }, body);
    }

    fn answer(&mut self, task: u64, last: bool, body: &'static str) {
        self.input(Input::Answer { task, last, body });
    }

    /// Lets time pass, deadline by deadline. The broker stays silent.
    fn pass(&mut self, span: u64) {
        let until = self.now + span;
        while let Some(deadline) = self.worker.next_deadline().map(Time::as_ms)
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

fn text(action: &Action<&'static str>) -> String {
    match action {
        Action::Connect { endpoint } => format!("new socket to {endpoint}"),
        Action::Say(Word::Ready) => "READY".into(),
        Action::Say(Word::Heartbeat) => "HEARTBEAT".into(),
        Action::Say(Word::Disconnect) => "DISCONNECT".into(),
        Action::Say(Word::Answer { address, last, body }) => {
            let word = if *last { "REPLY" } else { "PARTIAL" };
            format!("{word} {} {body}", String::from_utf8_lossy(address))
        }
        Action::Hang => "socket closed".into(),
        Action::State(state) => state_text(state),
        Action::Start { task, body } => format!("start {task}: {body}"),
        Action::Abort { task } => format!("abort {task}"),
        Action::Closed => "done".into(),
    }
}

const NONE: [&str; 0] = [];

#[test]
fn ready_comes_first_and_once_and_heartbeats_follow() {
    let mut bench = Bench::new(Dialect::V02, 1);
    // READY is the first word on a socket.
    assert_eq!(bench.take(), ["connecting to 0", "new socket to 0", "READY"]);
    // Any word of the broker's tells that it is there; READY is never said again.
    bench.heartbeat();
    assert_eq!(bench.take(), ["connected to 0"]);
    for _ in 0..5 {
        bench.pass(900);
        bench.heartbeat();
    }
    assert_eq!(bench.take(), ["HEARTBEAT"; 4]);
}

#[test]
fn one_request_one_reply_in_0_1() {
    let mut bench = Bench::connected(Dialect::V01);
    bench.request("ann", "one");
    assert_eq!(bench.take(), ["start 1: one"]);
    assert!(bench.worker.is_busy());
    // MDP/0.1 has no partial replies.
    bench.answer(1, false, "half");
    assert_eq!(bench.take(), NONE);
    bench.answer(1, true, "whole");
    assert_eq!(bench.take(), ["REPLY ann whole"]);
    // One reply, and no other.
    bench.answer(1, true, "again");
    assert_eq!(bench.take(), NONE);
    bench.request("ben", "two");
    bench.answer(2, true, "second");
    assert_eq!(bench.take(), ["start 2: two", "REPLY ben second"]);
}

#[test]
fn partial_replies_and_one_final_in_0_2() {
    let mut bench = Bench::connected(Dialect::V02);
    bench.request("ann", "count");
    bench.answer(1, false, "a");
    bench.answer(1, false, "b");
    bench.answer(1, true, "c");
    bench.answer(1, false, "late");
    let expected = ["start 1: count", "PARTIAL ann a", "PARTIAL ann b", "REPLY ann c"];
    assert_eq!(bench.take(), expected);
}

#[test]
fn heartbeats_go_on_while_it_is_busy() {
    let mut bench = Bench::connected(Dialect::V01);
    bench.request("ann", "long");
    bench.take();
    for _ in 0..3 {
        bench.pass(1_000);
        bench.heartbeat();
    }
    assert_eq!(bench.take(), ["HEARTBEAT"; 3]);
    bench.answer(1, true, "done");
    assert_eq!(bench.take(), ["REPLY ann done"]);
    // A reply is a sign of life, so the next HEARTBEAT is due an interval later.
    bench.pass(999);
    assert_eq!(bench.take(), NONE);
}

#[test]
fn disconnect_means_a_new_socket_after_a_pause() {
    let mut bench = Bench::connected(Dialect::V02);
    bench.request("ann", "one");
    bench.take();
    bench.heard(Command::Disconnect, "");
    // Nothing is said after DISCONNECT, and what was worked on has nowhere to go.
    let expected = ["abort 1", "socket closed", "disconnected: the broker said DISCONNECT"];
    assert_eq!(bench.take(), expected);
    bench.answer(1, true, "late");
    // What still comes on the old socket is nobody's.
    bench.heartbeat();
    bench.request("ben", "two");
    bench.pass(49);
    assert_eq!(bench.take(), NONE);
    bench.pass(60);
    assert_eq!(bench.take(), ["connecting to 0", "new socket to 0", "READY"]);
}

#[test]
fn pauses_grow_as_long_as_no_word_comes_and_differ_by_seed() {
    let pauses = |seed| {
        let session = mdp_protocol::SessionConfig { seed, ..session(1) };
        let mut bench = Bench {
            worker: Worker::new(Config { dialect: Dialect::V01, session }),
            now: 0,
            lines: vec![],
        };
        bench.input(Input::Tick);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            // DISCONNECT alone does not count as a broker that is there.
            bench.heard(Command::Disconnect, "");
            let due = bench.worker.next_deadline().unwrap().as_ms();
            pauses.push(due - bench.now);
            bench.pass(due - bench.now);
        }
        pauses
    };
    for (number, pause) in pauses(7).into_iter().enumerate() {
        let max = (100 << number).min(5_000);
        assert!((max / 2..=max).contains(&pause), "{number}: {pause}");
    }
    assert_ne!(pauses(7), pauses(8));
    assert_eq!(pauses(7), pauses(7));
}

#[test]
fn a_silent_broker_is_left_for_the_next_one() {
    let mut bench = Bench::new(Dialect::V02, 2);
    bench.take();
    bench.pass(3_000);
    let expected = ["HEARTBEAT", "HEARTBEAT", "DISCONNECT", "socket closed"];
    let lines = bench.take();
    assert_eq!(lines[..4], expected);
    assert_eq!(lines[4..], ["disconnected: the broker fell silent"]);
    bench.pass(100);
    assert_eq!(bench.take(), ["connecting to 1", "new socket to 1", "READY"]);
}

#[test]
fn a_process_that_was_away_reads_before_it_gives_the_broker_up() {
    let mut bench = Bench::connected(Dialect::V02);
    bench.now += 60_000;
    bench.input(Input::Tick);
    assert_eq!(bench.take(), ["HEARTBEAT"]);
    bench.heartbeat();
    bench.pass(1_000);
    assert_eq!(bench.take(), ["HEARTBEAT"]);
}

#[test]
fn a_second_request_at_a_time_and_what_is_not_for_workers_end_the_session() {
    let wrong = [
        Command::Task { address: b"ben" },
        Command::Ready { service: b"s" },
        Command::Answer { address: b"ann", last: true },
        Command::Reply { service: b"s", last: true },
    ];
    for command in wrong {
        let mut bench = Bench::connected(Dialect::V02);
        bench.request("ann", "one");
        bench.take();
        bench.heard(command, "");
        let lines = bench.take();
        assert_eq!(lines[..3], ["DISCONNECT", "abort 1", "socket closed"], "{command:?}");
    }
    let mut bench = Bench::connected(Dialect::V01);
    bench.input(Input::Invalid);
    assert_eq!(bench.take()[..2], ["DISCONNECT", "socket closed"]);
}

#[test]
fn a_request_that_is_forfeit_takes_the_session_with_it() {
    let mut bench = Bench::connected(Dialect::V02);
    bench.request("ann", "one");
    bench.take();
    bench.input(Input::Forfeit { task: 1 });
    assert_eq!(bench.take()[..2], ["DISCONNECT", "socket closed"]);
    // Of one that is over nothing happens.
    bench.input(Input::Forfeit { task: 1 });
    assert_eq!(bench.take(), NONE);
}

#[test]
fn stopping_waits_for_the_request_that_runs() {
    let mut bench = Bench::connected(Dialect::V02);
    bench.request("ann", "one");
    bench.take();
    bench.input(Input::Stop { grace: ms(5_000) });
    for _ in 0..2 {
        bench.pass(1_000);
        bench.heartbeat();
    }
    assert_eq!(bench.take(), ["HEARTBEAT"; 2]);
    bench.answer(1, true, "done");
    let expected = ["REPLY ann done", "DISCONNECT", "socket closed", "closed", "done"];
    assert_eq!(bench.take(), expected);
    assert_eq!(bench.worker.next_deadline(), None);
    bench.heartbeat();
    assert_eq!(bench.take(), NONE);
}

#[test]
fn stopping_ends_with_the_grace_period_and_at_once_without_a_request() {
    let mut bench = Bench::connected(Dialect::V01);
    bench.request("ann", "one");
    bench.take();
    bench.input(Input::Stop { grace: ms(500) });
    bench.pass(500);
    assert_eq!(bench.take(), ["abort 1", "DISCONNECT", "socket closed", "closed", "done"]);

    let mut bench = Bench::connected(Dialect::V01);
    bench.input(Input::Stop { grace: ms(500) });
    assert_eq!(bench.take(), ["DISCONNECT", "socket closed", "closed", "done"]);

    // Between two sockets there is nobody to say it to.
    let mut bench = Bench::connected(Dialect::V01);
    bench.input(Input::Broken);
    bench.take();
    bench.input(Input::Stop { grace: ms(500) });
    assert_eq!(bench.take(), ["closed", "done"]);
}
