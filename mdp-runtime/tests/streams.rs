//! Streams over a broker: in order, within their window, with one end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use mdp_runtime::codegen::{
    self, Bytes, CallContext, CallKind, HandlerFuture, MethodSpec, Schema, Service, ServiceSpec,
};
use mdp_runtime::{
    BidiStreaming, Broker, Call, Client, ClientStreaming, Code, Interceptor, Next, Replies, Reply,
    Request, Requests, ServerStreaming, Status, Stream, Streaming, Worker, stream,
};
use support::{broker, client, start, until, within};

const fn method(number: u32, path: &'static str, kind: CallKind) -> MethodSpec {
    MethodSpec::new(path, kind).with_number(number)
}

const COUNT: MethodSpec = method(0, "test.v1.Streams/Count", CallKind::ServerStreaming);
const SUM: MethodSpec = method(1, "test.v1.Streams/Sum", CallKind::ClientStreaming);
const MIRROR: MethodSpec = method(2, "test.v1.Streams/Mirror", CallKind::BidiStreaming);
const ONE: MethodSpec = method(3, "test.v1.Streams/One", CallKind::Unary);
static SERVICE: ServiceSpec =
    ServiceSpec { name: "test.v1.Streams", methods: &[COUNT, SUM, MIRROR, ONE] };

/// The handler fails at this number.
const ABORT: u64 = 1 << 40;
/// And reads no more after this one.
const STOP: u64 = 1 << 41;
/// A longer count fails here.
const TOO_FAR: u64 = 50_000;

/// Counts up, sums up and mirrors. `made` is how many replies it has made, `read` how many requests it has read.
#[derive(Clone, Default)]
struct Streams {
    made: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

/// A count up to a number; above [`TOO_FAR`] it fails there.
struct CountUp {
    next: u64,
    to: u64,
    made: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

impl Stream for CountUp {
    type Item = Result<u64, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        let number = self.next;
        self.next += 1;
        self.made.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(match number {
            TOO_FAR => Some(Err(Status::out_of_range("that is enough"))),
            number if number < self.to => Some(Ok(number)),
            _ => None,
        })
    }
}

impl Drop for CountUp {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Streams {
    fn count(&self, to: u64) -> CountUp {
        let (made, dropped) = (Arc::clone(&self.made), Arc::clone(&self.dropped));
        CountUp { next: 0, to, made, dropped }
    }
}

impl Service for Streams {
    fn spec(&self) -> &'static ServiceSpec {
        &SERVICE
    }

    fn schema(&self) -> Schema {
        Schema::of_files(Vec::new())
    }

    fn call(&self, method: u32, cx: CallContext, body: Bytes) -> HandlerFuture {
        let this = self.clone();
        match method {
            0 => codegen::handling(async move {
                let to = codegen::decode::<u64>(&COUNT, body)?;
                cx.reply_metadata("leading", "yes");
                let counting = this.count(to);
                codegen::send_replies(&cx, counting).await
            }),
            1 => codegen::handling(async move {
                let mut requests: Streaming<u64> = codegen::requests(&cx);
                let mut sum = 0;
                while let Some(number) = requests.message().await? {
                    this.read.fetch_add(1, Ordering::Relaxed);
                    sum += number;
                    if number == ABORT {
                        return Err(Status::aborted("not that one"));
                    }
                    if number == STOP {
                        std::future::pending::<()>().await;
                    }
                }
                Ok(codegen::encode(&sum))
            }),
            2 => codegen::handling(async move {
                let requests: Streaming<u64> = codegen::requests(&cx);
                cx.reply_metadata("leading", "yes");
                codegen::send_replies(&cx, requests).await
            }),
            _ => codegen::handling(async move { Ok(codegen::encode(&1_u64)) }),
        }
    }
}

struct Cluster {
    broker: Broker,
    _worker: Worker,
    client: Client,
    streams: Streams,
}

async fn cluster() -> Cluster {
    with_broker(broker()).await
}

async fn with_broker(broker: Broker) -> Cluster {
    let streams = Streams::default();
    let builder = Worker::builder().connect(&broker.endpoints()[0]).serve(streams.clone());
    let worker = builder.start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = client(&broker).await;
    Cluster { broker, _worker: worker, client, streams }
}

impl Cluster {
    fn count(&self, to: u64) -> Call<u64, ServerStreaming> {
        Call::server_streaming(&self.client, &COUNT, &to)
    }

