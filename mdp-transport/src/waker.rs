//! Wakes a thread that waits for a router, by either transport.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::context::{Context, Sockets};
use crate::error::{Operation, SocketError};
use crate::{libzmq, native};

/// Wakes the thread.
#[derive(Debug)]
pub struct Waker {
    kind: Kind,
    /// The thread was woken, and has not looked for the reason yet.
    called: AtomicBool,
}

#[derive(Debug)]
enum Kind {
    Native(native::WakeHandle),
    Libzmq(libzmq::WakeSocket),
}

/// The thread's end of the waker, for [`Router::bind`](crate::Router::bind).
pub struct Wakeups(pub(crate) WakeupsKind);

pub(crate) enum WakeupsKind {
    Native(native::Wait),
    Libzmq(libzmq::Wakeups),
}

impl Waker {
    /// Makes a waker and its other end.
    pub fn new(context: &Context) -> Result<(Self, Wakeups), SocketError> {
        context.check()?;
        let (kind, wakeups) = match context.sockets() {
            Sockets::Native(_) => {
                let made = native::WakeHandle::pair();
                let (handle, wait) =
                    made.map_err(|error| SocketError::of_system(Operation::Open, None, error))?;
                (Kind::Native(handle), WakeupsKind::Native(wait))
            }
            Sockets::Libzmq(context) => {
                let (socket, wakeups) = libzmq::WakeSocket::pair(context)?;
                (Kind::Libzmq(socket), WakeupsKind::Libzmq(wakeups))
            }
        };
        Ok((Waker { kind, called: AtomicBool::new(false) }, Wakeups(wakeups)))
    }

    /// Ends the wait of the thread.
    pub fn wake(&self) {
        if self.called.swap(true, Ordering::AcqRel) {
            return;
        }
        match &self.kind {
            Kind::Native(handle) => handle.wake(),
            Kind::Libzmq(socket) => socket.wake(),
        }
    }

    /// Whether the thread was woken since it looked.
    #[inline]
    pub fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Called before the thread looks for work: calls from now on cause another look.
    pub fn look(&self) {
        // The swap also reads, so data written before a call is visible after it.
        self.called.swap(false, Ordering::AcqRel);
    }

    /// Called by the thread itself when it has more work and must not wait.
    pub fn look_again(&self) {
        self.called.store(true, Ordering::Release);
    }
}
