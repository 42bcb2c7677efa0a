//! Hostile clients that do all that they may, at once: the broker's memory has one bound, whatever they choose.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mdp_protocol::Span;
use mdp_protocol::wire::{self, CallKind, Direction, DisconnectReason, Part, Tail};

use crate::cluster::{Target, dealer};
use crate::raw::{Raw, packet, ready};
use crate::unread::{GET, MIB, Mute, PATIENCE, Peak, Size, client, giver};
use crate::{alone, is_full, report};

const MS: Duration = Duration::from_millis(1);

/// What each hostile peer has: a connection of MDP/RPC that reads nothing, and one of classic MDP that reads nothing
/// either.
struct Hostile {
    endpoint: String,
    mute: Mute,
    classic: zmq::Socket,
    turn: u64,
}

impl Hostile {
    fn new(endpoint: &str, number: u64) -> Self {
        let endpoint = endpoint.to_owned();
        let (mute, classic) = (Mute::at(&endpoint), classic(&endpoint));
        Hostile { endpoint, mute, classic, turn: number }
    }

    /// The next thing that it does. What cannot be sent is left out: the broker reads when it can.
    fn act(&mut self) {
        self.turn += 1;
        let turn = self.turn;
        match turn % 12 {
            0 | 1 => self.mute.ask(7, 1_000_000),
            2 => self.say(&["mmi.workers", ""]),
            3 => self.say(&["mmi.schema", "attacks.v1.Large"]),
            4 => self.mute.say(&waits(turn << 20 | 1, &format!("none.N{turn}/M"))),
            5 => self.say(&["attacks.v1.Large", &"x".repeat(90_000)]),
            6 => {
                let cancels: Vec<Raw> = (0..20).map(|call| Raw::Cancel { call }).collect();
                self.mute.say(&packet(&cancels));
            }
            7 => self.mute.say(&packet(&[ready(&format!("evil.{turn}"), 1_000)])),
            8 => {
                // A stream, and an item of it for which there is no credit.
                self.mute.say(&packet(&[stream(turn << 20)]));
                let item = vec![7; 60_000];
                let (call, of, part) = (turn << 20, Direction::Requests, Part::Item(item));
                self.mute.say(&packet(&[Raw::Data { call, of, part }]));
            }
            9 => self.mute.say(&packet(&[Raw::Disconnect(DisconnectReason::Shutdown)])),
            10 => self.mute.hello(),
            _ if turn.is_multiple_of(5) => {
                self.mute = Mute::at(&self.endpoint);
                self.classic = classic(&self.endpoint);
            }
            _ => self.mute.say(&[wire::SIGNATURE, 1, 99]),
        }
    }

    fn say(&self, frames: &[&str]) {
        let message = [&["MDPC02", "\x01"], frames].concat();
        let _ = self.classic.send_multipart(message, 0);
    }
}

fn classic(endpoint: &str) -> zmq::Socket {
    let socket = dealer(endpoint);
    socket.set_sndtimeo(100).unwrap();
    socket
}

/// A call for a service that nobody serves, with a payload of 90 kB.
fn waits(call: u64, path: &str) -> Vec<u8> {
    let record = Raw::Request {
        call,
        timeout: Span::from_secs(60),
        idempotent: true,
        attempt: 1,
        peer: Vec::new(),
        kind: CallKind::Unary,
        body: Vec::new(),
    };
    let payload = [7; 90_000];
    let said = [path.as_bytes(), &payload].concat();
    let (name_len, payload_len) = (path.len() as u8, payload.len() as u32);
    let mut sent = Vec::new();
    let tail = Tail { bytes: &said, name_len, payload_len, ..Tail::default() };
    wire::put_tail(&mut sent, &record, tail);
    sent
}

fn stream(call: u64) -> Raw {
    Raw::Request {
        call,
        timeout: Span::from_secs(60),
        idempotent: true,
        attempt: 1,
        peer: Vec::new(),
        kind: CallKind::BidiStreaming,
        body: GET.as_bytes().to_vec(),
    }
}

/// What so many hostile peers do to a broker for some seconds: the most memory that it had beyond what it began with, in MiB.
async fn beset(policy: Option<&Path>, hostiles: u64) -> u64 {
    let target = match policy {
        Some(policy) => Target::start_with_policy(policy),
        None => Target::start(),
    };
    let _worker = giver(&target).await;
    let honest = client(&target).await;
    honest.get(Size { bytes: MIB }).await.unwrap();
    let before = target.memory() / MIB;
    let peak = Peak::of(&target);
    let time = Duration::from_secs(if is_full() { 30 } else { 6 });
    let (stop, acts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let turns = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let (endpoint, stop, acts) = (target.endpoint.clone(), stop.clone(), acts.clone());
            let turns = turns.clone();
            std::thread::spawn(move || {
                let numbers = (0..hostiles).filter(|number| number % 2 == thread);
                let mut own: Vec<_> =
                    numbers.map(|number| Hostile::new(&endpoint, 7 * number)).collect();
                while !stop.load(Ordering::Relaxed) {
                    own.iter_mut().for_each(Hostile::act);
                    acts.fetch_add(own.len() as u64, Ordering::Relaxed);
                    // The broker's thread is to keep up: what libzmq has read and the broker has not is libzmq's.
                    let turn = turns.load(Ordering::Relaxed);
                    std::thread::sleep(if cfg!(debug_assertions) { 30 * MS } else { 5 * MS });
                    while turns.load(Ordering::Relaxed) == turn && !stop.load(Ordering::Relaxed) {
                        std::thread::sleep(MS);
                    }
                }
            })
        })
        .collect();
    let until = Instant::now() + time;
    while Instant::now() < until {
        // While the others act. They are as slow as the broker is.
        let _ = honest.get(Size { bytes: 1 }).await;
        turns.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(MS).await;
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let grown = peak.mib().saturating_sub(before);
    let (acts, limits) = (acts.load(Ordering::Relaxed), policy.is_some());
    report(&format!("a34: {hostiles} peers, {acts} acts, quotas {limits}: {grown} MiB more"));
    // They are gone, and nothing of them stays; who is honest is served.
    target.until("unread_bytes", |unread| unread == 0).await;
    target.until("held_bytes", |held| held == 0).await;
    let blob = honest.get(Size { bytes: MIB }).timeout(PATIENCE).await;
    assert!(policy.is_some() || blob.is_ok(), "{:?}", blob.err());
    grown
}

/// A34: with the broker's default limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_whatever_hostile_peers_do_memory_has_one_bound() {
    let _turn = alone().await;
    // `held_bytes` and `unread_bytes` with its eighth, and what sessions and tables take.
    let grown = beset(None, 24).await;
    assert!(grown < 256 + 144 + 48, "{grown} MiB more");
}

/// A34: within the quotas of a principal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_whatever_hostile_peers_do_within_quotas_costs_little() {
    let _turn = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let policy = "[anonymous]\ncall = ['*']\nserve = ['*']\nmanage = true\n\
                  calls_in_flight = 10\nqueued_bytes = 100_000\ncalls_per_second = 200\n";
    std::fs::write(&file, policy).unwrap();
    let grown = beset(Some(&file), 24).await;
    // Ten replies of a megabyte, and what libzmq has read and the broker has not.
    assert!(grown < 128, "{grown} MiB more");
}
