//! The testing kit. What a caller and a handler see in memory is what they see over a broker, so most tests
//! here run both ways.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mdp_runtime::codegen::{Idempotency, MethodSpec};
use mdp_runtime::testing::{self, InMemory, TestBroker};
use mdp_runtime::{
    Broker, Call, CallContext, Channel, Client, Code, ConnectionState, Detail, Reply, Request,
    Status, Worker,
};
use support::{Echo, answering, call, echo, missing_call, safe_call, until, within};
use tokio::sync::mpsc;

const SHORT: Duration = Duration::from_millis(50);

/// A client, and what has to live as long as it: the worker goes first, to take its leave.
struct Setup {
    client: Client,
    name: &'static str,
    _running: Option<(Worker, TestBroker)>,
}

/// The service over a broker, with the ids that there are in memory; and in memory.
async fn setups(service: impl Fn() -> Echo) -> [Setup; 2] {
    let broker = testing::broker().unwrap();
    let worker = broker.worker().id("in-memory").serve(service()).start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = within(broker.client_builder().id("in-memory").open()).await.unwrap();
    [
        Setup { client, name: "broker", _running: Some((worker, broker)) },
        Setup { client: Client::in_memory(service()), name: "in memory", _running: None },
    ]
}

/// Does the same both ways, and compares what comes of it.
async fn same<T, F>(service: impl Fn() -> Echo, ask: impl Fn(Client) -> F) -> T
where
    T: PartialEq + std::fmt::Debug,
    F: Future<Output = T>,
{
    let [broker, memory] = setups(service).await;
    let over_broker = within(ask(broker.client.clone())).await;
    let in_memory = within(ask(memory.client.clone())).await;
    assert_eq!(over_broker, in_memory);
    in_memory
}

#[tokio::test]
async fn a_handler_sees_the_call_and_the_caller_sees_what_it_gives() {
    let service = || {
        answering(async |cx, request| {
            let tenants: Vec<_> = cx.metadata().get_all("tenant").cloned().collect();
            cx.reply_metadata("seen", request.clone());
            cx.reply_metadata("raw", vec![0, 255]);
            let client = String::from_utf8_lossy(cx.client()).into_owned();
            Ok(format!("{} {} {client} {tenants:?}", cx.method(), cx.attempt()))
        })
    };
    let ask = |client: Client| async move {
        let call = call(&client, "hello").metadata("tenant", "a").metadata("tenant", "b");
        call.to_worker("in-memory").send().await
    };
    let response = same(service, ask).await.unwrap();
    assert_eq!(response.message(), r#"test.v1.Echo/Echo 1 in-memory [b"a", b"b"]"#);
    assert_eq!(response.metadata().get_str("seen"), Some("hello"));
    assert_eq!(response.metadata().get("raw").unwrap().as_ref(), [0, 255]);
    assert_eq!((response.worker(), response.attempts()), (b"in-memory".as_slice(), 1));
}

#[tokio::test]
async fn large_messages_come_through() {
    let ask = async |client: Client| call(&client, &"x".repeat(100_000)).await;
    assert_eq!(same(echo, ask).await.unwrap().len(), 100_000);
}

#[tokio::test]
async fn each_way_to_fail_is_the_same() {
    let service = || {
        answering(|cx, request| {
            assert_ne!(request, "panic before the future");
            async move {
                cx.reply_metadata("beside", "it");
                match request.as_str() {
                    "status" => {
                        let detail = Detail { type_url: "a/b".into(), value: vec![1].into() };
                        let details = vec![detail];
                        let mut status = Status::with_details(Code::DataLoss, "torn", details);
                        status.metadata_mut().insert("page", "7");
                        Err(status)
                    }
                    "ok" => Err(Status::new(Code::Ok, "a failure?")),
                    "upstream" => call(&Client::in_memory(refusing()), "").await,
                    "panic" => panic!("a secret"),
                    _ => Ok(request),
                }
            }
        })
    };
    let failed = async |text: &'static str| {
        let ask = async |client: Client| call(&client, text).await;
        same(service, ask).await.unwrap_err()
    };
    let status = failed("status").await;
    assert_eq!(status.to_string(), "DATA_LOSS: test.v1.Echo/Echo: torn");
    assert_eq!((status.details().len(), status.not_started()), (1, false));
    assert_eq!(status.metadata().get_str("page"), Some("7"));
    assert_eq!(status.metadata().get_str("beside"), Some("it"));
    assert_eq!(failed("ok").await.code(), Code::Internal);
    let status = failed("upstream").await;
    assert_eq!((status.code(), status.message()), (Code::NotFound, "nobody"));
    assert_eq!(status.metadata().len(), 1, "{status:?}");
    for text in ["panic", "panic before the future"] {
        let status = failed(text).await;
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.message(), "the handler of test.v1.Echo/Echo panicked");
    }
}

