//! A worker that is refused, drained, or cannot run its handlers.

use mdp_protocol::LossCause;
use mdp_protocol::wire::{CallKind, DisconnectReason, Record};
use mdp_protocol::worker::{Config, Input, Worker};
use mdp_protocol::{Key, SessionConfig};

use super::Bench;
use super::support::{call, ms};

/// When it says READY, while a broker welcomes it and refuses what it offers.
fn attempts(bench: &mut Bench, reason: DisconnectReason, until: u64) -> Vec<u64> {
    let mut attempts = Vec::new();
    while bench.now < until && !bench.lines.iter().any(|line| line == "closed") {
        bench.pass(1);
        if bench.take().iter().any(|line| line.starts_with("HELLO")) {
            attempts.push(bench.now);
            bench.welcome();
            bench.say(Record::Disconnect(reason));
        }
    }
    attempts
}

#[test]
fn a_worker_that_is_refused_behind_welcome_backs_off() {
    let mut bench = Bench::new();
    let attempts = attempts(&mut bench, DisconnectReason::Denied, 61_000);
    let pauses: Vec<u64> = attempts.windows(2).map(|two| two[1] - two[0]).collect();
    for (number, pause) in pauses.iter().enumerate() {
        let max = (100 << number.min(10)).min(5_000);
        assert!((max / 2..=max + 1).contains(pause), "{pauses:?}");
    }
    assert!(attempts.len() > 12 && attempts.len() < 30, "{pauses:?}");
}

#[test]
fn a_session_that_lasted_makes_the_next_pause_short_again() {
    let mut bench = Bench::new();
    attempts(&mut bench, DisconnectReason::Denied, 31_000);
    bench.pass(6_000);
    bench.welcome();
    for _ in 0..6 {
        bench.pass(1_000);
        bench.say(Record::Heartbeat);
    }
    bench.say(Record::Disconnect(DisconnectReason::Denied));
    bench.take();
    bench.pass(101);
    assert!(bench.take().iter().any(|line| line.starts_with("HELLO")));
}

#[test]
fn it_gives_up_when_it_was_refused_for_long_enough() {
    let with = |give_up_after| {
        let mut bench = Bench::new();
        let session = SessionConfig::default();
        let config = Config { session, give_up_after, ..Config::default() };
        bench.worker = Worker::new(config);
        bench
    };
    let denied = Some(LossCause::Said(DisconnectReason::Denied));
    for max in [0, 20_000] {
        let mut bench = with(Some(ms(max)));
        attempts(&mut bench, DisconnectReason::Denied, 100_000);
        assert_eq!(bench.worker.gave_up(), denied);
        assert!((1_000 + max..7_100 + max).contains(&bench.now), "{}", bench.now);
        assert_eq!(bench.worker.next_deadline(), None);
    }
    // Neither a broker that restarts nor one that does not answer refuses it.
    let mut bench = with(Some(ms(0)));
    attempts(&mut bench, DisconnectReason::Shutdown, 10_000);
    bench.pass(200_000);
    assert_eq!(bench.worker.gave_up(), None);
    let mut bench = with(None);
    attempts(&mut bench, DisconnectReason::Denied, 200_000);
    assert_eq!(bench.worker.gave_up(), None);
}

/// Two streams and a unary call that it holds, by an offer of two slots and one of one.
fn busy(end_streams_on_drain: bool) -> Bench {
    let mut bench = Bench::with(Config { end_streams_on_drain, ..Config::default() });
    bench.input(Input::Tick);
    bench.welcome();
    bench.request_as(1, "t.T/Watch", 60_000, CallKind::ServerStreaming);
    bench.request_as(2, "t.T/Put", 60_000, CallKind::ClientStreaming);
    bench.request(3, "s.S/M", 60_000);
    bench.take();
    bench
}

/// The same without the text of refusals.
fn short(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| line.chars().take(30).collect()).collect()
}

