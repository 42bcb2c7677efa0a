//! Peers that ask for much and read nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mdp_protocol::wire::{self, CallKind, DisconnectReason, Reply, Tail};
use mdp_protocol::{Code, Span};
use mdp_runtime::{Client, Code as StatusCode, MdpRecord, Status, Worker, mdp_service};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::cluster::{Target, dealer};
use crate::load::{Arena, Attack, send};
use crate::raw::{Raw, packet, ready};
use crate::{alone, is_full, ms, report, together};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is large on its way.
#[mdp_service(package = "attacks.v1")]
pub(crate) trait Large {
    /// So many bytes.
    #[mdp(no_side_effects)]
    async fn get(&self, size: Size) -> Result<Blob, Status>;
    /// The number of bytes that came.
    #[mdp(no_side_effects)]
    async fn put(&self, blob: Blob) -> Result<Size, Status>;
}

const SERVICE: &str = "attacks.v1.Large";
pub(crate) const GET: &str = "attacks.v1.Large/Get";

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Size {
    #[mdp(1)]
    pub(crate) bytes: u64,
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Blob {
    #[mdp(1)]
    pub(crate) bytes: Vec<u8>,
}

struct Giver;

impl Large for Giver {
    async fn get(&self, size: Size) -> Result<Blob, Status> {
        Ok(Blob { bytes: vec![7; size.bytes as usize] })
    }

    async fn put(&self, blob: Blob) -> Result<Size, Status> {
        Ok(Size { bytes: blob.bytes.len() as u64 })
    }
}

pub(crate) async fn giver(target: &Target) -> Worker {
    let worker = Worker::builder().connect(&target.endpoint).capacity(1_000);
    let worker = worker.serve(LargeWorker::new(Giver)).start().unwrap();
    tokio::time::timeout(PATIENCE, worker.connected()).await.unwrap().unwrap();
    worker
}

pub(crate) async fn client(target: &Target) -> LargeClient {
    LargeClient::new(Client::connect(&target.endpoint).await.unwrap())
}

/// A peer that reads nothing, and of whose messages libzmq reads one ahead.
pub(crate) struct Mute {
    socket: zmq::Socket,
    next: u64,
}

impl Mute {
    fn new(target: &Target) -> Self {
        Mute::at(&target.endpoint)
    }

    pub(crate) fn at(endpoint: &str) -> Self {
        let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvhwm(1).unwrap();
        // Little is kept by the kernel: what is not read stays with the broker.
        socket.set_rcvbuf(64 << 10).unwrap();
        socket.connect(endpoint).unwrap();
        let mute = Mute { socket, next: 0 };
        mute.hello();
        mute
    }

    pub(crate) fn hello(&self) {
        // It need not give signs of life for long.
        let (heartbeat, liveness) = (Span::from_secs(60), 10);
        self.say(&packet(&[Raw::Hello { id: Vec::new(), heartbeat, liveness }]));
    }

    pub(crate) fn say(&self, packet: &[u8]) {
        send(&self.socket, &[packet]);
    }

    /// Calls in one packet, each for so many bytes.
    pub(crate) fn ask(&mut self, calls: u64, bytes: u64) {
        let mut sent = Vec::new();
        for call in self.next..self.next + calls {
            let record = Raw::Request {
                call,
                timeout: Span::from_secs(60),
                idempotent: false,
                attempt: 1,
                peer: Vec::new(),
                kind: CallKind::Unary,
                body: Vec::new(),
            };
            // Field 1 of a size.
            let mut size = vec![1 << 3];
            let mut rest = bytes;
            while rest >= 128 {
                size.push(rest as u8 | 128);
                rest >>= 7;
            }
            size.push(rest as u8);
            let said = [GET.as_bytes(), &size].concat();
            let (name_len, payload_len) = (GET.len() as u8, size.len() as u32);
            let tail = Tail { bytes: &said, name_len, payload_len, ..Tail::default() };
            wire::put_tail(&mut sent, &record, tail);
        }
        self.next += calls;
        self.say(&sent);
    }
}

/// The most memory that a broker has while this goes on, beyond what it had.
pub(crate) struct Peak {
    max: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Peak {
    pub(crate) fn of(target: &Target) -> Self {
        let (max, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stop, path) =
            (max.clone(), over.clone(), format!("/proc/{}/status", target.process.id()));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let status = std::fs::read_to_string(&path).unwrap_or_default();
                let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
                let kb = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
                seen.fetch_max(kb.unwrap_or(0) * 1_024, Ordering::Relaxed);
                std::thread::sleep(ms(5)); // between two looks
            }
        });
        Peak { max, over, thread: Some(thread) }
    }

    pub(crate) fn mib(&self) -> u64 {
        self.max.load(Ordering::Relaxed) / MIB
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A34: a principal with quotas whose worker answers with a megabyte. What its clients do not read counts for it, over all
/// its sessions and after their end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_what_a_principal_does_not_read_counts_for_it() {
    let _turn = together().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let policy = "[anonymous]\ncall = ['*']\nserve = ['*']\nmanage = true\n\
                  calls_in_flight = 10\nqueued_bytes = 100_000\ncalls_per_second = 200\n";
    std::fs::write(&file, policy).unwrap();
    let target = Target::start_with_policy(&file);
    let _worker = giver(&target).await;
    client(&target).await.get(Size { bytes: 1_000_000 }).await.unwrap();
    let before = target.memory() / MIB;
    let peak = Peak::of(&target);
    let mut mutes = [Mute::new(&target), Mute::new(&target), Mute::new(&target)];
    let mut asked = 0;
    for round in 0..100 {
        let mute = &mut mutes[round % 3];
        if round % 20 == 0 {
            mute.say(&packet(&[Raw::Disconnect(DisconnectReason::Shutdown)]));
            mute.hello();
        }
        mute.ask(7, 1_000_000);
        asked += 7;
        tokio::time::sleep(ms(35)).await; // at the rate that it may call with
    }
    target.until("running", |running| running == 0).await;
    let (grown, counters) = (peak.mib().saturating_sub(before), target.counters());
    report(&format!(
        "a34: {asked} calls for 1 MB each: {grown} MiB more, {} refused, {} KiB unread",
        counters["refused"],
        counters["unread_bytes"].as_u64().unwrap() / 1_024
    ));
    assert!(counters["unread_bytes"].as_u64().unwrap() > 100_000, "{counters}");
    assert!(counters["refused"].as_u64().unwrap() > asked / 2, "{counters}");
    assert!(grown < 20, "{before} MiB before, {grown} MiB more: {counters}");
}

