//! The ZeroMQ context that brokers, workers and clients of a process share.

use std::fmt;
use std::sync::OnceLock;

use crate::security::{warn_if_old, zap};

/// A ZeroMQ context with its I/O threads.
///
/// Peers of one `Runtime` reach each other over `inproc://`. All builders use the process-wide one
/// of [`Runtime::global`] unless told otherwise, so `inproc` works without further ado.
///
/// ```
/// use mdp_runtime::Runtime;
/// let own = Runtime::new();
/// let same = own.clone();      // a handle on the same context
/// # drop(same);
/// ```
#[derive(Clone)]
pub struct Runtime {
    context: zmq::Context,
    zap: zap::Place,
}

impl Runtime {
    /// A context of its own, with one I/O thread.
    pub fn new() -> Self {
        warn_if_old();
        Runtime { context: zmq::Context::new(), zap: zap::Place::default() }
    }

    /// The context of the process, made at its first use.
    pub fn global() -> &'static Runtime {
        static GLOBAL: OnceLock<Runtime> = OnceLock::new();
        GLOBAL.get_or_init(Runtime::new)
    }

    pub(crate) fn socket(&self, kind: zmq::SocketType) -> zmq::Result<zmq::Socket> {
        self.context.socket(kind)
    }
}

impl Runtime {
    /// The context's handler of ZAP, if there is one.
    pub(crate) fn zap(&self) -> &zap::Place {
        &self.zap
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runtime")
    }
}
