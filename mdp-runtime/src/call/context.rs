//! The context of a call at its handler.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::permits::{CallPermit, ServicePermits};
use super::{MethodSpec, OnCancel};
use crate::stream::{Flow, Streaming};
use mdp_call::codec::EncodedMetadata;
use mdp_call::compress::Compression;
use mdp_call::extensions::Extensions;
use mdp_call::metadata::Metadata;

/// The context of a call: the caller, the metadata of the request, the time left. Cloning is cheap; a clone may outlive
/// the handler.
#[derive(Clone)]
pub struct CallContext {
    state: Arc<CallState>,
}

struct CallState {
    method: &'static MethodSpec,
    deadline: Instant,
    attempt: u8,
    client: Bytes,
    encoded: EncodedMetadata,
    metadata: OnceLock<Metadata>,
    extensions: Extensions,
    reply: Mutex<Metadata>,
    cancelled: AtomicBool,
    draining: AtomicBool,
    /// Notified when `cancelled` or `draining` has changed.
    bell: Notify,
    /// The call's streams, if it has any.
    flow: Option<Arc<Flow>>,
    /// The call as the worker received it, if interceptors have made this context.
    outer: Option<CallContext>,
    /// The permit of the call as the worker received it.
    permit: CallPermit,
}

impl CallContext {
    pub(crate) fn new(
        method: &'static MethodSpec,
        deadline: Instant,
        attempt: u8,
        client: Bytes,
        metadata: EncodedMetadata,
        flow: Option<Arc<Flow>>,
        permits: Option<Arc<ServicePermits>>,
    ) -> Self {
        CallContext {
            state: Arc::new(CallState {
                method,
                deadline,
                attempt,
                client,
                encoded: metadata,
                metadata: OnceLock::new(),
                extensions: Extensions::new(),
                reply: Mutex::default(),
                cancelled: AtomicBool::new(false),
                draining: AtomicBool::new(false),
                bell: Notify::new(),
                flow,
                outer: None,
                permit: CallPermit::of(permits),
            }),
        }
    }

    /// The context of the call as interceptors pass it on. It is cancelled together with this context.
    pub(crate) fn inner(
        &self,
        deadline: Instant,
        metadata: Metadata,
        extensions: Extensions,
        flow: Option<Arc<Flow>>,
    ) -> Self {
        let (method, attempt, client) =
            (self.state.method, self.attempt(), self.state.client.clone());
        CallContext {
            state: Arc::new(CallState {
                method,
                deadline,
                attempt,
                client,
                encoded: EncodedMetadata::default(),
                metadata: OnceLock::from(metadata),
                extensions,
                reply: Mutex::default(),
                cancelled: AtomicBool::new(false),
                draining: AtomicBool::new(false),
                bell: Notify::new(),
                flow,
                outer: Some(self.clone()),
                permit: CallPermit::default(),
            }),
        }
    }

