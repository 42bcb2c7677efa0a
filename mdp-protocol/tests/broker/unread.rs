//! What peers have not read: what is refused for it, who waits for it, and where it counts.

use std::sync::Arc;

use crate::bench::*;
use crate::rights::{ANN, BO, bench as guarded, grant, policy};
use crate::support::string;
use mdp_protocol::Limit;
use mdp_protocol::broker::{Cause, Input, Note, UNREAD_STEP};
use mdp_protocol::policy::Policy;
use mdp_protocol::wire::{CallKind, DisconnectReason, Record};

const MIB: usize = 1 << 20;

impl Bench {
    /// The transport reports what a peer has not read.
    fn unread(&mut self, name: &str, bytes: usize) {
        let session = self.keys[name];
        self.input(Input::Unread { session, bytes });
    }

    /// Whether a call of this client goes to a worker.
    fn is_taken(&mut self, client: &str, number: u64) -> bool {
        self.request(client, number, "s.S/M");
        let said = self.take();
        match said[0].starts_with("w: REQUEST") {
            true => {
                let handle = said[0].split(' ').nth(2).unwrap().to_owned();
                self.done("w", &handle);
                assert!(self.take()[0].starts_with(&format!("{client}: FINAL {number} OK")));
                true
            }
            false => {
                assert!(
                    said[0].contains("RESOURCE_EXHAUSTED not started LIMIT_REACHED"),
                    "{said:?}"
                );
                false
            }
        }
    }
}

#[test]
fn who_has_half_of_its_limit_unread_makes_no_calls() {
    let mut bench = Bench::with_limits(|limits| limits.unread_bytes_per_session = 10 * MIB);
    bench.worker("w", "s.S", 5);
    bench.hello("c");
    bench.hello("d");
    bench.unread("c", 5 * MIB);
    assert!(bench.is_taken("c", 1));
    bench.unread("c", 5 * MIB + 1);
    assert!(!bench.is_taken("c", 2));
    assert!(bench.is_taken("d", 2), "others are not concerned");
    assert_eq!(bench.limits_met(), [Limit::UnreadBytesPerSession]);
    let stats = bench.broker.stats();
    assert_eq!((stats.unread_bytes, stats.unread_refused, stats.refused), (5 * MIB + 1, 1, 1));
    bench.unread("c", 0);
    assert!(bench.is_taken("c", 3));
    assert_eq!(bench.broker.stats().unread_bytes, 0);
}

#[test]
fn what_all_have_unread_leaves_less_to_each() {
    let mut bench = Bench::with_limits(|limits| limits.unread_bytes = 80 * MIB);
    bench.worker("w", "s.S", 5);
    for name in ["c", "d", "e"] {
        bench.hello(name);
    }
    bench.unread("c", 15 * MIB);
    bench.unread("d", 15 * MIB);
    assert!(!bench.is_taken("c", 1), "it may have 15 MiB, and makes calls up to half of that");
    bench.unread("d", 44 * MIB);
    bench.unread("c", MIB);
    bench.unread("e", UNREAD_STEP);
    assert!(bench.is_taken("c", 2) && bench.is_taken("e", 2));
    bench.unread("d", 80 * MIB);
    assert!(!bench.is_taken("c", 3));
    assert!(bench.is_taken("e", 3), "who reads goes on");
    assert_eq!(bench.limits_met(), [Limit::UnreadBytes; 2]);
}

#[test]
fn a_peer_for_which_nothing_more_can_be_sent_leaves_with_the_limit() {
    let mut bench = Bench::with_limits(|_| {});
    bench.worker("w", "s.S", 5);
    bench.worker("v", "s.S", 5);
    bench.hello("c");
    bench.idempotent("c", 1, "s.S/M");
    let said = bench.take();
    let (gone, other) = if said[0].starts_with("w") { ("w", "v") } else { ("v", "w") };
    let (session, limit) = (bench.keys[gone], Limit::UnreadBytesPerSession);
    bench.unread(gone, 32 * MIB);
    bench.input(Input::Overfull { session, limit });
    let said = bench.take();
    assert_eq!(said[0], format!("close {gone}"));
    assert!(said[1].starts_with(&format!("{other}: REQUEST")), "its calls move: {said:?}");
    assert_eq!(bench.limits_met(), [limit]);
    let closed = bench.notes.iter().find_map(|note| match note {
        Note::SessionClosed { id, cause, .. } => Some((string(id), *cause)),
        _ => None,
    });
    assert_eq!(closed, Some((gone.into(), Cause::Unread(limit))));
    // The connection is still there, and what it has not read.
    let stats = bench.broker.stats();
    assert_eq!((stats.unread_ended, stats.unread_bytes), (1, 32 * MIB));
    bench.input(Input::Unread { session, bytes: 0 });
    assert_eq!(bench.broker.stats().unread_bytes, 0);
    // It is over already.
    bench.input(Input::Overfull { session, limit });
    assert_eq!(bench.broker.stats().unread_ended, 1);
}

