//! The broker's own services: each principal has a budget of its own, and hears of nothing that it may not know.

use std::sync::Arc;

use mdp_protocol::Identity;
use mdp_protocol::broker::{Config, Listing};
use mdp_protocol::policy::{Grant, Pattern, PeerKey, Policy, Quota};
use mdp_protocol::wire::{Record, Reply};

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
        let ready = Record::Ready { service, capacity: 1, schema: Some([7; 16]) };
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

/// The places for questions under way are shared: one who asks for many contracts leaves some to others.
#[test]
fn nobody_takes_all_places_for_questions_that_are_under_way() {
    let mut stage = stage(Quota::default());
    let worker = Identity::of_key(WORKER);
    for number in 0..200_u8 {
        let service = format!("a.S{number}");
        let ready =
            Record::Ready { service: service.as_bytes(), capacity: 1, schema: Some([number; 16]) };
        stage.say_as("w", worker, ready);
    }
    stage.told("w");
    let mut refused = 0;
    for number in 0..200 {
        // More than the lists of a second.
        stage.now += 30;
        for (who, key) in [("w", WORKER), ("op", OPERATOR)] {
            stage.say_as(who, Identity::of_key(key), Record::Heartbeat);
        }
        let asked = ask(&mut stage, "eve", EVE, "mmi.schema", &format!("a.S{number}"));
        refused += usize::from(asked == Some(503));
    }
    assert!(refused >= 100, "{refused} refused");
    // The operator's question is asked of the worker.
    stage.told("w");
    assert_eq!(ask(&mut stage, "op", OPERATOR, "mmi.schema", "secret.S"), None);
    let asked = stage.told("w").iter().filter_map(crate::stage::record_in).any(|record| {
        matches!(record, Record::Request { body, .. } if mdp_protocol::Payload::path(body) == b"secret.S/-schema")
    });
    assert!(asked);
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
