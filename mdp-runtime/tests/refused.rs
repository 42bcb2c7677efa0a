//! Peers that a broker refuses: they try again ever more rarely, say so once, and a worker ends in time.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fmt::{self, Write as _};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use mdp_runtime::security::{CurveClient, CurveServer, KeyPair};
use mdp_runtime::{
    Broker, Client, ConnectionState, DisconnectReason, LossCause, Policy, ServeError, Worker,
    WorkerBuilder, WorkerFailure,
};
use support::{call, client, echo, until, within};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps all lines of the level `info` and above.
struct Lines;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        LINES.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn lines_with(words: &[&str]) -> Vec<String> {
    let lines = LINES.lock().unwrap();
    lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).cloned().collect()
}

fn guarded(policy: &str) -> Broker {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| tracing::subscriber::set_global_default(Lines).unwrap());
    let policy = Policy::parse(policy).unwrap();
    Broker::builder().bind("tcp://127.0.0.1:*").policy(policy).start().unwrap()
}

fn starting(broker: &Broker, id: &str) -> WorkerBuilder {
    Worker::builder().connect(&broker.endpoints()[0]).id(id).serve(echo())
}

const CALLS_ONLY: &str = "[anonymous]\ncall = ['*']";
const ALL: &str = "[anonymous]\ncall = ['*']\nserve = ['*']";
const DENIED: LossCause = LossCause::Said(DisconnectReason::Denied);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_right_backs_off_says_so_once_and_goes_on_when_it_gets_it() {
    let broker = guarded(CALLS_ONLY);
    let worker = starting(&broker, "eager").start().unwrap();
    // By the pauses: 0.1, 0.2, 0.4, 0.8, 1.6 s, or half of each.
    let begin = Instant::now();
    until(async || broker.stats().await.denied >= 6).await;
    assert!(begin.elapsed() > Duration::from_millis(1_500), "{:?}", begin.elapsed());
    let said = lines_with(&["peer refused", "id=\"eager\""]);
    assert_eq!(said.len(), 1, "{said:?}");
    for word in ["test.v1.Echo", "127.0.0.1", "policy"] {
        assert!(said[0].contains(word), "{word}: {said:?}");
    }
    assert_eq!(lines_with(&["session lost", "id=\"eager\""]), [""; 0]);
    let broker_is = broker.endpoints()[0].clone();
    let own = lines_with(&["disconnected", "test.v1.Echo", &broker_is, "policy"]);
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(own[0].contains("next_attempt_ms="), "{own:?}");
    assert_eq!(lines_with(&["=connected", &broker_is]).len(), 1, "before the first refusal");
    // Somebody gives it the right.
    broker.set_policy(Policy::parse(ALL).unwrap());
    let client = client(&broker).await;
    within(call(&client, "at last").send()).await.unwrap();
    assert!(matches!(*worker.state().borrow(), ConnectionState::Connected { .. }));
    until(async || lines_with(&["=connected", "id=\"eager\"", &broker_is]).len() == 2).await;
}

fn refused(ended: Result<(), ServeError>, expected: LossCause) {
    match ended {
        Err(ServeError::Stopped(WorkerFailure::Refused { cause, .. })) => {
            assert_eq!(cause, expected);
        }
        ended => panic!("{ended:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_ends_when_the_worker_was_refused_for_long_enough() {
    let broker = guarded(CALLS_ONLY);
    let begin = Instant::now();
    let patience = Duration::from_millis(700);
    refused(within(starting(&broker, "a").give_up_after(patience).run()).await, DENIED);
    assert!(begin.elapsed() >= patience);
    assert!(broker.stats().await.denied > 2);
    // At once.
    let before = broker.stats().await.denied;
    refused(within(starting(&broker, "b").give_up_after(Duration::ZERO).run()).await, DENIED);
    assert_eq!(broker.stats().await.denied, before + 1);
    // Its id is taken.
    broker.set_policy(Policy::parse(ALL).unwrap());
    let first = starting(&broker, "c").start().unwrap();
    let client = client(&broker).await;
    within(call(&client, "it serves").send()).await.unwrap();
    let taken = LossCause::Said(DisconnectReason::IdTaken);
    refused(within(starting(&broker, "c").give_up_after(patience).run()).await, taken);
    // A worker that served, and loses its right.
    broker.set_policy(Policy::parse("[anonymous]").unwrap());
    let mut state = first.state();
    within(state.wait_for(|state| *state == ConnectionState::Disconnected(DENIED))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_broker_does_not_know_is_a_refusal() {
    let keys = KeyPair::new().unwrap();
    let server = CurveServer::new(keys.clone());
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").curve(server).start().unwrap();
    let curve = CurveClient::new(*keys.public()).key_pair(KeyPair::new().unwrap());
    let worker = starting(&broker, "w").curve(curve).give_up_after(Duration::from_millis(500));
    refused(within(worker.run()).await, LossCause::Handshake);
    // A broker that is not there is none: it may come.
    let gone = broker.endpoints()[0].clone();
    broker.shutdown(Duration::ZERO).await;
    let worker = Worker::builder().connect(gone).serve(echo()).give_up_after(Duration::ZERO);
    let worker = worker.start().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(3), worker.stopped()).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_backs_off_too_and_is_told_of_once() {
    let broker = guarded("[[principal]]\nname = 'shop'\nkeys = []\n");
    let builder = Client::builder().connect(&broker.endpoints()[0]).id("curious");
    let _client = builder.open_lazy().unwrap();
    let begin = Instant::now();
    until(async || broker.stats().await.denied >= 6).await;
    assert!(begin.elapsed() > Duration::from_millis(1_500), "{:?}", begin.elapsed());
    let said = lines_with(&["peer refused", "id=\"curious\""]);
    assert_eq!(said.len(), 1, "{said:?}");
}
