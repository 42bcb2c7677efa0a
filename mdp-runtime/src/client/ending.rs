//! The end of a call within the client: the driver sends the outcome, the call's future waits for it and makes a reply or
//! a status of it. Dropping the future before the outcome has arrived cancels the call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use mdp_protocol::client::Outcome;
use mdp_protocol::{Key, Reason};

use super::{ClientCommand, ClientLink};
use crate::call::{Answering, Reply, refused};
use crate::stream::Flow;
use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::metadata::Metadata;
use mdp_call::status::{Code, Status};

/// The driver has not taken the call yet.
const NEW: u64 = 0;
/// The caller no longer waits.
const ABANDONED: u64 = u64::MAX;

struct Shared {
    /// [`NEW`], then the call's key, or [`ABANDONED`].
    call: AtomicU64,
    state: Mutex<State>,
}

enum State {
    Open(Option<Waker>),
    Ended(Outcome<Body>),
    /// The outcome was taken, or there will be no outcome.
    Over,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, state: State) {
        let before = std::mem::replace(&mut *self.state(), state);
        if let State::Open(Some(waker)) = before {
            waker.wake();
        }
    }
}

/// The driver's end. Dropping it without an outcome means that the client is closed.
pub(crate) struct ResultSender {
    shared: Arc<Shared>,
    /// The call's streams.
    flow: Option<Arc<Flow>>,
}

impl ResultSender {
    /// Both ends of a new call.
    pub(super) fn new(
        link: Arc<ClientLink>,
        flow: Option<Arc<Flow>>,
    ) -> (ResultSender, ResultReceiver) {
        let state = Mutex::new(State::Open(None));
        let shared = Arc::new(Shared { call: AtomicU64::new(NEW), state });
        (ResultSender { shared: Arc::clone(&shared), flow }, ResultReceiver { shared, link })
    }

    pub(super) fn flow(&self) -> Option<&Arc<Flow>> {
        self.flow.as_ref()
    }

    /// Whether the caller no longer waits for the answer.
    pub(super) fn is_abandoned(&self) -> bool {
        self.shared.call.load(Ordering::Acquire) == ABANDONED
    }

    /// The handle that gets the call's key once the core has made the key.
    pub(super) fn naming(&self) -> Naming {
        Naming { shared: Arc::clone(&self.shared) }
    }

    pub(super) fn send(self, outcome: Outcome<Body>) {
        self.shared.end(State::Ended(outcome));
    }
}

impl Drop for ResultSender {
    fn drop(&mut self) {
        let open = matches!(*self.shared.state(), State::Open(_));
        if open {
            self.shared.end(State::Over);
        }
        if let Some(flow) = &self.flow {
            flow.half().close();
        }
    }
}

/// Stores the key with which the waiting end can cancel the call.
pub(super) struct Naming {
    shared: Arc<Shared>,
}

impl Naming {
    /// `false`: the call was cancelled already.
    pub(super) fn name(self, call: Key) -> bool {
        let call = call.as_u64();
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.shared.call.compare_exchange(NEW, call, success, failure).is_ok()
    }
}

/// The end that the call's future holds.
pub(crate) struct ResultReceiver {
    shared: Arc<Shared>,
    link: Arc<ClientLink>,
}

impl ResultReceiver {
    /// The outcome; `None` if the client was closed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome<Body>>> {
        let mut state = self.shared.state();
        match std::mem::replace(&mut *state, State::Over) {
            State::Ended(outcome) => Poll::Ready(Some(outcome)),
            State::Over => Poll::Ready(None),
            State::Open(waker) => {
                let waker = match waker {
                    Some(waker) if waker.will_wake(cx.waker()) => waker,
                    _ => cx.waker().clone(),
                };
                *state = State::Open(Some(waker));
                Poll::Pending
            }
        }
    }
}

impl Drop for ResultReceiver {
    fn drop(&mut self) {
        if !matches!(*self.shared.state(), State::Open(_)) {
            return;
        }
        let call = self.shared.call.swap(ABANDONED, Ordering::AcqRel);
        if let Some(call) = Key::from_u64(call) {
            // A client that is closed has already ended the call.
            drop(self.link.command(ClientCommand::Cancel(call)));
        }
    }
}

