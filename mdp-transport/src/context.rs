//! What the sockets of brokers, workers and clients of a process share.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::error::SocketError;
use crate::libzmq;
use crate::native::Hub;
use crate::transport::Transport;

/// What the sockets of brokers, workers and clients share.
///
/// Peers of one `Context` reach each other over `inproc://`. By default all builders use the process-wide
/// [`Context::global`], so `inproc` works without any setup.
///
/// A child after `fork` must make its own: a `Context` from before the fork makes no sockets in the child.
///
/// A context with `Transport::Libzmq` allows 1,023 sockets. A client or a worker over tcp or ipc needs three of them,
/// over inproc one. The native transport has no such limit.
///
/// ```
/// use mdp_runtime::Context;
/// let own = Context::new();
/// let same = own.clone();      // a handle on the same context
/// # drop(same);
/// ```
#[derive(Clone)]
pub struct Context {
    sockets: Sockets,
    /// The process in which the context works.
    process: u32,
}

/// What makes the sockets.
#[derive(Clone)]
pub(crate) enum Sockets {
    Native(Arc<Hub>),
    #[cfg_attr(not(feature = "zmq"), allow(dead_code))] // Then there is no such context.
    Libzmq(libzmq::Context),
}

impl Context {
    /// Makes a new context. Its transport is that of the environment variable `MDP_TRANSPORT`. Default: native.
    pub fn new() -> Self {
        Context::with_transport(Transport::of_environment())
    }

    /// Makes a new context with this transport.
    pub fn with_transport(transport: Transport) -> Self {
        let sockets = match transport {
            Transport::Native => Sockets::Native(Arc::default()),
            #[cfg(feature = "zmq")]
            Transport::Libzmq => Sockets::Libzmq(libzmq::Context::new()),
        };
        Context { sockets, process: std::process::id() }
    }

    /// Returns the context of the process, which is made at its first use. A child after `fork` gets a new one.
    pub fn global() -> &'static Context {
        static FIRST: Global = Global::new();
        let mut global = &FIRST;
        loop {
            let made = global.made.get_or_init(|| (Context::new(), Box::new(Global::new())));
            let (context, of_child) = made;
            if context.is_here() {
                return context;
            }
            global = of_child;
        }
    }

    /// Describes the libzmq of this program, for instance `libzmq 4.3.5 with CURVE`. `None`: it has none.
    pub fn libzmq_version() -> Option<String> {
        libzmq::version()
    }

    /// Whether sockets of this context can have CURVE.
    #[doc(hidden)]
    pub fn has_curve(&self) -> bool {
        match &self.sockets {
            Sockets::Native(_) => true,
            Sockets::Libzmq(_) => libzmq::curve::has_curve(),
        }
    }

    /// Returns the transport of the sockets.
    pub fn transport(&self) -> Transport {
        match &self.sockets {
            Sockets::Native(_) => Transport::Native,
            Sockets::Libzmq(context) => context.transport(),
        }
    }

    /// Whether the context was made in this process.
    fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// Checks that the context was made in this process.
    pub(crate) fn check(&self) -> Result<(), SocketError> {
        if self.is_here() {
            return Ok(());
        }
        tracing::error!(
            "this context was made before the process was forked, and works only in the parent; make a `Context` in the child"
        );
        Err(SocketError::forked())
    }

    /// What makes the sockets.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }
}

/// The context of a process, and the place for the context of a child.
struct Global {
    made: OnceLock<(Context, Box<Global>)>,
}

impl Global {
    const fn new() -> Self {
        Global { made: OnceLock::new() }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("transport", &self.transport()).finish_non_exhaustive()
    }
}