/// A34: without quotas, many that read nothing. The broker's memory stays below its limits, whoever reads gets a megabyte
/// at a time, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_whatever_readers_do_memory_is_bounded() {
    let _turn = alone().await;
    let arena = Arena::new(Target::start).await;
    let target = &arena.target;
    let _worker = giver(target).await;
    let honest = client(target).await;
    let peak = Peak::of(target);
    let connections = if is_full() { 40 } else { 24 };
    let mut mutes: Vec<Mute> = (0..connections).map(|_| Mute::new(target)).collect();
    let mut calls = 0_u64;
    let until = Instant::now() + PATIENCE;
    // Until each of them has what it may have. Meanwhile somebody reads.
    let mut full = 0;
    while full < 3 {
        assert!(Instant::now() < until, "they are never full: {}", target.counters());
        let before = target.counter("unread_refused") + target.counter("unread_ended");
        for mute in &mut mutes {
            mute.hello();
            mute.ask(8, MIB);
        }
        target.until("running", |running| running == 0).await;
        for _ in 0..5 {
            let blob = honest.get(Size { bytes: MIB }).timeout(PATIENCE).await.unwrap();
            assert_eq!(blob.bytes.len() as u64, MIB);
            calls += 1;
        }
        let after = target.counter("unread_refused") + target.counter("unread_ended");
        full = if after >= before + connections { full + 1 } else { 0 };
    }
    let unread = target.counter("unread_bytes");
    assert!((32 * MIB..144 * MIB).contains(&unread), "{unread}");
    // Others are served as before, while these go on.
    let mut turn = 0;
    let attack = Attack::new(200, move || {
        let next = turn % mutes.len();
        mutes[next].hello();
        mutes[next].ask(1, MIB);
        turn += 1;
        1
    });
    arena.is_unmoved_by("a34", &attack).await;
    let max = peak.mib();
    let counters = target.counters();
    report(&format!(
        "a34: {connections} that do not read: {} MiB unread, {max} MiB in all; {calls} calls of one that does; \
         {} refused, {} sessions ended",
        unread / MIB,
        counters["unread_refused"],
        counters["unread_ended"]
    ));
    assert!(max < 400, "{max} MiB: {counters}");
    for _ in 0..20 {
        let blob = honest.get(Size { bytes: MIB }).timeout(PATIENCE).await.unwrap();
        assert_eq!(blob.bytes.len() as u64, MIB);
    }
}

