//! Interceptors at clients and workers, over a broker and in memory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mdp_runtime::codegen::{
    self, Bytes, CallContext, CallKind, HandlerFuture, MethodSpec, Schema, Service, ServiceSpec,
};
use mdp_runtime::testing::{self, InMemory, TestBroker};
use mdp_runtime::{
    BidiStreaming, Broker, Call, Channel, Client, ClientStreaming, Code, ConnectionState,
    Interceptor, Next, Replies, Reply, Request, Requests, ServerStreaming, Status, Streaming,
    Worker, stream,
};
use support::{answering, call, echo, until, within};

/// Keeps what is connected.
struct Cluster {
    client: Client,
    _kept: Option<(Worker, TestBroker)>,
}

/// A service over a broker and in memory, with these interceptors at the worker: what holds for one holds for the other.
async fn both<S: Service>(
    service: impl Fn() -> S,
    interceptors: Vec<impl Interceptor + Clone>,
) -> [Cluster; 2] {
    let broker = testing::broker().unwrap();
    let (mut worker, mut memory) = (broker.worker().serve(service()), InMemory::new());
    for interceptor in interceptors {
        worker = worker.intercept(interceptor.clone());
        memory = memory.intercept(interceptor);
    }
    let worker = worker.start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = broker.client().await.unwrap();
    let memory = memory.serve(service()).client();
    [Cluster { client, _kept: Some((worker, broker)) }, Cluster { client: memory, _kept: None }]
}

fn none() -> Vec<Marker> {
    Vec::new()
}

type Trace = Arc<Mutex<Vec<String>>>;

/// Leaves a mark in the trace on the way in and out, in the metadata both ways, and in the message.
#[derive(Clone)]
struct Marker(&'static str, Trace);

impl Marker {
    fn trace(&self, what: &str) {
        self.1.lock().unwrap().push(format!("{}{what}", self.0));
    }
}

fn text(bytes: &Bytes) -> String {
    codegen::decode::<String>(&support::ECHO, bytes.clone()).unwrap()
}

impl Interceptor for Marker {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        self.trace(">");
        request.metadata_mut().append("way", self.0);
        let marked = format!("{}{}", text(request.bytes()), self.0);
        request.set_bytes(codegen::encode(&marked));
        let mut end = next.call(request).await;
        self.trace("<");
        match &mut end {
            Ok(reply) => {
                let marked = format!("{}{}", reply.message::<String>()?, self.0.to_uppercase());
                reply.set_bytes(codegen::encode(&marked));
                reply.metadata_mut().append("back", self.0);
            }
            Err(status) => status.metadata_mut().append("back", self.0),
        }
        end
    }
}

