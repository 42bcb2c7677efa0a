//! A connection as the socket that connects sees it: handshakes that fail, and whether it is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::unix::AsyncFd;
use zmq::SocketEvent;

use super::context::Runtime;
use super::frame::{self, Polled};
use super::message::receive;
use crate::security::HandshakeFault;

const MECHANISM_MISMATCH: u32 = zmq_sys::ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH;

/// Watches a socket that connects: for its connection, which libzmq would mend in silence when it breaks, and for handshakes
/// that fail. It has to be [ended](Self::end) before it is dropped, while the socket lives: libzmq's I/O thread waits for
/// whoever is to hear its events.
pub(super) struct Watch {
    events: AsyncFd<Polled>,
    /// Nobody has looked yet. There is no sign of what was there before the first look.
    fresh: bool,
    /// There was a connection.
    made: bool,
    /// There is one, and nobody has asked yet.
    news: bool,
    /// It is gone.
    lost: bool,
    /// The worst fault that nobody has asked for yet.
    fault: Option<HandshakeFault>,
}

impl Watch {
    /// Must be called on tokio, before the socket connects.
    pub(super) fn begin(runtime: &Runtime, socket: &zmq::Socket) -> zmq::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let place = format!("inproc://mdp.watch.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let wanted = [
            SocketEvent::HANDSHAKE_SUCCEEDED,
            SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
            SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
            SocketEvent::HANDSHAKE_FAILED_AUTH,
            SocketEvent::DISCONNECTED,
        ];
        // The reader first, and without a bound: the I/O thread would wait for it.
        let events = runtime.socket(zmq::PAIR)?;
        events.set_linger(0)?;
        events.set_rcvhwm(0)?;
        events.connect(&place)?;
        let events = frame::polled(events)?;
        socket.monitor(&place, wanted.iter().map(|event| i32::from(event.to_raw())).sum())?;
        Ok(Watch { events, fresh: true, made: false, news: false, lost: false, fault: None })
    }

    /// Watches no more.
    pub(super) fn end(self, socket: &mut zmq::Socket) {
        if let Err(error) = frame::stop_monitor(socket) {
            tracing::debug!(%error, "could not watch a socket no more");
        }
        drop(self.events);
    }

    /// The same on another tokio runtime: the one that this is called on.
    pub(super) fn moved(self) -> zmq::Result<Self> {
        Ok(Watch { events: frame::polled(self.events.into_inner().socket)?, fresh: true, ..self })
    }

    /// Looks for what has happened. It costs next to nothing while nothing has.
    pub(super) fn look(&mut self) {
        match self.events.poll_read_ready_mut(&mut Context::from_waker(Waker::noop())) {
            // First forget the edge, then look: an edge in between is a new one.
            Poll::Ready(Ok(mut guard)) => guard.clear_ready(),
            Poll::Pending if !self.fresh => return,
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        self.fresh = false;
        while let Some((event, value)) = self.next_event() {
            if event == SocketEvent::HANDSHAKE_SUCCEEDED.to_raw() {
                (self.made, self.news) = (true, true);
            } else if event == SocketEvent::DISCONNECTED.to_raw() {
                // Before the handshake there was no connection to lose; libzmq goes on trying.
                self.lost |= self.made;
            } else if self.fault.is_none_or(|fault| !fault.is_final()) {
                self.fault = fault(event, value).or(self.fault);
            }
        }
    }

    /// The number of the next event, and its value.
    fn next_event(&self) -> Option<(u16, u32)> {
        let socket = &self.events.get_ref().socket;
        // An event is two frames: its number and a value, then an address.
        let event = receive(socket).ok()??;
        if event.get_more() {
            let _ = receive(socket);
        }
        let [a, b, c, d, e, g] = event.first_chunk::<6>().copied().unwrap_or_default();
        Some((u16::from_ne_bytes([a, b]), u32::from_ne_bytes([c, d, e, g])))
    }

    /// Whether the connection was made since this was asked last, as far as [`look`](Self::look) has found out.
    pub(super) fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Whether the connection was lost, as far as [`look`](Self::look) has found out.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// The worst handshake that has failed since this was asked last, as far as [`look`](Self::look) has found out.
    pub(super) fn take_fault(&mut self) -> Option<HandshakeFault> {
        self.fault.take()
    }

    /// Waits until there is something to [`look`](Self::look) for.
    pub(super) async fn ready(&mut self) {
        if !self.fresh {
            // An error means that tokio is being shut down.
            drop(self.events.readable_mut().await);
        }
    }
}

/// What has gone wrong with a handshake, if this event says that something has.
fn fault(event: u16, value: u32) -> Option<HandshakeFault> {
    if event == SocketEvent::HANDSHAKE_FAILED_AUTH.to_raw() {
        Some(HandshakeFault::Refused { status: value })
    } else if event == SocketEvent::HANDSHAKE_FAILED_NO_DETAIL.to_raw() {
        Some(HandshakeFault::Ended)
    } else if event == SocketEvent::HANDSHAKE_FAILED_PROTOCOL.to_raw() {
        Some(match value {
            MECHANISM_MISMATCH => HandshakeFault::Mechanism,
            code => HandshakeFault::Protocol { code },
        })
    } else {
        None
    }
}
