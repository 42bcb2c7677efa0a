//! A session is its opener's: whatever happens to it between two messages, and within one.

use std::sync::Arc;

use mdp_protocol::Identity;
use mdp_protocol::broker::{Config, FromClassic, Incoming, Input, Note};
use mdp_protocol::policy::{Grant, Pattern, PeerKey, Policy, Quota};
use mdp_protocol::wire::classic::Dialect;
use mdp_protocol::wire::{CallKind, DisconnectReason, Record};

use crate::body::Body;
use crate::stage::{Said, Stage, hello, record_in, request};

const ANN: PeerKey = [1; 32];
const WORKER: PeerKey = [2; 32];
const EVE: PeerKey = [9; 32];

pub(crate) fn grant(name: &str, call: &[&str], serve: &[&str]) -> Arc<Grant> {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text).unwrap()).collect();
    let (call, serve, name) = (patterns(call), patterns(serve), Arc::from(name.as_bytes()));
    Arc::new(Grant { name, call, serve, manage: false, drain: false, quota: Quota::default() })
}

/// Whoever has no key may call all, as is meant for the broker's own process; Ann too, where she is known.
fn policy(ann: bool) -> Arc<Policy> {
    let mut policy = Policy::new();
    policy.grant(WORKER, &grant("w", &[], &["*"]));
    policy.grant_anonymous(grant("anonymous", &["*"], &["*"]));
    if ann {
        policy.grant(ANN, &grant("ann", &["a.*"], &[]));
    }
    Arc::new(policy)
}

fn stage() -> Stage {
    let mut stage = Stage::new(Config { policy: Some(policy(true)), ..Config::default() });
    let worker = Identity::of_key(WORKER);
    stage.say_as("w", worker, hello("w"));
    stage.say_as(
        "w",
        worker,
        Record::Ready { service: b"a.S", capacity: 8, shared: false, schema: None },
    );
    stage.told("w");
    stage
}

fn a_call(number: u64) -> Record<&'static [u8], Body> {
    request(number, Body::of_path(b"a.S/M", b""), CallKind::Unary)
}

/// As whom the worker was given calls.
fn callers(said: &[Said]) -> Vec<String> {
    let requests = said.iter().filter_map(record_in).filter_map(|record| match record {
        Record::Request { peer, .. } => Some(String::from_utf8_lossy(peer).into_owned()),
        _ => None,
    });
    requests.collect()
}

/// A policy takes the session away between the moment at which a message is attributed and the one at which it is
/// handled. The rest of the message must not count as that of a peer without a key.
#[test]
fn a_peer_does_not_become_anonymous_while_the_policy_changes() {
    let mut stage = stage();
    let ann = Identity::of_key(ANN);
    stage.say_as("ann", ann, hello("ann"));
    let before = stage.broker.sender(b"ann", ann);
    stage.input(Input::Policy(policy(false)));
    stage.told("ann");
    // What was attributed before, and what comes after.
    for from in [before, stage.broker.sender(b"ann", ann)] {
        stage.input(Input::Record { from, record: a_call(1) });
        stage.input(Input::Record { from, record: hello("ann") });
        stage.input(Input::Record { from, record: a_call(2) });
        assert_eq!(callers(&stage.told("w")), [""; 0]);
        let denied = stage
            .told("ann")
            .iter()
            .filter_map(record_in)
            .any(|record| matches!(record, Record::Disconnect(DisconnectReason::Denied)));
        assert!(denied);
    }
    assert_eq!(stage.broker.stats().sessions, 1, "the worker's");
}

#[test]
fn so_it_is_over_classic_mdp() {
    for dialect in [Dialect::V01, Dialect::V02] {
        let mut stage = stage();
        let ann = Identity::of_key(ANN);
        let asks = || FromClassic::Request {
            service: b"a.S",
            content: Incoming::Raw(Body::of_frames(b"a.S", &[b"x".to_vec()])),
        };
        stage.classic_as("ann", ann, dialect, asks());
        assert_eq!(callers(&stage.told("w")), ["p-1 ann"]);
        for _ in 0..3 {
            stage.input(Input::Policy(policy(false)));
            stage.classic_as("ann", ann, dialect, asks());
            assert_eq!(callers(&stage.told("w")), [""; 0], "{dialect:?}");
            stage.input(Input::Policy(policy(true)));
            stage.classic_as("ann", ann, dialect, asks());
            assert_eq!(callers(&stage.told("w")).len(), 1, "{dialect:?}");
        }
    }
}

/// HELLO, DISCONNECT and HELLO in one message: the second session is as much Ann's as the first.
#[test]
fn a_session_that_is_opened_again_within_a_message_keeps_its_identity() {
    let mut stage = stage();
    let ann = Identity::of_key(ANN);
    let from = stage.broker.sender(b"ann", ann);
    let goodbye = Record::Disconnect(DisconnectReason::Shutdown);
    for record in [hello("ann"), goodbye, hello("ann"), a_call(1)] {
        stage.input(Input::Record { from, record });
    }
    assert_eq!(callers(&stage.told("w")), ["ann ann"]);
}

/// Another key, or none, under the routing id of somebody's session.
#[test]
fn a_routing_id_of_a_session_is_of_no_use_to_another_identity() {
    let mut stage = stage();
    let ann = Identity::of_key(ANN);
    stage.say_as("ann", ann, hello("ann"));
    stage.told("ann");
    for other in [Identity::of_key(EVE), Identity::of_key(WORKER), Identity::anonymous()] {
        let before = stage.notes.len();
        stage.say_as("ann", other, a_call(1));
        stage.say_as("ann", other, Record::Disconnect(DisconnectReason::Shutdown));
        stage.classic_as("ann", other, Dialect::V02, FromClassic::Disconnect);
        let from = stage.broker.sender(b"ann", other);
        stage.input(Input::Invalid { from, reason: DisconnectReason::Malformed });
        let said = stage.notes.get(before..).unwrap_or_default();
        let noted = said.iter().filter(|note| matches!(note, Note::Impostor { .. })).count();
        assert_eq!((noted, said.len()), (4, 4), "{said:?}");
        assert!(stage.told("ann").is_empty() && callers(&stage.told("w")).is_empty());
    }
    assert_eq!(stage.broker.stats().invalid, 12);
    stage.say_as("ann", ann, a_call(1));
    assert_eq!(callers(&stage.told("w")), ["ann ann"]);
}
