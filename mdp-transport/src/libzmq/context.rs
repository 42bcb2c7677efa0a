//! The ZeroMQ context that brokers, workers and clients of a process share.
//!
//! A context does not outlive `fork`: its threads stay in the parent, while the descriptors by which they are woken are in both
//! processes. So a child has a context of its own, and one from before the fork makes no sockets there.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::version::warn_if_old;
use super::zap;
use crate::clock;

/// A ZeroMQ context with its I/O threads.
///
/// A child after `fork` makes its own: none from before it has sockets there.
///
/// Peers of one `Runtime` reach each other over `inproc://`. All builders use the process-wide one
/// of [`Runtime::global`] unless told otherwise, so `inproc` works without further ado.
///
/// libzmq allows 1,023 sockets in a context. A client or a worker over tcp or ipc takes three of them, one over inproc takes
/// one. A process with more than 340 of them gives some a `Runtime` of their own.
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
    /// The process that it works in.
    process: u32,
    zap: zap::Place,
    insiders: Arc<Insiders>,
}

/// The routing ids of this process' own peers over inproc. What libzmq says of a message cannot tell them from peers of a
/// network, which may leave out what would show a network; these ids are known to nobody else.
struct Insiders {
    secret: [u64; 2],
    made: AtomicU64,
}

impl Runtime {
    /// A context of its own, with one I/O thread.
    pub fn new() -> Self {
        warn_if_old();
        let insiders = Insiders { secret: [clock::seed(), clock::seed()], made: AtomicU64::new(0) };
        let (context, zap) = (zmq::Context::new(), zap::Place::default());
        Runtime { context, process: std::process::id(), zap, insiders: Arc::new(insiders) }
    }

    /// The context of the process, made at its first use. A child after `fork` has another one.
    pub fn global() -> &'static Runtime {
        static FIRST: Global = Global::new();
        let mut global = &FIRST;
        loop {
            let made = global.made.get_or_init(|| (Runtime::new(), Box::new(Global::new())));
            let (runtime, of_child) = made;
            if runtime.process == std::process::id() {
                return runtime;
            }
            global = of_child;
        }
    }

    /// A socket. In a child after `fork` there are none of a context that its parent has made: ENOTSUP.
    pub(super) fn socket(&self, kind: zmq::SocketType) -> zmq::Result<zmq::Socket> {
        if self.process != std::process::id() {
            tracing::error!(
                "this context was made before the process was forked, and works in its parent only; make a `Runtime` in the child"
            );
            return Err(zmq::Error::ENOTSUP);
        }
        self.context.socket(kind)
    }

    /// A routing id for a socket of this process that connects over inproc.
    pub(super) fn insider(&self) -> Vec<u8> {
        let number = self.insiders.made.fetch_add(1, Ordering::Relaxed);
        [&self.insiders.prefix()[..], &number.to_be_bytes()].concat()
    }

    /// Whether a routing id is one that [`insider`](Self::insider) has made.
    pub(super) fn is_insider(&self, route: &[u8]) -> bool {
        route.starts_with(&self.insiders.prefix())
    }
}

impl Runtime {
    /// The context's handler of ZAP, if there is one.
    pub(super) fn zap(&self) -> &zap::Place {
        &self.zap
    }
}

/// The context of a process, and the place for that of its children.
struct Global {
    made: OnceLock<(Runtime, Box<Global>)>,
}

impl Global {
    const fn new() -> Self {
        Global { made: OnceLock::new() }
    }
}

impl Insiders {
    /// It begins otherwise than the ids that a ROUTER makes.
    fn prefix(&self) -> [u8; 17] {
        let mut prefix = [1; 17];
        let secret = self.secret.iter().flat_map(|part| part.to_be_bytes());
        prefix.iter_mut().skip(1).zip(secret).for_each(|(place, byte)| *place = byte);
        prefix
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
