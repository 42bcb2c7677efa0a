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

/// Where the thread hears that it was woken.
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
    /// The waker, and what it wakes, for [`Router::bind`](super::router::Router::bind).
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

    /// Whoever calls from now on is heard by another look.
    pub fn look(&self) {
        // Reads too, so that what was said before a call is seen after it.
        self.called.swap(false, Ordering::AcqRel);
    }

    /// The thread itself has more to do, and must not wait.
    pub fn look_again(&self) {
        self.called.store(true, Ordering::Release);
    }
}
