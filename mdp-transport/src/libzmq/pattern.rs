//! Sockets of ZeroMQ's other patterns, for tokio tasks.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::io::unix::AsyncFd;
use zmq::SocketEvent;

use super::close::Closing;
use super::context::Context;
use super::curve;
use super::error::{connecting, failed, opening};
use super::frame::{self, Polled};
use super::message::{receive, retry_interrupted};
use super::polled::ready;
use crate::ClientKeys;
use crate::error::SocketError;
use crate::pattern_types::{Pattern, PatternMessage, PatternSettings, Wanted};
use crate::security::KeyPair;

/// Milliseconds for which a closed socket may continue to write its messages.
const LINGER_MS: i32 = 1_000;
/// Milliseconds between libzmq's attempts to connect again: the first time, and the maximum.
const RECONNECT_MS: i32 = 50;
const MAX_RECONNECT_MS: i32 = 1_000;
/// Keepalive of a silent connection: seconds until the first probe, seconds between probes, and the number of probes.
const KEEPALIVE_IDLE_S: i32 = 30;
const KEEPALIVE_EACH_S: i32 = 10;
const KEEPALIVE_TIMES: i32 = 3;

fn socket_type(pattern: Pattern) -> zmq::SocketType {
    match pattern {
        Pattern::Publisher => zmq::XPUB,
        Pattern::Subscriber => zmq::SUB,
        Pattern::Pusher => zmq::PUSH,
        Pattern::Puller => zmq::PULL,
        Pattern::Pair => zmq::PAIR,
    }
}

/// The keys of one side.
pub(crate) enum Keys<'a> {
    /// This side connects to one server.
    Client(&'a ClientKeys),
    /// This side binds, and asks the ZAP handler under this domain.
    Server(&'a KeyPair, &'a str),
}

/// A socket of a pattern.
pub(crate) struct PatternSocket {
    polled: AsyncFd<Polled>,
}

impl PatternSocket {
    /// Makes a socket that is neither bound nor connected. Must be called on tokio.
    pub(crate) fn new(
        context: &Context,
        pattern: Pattern,
        settings: &PatternSettings,
        keys: Option<Keys<'_>>,
    ) -> Result<Self, SocketError> {
        let mut socket = context.socket(socket_type(pattern)).map_err(opening)?;
        match keys {
            None => {}
            Some(Keys::Client(keys)) => {
                let server = keys.server(0).ok_or_else(SocketError::no_endpoint)?;
                curve::set_up_client(&socket, keys.own(), server).map_err(opening)?;
            }
            Some(Keys::Server(keys, domain)) => {
                curve::set_up_server(&mut socket, keys, domain).map_err(opening)?;
            }
        }
        set_up(&socket, pattern, settings).map_err(opening)?;
        Ok(PatternSocket { polled: frame::polled(socket).map_err(opening)? })
    }

    /// Ends the socket after it has written its messages.
    pub(crate) fn into_closing(self) -> Closing {
        Closing(self.polled.into_inner().socket)
    }

    /// Receives the next message, if there is one.
    pub(crate) fn receive(&mut self) -> Result<Option<PatternMessage>, SocketError> {
        let Some(first) = self.frame()? else { return Ok(None) };
        let mut frames = 1;
        let mut more = first.get_more();
        let mut second = None;
        while more {
            // The frames of a message arrive together. Superfluous frames are dropped here, one by one.
            let Some(next) = self.frame()? else { break };
            more = next.get_more();
            frames += 1;
            second.get_or_insert(next);
        }
        let (first, second) = (frame::bytes(first), second.map(frame::bytes));
        Ok(Some(PatternMessage { first, second, frames }))
    }

    /// The next notice of a subscriber to a publisher. For instance, byte 1 and a topic mean a new subscription.
    pub(crate) fn notice(&mut self) -> Result<Option<Bytes>, SocketError> {
        Ok(self.frame()?.map(frame::bytes))
    }

    fn frame(&self) -> Result<Option<zmq::Message>, SocketError> {
        receive(&self.polled.get_ref().socket).map_err(failed)
    }

