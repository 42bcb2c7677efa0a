//! Connections that say nothing, that stay, and that come and go.

use std::time::{Duration, Instant};

use mdp_protocol::wire::DisconnectReason;

use crate::cluster::{Target, dealer};
use crate::load::{Arena, Attack, Load, drain, send};
use crate::raw::{Raw, hello, packet, ready};
use crate::{alone, count, ms, report, zmtp};

const MIB: u64 = 1 << 20;

/// A16: more silent connections than the process may have files. Who was there before notices nothing; who comes new
/// waits until the silent ones are cut off, 2 s after they came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a16_silent_connections_are_cut_off() {
    let _turn = alone().await;
    let target = Target::start_within("-n 256", "");
    let load = Load::on(&target).await;
    let quiet = load.p99(ms(700)).await;
    let silent: Vec<_> = (0..400).map(|_| zmtp::silent(&target.endpoint)).collect();
    let held = silent.iter().filter(|silent| silent.is_ok()).count();
    let beside = load.p99(ms(1_500)).await;
    // They are still there as far as they are concerned; the broker has ended them, and those that waited behind.
    let begun = Instant::now();
    let newcomer = tokio::time::timeout(Duration::from_secs(20), target.client()).await.unwrap();
    let there = begun.elapsed();
    crate::cluster::call(&newcomer, 0, Duration::from_secs(10)).await.unwrap();
    drop(silent);
    let begun = Instant::now();
    let newcomer = target.client().await;
    crate::cluster::call(&newcomer, 0, Duration::from_secs(10)).await.unwrap();
    let after = begun.elapsed();
    report(&format!(
        "a16: {held} silent connections, 256 files: p99 {beside:.1?}, {quiet:.1?} before; a new client after \
         {there:.1?} beside them and {after:.1?} when they were gone"
    ));
    assert!(after <= Duration::from_secs(3), "{after:?}");
}

/// A17: a connection that is only there costs some memory and no time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a17_idle_connections_cost_little() {
    let _turn = alone().await;
    let arena = Arena::new(Target::start).await;
    let target = &arena.target;
    let many = count(5_000);
    let before = target.memory();
    let mut idle = Vec::new();
    let (endpoint, hoard) = (target.endpoint.clone(), many);
    idle.extend(
        tokio::task::spawn_blocking(move || {
            (0..hoard).map(|_| zmtp::Peer::connect(&endpoint)).collect::<Vec<_>>()
        })
        .await
        .unwrap(),
    );
    arena.load.p99(ms(1_000)).await;
    let grown = target.memory().saturating_sub(before);
    assert!(grown <= many * (32 << 10), "{grown}");
    // Coming, being there and going again.
    let endpoint = target.endpoint.clone();
    let mut last = Vec::new();
    let attack = Attack::new(20, move || {
        last.push(zmtp::Peer::connect(&endpoint));
        if last.len() > 10 {
            last.remove(0);
        }
        1
    });
    arena.is_unmoved_by("a17", &attack).await;
    report(&format!("a17: {many} idle connections: memory + {} MiB", grown / MIB));
    drop(idle);
}

/// A20: who connects, registers and leaves as fast as it can changes nothing that lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a20_churn_leaves_nothing() {
    let _turn = alone().await;
    let arena = Arena::new(Target::start).await;
    let target = &arena.target;
    let (sessions, services) = (target.counter("sessions"), target.counter("services"));
    let endpoint = target.endpoint.clone();
    let mut number = 0_u64;
    let mut cycle = move || {
        number += 1;
        let mut peer = zmtp::Peer::connect(&endpoint);
        let name = format!("churn.v1.S{number}");
        peer.send_last(&packet(&[hello(), ready(&name, 1)])).unwrap();
        if number.is_multiple_of(2) {
            drop(peer.send_last(&packet(&[Raw::Disconnect(DisconnectReason::Shutdown)])));
        }
        1
    };
    assert_eq!((0..50).map(|_| cycle()).sum::<u64>(), 50);
    let before = target.memory();
    let attack = Attack::new(count(1_000), cycle);
    arena.is_unmoved_by("a20, connections", &attack).await;
    // The same without a connection for each: reset after reset on one that stays.
    let churner = dealer(&target.endpoint);
    let mut number = 0_u64;
    let resets = Attack::new(count(1_000) * 10, move || {
        number += 1;
        let bye = Raw::Disconnect(DisconnectReason::Shutdown);
        let records = [hello(), ready(&format!("reset.v1.S{number}"), 1), bye];
        send(&churner, &[&packet(&records)]);
        drain(&churner);
        1
    });
    arena.is_unmoved_by("a20, sessions", &resets).await;
    let cycles = attack.done() + resets.done();
    drop((attack, resets));
    // Those that left without a word are missed within three heartbeats.
    target.until("sessions", |now| now <= sessions + 1).await;
    target.until("services", |now| now == services).await;
    let grown = target.memory().saturating_sub(before);
    report(&format!(
        "a20: {cycles} cycles: sessions and services as before, memory + {} KiB",
        grown / 1024
    ));
    assert!(grown <= 8 * MIB, "{grown}");
}
