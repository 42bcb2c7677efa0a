//! The service of `src/everything.rs`, implemented and called.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

use std::time::Duration as Time;

use mdp_runtime::codegen::Idempotency;
use mdp_runtime::codegen::prost_types::{Duration, Timestamp};
use mdp_runtime::{Broker, CallContext, Client, Context, Status, Worker};
use test_macros::everything::{
    Everything, EverythingClient, EverythingWorker, Number, everything_service,
};

struct Handler;

impl Everything for Handler {
    async fn nothing(&self) -> Result<(), Status> {
        Err(Status::not_found("nothing"))
    }

    async fn only_context(&self, cx: &CallContext) -> Result<Timestamp, Status> {
        Ok(Timestamp { seconds: cx.attempt().into(), nanos: 1 })
    }

    async fn only_request(&self, req: Timestamp) -> Result<(), Status> {
        Err(Status::aborted(format!("at {}", req.seconds)))
    }

    async fn both(&self, cx: &CallContext, at: Timestamp) -> Result<Duration, Status> {
        let left = i64::try_from(cx.time_left().as_millis()).unwrap_or(i64::MAX);
        Ok(Duration { seconds: left, nanos: at.nanos })
    }

    async fn there(&self, (): ()) -> Result<(), Status> {
        Ok(())
    }

    async fn r#type(&self, req: Duration) -> Result<Duration, Status> {
        Ok(req)
    }

    async fn old(&self, req: Timestamp) -> Result<Timestamp, Status> {
        Ok(req)
    }

    async fn older(&self) -> Result<(), Status> {
        Ok(())
    }

    async fn next(&self, number: Number) -> Result<Number, Status> {
        Ok(Number { value: number.value + 1 })
    }
}

#[test]
fn methods_have_their_names_numbers_and_options() {
    let of = |number: u32, name: &'static str| {
        let methods = everything_service::SERVICE.methods;
        let found = methods.iter().find(|method| method.number == number);
        found.copied().filter(|method| method.name == name).unwrap_or_else(|| {
            panic!("number {number} should be {name}, and is {:?}", found.map(|other| other.name))
        })
    };
    assert_eq!(everything_service::NAME, "everything.v1.All");
    assert_eq!(of(0, "Nothing").path, "everything.v1.All/Nothing");
    // Number 5 is left out on this system, and those behind it keep theirs.
    assert_eq!(of(4, "There").idempotency, Idempotency::Unknown);
    assert_eq!(of(6, "Typ").idempotency, Idempotency::NoSideEffects);
    assert_eq!(of(7, "Old").idempotency, Idempotency::Idempotent);
    assert_eq!(everything_service::SERVICE.methods.len(), 9);
    assert_eq!((of(0, "Nothing").timeout_ms, of(6, "Typ").timeout_ms), (Some(9_000), Some(5)));
    let deprecated = everything_service::SERVICE.methods.iter().filter(|method| method.deprecated);
    assert_eq!(deprecated.map(|method| method.name).collect::<Vec<_>>(), ["Old", "Older"]);
}

/// A client of a service, and what has to live as long as it.
async fn cluster() -> (Broker, Worker, EverythingClient) {
    let own = Context::new();
    let broker = Broker::builder().context(&own).bind("inproc://everything").start().unwrap();
    let worker = Worker::builder().context(&own).connect("inproc://everything");
    let worker = worker.serve(EverythingWorker::new(Handler)).start().unwrap();
    worker.connected().await.unwrap();
    let client = Client::builder().context(&own).connect("inproc://everything").open();
    (broker, worker, EverythingClient::new(client.await.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_method_is_called() {
    let (_broker, _worker, client) = cluster().await;
    let at = Timestamp { seconds: 7, nanos: 8 };
    let status = client.nothing().await.unwrap_err();
    assert_eq!(status.to_string(), "NOT_FOUND: everything.v1.All/Nothing: nothing");
    let reply = client.only_context().await.unwrap();
    assert_eq!(reply, Timestamp { seconds: 1, nanos: 1 });
    let status = client.only_request(at).await.unwrap_err();
    assert_eq!(status.to_string(), "ABORTED: everything.v1.All/OnlyRequest: at 7");
    client.there(()).await.unwrap();
    assert_eq!(client.next(Number { value: -8 }).await.unwrap(), Number { value: -7 });
    // Behind the one that is left out: numbers, and not places, lead to the handler.
    let twin = Duration { seconds: 3, nanos: 4 };
    assert_eq!(client.r#type(twin).timeout(Time::from_secs(30)).await.unwrap(), twin);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_is_that_of_the_call_then_of_the_method() {
    let (_broker, _worker, client) = cluster().await;
    let at = Timestamp { seconds: 7, nanos: 8 };
    let own = client.both(at).await.unwrap();
    assert!((1..=9_000).contains(&own.seconds), "{own:?}");
    let asked = client.both(at).timeout(Time::from_secs(100)).await.unwrap();
    assert!((9_001..=100_000).contains(&asked.seconds) && asked.nanos == 8, "{asked:?}");
}