    /// Sends a message: a topic, if the pattern has topics, and a record. `false`: the socket has no room for it.
    pub(crate) fn send(
        &mut self,
        topic: Option<&Bytes>,
        record: &Bytes,
    ) -> Result<bool, SocketError> {
        let socket = &mut self.polled.get_mut().socket;
        let mut share = |frame: &Bytes, flags| {
            retry_interrupted(|| frame::send_shared(socket, frame.clone(), zmq::DONTWAIT | flags))
        };
        let sent = match topic {
            None => share(record, 0),
            Some(topic) => match share(topic, zmq::SNDMORE) {
                // libzmq accepts all frames of a message if it accepted the first one.
                Ok(()) => return share(record, 0).map(|()| true).map_err(failed),
                refused => refused,
            },
        };
        match sent {
            Ok(()) => Ok(true),
            Err(zmq::Error::EAGAIN) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Sends a message to the subscribers that have room for it. `false`: at least one subscriber had no room.
    pub(crate) fn publish(
        &mut self,
        topic: Option<&Bytes>,
        record: &Bytes,
    ) -> Result<bool, SocketError> {
        if self.send(topic, record)? {
            return Ok(true);
        }
        self.refuse_if_full(false)?;
        let sent = self.send(topic, record);
        self.refuse_if_full(true)?;
        sent.map(|_| false)
    }

    /// Sets whether a message is refused if one of its subscribers has no room for it.
    pub(crate) fn refuse_if_full(&mut self, refuse: bool) -> Result<(), SocketError> {
        frame::set_xpub_nodrop(&mut self.polled.get_mut().socket, refuse).map_err(failed)
    }

    /// Starts or ends a subscription.
    pub(crate) fn subscribe(&mut self, topic: &[u8], add: bool) -> Result<(), SocketError> {
        let socket = &self.polled.get_ref().socket;
        let done = if add { socket.set_subscribe(topic) } else { socket.set_unsubscribe(topic) };
        done.map_err(failed)
    }

    /// Waits for one of these events.
    pub(crate) async fn ready(&mut self, wanted: Wanted) -> Result<(), SocketError> {
        let mut events = zmq::PollEvents::empty();
        events.set(zmq::POLLIN, wanted.message);
        events.set(zmq::POLLOUT, wanted.room);
        ready(&mut self.polled, events).await.map_err(failed)
    }

    /// Binds an endpoint. Returns the endpoint with its port.
    pub(crate) fn bind(&mut self, endpoint: &str) -> Result<String, SocketError> {
        super::router::bind(&self.polled.get_ref().socket, endpoint)
    }

    /// Connects to an endpoint.
    pub(crate) fn connect(&mut self, endpoint: &str) -> Result<(), SocketError> {
        let socket = &self.polled.get_ref().socket;
        // With IPv6 enabled, libzmq resolves names to IPv6 only, and `localhost` would miss most peers.
        let named = socket.set_ipv6(endpoint.contains('['));
        named.and_then(|()| socket.connect(endpoint)).map_err(connecting(endpoint))
    }

    /// Disconnects from an endpoint.
    pub(crate) fn disconnect(&mut self, endpoint: &str) -> Result<(), SocketError> {
        self.polled.get_ref().socket.disconnect(endpoint).map_err(connecting(endpoint))
    }

    /// Watches the connections that this side makes. Must be called on tokio, before the socket connects.
    pub(crate) fn watch(&mut self, context: &Context) -> Result<Connections, SocketError> {
        Connections::watch(context, &self.polled.get_ref().socket).map_err(opening)
    }
}

/// The events of a socket's connections. It must be [ended](Self::end) before it is dropped, while the socket lives:
/// libzmq's I/O thread waits for a reader of its events.
pub(crate) struct Connections {
    events: AsyncFd<Polled>,
}

impl Connections {
    fn watch(context: &Context, socket: &zmq::Socket) -> zmq::Result<Self> {
        let place = place();
        let wanted = [
            SocketEvent::CONNECTED,
            SocketEvent::CONNECT_DELAYED,
            SocketEvent::CONNECT_RETRIED,
            SocketEvent::DISCONNECTED,
        ];
        // The reader comes first, because libzmq's I/O thread waits for a reader.
        let events = context.socket(zmq::PAIR)?;
        events.set_linger(0)?;
        // With a limit, a full queue would make libzmq's I/O thread wait for this task.
        events.set_rcvhwm(0)?;
        events.connect(&place)?;
        let events = frame::polled(events)?;
        socket.monitor(&place, wanted.iter().map(|event| i32::from(event.to_raw())).sum())?;
        Ok(Connections { events })
    }

    /// Stops watching.
    pub(crate) fn end(self, socket: &mut PatternSocket) {
        // This replaces the reader by a place without a reader and without events. An error means that there are no
        // events at all.
        if let Err(error) = socket.polled.get_ref().socket.monitor(&place(), 0) {
            tracing::debug!(%error, "could not stop watching a socket");
        }
        drop(self.events);
    }

    /// Waits for an event.
    pub(crate) async fn ready(&mut self) -> Result<(), SocketError> {
        ready(&mut self.events, zmq::POLLIN).await.map_err(failed)
    }

    /// Returns the next event, if there is one: whether a connection was lost, and its address. `false`: the connection
    /// was made, or is being made.
    pub(crate) fn next_change(&mut self) -> Option<(bool, String)> {
        let socket = &self.events.get_ref().socket;
        // An event has two frames: its number and a value, then an address.
        while let Some(event) = receive(socket).ok().flatten() {
            let Some(number) = event.first_chunk::<2>().copied() else { continue };
            if !event.get_more() {
                continue;
            }
            let address = receive(socket).ok().flatten()?;
            let lost = u16::from_ne_bytes(number) == SocketEvent::DISCONNECTED.to_raw();
            return Some((lost, String::from_utf8_lossy(&address).into_owned()));
        }
        None
    }
}

/// An unused address for events.
fn place() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("inproc://mdp.reconnect.{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn set_up(socket: &zmq::Socket, pattern: Pattern, settings: &PatternSettings) -> zmq::Result<()> {
    let waiting = i32::try_from(settings.waiting).unwrap_or(i32::MAX);
    socket.set_maxmsgsize(i64::try_from(settings.frame_bytes).unwrap_or(i64::MAX))?;
    socket.set_sndhwm(waiting)?;
    socket.set_rcvhwm(waiting)?;
    socket.set_linger(LINGER_MS)?;
    socket.set_reconnect_ivl(RECONNECT_MS)?;
    socket.set_reconnect_ivl_max(MAX_RECONNECT_MS)?;
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_idle(KEEPALIVE_IDLE_S)?;
    socket.set_tcp_keepalive_intvl(KEEPALIVE_EACH_S)?;
    socket.set_tcp_keepalive_cnt(KEEPALIVE_TIMES)?;
    if pattern == Pattern::Publisher {
        // By default only the first subscription to a topic is reported.
        socket.set_xpub_verbose(settings.verbose)?;
    }
    Ok(())
}