#[test]
fn a_worker_that_does_not_read_is_given_nothing_until_it_does() {
    let mut bench = Bench::with_limits(|_| {});
    bench.worker("w", "s.S", 5);
    bench.hello("c");
    bench.unread("w", 16 * MIB + 1);
    bench.request("c", 1, "s.S/M");
    bench.request_as("c", 2, "s.S/M", 10_000, false, "w");
    assert_eq!(bench.take(), [""; 0]);
    assert!(bench.broker.holds_workers_back());
    bench.worker("v", "s.S", 1);
    assert_eq!(bench.take(), ["v: REQUEST 0v1 s.S/M 10000 ms try 1 peer c"]);
    bench.unread("w", UNREAD_STEP);
    assert_eq!(bench.take(), ["w: REQUEST 1v1 s.S/M 10000 ms try 1 peer c"]);
    assert!(!bench.broker.holds_workers_back());
    // With a session that has much unread a service begins held back.
    bench.unread("c", 17 * MIB);
    bench.ready("c", "t.T", 1);
    assert!(bench.broker.holds_workers_back());
    bench.hello("d");
    bench.request("d", 1, "t.T/M");
    assert_eq!(bench.take(), [""; 0]);
    bench.unread("c", 0);
    assert_eq!(bench.take(), ["c: REQUEST 2v1 t.T/M 10000 ms try 1 peer d"]);
}

/// A worker that comes where much waits is given as much as it may have unread, and the rest when it has read that.
#[test]
fn a_long_queue_is_not_given_away_at_once() {
    let mut bench = Bench::with_limits(|_| {});
    bench.hello("c");
    let body = format!("s.S/{}", "m".repeat(200));
    for number in 0..400 {
        bench.request("c", number, &body);
    }
    bench.take();
    let calls = |said: &[String]| said.iter().filter(|line| line.starts_with("w: REQUEST")).count();
    bench.worker("w", "s.S", 10_000);
    // 204 bytes each: far below all limits.
    assert_eq!(calls(&bench.take()), 400);
    let mut bench = Bench::with_limits(|limits| limits.unread_bytes_per_session = 4 * UNREAD_STEP);
    bench.hello("c");
    for number in 0..400 {
        bench.request("c", number, &body);
    }
    bench.take();
    bench.worker("w", "s.S", 10_000);
    let first = calls(&bench.take());
    assert_eq!(first, (2 * UNREAD_STEP).div_ceil(204), "half of what it may have");
    bench.unread("w", 2 * UNREAD_STEP + 1);
    assert_eq!(calls(&bench.take()), 0);
    let mut all = first;
    while bench.broker.holds_workers_back() {
        bench.unread("w", 0);
        all += calls(&bench.take());
    }
    assert_eq!(all, 400);
}

/// Ann may have 100,000 bytes held, and what she has not read counts, whichever session it is of, also after its end.
#[test]
fn unread_bytes_count_for_the_principal() {
    let mut rules = policy();
    let mut ann = grant("ann", &["a.*"], &[]);
    ann.quota.queued_bytes = Some(100_000);
    rules.grant(ANN, &Arc::new(ann));
    let mut bench = guarded(rules);
    bench.hello_as("one", Some(ANN));
    bench.hello_as("two", Some(ANN));
    bench.hello_as("bo", Some(BO));
    bench.ready("bo", "a.S", 50);
    bench.unread("one", 60_000);
    bench.request("two", 1, "a.S/M");
    assert!(bench.take()[0].starts_with("bo: REQUEST"));
    bench.unread("two", 60_000);
    bench.request("one", 1, "a.S/M");
    let over = "RESOURCE_EXHAUSTED not started LIMIT_REACHED: \
                your quota queued_bytes is used up; try again later";
    assert_eq!(bench.take(), [format!("one: FINAL 1 {over}")]);
    let (one, two) = (bench.keys["one"], bench.keys["two"]);
    bench.say("two", Record::Disconnect(DisconnectReason::Shutdown));
    bench.take();
    bench.request("one", 2, "a.S/M");
    assert_eq!(bench.take(), [format!("one: FINAL 2 {over}")], "its connection has not read it");
    // A policy without her forgets nothing that counts.
    bench.input(Input::Policy(Arc::new(Policy::new())));
    let mut back = policy();
    let mut ann = grant("ann", &["a.*"], &[]);
    ann.quota.queued_bytes = Some(100_000);
    back.grant(ANN, &Arc::new(ann));
    bench.input(Input::Policy(Arc::new(back)));
    bench.take();
    bench.hello_as("three", Some(ANN));
    bench.unread("three", 50_000);
    bench.request("three", 1, "a.S/M");
    assert_eq!(bench.take(), [format!("three: FINAL 1 {over}")]);
    bench.hello_as("bo", Some(BO));
    bench.ready("bo", "a.S", 50);
    for session in [one, two] {
        bench.input(Input::Unread { session, bytes: 0 });
    }
    bench.request("three", 2, "a.S/M");
    assert!(bench.take()[0].starts_with("bo: REQUEST"));
}

/// Items of a stream and replies do not depend on it: what has begun goes on until nothing more can be sent.
#[test]
fn what_has_begun_goes_on() {
    let mut bench = Bench::with_limits(|_| {});
    bench.worker("w", "s.S", 5);
    bench.hello("c");
    bench.stream("c", 1, CallKind::ServerStreaming, false);
    bench.take();
    bench.unread("c", 20 * MIB);
    bench.done("w", "0v1");
    assert!(bench.take()[0].starts_with("c: FINAL 1 OK"));
}
