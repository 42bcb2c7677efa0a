//! Who the peers are, and a policy that changes what they may do: at any moment, also between the one at which the broker's
//! driver has found out whose a record is and the one at which the machine takes it in.

use std::sync::Arc;

use mdp_protocol::Identity;
use mdp_protocol::broker::Input;
use mdp_protocol::names;
use mdp_protocol::policy::{Grant, Pattern, Policy, Quota};
use mdp_protocol::wire::Record;

use crate::body::{Body, Msg, NOBODY};
use crate::ledger::{Check, broken};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::world::{Event, World};

/// What a guarded world has besides. Its random numbers are its own, so that other worlds stay as they are.
#[derive(Debug)]
pub(crate) struct Guard {
    rng: Rng,
    policy: Arc<Policy>,
    /// It never changes.
    fixed: bool,
}

impl Guard {
    /// Two worlds in five have one.
    pub(crate) fn new(seed: u64, plan: &Plan) -> Option<Self> {
        let mut rng = Rng::new(seed ^ 0x5eed_0f90_11c7);
        let guarded = rng.percent(40);
        let (policy, fixed) = (everything(plan), plan.calm || rng.percent(20));
        guarded.then(|| Guard { rng, policy, fixed })
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }
}

/// Each fifth client, or hostile peer, has no key.
fn identity(plan: &Plan, peer: usize) -> Identity {
    match peer >= plan.workers && peer % 5 == 4 {
        true => Identity::anonymous(),
        false => Identity::of_key([peer as u8 + 1; 32]),
    }
}

fn grant(name: &str, call: &[String], serve: &[String], calls: Option<usize>) -> Arc<Grant> {
    let patterns =
        |texts: &[String]| texts.iter().map(|text| Pattern::new(text).unwrap()).collect();
    let (call, serve, name) = (patterns(call), patterns(serve), Arc::from(name.as_bytes()));
    let quota = Quota { calls_in_flight: calls, ..Quota::default() };
    Arc::new(Grant { name, call, serve, manage: false, drain: false, quota })
}

/// All good peers may do all that they do.
fn everything(plan: &Plan) -> Arc<Policy> {
    let all = ["*".to_owned()];
    let mut policy = Policy::new();
    let (work, users) = (grant("work", &[], &all, None), grant("users", &all, &[], None));
    for peer in 0..plan.workers + plan.clients {
        let own = if peer < plan.workers { &work } else { &users };
        match identity(plan, peer).key() {
            Some(key) => drop(policy.grant(*key, own)),
            None => policy.grant_anonymous(Arc::clone(own)),
        }
    }
    Arc::new(policy)
}

/// Some peers may do something.
fn something(plan: &Plan, rng: &mut Rng) -> Arc<Policy> {
    let mut policy = Policy::new();
    let services = |rng: &mut Rng, each: u64| {
        let names = (0..plan.services).map(|number| format!("s{number}.*"));
        let mut names: Vec<String> = names.filter(|_| rng.percent(each)).collect();
        names.extend(rng.percent(50).then(|| "none.*".to_owned()));
        names
    };
    let all = ["*".to_owned()];
    let serve = if rng.percent(80) { all.to_vec() } else { services(rng, 60) };
    let work = grant("work", &[], &serve, None);
    let (call, calls) = (services(rng, 70), rng.pick(&[None, Some(1), Some(3), Some(50)]));
    let users = grant("users", &call, &[], calls);
    for peer in 0..plan.workers + plan.clients {
        let Some(key) = identity(plan, peer).key().copied() else { continue };
        if peer < plan.workers {
            policy.grant(key, &work);
        } else if rng.percent(50) {
            policy.grant(key, &users);
        } else if rng.percent(80) {
            let call = services(rng, 70);
            policy.grant(key, &grant(&format!("user{peer}"), &call, &[], calls));
        }
    }
    let evil = grant("evil", &all, &["own.*".to_owned(), "s0.*".to_owned()], calls);
    for peer in plan.workers + plan.clients..plan.workers + plan.clients + plan.hostiles {
        if let Some(key) = identity(plan, peer).key().filter(|_| rng.percent(60)) {
            policy.grant(*key, &evil);
        }
    }
    if rng.percent(60) {
        policy.grant_anonymous(grant("anonymous", &all, &[], calls));
    }
    Arc::new(policy)
}

