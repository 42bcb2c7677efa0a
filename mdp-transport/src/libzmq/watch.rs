//! Watches a connection on the connecting side: failed handshakes, and the loss of the connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{self, Poll, Waker};

use tokio::io::unix::AsyncFd;
use zmq::SocketEvent;

use super::context::Context;
use super::frame::{self, Polled};
use super::message::receive;
use crate::security::HandshakeFault;

const MECHANISM_MISMATCH: u32 = zmq_sys::ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH;

/// Watches a connecting socket for failed handshakes and for the loss of its connection, which libzmq would restore
/// without a report. It must be [ended](Self::end) before it is dropped, while the socket lives: libzmq's I/O thread
/// waits for a reader of its events.
pub(super) struct Watch {
    events: AsyncFd<Polled>,
    /// No check was made yet. Events from before the first check give no signal.
    fresh: bool,
    /// A connection was made.
    made: bool,
    /// A connection was made, and this was not reported yet.
    news: bool,
    /// The connection was lost.
    lost: bool,
    /// The worst fault that was not reported yet.
    fault: Option<HandshakeFault>,
}

impl Watch {
    /// Starts to watch. Must be called on tokio, before the socket connects.
    pub(super) fn begin(context: &Context, socket: &zmq::Socket) -> zmq::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let place = format!("inproc://mdp.watch.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let wanted = [
            SocketEvent::HANDSHAKE_SUCCEEDED,
            SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
            SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
            SocketEvent::HANDSHAKE_FAILED_AUTH,
            SocketEvent::DISCONNECTED,
        ];
        // The reader comes first and has no limit: the I/O thread would wait for it.
        let events = context.socket(zmq::PAIR)?;
        events.set_linger(0)?;
        events.set_rcvhwm(0)?;
        events.connect(&place)?;
        let events = frame::polled(events)?;
        socket.monitor(&place, wanted.iter().map(|event| i32::from(event.to_raw())).sum())?;
        Ok(Watch { events, fresh: true, made: false, news: false, lost: false, fault: None })
    }

    /// Stops watching.
    pub(super) fn end(self, socket: &mut zmq::Socket) {
        if let Err(error) = frame::stop_monitor(socket) {
            tracing::debug!(%error, "could not stop watching a socket");
        }
        drop(self.events);
    }

    /// Moves the watch to the tokio runtime of the caller.
    pub(super) fn moved(self) -> zmq::Result<Self> {
        Ok(Watch { events: frame::polled(self.events.into_inner().socket)?, fresh: true, ..self })
    }

    /// Checks for events. This costs almost nothing when there are none.
    pub(super) fn look(&mut self) {
        match self.events.poll_read_ready_mut(&mut task::Context::from_waker(Waker::noop())) {
            // Clear the edge before checking for events: an edge in between is a new one.
            Poll::Ready(Ok(mut guard)) => guard.clear_ready(),
            Poll::Pending if !self.fresh => return,
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        self.fresh = false;
        while let Some((event, value)) = self.next_event() {
            if event == SocketEvent::HANDSHAKE_SUCCEEDED.to_raw() {
                (self.made, self.news) = (true, true);
            } else if event == SocketEvent::DISCONNECTED.to_raw() {
                // Before the handshake there was no connection to lose; libzmq continues to try.
                self.lost |= self.made;
            } else if self.fault.is_none_or(|fault| !fault.is_final()) {
                self.fault = fault(event, value).or(self.fault);
            }
        }
    }

    /// Returns the number and the value of the next event.
    fn next_event(&self) -> Option<(u16, u32)> {
        let socket = &self.events.get_ref().socket;
        // An event has two frames: its number and a value, then an address.
        let event = receive(socket).ok()??;
        if event.get_more() {
            let _ = receive(socket);
        }
        let [a, b, c, d, e, g] = event.first_chunk::<6>().copied().unwrap_or_default();
        Some((u16::from_ne_bytes([a, b]), u32::from_ne_bytes([c, d, e, g])))
    }

    /// Whether the connection was made since the last call. Reports what [`look`](Self::look) has found.
    pub(super) fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Whether the connection was lost. Reports what [`look`](Self::look) has found.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// The worst failed handshake since the last call. Reports what [`look`](Self::look) has found.
    pub(super) fn take_fault(&mut self) -> Option<HandshakeFault> {
        self.fault.take()
    }

    /// Waits until [`look`](Self::look) has something to report.
    pub(super) async fn ready(&mut self) {
        if !self.fresh {
            // An error means that tokio is being shut down.
            drop(self.events.readable_mut().await);
        }
    }
}

/// The fault of a handshake, if this event reports one.
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
