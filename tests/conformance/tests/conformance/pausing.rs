//! A classic client that asks for more than the broker takes is slowed down over the native transport (docs/wire.md,
//! R89): nothing is lost, and nobody else notices.

use std::thread;
use std::time::{Duration, Instant};

use mdp_runtime::{Broker, Context, Limits, Transport};

use crate::peer::*;

/// More than one client may have waiting. With `MDP_CONFORMANCE=full` there are 100,000.
const MANY: u32 = 12_000;

fn native(limits: Limits) -> (Broker, String) {
    let context = Context::with_transport(Transport::Native);
    broker(|builder| builder.context(&context).limits(limits))
}

fn stats(broker: &Broker) -> mdp_runtime::BrokerStats {
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(broker.stats())
}

/// The client of the Guide that does not wait for replies sends all its requests first.
#[test]
fn a_client_that_sends_all_requests_before_it_reads_a_reply_gets_all() {
    let full = std::env::var_os("MDP_CONFORMANCE").is_some_and(|value| value == "full");
    let many = if full { 100_000 } else { MANY };
    let (broker, endpoint) = native(Limits::default());
    let half = Limits::default().queued_calls_per_service / 2;
    for _ in 0..2 {
        let worker = Peer::worker(&endpoint, V01, "echo");
        thread::spawn(move || {
            while let Some(mut task) = worker.any(Duration::from_secs(60)) {
                if task[2] == b"\x02" {
                    let body = task.split_off(5);
                    worker.answer(&task[3], true, m![body[0]]);
                }
            }
        });
    }
    let client = Peer::connect(&endpoint, V01);
    let asks = thread::spawn(move || {
        for number in 0..many {
            client.request(b"echo", m![number.to_be_bytes()]);
        }
        let mut seen = vec![false; many as usize];
        for _ in 0..many {
            let body = client.reply(b"echo", true);
            let number = u32::from_be_bytes(body[0].as_slice().try_into().unwrap());
            assert!(!std::mem::replace(&mut seen[number as usize], true), "{number} twice");
        }
    });
    let (mut paused, mut queued) = (0, 0);
    let other = Peer::connect(&endpoint, V02);
    let mut slowest = Duration::ZERO;
    while !asks.is_finished() {
        let stats = stats(&broker);
        paused = paused.max(stats.paused);
        queued = queued.max(stats.queued);
        let start = Instant::now();
        assert_eq!(other.ask(b"echo", m![b"hi"]), frames(m![b"hi"]));
        slowest = slowest.max(start.elapsed());
    }
    asks.join().unwrap();
    println!("{many} replies; {queued} calls waited at once; the other client: {slowest:?}");
    assert_eq!(paused, 1);
    // The other client's request may wait, too.
    assert!(queued <= half + 1, "{queued} of {half}");
    let stats = stats(&broker);
    assert_eq!((stats.unanswered, stats.paused, stats.queued), (0, 0, 0));
}

#[test]
fn a_paused_client_that_leaves_is_known_to_be_gone() {
    let (broker, endpoint) = native(Limits { calls_per_client: 2, ..Limits::default() });
    let client = Peer::connect(&endpoint, V02);
    for _ in 0..5 {
        client.request(b"echo", m![b"hi"]);
    }
    until(|| stats(&broker).paused == 1);
    drop(client);
    until(|| stats(&broker).sessions == 0);
    let stats = stats(&broker);
    assert_eq!((stats.paused, stats.queued, stats.unanswered), (0, 0, 1));
}

/// It is heard again as soon as there is room.
#[test]
fn a_paused_client_goes_on() {
    let (broker, endpoint) = native(Limits { calls_per_client: 2, ..Limits::default() });
    let client = Peer::connect(&endpoint, V02);
    for number in 0..5_u8 {
        client.request(b"echo", m![[number]]);
    }
    until(|| stats(&broker).paused == 1);
    let worker = Peer::worker(&endpoint, V02, "echo");
    for number in 0..5_u8 {
        let (address, body) = worker.task();
        assert_eq!(body, frames(m![[number]]));
        worker.answer(&address, true, m![body[0]]);
        assert_eq!(client.reply(b"echo", true), frames(m![[number]]));
    }
    assert_eq!(stats(&broker).paused, 0);
}
