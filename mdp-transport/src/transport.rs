//! The two ways of moving bytes.

/// Which code moves the bytes of tcp, ipc and inproc. Both speak the same protocol, so peers of one reach peers of the
/// other over tcp and ipc.
///
/// Default: native.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// The toolkit's own sockets. A worker's or a client's tokio task reads and writes its connection itself, and the
    /// broker's thread all connections of the broker.
    #[default]
    Native,
    /// The library libzmq, which moves all bytes on threads of its own. Needs the feature `zmq`.
    #[cfg(feature = "zmq")]
    Libzmq,
}

impl Transport {
    /// The environment variable that names the transport of [`Context::new`](crate::Context::new) and
    /// [`Context::global`](crate::Context::global): `native` or `libzmq`.
    pub const VARIABLE: &'static str = "MDP_TRANSPORT";

    /// The transport that the environment names.
    pub(crate) fn of_environment() -> Self {
        match std::env::var(Transport::VARIABLE).as_deref() {
            Ok("native") => Transport::Native,
            #[cfg(feature = "zmq")]
            Ok("libzmq") => Transport::Libzmq,
            Ok("") | Err(_) => Transport::default(),
            Ok(other) => {
                let (variable, used) = (Transport::VARIABLE, Transport::default());
                tracing::warn!(variable, other, ?used, "this program has no such transport");
                used
            }
        }
    }
}