impl World {
    pub(crate) fn identity_of(&self, peer: usize) -> Identity {
        match self.guard {
            Some(_) => identity(&self.plan, peer),
            None => Identity::anonymous(),
        }
    }

    /// The policy changes from time to time.
    pub(crate) fn plan_policy(&mut self) {
        if let Some(guard) = self.guard.as_mut().filter(|guard| !guard.fixed) {
            let pause = guard.rng.around(700);
            self.after(pause, Event::NewPolicy);
        }
    }

    /// A new policy: during the storm any, then the one by which all goes on.
    pub(crate) fn new_policy(&mut self) -> Check {
        let storm = self.storm && !self.ending;
        if self.broker.process.frozen {
            self.after(20, Event::NewPolicy);
            return Ok(());
        }
        let Some(guard) = self.guard.as_mut() else { return Ok(()) };
        let policy = match storm && !guard.fixed {
            true => something(&self.plan, &mut guard.rng),
            false => everything(&self.plan),
        };
        guard.policy = Arc::clone(&policy);
        self.trace.note(self.now, &[18], || "! a new policy".into());
        if storm {
            self.plan_policy();
        }
        self.broker_input(Input::Policy(policy))?;
        Ok(())
    }

    /// In a guarded world a hostile peer says HELLO now and then though it has a session, and calls right behind it.
    pub(crate) fn hostile_comes_again(&mut self) -> bool {
        self.guard.as_mut().is_some_and(|guard| guard.rng.percent(8))
    }

    /// Now and then the policy changes while a record is on its way from the driver to the machine.
    pub(crate) fn policy_in_between(&mut self, record: &Msg) -> Check {
        if !self.storm || self.ending {
            return Ok(());
        }
        // A session that is opened in place of one that has just ended is what goes wrong most easily.
        let chance = if matches!(record, Record::Hello { .. }) { 60 } else { 2 };
        let now =
            self.guard.as_mut().is_some_and(|guard| !guard.fixed && guard.rng.percent(chance));
        if !now {
            return Ok(());
        }
        let Some(guard) = self.guard.as_mut() else { return Ok(()) };
        let policy = something(&self.plan, &mut guard.rng);
        guard.policy = Arc::clone(&policy);
        self.broker_input(Input::Policy(policy))?;
        Ok(())
    }

    /// A call that a worker is given: the policy lets its maker make it, and the worker is told who that is.
    pub(crate) fn check_caller(&self, caller: &[u8], body: &Body) -> Check {
        if body.hides_a_call() {
            broken("I17", format!("a worker was given a typed call in a raw one: {body:?}"))?;
        }
        let Some(guard) = &self.guard else { return Ok(()) };
        let entry = (body.uid != NOBODY).then(|| self.ledger.entry(body.uid)).flatten();
        let maker = entry.map_or(body.by as usize, |entry| entry.client);
        let Some(grant) = guard.policy.of(&self.identity_of(maker)) else {
            return broken(
                "I15",
                format!("peer {maker} has no rights, and its call was given out"),
            );
        };
        let path = std::str::from_utf8(&body.path).unwrap_or_default();
        let service = names::split(path).map_or(path, |(service, _)| service);
        if !grant.may_call(service.as_bytes()) {
            broken(
                "I16",
                format!("peer {maker} may not call {service}, and its call was given out"),
            )?;
        }
        let principal = caller.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if *principal != *grant.name {
            let (is, was) =
                (String::from_utf8_lossy(&grant.name), String::from_utf8_lossy(principal));
            broken("I15", format!("peer {maker} is {is}, and its call was given out as of {was}"))?;
        }
        Ok(())
    }
}
