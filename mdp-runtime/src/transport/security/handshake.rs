//! Handshakes that fail, as the side sees them that connects.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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
        /// ZeroMQ's number of the fault.
        code: u32,
    },
}

impl HandshakeFault {
    /// Trying again with the same keys changes nothing.
    pub(crate) fn is_final(self) -> bool {
        self != HandshakeFault::Ended
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
