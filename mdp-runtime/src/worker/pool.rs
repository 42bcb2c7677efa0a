//! Where handlers run: a quick handler on the thread that drives the socket, any other on the user's tokio runtime.
//!
//! Spawning a task for each call costs more than most handlers do, and switching to another thread costs still more. So
//! a handler is first polled where it is, within the user's runtime, and only a handler that has to wait gets its own
//! task there. The place depends on how long the first polls of the method took recently: below [`QUICK`], it is the
//! thread that drives the socket, which another thread can take over if a handler blocks (see `hand_off`). Handlers
//! that compute go into one queue that a few runners serve, at most one for each thread of the runtime.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::Key;
use mdp_protocol::wire::Part;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::handler::{self, Running, Started};
use crate::call::{CallContext, Hold, OnCancel, Outlasts, Service};
use crate::classic::raw::EndCall;
use crate::stream::{Carrier, Flow};
use mdp_call::body::Body;
use mdp_call::compress::{self, Compression, Packing};
use mdp_call::status::Code;
use mdp_transport::clock::Stopwatch;

/// The number of handlers that a runner polls before it yields to other tasks.
const TURN: usize = 64;
/// A method is quick while its first polls take less than this on average.
const QUICK: Duration = Duration::from_micros(20);
/// The number of polls that are measured together.
const LAP: u32 = 8;
/// How long quick handlers may keep the thread that drives the socket before the remaining ones go to the runners.
const TURN_HERE: Duration = Duration::from_micros(200);

/// A call whose handler is going to run.
pub(super) struct Job {
    pub(super) call: Key,
    /// The index of the service.
    pub(super) service: usize,
    pub(super) method: u32,
    /// The index of the method's [`Gauge`].
    pub(super) gauge: usize,
    pub(super) cx: CallContext,
    pub(super) payload: Bytes,
    /// Whether the payload still has to be decompressed.
    pub(super) compressed: bool,
}

/// A message from a handler to the driver.
pub(super) enum Told {
    /// A handler has ended.
    Done(Done),
    /// A part of a handler's stream of replies.
    Part(Key, Part<Body>),
    /// A handler has taken this many units of its stream of requests.
    Taken(Key, u32),
}

/// The end of a handler.
pub(super) struct Done {
    pub(super) call: Key,
    pub(super) code: Code,
    pub(super) reply: Body,
}

#[derive(Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    max_runners: usize,
    /// The maximum size of a request after decompression, in bytes.
    max_decompressed: usize,
    gauges: Box<[Gauge]>,
    services: Box<[Arc<dyn Service>]>,
    work: Mutex<Work>,
    /// The jobs that the thread that drives the socket is about to poll.
    here: Mutex<VecDeque<Job>>,
    /// The messages that the socket's thread has not taken yet.
    told_of: Mutex<Vec<Told>>,
    /// Notified when there are messages.
    told: Arc<Notify>,
}

#[derive(Default)]
struct Work {
    jobs: VecDeque<Job>,
    runners: usize,
}

/// The duration of the first polls of a method's handlers, in nanoseconds: a moving average. Races between threads may
/// lose a measurement, which does no harm.
#[derive(Default)]
struct Gauge(AtomicU32);

impl Gauge {
    fn is_quick(&self) -> bool {
        Duration::from_nanos(self.0.load(Ordering::Relaxed).into()) < QUICK
    }

    /// The duration is capped, so that one poll that lost the processor for long does not outweigh many normal ones.
    fn record(&self, took: Duration) {
        let took = u32::try_from(took.min(4 * QUICK).as_nanos()).unwrap_or(u32::MAX);
        let average = self.0.load(Ordering::Relaxed);
        self.0.store(average - average / 8 + took / 8, Ordering::Relaxed);
    }
}

/// Measures polls in groups: reading the clock for each poll would take a large part of the poll's own time.
struct Laps<'a> {
    shared: &'a Shared,
    watch: Stopwatch,
    gauge: usize,
    polls: u32,
}

impl<'a> Laps<'a> {
    fn start(shared: &'a Shared, watch: Stopwatch) -> Self {
        Laps { shared, watch, gauge: 0, polls: 0 }
    }

    /// Counts a poll for this gauge.
    fn count(&mut self, gauge: usize) {
        if self.gauge != gauge || self.polls == LAP {
            self.end();
            self.gauge = gauge;
        }
        self.polls += 1;
    }

    /// The end of the last group.
    fn now(&self) -> Stopwatch {
        self.watch
    }

    fn end(&mut self) {
        let polls = std::mem::take(&mut self.polls);
        if polls == 0 {
            return;
        }
        let took = self.watch.lap() / polls;
        if let Some(gauge) = self.shared.gauges.get(self.gauge) {
            gauge.record(took);
        }
    }
}

