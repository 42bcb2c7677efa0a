//! Code of users that panics with a value whose `Drop` panics, too: the call ends with INTERNAL, and nothing else does.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::future::IntoFuture;
use std::panic::panic_any;
use std::time::Duration;

use mdp_runtime::hooks::{BrokerHooks, Forward, Reply, Request as Asked, Verdict};
use mdp_runtime::{
    Broker, CallContext, Code, Dialect, Interceptor, MdpRecord, Next, RawClient, RawError, Request,
    Status, Stream, Streaming, Worker, mdp_service, stream,
};
use support::{broker, client, start, until, within};

/// Panics when it is dropped, and with a value that does so, too.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 && !std::thread::panicking() {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

fn explode() -> ! {
    panic_any(Bomb(2))
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct Text {
    #[mdp(1)]
    text: String,
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

#[mdp_service(package = "test.v1")]
trait Mines {
    async fn unary(&self, cx: &CallContext, req: Text) -> Result<Text, Status>;
    #[mdp(blocking)]
    fn block(&self, req: Text) -> Result<Text, Status>;
    #[mdp(detach)]
    async fn detach(&self, req: Text) -> Result<Text, Status>;
    #[mdp(detach, blocking)]
    fn detach_blocking(&self, req: Text) -> Result<Text, Status>;
    async fn list(&self, req: Text) -> Result<impl Stream<Item = Result<Text, Status>>, Status>;
    async fn gather(&self, requests: Streaming<Text>) -> Result<Text, Status>;
}

struct Mined;

impl Mines for Mined {
    async fn unary(&self, cx: &CallContext, req: Text) -> Result<Text, Status> {
        match req.text.as_str() {
            "at once" => explode(),
            "later" => {
                tokio::task::yield_now().await;
                explode()
            }
            "deferred" => {
                let (responder, answer) = cx.defer();
                tokio::spawn(async move {
                    let _responder = responder;
                    panic_any(Bomb(1));
                });
                answer.await
            }
            "dropped" => {
                let bomb = Bomb(2);
                std::future::pending::<()>().await;
                drop(bomb);
                Ok(req)
            }
            "reply" => {
                cx.reply_metadata("mine", "here");
                Ok(req)
            }
            _ => Ok(req),
        }
    }

    fn block(&self, _: Text) -> Result<Text, Status> {
        explode()
    }

    async fn detach(&self, _: Text) -> Result<Text, Status> {
        tokio::task::yield_now().await;
        explode()
    }

    fn detach_blocking(&self, _: Text) -> Result<Text, Status> {
        explode()
    }

    async fn list(&self, req: Text) -> Result<impl Stream<Item = Result<Text, Status>>, Status> {
        if req.text == "at once" {
            explode()
        }
        Ok(stream::acknowledge(text("first"), async {
            tokio::task::yield_now().await;
            explode()
        }))
    }

    async fn gather(&self, mut requests: Streaming<Text>) -> Result<Text, Status> {
        requests.message().await?;
        explode()
    }
}

/// Every way in which a handler can panic.
async fn all(mines: &MinesClient) {
    let internal = |status: Status| assert_eq!(status.code(), Code::Internal, "{status}");
    for _ in 0..3 {
        for word in ["at once", "later", "deferred"] {
            internal(within(mines.unary(text(word)).into_future()).await.unwrap_err());
        }
        internal(within(mines.block(text("")).into_future()).await.unwrap_err());
        internal(within(mines.detach(text("")).into_future()).await.unwrap_err());
        internal(within(mines.detach_blocking(text("")).into_future()).await.unwrap_err());
        internal(within(mines.list(text("at once")).into_future()).await.unwrap_err());
        let mut replies = within(mines.list(text("")).into_future()).await.unwrap();
        assert_eq!(within(replies.message()).await.unwrap(), Some(text("first")));
        internal(within(replies.message()).await.unwrap_err());
        let (mut requests, end) = mines.gather().start();
        requests.send(text("one")).await.unwrap();
        requests.finish();
        internal(within(end.into_future()).await.unwrap_err());
        // Nobody waits for this one: its future is dropped, and what lies in it.
        let late = mines.unary(text("dropped")).timeout(Duration::from_millis(20));
        let status = within(late.into_future()).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        // The only slot is free again.
        let whole = within(mines.unary(text("whole")).into_future()).await;
        assert_eq!(whole.unwrap(), text("whole"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_costs_its_call_and_nothing_else() {
    let broker = broker();
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(1);
    let worker = worker.serve(MinesWorker::new(Mined)).start().unwrap();
    within(worker.connected()).await.unwrap();
    all(&MinesClient::new(client(&broker).await)).await;
    within(worker.shutdown(Duration::from_secs(1))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_in_memory() {
    all(&MinesClient::in_memory(MinesWorker::new(Mined))).await;
}

struct Around;

impl Interceptor for Around {
    async fn call(&self, request: Request, next: Next) -> Result<mdp_runtime::Reply, Status> {
        match request.metadata().get_str("mine") {
            Some("before") => explode(),
            Some(_) => {
                drop(next.call(request).await);
                explode()
            }
            None => next.call(request).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interceptors_are_no_exception() {
    let broker = broker();
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(1).intercept(Around);
    let worker = worker.serve(MinesWorker::new(Mined)).start().unwrap();
    within(worker.connected()).await.unwrap();
    let mines = MinesClient::new(client(&broker).await);
    for mine in ["before", "behind"] {
        let call = mines.unary(text("whole")).metadata("mine", mine);
        assert_eq!(within(call.into_future()).await.unwrap_err().code(), Code::Internal);
    }
    all(&mines).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_handlers_are_no_exception() {
    for dialect in [Dialect::Rpc, Dialect::Mdp02] {
        let broker = broker();
        let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(1);
        let worker = worker.dialect(dialect).serve_raw("raw", async |frames, replier| {
            if frames[0] == "mine" {
                explode()
            }
            // An error means that nobody waits for it.
            let _ = replier.finish(frames);
        });
        let worker = worker.start().unwrap();
        within(worker.connected()).await.unwrap();
        let open =
            || RawClient::builder().dialect(Dialect::Rpc).connect(&broker.endpoints()[0]).open();
        let raw = open().unwrap();
        for _ in 0..3 {
            match within(raw.send("raw", vec!["mine".into()])).await {
                Err(RawError::Status(status)) if dialect == Dialect::Rpc => {
                    assert_eq!(status.code(), Code::Internal);
                }
                // There is no word for it in classic MDP: the broker takes the worker for lost.
                ended => assert!(dialect != Dialect::Rpc && ended.is_err(), "{ended:?}"),
            }
            let whole = within(raw.send("raw", vec!["whole".into()])).await.unwrap();
            assert_eq!(whole, ["whole"]);
        }
    }
}

struct Hooks;

impl BrokerHooks for Hooks {
    fn request(&self, request: &Asked) -> Verdict {
        match request.metadata().get_str("mine") {
            Some("request") => explode(),
            _ => Forward::new().into(),
        }
    }

    fn reply(&self, reply: &Reply) -> Verdict {
        if reply.metadata().get_str("mine").is_some() {
            explode()
        }
        Forward::new().into()
    }

    fn client_seen(&self, _: &mdp_runtime::hooks::Peer) {
        explode()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_are_no_exception() {
    let broker: Broker = start(Broker::builder().hooks(Hooks));
    let worker = Worker::builder().connect(&broker.endpoints()[0]).capacity(1);
    let worker = worker.serve(MinesWorker::new(Mined)).start().unwrap();
    within(worker.connected()).await.unwrap();
    let mines = MinesClient::new(client(&broker).await);
    for _ in 0..20 {
        let call = mines.unary(text("whole")).metadata("mine", "request");
        assert_eq!(within(call.into_future()).await.unwrap_err().code(), Code::Internal);
        let call = mines.unary(text("reply"));
        assert_eq!(within(call.into_future()).await.unwrap_err().code(), Code::Internal);
        let whole = within(mines.unary(text("whole")).into_future()).await;
        assert_eq!(whole.unwrap(), text("whole"));
    }
    until(async || broker.stats().await.running == 0).await;
}
