//! What a policy allows, and what it gives.

use std::sync::Arc;

use crate::bench::*;
use mdp_protocol::broker::{Config, Input};
use mdp_protocol::policy::{Grant, Pattern, PeerKey, Policy, Quota};
use mdp_protocol::wire::Record;

pub(crate) const ANN: PeerKey = [1; 32];
pub(crate) const BO: PeerKey = [2; 32];
const EVE: PeerKey = [9; 32];

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
}

pub(crate) fn grant(name: &str, call: &[&str], serve: &[&str]) -> Grant {
    Grant {
        name: Arc::from(name.as_bytes()),
        call: patterns(call),
        serve: patterns(serve),
        manage: false,
        drain: false,
        quota: Quota::default(),
    }
}

/// Ann calls all of `a.`, Bo serves it.
pub(crate) fn policy() -> Policy {
    let mut policy = Policy::new();
    policy.grant(ANN, &Arc::new(grant("ann", &["a.*"], &[])));
    policy.grant(BO, &Arc::new(grant("bo", &[], &["a.*"])));
    policy
}

pub(crate) fn bench(policy: Policy) -> Bench {
    Bench::new(Config { policy: Some(Arc::new(policy)), ..Config::default() })
}

impl Bench {
    /// A session of whoever has this key.
    pub(crate) fn hello_as(&mut self, name: &str, key: Option<PeerKey>) {
        self.broker.introduce(key);
        self.hello(name);
        self.broker.introduce(None);
    }
}

#[test]
fn who_is_not_named_may_do_nothing() {
    let mut bench = bench(policy());
    for key in [Some(EVE), None] {
        bench.broker.introduce(key);
        let hello = Record::Hello {
            id: b"x".as_slice(),
            heartbeat: crate::support::ms(1_000),
            liveness: 3,
        };
        bench.say("x", hello);
        assert_eq!(bench.take(), ["(x): DISCONNECT Denied"]);
    }
    assert_eq!((bench.broker.stats().sessions, bench.broker.stats().denied), (0, 2));
}

#[test]
fn a_right_is_looked_at_for_each_call_and_each_offer() {
    let mut bench = bench(policy());
    bench.hello_as("ann", Some(ANN));
    bench.hello_as("bo", Some(BO));
    bench.ready("bo", "a.S", 4);
    bench.request("ann", 1, "a.S/M");
    // The worker is told whose call it is.
    assert_eq!(bench.take(), ["bo: REQUEST 0v1 a.S/M 10000 ms try 1 peer ann ann"]);
    for (number, path) in [(2, "b.S/M"), (3, "aa.S/M"), (4, "a/M")] {
        bench.request("ann", number, path);
        let service = path.split('/').next().unwrap();
        let said = format!(
            "ann: FINAL {number} PERMISSION_DENIED not started DENIED: \
             the policy does not allow you to call {service}"
        );
        assert_eq!(bench.take(), [said]);
    }
    // Who may serve may not call, and who may call may not serve.
    bench.request("bo", 5, "a.S/M");
    assert!(bench.take()[0].starts_with("bo: FINAL 5 PERMISSION_DENIED"));
    bench.ready("ann", "a.T", 1);
    assert_eq!(bench.take(), ["ann: DISCONNECT Denied", "bo: CANCEL 0v1", "close ann"]);
    bench.ready("bo", "b.S", 1);
    assert_eq!(bench.take(), ["bo: DISCONNECT Denied", "close bo"]);
}

