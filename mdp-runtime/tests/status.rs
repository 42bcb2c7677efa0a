//! What a status says is true of the call that it ends: where it came from, and its code, whatever its size.

// A test names its fault by failing; records need no docs in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use mdp_runtime::dynamic::Method;
use mdp_runtime::hooks::{BrokerHooks, Request as HookRequest, Verdict};
use mdp_runtime::testing::{self, InMemory};
use mdp_runtime::{
    Broker, CallContext, CallKind, Client, Code, Detail, Dialect, Interceptor, MdpRecord, Next,
    Reply, Request, RetryPolicy, SourceCall, Status, Stream, Worker, mdp_service, stream,
};
use support::{answering, call, client, safe_call, start, within, worker};

const ECHO: &str = "test.v1.Echo/Echo";
const PAY: &str = "test.v1.Inner/Pay";

/// A call that nobody serves.
async fn pay(client: &Client) -> Result<String, Status> {
    let pay = Method::new(PAY, CallKind::Unary).unwrap();
    pay.call(client, Bytes::new()).await.map(|_| String::new())
}

/// A broker that says at once that nobody serves a call, and a client of it.
async fn empty() -> (Broker, Client) {
    let broker = start(Broker::builder().unserved_wait(Duration::from_millis(1)));
    let client = client(&broker).await;
    (broker, client)
}