    pub(crate) fn spec(&self) -> &'static MethodSpec {
        self.state.method
    }

    /// Returns the method's path, `package.Service/Method`.
    pub fn method(&self) -> &'static str {
        self.state.method.path
    }

    /// Returns the metadata of the request. The caller chose these values. Facts that an interceptor of this worker has
    /// verified are in the [`extensions`](Self::extensions).
    pub fn metadata(&self) -> &Metadata {
        self.state.metadata.get_or_init(|| self.state.encoded.decode())
    }

    /// Returns the values that the worker's interceptors have attached to the request, by type. Empty if there are no
    /// interceptors; no peer can set them.
    ///
    /// ```
    /// use mdp_runtime::{CallContext, Status};
    ///
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// /// The user whom the guard has let in.
    /// fn user(cx: &CallContext) -> Result<&User, Status> {
    ///     cx.extensions().get().ok_or_else(|| Status::unauthenticated("no guard has let you in"))
    /// }
    /// ```
    pub fn extensions(&self) -> &Extensions {
        &self.state.extensions
    }

    /// Adds metadata to the reply, or to the status if the handler fails. Earlier values of the key stay. If replies
    /// stream, metadata that was added before the handler returned its stream is sent before the first reply. Later
    /// metadata is sent with the end. Metadata that is added after the end is not sent. A key that cannot be sent (see
    /// [`Metadata`]) ends the call with INTERNAL.
    pub fn reply_metadata(&self, key: impl Into<String>, value: impl Into<Bytes>) {
        let mut reply = self.state.reply.lock().unwrap_or_else(PoisonError::into_inner);
        reply.append(key, value);
    }

    /// Returns the moment at which the caller stops waiting. The broker sends the time that is left with the call; this
    /// is that time after the call's arrival. The worker drops the future of an async handler at this moment. A raw call
    /// of a classic client gets its deadline from the broker (`classic_run_timeout`. Default: 10 min).
    pub fn deadline(&self) -> Instant {
        self.state.deadline
    }

    /// Returns the time until the deadline; zero if the deadline has passed.
    pub fn time_left(&self) -> Duration {
        self.state.deadline.saturating_duration_since(Instant::now())
    }

    /// Returns the number of this attempt, from 1. Higher numbers mean that a worker was lost while it had the call.
    pub fn attempt(&self) -> u8 {
        self.state.attempt
    }

    /// Returns the id under which the broker knows the caller. The id is a name, not a proof of identity.
    pub fn client(&self) -> &[u8] {
        self.caller().0
    }

    /// Returns the caller's identity as the broker has verified it: the principal's name from the broker's policy, or
    /// else the connection's public key in Z85. `None` if the connection has no key, or if the call came through a
    /// broker that does not report this. With classic MDP and a broker of another project, this is the client's own
    /// claim.
    pub fn principal(&self) -> Option<&str> {
        std::str::from_utf8(self.caller().1).ok().filter(|name| !name.is_empty())
    }

    /// The client's id and, after a space, its principal (wire.md R98).
    fn caller(&self) -> (&[u8], &[u8]) {
        let client = &*self.state.client;
        let space = client.iter().position(|byte| *byte == b' ').unwrap_or(client.len());
        let (id, rest) = client.split_at(space);
        (id, rest.get(1..).unwrap_or_default())
    }

    /// Whether the caller no longer waits for the reply: the deadline has passed, the session with the broker is lost,
    /// or the worker is being stopped.
    pub fn is_cancelled(&self) -> bool {
        let outer = self.state.outer.as_ref();
        self.state.cancelled.load(Ordering::Acquire) || outer.is_some_and(Self::is_cancelled)
    }

    /// Waits until the caller no longer waits for the reply. The handler itself is dropped then, unless its method
    /// detaches; use this in tasks that the handler has started, and in methods that detach.
    pub async fn cancelled(&self) {
        self.until(Self::is_cancelled).await;
    }

    /// Whether the worker, or the broker of this call, is being drained or shut down. The call may continue until its
    /// own end or the end of the grace period; the next call should go to another worker.
    pub fn is_draining(&self) -> bool {
        let outer = self.state.outer.as_ref();
        self.state.draining.load(Ordering::Acquire) || outer.is_some_and(Self::is_draining)
    }

    /// Waits until [`is_draining`](Self::is_draining) is true, or the caller no longer waits for the reply. For streams
    /// that have no end of their own: a worker that is drained waits for them for up to its whole grace period. With
    /// [`end_streams_on_drain`](crate::WorkerBuilder::end_streams_on_drain) the worker ends such streams by itself.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mdp_runtime::{CallContext, Status, Stream, stream};
    ///
    /// /// Counts seconds for whoever watches.
    /// async fn watch(
    ///     cx: &CallContext,
    /// ) -> Result<impl Stream<Item = Result<u32, Status>> + use<>, Status> {
    ///     let (events, replies) = stream::channel(16);
    ///     let cx = cx.clone();
    ///     tokio::spawn(async move {
    ///         let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ///         for number in 0.. {
    ///             tokio::select! {
    ///                 _ = ticks.tick() => {}
    ///                 () = cx.draining() => {
    ///                     let status = Status::unavailable("this worker is being drained; watch again");
    ///                     let _ = events.fail(status).await; // an error: nobody listens any more
    ///                     return;
    ///                 }
    ///             }
    ///             if events.send(number).await.is_err() {
    ///                 return;
    ///             }
    ///         }
    ///     });
    ///     Ok(replies)
    /// }
    /// ```
    pub async fn draining(&self) {
        self.until(|cx| cx.is_draining() || cx.is_cancelled()).await;
    }

    /// Waits until the condition holds, checking it at each notification.
    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let outermost = self.state.outer.as_ref().map(|_| self.outermost());
        loop {
            // Registers first and checks afterwards, so that no change in between is missed.
            let mut own = std::pin::pin!(self.state.bell.notified());
            own.as_mut().enable();
            let Some(outermost) = outermost else {
                match holds(self) {
                    true => return,
                    false => own.await,
                }
                continue;
            };
            let mut outer = std::pin::pin!(outermost.state.bell.notified());
            outer.as_mut().enable();
            if holds(self) {
                return;
            }
            tokio::select! {
                () = own => {}
                () = outer => {}
            }
        }
    }

    /// The call as the worker received it, before any interceptor.
    pub(crate) fn outermost(&self) -> &CallContext {
        self.state.outer.as_ref().map_or(self, CallContext::outermost)
    }

    /// The call's share of its service's capacity, for the [outermost](Self::outermost) context.
    pub(crate) fn permit(&self) -> &CallPermit {
        &self.state.permit
    }

    pub(crate) fn on_cancel(&self) -> OnCancel {
        self.state.method.on_cancel
    }

    pub(crate) fn cancel(&self) {
        self.stop();
        self.close();
    }

    /// Records that the worker, or its broker, is about to leave.
    pub(crate) fn drain(&self) {
        self.state.draining.store(true, Ordering::Release);
        self.state.bell.notify_waiters();
    }

    /// Records that the caller no longer waits. The streams stay unchanged.
    pub(crate) fn stop(&self) {
        self.state.cancelled.store(true, Ordering::Release);
        self.state.bell.notify_waiters();
    }

    /// Ends the streams after the handler: tasks that it has started can send no more.
    pub(crate) fn close(&self) {
        if let Some(flow) = &self.state.flow {
            flow.half().close();
        }
    }

    /// The compression that the caller accepts for the reply.
    pub(crate) fn accepts(&self) -> Option<Compression> {
        self.state.encoded.accept()
    }

    pub(crate) fn flow(&self) -> Option<&Arc<Flow>> {
        self.state.flow.as_ref()
    }

    pub(crate) fn requests<T>(&self) -> Streaming<T> {
        let flow = self.state.flow.clone().unwrap_or_else(Flow::closed);
        Streaming::of_requests(flow, self.state.method)
    }

    /// The metadata that the handler has added for the reply.
    pub(crate) fn take_reply_metadata(&self) -> Metadata {
        let mut reply = self.state.reply.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *reply)
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("method", &self.method())
            .field("attempt", &self.attempt())
            .field("time_left", &self.time_left())
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
