//! Closes a socket and waits for the end: `zmq_close` only starts to close it. A process that ends right after that
//! would lose the messages that the socket still holds.

use std::sync::atomic::{AtomicU64, Ordering};

use super::context::Context;
use super::message::retry_interrupted;

/// Milliseconds to wait for a socket to close: a little more than the linger time.
const PATIENCE_MS: i32 = 1_500;

/// A socket that will be closed. If it is dropped instead, it continues to write its messages for the linger time.
pub(crate) struct Closing(pub(super) zmq::Socket);

impl Closing {
    /// Closes the socket, and waits until it has written its messages and released its endpoints, but not longer than
    /// the linger time. Blocks.
    pub(crate) fn close(self, context: &Context) {
        close(context, self.0);
    }
}

/// Closes sockets one after another, as [`Closing::close`] does, without blocking the task's thread.
pub(crate) async fn close_all(context: &Context, sockets: Vec<Closing>) {
    if sockets.is_empty() {
        return;
    }
    let context = context.clone();
    let closing = tokio::task::spawn_blocking(move || {
        sockets.into_iter().for_each(|socket| socket.close(&context));
    });
    // An error means that tokio itself is being shut down.
    let _ = closing.await;
}

pub(super) fn close(context: &Context, socket: zmq::Socket) {
    let watch = watch(context, &socket);
    drop(socket);
    match watch {
        // The socket is watched only for this event, which comes when the socket is gone.
        Ok(watch) => {
            if let Err(error) = retry_interrupted(|| watch.recv_msg(0)) {
                tracing::debug!(%error, "a socket took too long to close");
            }
        }
        Err(error) => tracing::debug!(%error, "could not watch a socket close"),
    }
}

fn watch(context: &Context, socket: &zmq::Socket) -> zmq::Result<zmq::Socket> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let endpoint = format!("inproc://mdp.close.{}", NEXT.fetch_add(1, Ordering::Relaxed));
    socket.monitor(&endpoint, i32::from(zmq::SocketEvent::MONITOR_STOPPED.to_raw()))?;
    let watch = context.socket(zmq::PAIR)?;
    watch.set_linger(0)?;
    watch.set_rcvtimeo(PATIENCE_MS)?;
    watch.connect(&endpoint)?;
    Ok(watch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_free_at_once_and_nothing_is_lost() {
        let context = Context::new();
        let receiver = context.socket(zmq::PULL).unwrap();
        receiver.set_rcvtimeo(10_000).unwrap();
        receiver.bind("tcp://127.0.0.1:*").unwrap();
        let place = receiver.get_last_endpoint().unwrap().unwrap();
        for round in 0..20 {
            let bound = context.socket(zmq::ROUTER).unwrap();
            bound.bind("tcp://127.0.0.1:*").unwrap();
            let endpoint = bound.get_last_endpoint().unwrap().unwrap();
            close(&context, bound);
            let again = context.socket(zmq::ROUTER).unwrap();
            assert_eq!(again.bind(&endpoint), Ok(()), "round {round}");

            let sender = context.socket(zmq::PUSH).unwrap();
            sender.set_linger(1_000).unwrap();
            sender.connect(&place).unwrap();
            sender.send("last words", 0).unwrap();
            close(&context, sender);
            assert_eq!(receiver.recv_bytes(0).unwrap(), b"last words");
        }
    }
}