/// The end of an outer call during which [`pay`] failed.
fn is_of_pay(status: &Status) {
    assert_eq!((status.code(), status.method()), (Code::Unavailable, Some(ECHO)), "{status:?}");
    assert_eq!((status.reason(), status.not_started()), (None, false), "{status:?}");
    assert!(status.message().starts_with("test.v1.Inner/Pay: no worker"), "{status}");
    let source = status.source_call().unwrap();
    let SourceCall { method, reason, not_started, .. } = source;
    assert_eq!((&*method, reason.as_deref(), not_started), (PAY, Some("NO_SERVICE"), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_a_handler_hands_on_says_which_call_it_ended() {
    let (_broker, upstream) = empty().await;
    let direct = within(pay(&upstream)).await.unwrap_err();
    assert_eq!((direct.reason().as_deref(), direct.not_started()), (Some("NO_SERVICE"), true));
    assert_eq!(direct.source_call(), None);

    let outer = testing::broker().unwrap();
    let service = |upstream: Client| {
        answering(move |_, _| {
            let upstream = upstream.clone();
            async move { pay(&upstream).await }
        })
    };
    let worker = outer.worker().serve(service(upstream.clone())).start().unwrap();
    within(worker.connected()).await.unwrap();
    let over_broker = outer.client().await.unwrap();
    let in_memory = Client::in_memory(service(upstream.clone()));
    for client in [over_broker, in_memory] {
        is_of_pay(&within(call(&client, "").into_future()).await.unwrap_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_two_handlers_it_names_the_innermost_call() {
    let (_broker, upstream) = empty().await;
    let inner = Client::in_memory(answering(move |_, _| {
        let upstream = upstream.clone();
        async move { pay(&upstream).await }
    }));
    let outer = Client::in_memory(answering(move |_, _| call(&inner, "").into_future()));
    let status = within(safe_call(&outer, "").into_future()).await.unwrap_err();
    let source = status.source_call().unwrap();
    assert_eq!((&*source.method, source.reason.as_deref()), (PAY, Some("NO_SERVICE")));
    assert!(status.message().starts_with(&format!("{PAY}: no worker")), "{status}");
    assert_eq!((status.reason(), status.method()), (None, Some("test.v1.Echo/Safe")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_said_is_handed_on_word_by_word() {
    let inner = Client::in_memory(answering(async |_, _| Err(Status::aborted("too late"))));
    let outer = Client::in_memory(answering(move |_, _| call(&inner, "").into_future()));
    let status = within(safe_call(&outer, "").into_future()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "too late"));
    let source = status.source_call().unwrap();
    assert_eq!((&*source.method, source.reason, source.not_started), (ECHO, None, false));
    assert_eq!(status.to_string(), format!("ABORTED: test.v1.Echo/Safe: too late (from {ECHO})"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_hands_it_on_as_well() {
    let (_broker, upstream) = empty().await;
    let outer = Client::in_memory(answering(move |cx: CallContext, _| {
        let (responder, reply) = cx.defer();
        let upstream = upstream.clone();
        tokio::spawn(async move { responder.send(pay(&upstream).await) });
        reply
    }));
    is_of_pay(&within(call(&outer, "").into_future()).await.unwrap_err());
}

/// Makes a call of its own before it lets one pass.
#[derive(Clone)]
struct Guard(Client);

impl Interceptor for Guard {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        pay(&self.0).await?;
        next.call(request).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interceptor_hands_it_on_at_both_sides() {
    let (_broker, upstream) = empty().await;
    let guard = Guard(upstream);
    let at_worker = InMemory::new().serve(support::echo()).intercept(guard.clone()).client();
    let at_client = Client::in_memory(support::echo()).intercept(guard);
    // The interceptor's own call is no reason to make this one again.
    let retried = at_client.retry(RetryPolicy::new().backoff(Duration::ZERO, Duration::ZERO));
    for client in [at_worker, at_client, retried] {
        is_of_pay(&within(call(&client, "").into_future()).await.unwrap_err());
    }
}

/// Rejects with the end of a call of its own.
struct Asks(Status);

impl BrokerHooks for Asks {
    fn request(&self, _: &HookRequest) -> Verdict {
        Verdict::Reject(self.0.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_hands_it_on_and_the_call_was_not_started() {
    let (_broker, upstream) = empty().await;
    let ended = within(pay(&upstream)).await.unwrap_err();
    let broker = start(Broker::builder().hooks(Asks(ended)));
    let _worker = worker(&broker, support::echo()).await;
    let client = client(&broker).await;
    let status = within(call(&client, "").into_future()).await.unwrap_err();
    assert_eq!((status.reason(), status.not_started()), (None, true), "{status:?}");
    assert_eq!(status.source_call().unwrap().method, PAY);
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Line {
    #[mdp(1)]
    pub text: String,
}

/// Streams what a call of its own gives.
#[mdp_service(package = "test.v1")]
pub trait Relay {
    async fn pass(
        &self,
        req: Line,
    ) -> Result<impl Stream<Item = Result<Line, Status>> + Send, Status>;
}

struct Passes(Client);

impl Relay for Passes {
    async fn pass(
        &self,
        req: Line,
    ) -> Result<impl Stream<Item = Result<Line, Status>> + Send, Status> {
        let upstream = self.0.clone();
        let answer = async move { pay(&upstream).await.map(|text| Line { text }) };
        Ok(stream::acknowledge(req, answer))
    }
}

/// Passes all on.
struct Through;

impl Interceptor for Through {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        next.call(request).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_stream_is_handed_on_once() {
    let (_broker, upstream) = empty().await;
    let outer = testing::broker().unwrap();
    let service = || RelayWorker::new(Passes(upstream.clone()));
    let worker = outer.worker().intercept(Through).serve(service()).start().unwrap();
    within(worker.connected()).await.unwrap();
    let over_broker = outer.client().await.unwrap();
    let in_memory = Client::in_memory(service());
    let intercepted = over_broker.intercept(Through);
    for client in [over_broker, in_memory, intercepted] {
        let relay = RelayClient::from(&client);
        let first = Line { text: "first".into() };
        let mut replies = within(relay.pass(first.clone()).into_future()).await.unwrap();
        assert_eq!(within(replies.message()).await, Ok(Some(first)));
        let status = within(replies.message()).await.unwrap_err();
        assert_eq!((status.reason(), status.not_started()), (None, false), "{status:?}");
        assert_eq!(status.method(), Some("test.v1.Relay/Pass"));
        assert!(status.message().starts_with("test.v1.Inner/Pay: no worker"), "{status}");
        assert_eq!(status.source_call().unwrap().method, PAY);
    }
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Size {
    /// Of the text, and of a detail.
    #[mdp(1)]
    pub text: u64,
    #[mdp(2)]
    pub detail: u64,
    #[mdp(3)]
    pub metadata: u64,
}

/// Fails with a status of the size that is asked for.
#[mdp_service(package = "test.v1")]
pub trait Large {
    async fn one(&self, req: Size) -> Result<Size, Status>;
    async fn many(
        &self,
        req: Size,
    ) -> Result<impl Stream<Item = Result<Size, Status>> + Send, Status>;
}

struct Fails;

fn of_size(size: &Size) -> Status {
    let value = vec![7; size.detail as usize].into();
    let large = Detail { type_url: "type.googleapis.com/a.B".into(), value };
    let small = Detail { type_url: "type.googleapis.com/a.C".into(), value: vec![7].into() };
    let text = "x".repeat(size.text as usize);
    let mut status = Status::with_details(Code::NotFound, text, vec![large, small]);
    if size.metadata > 0 {
        status.metadata_mut().insert("beside", vec![b'x'; size.metadata as usize]);
    }
    status
}

impl Large for Fails {
    async fn one(&self, req: Size) -> Result<Size, Status> {
        Err(of_size(&req))
    }

    async fn many(
        &self,
        req: Size,
    ) -> Result<impl Stream<Item = Result<Size, Status>> + Send, Status> {
        let (replies, stream) = stream::channel(1);
        tokio::spawn(async move {
            let _ = replies.send(req.clone()).await;
            let _ = replies.fail(of_size(&req)).await;
        });
        Ok(stream)
    }
}

const BIG: u64 = 4 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_status_keeps_its_code_whatever_its_size() {
    for dialect in [Dialect::Rpc, Dialect::Mdp02] {
        let broker = support::broker();
        let builder = Worker::builder().connect(broker.endpoints()[0].clone()).dialect(dialect);
        let _worker = builder.serve(LargeWorker::new(Fails)).start().unwrap();
        let client = client(&broker).await;
        let large = LargeClient::from(&client);
        for (text, detail, metadata) in
            [(BIG, 0, 0), (0, BIG, 0), (0, 0, BIG), (BIG, BIG, BIG), (4 * BIG, 0, 10)]
        {
            let size = Size { text, detail, metadata };
            let unary = within(large.one(size.clone()).into_future()).await.unwrap_err();
            let mut replies = within(large.many(size.clone()).into_future()).await.unwrap();
            assert_eq!(within(replies.message()).await, Ok(Some(size.clone())));
            let at_end = within(replies.message()).await.unwrap_err();
            for status in [unary, at_end] {
                let code = (status.code(), status.reason());
                assert_eq!(code, (Code::NotFound, None), "{dialect:?} {size:?}");
                assert!(status.is_truncated(), "{dialect:?} {size:?}");
                assert_eq!(status.message().is_empty(), text == 0);
                assert!(status.message().trim_end_matches('…').bytes().all(|byte| byte == b'x'));
                // The small one is behind the large one, and fits.
                let small = status.details().last().unwrap();
                assert_eq!(&*small.type_url, "type.googleapis.com/a.C");
                assert_eq!(status.metadata().get("beside").is_some(), metadata == 10);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hooks_status_keeps_its_code_whatever_its_size() {
    let large = of_size(&Size { text: 65 << 20, detail: 0, metadata: 0 });
    // A machine that is busy takes its time for so large a text.
    let broker = Broker::builder().hooks(Asks(large)).hook_timeout(Duration::from_secs(20));
    let broker = start(broker);
    let _worker = worker(&broker, support::echo()).await;
    let client = client(&broker).await;
    let status = within(call(&client, "").into_future()).await.unwrap_err();
    assert_eq!((status.code(), status.is_truncated()), (Code::NotFound, true));
}
