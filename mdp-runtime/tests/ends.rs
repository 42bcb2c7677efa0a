//! Whatever ends a thread or a task of this project is told: here a log whose subscriber panics.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::fmt::{self, Write as _};
use std::future::IntoFuture;
use std::io::Write as _;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use mdp_runtime::{
    Broker, BrokerFailure, Client, ConnectionState, Dialect, RawWorker, ServeError, Worker,
    WorkerFailure,
};
use support::{call, client, echo, within, worker};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Panics at a line that says `doomed.` and the name of the thread on which it is said.
struct Fragile;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{value:?} ").unwrap();
    }
}

impl Subscriber for Fragile {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let thread = thread::current();
        let doomed = format!("doomed.{}", thread.name().unwrap_or_default());
        assert!(!text.0.contains(&doomed), "{doomed}");
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn broker() -> Broker {
    static FRAGILE: Once = Once::new();
    FRAGILE.call_once(|| tracing::subscriber::set_global_default(Fragile).unwrap());
    support::broker()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_worker_by_run_and_stopped() {
    let broker = broker();
    let doomed = || {
        let worker = Worker::builder().connect(&broker.endpoints()[0]);
        worker.id("doomed.mdp-worker").serve(echo())
    };
    match within(doomed().run()).await {
        Err(ServeError::Stopped(WorkerFailure::Panicked)) => {}
        ended => panic!("{ended:?}"),
    }
    let worker = doomed().start().unwrap();
    assert_eq!(within(worker.stopped()).await, Err(WorkerFailure::Panicked));
    assert_eq!(*worker.state().borrow(), ConnectionState::Closed);
    assert_eq!(within(worker.connected()).await, None);
    within(worker.shutdown(Duration::from_secs(60))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_broker_by_stopped() {
    let mut broker = broker();
    let builder = Worker::builder().connect(&broker.endpoints()[0]);
    let _worker = builder.id("doomed.mdp-broker").serve(echo()).start().unwrap();
    assert_eq!(within(broker.stopped()).await, Err(BrokerFailure::Panicked));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_looks_after_a_policy_by_stopped() {
    drop(broker());
    let folder = tempfile::Builder::new().prefix("doomed.mdp-policy").tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    std::fs::write(&path, "[anonymous]\n").unwrap();
    let mut broker =
        Broker::builder().bind("tcp://127.0.0.1:*").policy_file(&path).start().unwrap();
    let mut file = std::fs::File::create(&path).unwrap();
    // What is wrong is logged with the file's name.
    file.write_all(b"nonsense =").unwrap();
    let ended = within(broker.stopped()).await;
    assert_eq!(ended, Err(BrokerFailure::Thread { name: "mdp-policy" }));
}

/// Of a client all calls end, and those that are made later.
#[tokio::test]
async fn of_a_client_by_its_state_and_its_calls() {
    let broker = broker();
    let _worker = worker(&broker, echo()).await;
    let id = format!("doomed.{}", thread::current().name().unwrap_or_default());
    let builder = Client::builder().connect(&broker.endpoints()[0]).id(id);
    let doomed = builder.open_lazy().unwrap();
    let waits = call(&doomed, "waits").timeout(Duration::from_secs(600));
    assert!(within(waits.into_future()).await.is_err());
    let mut state = doomed.state();
    within(state.wait_for(|state| *state == ConnectionState::Closed)).await.unwrap();
    assert!(within(call(&doomed, "later").into_future()).await.is_err());
    let other = client(&broker).await;
    assert!(within(call(&other, "other").into_future()).await.is_ok());
}

#[test]
fn of_a_client_without_tokio_likewise() {
    let broker = broker();
    let builder = Client::builder().connect(&broker.endpoints()[0]);
    let doomed = builder.id("doomed.mdp-client").open_blocking();
    assert!(doomed.is_err(), "it never is connected, and is not waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_raw_worker_by_run_and_stopped() {
    let broker = broker();
    let doomed = || {
        let builder = RawWorker::builder("doomed.mdp-raw-worker").dialect(Dialect::Mdp02);
        builder.connect(&broker.endpoints()[0])
    };
    let ended = within(doomed().run(async |_, replier| drop(replier))).await;
    assert!(matches!(ended, Err(ServeError::Stopped(WorkerFailure::Panicked))), "{ended:?}");
    let mut worker = doomed().start().unwrap();
    assert!(within(worker.recv()).await.is_none());
    assert_eq!(within(worker.stopped()).await, Err(WorkerFailure::Panicked));
}
