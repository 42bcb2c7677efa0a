//! Sockets of ZeroMQ's patterns that need no broker. They are libzmq's.

pub use crate::libzmq::pattern::{
    Connections, Pattern, PatternMessage, PatternSettings, PatternSocket, Wanted,
};

use crate::context::{Context, Sockets};
use crate::dealer::Closing;
use crate::error::SocketError;
use crate::libzmq::pattern::Keys;
use crate::registration::Registration;
use crate::security::KeyPair;
use crate::security::curve::ClientKeys;

/// The keys of one side.
pub enum PatternKeys<'a> {
    /// This side connects to one server.
    Client(&'a ClientKeys),
    /// This side binds, and accepts the peers on the list of the registration, which must be
    /// [of libzmq](Registration::of_libzmq).
    Server(&'a KeyPair, &'a Registration),
}

/// Makes a socket that is neither bound nor connected. Must be called on tokio.
pub fn open(
    context: &Context,
    pattern: Pattern,
    settings: &PatternSettings,
    keys: Option<PatternKeys<'_>>,
) -> Result<PatternSocket, SocketError> {
    let keys = match keys {
        None => None,
        Some(PatternKeys::Client(keys)) => Some(Keys::Client(keys)),
        Some(PatternKeys::Server(keys, registration)) => {
            let domain = registration.domain().ok_or_else(SocketError::no_domain)?;
            Some(Keys::Server(keys, domain))
        }
    };
    match context.sockets() {
        Sockets::Native(_) => Err(SocketError::no_domain()),
        Sockets::Libzmq(context) => PatternSocket::new(context, pattern, settings, keys),
    }
}

/// Watches the connections that a socket makes. Must be called on tokio, before the socket connects.
pub fn watch(context: &Context, socket: &mut PatternSocket) -> Result<Connections, SocketError> {
    match context.sockets() {
        Sockets::Native(_) => Err(SocketError::no_domain()),
        Sockets::Libzmq(context) => socket.watch(context),
    }
}

/// Ends a socket after it has written its messages.
pub fn into_closing(socket: PatternSocket) -> Closing {
    Closing::of_libzmq(socket.into_closing())
}
