//! Handlers that block their thread, as their method says.

#![allow(clippy::unwrap_used, clippy::panic)] // tests

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use mdp_runtime::{CallContext, Client, Code, MdpRecord, Status, Worker, mdp_service};
use support::{broker, client, until, within};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct Text {
    #[mdp(1)]
    text: String,
}

fn text(text: impl Into<String>) -> Text {
    Text { text: text.into() }
}

#[mdp_service(package = "test.v1")]
trait Threads {
    #[mdp(blocking)]
    fn block(&self, cx: &CallContext, req: Text) -> Result<Text, Status>;
    /// The request back.
    async fn free(&self, req: Text) -> Result<Text, Status>;
    /// How many milliseconds are left.
    async fn left(&self, cx: &CallContext) -> Result<Text, Status>;
}

type Handler = Box<dyn Fn(&CallContext, String) -> Result<Text, Status> + Send + Sync>;

struct Given(Handler);

impl Threads for Given {
    fn block(&self, cx: &CallContext, req: Text) -> Result<Text, Status> {
        (self.0)(cx, req.text)
    }

    async fn free(&self, req: Text) -> Result<Text, Status> {
        Ok(req)
    }

    async fn left(&self, cx: &CallContext) -> Result<Text, Status> {
        Ok(text(cx.time_left().as_millis().to_string()))
    }
}

fn blocking<F>(handler: F) -> ThreadsWorker<Given>
where
    F: Fn(&CallContext, String) -> Result<Text, Status> + Send + Sync + 'static,
{
    ThreadsWorker::new(Given(Box::new(handler)))
}

/// Where handlers wait until a test lets them go.
#[derive(Default)]
struct Gate {
    inside: AtomicUsize,
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        let waited = self.changed.wait_timeout_while(open, Duration::from_secs(20), |open| !*open);
        assert!(!waited.unwrap().1.timed_out(), "nobody opened the gate");
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }
}

/// Opened too if the test fails: a runtime waits for its threads.
struct Opener(Arc<Gate>);

impl Drop for Opener {
    fn drop(&mut self) {
        self.0.open();
    }
}

fn gate() -> (Arc<Gate>, Opener) {
    let gate = Arc::new(Gate::default());
    (Arc::clone(&gate), Opener(gate))
}

fn at_gate() -> (Arc<Gate>, Opener, ThreadsWorker<Given>) {
    let (gate, opener) = gate();
    let service = blocking({
        let gate = Arc::clone(&gate);
        move |_, request| {
            gate.pass();
            Ok(text(request))
        }
    });
    (gate, opener, service)
}

/// One thread for all that is async, and many handlers that block.
#[tokio::test]
async fn handlers_that_block_hold_up_nobody() {
    let broker = broker();
    let (gate, opener, service) = at_gate();
    let _worker = support::worker(&broker, service).await;
    let client = ThreadsClient::new(client(&broker).await);
    let stuck: Vec<_> = (0..16)
        .map(|number| tokio::spawn(client.block(text(number.to_string())).into_future()))
        .collect();
    until(async || gate.inside() == stuck.len()).await;
    for _ in 0..100 {
        assert_eq!(within(client.free(text("free")).into_future()).await.unwrap(), text("free"));
    }
    drop(opener);
    for (number, stuck) in stuck.into_iter().enumerate() {
        assert_eq!(within(stuck).await.unwrap().unwrap(), text(number.to_string()));
    }
}

/// Waits for a call to the same service, and says how much time that had.
fn nested(of: &Arc<OnceLock<Client>>) -> ThreadsWorker<Given> {
    let of = Arc::clone(of);
    blocking(move |_, request| {
        let client = ThreadsClient::new(of.get().unwrap().clone());
        match request.as_str() {
            "late" => client.left().timeout(Duration::from_secs(3_600)).wait(),
            _ => client.free(text(request)).wait(),
        }
    })
}

