//! Handlers that run to their end though their call is over.

#![allow(clippy::unwrap_used)] // tests

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mdp_runtime::{
    CallContext, Code, Interceptor, Next, Reply, Request, Status, Stream, Streaming, Worker,
    mdp_service, stream,
};
use support::{broker, client, until, within};
use tokio::sync::Semaphore;

#[mdp_service(package = "test.v1")]
trait Till {
    #[mdp(detach)]
    async fn pay(&self, cx: &CallContext) -> Result<(), Status>;
    #[mdp(detach, blocking)]
    fn count(&self, cx: &CallContext) -> Result<(), Status>;
    #[mdp(detach)]
    async fn list(
        &self,
        cx: &CallContext,
        requests: Streaming<()>,
    ) -> Result<impl Stream<Item = Result<(), Status>>, Status>;
    async fn usual(&self, cx: &CallContext) -> Result<(), Status>;
    async fn free(&self) -> Result<(), Status>;
}

/// What happened, in its order.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<&'static str>>>);

impl Ledger {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn has(&self, what: &str) -> bool {
        self.0.lock().unwrap().contains(&what)
    }

    async fn wait_for(&self, what: &str) {
        until(async || self.has(what)).await;
    }
}

/// Notes that a handler was dropped before its end.
struct Dropped(Ledger);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

/// Its handlers wait until they are told that their call is over, and then for a permit.
#[derive(Clone)]
struct Cautious {
    ledger: Ledger,
    permits: Arc<Semaphore>,
}

impl Cautious {
    fn new() -> Self {
        Cautious { ledger: Ledger::default(), permits: Arc::new(Semaphore::new(0)) }
    }

    async fn run(&self, cx: &CallContext) -> Result<(), Status> {
        let dropped = Dropped(self.ledger.clone());
        self.ledger.note("begun");
        cx.cancelled().await;
        assert!(cx.is_cancelled());
        self.ledger.note("told");
        self.permits.acquire().await.unwrap().forget();
        std::mem::forget(dropped);
        self.ledger.note("ended");
        Ok(())
    }
}

impl Till for Cautious {
    async fn pay(&self, cx: &CallContext) -> Result<(), Status> {
        self.run(cx).await
    }

    fn count(&self, cx: &CallContext) -> Result<(), Status> {
        tokio::runtime::Handle::current().block_on(self.run(cx))
    }

    async fn list(
        &self,
        cx: &CallContext,
        mut requests: Streaming<()>,
    ) -> Result<impl Stream<Item = Result<(), Status>>, Status> {
        let ran = self.run(cx).await;
        let last = requests.message().await;
        self.ledger.note(if last.is_err() { "no requests" } else { "requests" });
        ran?;
        let (replies, stream) = stream::channel(1);
        let ledger = self.ledger.clone();
        tokio::spawn(async move {
            while replies.send(()).await.is_ok() {}
            ledger.note("no replies");
        });
        Ok(stream)
    }

    async fn usual(&self, cx: &CallContext) -> Result<(), Status> {
        self.run(cx).await
    }

    async fn free(&self) -> Result<(), Status> {
        Ok(())
    }
}

/// A worker that takes two calls at once, and a client.
async fn cluster(till: &Cautious) -> (mdp_runtime::Broker, Worker, TillClient) {
    let broker = broker();
    let worker = Worker::builder().connect(broker.endpoints().first().unwrap()).capacity(2);
    let worker = worker.serve(TillWorker::new(till.clone())).start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = TillClient::new(client(&broker).await);
    (broker, worker, client)
}

#[tokio::test]
async fn a_handler_goes_on_when_its_caller_drops_the_call() {
    let till = Cautious::new();
    let (_broker, _worker, client) = cluster(&till).await;
    let call = tokio::spawn(client.pay().into_future());
    till.ledger.wait_for("begun").await;
    call.abort();
    till.ledger.wait_for("told").await;
    for _ in 0..10 {
        within(client.free().into_future()).await.unwrap();
    }
    assert!(!till.ledger.has("ended"));
    till.permits.add_permits(1);
    till.ledger.wait_for("ended").await;
    assert!(!till.ledger.has("dropped"));
}

