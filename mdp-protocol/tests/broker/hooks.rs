//! The hooks are asked, and what becomes of a call by their verdict.

use crate::bench::*;
use crate::support::{call, ms, reply, shared};
use mdp_protocol::broker::{
    About, Cause, Config, HookConfig, Input, Note, Question, Target, Verdict,
};
use mdp_protocol::wire::{CallKind, Direction, DisconnectReason, Record, Reply};
use mdp_protocol::{Code, Limits, Reason, Refusal};

impl Bench {
    pub(crate) fn ask(&mut self, question: Question<Vec<u8>>) {
        self.lines.push(line(&question));
        self.question = Some(question);
    }

    fn verdict(&mut self, handle: &str, verdict: Verdict<Vec<u8>>) {
        self.input(Input::Verdict { call: call(handle), verdict });
    }

    fn to(&mut self, handle: &str, path: &str, to: Target) {
        self.verdict(handle, Verdict::Dispatch { body: path.into(), to });
    }

    fn end(&mut self, handle: &str, code: Code, body: &str) {
        let (worker, reply) = (shared("w"), Reply::Body(body.into()));
        self.verdict(handle, Verdict::End { code, not_started: false, worker, reply });
    }
}

fn line(question: &Question<Vec<u8>>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let handle = crate::support::handle(question.call);
    let (who, path) = (text(&question.caller), text(&question.path));
    match &question.about {
        About::Request { timeout, target, body, .. } => {
            let target =
                if target.is_empty() { String::new() } else { format!(" at {}", text(target)) };
            format!("hooks: {handle} {who} asks {path}{target} {} {timeout}", text(body))
        }
        About::Reply { worker, code, reply: Reply::Body(body), .. } => {
            format!(
                "hooks: {handle} {} answers {who} on {path}: {code} {}",
                text(worker),
                text(body)
            )
        }
        About::Reply { code, .. } => format!("hooks: {handle} {code}"),
    }
}

fn bench(requests: bool, replies: bool) -> Bench {
    bench_with(requests, replies, Limits::default())
}

fn bench_with(requests: bool, replies: bool, limits: Limits) -> Bench {
    let hooks = HookConfig { requests, replies, wait: ms(200) };
    let mut bench = Bench::new(Config { hooks, limits, ..Config::default() });
    bench.hello("c");
    bench.worker("w", "a.S", 1);
    bench
}