async fn waits_for_calls(client: Client, of: &OnceLock<Client>) {
    of.set(client.clone()).unwrap();
    let client = ThreadsClient::new(client);
    assert_eq!(within(client.block(text("in")).into_future()).await.unwrap(), text("in"));
    let late = client.block(text("late")).timeout(Duration::from_secs(15));
    let left: u64 = within(late.into_future()).await.unwrap().text.parse().unwrap();
    assert!(left <= 15_000, "the call had {left} ms, and its caller 15 s");
}

#[tokio::test]
async fn a_handler_that_blocks_may_wait_for_calls_which_end_with_it() {
    let broker = broker();
    let of = Arc::default();
    let _worker = support::worker(&broker, nested(&of)).await;
    waits_for_calls(client(&broker).await, &of).await;
}

#[tokio::test]
async fn so_it_may_in_memory() {
    let of = Arc::default();
    let joined = mdp_runtime::testing::InMemory::new().serve(nested(&of)).client();
    waits_for_calls(joined, &of).await;
}

#[tokio::test]
async fn a_panic_is_internal() {
    let broker = broker();
    let service = || blocking(|_, request| panic!("{request}"));
    let _worker = support::worker(&broker, service()).await;
    for client in [ThreadsClient::new(client(&broker).await), ThreadsClient::in_memory(service())] {
        let status = within(client.block(text("secret")).into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"), "{status}");
        assert_eq!(within(client.free(text("free")).into_future()).await.unwrap(), text("free"));
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_invalid() {
    let broker = broker();
    let _worker = support::worker(&broker, blocking(|_, request| Ok(text(request)))).await;
    static METHOD: mdp_runtime::codegen::MethodSpec = threads_service::methods::BLOCK;
    // A text that is no UTF-8.
    let call =
        mdp_runtime::Call::<()>::new(&client(&broker).await, &METHOD, &Bad { text: vec![255] });
    let status = within(call.into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[derive(MdpRecord)]
struct Bad {
    #[mdp(1)]
    text: Vec<u8>,
}

/// Goes on until it is told, and beyond that until the gate opens.
fn until_told(gate: &Arc<Gate>, told: &Arc<AtomicUsize>) -> ThreadsWorker<Given> {
    let (gate, told) = (Arc::clone(gate), Arc::clone(told));
    blocking(move |cx, request| {
        gate.inside.fetch_add(1, Ordering::SeqCst);
        let begin = Instant::now();
        while !cx.is_cancelled() && begin.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        told.fetch_add(usize::from(cx.is_cancelled()), Ordering::SeqCst);
        gate.pass();
        Ok(text(request))
    })
}

#[tokio::test]
async fn a_call_ends_though_its_thread_goes_on() {
    let broker = broker();
    let ((gate, opener), told) = (gate(), Arc::default());
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(3);
    let worker = worker.serve(until_told(&gate, &told)).start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = ThreadsClient::new(client(&broker).await);
    let stuck = tokio::spawn(client.block(text("stuck")).into_future());
    until(async || gate.inside() == 1).await;
    stuck.abort();
    assert_eq!(within(client.free(text("free")).into_future()).await.unwrap(), text("free"));
    until(async || told.load(Ordering::SeqCst) == 1).await;
    let late = client.block(text("late")).timeout(Duration::from_millis(50));
    let status = within(late.into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(within(client.free(text("free")).into_future()).await.unwrap(), text("free"));
    drop(opener);
}

#[tokio::test]
async fn in_memory_too_a_handler_that_blocks_is_told() {
    let ((gate, opener), told) = (gate(), Arc::default());
    let client = ThreadsClient::in_memory(until_told(&gate, &told));
    let stuck = tokio::spawn(client.block(text("stuck")).into_future());
    until(async || gate.inside() == 1).await;
    stuck.abort();
    until(async || told.load(Ordering::SeqCst) == 1).await;
    drop(opener);
}
