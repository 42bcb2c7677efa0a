//! Wakes a thread that waits for a router.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::context::Context;
use super::error::opening;
use crate::error::SocketError;

/// Wakes the thread.
#[derive(Debug)]
pub struct Waker {
    socket: Mutex<SendSocket>,
    /// The thread was woken, and has not looked for the reason yet.
    called: AtomicBool,
}

/// The thread's end of the waker.
pub struct Wakeups(zmq::Socket);

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
    pub fn new(context: &Context) -> Result<(Self, Wakeups), SocketError> {
        Waker::pair(context).map_err(opening)
    }

    fn pair(context: &Context) -> zmq::Result<(Self, Wakeups)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let endpoint = format!("inproc://mdp.wake.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let inner = context.socket(zmq::PAIR)?;
        inner.set_linger(0)?;
        inner.bind(&endpoint)?;
        let outer = context.socket(zmq::PAIR)?;
        outer.set_linger(0)?;
        outer.connect(&endpoint)?;
        let socket = Mutex::new(SendSocket(outer));
        Ok((Waker { socket, called: AtomicBool::new(false) }, Wakeups(inner)))
    }

    /// Ends the wait of the thread.
    pub fn wake(&self) {
        if self.called.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Ok(socket) = self.socket.lock() {
            // A full socket means that the thread is awake; a closed one means that the thread has ended.
            let _ = socket.0.send("", zmq::DONTWAIT);
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