/// The end of a call. Dropping it before the call has ended cancels the call.
pub(crate) struct Ending {
    source: ResultSource,
    /// The call's streams, if it has any.
    flow: Option<Arc<Flow>>,
}

enum ResultSource {
    /// The second field is the maximum size of a reply after decompression, in bytes.
    Broker(ResultReceiver, usize),
    /// The call goes through a channel. The lock is never contended; it makes the future `Sync`.
    Channel(Mutex<Answering>),
}

impl Ending {
    pub(super) fn broker(waiting: ResultReceiver, flow: Option<Arc<Flow>>, max: usize) -> Self {
        Ending { source: ResultSource::Broker(waiting, max), flow }
    }

    pub(crate) fn channel(answering: Answering, flow: Option<Arc<Flow>>) -> Self {
        Ending { source: ResultSource::Channel(Mutex::new(answering)), flow }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Status>> {
        let end = match &mut self.source {
            ResultSource::Broker(waiting, max) => match ready!(waiting.poll(cx)) {
                Some(outcome) => answered(outcome, *max),
                None => Err(closed()),
            },
            ResultSource::Channel(answering) => {
                let answering = answering.get_mut().unwrap_or_else(PoisonError::into_inner);
                ready!(answering.as_mut().poll(cx))
            }
        };
        let abandoned = self.flow.as_ref().is_some_and(|flow| flow.is_abandoned());
        Poll::Ready(if abandoned { Err(half_sent()) } else { end })
    }
}

pub(super) fn closed() -> Status {
    Status::cancelled("the client was closed").with_not_started(true)
}

pub(super) fn half_sent() -> Status {
    Status::cancelled("the stream of requests was dropped before it was finished")
}

/// The status at the client for a message that cannot be read: the error is the other side's.
pub(crate) fn at_client(status: Status) -> Status {
    match status.code() {
        Code::InvalidArgument => Status::internal(status.message()),
        _ => status,
    }
}

/// The result of a call, from the outcome that the core reports.
pub(crate) fn answered(outcome: Outcome<Body>, max: usize) -> Result<Reply, Status> {
    match outcome {
        Outcome::Refused(refusal) => Err(Status::from(refusal.as_ref())),
        Outcome::Final { code: Code::Ok, not_started: _, attempt, body } => Ok(Reply {
            payload: body.uncompressed(max).map_err(at_client)?,
            metadata: metadata(body.meta(), false)?,
            worker: body.peer(),
            attempts: attempt,
        }),
        Outcome::Final { code, not_started, attempt: _, body } => {
            Err(codec::decode_status(code, body.payload())
                .with_not_started(not_started)
                .with_metadata(metadata(body.meta(), not_started)?))
        }
    }
}

/// The metadata that the handler sent with its reply, or before its replies.
///
/// # Errors
///
/// INTERNAL: the metadata cannot be read (wire.md R103).
#[inline]
pub(crate) fn metadata(bytes: Bytes, not_started: bool) -> Result<Metadata, Status> {
    if bytes.is_empty() {
        return Ok(Metadata::new());
    }
    codec::decode_metadata(bytes).map_err(|error| {
        let message = format!("the reply cannot be read: {error}");
        let reason = if not_started { Reason::NotDispatched } else { Reason::MaybeExecuted };
        refused(Code::Internal, reason, &message, not_started)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_whose_metadata_cannot_be_read_is_internal() {
        for meta in [&b"\x0a"[..], b"\x0a\x03\x0a\x01\xff", b"\x0a\x00"] {
            for (code, not_started) in
                [(Code::Ok, false), (Code::NotFound, false), (Code::Unavailable, true)]
            {
                let body = Body::with_payload("", Some(meta), Bytes::new());
                let end = Outcome::Final { code, not_started, attempt: 1, body };
                let status = answered(end, 0).unwrap_err();
                assert_eq!((status.code(), status.not_started()), (Code::Internal, not_started));
                assert!(status.message().contains("metadata"), "{status}");
            }
        }
    }
}