#[test]
fn a_request_goes_on_when_the_hooks_have_said_so() {
    let mut bench = bench(true, false);
    bench.request("c", 1, "a.S/M");
    assert_eq!(bench.take(), ["hooks: 0v1 c asks a.S/M a.S/M 10000 ms"]);
    bench.to("0v1", "a.S/M", Target::Any);
    assert_eq!(bench.take(), ["w: REQUEST 0v1 a.S/M 10000 ms try 1 peer c"]);
    bench.done("w", "0v1");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w done"]);
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_reply_goes_on_when_the_hooks_have_said_so_and_its_slot_is_free_before() {
    let mut bench = bench(false, true);
    bench.request("c", 1, "a.S/M");
    bench.request("c", 2, "a.S/N");
    assert_eq!(bench.take(), ["w: REQUEST 0v1 a.S/M 10000 ms try 1 peer c"]);
    bench.done("w", "0v1");
    assert_eq!(
        bench.take(),
        ["hooks: 0v1 w answers c on a.S/M: OK done", "w: REQUEST 1v1 a.S/N 10000 ms try 1 peer c"]
    );
    bench.end("0v1", Code::Ok, "changed");
    assert_eq!(bench.take(), ["c: FINAL 1 OK from w changed"]);
    // An error is a reply, too.
    bench.say("w", reply(call("1v1"), Code::NotFound, "none"));
    assert_eq!(bench.take(), ["hooks: 1v1 w answers c on a.S/N: NOT_FOUND none"]);
    bench.end("1v1", Code::NotFound, "none");
    assert_eq!(bench.take(), ["c: FINAL 2 NOT_FOUND from w none"]);
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_call_is_refused_answered_or_forgotten() {
    let mut bench = bench(true, false);
    for (number, handle) in [(1, "0v1"), (2, "0v2"), (3, "0v3")] {
        bench.request("c", number, "a.S/M");
        bench.lines.pop();
        match number {
            1 => bench.end(handle, Code::PermissionDenied, "no"),
            2 => bench.end(handle, Code::Ok, "known"),
            _ => bench.verdict(handle, Verdict::Discard),
        }
    }
    assert_eq!(
        bench.take(),
        ["c: FINAL 1 PERMISSION_DENIED from w no", "c: FINAL 2 OK from w known"]
    );
    let stats = bench.broker.stats();
    assert_eq!((stats.requests, stats.refused, stats.discarded, stats.dispatched), (3, 1, 1, 0));
    // What is forgotten ends all the same.
    bench.live(9_000);
    assert_eq!(bench.take(), [""; 0]);
    bench.live(1_000);
    assert!(bench.take()[0].starts_with("c: FINAL 3 DEADLINE_EXCEEDED not started"));
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_request_goes_to_another_service_or_to_one_worker() {
    let mut bench = bench(true, false);
    bench.worker("x", "b.S", 1);
    bench.worker("y", "b.S", 1);
    bench.take();
    for (number, to, worker) in [
        (1, Target::Only(shared("y")), "y"),
        (2, Target::Any, "x"),
        // Busy, but there: it waits for this one.
        (3, Target::Rather(shared("y")), ""),
        // Not there.
        (4, Target::Rather(shared("z")), ""),
    ] {
        bench.request("c", number, "a.S/M");
        let handle = format!("{}v1", number - 1);
        bench.take();
        bench.to(&handle, "b.S/M", to);
        let said = bench.take();
        match worker {
            "" => assert_eq!(said, [""; 0]),
            _ => assert_eq!(
                said,
                [format!("{worker}: REQUEST {handle} b.S/M 10000 ms try 1 peer c")]
            ),
        }
    }
    bench.request("c", 5, "a.S/M");
    bench.take();
    bench.to("4v1", "b.S/M", Target::Only(shared("z")));
    assert!(bench.take()[0].starts_with("c: FINAL 5 UNAVAILABLE not started NO_WORKER"));
    bench.done("x", "1v1");
    assert_eq!(
        bench.take(),
        ["c: FINAL 2 OK from x done", "x: REQUEST 3v1 b.S/M 10000 ms try 1 peer c"]
    );
    bench.done("y", "0v1");
    assert_eq!(
        bench.take(),
        ["c: FINAL 1 OK from y done", "y: REQUEST 2v1 b.S/M 10000 ms try 1 peer c"]
    );
}

#[test]
fn a_service_that_nobody_offers_may_be_an_alias() {
    let mut bench = bench(true, false);
    bench.request("c", 1, "old.S/M");
    assert_eq!(bench.take(), ["hooks: 0v1 c asks old.S/M old.S/M 10000 ms"]);
    bench.to("0v1", "a.S/M", Target::Any);
    assert_eq!(bench.take(), ["w: REQUEST 0v1 a.S/M 10000 ms try 1 peer c"]);
    bench.request("c", 2, "old.S/M");
    bench.take();
    bench.to("1v1", "not a name", Target::Any);
    assert!(bench.take()[0].starts_with("c: FINAL 2 INVALID_ARGUMENT not started BAD_REQUEST"));
    assert_eq!(bench.broker.stats().services, 1);
}

#[test]
fn a_reply_may_go_on_to_another_worker() {
    let mut bench = bench(false, true);
    bench.worker("x", "b.S", 1);
    bench.request("c", 1, "a.S/M");
    bench.done("w", "0v1");
    bench.take();
    bench.to("0v1", "b.S/N", Target::Any);
    assert_eq!(bench.take(), ["x: REQUEST 0v1 b.S/N 10000 ms try 1 peer c"]);
    // One handler has run, so nobody can say that none was started.
    bench.say(
        "x",
        Record::Final {
            call: call("0v1"),
            code: Code::Unavailable,
            not_started: true,
            attempt: 1,
            peer: b"",
            reply: Reply::Body(b"full".to_vec()),
        },
    );
    let asked = bench.take();
    assert_eq!(asked, ["hooks: 0v1 x answers c on a.S/M: UNAVAILABLE full"]);
    let verdict = Verdict::End {
        code: Code::Unavailable,
        not_started: true,
        worker: shared("x"),
        reply: Reply::Body(b"full".to_vec()),
    };
    bench.verdict("0v1", verdict);
    assert!(bench.take()[0].starts_with("c: FINAL 1 UNAVAILABLE MAYBE_EXECUTED"));
}

#[test]
fn without_a_verdict_a_call_ends() {
    let mut bench = bench(true, true);
    bench.request("c", 1, "a.S/M");
    bench.take();
    bench.live(199);
    assert_eq!(bench.take(), [""; 0]);
    bench.pass(1);
    let text = "the broker's hook gave no verdict in time; no handler was started";
    assert_eq!(bench.said(), [format!("c: FINAL 1 INTERNAL not started NOT_DISPATCHED: {text}")]);
    // Too late.
    bench.to("0v1", "a.S/M", Target::Any);
    assert_eq!(bench.take(), [""; 0]);
    // The deadline may be sooner.
    bench.request_as("c", 2, "a.S/M", 50, false, "");
    bench.take();
    bench.pass(50);
    assert!(bench.said()[0].starts_with("c: FINAL 2 DEADLINE_EXCEEDED not started"));
    // A reply: its handler has run.
    bench.request("c", 3, "a.S/M");
    bench.to("0v3", "a.S/M", Target::Any);
    bench.done("w", "0v3");
    bench.take();
    bench.live(200);
    let text = "the broker's hook gave no verdict on the reply in time";
    assert_eq!(bench.said(), [format!("c: FINAL 3 INTERNAL MAYBE_EXECUTED: {text}")]);
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_call_that_is_asked_about_can_be_given_up() {
    let mut bench = bench(true, true);
    bench.request("c", 1, "a.S/M");
    bench.request("c", 2, "a.S/M");
    bench.to("1v1", "a.S/M", Target::Any);
    bench.done("w", "1v1");
    bench.say("c", Record::Cancel { call: 1 });
    bench.say("c", Record::Cancel { call: 2 });
    bench.take();
    assert!(bench.broker.is_quiet());
    bench.request("c", 3, "a.S/M");
    bench.say("c", Record::Disconnect(DisconnectReason::Shutdown));
    assert!(bench.broker.is_quiet());
    bench.take();
    bench.to("1v2", "a.S/M", Target::Any);
    assert_eq!(bench.take(), [""; 0]);
}

#[test]
fn what_is_asked_about_counts_for_the_limits() {
    let limits = Limits { held_bytes: 12, calls_per_client: 2, ..Limits::default() };
    let mut bench = bench_with(true, true, limits);
    bench.request("c", 1, "a.S/M");
    bench.request("c", 2, "a.S/M");
    assert_eq!(bench.take().len(), 2);
    assert_eq!(bench.broker.stats().held_bytes, 10);
    bench.request("c", 3, "a.S/M");
    assert!(bench.take()[0].starts_with("c: FINAL 3 RESOURCE_EXHAUSTED not started"));
    bench.say("c", Record::Cancel { call: 2 });
    bench.request("c", 4, "a.S/long-name");
    assert!(bench.take()[0].starts_with("c: FINAL 4 RESOURCE_EXHAUSTED not started"));
    // A reply that has no room is one that nobody may see.
    bench.to("0v1", "a.S/M", Target::Any);
    bench.say("w", reply(call("0v1"), Code::Ok, "thirteen bytes"));
    assert!(bench.take()[1].starts_with("c: FINAL 1 RESOURCE_EXHAUSTED LIMIT_REACHED"));
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_stream_is_asked_about_where_it_begins_and_where_it_ends() {
    let mut bench = bench(true, true);
    bench.worker("s", "s.S", 1);
    bench.stream("c", 1, CallKind::ServerStreaming, true);
    bench.credit("c", 1, Direction::Replies, 8);
    assert_eq!(bench.take(), ["hooks: 0v1 c asks s.S/M s.S/M 10000 ms"]);
    bench.to("0v1", "s.S/M", Target::Any);
    assert_eq!(
        bench.take(),
        [
            "s: REQUEST 0v1 idempotent replies< s.S/M 10000 ms try 1 peer c",
            "s: CREDIT 0v1 replies: 8"
        ]
    );
    bench.item("s", call("0v1"), Direction::Replies, "one");
    assert_eq!(bench.take(), ["c: DATA 1 replies: one"]);
    bench.done("s", "0v1");
    bench.take();
    // It has begun, so it cannot go elsewhere.
    bench.to("0v1", "a.S/M", Target::Any);
    assert!(bench.take()[0].starts_with("c: FINAL 1 INTERNAL MAYBE_EXECUTED"));
    assert!(bench.broker.is_quiet());
}

#[test]
fn a_broker_that_leaves_waits_for_verdicts() {
    let mut bench = bench(true, true);
    bench.request("c", 1, "a.S/M");
    bench.request("c", 2, "a.S/M");
    bench.to("1v1", "a.S/M", Target::Any);
    bench.done("w", "1v1");
    bench.input(Input::Shutdown { grace: ms(5_000) });
    bench.take();
    bench.to("0v1", "a.S/M", Target::Any);
    assert_eq!(bench.take(), ["c: CANCEL 1"], "it may be made again elsewhere");
    bench.end("1v1", Code::Ok, "done");
    let said = bench.take();
    assert_eq!(said.first().map(String::as_str), Some("c: FINAL 2 OK from w done"));
    assert_eq!(said.last().map(String::as_str), Some("closed"));
}

#[test]
fn a_broker_that_cannot_wait_tells_who_may_not_ask_again() {
    let mut bench = bench(true, true);
    bench.request("c", 1, "a.S/M");
    bench.request("c", 2, "a.S/M");
    bench.to("1v1", "a.S/M", Target::Any);
    bench.done("w", "1v1");
    bench.take();
    bench.input(Input::Shutdown { grace: ms(0) });
    let said = bench.take();
    let about: Vec<_> = said.iter().filter(|line| line.contains("FINAL")).collect();
    // The other was never started: without an answer it is safe to make again.
    assert_eq!(about.len(), 1, "{said:?}");
    assert!(about[0].starts_with("c: FINAL 2 UNAVAILABLE MAYBE_EXECUTED"));
}

#[test]
fn workers_and_clients_are_told_of() {
    let mut bench = bench(false, false);
    bench.worker("x", "b.S", 1);
    bench.ready("x", "c.S", 1);
    bench.request("c", 1, "a.S/M");
    bench.request("c", 2, "a.S/M");
    bench.say("x", Record::Disconnect(DisconnectReason::Shutdown));
    bench.pass(3_000);
    let told = |note: &Note| match note {
        Note::ClientSeen { who } => Some(format!("client {}", crate::support::string(who))),
        Note::WorkerReady { who, service, .. } => Some(format!(
            "ready {} {}",
            crate::support::string(who),
            crate::support::string(service)
        )),
        Note::WorkerLeft { who, services, cause } => {
            let cause = match cause {
                Cause::Said(reason) => format!("said {reason:?}"),
                other => format!("{other:?}"),
            };
            Some(format!("left {} with {}: {cause}", crate::support::string(who), services.len()))
        }
        _ => None,
    };
    let told: Vec<String> = bench.notes.iter().filter_map(told).collect();
    assert_eq!(
        told,
        [
            "ready w a.S",
            "ready x b.S",
            "ready x c.S",
            "client c",
            "left x with 2: said Shutdown",
            "left w with 1: Silence"
        ]
    );
}

#[test]
fn a_refusal_of_the_hooks_says_what_they_say() {
    let mut bench = bench(true, false);
    bench.request("c", 1, "a.S/M");
    bench.take();
    let refusal = Refusal {
        code: Code::Unauthenticated,
        reason: Reason::Denied,
        message: "no token".into(),
        not_started: true,
        retry_after: None,
    };
    let reply = Reply::Refused(Box::new(refusal));
    let worker = shared("");
    bench.verdict(
        "0v1",
        Verdict::End { code: Code::Unauthenticated, not_started: true, worker, reply },
    );
    assert_eq!(bench.take(), ["c: FINAL 1 UNAUTHENTICATED not started DENIED: no token"]);
}
