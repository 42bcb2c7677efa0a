//! The end of the broker's process.

use std::time::{Duration, Instant};

use crate::cluster::{Target, call};
use crate::{alone, count, report};

const MAX: Duration = Duration::from_secs(3);

/// A9: nothing that lasts is in the broker: killed under load and started again, it serves the same workers and
/// clients, and each of their calls ends well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a9_a_broker_that_is_killed_serves_again() {
    let _turn = alone().await;
    let mut target = Target::start();
    let endpoint = target.endpoint.clone();
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(target.worker(4).await);
    }
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(target.client().await);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..count(20) {
        let mut calls = tokio::task::JoinSet::new();
        for client in &clients {
            let client = client.clone();
            // Each is under way, or waits, when the broker dies, and more follow.
            calls.spawn(async move {
                for _ in 0..40 {
                    call(&client, 20, Duration::from_secs(20)).await.unwrap();
                }
            });
        }
        target.until("running", |running| running > 0).await;
        target.process.signal("KILL");
        let killed = Instant::now();
        target.process.kill();
        target = Target::start_at(&endpoint);
        // The first reply of the new process.
        target.until("replies", |replies| replies > 0).await;
        slowest = slowest.max(killed.elapsed());
        calls.join_all().await;
    }
    report(&format!(
        "a9: {} kills under load: serving again after {slowest:.1?} at the most",
        count(20)
    ));
    assert!(slowest <= MAX, "{slowest:?}");
}
