//! Where handlers run: on the user's tokio runtime, never on the thread that owns the socket.
//!
//! Spawning a task for each call costs more than most handlers do. So a burst of calls goes into one
//! queue and a few runners take from it, at most one for each thread of the runtime. A runner polls
//! each handler once where it stands; only a handler that has to wait gets a task of its own. One
//! that blocks holds up its runner and nothing else, heartbeats least of all.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use mdp_protocol::Key;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::context::CallContext;
use crate::body::Body;
use crate::codec;
use crate::codegen::{Handling, Service};
use crate::status::{Code, Status};

/// Handlers that a runner polls before other tasks have their turn.
const TURN: usize = 64;

/// A call whose handler is to be run.
pub(super) struct Job {
    pub(super) call: Key,
    pub(super) service: Arc<dyn Service>,
    pub(super) method: u32,
    pub(super) cx: CallContext,
    pub(super) payload: Bytes,
}

/// A handler's end.
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
    most_runners: usize,
    work: Mutex<Work>,
    /// Ends that the socket's thread has not taken yet.
    done: Mutex<Vec<Done>>,
    /// There are some.
    told: Notify,
}

#[derive(Default)]
struct Work {
    jobs: VecDeque<Job>,
    runners: usize,
}

impl Pool {
    pub(super) fn new(runtime: Handle) -> Self {
        let shared = Shared {
            most_runners: runtime.metrics().num_workers().max(1),
            runtime,
            work: Mutex::default(),
            done: Mutex::default(),
            told: Notify::new(),
        };
        Pool { shared: Arc::new(shared) }
    }

    /// Takes all ends that are there, in exchange for an empty `finished`.
    pub(super) fn take_done(&self, finished: &mut Vec<Done>) {
        std::mem::swap(&mut *lock(&self.shared.done), finished);
    }

    /// Waits until there are ends to take.
    pub(super) async fn told(&self) {
        self.shared.told.notified().await;
    }

    /// Whether a runner is at work. It tells of its ends when its turn is over, so while this holds
    /// somebody should look from time to time: the handler that it polls may be stuck.
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.shared.work).runners > 0
    }

    /// Queues the jobs and sees to it that somebody takes them.
    pub(super) fn run(&self, jobs: &mut Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut work = lock(&self.shared.work);
        work.jobs.extend(jobs.drain(..));
        // A runner that is there may be stuck in a handler, so none is counted on.
        let missing = work.jobs.len().min(self.shared.most_runners.saturating_sub(work.runners));
        work.runners += missing;
        drop(work);
        for _ in 0..missing {
            self.shared.runtime.spawn(Shared::take_jobs(Arc::clone(&self.shared)));
        }
    }
}

impl Shared {
    async fn take_jobs(self: Arc<Self>) {
        loop {
            for _ in 0..TURN {
                let Some(job) = self.next() else { return self.tell() };
                self.start(job).await;
            }
            self.tell();
            tokio::task::yield_now().await;
        }
    }

    /// Wakes the socket's thread, once for all ends of a turn: each on its own would cost it a wake-up
    /// and a packet.
    fn tell(&self) {
        if !lock(&self.done).is_empty() {
            self.told.notify_one();
        }
    }

    /// The next job. Without one the runner is over, which is noted under the same lock: whoever
    /// queues a job later starts another runner.
    fn next(&self) -> Option<Job> {
        let mut work = lock(&self.work);
        let job = work.jobs.pop_front();
        if job.is_none() {
            work.runners -= 1;
        }
        job
    }

    async fn start(self: &Arc<Self>, job: Job) {
        let Job { call, service, method, cx, payload } = job;
        if cx.is_cancelled() {
            return; // expired work is never started
        }
        let made = catch_unwind(AssertUnwindSafe(|| service.call(method, cx.clone(), payload)));
        let mut handling = match made {
            Ok(handling) => handling,
            Err(panic) => return self.end(call, &cx, Err(panicked(&cx, panic.as_ref()))),
        };
        match poll_fn(|context| Poll::Ready(poll(&mut handling, &cx, context))).await {
            Poll::Ready(result) => self.end(call, &cx, result),
            Poll::Pending => {
                let shared = Arc::clone(self);
                tokio::spawn(shared.finish(call, handling, cx));
            }
        }
    }

    async fn finish(self: Arc<Self>, call: Key, mut handling: Handling, cx: CallContext) {
        tokio::select! {
            result = poll_fn(|context| poll(&mut handling, &cx, context)) => {
                self.end(call, &cx, result);
                self.tell();
            }
            // The slot is free already; the handler is dropped.
            () = cx.cancelled() => {}
        }
    }

    fn end(&self, call: Key, cx: &CallContext, result: Result<Bytes, Status>) {
        let done = match result {
            Ok(payload) => {
                let meta = codec::encode_metadata(&cx.take_reply_metadata());
                let reply = Body::with_payload("", meta.as_deref(), payload);
                Done { call, code: Code::Ok, reply }
            }
            Err(status) => failed(call, cx, status),
        };
        lock(&self.done).push(done);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(call: Key, cx: &CallContext, status: Status) -> Done {
    // A handler that fails with OK has not made a reply.
    let status = match status.code() {
        Code::Ok => Status::internal(format!("the handler of {} failed with OK", cx.method())),
        _ => status,
    };
    let mut metadata = status.metadata().clone();
    for (key, value) in cx.take_reply_metadata().iter() {
        metadata.insert(key, value.clone());
    }
    let meta = codec::encode_metadata(&metadata);
    let payload = codec::encode_status(&status);
    Done { call, code: status.code(), reply: Body::with_payload("", meta.as_deref(), payload) }
}

/// Polls a handler; a panic ends it with INTERNAL, and its slot is free again.
fn poll(
    handling: &mut Handling,
    cx: &CallContext,
    context: &mut Context<'_>,
) -> Poll<Result<Bytes, Status>> {
    match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context))) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Err(panicked(cx, panic.as_ref()))),
    }
}

fn panicked(cx: &CallContext, panic: &(dyn std::any::Any + Send)) -> Status {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    tracing::error!(method = cx.method(), words, "a handler panicked");
    // What a panic says is for the operator's log, not for the caller.
    Status::internal(format!("the handler of {} panicked", cx.method()))
}
