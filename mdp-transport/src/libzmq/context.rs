//! The ZeroMQ context that brokers, workers and clients of a process share.
//!
//! A context does not work in a child after `fork`: its threads stay in the parent, but both processes have the
//! descriptors that wake them. So a child has its own context, and a context from before the fork makes no sockets in
//! the child.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::version::warn_if_old;
use super::zap;
use crate::clock;
use crate::transport::Transport;

/// A ZeroMQ context with its I/O threads. A clone is a handle on the same context.
#[derive(Clone)]
pub(crate) struct Context {
    context: zmq::Context,
    /// The process in which the context works.
    process: u32,
    zap: zap::Place,
    insiders: Arc<Insiders>,
}

/// The routing ids of this process's own peers over inproc. The properties of a message cannot identify these peers,
/// because a peer on the network may leave the properties out. No other process knows these ids.
struct Insiders {
    secret: [u64; 2],
    made: AtomicU64,
}

impl Context {
    /// Makes a new context with one I/O thread.
    pub(crate) fn new() -> Self {
        warn_if_old();
        let insiders = Insiders { secret: [clock::seed(), clock::seed()], made: AtomicU64::new(0) };
        let (context, zap) = (zmq::Context::new(), zap::Place::default());
        Context { context, process: std::process::id(), zap, insiders: Arc::new(insiders) }
    }

    /// Returns the transport of the context.
    pub(crate) fn transport(&self) -> Transport {
        Transport::Libzmq
    }

    /// Makes a socket. Fails with ENOTSUP in a child after `fork`, if the parent made the context.
    pub(super) fn socket(&self, kind: zmq::SocketType) -> zmq::Result<zmq::Socket> {
        if self.process != std::process::id() {
            tracing::error!(
                "this context was made before the process was forked, and works only in the parent; make a `Context` in the child"
            );
            return Err(zmq::Error::ENOTSUP);
        }
        self.context.socket(kind)
    }

    /// Makes a routing id for a socket of this process that connects over inproc.
    pub(super) fn insider(&self) -> Vec<u8> {
        let number = self.insiders.made.fetch_add(1, Ordering::Relaxed);
        [&self.insiders.prefix()[..], &number.to_be_bytes()].concat()
    }

    /// Whether [`insider`](Self::insider) made this routing id.
    pub(super) fn is_insider(&self, route: &[u8]) -> bool {
        route.starts_with(&self.insiders.prefix())
    }
}

impl Context {
    /// The context's ZAP handler, if there is one.
    pub(super) fn zap(&self) -> &zap::Place {
        &self.zap
    }
}

impl Insiders {
    /// The common beginning of the ids. The ids that a ROUTER makes begin with another byte.
    fn prefix(&self) -> [u8; 17] {
        let mut prefix = [1; 17];
        let secret = self.secret.iter().flat_map(|part| part.to_be_bytes());
        prefix.iter_mut().skip(1).zip(secret).for_each(|(place, byte)| *place = byte);
        prefix
    }
}
