//! Messages of very many frames, and frames of very many bytes.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use crate::cluster::{Target, client, worker};
use crate::{alone, count, is_native, report, together, unread, zmtp};

const MIB: u64 = 1 << 20;
const FRAMES_AT_ONCE: usize = 10_000;

/// A13: a message of many frames is dropped as one. libzmq gives it to the broker when it has all of it, and until then
/// it takes memory. The native transport ends the connection when it has too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a13_a_message_of_many_frames_is_one_drop() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    target.serves().await;
    let (endpoint, frames) = (target.endpoint.clone(), count(10_000_000));
    let before = target.memory();
    let attack = tokio::task::spawn_blocking(move || {
        let mut peer = zmtp::Peer::connect(&endpoint);
        let mut parts = frames as usize / FRAMES_AT_ONCE;
        while parts > 0 && peer.send_empty_parts(FRAMES_AT_ONCE).is_ok() {
            parts -= 1;
        }
        let sent = peer.send_last(b"").is_ok();
        match is_native() {
            true => peer.wait_closed(),
            false => assert!(sent && parts == 0, "{parts} are left"),
        }
        peer
    });
    while !attack.is_finished() {
        target.serves().await; // meanwhile
    }
    let _peer = attack.await.unwrap();
    if !is_native() {
        target.until("invalid", |invalid| invalid == 1).await;
    }
    target.serves().await;
    let after = target.memory().saturating_sub(before) / MIB;
    report(&format!(
        "a13: {frames} empty frames: one drop; {after} MiB more than before when it was over"
    ));
    assert!(!is_native() || after <= 8, "{after}");
}

/// A13: a message that does not end takes libzmq's memory until the process has no more. It is over then, and what starts
/// it again has its workers and clients back soon. The native transport ends the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a13_a_message_without_an_end_costs_a_restart() {
    let _turn = alone().await;
    // As a cgroup's limit would be: 192 MiB of data.
    let within = "-d 196608";
    let mut target = Target::start_within(within, "");
    let endpoint = target.endpoint.clone();
    let _worker = worker(&endpoint, 8).await;
    let asks = client(&endpoint).await;
    target.serves().await;
    let address = endpoint.clone();
    let attack = tokio::task::spawn_blocking(move || {
        let mut peer = zmtp::Peer::connect(&address);
        let mut frames = 0_u64;
        while peer.send_empty_parts(FRAMES_AT_ONCE).is_ok() {
            frames += FRAMES_AT_ONCE as u64;
            assert!(frames < 100_000_000, "the process outlives it");
        }
        frames
    });
    let frames = attack.await.unwrap();
    if is_native() {
        assert!(target.process.is_running());
        target.serves().await;
        return report(&format!("a13: an endless message was cut off after {frames} frames"));
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while target.process.is_running() {
        assert!(Instant::now() < deadline, "the process has not ended");
        tokio::time::sleep(crate::ms(5)).await;
    }
    let died = Instant::now();
    let mut target = Target::start_within(within, &endpoint);
    crate::cluster::call(&asks, 0, Duration::from_secs(20)).await.unwrap();
    let took = died.elapsed();
    target.serves().await;
    report(&format!(
        "a13: an endless message ended a process of 192 MiB after {frames} frames; served again after {took:.1?}"
    ));
    assert!(took <= Duration::from_secs(3), "{took:?}");
}

/// A13: messages without an end of many connections have one bound together. Beyond it the broker reads one connection
/// after another, and those that say nothing more end. Large calls of others wait for that, small ones do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a13_messages_without_an_end_have_one_bound() {
    let _turn = alone().await;
    if !is_native() {
        return report("a13: over libzmq messages that are not complete have no bound together");
    }
    let mut target = Target::start();
    let _work = target.worker(8).await;
    let _giver = unread::giver(&target).await;
    let large = unread::client(&target).await;
    target.serves().await;
    let before = target.memory();
    // Each has 68 MiB to say, and no last frame.
    let number = count(100);
    let peers = (0..number).map(|_| {
        let endpoint = target.endpoint.clone();
        tokio::task::spawn_blocking(move || {
            let mut peer = zmtp::Peer::connect(&endpoint);
            let part = vec![7; 4 << 20];
            // It may be cut off while it speaks.
            let _ = (0..17).try_for_each(|_| peer.try_part(&part));
            peer
        })
    });
    let peers: Vec<_> = peers.collect();
    let grown = |target: &Target| target.memory().saturating_sub(before) / MIB;
    let until = Instant::now() + Duration::from_secs(20);
    while grown(&target) < 200 {
        assert!(Instant::now() < until, "{} MiB", grown(&target));
        tokio::time::sleep(crate::ms(5)).await;
    }
    let asked = Instant::now();
    let blob = unread::Blob { bytes: vec![1; 1 << 20] };
    let call = large.put(blob).timeout(Duration::from_secs(60));
    let call = tokio::spawn(call.into_future());
    let mut most = 0;
    while !call.is_finished() {
        most = most.max(grown(&target));
        target.serves().await;
    }
    let size = call.await.unwrap().unwrap();
    let took = asked.elapsed();
    assert_eq!(size.bytes, 1 << 20);
    // The bound is 256 MiB, and one message more.
    assert!(most <= 256 + 72 + 40, "{most} MiB");
    drop(peers);
    target.serves().await;
    report(&format!(
        "a13: {number} messages of 68 MiB without an end: memory at most {most} MiB more; a call of 1 MiB took {took:.1?}"
    ));
    assert!(took <= Duration::from_secs(30), "{took:?}");
}

/// A14: what announces a frame beyond the limit is cut off before a byte of it is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a14_a_frame_that_is_too_long_ends_its_connection() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    target.serves().await;
    let (endpoint, times) = (target.endpoint.clone(), count(1_000));
    let announce = move |times: u64| {
        for _ in 0..times {
            for len in [(1 << 63) - 1, u64::MAX, 1 << 63, (4 << 20) + 1, 1 << 40] {
                let mut peer = zmtp::Peer::connect(&endpoint);
                // It may be cut off while it speaks.
                drop(peer.announce(len));
                peer.wait_closed();
            }
        }
    };
    let again = announce.clone();
    tokio::task::spawn_blocking(move || again(times / 10)).await.unwrap();
    let before = target.memory();
    tokio::task::spawn_blocking(move || announce(times)).await.unwrap();
    let grown = target.memory().saturating_sub(before);
    report(&format!(
        "a14: {} frames of up to 2^64 bytes announced: all cut off, memory + {} KiB",
        times * 5,
        grown / 1024
    ));
    assert!(grown <= 5 * MIB, "{grown}");
    target.serves().await;
}
