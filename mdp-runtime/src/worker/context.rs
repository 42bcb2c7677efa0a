//! What a handler may know of its call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::codec;
use crate::codegen::MethodSpec;
use crate::metadata::Metadata;

/// A call as its handler sees it: who calls, what came beside the request, how much time is left.
/// Cloning is cheap; a clone may outlive the handler.
#[derive(Clone, Debug)]
pub struct CallContext {
    state: Arc<CallState>,
}

#[derive(Debug)]
struct CallState {
    method: &'static MethodSpec,
    deadline: Instant,
    attempt: u8,
    client: Bytes,
    encoded: Bytes,
    metadata: OnceLock<Metadata>,
    reply: Mutex<Metadata>,
    cancelled: AtomicBool,
    cancel: Notify,
}

impl CallContext {
    pub(crate) fn new(
        method: &'static MethodSpec,
        deadline: Instant,
        attempt: u8,
        client: Bytes,
        metadata: Bytes,
    ) -> Self {
        CallContext {
            state: Arc::new(CallState {
                method,
                deadline,
                attempt,
                client,
                encoded: metadata,
                metadata: OnceLock::new(),
                reply: Mutex::default(),
                cancelled: AtomicBool::new(false),
                cancel: Notify::new(),
            }),
        }
    }

    /// The method's path, `package.Service/Method`.
    pub fn method(&self) -> &'static str {
        self.state.method.path
    }

    /// What came beside the request.
    pub fn metadata(&self) -> &Metadata {
        self.state.metadata.get_or_init(|| codec::decode_metadata(self.state.encoded.clone()))
    }

    /// Adds what goes back beside the reply, or beside the status if the handler fails.
    pub fn reply_metadata(&self, key: impl Into<String>, value: impl Into<Bytes>) {
        let mut reply = self.state.reply.lock().unwrap_or_else(PoisonError::into_inner);
        reply.insert(key, value);
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
        &self.state.client
    }

    /// Whether nobody waits for the reply any more: the deadline has passed, the session with the
    /// broker is lost, or the worker is being stopped.
    pub fn is_cancelled(&self) -> bool {
        self.state.cancelled.load(Ordering::Acquire)
    }

    /// Waits until nobody waits for the reply any more. The handler itself is dropped then; this is
    /// for tasks that it has started.
    pub async fn cancelled(&self) {
        let mut notified = std::pin::pin!(self.state.cancel.notified());
        // In the list first, then the look: a cancellation in between is not missed.
        notified.as_mut().enable();
        if !self.is_cancelled() {
            notified.await;
        }
    }

    pub(crate) fn cancel(&self) {
        self.state.cancelled.store(true, Ordering::Release);
        self.state.cancel.notify_waiters();
    }

    /// What the handler has added for the way back.
    pub(crate) fn take_reply_metadata(&self) -> Metadata {
        let mut reply = self.state.reply.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *reply)
    }
}
