//! What a handler may know of its call.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::permits::{CallPermit, ServicePermits};
use crate::codec::EncodedMetadata;
use crate::codegen::{MethodSpec, OnCancel};
use crate::compress::Compression;
use crate::extensions::Extensions;
use crate::metadata::Metadata;
use crate::stream::{Flow, Streaming};

/// A call as its handler sees it: who calls, what came beside the request, how much time is left.
/// Cloning is cheap; a clone may outlive the handler.
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
    /// Rung when one of the two has changed.
    bell: Notify,
    /// The call's streams, if it has some.
    flow: Option<Arc<Flow>>,
    /// The call as the worker has it, if this is what interceptors have made of it.
    outer: Option<CallContext>,
    /// Of the call as the worker has it.
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

    /// The call as interceptors pass it on. It is cancelled when this one is.
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

    /// The method's path, `package.Service/Method`.
    pub fn method(&self) -> &'static str {
        self.state.method.path
    }

    /// What came beside the request: the caller's word. What a guard of this worker has found out is in the
    /// [`extensions`](Self::extensions).
    pub fn metadata(&self) -> &Metadata {
        self.state.metadata.get_or_init(|| self.state.encoded.decode())
    }

    /// What the worker's interceptors have put on the request, by type. Empty without any; no peer can write it.
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

    /// Adds what goes back beside the reply, or beside the status if the handler fails. Values that the key has already
    /// stay. Where replies stream, what is there when the handler returns its stream goes before the first of them, the
    /// rest with the end. A key that [`Metadata`] cannot send ends the call with INTERNAL.
    pub fn reply_metadata(&self, key: impl Into<String>, value: impl Into<Bytes>) {
        let mut reply = self.state.reply.lock().unwrap_or_else(PoisonError::into_inner);
        reply.append(key, value);
    }

    /// The moment at which the caller stops waiting.
    pub fn deadline(&self) -> Instant {
        self.state.deadline
    }

    /// The time until then; zero if it has passed.
    pub fn time_left(&self) -> Duration {
        self.state.deadline.saturating_duration_since(Instant::now())
    }

    /// Which attempt this is, from 1: more than 1 if a worker was lost that held the call before.
    pub fn attempt(&self) -> u8 {
        self.state.attempt
    }

    /// The id under which the broker knows the caller. It is a name, not a proof of identity.
    pub fn client(&self) -> &[u8] {
        self.caller().0
    }

    /// Who calls, as the broker has proven it: the principal's name in the broker's policy, else the key of its
    /// connection in Z85; `None` if the connection has no key, or the call came through a broker that says
    /// nothing of it. Over plain MDP and a broker that is not of this project it is the client's own claim.
    pub fn principal(&self) -> Option<&str> {
        std::str::from_utf8(self.caller().1).ok().filter(|name| !name.is_empty())
    }

    /// The client's id, and behind a space its principal (wire.md R98).
    fn caller(&self) -> (&[u8], &[u8]) {
        let client = &*self.state.client;
        let space = client.iter().position(|byte| *byte == b' ').unwrap_or(client.len());
        let (id, rest) = client.split_at(space);
        (id, rest.get(1..).unwrap_or_default())
    }

    /// Whether nobody waits for the reply any more: the deadline has passed, the session with the
    /// broker is lost, or the worker is being stopped.
    pub fn is_cancelled(&self) -> bool {
        let outer = self.state.outer.as_ref();
        self.state.cancelled.load(Ordering::Acquire) || outer.is_some_and(Self::is_cancelled)
    }

    /// Waits until nobody waits for the reply any more. The handler itself is dropped then, unless its
    /// method detaches; this is for tasks that it has started, and for methods that do.
    pub async fn cancelled(&self) {
        self.until(Self::is_cancelled).await;
    }

    /// Whether the worker is about to leave, or the broker of this call: somebody drains one of them, or has told one to stop.
    /// The call may go on until its end or that of the grace period; the next one had better go elsewhere.
    pub fn is_draining(&self) -> bool {
        let outer = self.state.outer.as_ref();
        self.state.draining.load(Ordering::Acquire) || outer.is_some_and(Self::is_draining)
    }

    /// Waits until [`is_draining`](Self::is_draining), or nobody waits for the reply any more. For streams that have no end of
    /// their own: a worker that is drained waits for them, for up to its whole grace period. With
    /// [`end_streams_on_drain`](crate::WorkerBuilder::end_streams_on_drain) the worker ends them by itself.
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

    /// Waits until this holds, of what the bell rings for.
    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let outermost = self.state.outer.as_ref().map(|_| self.outermost());
        loop {
            // In the list first, then the look: a change in between is not missed.
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

    /// The call as the worker has it, whatever interceptors have made of it.
    pub(super) fn outermost(&self) -> &CallContext {
        self.state.outer.as_ref().map_or(self, CallContext::outermost)
    }

    /// What the call has of its service's capacity, if it is the [outermost](Self::outermost).
    pub(super) fn permit(&self) -> &CallPermit {
        &self.state.permit
    }

    pub(crate) fn on_cancel(&self) -> OnCancel {
        self.state.method.on_cancel
    }

    pub(crate) fn cancel(&self) {
        self.stop();
        self.close();
    }

    /// Says that the worker, or its broker, is about to leave.
    pub(super) fn drain(&self) {
        self.state.draining.store(true, Ordering::Release);
        self.state.bell.notify_waiters();
    }

    /// Says that nobody waits any more. The streams stay as they are.
    pub(crate) fn stop(&self) {
        self.state.cancelled.store(true, Ordering::Release);
        self.state.bell.notify_waiters();
    }

    /// The handler is done: what it left to others can send no more.
    pub(crate) fn close(&self) {
        if let Some(flow) = &self.state.flow {
            flow.half().close();
        }
    }

    /// How the caller takes a compressed reply.
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

    /// What the handler has added for the way back.
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
