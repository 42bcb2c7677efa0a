//! A peer for tests of code above a router.

use super::context::Runtime;

/// A DEALER without a task.
pub(crate) struct Stranger(zmq::Socket);

impl Stranger {
    pub(crate) fn connect(runtime: &Runtime, endpoint: &str) -> Self {
        let socket = runtime.socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.connect(endpoint).unwrap();
        Stranger(socket)
    }

    /// Sends a message of one frame.
    pub(crate) fn send(&self, frame: &[u8]) {
        self.0.send(frame, 0).unwrap();
    }
}
