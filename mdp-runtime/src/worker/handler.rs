//! One handler from its start to its end, polled by a worker's pool or by a channel in memory.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::call::{
    CallContext, HandlerFuture, Hold, MethodSpec, NoPermit, OnCancel, Outlasts, Service, current,
    handling,
};
use crate::trace_context;
use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::compress;
use mdp_call::metadata::BadKey;
use mdp_call::status::{Code, Status};
use mdp_protocol::wire::CallKind;
use mdp_transport::ends::{self, Panicked};

/// A running handler. It may panic when it is polled and when it is dropped.
pub(crate) struct Running {
    future: Option<HandlerFuture>,
    method: &'static str,
}

impl Drop for Running {
    fn drop(&mut self) {
        let dropped = ends::catch(|| drop(self.future.take()));
        if let Err(panicked) = dropped {
            log(self.method, &panicked);
        }
    }
}

/// A handler after its first poll.
pub(crate) enum Started {
    /// The handler has ended with this code and this body; see [`end`].
    Ended(Code, Body),
    /// The handler has to wait.
    Waits(Running),
}

/// Calls the service, and polls the handler once.
pub(crate) fn start(
    service: &dyn Service,
    method: u32,
    cx: &CallContext,
    payload: Bytes,
    context: &mut Context<'_>,
) -> Started {
    let result = match begin(service, method, cx, payload) {
        Ok(mut running) => match poll(&mut running, cx, context) {
            Poll::Ready(result) => result,
            Poll::Pending => return Started::Waits(running),
        },
        Err(status) => Err(status),
    };
    let (code, body) = end(cx, result);
    Started::Ended(code, body)
}

/// Calls the service. A panic becomes INTERNAL.
pub(crate) fn begin(
    service: &dyn Service,
    method: u32,
    cx: &CallContext,
    payload: Bytes,
) -> Result<Running, Status> {
    let future = ends::catch(|| service.call(method, cx.clone(), payload));
    let future = future.map_err(|panicked| internal(cx.method(), &panicked))?;
    Ok(Running { future: Some(future), method: cx.method() })
}

/// Polls a handler. A panic ends the handler with INTERNAL and frees its slot.
pub(crate) fn poll(
    running: &mut Running,
    cx: &CallContext,
    context: &mut Context<'_>,
) -> Poll<Result<Bytes, Status>> {
    let _scope = current::enter(cx.deadline());
    let Some(future) = &mut running.future else { return Poll::Pending };
    match ends::catch(|| future.as_mut().poll(context)) {
        Ok(polled) => polled,
        Err(panicked) => Poll::Ready(Err(internal(cx.method(), &panicked))),
    }
}

/// Runs a blocking handler on one of tokio's threads for blocking code. After the call has ended, nothing waits for the
/// thread. But the call keeps its place in the worker's capacity until the thread is free, or until the call leaves the
/// queue for a thread.
pub fn blocking<F>(cx: CallContext, handler: F) -> HandlerFuture
where
    F: FnOnce(&CallContext) -> Result<Bytes, Status> + Send + 'static,
{
    handling(async move {
        let method = cx.method();
        let context = trace_context::current();
        let hold = Hold::take(&cx, Outlasts::Thread).map_err(|none| none.status(method))?;
        let run = move || {
            let _hold = hold;
            match cx.is_cancelled() {
                // No caller reads this: the call ended before a thread was free.
                true => Err(NoPermit::Over.status(method)),
                false => {
                    let _scope = (current::enter_blocking(cx.deadline()), context.enter());
                    handler(&cx)
                }
            }
        };
        // A panic is caught here, because tokio would drop its payload, and that may panic again.
        let ended = tokio::task::spawn_blocking(move || ends::catch(run)).await;
        let down = || format!("the runtime of {method}'s handlers was shut down");
        let ended = ended.map_err(|_| Status::unavailable(down()))?;
        ended.unwrap_or_else(|panicked| Err(internal(method, &panicked)))
    })
}

/// Polls a handler until it ends or its call is over. `None`: the caller no longer waits for the result.
pub(crate) async fn finish(
    mut running: Running,
    cx: &CallContext,
) -> Option<Result<Bytes, Status>> {
    let mut end = poll_fn(|context| poll(&mut running, cx, context));
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

/// The result of a handler as it is sent: the code, and the body with the reply's metadata.
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

/// The error when the service exists but the method does not: the worker is older than the client expects.
pub(crate) fn unknown(path: &str) -> Status {
    Status::unimplemented(format!("this worker's service has no method {path}"))
}

/// The descriptors of a service, if it has any.
///
/// # Errors
///
/// INTERNAL: the service panicked.
pub(crate) fn schema(service: &dyn Service) -> Result<Option<Bytes>, Status> {
    let describe = || {
        let schema = service.schema();
        let known = !schema.descriptors().file.is_empty();
        known.then(|| Bytes::from(schema.to_bytes()))
    };
    ends::catch(describe).map_err(|panicked| internal(service.spec().name, &panicked))
}

/// The error when the method has another kind here than the caller expects.
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

/// The error when a handler's reply has this metadata key, which cannot be sent.
pub(crate) fn bad_key(cx: &CallContext, bad: &BadKey) -> Status {
    tracing::error!(method = cx.method(), %bad, "a handler gave metadata that cannot be sent");
    Status::internal(format!("metadata of the reply of {}: {bad}", cx.method()))
}

/// A handler's status together with the metadata of the reply.
pub(crate) fn with_metadata(cx: &CallContext, status: Status) -> Status {
    // A handler that fails with OK has not made a reply.
    let mut status = match status.code() {
        Code::Ok => Status::internal(format!("the handler of {} failed with OK", cx.method())),
        // The status may be the end of the handler's own call.
        _ => status.handed_on(),
    };
    for (key, value) in cx.take_reply_metadata().iter() {
        status.metadata_mut().append(key, value.clone());
    }
    status
}

/// The end of a call whose handler has panicked. The panic's message goes to the operator's log, not to the caller.
pub(crate) fn internal(method: &str, panicked: &Panicked) -> Status {
    log(method, panicked);
    Status::internal(format!("the handler of {method} panicked"))
}

fn log(method: &str, panicked: &Panicked) {
    ends::say(|| tracing::error!(method, words = panicked.words(), "a handler panicked"));
}
