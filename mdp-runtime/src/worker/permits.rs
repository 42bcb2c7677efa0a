//! Permits of a service's capacity. A call has one from the start of its handler until the call has ended and no handler
//! of it runs any more: a thread cannot be stopped, and a handler that detaches shall not be.
//!
//! The driver's thread counts the calls that it has started. What runs on after its call counts as outlasting, until the
//! last [`Hold`] of the call is dropped, wherever that is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use mdp_protocol::{Code, Reason};
use tokio::sync::Notify;

use super::context::CallContext;
use crate::client::refused;
use crate::status::Status;

/// The call has ended.
const OVER: u8 = 1 << 7;
/// The call has no permit yet. Nothing of it runs.
const WAITS: u8 = 1 << 6;

/// What outlasts its call, one of each kind a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outlasts {
    /// The future of the whole call: interceptors and a handler that detaches, or a raw handler.
    Future = 1,
    /// The task of a handler that detaches, behind interceptors.
    Task = 1 << 1,
    /// The thread of a handler that blocks, or its place in the queue for one.
    Thread = 1 << 2,
    /// The replier of a raw call.
    Replier = 1 << 3,
    /// The first responder of the call, with whoever answers in its handler's place.
    Responder = 1 << 4,
}

/// The capacity of a service, as its calls share it.
#[derive(Debug)]
pub(crate) struct ServicePermits {
    /// The service's place in the worker's configuration.
    pub(super) service: usize,
    pub(super) capacity: u32,
    /// Calls that were started and have not ended. Written by one thread at a time, the driver's.
    started: AtomicU32,
    /// Calls that have ended while a handler of theirs runs, and raw requests of plain MDP from begin to end.
    outlasting: AtomicU32,
    /// Rung when there is one less.
    bell: Arc<Notify>,
}

impl ServicePermits {
    pub(crate) fn new(service: usize, capacity: u32, bell: &Arc<Notify>) -> Self {
        let (started, outlasting) = (AtomicU32::new(0), AtomicU32::new(0));
        ServicePermits { service, capacity, started, outlasting, bell: Arc::clone(bell) }
    }

    /// Whether one more may start.
    pub(super) fn is_free(&self) -> bool {
        self.started().saturating_add(self.outlasting()) < self.capacity
    }

    fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    /// The driver has started a call.
    pub(super) fn start(&self) {
        self.started.store(self.started().saturating_add(1), Ordering::Relaxed);
    }

    /// A call has ended that the driver had started.
    pub(super) fn end(&self) {
        self.started.store(self.started().saturating_sub(1), Ordering::Relaxed);
    }

    /// A permit for what is no call of the driver's.
    pub(crate) fn try_hold(self: &Arc<Self>) -> Option<ServiceHold> {
        let free = self.is_free();
        free.then(|| {
            self.outlasting.fetch_add(1, Ordering::AcqRel);
            ServiceHold(Arc::clone(self))
        })
    }

    /// Calls that have ended while a handler of theirs runs.
    pub(super) fn outlasting(&self) -> u32 {
        self.outlasting.load(Ordering::Acquire)
    }

    fn give_back(&self) {
        self.outlasting.fetch_sub(1, Ordering::AcqRel);
        self.bell.notify_one();
    }
}

/// Keeps a permit for what is no call of the driver's: a raw request of plain MDP.
#[derive(Debug)]
pub(crate) struct ServiceHold(Arc<ServicePermits>);

impl Drop for ServiceHold {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// What one call has of its service's permits.
#[derive(Debug, Default)]
pub(super) struct CallPermit {
    /// Bits of [`Outlasts`], and [`OVER`].
    state: AtomicU8,
    /// `None` where there is no capacity.
    service: Option<Arc<ServicePermits>>,
}

impl CallPermit {
    pub(super) fn of(service: Option<Arc<ServicePermits>>) -> Self {
        CallPermit { state: AtomicU8::new(0), service }
    }

    pub(super) fn service(&self) -> Option<&ServicePermits> {
        self.service.as_deref()
    }

    /// The call waits for a permit, so its handler is not started.
    pub(super) fn wait(&self) {
        self.state.store(WAITS, Ordering::Release);
    }

    /// The call waits no more: it has a permit. `false`: it has ended meanwhile.
    pub(super) fn grant(&self) -> bool {
        self.state.compare_exchange(WAITS, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The call has ended.
    pub(super) fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) & OVER != 0
    }