#[test]
fn handlers_hear_of_a_drain_whoever_asks_and_their_streams_go_on() {
    let mut bench = busy(false);
    bench.say(Record::Drain);
    bench.say(Record::Drain);
    assert_eq!(bench.take(), ["draining"], "a broker's, once");
    assert!(bench.worker.is_draining());
    let mut bench = busy(false);
    bench.input(Input::Drain { grace: ms(60_000) });
    assert_eq!(bench.take(), ["DRAIN", "draining"]);
    bench.input(Input::Drain { grace: ms(1_000) });
    assert_eq!(bench.take(), [""; 0]);
    // With a session the broker's drain is over.
    let mut bench = busy(false);
    bench.say(Record::Drain);
    bench.say(Record::Disconnect(DisconnectReason::Shutdown));
    assert!(!bench.worker.is_draining());
}

#[test]
fn streams_end_with_a_drain_if_they_are_to() {
    for own in [false, true] {
        let mut bench = busy(true);
        match own {
            true => bench.input(Input::Drain { grace: ms(60_000) }),
            false => bench.say(Record::Drain),
        }
        let mut said = bench.take();
        if own {
            assert_eq!(said.remove(0), "DRAIN");
        }
        assert_eq!(said.remove(0), "draining");
        assert!(said.iter().filter(|line| line.contains("DRAINING")).count() == 2, "{said:?}");
        assert!(said.contains(&"abort 0v1: Drained".to_owned()), "{said:?}");
        assert!(said.contains(&"abort 1v1: Drained".to_owned()), "{said:?}");
        assert_eq!(said.len(), 4, "{said:?}");
        // One that was on its way is not begun. A unary call is.
        bench.request_as(4, "t.T/Watch", 60_000, CallKind::ServerStreaming);
        let said = bench.take();
        assert!(said[0].starts_with("FINAL 4 UNAVAILABLE not started DRAINING"), "{said:?}");
        bench.request(5, "t.T/M", 60_000);
        assert!(bench.take()[0].starts_with("start "));
        bench.done("2v1", "fine");
        assert_eq!(bench.take(), ["FINAL 3 OK fine"]);
    }
}

#[test]
fn a_worker_that_cannot_run_handlers_leaves_and_comes_back() {
    let mut bench = busy(false);
    // The driver has not begun the handler of one.
    let waits = Key::from_u64(call("2v1")).unwrap();
    bench.input(Input::NotStarted { call: waits, message: "no".into() });
    bench.input(Input::Stalled);
    let said = short(bench.take());
    assert!(said[0].starts_with("FINAL 3 UNAVAILABLE"), "{said:?}");
    assert!(said[1].starts_with("DISCONNECT"), "{said:?}");
    assert!(said[2].starts_with("disconnected"), "{said:?}");
    assert_eq!(said[3..], ["abort 0v1: SessionLost", "abort 1v1: SessionLost"]);
    // It stays away, whatever comes and however long it takes.
    bench.request(6, "s.S/M", 60_000);
    bench.say(Record::Disconnect(DisconnectReason::NoSession));
    bench.input(Input::Broken);
    bench.input(Input::Stalled);
    bench.pass(600_000);
    assert_eq!(bench.take(), [""; 0]);
    bench.input(Input::Moves);
    bench.input(Input::Tick);
    let said = bench.take();
    assert!(said.iter().any(|line| line.starts_with("HELLO")), "{said:?}");
    bench.welcome();
    bench.request(7, "s.S/M", 60_000);
    assert!(bench.take().iter().any(|line| line.starts_with("start ")));
    // To one that does not stand still it says nothing.
    bench.input(Input::Moves);
    assert_eq!(bench.take(), [""; 0]);
}

#[test]
fn one_that_cannot_run_handlers_can_be_told_to_leave() {
    let mut bench = busy(false);
    bench.input(Input::Stalled);
    bench.take();
    bench.input(Input::Drain { grace: ms(60_000) });
    assert_eq!(bench.take(), ["draining", "closed for all to see", "closed"]);
}
