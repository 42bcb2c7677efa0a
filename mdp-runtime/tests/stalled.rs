//! A worker whose tokio runtime hangs leaves its broker until the runtime moves again.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use mdp_runtime::{
    Broker, Code, ConnectionState, Dialect, LossCause, RawClient, Worker, WorkerBuilder,
};
use support::{answering, broker, call, client, echo, safe_call, until, within};

/// Threads that hang until they are let go, also if the test fails.
#[derive(Default)]
struct Gate {
    inside: AtomicUsize,
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn hang(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        let long = Duration::from_secs(60);
        drop(self.changed.wait_timeout_while(open, long, |open| !*open).unwrap());
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

struct Opener(Arc<Gate>);

impl Drop for Opener {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// A runtime of one thread, and a worker on it whose handler of `hang` never yields, once it is a task.
struct Stage {
    worker: Worker,
    gate: Arc<Gate>,
    _opener: Opener,
    _runtime: Runs,
}

/// A runtime that is not waited for.
struct Runs(Option<tokio::runtime::Runtime>);

impl Drop for Runs {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn stage(builder: WorkerBuilder) -> Stage {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let gate = Arc::new(Gate::default());
    let service = answering({
        let gate = Arc::clone(&gate);
        move |_, request| {
            let gate = Arc::clone(&gate);
            async move {
                if request == "slow" {
                    let begin = Instant::now();
                    while begin.elapsed() < Duration::from_millis(1) {
                        std::hint::spin_loop();
                    }
                }
                if request == "hang" {
                    tokio::task::yield_now().await;
                    gate.hang();
                }
                if request == "wait" {
                    std::future::pending::<()>().await;
                }
                Ok(request)
            }
        }
    });
    let entered = runtime.enter();
    let worker = builder.id("hangs").serve(service).start().unwrap();
    drop(entered);
    Stage { worker, _opener: Opener(Arc::clone(&gate)), gate, _runtime: Runs(Some(runtime)) }
}

fn patient(broker: &Broker, after: Duration) -> WorkerBuilder {
    Worker::builder().connect(&broker.endpoints()[0]).stalled_after(after)
}

const SOON: Duration = Duration::from_millis(300);
const STALLED: ConnectionState = ConnectionState::Disconnected(LossCause::Stalled);

#[tokio::test(flavor = "multi_thread")]
async fn its_calls_go_to_others_and_it_comes_back() {
    let broker = broker();
    let stage = stage(patient(&broker, SOON));
    within(stage.worker.connected()).await.unwrap();
    let client = client(&broker).await;
    let once = tokio::spawn(call(&client, "hang").into_future());
    let again = tokio::spawn(safe_call(&client, "wait").into_future());
    until(async || stage.gate.inside.load(Ordering::SeqCst) == 1).await;
    let mut state = stage.worker.state();
    within(state.wait_for(|state| *state == STALLED)).await.unwrap();
    // It may have run.
    let status = within(once).await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false), "{status}");
    let other = Worker::builder().connect(&broker.endpoints()[0]).id("other").serve(echo());
    let other = other.start().unwrap();
    // What may be made again is, and what comes now does not go to the one that hangs.
    assert_eq!(within(again).await.unwrap().unwrap(), "wait");
    let reply = within(call(&client, "now").send()).await.unwrap();
    assert_eq!(reply.worker(), b"other");
    assert_eq!(broker.stats().await.stalled, 1);
    other.shutdown(Duration::ZERO).await;
    stage.gate.open();
    let reply = within(call(&client, "back").send()).await.unwrap();
    assert_eq!(reply.worker(), b"hangs");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_not_begun_was_not_started() {
    let broker = broker();
    let stage = stage(patient(&broker, Duration::from_secs(1)));
    within(stage.worker.connected()).await.unwrap();
    let client = client(&broker).await;
    // From now on handlers of this method are polled by the runtime from the first time on.
    for _ in 0..40 {
        within(call(&client, "slow").into_future()).await.unwrap();
    }
    let hangs = tokio::spawn(call(&client, "hang").into_future());
    until(async || stage.gate.inside.load(Ordering::SeqCst) == 1).await;
    let late = within(call(&client, "late").into_future()).await.unwrap_err();
    assert_eq!((late.code(), late.not_started()), (Code::Unavailable, true), "{late}");
    let hangs = within(hangs).await.unwrap().unwrap_err();
    assert_eq!((hangs.code(), hangs.not_started()), (Code::Unavailable, false), "{hangs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_switched_off() {
    let broker = broker();
    let stage = stage(patient(&broker, Duration::MAX));
    within(stage.worker.connected()).await.unwrap();
    let client = client(&broker).await;
    let hangs = tokio::spawn(call(&client, "hang").into_future());
    until(async || stage.gate.inside.load(Ordering::SeqCst) == 1).await;
    let mut state = stage.worker.state();
    let stalled = state.wait_for(|state| *state == STALLED);
    assert!(tokio::time::timeout(Duration::from_secs(1), stalled).await.is_err());
    stage.gate.open();
    assert_eq!(within(hangs).await.unwrap().unwrap(), "hang");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_with_another_thread_moves() {
    let broker = broker();
    let (gate, _opener) = {
        let gate = Arc::new(Gate::default());
        (Arc::clone(&gate), Opener(gate))
    };
    let service = answering({
        let gate = Arc::clone(&gate);
        move |_, request| {
            let gate = Arc::clone(&gate);
            async move {
                if request == "hang" {
                    tokio::task::yield_now().await;
                    gate.hang();
                }
                Ok(request)
            }
        }
    });
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let entered = runtime.enter();
    let worker = patient(&broker, Duration::from_secs(1)).serve(service).start().unwrap();
    drop(entered);
    within(worker.connected()).await.unwrap();
    let client = client(&broker).await;
    let hangs = tokio::spawn(call(&client, "hang").into_future());
    until(async || gate.inside.load(Ordering::SeqCst) == 1).await;
    let mut state = worker.state();
    let stalled = state.wait_for(|state| *state == STALLED);
    assert!(tokio::time::timeout(Duration::from_secs(3), stalled).await.is_err());
    gate.open();
    assert_eq!(within(hangs).await.unwrap().unwrap(), "hang");
    within(worker.shutdown(Duration::from_secs(1))).await;
    drop(tokio::task::spawn_blocking(move || drop(runtime)).await);
}

/// In classic MDP too it leaves and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn over_classic_mdp_likewise() {
    let broker = broker();
    let stage = stage(patient(&broker, SOON).dialect(Dialect::Mdp02).capacity(2));
    within(stage.worker.connected()).await.unwrap();
    let client = client(&broker).await;
    let once = tokio::spawn(call(&client, "hang").into_future());
    until(async || stage.gate.inside.load(Ordering::SeqCst) == 1).await;
    let mut state = stage.worker.state();
    within(state.wait_for(|state| *state == STALLED)).await.unwrap();
    assert_eq!(within(once).await.unwrap().unwrap_err().code(), Code::Unavailable);
    let raw = RawClient::builder().dialect(Dialect::Rpc).connect(&broker.endpoints()[0]).open();
    let gone = async || {
        let told = raw.as_ref().unwrap().send("mmi.service", vec!["test.v1.Echo".into()]).await;
        told.is_ok_and(|frames| frames == ["404"])
    };
    until(gone).await;
    stage.gate.open();
    assert_eq!(within(call(&client, "back").into_future()).await.unwrap(), "back");
}
