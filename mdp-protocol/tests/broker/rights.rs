//! What a policy allows, and what it gives.

use std::sync::Arc;

use crate::bench::*;
use mdp_protocol::Identity;
use mdp_protocol::broker::{Config, Input};
use mdp_protocol::policy::{Grant, Pattern, PeerKey, Policy, Quota};
use mdp_protocol::wire::{CallKind, Direction, Record};

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

fn identity(key: Option<PeerKey>) -> Identity {
    key.map_or(Identity::anonymous(), Identity::of_key)
}

impl Bench {
    /// A session of whoever has this key.
    pub(crate) fn hello_as(&mut self, name: &str, key: Option<PeerKey>) {
        self.identities.insert(name.to_owned(), identity(key));
        self.hello(name);
    }
}

#[test]
fn who_is_not_named_may_do_nothing() {
    let mut bench = bench(policy());
    for key in [Some(EVE), None] {
        bench.identities.insert("x".to_owned(), identity(key));
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
    // Ann may call something more now.
    let mut second = policy();
    second.grant(ANN, &Arc::new(grant("ann", &["a.*", "b.*"], &[])));
    bench.input(Input::Policy(Arc::new(second)));
    assert_eq!(bench.take(), [""; 0]);
    bench.done("bo", "0v1");
    assert_eq!(bench.take(), ["ann: FINAL 1 OK from bo done"], "what she may still call goes on");
    // Ann may call something else now.
    bench.request("ann", 2, "a.S/M");
    bench.take();
    let mut second = policy();
    second.grant(ANN, &Arc::new(grant("ann", &["b.*"], &[])));
    bench.input(Input::Policy(Arc::new(second)));
    assert_eq!(bench.take(), [denied_now(2, ""), "bo: CANCEL 0v2".to_owned()]);
    bench.request("ann", 3, "a.S/M");
    assert!(bench.take()[0].starts_with("ann: FINAL 3 PERMISSION_DENIED"));
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

/// How a call of Ann ends whose service she may no longer call.
fn denied_now(number: u64, started: &str) -> String {
    format!(
        "ann: FINAL {number} PERMISSION_DENIED {started}DENIED: \
         the policy has changed and no longer allows you to call a.S"
    )
}

/// A stream would else go on until its deadline, which may be days away.
#[test]
fn a_right_that_is_taken_away_ends_streams_and_what_waits() {
    for kind in [CallKind::ServerStreaming, CallKind::ClientStreaming, CallKind::BidiStreaming] {
        let mut bench = bench(policy());
        bench.hello_as("ann", Some(ANN));
        bench.hello_as("bo", Some(BO));
        bench.ready("bo", "a.S", 1);
        bench.take();
        bench.stream_of("ann", 1, "a.S/Watch", kind);
        let replies = kind.streams(Direction::Replies);
        if replies {
            bench.credit("ann", 1, Direction::Replies, 100);
        }
        bench.stream_of("ann", 2, "a.S/Watch", kind);
        bench.take();
        let mut second = policy();
        second.grant(ANN, &Arc::new(grant("ann", &["b.*"], &[])));
        bench.input(Input::Policy(Arc::new(second)));
        let said = bench.take();
        let wanted = [denied_now(1, ""), "bo: CANCEL 0v1".into(), denied_now(2, "not started ")];
        assert_eq!(said, wanted, "{kind:?}");
        // What the worker still says of it goes nowhere, and its slot comes back with FINAL.
        if replies {
            bench.item("bo", crate::support::call("0v1"), Direction::Replies, "late");
        }
        bench.done("bo", "0v1");
        assert_eq!(bench.take(), [""; 0]);
        assert!(bench.broker.is_quiet());
    }
}

/// What a hook has sent elsewhere was still called by the name that the client gave.
#[test]
fn a_right_is_that_to_what_was_called() {
    let hooks = mdp_protocol::broker::HookConfig { requests: true, ..Default::default() };
    let mut bench =
        Bench::new(Config { policy: Some(Arc::new(policy())), hooks, ..Config::default() });
    bench.hello_as("ann", Some(ANN));
    bench.request("ann", 1, "a.S/M");
    bench.take();
    let mut second = policy();
    second.grant(ANN, &Arc::new(grant("ann", &["b.*"], &[])));
    bench.input(Input::Policy(Arc::new(second)));
    assert_eq!(bench.take(), [denied_now(1, "not started ")]);
    assert!(bench.broker.is_quiet());
}

/// A call that its client has given up, or that has run out of time, keeps a worker busy all the same.
#[test]
fn a_call_counts_until_its_slot_is_back() {
    let mut policy = policy();
    let mut ann = grant("ann", &["a.*"], &[]);
    ann.quota.calls_in_flight = Some(1);
    policy.grant(ANN, &Arc::new(ann));
    let mut bench = bench(policy);
    bench.hello_as("one", Some(ANN));
    bench.hello_as("two", Some(ANN));
    bench.hello_as("bo", Some(BO));
    bench.ready("bo", "a.S", 8);
    for (number, end) in ["deadline", "cancel", "disconnect"].into_iter().enumerate() {
        let call = number as u64 + 1;
        bench.request_as("one", call, "a.S/M", 20, false, "");
        assert!(bench.said().iter().any(|line| line.starts_with("bo: REQUEST")), "{end}");
        match end {
            "deadline" => bench.pass(20),
            "cancel" => bench.say("one", Record::Cancel { call }),
            _ => {
                let reason = mdp_protocol::wire::DisconnectReason::Shutdown;
                bench.say("one", Record::Disconnect(reason));
            }
        }
        bench.take();
        bench.request("two", call, "a.S/M");
        assert!(bench.take()[0].contains("your quota calls_in_flight is used up"), "{end}");
        bench.done("bo", &format!("0v{call}"));
        bench.take();
    }
    bench.request("two", 9, "a.S/M");
    assert!(bench.take()[0].starts_with("bo: REQUEST"));
}

/// The same for the limit of each client, whatever the policy.
#[test]
fn a_call_that_was_given_up_counts_for_its_client_until_its_slot_is_back() {
    let mut bench = Bench::with_limits(|limits| limits.calls_per_client = 2);
    bench.worker("w", "a.S", 8);
    bench.hello("c");
    for call in [1, 2] {
        bench.request("c", call, "a.S/M");
        bench.say("c", Record::Cancel { call });
    }
    bench.take();
    bench.request("c", 3, "a.S/M");
    assert!(bench.take()[0].contains("calls_per_client"));
    bench.done("w", "0v1");
    bench.request("c", 4, "a.S/M");
    assert!(bench.take()[0].starts_with("w: REQUEST"));
}

/// Calls that are under way when a broker gets its first policy count for the quotas in it.
#[test]
fn a_first_policy_counts_what_is_under_way() {
    let mut bench = Bench::new(Config::default());
    bench.hello_as("ann", Some(ANN));
    bench.hello_as("bo", Some(BO));
    bench.ready("bo", "a.S", 8);
    bench.request("ann", 1, "a.S/M");
    bench.take();
    let mut policy = policy();
    let mut ann = grant("ann", &["a.*"], &[]);
    ann.quota.calls_in_flight = Some(1);
    policy.grant(ANN, &Arc::new(ann));
    bench.input(Input::Policy(Arc::new(policy)));
    bench.request("ann", 2, "a.S/M");
    assert!(bench.take()[0].contains("calls_in_flight"));
    bench.done("bo", "0v1");
    bench.take();
    bench.request("ann", 3, "a.S/M");
    assert!(bench.take()[0].starts_with("bo: REQUEST"));
}

/// A reload looks at each session and each principal once: twice as many take twice as long, not four times.
#[test]
fn a_reload_takes_time_by_the_number_of_principals() {
    let took = |principals: u32| {
        let grants = |prefix: &str| {
            let mut policy = Policy::new();
            for number in 0..principals {
                let mut key = [0; 32];
                key[..4].copy_from_slice(&number.to_be_bytes());
                policy.grant(key, &Arc::new(grant(&format!("{prefix}{number}"), &["*"], &[])));
            }
            policy
        };
        let mut broker = mdp_protocol::broker::Broker::<Vec<u8>>::new(Config {
            policy: Some(Arc::new(grants("a"))),
            ..Config::default()
        });
        let mut out = Vec::new();
        for number in 0..principals {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            let from = number.to_be_bytes();
            let from = broker.sender(&from, Identity::of_key(key));
            let (heartbeat, liveness) = (crate::support::ms(60_000), 3);
            let record = Record::Hello { id: &b""[..], heartbeat, liveness };
            broker.handle(crate::support::at(1_000), Input::Record { from, record }, &mut out);
            out.clear();
        }
        let renamed = Arc::new(grants("b"));
        let began = std::time::Instant::now();
        broker.handle(crate::support::at(1_000), Input::Policy(renamed), &mut out);
        began.elapsed()
    };
    took(500);
    // By turns, and until one pair is well: other work on the machine must not count. Were it by their square, it would be 64.
    let pairs: Vec<_> = (0..12).map(|_| (took(2_000), took(16_000))).collect();
    assert!(pairs.iter().any(|(few, many)| *many < *few * 24), "2,000 and 16,000 took {pairs:?}");
}
