//! For tests of what stands on the sockets: a peer of a router, and the handler of ZAP.

use super::context::Context;

/// A DEALER without a task.
pub(crate) struct Stranger(zmq::Socket);

impl Stranger {
    /// Connects to a router.
    pub(crate) fn connect(context: &Context, endpoint: &str) -> Self {
        let socket = context.socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.connect(endpoint).unwrap();
        Stranger(socket)
    }

    /// Sends a message of one frame.
    pub(crate) fn send(&self, frame: &[u8]) {
        self.0.send(frame, 0).unwrap();
    }
}

/// Ends the context's handler of ZAP, as a fault would.
pub(crate) fn end_handler(context: &Context) {
    context.zap().lock().unwrap().upgrade().unwrap().end();
}

/// Whether the context has a handler of ZAP.
pub(crate) fn has_handler(context: &Context) -> bool {
    context.zap().lock().unwrap().upgrade().is_some()
}
