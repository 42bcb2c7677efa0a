//! A DEALER socket as a tokio task sees it: receive, send, wait.
//!
//! ZMQ_FD is edge-triggered and speaks of commands between libzmq's threads, not of messages. So
//! whoever waits looks at ZMQ_EVENTS after every send and receive and before every wait.

use mdp_protocol::Limits;
use tokio::io::unix::AsyncFd;

use crate::context::Runtime;
use crate::frame::{self, Polled};
use crate::pack::{Packer, Received, retry_interrupted};

/// Largest frame that a peer takes from a broker, unless the broker says less.
const FRAME_BYTES: i64 = 64 << 20;
/// How long a closed socket may go on writing what it holds.
const LINGER_MS: i32 = 1_000;
/// How often libzmq itself tries to connect again.
const RECONNECT_MS: i32 = 50;
const RECONNECT_MOST_MS: i32 = 1_000;

/// A DEALER socket connected to one endpoint.
pub(crate) struct Link {
    polled: AsyncFd<Polled>,
}

impl Link {
    /// A new socket, connecting in the background. Must be called on tokio.
    pub(crate) fn connect(runtime: &Runtime, endpoint: &str) -> zmq::Result<Self> {
        let socket = runtime.socket(zmq::DEALER)?;
        socket.set_linger(LINGER_MS)?;
        socket.set_maxmsgsize(FRAME_BYTES)?;
        socket.set_reconnect_ivl(RECONNECT_MS)?;
        socket.set_reconnect_ivl_max(RECONNECT_MOST_MS)?;
        // With it, libzmq looks names up as IPv6 only, and `localhost` would miss most brokers.
        socket.set_ipv6(endpoint.contains('['))?;
        socket.connect(endpoint)?;
        Ok(Link { polled: frame::polled(socket)? })
    }

    /// The same socket on another tokio runtime: the one that this is called on.
    pub(crate) fn moved(self) -> zmq::Result<Self> {
        Ok(Link { polled: frame::polled(self.into_socket())? })
    }

    /// The socket, to be closed.
    pub(crate) fn into_socket(self) -> zmq::Socket {
        self.polled.into_inner().socket
    }

    /// The next message, if one is there.
    pub(crate) fn receive(&mut self, limits: &Limits) -> zmq::Result<Option<Received>> {
        let socket = &self.polled.get_ref().socket;
        match retry_interrupted(|| socket.recv_msg(zmq::DONTWAIT)) {
            Ok(first) => Received::rest(socket, first, limits).map(Some),
            Err(zmq::Error::EAGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is something to receive, or an error to see.
    pub(crate) fn is_readable(&self) -> bool {
        let events = self.polled.get_ref().socket.get_events();
        events.map_or(true, |events| events.contains(zmq::POLLIN))
    }

    /// Sends a packet. `false`: the socket is full, and the packet is still there.
    pub(crate) fn send(&mut self, packer: &mut Packer) -> zmq::Result<bool> {
        match packer.send(&mut self.polled.get_mut().socket, zmq::DONTWAIT) {
            Ok(()) => Ok(true),
            Err(zmq::Error::EAGAIN) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until there is something to receive or, with `to_send`, room to send.
    pub(crate) async fn ready(&mut self, to_send: bool) -> zmq::Result<()> {
        let wanted = if to_send { zmq::POLLIN | zmq::POLLOUT } else { zmq::POLLIN };
        loop {
            if self.polled.get_ref().socket.get_events()?.intersects(wanted) {
                return Ok(());
            }
            let mut guard = self.polled.readable_mut().await.map_err(|_| zmq::Error::ETERM)?;
            // First forget the edge, then look: an edge in between is a new one.
            guard.clear_ready();
        }
    }
}
