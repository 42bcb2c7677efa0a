//! Handshakes that fail, as a socket that connects sees them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::unix::AsyncFd;
use zmq::SocketEvent;

use crate::context::Runtime;
use crate::frame::{self, Polled};
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

/// Watches a socket that connects for handshakes that fail. It has to be [ended](Self::end) before it is dropped, while the
/// socket lives: libzmq's I/O thread waits for whoever is to hear its events.
pub(crate) struct Watch {
    events: AsyncFd<Polled>,
}

impl Watch {
    /// Must be called on tokio, before the socket connects.
    pub(crate) fn begin(runtime: &Runtime, socket: &zmq::Socket) -> zmq::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let place = format!("inproc://mdp.handshake.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let wanted = [
            SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
            SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
            SocketEvent::HANDSHAKE_FAILED_AUTH,
        ];
        // The reader first, and without a bound: the I/O thread would wait for it.
        let events = runtime.socket(zmq::PAIR)?;
        events.set_linger(0)?;
        events.set_rcvhwm(0)?;
        events.connect(&place)?;
        let events = frame::polled(events)?;
        socket.monitor(&place, wanted.iter().map(|event| i32::from(event.to_raw())).sum())?;
        Ok(Watch { events })
    }

    /// Watches no more.
    pub(crate) fn end(self, socket: &mut zmq::Socket) {
        if let Err(error) = frame::stop_monitor(socket) {
            tracing::debug!(%error, "could not watch a socket no more");
        }
        drop(self.events);
    }

    /// The worst that has happened since it was asked last.
    pub(crate) fn fault(&self) -> Option<HandshakeFault> {
        let socket = &self.events.get_ref().socket;
        let mut worst = None;
        // An event is two frames: its number and a value, then an address.
        while let Ok(event) = retry_interrupted(|| socket.recv_msg(zmq::DONTWAIT)) {
            if event.get_more() {
                let _ = retry_interrupted(|| socket.recv_msg(zmq::DONTWAIT));
            }
            let [a, b, c, d, e, g] = match event.first_chunk::<6>() {
                Some(bytes) => *bytes,
                None => continue,
            };
            let fault =
                HandshakeFault::read(u16::from_ne_bytes([a, b]), u32::from_ne_bytes([c, d, e, g]));
            if worst.is_none_or(|worst: HandshakeFault| !worst.is_final()) {
                worst = fault.or(worst);
            }
        }
        worst
    }

    /// Waits until something has happened.
    pub(crate) async fn ready(&mut self) -> zmq::Result<()> {
        loop {
            if self.events.get_ref().socket.get_events()?.contains(zmq::POLLIN) {
                return Ok(());
            }
            let mut guard = self.events.readable_mut().await.map_err(|_| zmq::Error::ETERM)?;
            // First forget the edge, then look: an edge in between is a new one.
            guard.clear_ready();
        }
    }
}
