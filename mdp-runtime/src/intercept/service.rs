//! Interceptors around the handlers of a worker.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use mdp_protocol::wire::Direction;
use tokio::sync::oneshot;

use super::{Interceptors, Next};
use crate::call::{
    CallContext, Channel, HandlerFuture, Hold, OnCancel, Outlasts, Replies, Reply, Request,
    Requests, Service, ServiceSpec, expired, handling, streams_of,
};
use crate::client;
use crate::stream::Flow;
use crate::trace_context;
use crate::worker::handler::{self, Running};
use bytes::Bytes;
use mdp_call::status::Status;
use mdp_schema::Schema;

/// A service with interceptors around each of its handlers.
struct Intercepted {
    service: Arc<dyn Service>,
    interceptors: Interceptors,
}

/// Wraps the service in these interceptors; returns the service itself if there are none.
pub(crate) fn around(service: Arc<dyn Service>, interceptors: &Interceptors) -> Arc<dyn Service> {
    if interceptors.is_empty() {
        return service;
    }
    Arc::new(Intercepted { service, interceptors: Arc::clone(interceptors) })
}

impl Service for Intercepted {
    fn spec(&self) -> &'static ServiceSpec {
        self.service.spec()
    }

    fn schema(&self) -> Schema {
        self.service.schema()
    }

    fn call(&self, method: u32, cx: CallContext, body: Bytes) -> HandlerFuture {
        let service = Arc::clone(&self.service);
        let end = Arc::new(Handler { service, method, cx: cx.clone() });
        let next = Next::new(&self.interceptors, end, Some(cx.deadline()));
        let mut request = Request::new(cx.spec(), body, Arc::from([]));
        request.metadata = cx.metadata().clone();
        request.timeout = cx.time_left();
        request.cx = Some(cx.clone());
        handling(async move {
            let streams = cx.flow().map(|flow| streams_of(&request, flow));
            let reply = next.pass(request, streams).await?;
            for (key, value) in reply.metadata.iter() {
                cx.reply_metadata(key, value.clone());
            }
            // If replies stream, no reply comes with the end.
            let streams = cx.spec().kind.streams(Direction::Replies);
            Ok(if streams { Bytes::new() } else { reply.payload })
        })
    }
}

/// The innermost end: one call of a handler.
struct Handler {
    service: Arc<dyn Service>,
    method: u32,
    /// The context as the worker received it.
    cx: CallContext,
}

impl Channel for Handler {
    async fn call(&self, request: Request) -> Result<Reply, Status> {
        self.start(request, None).await
    }

    async fn stream(
        &self,
        request: Request,
        requests: Requests,
        replies: Replies,
    ) -> Result<Reply, Status> {
        let passed_on = request.clone();
        let start = |flow| self.start(passed_on, Some(flow));
        client::handled(&request, requests, replies, start).await
    }
}

impl Handler {
    /// Runs the handler with the request that the interceptors have passed on.
    fn start(
        &self,
        request: Request,
        flow: Option<Arc<Flow>>,
    ) -> impl Future<Output = Result<Reply, Status>> + Send + use<> {
        let (service, method, outer) = (Arc::clone(&self.service), self.method, self.cx.clone());
        async move {
            let theirs = outer.deadline();
            let deadline = Instant::now().checked_add(request.timeout);
            let deadline = deadline.map_or(theirs, |deadline| deadline.min(theirs));
            let cx = outer.inner(deadline, request.metadata, request.extensions, flow);
            let mut given_up = GivenUp(Some(&cx));
            let running = handler::begin(&*service, method, &cx, request.payload)?;
            let end = ended(running, &cx);
            let end = if deadline < theirs {
                tokio::time::timeout_at(deadline.into(), end).await
            } else {
                Ok(end.await)
            };
            let Ok(end) = end else { return Err(expired(false)) };
            given_up.0 = None;
            match end {
                Ok(payload) => {
                    let mut reply = Reply::from_bytes(payload);
                    reply.metadata = cx.take_reply_metadata();
                    reply.attempts = cx.attempt();
                    Ok(reply)
                }
                Err(status) => Err(handler::with_metadata(&cx, status)),
            }
        }
    }
}

/// The end of a handler. Dropping it early stops the handler, unless the handler's method detaches.
async fn ended(mut running: Running, cx: &CallContext) -> Result<Bytes, Status> {
    if cx.on_cancel() == OnCancel::Cancel {
        return poll_fn(|context| handler::poll(&mut running, cx, context)).await;
    }
    let hold = Hold::take(cx, Outlasts::Task).map_err(|none| none.status(cx.method()))?;
    let (answer, end) = oneshot::channel();
    let cx = cx.clone();
    tokio::spawn(trace_context::with_context(async move {
        let ended = poll_fn(|context| handler::poll(&mut running, &cx, context)).await;
        drop((running, hold));
        // The caller may be gone.
        let _ = answer.send(ended);
    }));
    let gone = |_| Err(Status::unavailable("the runtime of the handlers was shut down"));
    end.await.unwrap_or_else(gone)
}

/// Notifies tasks of the handler that the caller no longer waits, when an interceptor drops the handler.
struct GivenUp<'a>(Option<&'a CallContext>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(cx) = self.0 {
            cx.stop();
        }
    }
}
