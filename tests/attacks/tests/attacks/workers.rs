//! Workers that take calls and do nothing with them.

use std::time::{Duration, Instant};

use mdp_runtime::{Client, HedgePolicy, RetryBudget};

use crate::cluster::{SERVICE, Target, WorkClient, call};
use crate::raw::{Raw, RawPeer};
use crate::{alone, count, ms, report};

/// A18: one of eight workers takes calls and answers none, but its heartbeats come. The calls of methods without side
/// effects all succeed where they are hedged, and it is told to go when its slots came back unanswered three times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a18_a_worker_that_never_answers_is_told_to_go() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let _turn = alone().await;
    let target = Target::start();
    let mut workers = Vec::new();
    for _ in 0..7 {
        workers.push(target.worker(4).await);
    }
    let endpoint = target.endpoint.clone();
    let hostile = tokio::task::spawn_blocking(move || {
        let mut hostile = RawPeer::worker(&endpoint, SERVICE, 4);
        hostile.wait(|record| matches!(record, Raw::Request { .. }).then_some(()));
        let begun = Instant::now();
        let mut taken = 1;
        loop {
            hostile.send(&[Raw::Heartbeat]);
            let gone = hostile.wait(|record| match record {
                Raw::Request { .. } => Some(false),
                Raw::Disconnect(_) => Some(true),
                _ => None,
            });
            match gone {
                true => return (taken, begun.elapsed()),
                false => taken += 1,
            }
        }
    });
    let budget = RetryBudget::new(1.0, 1_000);
    let hedged = Client::connect(&target.endpoint).await.unwrap();
    let hedged = hedged.hedge(HedgePolicy::after(ms(100)).attempts(4).budget(&budget));
    let hedged = WorkClient::new(hedged);
    let mut calls = 0_u64;
    while calls < count(20_000) || !hostile.is_finished() {
        let mut some = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let client = hedged.clone();
            some.spawn(async move { call(&client, 2, TIMEOUT).await });
        }
        for outcome in some.join_all().await {
            outcome.unwrap_or_else(|status| panic!("after {calls}: {status}"));
            calls += 1;
        }
    }
    let (taken, until) = hostile.await.unwrap();
    report(&format!(
        "a18: {calls} calls, 1 worker of 8 hostile: all succeeded; it took {taken} and was told to go after {until:.1?}"
    ));
    // Without it no hedging is needed.
    let bare = target.client().await;
    for _ in 0..100 {
        call(&bare, 2, TIMEOUT).await.unwrap();
    }
}
