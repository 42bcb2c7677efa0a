//! The channel of a call's result within the client: the driver sends the outcome, the call's future waits for it.
//! Dropping the future before the outcome has arrived cancels the call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mdp_protocol::Key;
use mdp_protocol::client::Outcome;

use super::{ClientCommand, ClientLink};
use crate::stream::Flow;
use mdp_call::body::Body;

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