    /// The call has ended. Its permit is free, or counts as outlasting until its handler has ended. `false`: it had none, and
    /// waited for one.
    pub(super) fn end(&self) -> bool {
        let idle = self.state.compare_exchange(0, OVER, Ordering::AcqRel, Ordering::Acquire);
        match idle {
            Ok(_) => return true,
            Err(WAITS) => {
                self.state.store(OVER, Ordering::Release);
                return false;
            }
            Err(_) => {}
        }
        let Some(service) = &self.service else { return true };
        // First counted: the handler may end meanwhile, and takes it back then.
        service.outlasting.fetch_add(1, Ordering::AcqRel);
        let before = self.state.fetch_or(OVER, Ordering::AcqRel);
        if before == 0 || before & OVER != 0 {
            service.give_back();
        }
        true
    }

    fn take(&self, kind: Outlasts) -> Result<(), NoPermit> {
        let bit = kind as u8;
        let take = |state| (state != OVER && state & bit == 0).then_some(state | bit);
        let taken = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        taken.map(drop).map_err(|state| match state {
            OVER => NoPermit::Over,
            _ => NoPermit::Taken,
        })
    }

    fn drop_hold(&self, kind: Outlasts) {
        let bit = kind as u8;
        let before = self.state.fetch_and(!bit, Ordering::AcqRel);
        if before == OVER | bit
            && let Some(service) = &self.service
        {
            service.give_back();
        }
    }
}

/// Why a handler must not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// The call has ended, and its permit is back.
    Over,
    /// Another handler of the same call runs: an interceptor has called on twice.
    Taken,
}

impl NoPermit {
    /// The status of a handler that did not begin.
    pub(crate) fn status(self, method: &str) -> Status {
        match self {
            NoPermit::Over => Status::cancelled("the call was over before its handler began"),
            NoPermit::Taken => {
                let message = format!(
                    "a handler of {method} still runs that this call began before; an interceptor of the worker called on \
                     again"
                );
                refused(Code::Unavailable, Reason::NotDispatched, &message, true)
            }
        }
    }
}

/// Keeps the permit of a call while something of it runs, though the call may end.
pub(crate) struct Hold {
    cx: CallContext,
    kind: Outlasts,
}

impl Hold {
    /// Keeps the permit of the call that the worker has given out, whatever interceptors have made of it.
    pub(crate) fn take(cx: &CallContext, kind: Outlasts) -> Result<Self, NoPermit> {
        let cx = cx.outermost().clone();
        cx.permit().take(kind)?;
        Ok(Hold { cx, kind })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.cx.permit().drop_hold(self.kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> (Arc<ServicePermits>, CallPermit) {
        let service = Arc::new(ServicePermits::new(0, 1, &Arc::new(Notify::new())));
        let permit = CallPermit::of(Some(Arc::clone(&service)));
        (service, permit)
    }

    #[test]
    fn a_permit_is_back_with_the_last_that_outlasts_its_call() {
        let (service, call) = call();
        call.take(Outlasts::Task).unwrap();
        call.take(Outlasts::Thread).unwrap();
        assert_eq!(call.take(Outlasts::Thread), Err(NoPermit::Taken));
        call.end();
        assert_eq!(service.outlasting(), 1);
        call.drop_hold(Outlasts::Thread);
        assert_eq!(service.outlasting(), 1);
        // The call still has its permit.
        call.take(Outlasts::Thread).unwrap();
        call.drop_hold(Outlasts::Task);
        call.drop_hold(Outlasts::Thread);
        assert_eq!(service.outlasting(), 0);
        assert_eq!(call.take(Outlasts::Thread), Err(NoPermit::Over));
    }

    #[test]
    fn a_call_without_a_handler_that_runs_on_ends_with_its_permit() {
        let (service, call) = call();
        call.take(Outlasts::Thread).unwrap();
        call.drop_hold(Outlasts::Thread);
        call.end();
        call.end();
        assert_eq!(service.outlasting(), 0);
        assert_eq!(call.take(Outlasts::Future), Err(NoPermit::Over));
    }

    #[test]
    fn a_call_that_waits_has_no_permit_to_give_back() {
        let (service, waits) = call();
        waits.wait();
        assert!(!waits.end());
        assert!(!waits.grant());
        let (_, granted) = call();
        granted.wait();
        assert!(granted.grant());
        assert!(granted.end());
        assert_eq!(service.outlasting(), 0);
    }

    #[test]
    fn ends_of_call_and_handler_at_once_leave_nothing() {
        for _ in 0..2_000 {
            let (service, call) = call();
            call.take(Outlasts::Thread).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| call.drop_hold(Outlasts::Thread));
                call.end();
            });
            assert_eq!(service.outlasting(), 0);
        }
    }
}
