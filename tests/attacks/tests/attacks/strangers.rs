//! Messages in the name of other peers, and from peers that the broker does not know.

use mdp_protocol::wire::DisconnectReason;

use crate::cluster::{Target, dealer};
use crate::load::{Load, drain, send};
use crate::ms;
use crate::raw::{Raw, packet};
use crate::replies::{Chance, forged};
use crate::{count, report, together};

const MIB: u64 = 1 << 20;

/// A5: DISCONNECT and HEARTBEAT name nobody, so they are about their sender, whatever frames they have besides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_no_worker_is_lost_to_what_others_say() {
    let _turn = together().await;
    let target = Target::start();
    let load = Load::on(&target).await;
    let (endpoint, messages) = (target.endpoint.clone(), count(100_000));
    let spoofed = tokio::task::spawn_blocking(move || {
        let rogue = dealer(&endpoint);
        let (beat, bye) =
            (packet(&[Raw::Heartbeat]), packet(&[Raw::Disconnect(DisconnectReason::Shutdown)]));
        let mut chance = Chance(5);
        for _ in 0..messages {
            let dice = chance.next();
            // The routing ids that libzmq gives out: a zero byte, and a number that counts up.
            let mut victim = vec![0];
            victim.extend_from_slice(&(dice as u32).to_be_bytes());
            let message: [&[&[u8]]; 6] = [
                &[&bye],
                &[&beat],
                &[b"MDPW02", b"\x06"],
                &[b"MDPW02", b"\x06", &victim],
                &[b"", b"MDPW01", b"\x05", &victim],
                &[b"MDPW02", b"\x05", &victim],
            ];
            rogue.send_multipart(message[(dice >> 40) as usize % message.len()], 0).unwrap();
            drain(&rogue);
        }
    });
    let p99 = load.p99(ms(500)).await;
    spoofed.await.unwrap();
    load.p99(ms(500)).await;
    let states: Vec<_> =
        load.workers.iter().map(|worker| worker.state().borrow().clone()).collect();
    assert!(states.iter().all(|state| format!("{state:?}").starts_with("Connected")), "{states:?}");
    assert_eq!(target.counter("redispatched"), 0);
    report(&format!(
        "a5: {messages} spoofed messages: no worker lost, no call failed; p99 {p99:.1?}"
    ));
}

/// A6: who was never welcomed leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a6_what_comes_before_a_ready_costs_no_memory() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    target.serves().await;
    let messages = count(1_000_000);
    flood(&target, messages / 10).await;
    let before = target.memory();
    flood(&target, messages).await;
    let grown = target.memory().saturating_sub(before);
    report(&format!(
        "a6: {messages} messages with made-up ids before READY: memory + {} KiB",
        grown / 1024
    ));
    assert!(grown <= 5 * MIB, "{grown}");
    target.until("sessions", |sessions| sessions <= 4).await;
    target.serves().await;
}

async fn flood(target: &Target, messages: u64) {
    let endpoint = target.endpoint.clone();
    let flood = tokio::task::spawn_blocking(move || {
        let mut sockets: Vec<zmq::Socket> = (0..20).map(|_| dealer(&endpoint)).collect();
        let (beat, mut chance) = (packet(&[Raw::Heartbeat]), Chance(3));
        let mut sent = 0;
        while sent < messages {
            let dice = chance.next();
            let at = dice as usize % sockets.len();
            let made_up = (dice >> 8).to_be_bytes();
            let last = packet(&[forged(dice)]);
            let message: [&[&[u8]]; 6] = [
                &[&beat],
                &[&last],
                &[b"MDPW02", b"\x05"],
                &[b"MDPW02", b"\x04", &made_up, b"", b"forged"],
                &[b"", b"MDPW01", b"\x04"],
                &[b"", b"MDPW01", b"\x03", &made_up, b"", b"forged"],
            ];
            // Another connection now and then: another id.
            if dice.is_multiple_of(1_000) {
                sockets[at] = dealer(&endpoint);
            }
            if send(&sockets[at], message[(dice >> 40) as usize % message.len()]) {
                sent += 1;
            }
            drain(&sockets[at]);
        }
        // The broker has read all of it.
        for socket in &sockets {
            drain(socket);
            socket.send_multipart(["MDPC02", "\x01", "mmi.service", "nobody"], 0).unwrap();
            while socket.recv_multipart(0).unwrap().last().unwrap() != b"404" {}
        }
    });
    flood.await.unwrap();
}