/// Refuses everybody, with metadata that is for its own caller.
fn refusing() -> Echo {
    answering(|_, _| async {
        let mut status = Status::not_found("nobody");
        status.metadata_mut().insert("private", "to the caller");
        Err(status)
    })
}

#[tokio::test]
async fn what_cannot_be_read_or_found_is_the_same() {
    static ECHO: MethodSpec = support::ECHO;
    let request = async |client: Client| Call::<String>::new(&client, &ECHO, &7_u32).await;
    let status = same(echo, request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let reply =
        async |client: Client| Call::<u32>::new(&client, &ECHO, &String::from("words")).await;
    assert_eq!(same(echo, reply).await.unwrap_err().code(), Code::Internal);
    let method = async |client: Client| missing_call(&client).await;
    assert_eq!(same(echo, method).await.unwrap_err().code(), Code::Unimplemented);
    let worker = async |client: Client| call(&client, "").to_worker("another").await;
    let status = same(echo, worker).await.unwrap_err();
    assert_eq!(status.reason().as_deref(), Some("NO_WORKER"));
    assert!(status.not_started());
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_at_once() {
    let impatient = TestBroker::start(Broker::builder().wait_for_worker(false)).unwrap();
    let without = within(impatient.client()).await.unwrap();
    let over_broker = within(call(&without, "").into_future()).await.unwrap_err();
    let in_memory = call(&InMemory::new().client(), "").await.unwrap_err();
    assert_eq!(over_broker, in_memory);
    assert_eq!((in_memory.code(), in_memory.not_started()), (Code::Unavailable, true));
}

/// Tells what becomes of its handlers.
#[derive(Clone, Default)]
struct Watched {
    started: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    told: Arc<AtomicUsize>,
}

impl Watched {
    /// Never answers.
    fn stuck(&self) -> Echo {
        let watched = self.clone();
        answering(move |cx: CallContext, _| {
            let Watched { started, dropped, told } = watched.clone();
            let task = cx.clone();
            tokio::spawn(async move {
                task.cancelled().await;
                told.fetch_add(1, Ordering::SeqCst);
            });
            async move {
                let _guard = Count(dropped);
                started.fetch_add(1, Ordering::SeqCst);
                pending().await
            }
        })
    }

    fn counts(&self) -> [usize; 3] {
        [&self.started, &self.dropped, &self.told].map(|count| count.load(Ordering::SeqCst))
    }

    async fn reach(&self, counts: [usize; 3]) {
        until(async || self.counts() == counts).await;
    }
}

struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn at_the_deadline_the_caller_is_told_and_the_handler_stopped() {
    let watched = Watched::default();
    for (count, setup) in setups(|| watched.stuck()).await.iter().enumerate() {
        let status =
            within(call(&setup.client, "").timeout(SHORT).into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{}", setup.name);
        assert_eq!(status.reason().as_deref(), Some("DEADLINE_EXCEEDED"), "{}", setup.name);
        assert!(!status.not_started(), "{}", setup.name);
        watched.reach([count + 1; 3]).await;
    }
}

#[tokio::test]
async fn without_time_no_handler_is_started() {
    let watched = Watched::default();
    for setup in setups(|| watched.stuck()).await {
        let status = within(call(&setup.client, "").timeout(Duration::ZERO).into_future()).await;
        assert_eq!(status.unwrap_err().code(), Code::DeadlineExceeded, "{}", setup.name);
    }
    assert_eq!(watched.counts(), [0, 0, 0]);
}

#[tokio::test]
async fn a_call_that_is_dropped_stops_its_handler() {
    let watched = Watched::default();
    for (count, setup) in setups(|| watched.stuck()).await.iter().enumerate() {
        let running = tokio::spawn(call(&setup.client, "").into_future());
        watched.reach([count + 1, count, count]).await;
        running.abort();
        watched.reach([count + 1; 3]).await;
    }
}

#[tokio::test]
async fn a_handler_goes_on_while_nobody_polls_the_call() {
    let watched = Watched::default();
    let client = Client::in_memory(watched.stuck());
    let mut running = call(&client, "").send();
    let polled = std::pin::Pin::new(&mut running).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending));
    watched.reach([1, 0, 0]).await;
}

#[tokio::test]
async fn a_handler_that_has_ended_is_not_cancelled() {
    let (context, mut contexts) = mpsc::unbounded_channel();
    let client = Client::in_memory(answering(move |cx: CallContext, request| {
        context.send(cx).unwrap();
        async move { Ok(request) }
    }));
    call(&client, "").await.unwrap();
    assert!(!contexts.recv().await.unwrap().is_cancelled());
}

#[tokio::test]
async fn calls_that_a_handler_makes_end_with_it() {
    let left = answering(|cx, _| async move { Ok(cx.time_left().as_millis().to_string()) });
    let upstream = Client::in_memory(left);
    let front = Client::in_memory(answering(move |_, request| {
        let call = call(&upstream, "");
        if request == "detached" { call.detached() } else { call }.into_future()
    }));
    for (request, max) in [("", 2_000), ("detached", 10_000)] {
        let left = call(&front, request).timeout(Duration::from_secs(2)).await.unwrap();
        let left: u64 = left.parse().unwrap();
        assert!(left <= max && left + 1_500 > max, "{request}: {left}");
    }
}

#[tokio::test]
async fn somebody_else_may_answer() {
    let service = || {
        answering(|cx, request| {
            let (responder, answer) = cx.defer();
            match request.as_str() {
                "drop" => drop(responder),
                _ => drop(std::thread::spawn(move || responder.reply(request))),
            }
            answer
        })
    };
    let ask = async |client: Client| (call(&client, "later").await, call(&client, "drop").await);
    let (later, dropped) = same(service, ask).await;
    assert_eq!(later.unwrap(), "later");
    assert_eq!(dropped.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn a_client_that_is_shut_down_ends_its_calls() {
    let watched = Watched::default();
    for (count, setup) in setups(|| watched.stuck()).await.iter().enumerate() {
        let (client, name) = (&setup.client, setup.name);
        assert!(matches!(*client.state().borrow(), ConnectionState::Connected { .. }), "{name}");
        let running = tokio::spawn(call(client, "").into_future());
        watched.reach([count + 1, count, count]).await;
        within(client.shutdown(SHORT)).await;
        let status = within(running).await.unwrap().unwrap_err();
        assert_eq!((status.code(), status.not_started()), (Code::Cancelled, false), "{name}");
        let status = within(call(client, "").into_future()).await.unwrap_err();
        assert_eq!((status.code(), status.not_started()), (Code::Cancelled, true), "{name}");
        assert_eq!(*client.state().borrow(), ConnectionState::Closed, "{name}");
        watched.reach([count + 1; 3]).await;
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_what_runs() {
    let (started, mut starts) = mpsc::unbounded_channel();
    let client = Client::in_memory(answering(move |_, request| {
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        started.send(go).unwrap();
        async move { gone.await.map(|()| request).map_err(|_| Status::aborted("not let go")) }
    }));
    let running = tokio::spawn(call(&client, "late").into_future());
    let go = within(starts.recv()).await.unwrap();
    let mut shutdown = Box::pin(client.shutdown(Duration::from_secs(20)));
    let polled = shutdown.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    let status = call(&client, "").await.unwrap_err();
    assert_eq!(status.message(), "the client was closed");
    go.send(()).unwrap();
    within(shutdown).await;
    assert_eq!(within(running).await.unwrap().unwrap(), "late");
}

#[tokio::test]
async fn several_services_are_told_apart() {
    let first = answering(|_, _| async { Ok("first".to_owned()) });
    let client = InMemory::new().serve(first).serve(echo()).client();
    assert_eq!(call(&client, "").await.unwrap(), "first");
    static OTHER: MethodSpec = MethodSpec { service: "test.v1.Other", ..support::ECHO };
    let status = Call::<String>::new(&client, &OTHER, &String::new()).await.unwrap_err();
    assert_eq!(status.reason().as_deref(), Some("NO_SERVICE"));
}

/// In a program without tokio there is none in a test either.
#[test]
fn threads_wait_without_a_runtime() {
    let watched = Watched::default();
    let client = Client::in_memory(answering(|cx, request| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        cx.reply_metadata("beside", "it");
        Ok(request)
    }));
    let response = call(&client, "hello").wait_response().unwrap();
    assert_eq!(
        (response.message().as_str(), response.worker()),
        ("hello", b"in-memory".as_slice())
    );
    assert_eq!(response.metadata().get_str("beside"), Some("it"));

    let stuck = Client::in_memory(watched.stuck());
    let status = call(&stuck, "").timeout(SHORT).wait().unwrap_err();
    assert_eq!(
        status.message(),
        "the deadline passed before an answer came; the handler may have run"
    );
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while watched.counts() != [1, 1, 1] && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(watched.counts(), [1, 1, 1]);

    let refused = call(&Client::over(Double::default()), "refused").wait().unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

/// A test double: it notes what it is asked.
#[derive(Clone, Default)]
struct Double {
    asked: Arc<Mutex<Vec<Request>>>,
    next: Option<Client>,
}

impl Double {
    fn last(&self) -> Request {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

impl Channel for Double {
    async fn call(&self, request: Request) -> Result<Reply, Status> {
        self.asked.lock().unwrap().push(request.clone());
        match (&self.next, request.message::<String>()?.as_str()) {
            (Some(next), _) => next.call(request).await,
            (None, "stuck") => pending().await,
            (None, "refused") => Err(Status::permission_denied("not you")),
            (None, text) => {
                let reply = Reply::new(&format!("{text}, they say"));
                Ok(reply.with_metadata("from", "double").with_worker("d-1"))
            }
        }
    }
}

#[tokio::test]
async fn a_double_sees_all_of_a_call_and_gives_all_of_a_reply() {
    let double = Double::default();
    let client = Client::over(double.clone());
    let asked = call(&client, "rain").metadata("tenant", "acme").timeout(SHORT);
    let response = asked.to_worker("w-7").send().await.unwrap();
    assert_eq!(response.message(), "rain, they say");
    assert_eq!(response.metadata().get_str("from"), Some("double"));
    assert_eq!((response.worker(), response.attempts()), (b"d-1".as_slice(), 1));
    let asked = double.last();
    assert_eq!(asked.method(), "test.v1.Echo/Echo");
    assert_eq!((asked.service(), asked.name()), ("test.v1.Echo", "Echo"));
    assert_eq!(asked.metadata().get_str("tenant"), Some("acme"));
    assert_eq!((asked.timeout(), asked.worker()), (SHORT, Some(b"w-7".as_slice())));
    assert!(!asked.is_idempotent());

    safe_call(&client, "").await.unwrap();
    let asked = double.last();
    assert!(asked.is_idempotent());
    assert_eq!((asked.name(), asked.worker()), ("Safe", None));
    assert_eq!(asked.timeout(), mdp_runtime::DEFAULT_TIMEOUT);
    call(&client, "").idempotent().await.unwrap();
    assert!(double.last().is_idempotent());
}

#[tokio::test]
async fn a_double_refuses_or_leaves_the_caller_waiting() {
    let client = Client::builder().timeout(SHORT).over(Double::default());
    let status = call(&client, "refused").await.unwrap_err();
    assert_eq!(status.to_string(), "PERMISSION_DENIED: test.v1.Echo/Echo: not you");
    let status = within(call(&client, "stuck").into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_timeout_of_a_method_goes_before_that_of_the_client() {
    static QUICK: MethodSpec = MethodSpec {
        timeout_ms: Some(7),
        retry_attempts: None,
        idempotency: Idempotency::NoSideEffects,
        ..support::ECHO
    };
    let double = Double::default();
    let client = Client::builder().timeout(Duration::from_secs(60)).over(double.clone());
    Call::<String>::new(&client, &QUICK, &String::new()).await.unwrap();
    assert_eq!(double.last().timeout(), Duration::from_millis(7));
    call(&client, "").await.unwrap();
    assert_eq!(double.last().timeout(), Duration::from_secs(60));
}

/// A client is a channel, so a double may stand before it and see what goes by.
#[tokio::test]
async fn a_double_hands_calls_on() {
    let service = || {
        answering(async |cx, request| {
            let tenant = cx.metadata().get_str("tenant").unwrap_or("none").to_owned();
            let left = cx.time_left();
            cx.reply_metadata("left", if left > SHORT { "much" } else { "little" });
            match request.as_str() {
                "fail" => Err(Status::out_of_range(tenant)),
                _ => Ok(format!("{request} of {tenant}")),
            }
        })
    };
    for setup in setups(service).await {
        let double = Double { next: Some(setup.client.clone()), ..Double::default() };
        let client = Client::over(double.clone());
        let asked = call(&client, "rain").metadata("tenant", "acme").timeout(SHORT);
        let response = within(asked.to_worker("in-memory").send()).await.unwrap();
        assert_eq!(response.message(), "rain of acme", "{}", setup.name);
        assert_eq!(response.metadata().get_str("left"), Some("little"), "{}", setup.name);
        assert_eq!(response.worker(), b"in-memory", "{}", setup.name);
        let status = within(safe_call(&client, "fail").into_future()).await.unwrap_err();
        assert_eq!(status.to_string(), "OUT_OF_RANGE: test.v1.Echo/Safe: none", "{}", setup.name);
        assert_eq!(status.metadata().get_str("left"), Some("much"), "{}", setup.name);
        assert_eq!(double.asked.lock().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn brokers_for_tests_stand_side_by_side() {
    let brokers = [testing::broker().unwrap(), testing::broker().unwrap()];
    let mut workers = Vec::new();
    for (broker, name) in brokers.iter().zip(["one", "two"]) {
        let service = answering(move |_, _| async move { Ok(name.to_owned()) });
        workers.push(within(broker.serve(service)).await.unwrap());
    }
    for (broker, name) in brokers.iter().zip(["one", "two"]) {
        let client = within(broker.client()).await.unwrap();
        assert_eq!(within(call(&client, "").into_future()).await.unwrap(), name);
        let stats = broker.stats().await;
        assert_eq!((stats.sessions, stats.requests), (2, 1));
    }
    // A peer with settings of its own finds the way by the runtime.
    let endpoint = &brokers[1].endpoints()[0];
    let client = Client::builder().context(brokers[1].context()).connect(endpoint);
    let client = within(client.open()).await.unwrap();
    assert_eq!(within(call(&client, "").into_future()).await.unwrap(), "two");
}
