//! Handlers that run on after their call has ended keep their place in the worker's capacity.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // tests

mod support;

use std::collections::HashSet;
use std::future::IntoFuture;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mdp_runtime::{
    CallContext, Code, ConnectionState, Dialect, Interceptor, MdpRecord, Next, RawClient,
    RawWorker, Replier, Reply, Request, Responder, Status, Worker, mdp_service,
};
use support::{broker, client, until, within};

const LONG: Duration = Duration::from_secs(20);

#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct Number {
    #[mdp(1)]
    number: u32,
}

#[mdp_service(package = "test.v1")]
trait Gates {
    /// Waits for its number.
    #[mdp(blocking, idempotent)]
    fn pass(&self, req: Number) -> Result<Number, Status>;
    /// Does not wait.
    #[mdp(idempotent)]
    async fn free(&self, req: Number) -> Result<Number, Status>;
    /// The same, but not to be repeated.
    async fn once(&self, req: Number) -> Result<Number, Status>;
}

/// Threads wait here until a test opens their gates.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Inside>, Condvar)>);

#[derive(Default)]
struct Inside {
    now: usize,
    max: usize,
    begun: HashSet<u32>,
    open: HashSet<u32>,
    /// It was dropped: all are open.
    over: bool,
}

impl Gate {
    fn wait(&self, number: u32) {
        let (inside, changed) = &*self.0;
        let mut state = inside.lock().unwrap();
        state.now += 1;
        state.max = state.max.max(state.now);
        state.begun.insert(number);
        let shut = |state: &mut Inside| !state.over && !state.open.contains(&number);
        let (mut state, late) = changed.wait_timeout_while(state, LONG, shut).unwrap();
        state.now -= 1;
        drop(state);
        assert!(!late.timed_out(), "nobody opened gate {number}");
    }

    fn open(&self, number: u32) {
        self.0.0.lock().unwrap().open.insert(number);
        self.0.1.notify_all();
    }

    fn has_begun(&self, number: u32) -> bool {
        self.0.0.lock().unwrap().begun.contains(&number)
    }

    fn now(&self) -> usize {
        self.0.0.lock().unwrap().now
    }

    fn max(&self) -> usize {
        self.0.0.lock().unwrap().max
    }
}

/// Opens all gates, also if the test fails: a runtime waits for its threads.
struct Opener(Gate);

impl Drop for Opener {
    fn drop(&mut self) {
        self.0.0.0.lock().unwrap().over = true;
        self.0.0.1.notify_all();
    }
}

fn gate() -> (Gate, Opener) {
    let gate = Gate::default();
    (gate.clone(), Opener(gate))
}

impl Gates for Gate {
    fn pass(&self, req: Number) -> Result<Number, Status> {
        self.wait(req.number);
        assert_ne!(req.number, 13, "on purpose");
        Ok(req)
    }

    async fn free(&self, req: Number) -> Result<Number, Status> {
        Ok(req)
    }

    async fn once(&self, req: Number) -> Result<Number, Status> {
        Ok(req)
    }
}

fn number(number: u32) -> Number {
    Number { number }
}

async fn worker(broker: &mdp_runtime::Broker, gate: &Gate, capacity: u32) -> Worker {
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(capacity);
    let worker = worker.serve(GatesWorker::new(gate.clone())).start().unwrap();
    within(worker.connected()).await.unwrap();
    worker
}

/// A call whose thread runs on though nobody waits for it.
async fn leave_behind(client: &GatesClient, gate: &Gate, behind: u32) {
    let call = tokio::spawn(client.pass(number(behind)).into_future());
    until(async || gate.has_begun(behind)).await;
    call.abort();
}

#[tokio::test]
async fn a_call_waits_until_the_thread_of_an_ended_one_is_free() {
    let broker = broker();
    let (gate, _opener) = gate();
    let _worker = worker(&broker, &gate, 2).await;
    let client = GatesClient::new(client(&broker).await);
    leave_behind(&client, &gate, 1).await;
    // One place is left.
    assert_eq!(within(client.free(number(5)).into_future()).await.unwrap(), number(5));
    leave_behind(&client, &gate, 2).await;
    let calls: Vec<_> = (3..=4)
        .map(|next| tokio::spawn(client.pass(number(next)).timeout(LONG).into_future()))
        .collect();
    gate.open(1);
    until(async || gate.has_begun(3) || gate.has_begun(4)).await;
    gate.open(2);
    until(async || gate.has_begun(3) && gate.has_begun(4)).await;
    gate.open(3);
    gate.open(4);
    for call in calls {
        within(call).await.unwrap().unwrap();
    }
    assert_eq!(gate.max(), 2);
}

