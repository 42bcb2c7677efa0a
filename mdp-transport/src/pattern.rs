//! Sockets of ZeroMQ's patterns that need no broker, by either transport.

use std::future::pending;

use bytes::Bytes;

pub use crate::pattern_types::{Lost, Pattern, PatternMessage, PatternSettings, Wanted};

use crate::context::{Context, Sockets};
use crate::dealer::Closing;
use crate::error::SocketError;
use crate::registration::Registration;
use crate::security::KeyPair;
use crate::security::curve::ClientKeys;
use crate::{libzmq, native};

/// The keys of one side.
pub enum PatternKeys<'a> {
    /// This side connects to one server.
    Client(&'a ClientKeys),
    /// This side binds, and accepts the peers on the list of the registration, which must be of the same context. Hold
    /// the registration for as long as peers are to be accepted.
    Server(&'a KeyPair, &'a Registration),
}

/// A socket of a pattern.
///
/// The native one has no thread of its own: bytes move while its owner waits in [`ready`](Self::ready), and in
/// [`drive`](Self::drive).
pub struct PatternSocket(Kind);

#[allow(clippy::large_enum_variant)] // There is one for each socket.
enum Kind {
    Native(native::pattern::PatternSocket),
    Libzmq(libzmq::pattern::PatternSocket),
}

/// Makes a socket that is neither bound nor connected. Must be called on tokio.
pub fn open(
    context: &Context,
    pattern: Pattern,
    settings: &PatternSettings,
    keys: Option<PatternKeys<'_>>,
) -> Result<PatternSocket, SocketError> {
    context.check()?;
    Ok(PatternSocket(match context.sockets() {
        Sockets::Native(hub) => {
            use native::pattern::Keys;
            let keys = match keys {
                None => None,
                Some(PatternKeys::Client(keys)) => Some(Keys::Client(keys)),
                Some(PatternKeys::Server(keys, registration)) => {
                    let allowed = registration
                        .allowed()
                        .ok_or_else(|| SocketError::of_other_transport("registration"))?;
                    Some(Keys::Server(keys, allowed.clone()))
                }
            };
            Kind::Native(native::pattern::PatternSocket::new(hub, pattern, settings, keys)?)
        }
        Sockets::Libzmq(context) => {
            use libzmq::pattern::Keys;
            let keys = match keys {
                None => None,
                Some(PatternKeys::Client(keys)) => Some(Keys::Client(keys)),
                Some(PatternKeys::Server(keys, registration)) => {
                    let domain = registration
                        .domain()
                        .ok_or_else(|| SocketError::of_other_transport("registration"))?;
                    Some(Keys::Server(keys, domain))
                }
            };
            Kind::Libzmq(libzmq::pattern::PatternSocket::new(context, pattern, settings, keys)?)
        }
    }))
}

/// Ends a socket after it has written its messages.
pub fn into_closing(socket: PatternSocket) -> Closing {
    match socket.0 {
        Kind::Native(socket) => Closing::of_native(socket.into_closing()),
        Kind::Libzmq(socket) => Closing::of_libzmq(socket.into_closing()),
    }
}

