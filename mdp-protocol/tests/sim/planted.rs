//! Bugs that are planted into the machines, to show that the simulation finds such bugs.

use mdp_protocol::broker::PlantedBug;

use crate::runner::{Campaign, Failure, env};

const BUGS: [PlantedBug; 15] = [
    PlantedBug::AnyoneMayReply,
    PlantedBug::NoPumpAfterFinal,
    PlantedBug::RedispatchEverything,
    PlantedBug::ForgetLostWorkersCalls,
    PlantedBug::NoDeadlineInFlight,
    PlantedBug::NoExpiry,
    PlantedBug::KeepDeadClientsCalls,
    PlantedBug::LeakSlotOfDeadClient,
    PlantedBug::MoveBegunCalls,
    PlantedBug::ForgetCredit,
    PlantedBug::ForgetEnd,
    PlantedBug::LetTunnelsPass,
    PlantedBug::ForgetIdentity,
    PlantedBug::ForgetAbandonedCalls,
    PlantedBug::ForgetUnread,
];

/// Within so many seeds each bug must be found.
const SEEDS: u64 = 400;

#[test]
fn each_planted_bug_is_found() {
    let missed: Vec<PlantedBug> =
        BUGS.into_iter().filter(|bug| hunt(*bug, true).is_none()).collect();
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
}

/// By what it does, without a look into the broker's tables: what the users would meet.
#[test]
fn most_planted_bugs_are_found_from_outside() {
    let found = BUGS.into_iter().filter(|bug| hunt(*bug, false).is_some()).count();
    assert!(found >= 10, "only {found} of {} bugs show from outside", BUGS.len());
}

/// Runs worlds with the bug until one breaks an invariant; the same world without it must be well.
fn hunt(bug: PlantedBug, audit: bool) -> Option<Failure> {
    let mut campaign = Campaign::from_env();
    campaign.seeds = 0..env("SIM_SEEDS").unwrap_or(SEEDS);
    campaign.settings.audit = audit;
    for seed in campaign.seeds.clone() {
        campaign.settings.planted = Some(bug);
        let Some(failure) = campaign.failure(seed) else { continue };
        let how = if audit { "" } else { " from outside" };
        println!("{bug:?} is found{how} after {} seeds: {failure}", seed + 1);
        campaign.settings.planted = None;
        assert!(campaign.failure(seed).is_none(), "seed {seed} fails without the bug, too");
        return Some(failure);
    }
    println!("{bug:?} is not found in {} seeds", campaign.seeds.end);
    None
}