fn way(cx: &CallContext) -> String {
    cx.metadata().get_all("way").map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

/// Says which way the call came, in its metadata; "fail" fails.
fn telling() -> impl Service {
    answering(|cx, request| async move {
        cx.reply_metadata("way", way(&cx));
        cx.reply_metadata("back", "handler");
        match request.starts_with("fail") {
            true => Err(Status::not_found(request)),
            false => Ok(request),
        }
    })
}

#[tokio::test]
async fn the_first_is_the_outermost_and_each_sees_and_changes_both_ways() {
    let trace = Trace::default();
    let mark = |name| Marker(name, Arc::clone(&trace));
    for cluster in both(telling, vec![mark("c"), mark("d")]).await {
        let client = cluster.client.intercept(mark("a")).intercept(mark("b"));
        let reply = within(call(&client, "x").metadata("own", "1").send()).await.unwrap();
        assert_eq!(reply.message(), "xabcdDCBA");
        assert_eq!(reply.metadata().get_str("way"), Some("abcd"));
        let back = |metadata: &mdp_runtime::Metadata| {
            let all =
                metadata.get_all("back").map(|value| String::from_utf8_lossy(value).into_owned());
            all.collect::<Vec<_>>().join(",")
        };
        assert_eq!(back(reply.metadata()), "handler,d,c,b,a");
        assert_eq!(std::mem::take(&mut *trace.lock().unwrap()).concat(), "a>b>c>d>d<c<b<a<");

        let status = within(call(&client, "fail").send()).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::NotFound, "failabcd"));
        assert_eq!(back(status.metadata()), "handler,d,c,b,a");
        assert_eq!(status.method(), Some(support::ECHO.path));
        trace.lock().unwrap().clear();

        // The handle that was there before has none.
        assert_eq!(within(call(&cluster.client, "x").into_future()).await.unwrap(), "xcdDC");
        trace.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_builder_adds_them_too() {
    let trace = Trace::default();
    let mark = |name| Marker(name, Arc::clone(&trace));
    let broker = testing::broker().unwrap();
    let _worker = broker.serve(telling()).await.unwrap();
    let builder = broker.client_builder().intercept(mark("a")).intercept(mark("b"));
    let client = within(builder.open()).await.unwrap();
    assert_eq!(within(call(&client, "x").into_future()).await.unwrap(), "xabBA");
    let memory = InMemory::new().serve(telling());
    let client = Client::builder().intercept(mark("a")).over(memory.client()).intercept(mark("b"));
    assert_eq!(within(call(&client, "x").into_future()).await.unwrap(), "xabBA");
}

/// Answers by itself what it is not asked to pass on.
#[derive(Clone, Default)]
struct Guard {
    passed: Arc<AtomicUsize>,
}

impl Interceptor for Guard {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        match request.metadata().get_str("ask") {
            Some("cached") => Ok(Reply::new(&"cached".to_owned()).with_metadata("from", "guard")),
            Some("panic") => panic!("the guard fell over"),
            Some("in") => {
                self.passed.fetch_add(1, Ordering::SeqCst);
                next.call(request).await
            }
            _ => Err(Status::permission_denied("not without asking")),
        }
    }
}