#[tokio::test]
async fn one_that_waits_in_vain_was_not_started() {
    let broker = broker();
    let (gate, _opener) = gate();
    let _worker = worker(&broker, &gate, 1).await;
    let client = GatesClient::new(client(&broker).await);
    leave_behind(&client, &gate, 1).await;
    let refused = client.once(number(2)).timeout(Duration::from_secs(4));
    let status = within(refused.into_future()).await.unwrap_err();
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    assert_eq!(status.reason().as_deref(), Some("NOT_DISPATCHED"));
    assert!(status.message().contains("still run"), "{status}");
    // Those that are given up while they wait leave nothing.
    for next in 10..100 {
        let call = tokio::spawn(client.pass(number(next)).into_future());
        tokio::task::yield_now().await;
        call.abort();
    }
    // One of them may get the permit before its worker hears that it was given up.
    (1..100).for_each(|next| gate.open(next));
    assert_eq!(within(client.free(number(3)).into_future()).await.unwrap(), number(3));
    assert_eq!(gate.max(), 1);
}

#[tokio::test]
async fn it_goes_to_another_worker_where_it_may() {
    let broker = broker();
    let (gate, _opener) = gate();
    let _full = worker(&broker, &gate, 1).await;
    let client = GatesClient::new(client(&broker).await);
    leave_behind(&client, &gate, 1).await;
    let call = tokio::spawn(client.free(number(2)).timeout(Duration::from_secs(4)).send());
    until(async || broker.stats().await.dispatched == 2).await;
    let other = worker(&broker, &gate, 1).await;
    let id = within(other.connected()).await.unwrap();
    let reply = within(call).await.unwrap().unwrap();
    assert_eq!((reply.worker(), reply.attempts()), (&*id, 2));
}

#[tokio::test]
async fn a_panic_gives_the_place_back() {
    let broker = broker();
    let (gate, _opener) = gate();
    let _worker = worker(&broker, &gate, 1).await;
    let client = GatesClient::new(client(&broker).await);
    leave_behind(&client, &gate, 13).await;
    let next = tokio::spawn(client.pass(number(1)).timeout(LONG).into_future());
    gate.open(13);
    gate.open(1);
    assert_eq!(within(next).await.unwrap().unwrap(), number(1));
    assert_eq!(gate.max(), 1);
}

#[tokio::test]
async fn a_worker_that_is_shut_down_waits_for_its_threads() {
    let broker = broker();
    let (gate, _opener) = gate();
    let worker = worker(&broker, &gate, 1).await;
    let client = GatesClient::new(client(&broker).await);
    leave_behind(&client, &gate, 1).await;
    let state = worker.state();
    let shutdown = tokio::spawn(worker.shutdown(Duration::from_secs(60)));
    until(async || *state.borrow() == ConnectionState::Closed).await;
    until(async || broker.stats().await.sessions == 1).await;
    assert!(!shutdown.is_finished() && gate.now() == 1);
    gate.open(1);
    within(shutdown).await.unwrap();
}

/// Leaves handlers little time, and calls them again.
struct Impatient {
    attempts: u32,
}

impl Interceptor for Impatient {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        request.set_timeout(Duration::from_millis(20));
        let mut ended = Err(Status::internal("never called"));
        for _ in 0..self.attempts {
            ended = next.clone().call(request.clone()).await;
            if ended.is_ok() {
                break;
            }
        }
        ended
    }
}

/// The call ends while its handler runs, or calls it again meanwhile.
#[tokio::test]
async fn interceptors_do_not_get_around_it() {
    for attempts in [1, 3] {
        let broker = broker();
        let (gate, _opener) = gate();
        let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(2);
        let worker = worker.intercept(Impatient { attempts });
        let worker = worker.serve(GatesWorker::new(gate.clone())).start().unwrap();
        within(worker.connected()).await.unwrap();
        let client = GatesClient::new(client(&broker).await);
        for next in 1..=10 {
            let call = client.pass(number(next)).timeout(Duration::from_millis(200));
            within(call.into_future()).await.unwrap_err();
        }
        assert_eq!((gate.now(), gate.max()), (2, 2), "{attempts} attempts");
        (1..=10).for_each(|next| gate.open(next));
        assert_eq!(within(client.free(number(3)).into_future()).await.unwrap(), number(3));
    }
}

