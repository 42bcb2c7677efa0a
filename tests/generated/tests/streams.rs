//! A user's side of methods that stream: plain `async fn`s, whatever things are called, without a warning.

#![deny(warnings)]
#![allow(clippy::unwrap_used)]

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use mdp_runtime::codegen::{
    BidiStreaming, Call, CallContext, CallKind, ClientStreaming, Idempotency, ServerStreaming,
    Service, Status, Stream, Streaming,
};
use test_generated::elsewhere;
use test_generated::pb::common;
use test_generated::pb::hostile::services;
use test_generated::pb::hostile::v1::{
    self as pb, streams_client, streams_service, streams_worker,
};

/// A stream that has nothing.
struct Nothing<T>(PhantomData<fn() -> T>);

impl<T> Stream for Nothing<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

struct Handler;

macro_rules! handler {
    (
        one_to_many { $($one:ident($one_request:ty) -> $one_reply:ty;)* }
        many_to_one { $($many:ident($many_request:ty) -> $many_reply:ty;)* }
        many_to_many { $($both:ident($both_request:ty) -> $both_reply:ty;)* }
    ) => {
        impl streams_worker::Streams for Handler {
            $(async fn $one(
                &self,
                _cx: &CallContext,
                _req: $one_request,
            ) -> Result<impl Stream<Item = Result<$one_reply, Status>>, Status> {
                Ok(Nothing::<$one_reply>(PhantomData))
            })*
            $(async fn $many(
                &self,
                _cx: &CallContext,
                _requests: Streaming<$many_request>,
            ) -> Result<$many_reply, Status> {
                Ok(Default::default())
            })*
            $(async fn $both(
                &self,
                _cx: &CallContext,
                _requests: Streaming<$both_request>,
            ) -> Result<impl Stream<Item = Result<$both_reply, Status>> + Send, Status> {
                Ok(Nothing::<$both_reply>(PhantomData))
            })*
        }
        /// Every call of the client, with the types that are expected of it.
        #[allow(dead_code, deprecated)]
        fn calls(client: &streams_client::StreamsClient) {
            $(let _: Call<$one_reply, ServerStreaming> = client.$one(<$one_request>::default());)*
            $(let _: Call<$many_reply, ClientStreaming<$many_request>> = client.$many();)*
            $(let _: Call<$both_reply, BidiStreaming<$both_request>> = client.$both();)*
        }
    };
}

handler! {
    one_to_many {
        stream(pb::Streaming) -> pb::Stream;
        server_streaming(pb::Unary) -> pb::ServerStreaming;
        new(pb::Item) -> pb::Result;
        r#await(()) -> ();
        r#dyn(mdp_runtime::codegen::prost_types::Timestamp) -> String;
    }
    many_to_one {
        streaming(pb::Streaming) -> pb::Stream;
        client_streaming(pb::ClientStreaming) -> pb::Call;
        requests(pb::Result) -> pb::Option;
        r#type(()) -> ();
        req(pb::Some) -> pb::None;
    }
    many_to_many {
        bidi_streaming(pb::BidiStreaming) -> pb::CallKind;
        replies(pb::Status) -> pb::Status;
        send_replies(pb::Send) -> pb::Sync;
        cx(pb::CallContext) -> pb::Client;
        self_(pb::Self_) -> pb::T;
        r#loop(common::v1::Common) -> common::v1::common::Part;
        body(elsewhere::Away) -> elsewhere::away::Nested;
        inner(pb::Future) -> pb::Box;
    }
}

#[test]
fn methods_have_their_kinds() {
    let worker = streams_worker::StreamsWorker::new(Handler);
    let of = |name: &str| {
        let mut methods = worker.spec().methods.iter();
        methods.find(|method| method.name == name).unwrap().kind
    };
    assert_eq!(of("Stream"), CallKind::ServerStreaming);
    assert_eq!(of("Streaming"), CallKind::ClientStreaming);
    assert_eq!(of("Replies"), CallKind::BidiStreaming);
    assert_eq!(streams_service::methods::INNER.kind, CallKind::BidiStreaming);
    assert_eq!(pb::nothing_service::SERVICE.methods, []);
    let unary = pb::methods_service::SERVICE.methods;
    assert!(unary.iter().all(|method| method.kind == CallKind::Unary));
    assert!(unary.iter().any(|method| method.idempotency == Idempotency::NoSideEffects));
}

#[test]
fn the_schema_tells_which_side_streams() {
    let files = streams_service::schema().to_proto().unwrap();
    let text: String = files.into_iter().map(|file| file.text).collect();
    for line in [
        "rpc New(Item) returns (stream Result);",
        "rpc Requests(stream Result) returns (Option);",
        "rpc Replies(stream Status) returns (stream Status);",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

/// Streams that lend what the handler was lent.
struct Lender {
    jobs: Vec<services::Job>,
}

struct Jobs<'a, 'b> {
    jobs: std::slice::Iter<'a, services::Job>,
    cx: &'b CallContext,
}

impl Stream for Jobs<'_, '_> {
    type Item = Result<services::Job, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let attempt = self.cx.attempt();
        Poll::Ready(self.jobs.next().map(|job| match attempt {
            0 => Err(Status::internal("attempts begin at 1")),
            _ => Ok(job.clone()),
        }))
    }
}

impl services::item_worker::Item for Lender {
    async fn poll_next(
        &self,
        cx: &CallContext,
        requests: Streaming<services::Job>,
    ) -> Result<impl Stream<Item = Result<services::Job, Status>>, Status> {
        std::future::ready(()).await;
        drop(requests);
        Ok(Jobs { jobs: self.jobs.iter(), cx })
    }
}

/// The requests themselves are a stream of replies, and what `async fn` gives may be boxed.
struct Echo;

impl services::item_worker::Item for Echo {
    async fn poll_next(
        &self,
        _cx: &CallContext,
        requests: Streaming<services::Job>,
    ) -> Result<impl Stream<Item = Result<services::Job, Status>>, Status> {
        let boxed: Pin<Box<dyn Stream<Item = Result<services::Job, Status>> + Send>> =
            Box::pin(requests);
        Ok(boxed)
    }
}

#[test]
fn streams_may_borrow_from_the_worker_and_the_context() {
    let worker = services::item_worker::ItemWorker::new(Lender { jobs: Vec::new() });
    assert_eq!(worker.spec().name, "hostile.services.Item");
    assert_eq!(services::item_worker::ItemWorker::new(Echo).spec(), worker.spec());
}