#[tokio::test]
async fn one_answers_without_calling_on() {
    let ran = Arc::new(AtomicUsize::new(0));
    let service = || {
        let ran = Arc::clone(&ran);
        answering(move |_, request| {
            ran.fetch_add(1, Ordering::SeqCst);
            async move { Ok(request) }
        })
    };
    let guard = Guard::default();
    let at_worker = both(service, vec![guard.clone()]).await;
    let at_client = both(service, none())
        .await
        .map(|cluster| Cluster { client: cluster.client.intercept(guard.clone()), ..cluster });
    for (place, cluster) in at_worker.iter().chain(&at_client).enumerate() {
        let client = &cluster.client;
        let reply = within(call(client, "x").metadata("ask", "cached").send()).await.unwrap();
        assert_eq!(
            (reply.message().as_str(), reply.metadata().get_str("from")),
            ("cached", Some("guard"))
        );
        let status = within(call(client, "x").into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(status.message(), "not without asking");
        assert_eq!(ran.load(Ordering::SeqCst), place);
        assert_eq!(within(call(client, "x").metadata("ask", "in")).await.unwrap(), "x");
        assert_eq!(ran.load(Ordering::SeqCst), place + 1);
    }
    assert_eq!(guard.passed.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_panic_at_a_worker_is_internal() {
    for cluster in both(echo, vec![Guard::default()]).await {
        let panics = call(&cluster.client, "x").metadata("ask", "panic");
        let status = within(panics.into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        // Its slot is free, and the worker goes on.
        assert_eq!(within(call(&cluster.client, "x").metadata("ask", "in")).await.unwrap(), "x");
    }
}

#[tokio::test]
async fn an_interceptor_at_a_worker_sees_a_panic_of_the_handler() {
    let trace = Trace::default();
    let service = || {
        answering(|_, request: String| async move {
            assert!(request != "panica", "as it was told");
            Ok(request)
        })
    };
    for cluster in both(service, vec![Marker("a", Arc::clone(&trace))]).await {
        let status = within(call(&cluster.client, "panic").into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(std::mem::take(&mut *trace.lock().unwrap()).concat(), "a>a<");
    }
}

/// Writes down what it is told of calls.
#[derive(Clone)]
struct Curious(Trace);

impl Interceptor for Curious {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        let (service, name, kind) = (request.service(), request.name(), request.kind());
        let caller = request.context().map(|cx| String::from_utf8_lossy(cx.client()).into_owned());
        let (level, may) = (request.idempotency(), request.is_idempotent());
        let note = format!("{service} {name} {kind:?} {level:?} {may} {caller:?}");
        self.0.lock().unwrap().push(note);
        next.call(request).await
    }
}

#[tokio::test]
async fn one_is_told_the_method_and_at_a_worker_the_caller() {
    let notes = Curious(Trace::default());
    let client = InMemory::new().serve(echo()).intercept(notes.clone()).client();
    let client = client.intercept(notes.clone());
    within(call(&client, "x").idempotent()).await.unwrap();
    within(support::safe_call(&client, "x").into_future()).await.unwrap();
    let notes = notes.0.lock().unwrap();
    let expected = [
        "test.v1.Echo Echo Unary Unknown true None",
        "test.v1.Echo Echo Unary Unknown false Some(\"in-memory\")",
        "test.v1.Echo Safe Unary Idempotent true None",
        "test.v1.Echo Safe Unary Idempotent true Some(\"in-memory\")",
    ];
    assert_eq!(*notes, expected);
}

/// Calls on until it goes well.
#[derive(Clone)]
struct Stubborn;

impl Interceptor for Stubborn {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        for _ in 0..2 {
            if let Ok(reply) = next.call(request.clone()).await {
                return Ok(reply);
            }
        }
        next.call(request).await
    }
}

#[tokio::test]
async fn one_calls_on_several_times() {
    let service = || {
        let ran = AtomicUsize::new(0);
        answering(move |cx, _| {
            let ran = ran.fetch_add(1, Ordering::SeqCst) + 1;
            // What an attempt in vain has added goes nowhere.
            cx.reply_metadata("attempt", ran.to_string());
            async move {
                match ran % 3 {
                    0 => Ok(ran.to_string()),
                    _ => Err(Status::aborted("not yet")),
                }
            }
        })
    };
    let at_worker = both(service, vec![Stubborn]).await;
    let at_client = both(service, none())
        .await
        .map(|cluster| Cluster { client: cluster.client.intercept(Stubborn), ..cluster });
    for cluster in at_worker.iter().chain(&at_client) {
        let reply = within(call(&cluster.client, "x").send()).await.unwrap();
        assert_eq!(reply.message(), "3");
        let attempts: Vec<_> = reply.metadata().get_all("attempt").collect();
        assert_eq!(attempts, ["3"]);
    }
}

/// Never calls on, or gives the call a shorter time.
#[derive(Clone)]
struct Slow(Option<Duration>);

impl Interceptor for Slow {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        match self.0 {
            None => pending().await,
            Some(timeout) => {
                request.set_timeout(timeout);
                next.call(request).await
            }
        }
    }
}

#[tokio::test]
async fn the_deadline_holds_whatever_they_wait_for() {
    let timeout = Duration::from_millis(80);
    let at_worker = both(echo, vec![Slow(None)]).await;
    let at_client = both(echo, none())
        .await
        .map(|cluster| Cluster { client: cluster.client.intercept(Slow(None)), ..cluster });
    for cluster in at_worker.iter().chain(&at_client) {
        let begun = Instant::now();
        let status = within(call(&cluster.client, "x").timeout(timeout).into_future()).await;
        assert_eq!(status.unwrap_err().code(), Code::DeadlineExceeded);
        // A broker counts whole milliseconds.
        let soonest = timeout - Duration::from_millis(10);
        assert!(begun.elapsed() >= soonest, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_shorter_time_that_one_sets_holds() {
    let service = || {
        answering(|cx, request| async move {
            if request == "wait" {
                pending::<()>().await;
            }
            Ok(format!("{}", cx.time_left() <= Duration::from_millis(200)))
        })
    };
    let shorter = || Slow(Some(Duration::from_millis(200)));
    let at_worker = both(service, vec![shorter()]).await;
    let at_client = both(service, none())
        .await
        .map(|cluster| Cluster { client: cluster.client.intercept(shorter()), ..cluster });
    for cluster in at_worker.iter().chain(&at_client) {
        assert_eq!(within(call(&cluster.client, "x").into_future()).await.unwrap(), "true");
        let begun = Instant::now();
        let status = within(call(&cluster.client, "wait").into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn calls_of_a_handler_inherit_its_deadline_through_interceptors() {
    let inner = InMemory::new().serve(answering(|cx, _| async move {
        Ok(format!("{}", cx.time_left() <= Duration::from_millis(900)))
    }));
    let marker = Marker("", Trace::default());
    let inner = inner.client().intercept(marker.clone());
    let outer = || {
        let inner = inner.clone();
        answering(move |_, _| {
            let inner = inner.clone();
            async move { call(&inner, "x").await }
        })
    };
    for cluster in both(outer, vec![marker.clone()]).await {
        let timeout = Duration::from_millis(900);
        assert_eq!(within(call(&cluster.client, "x").timeout(timeout)).await.unwrap(), "true");
    }
}

#[tokio::test]
async fn a_dropped_call_drops_interceptors_and_handler() {
    let at_work = Arc::new(AtomicUsize::new(0));
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let service = || {
        let at_work = Arc::clone(&at_work);
        answering(move |cx, request| {
            let at_work = Arc::clone(&at_work);
            at_work.fetch_add(2, Ordering::SeqCst);
            let (here, there) = (Count(Arc::clone(&at_work)), Count(at_work));
            // A task of the handler's hears of it.
            tokio::spawn(async move {
                cx.cancelled().await;
                drop(there);
            });
            async move {
                pending::<()>().await;
                drop(here);
                Ok(request)
            }
        })
    };
    let marker = Marker("a", Trace::default());
    for cluster in both(service, vec![marker.clone()]).await {
        let client = cluster.client.intercept(marker.clone());
        let running = tokio::spawn(call(&client, "x").into_future());
        until(async || at_work.load(Ordering::SeqCst) == 2).await;
        running.abort();
        until(async || at_work.load(Ordering::SeqCst) == 0).await;
    }
}

#[tokio::test]
async fn state_and_end_are_those_of_the_client_below() {
    let broker = support::broker();
    let _worker = support::worker(&broker, echo()).await;
    let below = support::client(&broker).await;
    let client = below.intercept(Marker("a", Trace::default())).intercept(Stubborn);
    assert_eq!(*client.state().borrow(), *below.state().borrow());
    assert!(matches!(*client.state().borrow(), ConnectionState::Connected { .. }));
    within(client.shutdown(Duration::from_secs(1))).await;
    assert_eq!(*below.state().borrow(), ConnectionState::Closed);
    for client in [&client, &below] {
        let status = within(call(client, "x").into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::Cancelled);
    }
    // And from below.
    let below = support::client(&broker).await;
    let client = below.intercept(Slow(None));
    let running = tokio::spawn(call(&client, "x").into_future());
    within(below.shutdown(Duration::ZERO)).await;
    assert_eq!(*client.state().borrow(), ConnectionState::Closed);
    assert_eq!(within(running).await.unwrap().unwrap_err().code(), Code::Cancelled);
}

#[test]
fn a_thread_without_tokio_waits_through_interceptors() {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let broker: Broker = support::broker();
    let _worker = tokio.block_on(support::worker(&broker, echo()));
    let builder = Client::builder().connect(&broker.endpoints()[0]);
    let client = builder.intercept(Marker("a", Trace::default())).open_blocking().unwrap();
    assert_eq!(call(&client.handle(), "x").wait().unwrap(), "xaA");
    let further = client.handle().intercept(Marker("b", Trace::default()));
    assert_eq!(call(&further, "x").wait().unwrap(), "xabBA");
    client.shutdown(Duration::from_secs(1));
    assert_eq!(call(&further, "x").wait().unwrap_err().code(), Code::Cancelled);
}

// Streams.

const fn method(number: u32, path: &'static str, kind: CallKind) -> MethodSpec {
    MethodSpec::new(path, kind).with_number(number)
}

const COUNT: MethodSpec = method(0, "test.v1.Streams/Count", CallKind::ServerStreaming);
const SUM: MethodSpec = method(1, "test.v1.Streams/Sum", CallKind::ClientStreaming);
const MIRROR: MethodSpec = method(2, "test.v1.Streams/Mirror", CallKind::BidiStreaming);
static STREAMS: ServiceSpec =
    ServiceSpec { name: "test.v1.Streams", methods: &[COUNT, SUM, MIRROR] };

struct Streams;

impl Service for Streams {
    fn spec(&self) -> &'static ServiceSpec {
        &STREAMS
    }

    fn schema(&self) -> Schema {
        Schema::of_files(Vec::new())
    }

    fn call(&self, method: u32, cx: CallContext, body: Bytes) -> HandlerFuture {
        codegen::handling(async move {
            cx.reply_metadata("way", way(&cx));
            if method == 1 {
                let mut requests: Streaming<u64> = codegen::requests(&cx);
                let mut sum = 0;
                while let Some(number) = requests.message().await? {
                    sum += number;
                }
                return Ok(codegen::encode(&sum));
            }
            if method == 2 {
                let requests: Streaming<u64> = codegen::requests(&cx);
                return codegen::send_replies(&cx, requests).await;
            }
            let to = codegen::decode::<u64>(&COUNT, body)?;
            let (numbers, replies) = stream::channel(4);
            let count = async {
                for number in 0..to {
                    numbers.send(number).await.map_err(|_| Status::cancelled("over"))?;
                }
                drop(numbers);
                Ok::<(), Status>(())
            };
            let end = tokio::join!(count, codegen::send_replies(&cx, replies));
            end.1
        })
    }
}

fn count(client: &Client, to: u64) -> Call<u64, ServerStreaming> {
    static METHOD: MethodSpec = COUNT;
    Call::server_streaming(client, &METHOD, &to)
}

fn sum(client: &Client) -> Call<u64, ClientStreaming<u64>> {
    static METHOD: MethodSpec = SUM;
    Call::client_streaming(client, &METHOD)
}

fn mirror(client: &Client) -> Call<u64, BidiStreaming<u64>> {
    static METHOD: MethodSpec = MIRROR;
    Call::bidi_streaming(client, &METHOD)
}

async fn all(mut replies: Streaming<u64>) -> Result<Vec<u64>, Status> {
    let mut read = Vec::new();
    while let Some(number) = within(replies.message()).await? {
        read.push(number);
    }
    Ok(read)
}

/// Guards and marks calls of all kinds, and never looks at messages.
#[derive(Clone)]
struct Kinds(&'static str, Arc<AtomicUsize>);

impl Interceptor for Kinds {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        assert!(request.kind().is_stream());
        if request.metadata().get("deny").is_some() {
            return Err(Status::permission_denied(self.0));
        }
        request.metadata_mut().append("way", self.0);
        let twice = request.metadata().get("twice").is_some().then(|| request.clone());
        let mut end = next.call(request).await;
        if let Some(again) = twice {
            end = next.call(again).await;
        }
        self.1.fetch_add(1, Ordering::SeqCst);
        end
    }
}

#[tokio::test]
async fn streams_come_through_call_as_well() {
    let ends = Arc::new(AtomicUsize::new(0));
    let kinds = |name| Kinds(name, Arc::clone(&ends));
    for cluster in both(|| Streams, vec![kinds("c"), kinds("d")]).await {
        let client = cluster.client.intercept(kinds("a")).intercept(kinds("b"));
        let replies = within(count(&client, 5_000).into_future()).await.unwrap();
        assert_eq!(replies.metadata().get_str("way"), Some("abcd"));
        assert_eq!(all(replies).await.unwrap(), (0..5_000).collect::<Vec<_>>());
        let numbers = tokio_stream::iter(0..1_000);
        assert_eq!(within(sum(&client).send_all(numbers)).await.unwrap(), 499_500);
        let (mut requests, replies) = mirror(&client).start();
        let sending = tokio::spawn(async move {
            for number in 0..5_000_u64 {
                requests.send(number).await.unwrap();
            }
            requests.finish();
        });
        assert_eq!(all(replies).await.unwrap().len(), 5_000);
        within(sending).await.unwrap();
        until(async || ends.load(Ordering::SeqCst) == 12).await;
        ends.store(0, Ordering::SeqCst);
        // A guard for calls is a guard for streams.
        let denied = within(count(&client, 5).metadata("deny", "").into_future()).await;
        assert_eq!(denied.unwrap_err().code(), Code::PermissionDenied);
        let denied = within(count(&cluster.client, 5).metadata("deny", "").into_future()).await;
        assert_eq!(denied.unwrap_err().message(), "c");
        let (_requests, replies) = mirror(&cluster.client).metadata("deny", "").start();
        assert_eq!(all(replies).await.unwrap_err().message(), "c");
        // What has passed cannot come back.
        let numbers = tokio_stream::iter(0..10);
        let twice = sum(&cluster.client).metadata("twice", "").send_all(numbers);
        assert_eq!(within(twice).await.unwrap_err().code(), Code::FailedPrecondition);
        ends.store(0, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_stream_that_nobody_begins_ends_as_soon_as_without_interceptors() {
    let broker = testing::broker().unwrap();
    let builder = broker.client_builder().timeout(Duration::from_millis(100));
    let client = builder.open().await.unwrap();
    // The stream itself would have a day.
    for client in [client.intercept(Kinds("a", Arc::default())), client] {
        assert!(within(count(&client, 1).into_future()).await.is_err());
    }
}

/// Adds to each request, multiplies each reply; a number is too large for it.
#[derive(Clone)]
struct Arithmetic(u64);

impl Interceptor for Arithmetic {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        next.call(request).await
    }

    async fn stream(
        &self,
        request: Request,
        requests: Requests,
        replies: Replies,
        next: Next,
    ) -> Result<Reply, Status> {
        let by = self.0;
        let read = |bytes| codegen::decode::<u64>(&SUM, bytes);
        let requests = requests.map(move |bytes| match read(bytes)? {
            1_000_000 => Err(Status::out_of_range("too much of a request")),
            number => Ok(codegen::encode(&(number + by))),
        });
        let replies = replies.map(move |bytes| match read(bytes)? {
            66_666 => Err(Status::out_of_range("too much of a reply")),
            number => Ok(codegen::encode(&(number * by))),
        });
        next.stream(request, requests, replies).await
    }
}

#[tokio::test]
async fn messages_of_streams_are_seen_and_changed_both_ways() {
    let at_worker = both(|| Streams, vec![Arithmetic(2), Arithmetic(10)]).await;
    let at_client = both(|| Streams, none()).await.map(|cluster| Cluster {
        client: cluster.client.intercept(Arithmetic(2)).intercept(Arithmetic(10)),
        ..cluster
    });
    for cluster in at_worker.iter().chain(&at_client) {
        let client = &cluster.client;
        let replies = within(count(client, 3_000).into_future()).await.unwrap();
        assert_eq!(all(replies).await.unwrap(), (0..3_000).map(|n| n * 20).collect::<Vec<_>>());
        assert_eq!(within(sum(client).send_all(tokio_stream::iter(0..10))).await.unwrap(), 165);
        let (mut requests, replies) = mirror(client).start();
        let sending = tokio::spawn(async move {
            for number in 0..3_000_u64 {
                requests.send(number).await.unwrap();
            }
            requests.finish();
        });
        let mirrored = (0..3_000).map(|number| (number + 12) * 20).collect::<Vec<u64>>();
        assert_eq!(all(replies).await.unwrap(), mirrored);
        within(sending).await.unwrap();
        // A status of theirs is the call's end.
        let too_much = sum(client).send_all(tokio_stream::iter([1, 1_000_000, 1]));
        let status = within(too_much).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::OutOfRange, "too much of a request"));
        let replies = within(count(client, 70_000).into_future()).await.unwrap();
        assert_eq!(all(replies).await.unwrap_err().message(), "too much of a reply");
    }
}

/// A double that hands on what it gets.
struct Through(Client);

impl Channel for Through {
    async fn call(&self, request: Request) -> Result<Reply, Status> {
        Channel::call(&self.0, request).await
    }
}

#[tokio::test]
async fn a_client_with_interceptors_is_a_channel() {
    let client = Client::in_memory(telling()).intercept(Marker("b", Trace::default()));
    let client = Client::over(Through(client)).intercept(Marker("a", Trace::default()));
    assert_eq!(within(call(&client, "x").into_future()).await.unwrap(), "xabBA");
}
