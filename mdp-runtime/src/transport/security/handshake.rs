//! A connection as the socket that connects sees it: handshakes that fail, and whether it is lost.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::unix::AsyncFd;
use zmq::SocketEvent;

use crate::transport::Runtime;
use crate::transport::libzmq::frame::{self, Polled};
use crate::pack::retry_interrupted;

const MECHANISM_MISMATCH: u32 = zmq_sys::ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH;

/// Why the handshake with a server failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFault {
    /// The server does not let this key in (ZAP's status 400), or could not find out (500).
    Refused {
        /// ZAP's status.
        status: u32,
    },
    /// One side has CURVE and the other one has not.
    Mechanism,
    /// The connection ended within the handshake. A server whose key is another one does this, and one that is just being
    /// stopped; so it is tried again.
    Ended,
    /// The other side broke the protocol of the handshake.
    Protocol {
        /// libzmq's number of the fault.
        code: u32,
    },
}

impl HandshakeFault {
    /// Trying again with the same keys changes nothing.
    pub(crate) fn is_final(self) -> bool {
        self != HandshakeFault::Ended
    }

    fn read(event: u16, value: u32) -> Option<Self> {
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
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeFault::Refused { status } => {
                write!(f, "the server does not let this key in (status {status})")
            }
            HandshakeFault::Mechanism => f.write_str("one side has CURVE and the other has not"),
            HandshakeFault::Ended => {
                f.write_str("the server ended the handshake; is its public key the right one?")
            }
            HandshakeFault::Protocol { code } => {
                write!(f, "the server broke the protocol of the handshake ({code:#x})")
            }
        }
    }
}

/// The last fault of each endpoint, as the driver of a socket found it and its handles read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Vec<Option<HandshakeFault>>>>);

impl Faults {
    pub(crate) fn set(&self, endpoint: usize, fault: Option<HandshakeFault>) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() <= endpoint {
            faults.resize(endpoint + 1, None);
        }
        if let Some(slot) = faults.get_mut(endpoint) {
            *slot = fault;
        }
    }

    /// The last fault of an endpoint.
    pub(crate) fn of(&self, endpoint: usize) -> Option<HandshakeFault> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(endpoint).copied().flatten()
    }

    /// The first endpoint with a fault.
    pub(crate) fn first(&self) -> Option<(usize, HandshakeFault)> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().enumerate().find_map(|(endpoint, fault)| Some((endpoint, (*fault)?)))
    }

    /// Whether each of so many endpoints has a fault that trying again does not mend.
    pub(crate) fn are_final(&self, endpoints: usize) -> bool {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let are = |fault: &Option<HandshakeFault>| fault.is_some_and(HandshakeFault::is_final);
        faults.len() == endpoints && faults.iter().all(are)
    }
}

/// Watches a socket that connects: for its connection, which libzmq would mend in silence when it breaks, and for handshakes
/// that fail. It has to be [ended](Self::end) before it is dropped, while the socket lives: libzmq's I/O thread waits for
/// whoever is to hear its events.
pub(crate) struct Watch {
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
    pub(crate) fn begin(runtime: &Runtime, socket: &zmq::Socket) -> zmq::Result<Self> {
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
    pub(crate) fn end(self, socket: &mut zmq::Socket) {
        if let Err(error) = frame::stop_monitor(socket) {
            tracing::debug!(%error, "could not watch a socket no more");
        }
        drop(self.events);
    }

    /// The same on another tokio runtime: the one that this is called on.
    pub(crate) fn moved(self) -> zmq::Result<Self> {
        Ok(Watch { events: frame::polled(self.events.into_inner().socket)?, fresh: true, ..self })
    }

    /// Looks for what has happened. It costs next to nothing while nothing has.
    pub(crate) fn look(&mut self) {
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
                self.fault = HandshakeFault::read(event, value).or(self.fault);
            }
        }
    }

    /// The number of the next event, and its value.
    fn next_event(&self) -> Option<(u16, u32)> {
        let socket = &self.events.get_ref().socket;
        // An event is two frames: its number and a value, then an address.
        let event = retry_interrupted(|| socket.recv_msg(zmq::DONTWAIT)).ok()?;
        if event.get_more() {
            let _ = retry_interrupted(|| socket.recv_msg(zmq::DONTWAIT));
        }
        let [a, b, c, d, e, g] = event.first_chunk::<6>().copied().unwrap_or_default();
        Some((u16::from_ne_bytes([a, b]), u32::from_ne_bytes([c, d, e, g])))
    }

    /// Whether the connection was made since this was asked last, as far as [`look`](Self::look) has found out.
    pub(crate) fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Whether the connection was lost, as far as [`look`](Self::look) has found out.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// The worst handshake that has failed since this was asked last, as far as [`look`](Self::look) has found out.
    pub(crate) fn take_fault(&mut self) -> Option<HandshakeFault> {
        self.fault.take()
    }

    /// Waits until there is something to [`look`](Self::look) for.
    pub(crate) async fn ready(&mut self) {
        if !self.fresh {
            // An error means that tokio is being shut down.
            drop(self.events.readable_mut().await);
        }
    }
}
