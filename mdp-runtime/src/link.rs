//! A DEALER socket as a tokio task sees it: receive, send, wait.
//!
//! ZMQ_FD is edge-triggered and speaks of commands between libzmq's threads, not of messages. So
//! whoever waits looks at ZMQ_EVENTS after every send and receive and before every wait.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
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
/// Frames of this many bytes are given to libzmq without copying them; below it a copy costs less.
const SHARED_FROM: usize = 1_024;

/// A DEALER socket connected to one endpoint.
pub(crate) struct Link {
    polled: AsyncFd<Polled>,
}

impl Link {
    /// A new socket, connecting in the background. Must be called on tokio.
    pub(crate) fn connect(runtime: &Runtime, endpoint: &str) -> zmq::Result<Self> {
        Link::open(runtime, endpoint, false)
    }

    /// The same, with room to send only while there is a connection: [`look`](Self::look) then tells whether there is.
    pub(crate) fn connect_watched(runtime: &Runtime, endpoint: &str) -> zmq::Result<Self> {
        Link::open(runtime, endpoint, true)
    }

    fn open(runtime: &Runtime, endpoint: &str, watched: bool) -> zmq::Result<Self> {
        let socket = runtime.socket(zmq::DEALER)?;
        socket.set_immediate(watched)?;
        if watched {
            // A pipe that is full would look like no connection. What waits is bounded by the calls of the client.
            socket.set_sndhwm(0)?;
        }
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

    /// Whether there is something to receive, and whether there is room to send. Both in one look, for a look uses up the sign
    /// of what it does not ask for. An error is something to receive.
    pub(crate) fn look(&self) -> (bool, bool) {
        match self.polled.get_ref().socket.get_events() {
            Ok(events) => (events.contains(zmq::POLLIN), events.contains(zmq::POLLOUT)),
            Err(_) => (true, false),
        }
    }

    /// The frames of the next message, if one is there.
    pub(crate) fn receive_frames(&mut self, limits: &Limits) -> zmq::Result<Option<Vec<Bytes>>> {
        let Some(received) = self.receive(limits)? else { return Ok(None) };
        let mut frames = Vec::with_capacity(received.frames.len() + 1);
        frames.push(received.packet);
        frames.extend(received.frames);
        Ok(Some(frames))
    }

    /// Sends a message of these frames. `false`: there is no room for it.
    pub(crate) fn send_frames(&mut self, frames: &[Bytes]) -> zmq::Result<bool> {
        let socket = &mut self.polled.get_mut().socket;
        for (number, frame) in frames.iter().enumerate() {
            let more = if number + 1 < frames.len() { zmq::SNDMORE } else { 0 };
            let flags = zmq::DONTWAIT | more;
            let sent = retry_interrupted(|| match frame.len() {
                SHARED_FROM.. => frame::send_shared(socket, frame.clone(), flags),
                _ => socket.send(&**frame, flags),
            });
            match sent {
                Ok(()) => {}
                // libzmq takes the rest of a message whose first frame it took.
                Err(zmq::Error::EAGAIN) if number == 0 => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Waits for a sign that something has changed about the socket. What was there before has to be looked for first,
    /// after each send and receive.
    pub(crate) fn poll_sign(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Ok(mut guard) = ready!(self.polled.poll_read_ready_mut(cx)) {
            // First forget the edge, then look: an edge in between is a new one.
            guard.clear_ready();
        }
        Poll::Ready(())
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
