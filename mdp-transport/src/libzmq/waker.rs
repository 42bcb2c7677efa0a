//! Wakes a thread that waits for libzmq's sockets.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::context::Context;
use super::error::opening;
use crate::error::SocketError;

/// Wakes the thread.
pub(crate) struct WakeSocket(Mutex<zmq::Socket>);

/// The thread's end.
pub(crate) struct Wakeups(zmq::Socket);

impl Wakeups {
    pub(super) fn as_poll_item(&self) -> zmq::PollItem<'_> {
        self.0.as_poll_item(zmq::POLLIN)
    }

    pub(super) fn clear(&self) {
        while self.0.recv_msg(zmq::DONTWAIT).is_ok() {}
    }
}

impl WakeSocket {
    /// Makes a waker and its other end, for [`Router::bind`](super::router::Router::bind).
    pub(crate) fn pair(context: &Context) -> Result<(Self, Wakeups), SocketError> {
        WakeSocket::make(context).map_err(opening)
    }

    fn make(context: &Context) -> zmq::Result<(Self, Wakeups)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let endpoint = format!("inproc://mdp.wake.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let inner = context.socket(zmq::PAIR)?;
        inner.set_linger(0)?;
        inner.bind(&endpoint)?;
        let outer = context.socket(zmq::PAIR)?;
        outer.set_linger(0)?;
        outer.connect(&endpoint)?;
        Ok((WakeSocket(Mutex::new(outer)), Wakeups(inner)))
    }

    /// Ends the wait of the thread.
    pub(crate) fn wake(&self) {
        if let Ok(socket) = self.0.lock() {
            // A full socket means that the thread is awake; a closed one means that the thread has ended.
            let _ = socket.send("", zmq::DONTWAIT);
        }
    }
}

impl fmt::Debug for WakeSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WakeSocket")
    }
}
