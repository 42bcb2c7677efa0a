//! What is counted for each method, service and worker.

use crate::support::{call, reply};
use mdp_protocol::broker::{Config, MethodLine};
use mdp_protocol::wire::{DisconnectReason, Record};
use mdp_protocol::{Code, Reason, Span, Time};

use crate::bench::*;

/// `service/method requests errors redispatched queued running`.
fn lines(bench: &Bench) -> Vec<String> {
    let line = |line: &MethodLine| {
        let (name, of) = (crate::support::string, line.call_stats);
        let times = (of.queued.as_ms(), of.running.as_ms());
        format!(
            "{}/{} {} {} {} {} {}",
            name(&line.service),
            name(&line.method),
            of.requests,
            of.errors,
            of.redispatched,
            times.0,
            times.1
        )
    };
    bench.broker.method_lines(None).iter().map(line).collect()
}

fn handle(bench: &mut Bench) -> String {
    let lines = bench.take();
    let request = lines.iter().find(|line| line.contains("REQUEST")).unwrap();
    request.split(' ').nth(2).unwrap().to_owned()
}

fn queued_since(bench: &Bench, handle: &str) -> Option<Span> {
    bench.broker.queued_since(Time::from_ms(bench.now), call(handle))
}

#[test]
fn calls_count_for_their_method_with_the_time_they_waited_and_ran() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/Quick");
    bench.request("c", 2, "s.S/Slow");
    let quick = handle(&mut bench);
    bench.pass(30);
    bench.done("w", &quick);
    let slow = handle(&mut bench);
    assert_eq!(queued_since(&bench, &slow), Some(Span::from_ms(30)));
    bench.pass(200);
    assert_eq!(queued_since(&bench, &slow), Some(Span::from_ms(230)));
    bench.say("w", reply(call(&slow), Code::NotFound, "no"));
    assert_eq!(queued_since(&bench, &slow), None);
    assert_eq!(lines(&bench), ["s.S/ 0 0 0 0 0", "s.S/Quick 1 0 0 0 30", "s.S/Slow 1 1 0 30 200"]);
    bench.pass(50);
    let slow = bench.broker.method_lines(Some(b"s.S")).pop().unwrap();
    assert_eq!(slow.call_stats.last_error.map(|(code, _)| code), Some(Code::NotFound));
    assert_eq!(slow.since_error, Some(Span::from_ms(50)));
    assert!(bench.broker.method_lines(Some(b"other")).is_empty());
}

/// A call keeps 32 bits of the time.
#[test]
fn times_are_right_when_the_clock_passes_49_days() {
    let mut bench = Bench::new(Config::default());
    bench.now = (1 << 32) - 20;
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    let first = handle(&mut bench);
    bench.pass(30);
    bench.done("w", &first);
    let second = handle(&mut bench);
    assert_eq!(queued_since(&bench, &second), Some(Span::from_ms(30)));
    bench.pass(5);
    bench.done("w", &second);
    assert_eq!(lines(&bench), ["s.S/ 0 0 0 0 0", "s.S/M 2 0 0 30 35"]);
}

#[test]
fn what_the_broker_ends_is_an_error_with_its_reason() {
    let mut bench = Bench::new(Config::default());
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    let held = handle(&mut bench);
    bench.done("w", &held);
    bench.request("c", 2, "s.S/M");
    bench.request_as("c", 3, "s.S/M", 100, false, "");
    bench.live(100);
    bench.request("c", 4, "not a path");
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    assert_eq!(lines(&bench), ["s.S/ 0 0 0 0 0", "s.S/M 3 2 0 0 0"]);
    let reasons: Vec<_> =
        bench.broker.stats().reasons.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(
        reasons,
        [(Reason::MaybeExecuted, 1), (Reason::DeadlineExceeded, 1), (Reason::BadRequest, 1)]
    );
}

#[test]
fn a_call_that_a_lost_worker_held_counts_once() {
    let mut bench = Bench::new(Config::default());
    bench.worker("one", "s.S", 1);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    bench.pass(70);
    bench.say("one", Record::Disconnect(DisconnectReason::Shutdown));
    bench.pass(20);
    bench.worker("two", "s.S", 1);
    let held = handle(&mut bench);
    bench.pass(5);
    bench.done("two", &held);
    assert_eq!(lines(&bench), ["s.S/ 0 0 0 0 0", "s.S/M 1 0 1 20 5"]);
}

#[test]
fn a_call_for_which_there_was_no_service_yet_counts_once_it_has_a_worker() {
    let mut bench = Bench::new(Config::default());
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    assert!(lines(&bench).is_empty());
    bench.pass(40);
    bench.worker("w", "s.S", 1);
    let held = handle(&mut bench);
    bench.done("w", &held);
    assert_eq!(lines(&bench), ["s.S/ 0 0 0 0 0", "s.S/M 1 0 0 40 0"]);
    // The service's worker goes and comes again: its lines stay.
    bench.say("w", Record::Disconnect(DisconnectReason::Shutdown));
    bench.worker("w", "s.S", 1);
    assert_eq!(lines(&bench), ["s.S/ 0 0 0 0 0", "s.S/M 1 0 0 40 0"]);
}

#[test]
fn methods_that_no_worker_has_get_no_line() {
    let mut bench = Bench::with_limits(|limits| limits.methods = 2);
    bench.worker("w", "s.S", 1);
    bench.hello("c");
    let mut ask = |method: &str, code: Code| {
        bench.request("c", 1, &format!("s.S/{method}"));
        let held = handle(&mut bench);
        bench.say("w", reply(call(&held), code, "that is it"));
        bench.take();
    };
    for number in 0..1_000 {
        ask(&format!("Odd{number}"), Code::Unimplemented);
    }
    for method in ["A", "B", "C", "A"] {
        ask(method, Code::Ok);
    }
    for number in 0..200 {
        bench.request("c", 1, &format!("odd.O{number}/M"));
        bench.say("c", Record::Cancel { call: 1 });
    }
    assert_eq!(lines(&bench), ["s.S/ 1001 1000 0 0 0", "s.S/A 2 0 0 0 0", "s.S/B 1 0 0 0 0"]);
}

#[test]
fn services_beyond_the_limit_have_no_lines_of_their_own() {
    let mut bench = Bench::with_limits(|limits| limits.methods = 1);
    bench.worker("w", "s.S", 1);
    bench.worker("v", "t.T", 1);
    bench.hello("c");
    for path in ["t.T/M", "s.S/M"] {
        bench.request("c", 1, path);
        let held = handle(&mut bench);
        bench.done(if path.starts_with('t') { "v" } else { "w" }, &held);
    }
    assert_eq!(lines(&bench), ["s.S/ 0 0 0 0 0", "s.S/M 1 0 0 0 0"]);
}
