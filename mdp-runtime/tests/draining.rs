//! Handlers of streams hear of a drain, whoever asks for it, and streams end with it if they are to.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use mdp_runtime::{
    Broker, CallContext, Code, Dialect, Interceptor, MdpRecord, Next, RawClient, Request, Status,
    Stream, Streaming, Worker, mdp_service, stream,
};
use support::{client, within};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct Text {
    #[mdp(1)]
    text: String,
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

#[mdp_service(package = "test.v1")]
trait Desk {
    /// Says something at first, and then nothing, until its worker is drained: that it was.
    async fn told(
        &self,
        cx: &CallContext,
    ) -> Result<impl Stream<Item = Result<Text, Status>>, Status>;
    /// Says something at first, and then nothing.
    async fn deaf(&self) -> Result<impl Stream<Item = Result<Text, Status>>, Status>;
    async fn gather(&self, requests: Streaming<Text>) -> Result<Text, Status>;
    async fn unary(&self, cx: &CallContext) -> Result<Text, Status>;
}

struct Own;

impl Desk for Own {
    async fn told(
        &self,
        cx: &CallContext,
    ) -> Result<impl Stream<Item = Result<Text, Status>>, Status> {
        assert!(!cx.is_draining());
        let cx = cx.clone();
        Ok(stream::acknowledge(text("first"), async move {
            cx.draining().await;
            assert!(cx.is_draining() && !cx.is_cancelled());
            Ok(text("drained"))
        }))
    }

    async fn deaf(&self) -> Result<impl Stream<Item = Result<Text, Status>>, Status> {
        Ok(stream::acknowledge(text("first"), std::future::pending()))
    }

    async fn gather(&self, mut requests: Streaming<Text>) -> Result<Text, Status> {
        while requests.message().await?.is_some() {}
        Ok(text("all"))
    }

    async fn unary(&self, cx: &CallContext) -> Result<Text, Status> {
        cx.draining().await;
        Ok(text("drained"))
    }
}

/// Who asks for the drain.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Worker,
    Operator,
    OperatorOfTheBroker,
    Broker,
}

const ALL: [Asks; 4] = [Asks::Worker, Asks::Operator, Asks::OperatorOfTheBroker, Asks::Broker];
/// A grace period that a test does not wait for.
const LONG: Duration = Duration::from_secs(600);

struct Stage {
    broker: Broker,
    worker: Worker,
    desk: DeskClient,
}

struct Around;

impl Interceptor for Around {
    async fn call(&self, request: Request, next: Next) -> Result<mdp_runtime::Reply, Status> {
        next.call(request).await
    }
}

async fn stage(ends: bool, intercepted: bool) -> Stage {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").allow_drain(true).drain_grace(LONG);
    let broker = broker.start().unwrap();
    let worker = Worker::builder().connect(&broker.endpoints()[0]).id("w");
    let worker = worker.end_streams_on_drain(ends).serve(DeskWorker::new(Own));
    let worker = if intercepted { worker.intercept(Around) } else { worker };
    let worker = worker.start().unwrap();
    within(worker.connected()).await.unwrap();
    let desk = DeskClient::new(client(&broker).await);
    Stage { broker, worker, desk }
}

/// Begins the drain. What it gives ends when the drain is over.
fn drain(asks: Asks, stage: Stage) -> tokio::task::JoinHandle<Option<Broker>> {
    tokio::spawn(async move {
        let Stage { mut broker, worker, desk: _ } = stage;
        match asks {
            Asks::Worker => worker.shutdown(LONG).await,
            Asks::Operator | Asks::OperatorOfTheBroker => {
                let what = match asks {
                    Asks::Operator => "mmi.drain.worker",
                    _ => "mmi.drain.broker",
                };
                let raw = RawClient::builder().dialect(Dialect::Rpc);
                let raw = raw.connect(&broker.endpoints()[0]).open().unwrap();
                let told = raw.send(what, vec!["w".into()]).await.unwrap();
                assert_eq!(told.first().unwrap(), "200");
                match asks {
                    Asks::Operator => worker.stopped().await.unwrap(),
                    _ => broker.stopped().await.unwrap(),
                }
            }
            Asks::Broker => {
                broker.shutdown(LONG).await;
                return None;
            }
        }
        Some(broker)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_of_streams_hear_of_it_whoever_asks() {
    for asks in ALL {
        for intercepted in [false, true] {
            let stage = stage(false, intercepted).await;
            let desk = stage.desk.clone();
            let mut told = within(desk.told().into_future()).await.unwrap();
            assert_eq!(within(told.message()).await.unwrap(), Some(text("first")));
            let unary = tokio::spawn(desk.unary().timeout(LONG).into_future());
            while stage.broker.stats().await.running < 2 {
                tokio::task::yield_now().await;
            }
            let begin = Instant::now();
            let over = drain(asks, stage);
            let last = within(told.message()).await.unwrap();
            assert_eq!(last, Some(text("drained")), "{asks:?}");
            assert_eq!(within(told.message()).await.unwrap(), None);
            assert_eq!(within(unary).await.unwrap().unwrap(), text("drained"));
            within(over).await.unwrap();
            assert!(begin.elapsed() < Duration::from_secs(20), "{asks:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_it_if_they_are_to() {
    for asks in ALL {
        let stage = stage(true, false).await;
        let desk = stage.desk.clone();
        let mut deaf = within(desk.deaf().into_future()).await.unwrap();
        assert_eq!(within(deaf.message()).await.unwrap(), Some(text("first")));
        let (mut requests, all) = desk.gather().start();
        requests.send(text("one")).await.unwrap();
        while stage.broker.stats().await.running < 2 {
            tokio::task::yield_now().await;
        }
        let over = drain(asks, stage);
        for status in [within(deaf.message()).await.err(), within(all.into_future()).await.err()] {
            let status = status.unwrap();
            assert_eq!(status.code(), Code::Unavailable, "{asks:?}: {status}");
            assert_eq!(status.reason().as_deref(), Some("DRAINING"), "{asks:?}: {status}");
            assert!(!status.not_started());
        }
        within(over).await.unwrap();
    }
}

/// Without the setting a stream goes on until its end.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_not_to_end_finish() {
    let stage = stage(false, false).await;
    let desk = stage.desk.clone();
    let (mut requests, all) = desk.gather().start();
    requests.send(text("one")).await.unwrap();
    while stage.broker.stats().await.running < 1 {
        tokio::task::yield_now().await;
    }
    let over = drain(Asks::Worker, stage);
    requests.send(text("two")).await.unwrap();
    requests.finish();
    assert_eq!(within(all.into_future()).await.unwrap(), text("all"));
    within(over).await.unwrap();
}
