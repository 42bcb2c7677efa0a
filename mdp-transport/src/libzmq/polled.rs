//! Waiting for a socket in a tokio task.
//!
//! ZMQ_FD is edge-triggered and speaks of commands between libzmq's threads, not of messages. So
//! whoever waits looks at ZMQ_EVENTS after every send and receive and before every wait.

use tokio::io::unix::AsyncFd;

use super::frame::Polled;

/// Waits until one of these events is there.
pub(super) async fn ready(
    polled: &mut AsyncFd<Polled>,
    wanted: zmq::PollEvents,
) -> zmq::Result<()> {
    loop {
        if polled.get_ref().socket.get_events()?.intersects(wanted) {
            return Ok(());
        }
        let mut guard = polled.readable_mut().await.map_err(|_| zmq::Error::ETERM)?;
        // First forget the edge, then look: an edge in between is a new one.
        guard.clear_ready();
    }
}