impl Drop for Laps<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl Pool {
    pub(super) fn new(runtime: Handle, max_decompressed: usize) -> Self {
        let shared = Shared {
            max_runners: runtime.metrics().num_workers().max(1),
            runtime,
            max_decompressed,
            gauges: Box::default(),
            services: Box::default(),
            work: Mutex::default(),
            here: Mutex::default(),
            told_of: Mutex::default(),
            told: Arc::default(),
        };
        Pool { shared: Arc::new(shared) }
    }

    /// Sets the services, and makes gauges for this many methods.
    pub(super) fn serving(mut self, services: &[Arc<dyn Service>], methods: usize) -> Self {
        // The pool is not shared yet.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.services = services.into();
            shared.gauges = (0..methods).map(|_| Gauge::default()).collect();
        }
        self
    }

    /// Takes all messages, in exchange for an empty `told`.
    pub(super) fn take_told(&self, told: &mut Vec<Told>) {
        std::mem::swap(&mut *lock(&self.shared.told_of), told);
    }

    /// Whether there are messages.
    pub(super) fn has_told(&self) -> bool {
        !lock(&self.shared.told_of).is_empty()
    }

    /// Waits until there are messages.
    pub(super) async fn told(&self) {
        self.shared.told.notified().await;
    }

    /// Makes [`told`](Self::told) return if there are messages.
    pub(super) fn tell(&self) {
        self.shared.tell();
    }

    /// Notifying this makes [`told`](Self::told) return.
    pub(super) fn bell(&self) -> &Arc<Notify> {
        &self.shared.told
    }

    /// Makes the streams of a call.
    pub(super) fn flow(&self, call: Key, window: u32, with: Option<Compression>) -> Arc<Flow> {
        let carrier = ToDriver { shared: Arc::clone(&self.shared), call };
        let packing = Packing { with, max: self.shared.max_decompressed };
        Arc::new(Flow::new(carrier, window, packing))
    }

    /// Makes the function that ends a raw call.
    pub(super) fn end_later(&self, call: Key, cx: CallContext) -> EndCall {
        let shared = Arc::clone(&self.shared);
        Box::new(move |code, reply| {
            cx.close();
            lock(&shared.told_of).push(Told::Done(Done { call, code, reply }));
            shared.tell();
        })
    }

    /// Runs a future on the user's runtime.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.shared.runtime.spawn(future);
    }

    /// Checks that the user's runtime runs: `moved` becomes true then.
    pub(super) fn probe(&self, moved: Arc<AtomicBool>) {
        let told = Arc::clone(&self.shared.told);
        self.shared.runtime.spawn(async move {
            moved.store(true, Ordering::Release);
            told.notify_one();
        });
    }

    /// Takes the jobs that have not begun.
    pub(super) fn take_unbegun(&self) -> Vec<Key> {
        let mut jobs = std::mem::take(&mut lock(&self.shared.work).jobs);
        jobs.append(&mut lock(&self.shared.here));
        jobs.into_iter().map(|job| job.call).collect()
    }

    /// Whether a runner is at work. A runner reports ended calls after its turn, so while this is true the driver
    /// should check from time to time: the runner's handler may be stuck.
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.shared.work).runners > 0
    }

    /// Whether the handlers of the method with this gauge may be polled on the socket's thread.
    pub(super) fn is_quick(&self, gauge: usize) -> bool {
        self.shared.gauges.get(gauge).is_some_and(Gauge::is_quick)
    }

    /// Passes jobs to the runners.
    pub(super) fn run(&self, jobs: &mut Vec<Job>) {
        if !jobs.is_empty() {
            self.shared.run(jobs.drain(..));
        }
    }

    /// Queues jobs for [`run_here`](Self::run_here).
    pub(super) fn put_here(&self, jobs: &mut Vec<Job>) {
        lock(&self.shared.here).extend(jobs.drain(..));
    }

    /// Polls the handlers of the queued jobs on this thread. When the time is used up, the remaining jobs go to the
    /// runners.
    pub(super) fn run_here(&self) {
        let _entered = self.shared.runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        let turn = Stopwatch::start();
        let mut laps = Laps::start(&self.shared, turn);
        while let Some(job) = self.shared.next_here() {
            laps.count(job.gauge);
            self.shared.start(job, &mut context);
            if laps.now().since(&turn) > TURN_HERE {
                return self.leave_here();
            }
        }
    }

    /// Passes the jobs queued for [`run_here`](Self::run_here) to the runners.
    pub(super) fn leave_here(&self) {
        let left = std::mem::take(&mut *lock(&self.shared.here));
        if !left.is_empty() {
            self.shared.run(left);
        }
    }
}

/// Sends the parts of a handler's streams to the driver.
struct ToDriver {
    shared: Arc<Shared>,
    call: Key,
}