/// A34: the count is the connection's: a new session over it is no new beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_a_second_hello_finds_what_the_first_session_did_not_read() {
    let _turn = together().await;
    let target = Target::start();
    let _worker = giver(&target).await;
    client(&target).await.get(Size { bytes: MIB }).await.unwrap();
    let peak = Peak::of(&target);
    let before = target.memory() / MIB;
    let mut mute = Mute::new(&target);
    let (mut max, mut rounds) = (0, 0);
    let deadline = Instant::now() + 2 * PATIENCE;
    // Until the limit was met several times: each round is a session of its own.
    while rounds < 20 || max < 16 * MIB || target.counter("unread_ended") == 0 {
        if rounds % 2 == 0 {
            mute.say(&packet(&[Raw::Disconnect(DisconnectReason::Shutdown)]));
        }
        mute.hello();
        mute.ask(40, MIB);
        target.until("running", |running| running == 0).await;
        max = max.max(target.counter("unread_bytes"));
        rounds += 1;
        assert!(Instant::now() < deadline, "{max} after {rounds}: {}", target.counters());
    }
    assert!(max < 34 * MIB, "{max}");
    let grown = peak.mib().saturating_sub(before);
    report(&format!("a34: {rounds} sessions on one connection: {grown} MiB more"));
    assert!(grown < 80, "{grown} MiB more");
    // With the connection all of it goes.
    drop(mute);
    target.until("unread_bytes", |unread| unread == 0).await;
}

/// A34: what is not read does not stay for ever: the kernel ends a connection whose peer has had no room for 25 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_a_connection_that_takes_nothing_is_ended() {
    let _turn = together().await;
    let target = Target::start();
    let _worker = giver(&target).await;
    let mut mute = Mute::new(&target);
    mute.ask(10, MIB);
    target.until("unread_bytes", |unread| unread > 4 * MIB).await;
    let (begun, until) = (Instant::now(), Instant::now() + PATIENCE);
    while target.counter("unread_bytes") > 0 {
        assert!(Instant::now() < until, "it is still there: {}", target.counters());
        tokio::time::sleep(ms(200)).await;
    }
    report(&format!("a34: a connection that took nothing was ended after {:.0?}", begun.elapsed()));
}

/// A34: `mmi.schema`, which no quota counts: all answers are one copy, and the one who does not read them loses its session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_a_contract_is_told_to_all_out_of_one_copy() {
    const ASKED: u64 = 210;
    let _turn = together().await;
    let target = Target::start();
    let stop = Arc::new(AtomicBool::new(false));
    let worker = teller(&target, stop.clone());
    let set = vec![9_u8; 4_000_000];
    // Classic clients that read get it.
    let reader = dealer(&target.endpoint);
    let ask = || {
        reader.send_multipart(["MDPC02", "\x01", "mmi.schema", SERVICE], 0).unwrap();
        reader.recv_multipart(0).unwrap()
    };
    let until = Instant::now() + PATIENCE;
    while ask()[3] != b"200" {
        assert!(Instant::now() < until, "nobody tells it");
    }
    let before = target.memory() / MIB;
    let peak = Peak::of(&target);
    let mute = Mute::new(&target);
    let other = zmq::Context::new().socket(zmq::DEALER).unwrap();
    other.set_linger(0).unwrap();
    other.set_rcvhwm(1).unwrap();
    other.connect(&target.endpoint).unwrap();
    for call in 0..ASKED {
        let record = Raw::Request {
            call,
            timeout: Span::from_secs(60),
            idempotent: false,
            attempt: 1,
            peer: Vec::new(),
            kind: CallKind::Unary,
            body: Vec::new(),
        };
        let mut said = b"mmi.schema".to_vec();
        let name_len = said.len() as u8;
        wire::put_frame(&mut said, SERVICE.as_bytes());
        let payload_len = (said.len() - usize::from(name_len)) as u32;
        let tail = Tail { bytes: &said, name_len, payload_len, raw: true, ..Tail::default() };
        let mut packet = Vec::new();
        wire::put_tail(&mut packet, &record, tail);
        mute.hello();
        mute.say(&packet);
        send(&other, &[b"MDPC02", b"\x01", b"mmi.schema", SERVICE.as_bytes()]);
        tokio::time::sleep(ms(40)).await; // there are 50 lists a second
    }
    let grown = peak.mib().saturating_sub(before);
    let counters = target.counters();
    report(&format!(
        "a34: a contract of 4 MB, {ASKED} times to two that do not read: {grown} MiB more"
    ));
    assert!(counters["unread_ended"].as_u64().unwrap() > 0, "{counters}");
    assert!(grown < 40, "{grown} MiB more: {counters}");
    let until = Instant::now() + PATIENCE;
    loop {
        let told = ask();
        if told[3] == b"200" {
            assert_eq!((&told[4], told[5].len()), (&set, 16));
            break;
        }
        assert!(Instant::now() < until, "{:?}", told[3]);
    }
    stop.store(true, Ordering::Relaxed);
    worker.await.unwrap();
}

