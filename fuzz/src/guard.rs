//! Who the peers of a guarded stage are, and what they may do.

use std::sync::Arc;

use mdp_protocol::broker::{Broker, Config, Input};
use mdp_protocol::policy::{Grant, Pattern, Policy, Quota};
use mdp_protocol::wire::Command;
use mdp_protocol::{Identity, Limits, Payload, names};

use crate::body::Body;
use crate::{Stage, low};

impl Stage {
    /// A broker with low limits and a policy.
    pub fn guarded() -> Self {
        let policy = Arc::new(policy(0xffff));
        let mut config = Config { limits: low(), policy: Some(policy.clone()), ..Config::default() };
        config.classic.queue_expiry = mdp_protocol::Span::from_secs(2);
        config.classic.run_timeout = mdp_protocol::Span::from_secs(4);
        Stage { broker: Broker::new(config), policy: Some(policy), ..Stage::default() }
    }

    /// Who sends under a routing id: Ann, Bo, or somebody without a key.
    pub fn identity(&self, route: &[u8]) -> Identity {
        match (&self.policy, route.first().map_or(0, |first| first % 3)) {
            (None, _) | (_, 0) => Identity::anonymous(),
            (_, number) => Identity::of_key([number; 32]),
        }
    }

    /// A policy made of bits comes into force.
    pub fn set_policy(&mut self, bits: u16) {
        if self.policy.is_some() && !self.closed {
            let policy = Arc::new(policy(bits));
            self.policy = Some(policy.clone());
            self.handle(Input::Policy(policy));
        }
    }

    /// A worker is given a call: its maker may make it, and the worker is told who that is.
    pub(crate) fn check_caller(&self, call: u64, peer: Option<&[u8]>, body: &Body) {
        let hidden = body.is_raw() && body.tunnel(&Limits::default()) == Some(Command::Request);
        assert!(!hidden, "a worker is given a typed call in a raw one");
        let Some(policy) = &self.policy else { return };
        let Some((client, _)) = self.broker.caller_of(call) else { return };
        let Some(route) = self.routes.get(&client) else { return };
        let grant = policy.of(&self.identity(route)).expect("a call of somebody without rights");
        let path = std::str::from_utf8(body.path()).expect("names are ASCII");
        let service = match body.is_raw() {
            true => path,
            false => names::split(path).expect("a path").0,
        };
        assert!(grant.may_call(service.as_bytes()), "{service} is called without the right to");
        if let Some(peer) = peer {
            let principal = peer.split(|byte| *byte == b' ').nth(1);
            assert_eq!(principal, Some(&*grant.name), "the call goes out in another's name");
        }
    }
}

/// Bits 0 to 4: what Ann may call; 5 to 9: what Bo may call; 10 to 12: who may serve; 13 to 15: who is known.
fn policy(bits: u16) -> Policy {
    let has = |bit: u16| bits & (1 << bit) != 0;
    let calls = |first: u16| {
        let names = ["a", "b", "c", "d", "e"].into_iter().zip(first..);
        names.filter(|(_, bit)| has(*bit)).filter_map(|(name, _)| Pattern::new(name)).collect()
    };
    let grant = |name: &str, call: Vec<Pattern>, serves: bool| {
        let serve = serves.then(|| Pattern::new("*")).flatten().into_iter().collect();
        let quota = Quota { calls_in_flight: has(10).then_some(3), ..Quota::default() };
        let name = Arc::from(name.as_bytes());
        Arc::new(Grant { name, call, serve, manage: has(11), drain: false, quota })
    };
    let mut policy = Policy::new();
    if has(13) {
        policy.grant([1; 32], &grant("ann", calls(0), has(10)));
    }
    if has(14) {
        policy.grant([2; 32], &grant("bo", calls(5), has(11)));
    }
    if has(15) {
        policy.grant_anonymous(grant("anonymous", calls(3), has(12)));
    }
    policy
}
