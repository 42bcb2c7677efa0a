//! Layers of tower's around calls, and a client as a service of tower's.

#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used)] // tests

mod support;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mdp_runtime::testing::{self, InMemory};
use mdp_runtime::{Code, Interceptor, Next, Reply, Request, Status};
use support::{answering, call, echo, until, within};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

#[tokio::test]
async fn a_timeout_of_towers_ends_a_call() {
    let stuck = answering(|_, request| async move {
        match request.as_str() {
            "stuck" => pending().await,
            _ => Ok(request),
        }
    });
    let client = InMemory::new().serve(stuck).client();
    let late = |error: BoxError| match error.downcast::<Status>() {
        Ok(status) => *status,
        Err(error) if error.is::<tower::timeout::error::Elapsed>() => {
            Status::deadline_exceeded("the layer's time was up")
        }
        Err(error) => Status::internal(error.to_string()),
    };
    let timeout = Duration::from_millis(50);
    let mapped = client.layer(ServiceBuilder::new().map_err(late).timeout(timeout));
    let status = within(call(&mapped, "stuck").into_future()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::DeadlineExceeded, "the layer's time was up")
    );
    assert_eq!(within(call(&mapped, "quick").into_future()).await.unwrap(), "quick");
    // Without a status it is not known what an error means.
    let bare = client.layer(ServiceBuilder::new().timeout(timeout));
    let status = within(call(&bare, "stuck").into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown);
}

#[tokio::test]
async fn a_status_keeps_its_form_through_layers() {
    let failing = answering(|cx, _| async move {
        cx.reply_metadata("way", "back");
        Err(Status::not_found("not here"))
    });
    let client = InMemory::new().serve(failing).client();
    let client = client.layer(ServiceBuilder::new().timeout(Duration::from_secs(9)));
    let status = within(call(&client, "x").into_future()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "not here"));
    assert_eq!(status.metadata().get_str("way"), Some("back"));
}

#[tokio::test]
async fn a_limit_at_a_worker_holds_for_all_its_calls() {
    let (now, max) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let service = answering({
        let (now, max) = (Arc::clone(&now), Arc::clone(&max));
        move |_, request| {
            let (now, max) = (Arc::clone(&now), Arc::clone(&max));
            async move {
                max.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(request)
            }
        }
    });
    let broker = testing::broker().unwrap();
    let layer = ServiceBuilder::new().concurrency_limit(3);
    let worker = broker.worker().serve(service).layer(layer).start().unwrap();
    within(worker.connected()).await.unwrap();
    let client = broker.client().await.unwrap();
    let calls: Vec<_> = (0..30).map(|_| tokio::spawn(call(&client, "x").into_future())).collect();
    for call in calls {
        assert_eq!(within(call).await.unwrap().unwrap(), "x");
    }
    assert_eq!(max.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn load_is_shed_at_a_client() {
    let at_work = Arc::new(AtomicUsize::new(0));
    let here = Arc::clone(&at_work);
    let stuck = answering(move |_, _| {
        here.fetch_add(1, Ordering::SeqCst);
        pending()
    });
    let shed = ServiceBuilder::new()
        .map_err(|error: BoxError| match error.downcast::<Status>() {
            Ok(status) => *status,
            Err(error) => Status::resource_exhausted(error.to_string()),
        })
        .load_shed()
        .concurrency_limit(1);
    let client = InMemory::new().serve(stuck).client().layer(shed);
    let first = tokio::spawn(call(&client, "x").into_future());
    until(async || at_work.load(Ordering::SeqCst) == 1).await;
    let status = within(call(&client, "x").into_future()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    first.abort();
}

/// Leaves a mark.
struct Mark(&'static str);

impl Interceptor for Mark {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        request.metadata_mut().append("way", self.0);
        next.call(request).await
    }
}

#[tokio::test]
async fn layers_and_interceptors_are_in_the_order_in_which_they_are_added() {
    let service = answering(|cx, _| async move {
        let way = cx.metadata().get_all("way");
        Ok(way.map(|value| String::from_utf8_lossy(value).into_owned()).collect::<String>())
    });
    let mark = |name: &'static str| {
        tower::util::MapRequestLayer::new(move |mut request: Request| {
            request.metadata_mut().append("way", name);
            request
        })
    };
    let memory = InMemory::new().serve(service).intercept(Mark("e")).layer(mark("f"));
    let client = memory.client().intercept(Mark("a")).layer(mark("b")).intercept(Mark("c"));
    let client = client.layer(mark("d"));
    assert_eq!(within(call(&client, "x").into_future()).await.unwrap(), "abcdef");
}

#[tokio::test]
async fn a_client_is_a_service() {
    let broker = testing::broker().unwrap();
    let _worker = broker.serve(echo()).await.unwrap();
    let mut client = broker.client().await.unwrap();
    let request = call(&client, "x").metadata("own", "1").into_request();
    assert_eq!(request.metadata().get_str("own"), Some("1"));
    let reply = within(client.ready().await.unwrap().call(request)).await.unwrap();
    assert_eq!(reply.message::<String>().unwrap(), "x");
    let request = call(&client, "y").into_request();
    let stack = ServiceBuilder::new().timeout(Duration::from_secs(9)).service(client);
    assert_eq!(within(stack.oneshot(request)).await.unwrap().message::<String>().unwrap(), "y");
}
