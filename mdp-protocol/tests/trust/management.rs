//! The broker's own services: each principal has a budget of its own, and hears of nothing that it may not know.

use std::sync::Arc;

use mdp_protocol::broker::{Config, Content, FromClassic, Incoming, Input, Listing, ToClassic};
use mdp_protocol::policy::{Grant, Pattern, PeerKey, Policy, Quota};
use mdp_protocol::wire::classic::Dialect;
use mdp_protocol::wire::{Record, Reply};
use mdp_protocol::{Code, Identity};

use crate::body::Body;
use crate::identities::grant;
use crate::stage::{Said, Stage, hello, raw_request};

const EVE: PeerKey = [9; 32];
const OPERATOR: PeerKey = [7; 32];
const WORKER: PeerKey = [2; 32];

fn stage(eve: Quota) -> Stage {
    let mut policy = Policy::new();
    let call = vec![Pattern::new("a.*").unwrap()];
    let eve = Grant { quota: eve, call, ..(*grant("eve", &[], &[])).clone() };
    policy.grant(EVE, &Arc::new(eve));
    policy.grant(WORKER, &grant("w", &[], &["*"]));
    policy.grant(OPERATOR, &Arc::new(Grant { manage: true, ..(*grant("op", &[], &[])).clone() }));
    let mut stage = Stage::new(Config { policy: Some(Arc::new(policy)), ..Config::default() });
    for (who, key) in [("eve", EVE), ("op", OPERATOR), ("w", WORKER)] {
        stage.say_as(who, Identity::of_key(key), hello(who));
    }
    for service in [&b"a.S"[..], b"secret.S"] {
        let ready = Record::Ready { service, capacity: 1, shared: false, schema: Some([7; 16]) };
        stage.say_as("w", Identity::of_key(WORKER), ready);
    }
    for who in ["eve", "op", "w"] {
        stage.told(who);
    }
    stage
}

/// The status that a peer gets for a question; `None`: no answer yet.
fn ask(stage: &mut Stage, who: &str, key: PeerKey, service: &str, about: &str) -> Option<u16> {
    stage.now += 1;
    let question = raw_request(stage.now, service, &[about.into()]);
    stage.say_as(who, Identity::of_key(key), question);
    let told = stage.told(who);
    told.iter().find_map(|said| match said {
        Said::Record(Record::Final { reply: Reply::Listing(listing), .. }) => {
            Some(Listing::status(listing))
        }
        _ => None,
    })
}

#[test]
fn who_asks_much_blinds_nobody_else() {
    let mut stage = stage(Quota::default());
    for _ in 0..450 {
        // Each of these finds the lookup that is under way, or begins one.
        ask(&mut stage, "eve", EVE, "mmi.schema", "a.S");
    }
    for _ in 0..20 {
        assert_eq!(ask(&mut stage, "op", OPERATOR, "mmi.services", ""), Some(200));
    }
}

#[test]
fn lists_are_counted_for_a_principal() {
    let mut stage = stage(Quota::default());
    let answers: Vec<Option<u16>> =
        (0..60).map(|_| ask(&mut stage, "op", OPERATOR, "mmi.workers", "")).collect();
    assert!(answers[..50].iter().all(|status| *status == Some(200)));
    assert!(answers[50..].iter().all(|status| *status == Some(503)));
    stage.now += 1_000;
    assert_eq!(ask(&mut stage, "op", OPERATOR, "mmi.workers", ""), Some(200));
}

#[test]
fn questions_are_calls_of_a_second() {
    let mut stage = stage(Quota { calls_per_second: Some(10), ..Quota::default() });
    let answers: Vec<Option<u16>> =
        (0..12).map(|_| ask(&mut stage, "eve", EVE, "mmi.service", "a.S")).collect();
    assert!(answers[..10].iter().all(|status| *status == Some(200)), "{answers:?}");
    assert_eq!(answers[11], Some(503));
}

#[test]
fn a_service_that_one_may_not_call_is_not_there() {
    let mut stage = stage(Quota::default());
    assert_eq!(ask(&mut stage, "eve", EVE, "mmi.service", "a.S"), Some(200));
    assert_eq!(ask(&mut stage, "eve", EVE, "mmi.service", "secret.S"), Some(404));
    assert_eq!(ask(&mut stage, "op", OPERATOR, "mmi.service", "secret.S"), Some(200));
    assert_eq!(ask(&mut stage, "w", WORKER, "mmi.service", "secret.S"), Some(200));
}

#[test]
fn a_contract_takes_the_right_to_call_its_service() {
    let mut stage = stage(Quota::default());
    let hash = "ff112233445566778899aabbccddeeff";
    // Nobody has this one.
    assert_eq!(ask(&mut stage, "eve", EVE, "mmi.schema", &format!("a.S {hash}")), Some(404));
    assert_eq!(ask(&mut stage, "eve", EVE, "mmi.schema", &format!("secret.S {hash}")), None);
    assert_eq!(
        ask(&mut stage, "op", OPERATOR, "mmi.schema", &format!("secret.S {hash}")),
        Some(404)
    );
}