impl PatternSocket {
    /// Binds an endpoint. Returns the endpoint with its port.
    pub fn bind(&mut self, endpoint: &str) -> Result<String, SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => socket.bind(endpoint),
            Kind::Libzmq(socket) => socket.bind(endpoint),
        }
    }

    /// Connects to an endpoint, now or as soon as a peer binds it, and again after each loss.
    pub fn connect(&mut self, endpoint: &str) -> Result<(), SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => socket.connect(endpoint),
            Kind::Libzmq(socket) => socket.connect(endpoint),
        }
    }

    /// Disconnects from an endpoint.
    pub fn disconnect(&mut self, endpoint: &str) -> Result<(), SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => socket.disconnect(endpoint),
            Kind::Libzmq(socket) => socket.disconnect(endpoint),
        }
    }

    /// Starts or ends a subscription.
    pub fn subscribe(&mut self, topic: &[u8], add: bool) -> Result<(), SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => {
                socket.subscribe(topic, add);
                Ok(())
            }
            Kind::Libzmq(socket) => socket.subscribe(topic, add),
        }
    }

    /// Sends a message: a topic, if the pattern has topics, and a record. `false`: the socket has no room for it.
    ///
    /// A native PUSH or PAIR has room while a peer is connected whose queue is not full. One of libzmq has room for an
    /// endpoint that it connects to from the beginning.
    pub fn send(&mut self, topic: Option<&Bytes>, record: &Bytes) -> Result<bool, SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => socket.send(topic, record),
            Kind::Libzmq(socket) => socket.send(topic, record),
        }
    }

    /// Sends a message to the subscribers that have room for it. `false`: at least one subscriber had no room. From then
    /// on libzmq skips that subscriber without a report, until it has read half of its queue; a native socket reports
    /// each message.
    pub fn publish(&mut self, topic: Option<&Bytes>, record: &Bytes) -> Result<bool, SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => Ok(socket.publish(topic, record)),
            Kind::Libzmq(socket) => socket.publish(topic, record),
        }
    }

    /// Sets whether a message is refused if one of its subscribers has no room for it.
    pub fn refuse_if_full(&mut self, refuse: bool) -> Result<(), SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => {
                socket.refuse_if_full(refuse);
                Ok(())
            }
            Kind::Libzmq(socket) => socket.refuse_if_full(refuse),
        }
    }

    /// Messages that subscribers have lost since the start: a message counts once for each subscriber that had no room for
    /// it. `None`: libzmq does not tell.
    pub fn lost(&self) -> Option<u64> {
        match &self.0 {
            Kind::Native(socket) => Some(socket.lost()),
            Kind::Libzmq(_) => None,
        }
    }

    /// What each subscriber that is connected now has lost. Empty with libzmq, which does not tell.
    pub fn losses(&self) -> Vec<Lost> {
        match &self.0 {
            Kind::Native(socket) => socket.losses(),
            Kind::Libzmq(_) => Vec::new(),
        }
    }

    /// Receives the next message, if there is one.
    pub fn receive(&mut self) -> Result<Option<PatternMessage>, SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => Ok(socket.receive()),
            Kind::Libzmq(socket) => socket.receive(),
        }
    }

    /// The next notice of a subscriber to a publisher. For instance, byte 1 and a topic mean a new subscription.
    pub fn notice(&mut self) -> Result<Option<Bytes>, SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => Ok(socket.notice()),
            Kind::Libzmq(socket) => socket.notice(),
        }
    }

    /// Waits for one of these events. The future may be dropped at any time.
    pub async fn ready(&mut self, wanted: Wanted) -> Result<(), SocketError> {
        match &mut self.0 {
            Kind::Native(socket) => {
                socket.ready(wanted).await;
                Ok(())
            }
            Kind::Libzmq(socket) => socket.ready(wanted).await,
        }
    }

    /// Moves what can be moved without waiting. An owner that does not come to [`ready`](Self::ready) for a while calls
    /// this meanwhile. libzmq's threads do it without.
    pub fn drive(&mut self) {
        if let Kind::Native(socket) = &mut self.0 {
            socket.drive();
        }
    }
}

/// The events of a socket's connections. It must be [ended](Self::end) before it is dropped, while the socket lives.
///
/// Only libzmq's sockets have events: they give up some connections for good. Native sockets never do.
pub struct Connections(Option<libzmq::pattern::Connections>);

/// Watches the connections that a socket makes. Must be called on tokio, before the socket connects.
pub fn watch(context: &Context, socket: &mut PatternSocket) -> Result<Connections, SocketError> {
    Ok(Connections(match (context.sockets(), &mut socket.0) {
        (Sockets::Libzmq(context), Kind::Libzmq(socket)) => Some(socket.watch(context)?),
        _ => None,
    }))
}

impl Connections {
    /// Stops watching.
    pub fn end(self, socket: &mut PatternSocket) {
        if let (Some(connections), Kind::Libzmq(socket)) = (self.0, &mut socket.0) {
            connections.end(socket);
        }
    }

    /// Waits for an event.
    pub async fn ready(&mut self) -> Result<(), SocketError> {
        match &mut self.0 {
            Some(connections) => connections.ready().await,
            None => pending().await,
        }
    }

    /// Returns the next event, if there is one: whether a connection was lost, and its address. `false`: the connection
    /// was made, or is being made.
    pub fn next_change(&mut self) -> Option<(bool, String)> {
        self.0.as_mut()?.next_change()
    }
}
