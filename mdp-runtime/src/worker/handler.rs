//! One handler from its start to its end, whoever polls it: a worker's pool, or a channel in memory.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::context::CallContext;
use super::current;
use crate::body::Body;
use crate::codec;
use crate::codegen::{CallKind, Handling, MethodSpec, OnCancel, Service};
use crate::compress;
use crate::metadata::BadKey;
use crate::status::{Code, Status};

/// Calls the service. A panic is INTERNAL.
pub(crate) fn begin(
    service: &dyn Service,
    method: u32,
    cx: &CallContext,
    payload: Bytes,
) -> Result<Handling, Status> {
    catch_unwind(AssertUnwindSafe(|| service.call(method, cx.clone(), payload)))
        .map_err(|panic| panicked(cx, panic.as_ref()))
}

/// Polls a handler; a panic ends it with INTERNAL, and its slot is free again.
pub(crate) fn poll(
    handling: &mut Handling,
    cx: &CallContext,
    context: &mut Context<'_>,
) -> Poll<Result<Bytes, Status>> {
    let _scope = current::enter(cx.deadline());
    match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context))) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Err(panicked(cx, panic.as_ref()))),
    }
}

/// Polls a handler until it ends, or its call is over. `None`: nobody waits for what became of it.
pub(crate) async fn finish(
    mut handling: Handling,
    cx: &CallContext,
) -> Option<Result<Bytes, Status>> {
    let mut end = poll_fn(|context| poll(&mut handling, cx, context));
    tokio::select! {
        result = &mut end => return Some(result),
        () = cx.cancelled() => {}
    }
    if cx.on_cancel() == OnCancel::Detach {
        let ended = end.await;
        let code = ended.map_or_else(|status| status.code(), |_| Code::Ok);
        tracing::debug!(method = cx.method(), ?code, "a handler ended after its call");
    }
    None
}

/// A handler's end as it goes back: the code, and the body with what goes beside it.
pub(crate) fn end(cx: &CallContext, result: Result<Bytes, Status>) -> (Code, Body) {
    match result {
        Ok(payload) => {
            let meta = match codec::encode_metadata(&cx.take_reply_metadata()) {
                Ok(meta) => meta,
                Err(bad) => return failed(cx, bad_key(cx, &bad)),
            };
            let packed = match payload.len() {
                compress::FROM.. => compress::pack(cx.accepts(), &payload),
                _ => None,
            };
            let compressed = packed.is_some();
            let body = Body::with_payload("", meta.as_deref(), packed.unwrap_or(payload));
            (Code::Ok, body.compressed(compressed))
        }
        Err(status) => failed(cx, status),
    }
}

/// The service is here and the method is not: an older worker than the client expects.
pub(crate) fn unknown(path: &str) -> Status {
    Status::unimplemented(format!("this worker's service has no method {path}"))
}

/// The descriptors of a service, if it has some.
pub(crate) fn schema(service: &dyn Service) -> Option<Bytes> {
    let schema = service.schema();
    let known = !schema.descriptors().file.is_empty();
    known.then(|| Bytes::from(schema.to_bytes()))
}

/// The method is another one here than the caller knows.
pub(crate) fn other_kind(method: &MethodSpec, called: CallKind) -> Status {
    let words = |kind| match kind {
        CallKind::Unary => "one request and one reply",
        CallKind::ClientStreaming => "a stream of requests and one reply",
        CallKind::ServerStreaming => "one request and a stream of replies",
        CallKind::BidiStreaming => "streams both ways",
    };
    let (path, here, there) = (method.path, words(method.kind), words(called));
    Status::unimplemented(format!("{path} has {here} at this worker, and was called with {there}"))
}

fn failed(cx: &CallContext, status: Status) -> (Code, Body) {
    let status = with_metadata(cx, status);
    let (status, meta) = match codec::encode_metadata(status.metadata()) {
        Ok(meta) => (status, meta),
        Err(bad) => (bad_key(cx, &bad), None),
    };
    let payload = codec::encode_status(&status);
    (status.code(), Body::with_payload("", meta.as_deref(), payload))
}

/// A handler's reply cannot be sent with this key beside it.
pub(crate) fn bad_key(cx: &CallContext, bad: &BadKey) -> Status {
    tracing::error!(method = cx.method(), %bad, "a handler gave metadata that cannot be sent");
    Status::internal(format!("beside the reply of {}: {bad}", cx.method()))
}

/// A handler's status with what goes back beside it.
pub(crate) fn with_metadata(cx: &CallContext, status: Status) -> Status {
    // A handler that fails with OK has not made a reply.
    let mut status = match status.code() {
        Code::Ok => Status::internal(format!("the handler of {} failed with OK", cx.method())),
        // It may be the end of a call of the handler's own.
        _ => status.handed_on(),
    };
    for (key, value) in cx.take_reply_metadata().iter() {
        status.metadata_mut().append(key, value.clone());
    }
    status
}

fn panicked(cx: &CallContext, panic: &(dyn Any + Send)) -> Status {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    tracing::error!(method = cx.method(), words, "a handler panicked");
    // What a panic says is for the operator's log, not for the caller.
    Status::internal(format!("the handler of {} panicked", cx.method()))
}