#[test]
fn a_new_policy_counts_from_the_next_message_on() {
    let mut bench = bench(policy());
    bench.hello_as("ann", Some(ANN));
    bench.hello_as("bo", Some(BO));
    bench.ready("bo", "a.S", 4);
    bench.request("ann", 1, "a.S/M");
    bench.take();
    // Ann may call something else now.
    let mut second = policy();
    second.grant(ANN, &Arc::new(grant("ann", &["b.*"], &[])));
    bench.input(Input::Policy(Arc::new(second)));
    assert_eq!(bench.take(), [""; 0]);
    bench.request("ann", 2, "a.S/M");
    assert!(bench.take()[0].starts_with("ann: FINAL 2 PERMISSION_DENIED"));
    bench.done("bo", "0v1");
    assert_eq!(bench.take(), ["ann: FINAL 1 OK from bo done"], "what was begun ends");
    // Bo may serve nothing now, and Ann is nobody.
    let mut third = Policy::new();
    third.grant(BO, &Arc::new(grant("bo", &["*"], &["c.*"])));
    bench.input(Input::Policy(Arc::new(third)));
    assert_eq!(
        bench.take(),
        ["ann: DISCONNECT Denied", "close ann", "bo: DISCONNECT Denied", "close bo"]
    );
}

#[test]
fn a_quota_is_the_principals_whatever_the_session() {
    let mut policy = policy();
    let mut ann = grant("ann", &["a.*"], &[]);
    ann.quota.calls_in_flight = Some(2);
    policy.grant(ANN, &Arc::new(ann));
    let mut bench = bench(policy);
    bench.hello_as("one", Some(ANN));
    bench.hello_as("two", Some(ANN));
    bench.hello_as("bo", Some(BO));
    bench.ready("bo", "a.S", 4);
    bench.request("one", 1, "a.S/M");
    bench.request("two", 1, "a.S/M");
    bench.take();
    bench.request("two", 2, "a.S/M");
    let over = "two: FINAL 2 RESOURCE_EXHAUSTED not started LIMIT_REACHED: \
                your quota calls_in_flight is used up; try again later";
    assert_eq!(bench.take(), [over]);
    bench.done("bo", "0v1");
    bench.take();
    bench.request("two", 3, "a.S/M");
    assert_eq!(bench.take().len(), 1, "a call has ended, so there is room for one");
    // A session that ends gives back what it used.
    bench.say("two", Record::Disconnect(mdp_protocol::wire::DisconnectReason::Shutdown));
    bench.take();
    bench.request("one", 2, "a.S/M");
    bench.request("one", 3, "a.S/M");
    assert_eq!(bench.take().len(), 2);
}

#[test]
fn calls_in_a_second_are_counted_by_a_bucket() {
    let mut policy = policy();
    let mut ann = grant("ann", &["a.*"], &[]);
    ann.quota.calls_per_second = Some(10);
    policy.grant(ANN, &Arc::new(ann));
    let mut bench = bench(policy);
    bench.hello_as("ann", Some(ANN));
    bench.hello_as("bo", Some(BO));
    bench.ready("bo", "a.S", 100);
    bench.take();
    for number in 0..10 {
        bench.request("ann", number, "a.S/M");
    }
    assert_eq!(bench.take().len(), 10);
    bench.request("ann", 10, "a.S/M");
    assert!(bench.take()[0].contains("your quota calls_per_second is used up"));
    bench.pass(99);
    bench.request("ann", 11, "a.S/M");
    assert!(bench.take()[0].contains("calls_per_second"));
    bench.pass(1);
    bench.request("ann", 12, "a.S/M");
    bench.request("ann", 13, "a.S/M");
    let said = bench.take();
    assert!(said[0].starts_with("bo: REQUEST") && said[1].contains("calls_per_second"), "{said:?}");
}

#[test]
fn bytes_that_wait_are_the_principals() {
    let mut policy = policy();
    let mut ann = grant("ann", &["a.*"], &[]);
    ann.quota.queued_bytes = Some(12);
    policy.grant(ANN, &Arc::new(ann));
    let mut bench = bench(policy);
    bench.hello_as("ann", Some(ANN));
    bench.request("ann", 1, "a.S/M"); // five bytes
    bench.request("ann", 2, "a.S/M");
    assert_eq!(bench.take(), [""; 0]);
    bench.request("ann", 3, "a.S/M");
    assert!(bench.take()[0].contains("your quota queued_bytes is used up"));
    bench.hello_as("bo", Some(BO));
    bench.ready("bo", "a.S", 4);
    assert_eq!(bench.take().len(), 2);
    bench.request("ann", 4, "a.S/M");
    assert_eq!(bench.take().len(), 1);
}
