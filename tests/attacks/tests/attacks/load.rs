//! Honest load beside an attack, and how long its calls take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mdp_runtime::{ConnectionState, Worker};

use crate::cluster::{Target, WorkClient, call};
use crate::{is_full, ms, report};

/// Workers, and what each takes at once.
const WORKERS: usize = 4;
const CAPACITY: u32 = 8;
const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(8);
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long calls are measured at a time, how many such times there are, and how many there are at the most, if what else the
/// machine does was in the way.
const WINDOW: Duration = Duration::from_millis(700);
const WINDOWS: usize = 3;
const MAX_WINDOWS: usize = 12;

/// Workers and clients that do nothing wrong.
pub(crate) struct Load {
    pub(crate) workers: Vec<Worker>,
    clients: Vec<WorkClient>,
}

impl Load {
    pub(crate) async fn on(target: &Target) -> Self {
        let (mut workers, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..WORKERS {
            workers.push(target.worker(CAPACITY).await);
        }
        for _ in 0..CLIENTS {
            clients.push(target.client().await);
        }
        let load = Load { workers, clients };
        load.p99(WINDOW).await; // what is slow the first time is not what this is about
        load
    }

    /// What the workers are called.
    pub(crate) fn worker_ids(&self) -> Vec<Vec<u8>> {
        let id = |worker: &Worker| match &*worker.state().borrow() {
            ConnectionState::Connected { id, .. } => id.to_vec(),
            state => panic!("{state:?}"),
        };
        self.workers.iter().map(id).collect()
    }

    /// The 99th percentile of the calls of all clients for so long. Each call must succeed.
    pub(crate) async fn p99(&self, window: Duration) -> Duration {
        let until = Instant::now() + window;
        let mut clients = tokio::task::JoinSet::new();
        for client in self.clients.clone() {
            clients.spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < until {
                    let sent = Instant::now();
                    call(&client, 2 + times.len() as u64 % 4, TIMEOUT).await.unwrap();
                    times.push(sent.elapsed());
                    tokio::time::sleep(PAUSE).await;
                }
                times
            });
        }
        let mut times: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
        times.sort_unstable();
        times[times.len() * 99 / 100]
    }
}

/// A broker under attack, and one that is left alone, with the same load on both at the same time: what else the machine
/// does meets both.
pub(crate) struct Arena {
    // What says goodbye goes before whom it says it to.
    pub(crate) load: Load,
    quiet: Load,
    pub(crate) target: Target,
    _alone: Target,
}

impl Arena {
    pub(crate) async fn new(start: impl Fn() -> Target) -> Self {
        let (target, alone) = (start(), start());
        let (load, quiet) = (Load::on(&target).await, Load::on(&alone).await);
        Arena { load, quiet, target, _alone: alone }
    }

    /// That the attack moves nobody else's 99th percentile beyond twice what it is without, or 5 ms more. The best
    /// of several times counts on both sides: an attack that succeeds slows all of them.
    pub(crate) async fn is_unmoved_by(&self, what: &str, attack: &Attack) {
        let (window, windows) = if is_full() { (WINDOW * 10, 4) } else { (WINDOW, WINDOWS) };
        let (mut quiet, mut beside) = (Duration::MAX, Duration::MAX);
        attack.go_on();
        for tried in 1..=MAX_WINDOWS {
            let now = tokio::join!(self.load.p99(window), self.quiet.p99(window));
            (beside, quiet) = (beside.min(now.0), quiet.min(now.1));
            if tried >= windows && beside <= (quiet * 2).max(quiet + ms(5)) {
                attack.pause();
                let line = format!("{what}: p99 {beside:.1?}, {quiet:.1?} without it");
                return report(&format!("{line}, {}", attack.tally()));
            }
        }
        panic!("{what}: p99 {beside:?}, and {quiet:?} without it; {}", attack.tally());
    }
}

/// What is done again and again by a thread of its own, so often a second, while it goes on.
pub(crate) struct Attack {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    on: AtomicBool,
    over: AtomicBool,
    done: AtomicU64,
    ms: AtomicU64,
}

impl Attack {
    /// `step` does it, and says how often it did. It begins with [`go_on`](Self::go_on). On a machine that is busy it
    /// does so less often.
    pub(crate) fn new(a_second: u64, mut step: impl FnMut() -> u64 + Send + 'static) -> Self {
        let state = Arc::new(State::default());
        let own = state.clone();
        let at_once = (a_second / 100).max(1);
        let thread = std::thread::spawn(move || {
            while !own.over.load(Ordering::Relaxed) {
                let (begun, mut done) = (Instant::now(), 0);
                let before = own.ms.load(Ordering::Relaxed);
                while own.on.load(Ordering::Relaxed) && !own.over.load(Ordering::Relaxed) {
                    let due = begun.elapsed().as_micros() as u64 * a_second / 1_000_000;
                    // What the thread missed because it had no core does not come all at once: that would be another
                    // attack, and it would come of what else the machine does.
                    done = done.max(due.saturating_sub(at_once));
                    own.ms.store(before + begun.elapsed().as_millis() as u64, Ordering::Relaxed);
                    if done < due {
                        let steps = step();
                        done += steps;
                        own.done.fetch_add(steps, Ordering::Relaxed);
                    } else {
                        std::thread::sleep(ms(1)); // until the next is due
                    }
                }
                std::thread::park_timeout(ms(10));
            }
        });
        Attack { state, thread: Some(thread) }
    }

    pub(crate) fn go_on(&self) {
        self.state.on.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    pub(crate) fn pause(&self) {
        self.state.on.store(false, Ordering::Relaxed);
    }

    pub(crate) fn done(&self) -> u64 {
        self.state.done.load(Ordering::Relaxed)
    }

    fn tally(&self) -> String {
        let (done, ms) = (self.done(), self.state.ms.load(Ordering::Relaxed));
        format!("{done} done, {} a second", done * 1_000 / ms.max(1))
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whatever it panicked of, it has said.
            drop(thread.join());
        }
    }
}

/// Reads what has come and forgets it.
pub(crate) fn drain(socket: &zmq::Socket) {
    while socket.recv_multipart(zmq::DONTWAIT).is_ok() {}
}

/// Sends a message if there is room for it.
pub(crate) fn send(socket: &zmq::Socket, frames: &[&[u8]]) -> bool {
    socket.send_multipart(frames, zmq::DONTWAIT).is_ok()
}