/// The statuses that one peer gets for many questions, and then another one for one.
fn then(stage: &mut Stage, many: usize, about: impl Fn(usize) -> String) -> Option<u16> {
    for number in 0..many {
        ask(stage, "eve", EVE, "mmi.schema", &about(number));
    }
    ask(stage, "op", OPERATOR, "mmi.schema", "secret.S")
}

#[test]
fn questions_that_wait_leave_room_for_those_of_others() {
    // Her own part of what may wait for one contract.
    assert_eq!(then(&mut stage(Quota::default()), 1_100, |_| "a.S".into()), None, "it waits");
    // And of the contracts that are asked for at once.
    let mut stage = stage(Quota::default());
    for number in 0..70_u8 {
        let (service, schema) = (format!("a.S{number}"), Some([number; 16]));
        let ready =
            Record::Ready { service: service.as_bytes(), capacity: 1, shared: false, schema };
        stage.say_as("w", Identity::of_key(WORKER), ready);
    }
    for _ in 0..2 {
        assert_eq!(then(&mut stage, 70, |number| format!("a.S{number}")), None, "it waits");
        stage.now += 1_000; // another second of lists
    }
}

/// The worker's answer to the question of the broker's that waits.
fn tell_contract(stage: &mut Stage) {
    let told = stage.told("w");
    let call = told.iter().find_map(|said| match said {
        Said::Record(Record::Request { call, .. }) => Some(*call),
        _ => None,
    });
    let reply = Reply::Body(Body::of_path(b"", b"contract"));
    let (code, call) = (Code::Ok, call.unwrap());
    let told = Record::Final { call, code, not_started: false, attempt: 1, peer: &b""[..], reply };
    stage.say_as("w", Identity::of_key(WORKER), told);
}

/// Eve may not call the service any more.
fn policy_without_eve() -> Arc<Policy> {
    let mut policy = Policy::new();
    policy.grant(EVE, &grant("eve", &["b.*"], &[]));
    policy.grant(WORKER, &grant("w", &[], &["*"]));
    policy.grant(OPERATOR, &grant("op", &["a.*"], &[]));
    Arc::new(policy)
}

#[test]
fn a_contract_is_not_told_to_who_has_lost_the_right_meanwhile() {
    let mut stage = stage(Quota::default());
    assert_eq!(ask(&mut stage, "eve", EVE, "mmi.schema", "a.S"), None);
    stage.input(Input::Policy(policy_without_eve()));
    tell_contract(&mut stage);
    let told = stage.told("eve");
    let [Said::Record(Record::Final { code, reply: Reply::Refused(_), .. })] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*code, Code::PermissionDenied);
}

#[test]
fn a_contract_is_told_to_the_peer_that_has_asked_and_to_no_other() {
    let asks = |service: &'static str, about: &'static str| {
        let body = Body::of_frames(service.as_bytes(), &[about.into()]);
        FromClassic::Request { service: service.as_bytes(), content: Incoming::Raw(body) }
    };
    let contract = |said: &Said| match said {
        Said::Classic(ToClassic::Reply { content: Content::Listing(listing), .. }) => {
            listing.status() == 200 && matches!(**listing, Listing::Schema(_))
        }
        _ => false,
    };
    let ann = Identity::of_key(OPERATOR);
    // The same peer, another one under its routing id, and the same one without its right.
    for (other, lost, wanted) in [(false, false, true), (true, false, false), (false, true, false)]
    {
        let mut stage = stage(Quota::default());
        stage.classic_as("x", ann, Dialect::V02, asks("mmi.schema", "a.S"));
        stage.now += 1_500;
        if other {
            // Its session is over by then; the routing id is somebody else's.
            stage.input(Input::Tick);
            let gone = stage.broker.sender(b"x", ann).session();
            gone.into_iter().for_each(|session| stage.input(Input::Unreachable { session }));
            let eve = Identity::of_key(EVE);
            stage.classic_as("x", eve, Dialect::V02, asks("mmi.service", "a.S"));
        }
        if lost {
            let mut policy = Policy::new();
            policy.grant(WORKER, &grant("w", &[], &["*"]));
            policy.grant(OPERATOR, &grant("op", &["b.*"], &[]));
            stage.input(Input::Policy(Arc::new(policy)));
        }
        tell_contract(&mut stage);
        assert_eq!(stage.told("x").iter().any(contract), wanted, "{other} {lost}");
    }
}

/// A session costs nothing: a new one for each list is no way to more of them.
#[test]
fn new_sessions_are_no_way_to_more_lists() {
    let mut stage = Stage::new(Config::default());
    let mut given = 0;
    for _ in 0..300 {
        let question = raw_request(1, "mmi.services", &[b"".to_vec()]);
        let goodbye = Record::Disconnect(mdp_protocol::wire::DisconnectReason::Shutdown);
        for record in [hello("p"), question, goodbye] {
            stage.say("p", record);
        }
        let told = stage.told("p");
        given += told
            .iter()
            .filter(|said| {
                matches!(said, Said::Record(Record::Final { reply: Reply::Listing(listing), .. })
                    if listing.status() == 200)
            })
            .count();
    }
    assert_eq!(given, 200);
}