    fn sum(&self) -> Call<u64, ClientStreaming<u64>> {
        Call::client_streaming(&self.client, &SUM)
    }

    fn mirror(&self) -> Call<u64, BidiStreaming<u64>> {
        Call::bidi_streaming(&self.client, &MIRROR)
    }

    fn one(&self) -> Call<u64> {
        Call::new(&self.client, &ONE, &0_u64)
    }

    async fn quiet(&self) {
        until(async || self.broker.stats().await.running == 0).await;
    }
}

/// Numbers as a stream of requests.
struct Numbers(std::ops::Range<u64>);

impl Stream for Numbers {
    type Item = u64;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Option<u64>> {
        Poll::Ready(self.0.next())
    }
}

#[tokio::test]
async fn replies_come_in_order_and_end() {
    let cluster = cluster().await;
    for length in [0, 1, 100, 20_000] {
        let mut replies = within(cluster.count(length).into_future()).await.unwrap();
        assert_eq!(&replies.metadata().get("leading").unwrap()[..], b"yes");
        for number in 0..length {
            assert_eq!(within(replies.message()).await.unwrap(), Some(number));
        }
        assert_eq!(replies.trailers(), None);
        assert_eq!(within(replies.message()).await.unwrap(), None);
        assert!(replies.trailers().is_some());
        assert_eq!(within(replies.message()).await.unwrap(), None);
    }
    cluster.quiet().await;
}

#[tokio::test]
async fn a_status_ends_a_stream_after_what_came_before_it() {
    let cluster = cluster().await;
    let mut replies = cluster.count(TOO_FAR + 1).start();
    assert!(replies.metadata().is_empty());
    let mut count = 0;
    let status = loop {
        match within(replies.message()).await {
            Ok(Some(number)) => assert_eq!(number, std::mem::replace(&mut count, number + 1)),
            Ok(None) => panic!("it ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), count), (Code::OutOfRange, TOO_FAR));
    assert_eq!(&replies.metadata().get("leading").unwrap()[..], b"yes");
    assert_eq!(status.method(), Some("test.v1.Streams/Count"));
    assert_eq!(within(replies.message()).await.unwrap(), None);
}

#[tokio::test]
async fn requests_come_in_order_and_are_answered_once() {
    let cluster = cluster().await;
    for length in [0_u64, 1, 3, 10_000] {
        let sum = within(cluster.sum().send_all(Numbers(0..length))).await.unwrap();
        assert_eq!(sum, length * length.saturating_sub(1) / 2);
    }
    let (mut sender, reply) = cluster.sum().start();
    sender.send(5_u64).await.unwrap();
    sender.send(6_u64).await.unwrap();
    sender.finish();
    assert_eq!(within(reply.response()).await.unwrap().into_message(), 11);
    cluster.quiet().await;
}

#[tokio::test]
async fn a_handler_may_end_a_call_before_its_requests_do() {
    let cluster = cluster().await;
    let status =
        within(cluster.sum().send_all(Numbers(ABORT - 4_000..u64::MAX))).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    let (mut sender, reply) = cluster.sum().start();
    sender.send(ABORT).await.unwrap();
    assert_eq!(within(reply).await.unwrap_err().code(), Code::Aborted);
    let status = within(async {
        loop {
            if let Err(status) = sender.send(1_u64).await {
                return status;
            }
        }
    });
    assert_eq!(status.await.code(), Code::Cancelled);
    assert!(sender.is_closed());
}

#[tokio::test]
async fn half_a_stream_of_requests_is_never_taken_for_a_whole_one() {
    let cluster = cluster().await;
    let (mut sender, reply) = cluster.sum().start();
    sender.send(5_u64).await.unwrap();
    drop(sender);
    let status = within(reply).await.unwrap_err();
    assert_eq!(status.code(), Code::Cancelled);
    assert!(status.message().contains("before it was finished"), "{status}");
    cluster.quiet().await;
}

#[tokio::test]
async fn ping_and_pong() {
    let cluster = cluster().await;
    let (mut sender, mut replies) = within(cluster.mirror().open()).await.unwrap();
    assert_eq!(&replies.metadata().get("leading").unwrap()[..], b"yes");
    for number in 0..1_000 {
        sender.send(number).await.unwrap();
        assert_eq!(within(replies.message()).await.unwrap(), Some(number));
    }
    sender.finish();
    assert_eq!(within(replies.message()).await.unwrap(), None);
    let (sender, mut replies) = cluster.mirror().start();
    sender.finish();
    assert_eq!(within(replies.message()).await.unwrap(), None);
}

/// Neither the worker nor the broker takes in more than the window.
#[tokio::test]
async fn a_reader_that_stops_stops_its_sender_and_nobody_else() {
    let cluster = cluster().await;
    let mut replies = within(cluster.count(TOO_FAR).into_future()).await.unwrap();
    assert_eq!(within(replies.message()).await.unwrap(), Some(0));
    let made = || cluster.streams.made.load(Ordering::Relaxed);
    until(async || made() >= 4_096).await;
    for _ in 0..100 {
        assert_eq!(within(cluster.one().into_future()).await.unwrap(), 1);
    }
    // A window, and the one that waits for credit.
    assert!(made() <= 4_097, "{}", made());
    for number in 1..10_000 {
        assert_eq!(within(replies.message()).await.unwrap(), Some(number));
    }
    drop(replies);
    until(async || cluster.streams.dropped.load(Ordering::Relaxed) == 1).await;
    cluster.quiet().await;
}

#[tokio::test]
async fn a_handler_that_stops_reading_stops_its_caller() {
    let cluster = cluster().await;
    let (mut sender, reply) = cluster.sum().start();
    sender.send(STOP).await.unwrap();
    let mut sent = 0_u64;
    // Each of them has room at once, until there is none.
    let room = Duration::from_secs(2);
    while tokio::time::timeout(room, sender.send(0_u64)).await.is_ok_and(|sent| sent.is_ok()) {
        sent += 1;
    }
    assert_eq!(sent, 4_095);
    assert_eq!(within(cluster.one().into_future()).await.unwrap(), 1);
    drop(reply);
    cluster.quiet().await;
    assert!(within(sender.send(0_u64)).await.is_err());
}

#[tokio::test]
async fn a_deadline_ends_a_stream_on_both_sides() {
    let cluster = cluster().await;
    let (sender, mut replies) = cluster.mirror().timeout(Duration::from_millis(100)).start();
    let status = within(replies.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    cluster.quiet().await;
    assert!(sender.is_closed());
}

#[tokio::test]
async fn what_is_not_streamed_here_is_refused_in_words() {
    let cluster = cluster().await;
    let other = MethodSpec { kind: CallKind::ServerStreaming, ..ONE };
    let other: &'static MethodSpec = Box::leak(Box::new(other));
    let call: Call<u64, ServerStreaming> = Call::server_streaming(&cluster.client, other, &0_u64);
    let status = within(call.into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(
        status.message(),
        "test.v1.Streams/One has one request and one reply at this worker, and was called with one \
         request and a stream of replies"
    );
}

/// The same without a broker.
#[tokio::test]
async fn streams_in_memory() {
    let client = Client::in_memory(Streams::default());
    let count: Call<u64, ServerStreaming> = Call::server_streaming(&client, &COUNT, &5_000_u64);
    let mut replies = within(count.into_future()).await.unwrap();
    assert_eq!(&replies.metadata().get("leading").unwrap()[..], b"yes");
    for number in 0..5_000 {
        assert_eq!(within(replies.message()).await.unwrap(), Some(number));
    }
    assert_eq!(within(replies.message()).await.unwrap(), None);
    let sum: Call<u64, ClientStreaming<u64>> = Call::client_streaming(&client, &SUM);
    assert_eq!(within(sum.send_all(Numbers(0..5_000))).await.unwrap(), 12_497_500);
    let (mut sender, reply) =
        Call::<u64, ClientStreaming<u64>>::client_streaming(&client, &SUM).start();
    sender.send(5_u64).await.unwrap();
    drop(sender);
    assert_eq!(within(reply).await.unwrap_err().code(), Code::Cancelled);
    // A client as the channel of another one.
    let client = Client::over(client);
    let mirror: Call<u64, BidiStreaming<u64>> = Call::bidi_streaming(&client, &MIRROR);
    let (mut sender, mut replies) = within(mirror.open()).await.unwrap();
    for number in 0..100 {
        sender.send(number).await.unwrap();
        assert_eq!(within(replies.message()).await.unwrap(), Some(number));
    }
    sender.finish();
    assert_eq!(within(replies.message()).await.unwrap(), None);
    let sum: Call<u64, ClientStreaming<u64>> = Call::client_streaming(&client, &SUM);
    assert_eq!(within(sum.send_all(Numbers(0..5_000))).await.unwrap(), 12_497_500);
}

#[test]
fn streams_without_async_code() {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let cluster = tokio.block_on(cluster());
    let numbers: Vec<u64> = cluster.count(3_000).wait().unwrap().map(Result::unwrap).collect();
    assert_eq!(numbers, (0..3_000).collect::<Vec<_>>());
    assert_eq!(cluster.sum().wait_all(0..3_000).unwrap(), 4_498_500);
    let status = tokio.block_on(async { cluster.count(1).wait().unwrap_err() });
    assert_eq!(status.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_sender_that_went_elsewhere_hears_of_the_end() {
    let (numbers, mut stream) = stream::channel(1);
    let sending = tokio::spawn(async move {
        let mut sent = 0_u64;
        while numbers.send(sent).await.is_ok() {
            sent += 1;
        }
        numbers.closed().await;
        sent
    });
    for number in 0..10 {
        let next = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx));
        assert_eq!(within(next).await.unwrap().unwrap(), number);
    }
    drop(stream);
    assert!((10..13).contains(&within(sending).await.unwrap()));
}

#[tokio::test]
async fn an_acknowledgement_comes_before_the_answer() {
    let answer = async { Err::<u64, _>(Status::aborted("no")) };
    let mut stream = Box::pin(stream::acknowledge(1, answer));
    let mut next = async || poll_fn(|cx| stream.as_mut().poll_next(cx)).await;
    assert_eq!(next().await.unwrap().unwrap(), 1);
    assert_eq!(next().await.unwrap().unwrap_err().code(), Code::Aborted);
    assert!(next().await.is_none());
}

/// A broker that allows less than half of a receiver's window.
#[tokio::test]
async fn a_small_window_of_the_broker_holds_no_stream_up() {
    let limits = mdp_runtime::Limits { window: 1, ..mdp_runtime::Limits::default() };
    let cluster = with_broker(start(Broker::builder().limits(limits))).await;
    let mut replies = within(cluster.count(1_000).into_future()).await.unwrap();
    for number in 0..1_000 {
        assert_eq!(within(replies.message()).await.unwrap(), Some(number));
    }
    assert_eq!(within(replies.message()).await.unwrap(), None);
    assert_eq!(within(cluster.sum().send_all(Numbers(0..1_000))).await.unwrap(), 499_500);
}

/// Not after a day.
#[tokio::test]
async fn a_stream_that_nobody_begins_ends_soon() {
    let broker = start(Broker::builder().unserved_wait(Duration::from_secs(600)));
    let endpoint = &broker.endpoints()[0];
    let to_begin = Duration::from_secs(2);
    let builder = Client::builder().connect(endpoint).timeout(to_begin);
    let client = within(builder.open()).await.unwrap();
    let count: Call<u64, ServerStreaming> = Call::server_streaming(&client, &COUNT, &5_u64);
    let status = within(count.into_future()).await.unwrap_err();
    let told = (status.code(), status.reason(), status.not_started());
    assert_eq!(told, (Code::Unavailable, Some("NO_SERVICE".to_owned()), true), "{status}");
    until(async || broker.stats().await.queued == 0).await;
    // One that has begun goes on.
    let worker = Worker::builder().connect(endpoint).serve(Streams::default()).start().unwrap();
    within(worker.connected()).await.unwrap();
    let mirror: Call<u64, BidiStreaming<u64>> = Call::bidi_streaming(&client, &MIRROR);
    let (mut sender, mut replies) = within(mirror.open()).await.unwrap();
    let quiet = tokio::time::timeout(to_begin + Duration::from_millis(200), replies.message());
    assert!(quiet.await.is_err());
    sender.send(1_u64).await.unwrap();
    assert_eq!(within(replies.message()).await.unwrap(), Some(1));
}

/// The tables of all three are empty afterwards, and no handler is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_given_up_at_any_moment_leave_nothing() {
    const USERS: u64 = 50;
    const STREAMS_EACH: u64 = 40;
    let cluster = Arc::new(cluster().await);
    let handlers = Arc::strong_count(&cluster.streams.made);
    let mut users = tokio::task::JoinSet::new();
    for user in 0..USERS {
        let cluster = Arc::clone(&cluster);
        users.spawn(async move {
            let mut seed = user;
            for _ in 0..STREAMS_EACH {
                // Knuth's numbers.
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                give_up(&cluster, seed >> 33).await;
            }
        });
    }
    while let Some(user) = within(users.join_next()).await {
        user.unwrap();
    }
    until(async || {
        let stats = cluster.broker.stats().await;
        (stats.running, stats.queued, stats.held_bytes) == (0, 0, 0)
    })
    .await;
    until(async || Arc::strong_count(&cluster.streams.made) == handlers).await;
    assert_eq!(within(cluster.one().into_future()).await.unwrap(), 1);
}

/// Begins a stream and drops it somewhere on its way.
async fn give_up(cluster: &Cluster, chance: u64) {
    let messages = chance / 4 % 5;
    match chance % 4 {
        0 => {
            let mut replies = cluster.count(100).start();
            for _ in 0..messages {
                within(replies.message()).await.unwrap();
            }
        }
        1 => {
            let (mut sender, reply) = cluster.sum().start();
            for number in 0..messages {
                within(sender.send(number)).await.unwrap();
            }
            if chance & 256 == 0 {
                sender.finish();
            }
            drop(reply);
        }
        2 => {
            let (mut sender, mut replies) = cluster.mirror().start();
            for number in 0..messages {
                within(sender.send(number)).await.unwrap();
                assert_eq!(within(replies.message()).await.unwrap(), Some(number));
            }
        }
        _ => {
            let opening = cluster.count(10).into_future();
            let soon = Duration::from_micros(chance / 4 % 2_000);
            drop(tokio::time::timeout(soon, opening).await);
        }
    }
}

/// A sender that is dropped ends its call at once, though the handler does not look.
#[tokio::test]
async fn a_sender_dropped_under_a_handler_that_does_not_read() {
    let cluster = cluster().await;
    let in_memory = Client::in_memory(Streams::default());
    let intercepted = cluster.client.intercept(PassOn);
    for client in [&cluster.client, &in_memory, &intercepted] {
        let sum: Call<u64, ClientStreaming<u64>> = Call::client_streaming(client, &SUM);
        let (mut sender, reply) = sum.start();
        within(sender.send(STOP)).await.unwrap();
        drop(sender);
        assert_eq!(within(reply).await.unwrap_err().code(), Code::Cancelled);
    }
    cluster.quiet().await;
}

struct PassOn;

impl Interceptor for PassOn {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        next.call(request).await
    }
}

/// Says something of its own before the replies.
struct Banner;

impl Interceptor for Banner {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        next.call(request).await
    }

    async fn stream(
        &self,
        request: Request,
        requests: Requests,
        mut replies: Replies,
        next: Next,
    ) -> Result<Reply, Status> {
        replies.send(&4_711_u64).await?;
        next.stream(request, requests, replies).await
    }
}

#[tokio::test]
async fn an_interceptor_may_reply_before_the_handler_does() {
    let broker = broker();
    let builder = Worker::builder().connect(&broker.endpoints()[0]).intercept(Banner);
    let worker = builder.serve(Streams::default()).start().unwrap();
    within(worker.connected()).await.unwrap();
    let bare = client(&broker).await;
    for (client, banners) in [(&bare, 1), (&bare.intercept(Banner), 2)] {
        let count: Call<u64, ServerStreaming> = Call::server_streaming(client, &COUNT, &3_u64);
        let mut replies = within(count.into_future()).await.unwrap();
        let mut came = Vec::new();
        while let Some(number) = within(replies.message()).await.unwrap() {
            came.push(number);
        }
        let expected: Vec<u64> = std::iter::repeat_n(4_711, banners).chain(0..3).collect();
        assert_eq!(came, expected);
    }
}

/// Forgets the streams that it was given.
struct Forgetful;

impl Interceptor for Forgetful {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        next.call(request).await
    }

    async fn stream(
        &self,
        request: Request,
        _: Requests,
        _: Replies,
        next: Next,
    ) -> Result<Reply, Status> {
        next.call(request).await
    }
}

#[tokio::test]
async fn an_interceptor_that_forgets_the_streams_is_told() {
    let cluster = cluster().await;
    let client = cluster.client.intercept(Forgetful);
    let count: Call<u64, ServerStreaming> = Call::server_streaming(&client, &COUNT, &3_u64);
    let status = within(count.into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("has streams"), "{status}");
    cluster.quiet().await;
}
