//! Wakes a thread that waits for a router.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::context::Runtime;
use super::error::opening;
use crate::transport::error::SocketError;

/// Wakes the thread.
#[derive(Debug)]
pub(crate) struct Waker {
    socket: Mutex<SendSocket>,
    /// The thread was woken, and has not looked for the reason yet.
    called: AtomicBool,
}

/// The thread's end of the waker.
pub(crate) struct Wakeups(zmq::Socket);

impl Wakeups {
    pub(super) fn as_poll_item(&self) -> zmq::PollItem<'_> {
        self.0.as_poll_item(zmq::POLLIN)
    }

    pub(super) fn clear(&self) {
        while self.0.recv_msg(zmq::DONTWAIT).is_ok() {}
    }
}

struct SendSocket(zmq::Socket);

impl std::fmt::Debug for SendSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("socket")
    }
}

impl Waker {
    /// Makes a waker and its other end, for [`Router::bind`](super::router::Router::bind).
    pub(crate) fn new(runtime: &Runtime) -> Result<(Self, Wakeups), SocketError> {
        Waker::pair(runtime).map_err(opening)
    }

    fn pair(runtime: &Runtime) -> zmq::Result<(Self, Wakeups)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let endpoint = format!("inproc://mdp.wake.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let inner = runtime.socket(zmq::PAIR)?;
        inner.set_linger(0)?;
        inner.bind(&endpoint)?;
        let outer = runtime.socket(zmq::PAIR)?;
        outer.set_linger(0)?;
        outer.connect(&endpoint)?;
        let socket = Mutex::new(SendSocket(outer));
        Ok((Waker { socket, called: AtomicBool::new(false) }, Wakeups(inner)))
    }

    pub(crate) fn wake(&self) {
        if self.called.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Ok(socket) = self.socket.lock() {
            // A full socket means that the thread is awake; a closed one means that the thread has ended.
            let _ = socket.0.send("", zmq::DONTWAIT);
        }
    }

    pub(crate) fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Called before the thread looks for work: calls from now on cause another look.
    pub(crate) fn look(&self) {
        // The swap also reads, so data written before a call is visible after it.
        self.called.swap(false, Ordering::AcqRel);
    }

    /// Called by the thread itself when it has more work and must not wait.
    pub(crate) fn look_again(&self) {
        self.called.store(true, Ordering::Release);
    }
}
