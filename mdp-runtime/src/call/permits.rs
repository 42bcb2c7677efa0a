//! Permits of a service's capacity. A call holds a permit from the start of its handler until both the call has ended
//! and none of its handlers runs any more: a thread cannot be stopped, and a handler that detaches must not be stopped.
//!
//! The driver's thread counts the calls that it has started. Work that continues after its call counts as outlasting,
//! until the call's last [`Hold`] is dropped, on any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use mdp_protocol::{Code, Reason};
use tokio::sync::Notify;

use super::context::CallContext;
use super::refused;
use mdp_call::status::Status;

/// The call has ended.
const OVER: u8 = 1 << 7;
/// The call has no permit yet, and no work of it runs.
const WAITS: u8 = 1 << 6;

/// The kinds of work that can outlast a call; each call has at most one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outlasts {
    /// The future of the whole call: interceptors with a handler that detaches, or a raw handler.
    Future = 1,
    /// The task of a handler that detaches, inside interceptors.
    Task = 1 << 1,
    /// The thread of a handler that blocks, or its place in the queue for a thread.
    Thread = 1 << 2,
    /// The replier of a raw call.
    Replier = 1 << 3,
    /// The first responder of the call, which answers in the handler's place.
    Responder = 1 << 4,
}

/// The capacity of a service, shared by the service's calls.
#[derive(Debug)]
pub(crate) struct ServicePermits {
    /// The index of the service in the worker's configuration.
    pub(crate) service: usize,
    pub(crate) capacity: u32,
    /// The number of calls that were started and have not ended. Written only by the driver's thread.
    started: AtomicU32,
    /// The number of calls that have ended while a handler still runs, plus all open raw requests of classic MDP.
    outlasting: AtomicU32,
    /// Notified when `outlasting` decreases.
    bell: Arc<Notify>,
}

impl ServicePermits {
    pub(crate) fn new(service: usize, capacity: u32, bell: &Arc<Notify>) -> Self {
        let (started, outlasting) = (AtomicU32::new(0), AtomicU32::new(0));
        ServicePermits { service, capacity, started, outlasting, bell: Arc::clone(bell) }
    }

    /// Whether one more call may start.
    pub(crate) fn is_free(&self) -> bool {
        self.started().saturating_add(self.outlasting()) < self.capacity
    }

    fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    /// Counts a call that the driver has started.
    pub(crate) fn start(&self) {
        self.started.store(self.started().saturating_add(1), Ordering::Relaxed);
    }

    /// Counts the end of a call that the driver had started.
    fn end(&self) {
        self.started.store(self.started().saturating_sub(1), Ordering::Relaxed);
    }

    /// Takes a permit for work that is not a call of the driver.
    pub(crate) fn try_hold(self: &Arc<Self>) -> Option<ServiceHold> {
        let free = self.is_free();
        free.then(|| {
            self.outlasting.fetch_add(1, Ordering::AcqRel);
            ServiceHold(Arc::clone(self))
        })
    }

    /// The number of calls that have ended while a handler still runs.
    pub(crate) fn outlasting(&self) -> u32 {
        self.outlasting.load(Ordering::Acquire)
    }

    fn release(&self) {
        self.outlasting.fetch_sub(1, Ordering::AcqRel);
        self.bell.notify_one();
    }
}

/// Holds a permit for work that is not a call of the driver: a raw request of classic MDP.
#[derive(Debug)]
pub(crate) struct ServiceHold(Arc<ServicePermits>);

impl Drop for ServiceHold {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// One call's share of its service's permits.
#[derive(Debug, Default)]
pub(crate) struct CallPermit {
    /// Bits of [`Outlasts`], and [`OVER`].
    state: AtomicU8,
    /// `None` if the capacity is not limited.
    service: Option<Arc<ServicePermits>>,
}

impl CallPermit {
    pub(crate) fn of(service: Option<Arc<ServicePermits>>) -> Self {
        CallPermit { state: AtomicU8::new(0), service }
    }

    pub(crate) fn service(&self) -> Option<&ServicePermits> {
        self.service.as_deref()
    }

    /// Marks the call as waiting for a permit; its handler is not started.
    pub(crate) fn wait(&self) {
        self.state.store(WAITS, Ordering::Release);
    }

    /// Ends the wait: the call has a permit. `false`: the call has ended meanwhile.
    pub(crate) fn grant(&self) -> bool {
        self.state.compare_exchange(WAITS, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the call has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) & OVER != 0
    }

    /// Ends the call, on the driver's thread. Its permit is returned, or counts as outlasting until its handler has
    /// ended. `false`: the call had no permit, and waited for one.
    pub(crate) fn end(&self) -> bool {
        match self.state.compare_exchange(0, OVER, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {}
            Err(WAITS) => {
                self.state.store(OVER, Ordering::Release);
                return false;
            }
            Err(_) => self.outlast(),
        }
        if let Some(service) = &self.service {
            service.end();
        }
        true
    }

    /// Marks the call as ended while work of it may run on, which keeps the permit.
    fn outlast(&self) {
        let Some(service) = &self.service else { return };
        // The count comes first: the handler may end meanwhile, and then takes the count back.
        service.outlasting.fetch_add(1, Ordering::AcqRel);
        let before = self.state.fetch_or(OVER, Ordering::AcqRel);
        if before == 0 || before & OVER != 0 {
            service.release();
        }
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
            service.release();
        }
    }
}

/// The reason why a handler must not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// The call has ended, and its permit was returned.
    Over,
    /// Another handler of the same call runs: an interceptor has passed the call on twice.
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

/// Keeps the permit of a call while some of its work runs, even if the call ends.
pub(crate) struct Hold {
    cx: CallContext,
    kind: Outlasts,
}

impl Hold {
    /// Keeps the permit of the worker's original call, regardless of the contexts that interceptors have made.
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
        service.start();
        assert!(!service.is_free());
        call.take(Outlasts::Thread).unwrap();
        call.drop_hold(Outlasts::Thread);
        call.end();
        call.end();
        assert_eq!(service.outlasting(), 0);
        assert!(service.is_free());
        assert_eq!(call.take(Outlasts::Future), Err(NoPermit::Over));
    }

    #[test]
    fn a_call_that_waits_has_no_permit_to_release() {
        let (service, waits) = call();
        // Another call has the permit.
        service.start();
        waits.wait();
        assert!(!waits.end());
        assert!(!service.is_free());
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