impl Carrier for ToDriver {
    fn send(&self, _flow: &Arc<Flow>, part: Part<Body>) {
        lock(&self.shared.told_of).push(Told::Part(self.call, part));
        self.shared.tell();
    }

    fn send_all(&self, _flow: &Arc<Flow>, parts: &mut Vec<Part<Body>>) {
        let parts = parts.drain(..).map(|part| Told::Part(self.call, part));
        lock(&self.shared.told_of).extend(parts);
        self.shared.tell();
    }

    fn taken(&self, _flow: &Arc<Flow>, units: u32) {
        lock(&self.shared.told_of).push(Told::Taken(self.call, units));
        self.shared.tell();
    }

    // A handler does not cancel its call: it ends.
    fn abandon(&self, _flow: &Arc<Flow>) {}
}

/// A running runner. Dropping it early, because the runtime dropped it or it panicked, makes room for another one.
struct Runner<'a>(Option<&'a Shared>);

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            lock(&shared.work).runners -= 1;
        }
    }
}

impl Shared {
    fn run(self: &Arc<Self>, jobs: impl IntoIterator<Item = Job>) {
        let mut work = lock(&self.work);
        work.jobs.extend(jobs);
        // An existing runner may be stuck in a handler, so more runners are started regardless of it.
        let missing = work.jobs.len().min(self.max_runners.saturating_sub(work.runners));
        work.runners += missing;
        drop(work);
        for _ in 0..missing {
            self.runtime.spawn(Arc::clone(self).take_jobs());
        }
    }

    async fn take_jobs(self: Arc<Self>) {
        let mut runner = Runner(Some(&self));
        loop {
            if poll_fn(|context| Poll::Ready(self.take_turn(context))).await {
                runner.0 = None;
                return self.tell();
            }
            self.tell();
            tokio::task::yield_now().await;
        }
    }

    /// Polls the handlers of up to [`TURN`] jobs. `true`: there are no more jobs, and the runner ends.
    fn take_turn(self: &Arc<Self>, context: &mut Context<'_>) -> bool {
        let mut laps = Laps::start(self, Stopwatch::start());
        for _ in 0..TURN {
            let Some(job) = self.next() else { return true };
            laps.count(job.gauge);
            self.start(job, context);
        }
        false
    }

    /// Wakes the socket's thread, once for all ended calls of a turn: waking it for each call would cost a wake-up and
    /// a packet each.
    fn tell(&self) {
        if !lock(&self.told_of).is_empty() {
            self.told.notify_one();
        }
    }

    /// The next job. Without a job the runner ends, which is recorded under the same lock: a job that is queued later
    /// starts another runner.
    fn next(&self) -> Option<Job> {
        let mut work = lock(&self.work);
        let job = work.jobs.pop_front();
        if job.is_none() {
            work.runners -= 1;
        }
        job
    }

    fn next_here(&self) -> Option<Job> {
        lock(&self.here).pop_front()
    }

    /// Polls a handler for the first time. A handler that has to wait gets a task, which polls it again at once; so the
    /// first waker is not needed.
    fn start(self: &Arc<Self>, job: Job, context: &mut Context<'_>) {
        let Job { call, service, method, gauge: _, cx, payload, compressed } = job;
        let Some(service) = self.services.get(service) else { return };
        let hold = match cx.on_cancel() {
            OnCancel::Cancel => None,
            // The hold comes before the check: from here on the call keeps its permit, or it is over.
            OnCancel::Detach => match Hold::take(&cx, Outlasts::Future) {
                Ok(hold) => Some(hold),
                Err(_) => return,
            },
        };
        if cx.is_cancelled() {
            return; // expired work is never started
        }
        let payload = match compressed {
            true => compress::unpack(&payload, self.max_decompressed),
            false => Ok(payload),
        };
        let payload = match payload {
            Ok(payload) => payload,
            Err(status) => return self.end(call, &cx, handler::end(&cx, Err(status))),
        };
        match handler::start(&**service, method, &cx, payload, context) {
            Started::Ended(code, reply) => {
                drop(hold);
                self.end(call, &cx, (code, reply));
            }
            Started::Waits(running) => {
                self.runtime.spawn(Arc::clone(self).finish(call, running, cx, hold));
            }
        }
    }

    async fn finish(
        self: Arc<Self>,
        call: Key,
        running: Running,
        cx: CallContext,
        hold: Option<Hold>,
    ) {
        let result = handler::finish(running, &cx).await;
        drop(hold);
        // Without a result the slot is already free.
        if let Some(result) = result {
            self.end(call, &cx, handler::end(&cx, result));
            self.tell();
        }
    }

    fn end(&self, call: Key, cx: &CallContext, (code, reply): (Code, Body)) {
        cx.close();
        lock(&self.told_of).push(Told::Done(Done { call, code, reply }));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