/// A worker that tells a contract of 4 MB.
fn teller(target: &Target, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    let socket = dealer(&target.endpoint);
    let hello = Raw::Hello { id: Vec::new(), heartbeat: Span::from_secs(60), liveness: 10 };
    let Raw::Ready { service, capacity, .. } = ready(SERVICE, 8) else { unreachable!("a READY") };
    socket
        .send(
            packet(&[
                hello,
                Raw::Ready { service, capacity, shared: false, schema: Some([5; 16]) },
            ]),
            0,
        )
        .unwrap();
    spawn_blocking(move || {
        while !stop.load(Ordering::Relaxed) {
            if socket.poll(zmq::POLLIN, 20).unwrap() == 0 {
                continue;
            }
            let frames = socket.recv_multipart(0).unwrap();
            let mut heads = Vec::new();
            wire::decode(&frames[0], &[], &mdp_protocol::Limits::default(), &mut heads).unwrap();
            for head in heads.iter().filter(|head| head.command() == Some(wire::Command::Request)) {
                let (call, code, attempt) = (head.call, Code::Ok, 1);
                let reply = Reply::Body(vec![9_u8; 4_000_000]);
                let said =
                    Raw::Final { call, code, not_started: false, attempt, peer: Vec::new(), reply };
                socket.send(packet(&[said]), 0).unwrap();
            }
        }
    })
}

/// A34: a worker that reads none of its calls: it is given few, and the others get all the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_a_worker_that_does_not_read_is_given_no_more() {
    const CALLS: usize = 100;
    let _turn = together().await;
    let target = Target::start();
    let mute = Mute::new(&target);
    mute.say(&packet(&[ready(SERVICE, 10_000)]));
    let honest = client(&target).await;
    target.until("services", |services| services == 1).await;
    let peak = Peak::of(&target);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CALLS {
        let honest = honest.clone();
        calls.spawn(async move {
            let blob = Blob { bytes: vec![3; MIB as usize] };
            honest.put(blob).timeout(PATIENCE).await
        });
    }
    // What it was not given waits for another one, as far as there is room.
    target.until("queued", |queued| queued >= 50).await;
    let (running, unread) = (target.counter("running"), target.counter("unread_bytes"));
    assert!((16 * MIB..20 * MIB).contains(&unread) && running < 40, "{running}, {unread}");
    let _worker = giver(&target).await;
    target.until("queued", |queued| queued == 0).await;
    drop(mute);
    // Its calls move when it is gone.
    let (mut done, mut refused) = (0, 0);
    while let Some(ended) = calls.join_next().await {
        match ended.unwrap() {
            Ok(size) => {
                assert_eq!(size.bytes, MIB);
                done += 1;
            }
            Err(status) => {
                // The queue has 64 MiB.
                assert_eq!(status.code(), StatusCode::ResourceExhausted, "{status}");
                refused += 1;
            }
        }
    }
    let max = peak.mib();
    report(&format!(
        "a34: a worker that does not read held {running} calls of 1 MiB; {done} done, {refused} refused, {max} MiB"
    ));
    assert!(done >= 70 && max < 400, "{done} done, {refused} refused, {max} MiB");
    target.until("unread_bytes", |unread| unread == 0).await;
}
