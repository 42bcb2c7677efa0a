//! Waits for a socket in a tokio task.
//!
//! ZMQ_FD is edge-triggered, and reports commands between libzmq's threads, not messages. So a task must check
//! ZMQ_EVENTS after every send and receive, and before every wait.

use tokio::io::unix::AsyncFd;

use super::frame::Polled;

/// Waits until one of these events occurs.
pub(super) async fn ready(
    polled: &mut AsyncFd<Polled>,
    wanted: zmq::PollEvents,
) -> zmq::Result<()> {
    loop {
        if polled.get_ref().socket.get_events()?.intersects(wanted) {
            return Ok(());
        }
        let mut guard = polled.readable_mut().await.map_err(|_| zmq::Error::ETERM)?;
        // Clear the edge before checking the events: an edge in between is a new one.
        guard.clear_ready();
    }
}
