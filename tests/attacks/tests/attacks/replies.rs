//! Replies that are not their sender's to give, and replies that come twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mdp_protocol::wire::{CallKind, Direction, DisconnectReason, Part, Reply};
use mdp_protocol::{Code, Span};

use crate::cluster::{Target, call};
use crate::raw::{Raw, RawPeer, hello, ready};
use crate::{count, report, together};

const PACKET: u64 = 500;

pub(crate) fn forged(call: u64) -> Raw {
    Raw::Final {
        call,
        code: Code::Ok,
        not_started: false,
        attempt: 0,
        peer: Vec::new(),
        reply: Reply::Body(b"forged".to_vec()),
    }
}

pub(crate) fn request(call: u64, path: &str, timeout: Span) -> Raw {
    Raw::Request {
        call,
        timeout,
        idempotent: false,
        attempt: 1,
        peer: Vec::new(),
        kind: CallKind::Unary,
        body: path.into(),
    }
}

/// Numbers that nobody chose.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A2: the handles of other workers' calls can be guessed, and it helps nobody: who sends one reply for a call that it
/// does not hold has no session any more. `call` compares what comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_forged_replies_reach_nobody() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut honest = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (client, stop) = (target.client().await, stop.clone());
        honest.spawn(async move {
            let mut calls = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                call(&client, 3, Duration::from_secs(20)).await.unwrap();
                calls += 1;
            }
            calls
        });
    }
    let (endpoint, finals) = (target.endpoint.clone(), count(1_000_000));
    let expelled = tokio::task::spawn_blocking(move || {
        let (mut rogue, mut chance) = (RawPeer::connect(&endpoint), Chance(7));
        let mut expelled = 0;
        for round in 0..finals / PACKET {
            let mut records = vec![hello(), ready("rogue.v1.Other", 8)];
            records.extend((0..PACKET).map(|_| {
                let dice = chance.next();
                // A handle is a place and how often it was used before: the few that are in use now are soon hit.
                let likely = (1 + (dice >> 8) % (4 * round + 8)) << 32 | (dice % 8);
                forged(if dice & 0x80 == 0 { likely } else { dice })
            }));
            rogue.send(&records);
            assert_eq!(rogue.wait_disconnect(), DisconnectReason::Unexpected);
            // What follows in the packet comes from a stranger, and each record is answered.
            (1..PACKET)
                .for_each(|_| assert_eq!(rogue.wait_disconnect(), DisconnectReason::NoSession));
            expelled += 1;
        }
        expelled
    });
    let expelled = expelled.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let calls: u64 = honest.join_all().await.into_iter().sum();
    assert_eq!(target.counter("invalid"), expelled, "one is enough");
    target.serves().await;
    report(&format!(
        "a2: {finals} forged FINALs beside {calls} calls: none delivered; a session ended with the first, {expelled} times"
    ));
}

/// A2: one's own call that is over may be answered late, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_an_expired_call_is_answered_once_at_the_most() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let endpoint = target.endpoint.clone();
    let hostile = tokio::task::spawn_blocking(move || {
        let mut worker = RawPeer::worker(&endpoint, "rogue.v1.Own", 8);
        let mut client = RawPeer::greeted(&endpoint);
        client.send(&[request(1, "rogue.v1.Own/Do", Span::from_ms(50))]);
        let handle = worker.wait_request();
        let ended = client.wait_final();
        assert_eq!((ended.call, ended.code), (1, Code::DeadlineExceeded));
        worker.send(&[forged(handle), forged(handle)]);
        assert_eq!(worker.wait_disconnect(), DisconnectReason::Unexpected);
        // The client has heard all there was.
        client.send(&[request(2, "rogue.v1.Own/", Span::from_secs(9))]);
        assert_eq!(client.wait_final().call, 2);
    });
    hostile.await.unwrap();
    target.serves().await;
}

/// A3: the first FINAL ends the call; neither another one nor an item of a stream counts after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_nothing_follows_a_final_reply() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let endpoint = target.endpoint.clone();
    let hostile = tokio::task::spawn_blocking(move || {
        let item = |call| Raw::Data {
            call,
            of: Direction::Replies,
            part: Part::Item(b"after the end".to_vec()),
        };
        for (number, second) in [(1, false), (2, true)] {
            let mut worker = RawPeer::worker(&endpoint, "rogue.v1.Twice", 8);
            let mut client = RawPeer::greeted(&endpoint);
            client.send(&[request(number, "rogue.v1.Twice/Do", Span::from_secs(20))]);
            let handle = worker.wait_request();
            let after = if second { forged(handle) } else { item(handle) };
            worker.send(&[forged(handle), after, forged(handle)]);
            assert_eq!(client.wait_final().call, number);
            assert_eq!(worker.wait_disconnect(), DisconnectReason::Unexpected);
            client.send(&[request(9, "no.path", Span::from_secs(9))]);
            let next = client.wait(|record| match record {
                Raw::Final { call, .. } | Raw::Data { call, .. } => Some(*call),
                _ => None,
            });
            assert_eq!(next, 9, "something followed the end");
        }
    });
    hostile.await.unwrap();
    target.serves().await;
}