#[tokio::test]
async fn a_handler_goes_on_when_its_time_is_up() {
    let till = Cautious::new();
    let (_broker, _worker, client) = cluster(&till).await;
    let late = client.pay().timeout(Duration::from_millis(100));
    let status = within(late.into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    till.ledger.wait_for("told").await;
    within(client.free().into_future()).await.unwrap();
    till.permits.add_permits(1);
    till.ledger.wait_for("ended").await;
    within(client.free().into_future()).await.unwrap();
}

#[tokio::test]
async fn a_handler_goes_on_when_the_broker_is_lost() {
    let till = Cautious::new();
    let (broker, _worker, client) = cluster(&till).await;
    let call = tokio::spawn(client.pay().into_future());
    till.ledger.wait_for("begun").await;
    drop(broker);
    till.ledger.wait_for("told").await;
    call.abort();
    till.permits.add_permits(1);
    till.ledger.wait_for("ended").await;
}

#[tokio::test]
async fn one_that_blocks_goes_on_likewise() {
    let till = Cautious::new();
    let (_broker, _worker, client) = cluster(&till).await;
    let call = tokio::spawn(client.count().into_future());
    till.ledger.wait_for("begun").await;
    call.abort();
    till.ledger.wait_for("told").await;
    within(client.free().into_future()).await.unwrap();
    till.permits.add_permits(1);
    till.ledger.wait_for("ended").await;
}

#[tokio::test]
async fn its_streams_end() {
    let till = Cautious::new();
    let (_broker, _worker, client) = cluster(&till).await;
    let (_requests, replies) = client.list().start();
    till.ledger.wait_for("begun").await;
    drop(replies);
    till.ledger.wait_for("told").await;
    within(client.free().into_future()).await.unwrap();
    till.permits.add_permits(1);
    till.ledger.wait_for("no requests").await;
    till.ledger.wait_for("no replies").await;
    assert!(till.ledger.has("ended"));
}

#[tokio::test]
async fn without_the_word_it_is_dropped() {
    let till = Cautious::new();
    let (_broker, _worker, client) = cluster(&till).await;
    for client in [client, TillClient::in_memory(TillWorker::new(till.clone()))] {
        till.ledger.0.lock().unwrap().clear();
        let call = tokio::spawn(client.usual().into_future());
        till.ledger.wait_for("begun").await;
        call.abort();
        till.ledger.wait_for("dropped").await;
    }
}

#[tokio::test]
async fn in_memory_it_goes_on_too() {
    let till = Cautious::new();
    let client = TillClient::in_memory(TillWorker::new(till.clone()));
    let call = tokio::spawn(client.pay().into_future());
    till.ledger.wait_for("begun").await;
    call.abort();
    till.ledger.wait_for("told").await;
    till.permits.add_permits(1);
    till.ledger.wait_for("ended").await;
    till.ledger.0.lock().unwrap().clear();
    let late = client.pay().timeout(Duration::from_millis(20));
    assert_eq!(within(late.into_future()).await.unwrap_err().code(), Code::DeadlineExceeded);
    till.ledger.wait_for("told").await;
    till.permits.add_permits(1);
    till.ledger.wait_for("ended").await;
}

/// Its call is over, and the worker has left the broker.
#[tokio::test]
async fn a_worker_that_is_shut_down_waits_for_it() {
    let till = Cautious::new();
    let (broker, worker, client) = cluster(&till).await;
    let call = tokio::spawn(client.pay().into_future());
    till.ledger.wait_for("begun").await;
    call.abort();
    till.ledger.wait_for("told").await;
    let state = worker.state();
    let shutdown = tokio::spawn(worker.shutdown(Duration::from_secs(60)));
    until(async || *state.borrow() == mdp_runtime::ConnectionState::Closed).await;
    // That of the client.
    until(async || broker.stats().await.sessions == 1).await;
    assert!(!shutdown.is_finished());
    till.permits.add_permits(1);
    within(shutdown).await.unwrap();
    assert!(till.ledger.has("ended"));
}

#[tokio::test]
async fn no_longer_than_its_grace() {
    let till = Cautious::new();
    let (_broker, worker, client) = cluster(&till).await;
    let call = tokio::spawn(client.pay().into_future());
    till.ledger.wait_for("begun").await;
    // The call itself is ended by the grace.
    within(worker.shutdown(Duration::from_millis(50))).await;
    assert_eq!(within(call).await.unwrap().unwrap_err().code(), Code::Unavailable);
    till.ledger.wait_for("told").await;
    assert!(!till.ledger.has("ended"));
}

/// Leaves handlers little time.
struct Impatient;

impl Interceptor for Impatient {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        request.set_timeout(Duration::from_millis(50));
        next.call(request).await
    }
}

#[tokio::test]
async fn a_handler_goes_on_that_an_interceptor_does_not_wait_for() {
    let broker = broker();
    let till = Cautious::new();
    let worker = Worker::builder().connect(broker.endpoints().first().unwrap());
    let worker = worker.serve(TillWorker::new(till.clone())).intercept(Impatient);
    let worker = worker.start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = TillClient::new(client(&broker).await);
    let status = within(client.pay().into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    till.ledger.wait_for("told").await;
    assert!(!till.ledger.has("dropped"));
    till.permits.add_permits(1);
    till.ledger.wait_for("ended").await;
    // One that does not detach is dropped.
    let status = within(client.usual().into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    till.ledger.wait_for("dropped").await;
}
