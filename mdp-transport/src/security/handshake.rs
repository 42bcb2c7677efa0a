//! Failed handshakes, as the connecting side sees them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The reason why the handshake with a server failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFault {
    /// The server does not accept this key (ZAP status 400), or could not check it (500).
    Refused {
        /// The ZAP status.
        status: u32,
    },
    /// One side uses CURVE and the other does not.
    Mechanism,
    /// The connection ended during the handshake. A server with a different key does this, and so does a server that is
    /// shutting down, so the handshake is retried.
    Ended,
    /// The other side violated the handshake protocol.
    Protocol {
        /// ZeroMQ's error number.
        code: u32,
    },
}

impl HandshakeFault {
    /// Retrying with the same keys cannot succeed.
    pub fn is_final(self) -> bool {
        self != HandshakeFault::Ended
    }
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeFault::Refused { status } => {
                write!(f, "the server does not accept this key (status {status})")
            }
            HandshakeFault::Mechanism => f.write_str("one side uses CURVE and the other does not"),
            HandshakeFault::Ended => {
                f.write_str("the server ended the handshake; is its public key the right one?")
            }
            HandshakeFault::Protocol { code } => {
                write!(f, "the server violated the handshake protocol ({code:#x})")
            }
        }
    }
}

/// The last fault of each endpoint: written by the driver of a socket, read by the handles.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<Option<HandshakeFault>>>>);

impl Faults {
    /// Notes the fault of an endpoint, or that there is none.
    pub fn set(&self, endpoint: usize, fault: Option<HandshakeFault>) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() <= endpoint {
            faults.resize(endpoint + 1, None);
        }
        if let Some(slot) = faults.get_mut(endpoint) {
            *slot = fault;
        }
    }

    /// The last fault of an endpoint.
    pub fn of(&self, endpoint: usize) -> Option<HandshakeFault> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(endpoint).copied().flatten()
    }

    /// The first endpoint that has a fault now, by its index from 0, and the fault. A later handshake that succeeds clears
    /// the fault of its endpoint.
    pub fn first(&self) -> Option<(usize, HandshakeFault)> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().enumerate().find_map(|(endpoint, fault)| Some((endpoint, (*fault)?)))
    }

    /// Whether each of this many endpoints has a fault that a retry cannot resolve.
    pub fn are_final(&self, endpoints: usize) -> bool {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let are = |fault: &Option<HandshakeFault>| fault.is_some_and(HandshakeFault::is_final);
        faults.len() == endpoints && faults.iter().all(are)
    }
}