/// A function that answers raw requests runs on too.
#[tokio::test]
async fn raw_handlers_keep_their_place() {
    let broker = broker();
    let (gate, _opener) = gate();
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(1);
    let inside = gate.clone();
    let worker = worker.serve_raw("raw", move |frames: Vec<Bytes>, replier| {
        let inside = inside.clone();
        async move {
            let number = u32::from(frames[0][0]);
            tokio::task::spawn_blocking(move || inside.wait(number)).await.unwrap();
            // An error means that nobody waits any more.
            let _ = replier.finish(frames);
        }
    });
    let worker = worker.start().unwrap();
    within(worker.connected()).await.unwrap();
    let open = || {
        let client = RawClient::builder().dialect(Dialect::Rpc);
        client.connect(&broker.endpoints()[0]).open().unwrap()
    };
    let (first, second) = (open(), open());
    let left = first.request("raw", vec![Bytes::from_static(&[1])]);
    until(async || gate.has_begun(1)).await;
    drop((left, first));
    let reply = second.request("raw", vec![Bytes::from_static(&[2])]);
    until(async || broker.stats().await.dispatched == 2).await;
    assert!(!gate.has_begun(2));
    gate.open(1);
    gate.open(2);
    assert_eq!(within(reply.last()).await.unwrap(), [Bytes::from_static(&[2])]);
    assert_eq!(gate.max(), 1);
}

/// A function that has answered and goes on counts, too.
#[tokio::test]
async fn a_raw_worker_runs_as_many_functions_as_it_has_capacity() {
    let broker = broker();
    for dialect in [Dialect::Rpc, Dialect::Mdp02] {
        let (gate, _opener) = gate();
        let worker = RawWorker::builder("raw").dialect(dialect).connect(&broker.endpoints()[0]);
        let mut worker = worker.capacity(2).start().unwrap();
        let inside = gate.clone();
        let serving = tokio::spawn(async move {
            let answer = |frames: Vec<Bytes>, replier: Replier| {
                let inside = inside.clone();
                async move {
                    let number = u32::from(frames[0][0]);
                    let _ = replier.finish(frames);
                    tokio::task::spawn_blocking(move || inside.wait(number)).await.unwrap();
                }
            };
            worker.serve(answer).await;
        });
        let client = RawClient::builder().dialect(Dialect::Rpc);
        let client = client.connect(&broker.endpoints()[0]).open().unwrap();
        let ask = |number: u8| client.request("raw", vec![Bytes::from(vec![number])]).last();
        for number in [1, 2] {
            within(ask(number)).await.unwrap();
            until(async || gate.has_begun(number.into())).await;
        }
        let third = tokio::spawn(ask(3));
        tokio::time::sleep(Duration::from_millis(200)).await; // it would have begun by now
        assert!(!gate.has_begun(3), "{dialect:?}");
        gate.open(1);
        within(third).await.unwrap().unwrap();
        until(async || gate.has_begun(3)).await;
        assert_eq!(gate.max(), 2, "{dialect:?}");
        serving.abort();
    }
}

#[mdp_service(package = "test.v1")]
trait Counter {
    /// Somebody at the counter answers.
    async fn ask(&self, cx: &CallContext) -> Result<(), Status>;
}

/// Those who have been asked to answer, and are at it.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<Vec<Responder<()>>>>);

impl Counter for Desk {
    async fn ask(&self, cx: &CallContext) -> Result<(), Status> {
        let (responder, answer) = cx.defer();
        self.0.lock().unwrap().push(responder);
        answer.await
    }
}

/// Calls whose answer somebody else gives: who is at work on one that is over keeps its place.
#[tokio::test]
async fn what_is_deferred_keeps_its_place() {
    let (broker, desk) = (broker(), Desk::default());
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(2);
    let worker = worker.serve(CounterWorker::new(desk.clone())).start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = CounterClient::new(client(&broker).await);
    let deferred = || desk.0.lock().unwrap().len();
    for _ in 0..20 {
        let _ = client.ask().timeout(Duration::from_millis(20)).await;
    }
    assert_eq!(deferred(), 2);
    let next = tokio::spawn(client.ask().timeout(LONG).into_future());
    let first = desk.0.lock().unwrap().remove(0);
    first.reply(()); // to nobody
    until(async || deferred() == 2).await;
    let last = desk.0.lock().unwrap().pop().unwrap();
    last.reply(());
    within(next).await.unwrap().unwrap();
}

#[mdp_service(package = "test.v1")]
trait Keeper {
    #[mdp(blocking)]
    fn keep(&self, cx: &CallContext) -> Result<(), Status>;
}
#[derive(Default)]
struct Kept(Mutex<Vec<CallContext>>);
impl Keeper for Kept {
    fn keep(&self, cx: &CallContext) -> Result<(), Status> {
        self.0.lock().unwrap().push(cx.clone());
        Ok(())
    }
}

/// What a handler hears of a call does not matter: only its end does.
#[tokio::test]
async fn a_context_that_is_kept_keeps_no_place() {
    let broker = broker();
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(1);
    let worker = worker.serve(KeeperWorker::new(Kept::default())).start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = KeeperClient::new(client(&broker).await);
    for _ in 0..5 {
        within(client.keep().into_future()).await.unwrap();
    }
}
