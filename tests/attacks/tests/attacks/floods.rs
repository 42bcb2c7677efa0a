//! Floods of calls, of signs of life and of cancellations, beside honest load on the same service.

use mdp_protocol::Span;
use mdp_protocol::wire::{self, Tail};

use crate::cluster::{ECHO, SERVICE, Target, dealer};
use crate::load::{Arena, Attack, drain, send};
use crate::raw::{Raw, hello, packet, ready};
use crate::replies::request;
use crate::{alone, count, is_full, rate, report};

const PACKET: u64 = 50;

/// Calls that nobody wants to have answered, in packets, over a socket that says HELLO first.
struct Caller {
    socket: zmq::Socket,
    next: u64,
}

impl Caller {
    fn new(target: &Target) -> Self {
        let socket = dealer(&target.endpoint);
        socket.send(packet(&[hello()]), 0).unwrap();
        Caller { socket, next: 0 }
    }

    /// One packet of calls, each for the worker that `to` names, and given up at once if that is wanted.
    fn calls(&mut self, to: impl Fn(u64) -> Vec<u8>, cancel: bool) -> u64 {
        let mut bytes = Vec::new();
        for number in self.next..self.next + PACKET {
            let mut record = request(number, ECHO, Span::from_secs(300));
            if let Raw::Request { peer, .. } = &mut record {
                *peer = to(number);
            }
            // Fields 1 and 2 of a job, which takes a slot for 12 to 36 ms: all are busy, one becomes free each millisecond,
            // and not all at once.
            let job = [1 << 3, 1, 2 << 3, 12 + (number * 7 % 25) as u8];
            let (said, name_len) = ([ECHO.as_bytes(), &job].concat(), ECHO.len() as u8);
            let tail =
                Tail { bytes: &said, name_len, payload_len: job.len() as u32, ..Tail::default() };
            wire::put_tail(&mut bytes, &record, tail);
            if cancel {
                wire::put_tail(&mut bytes, &Raw::Cancel { call: number }, Tail::default());
            }
        }
        if send(&self.socket, &[&bytes]) {
            self.next += PACKET;
        }
        drain(&self.socket);
        PACKET
    }
}

/// A12: one client with more calls than the queue of the service takes. Others come in all the same, and their turns come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_a_full_queue_keeps_nobody_else_out() {
    let _turn = alone().await;
    let max = count(10_000);
    let arena = Arena::new(|| Target::start_with_queue(max)).await;
    let target = &arena.target;
    let mut flooder = Caller::new(target);
    let mut step = move || flooder.calls(|_| Vec::new(), false);
    // Full, before anything is measured.
    while target.counter("refused") == 0 {
        (0..50).for_each(|_| assert_eq!(step(), PACKET));
    }
    let attack = Attack::new(count(20_000), step);
    arena.is_unmoved_by("a12", &attack).await;
    let (held, queued) = (target.counter("held_bytes"), target.counter("queued"));
    report(&format!("a12: {queued} calls wait, {} KiB are held", held / 1024));
    assert!((max * 9 / 10..=max).contains(&queued) && held <= 64 << 20, "{queued}, {held}");
}

/// A12: the same with calls that want one worker and no other, for each of the workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_calls_for_one_worker_keep_nobody_else_out() {
    let _turn = alone().await;
    let max = count(10_000);
    let arena = Arena::new(|| Target::start_with_queue(max)).await;
    let (target, ids) = (&arena.target, arena.load.worker_ids());
    let mut flooder = Caller::new(target);
    let mut step = move || flooder.calls(|number| ids[number as usize % ids.len()].clone(), false);
    while target.counter("refused") == 0 {
        (0..50).for_each(|_| assert_eq!(step(), PACKET));
    }
    let attack = Attack::new(count(20_000), step);
    arena.is_unmoved_by("a12, for one worker each", &attack).await;
    let queued = target.counter("queued");
    report(&format!("a12: {queued} calls wait for one worker each"));
    assert!((max * 4 / 10..=max * 6 / 10).contains(&queued), "{queued}");
}

/// Sends, whether there is room for it or not.
fn sent(socket: &zmq::Socket, frames: &[&[u8]]) {
    send(socket, frames);
}

/// A19: HEARTBEAT and READY as fast as they can be said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a19_heartbeats_and_readies_slow_nobody() {
    let _turn = alone().await;
    let arena = Arena::new(Target::start).await;
    let target = &arena.target;
    let (sessions, services) = (target.counter("sessions"), target.counter("services"));
    let flooder = dealer(&target.endpoint);
    flooder.send(packet(&[hello()]), 0).unwrap();
    let beat = packet(&[Raw::Heartbeat]);
    let beats = Attack::new(rate(200_000), move || {
        (0..20).for_each(|_| sent(&flooder, &[&beat]));
        drain(&flooder);
        20
    });
    arena.is_unmoved_by("a19, HEARTBEAT", &beats).await;
    drop(beats);
    for (what, frames) in [
        ("a19, READY of MDP/RPC", vec![packet(&[hello(), ready(SERVICE, 1), ready(SERVICE, 1)])]),
        ("a19, READY of MDP/0.2", vec![b"MDPW02".to_vec(), b"\x01".to_vec(), SERVICE.into()]),
    ] {
        let flooder = dealer(&target.endpoint);
        // Each costs a session and two answers, which an unoptimised broker on a busy machine cannot give 5,000 times a
        // second: then this measures the scheduler.
        let readies = Attack::new(rate(if is_full() { 200_000 } else { 20_000 }), move || {
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            (0..20).for_each(|_| sent(&flooder, &frames));
            drain(&flooder);
            20
        });
        arena.is_unmoved_by(what, &readies).await;
    }
    target.until("sessions", |now| now <= sessions + 1).await;
    target.until("services", |now| now == services).await;
}

/// A21: calls that are given up as soon as they are made, also those that a worker has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a21_calls_given_up_at_once_slow_nobody() {
    let _turn = alone().await;
    let arena = Arena::new(Target::start).await;
    let target = &arena.target;
    let mut flooder = Caller::new(target);
    let storm = Attack::new(rate(10_000), move || flooder.calls(|_| Vec::new(), true));
    arena.is_unmoved_by("a21", &storm).await;
    drop(storm);
    target.until("queued", |queued| queued == 0).await;
    target.until("running", |running| running == 0).await;
}
