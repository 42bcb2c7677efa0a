//! A DEALER socket for a tokio task: it connects, watches its connection and waits. `message` receives and sends.

use std::task::{self, Poll, ready};

use tokio::io::unix::AsyncFd;

use super::close::Closing;
use super::context::Context;
use super::curve;
use super::error::{connecting, failed, opening};
use super::frame::{self, Polled};
use super::polled;
use super::watch::Watch;
use crate::ClientKeys;
use crate::error::SocketError;
use crate::security::HandshakeFault;

/// The largest frame in bytes that a peer accepts from a broker.
const FRAME_BYTES: i64 = 64 << 20;
/// Milliseconds for which a closed socket may continue to write its messages.
const LINGER_MS: i32 = 1_000;
/// Milliseconds between libzmq's own attempts to connect again: the first time, and the maximum.
const RECONNECT_MS: i32 = 50;
const MAX_RECONNECT_MS: i32 = 1_000;

/// A DEALER socket that connects to one endpoint. [`into_closing`](Dealer::into_closing) or
/// [`discard`](Dealer::discard) must end it: a drop alone would not end its watch.
pub(crate) struct Dealer {
    polled: AsyncFd<Polled>,
    /// `None` over inproc: such a connection does not break.
    watch: Option<Watch>,
    /// CURVE is on, so failed handshakes are reported.
    secure: bool,
}

impl Dealer {
    /// Makes a socket that connects in the background. Must be called on tokio.
    ///
    /// With `keys` it speaks CURVE, to the endpoint of this number. It is watched: see [`look_around`](Self::look_around).
    pub(crate) fn connect(
        context: &Context,
        endpoint: &str,
        keys: Option<(&ClientKeys, usize)>,
    ) -> Result<Self, SocketError> {
        Dealer::new(context, endpoint, keys, false)?.begin(context, endpoint, true)
    }

    /// Makes a socket that is not watched. With `immediate`, the socket has room to send only while there is a
    /// connection, so [`look`](Self::look) shows whether there is one.
    pub(crate) fn connect_classic(
        context: &Context,
        endpoint: &str,
        keys: Option<(&ClientKeys, usize)>,
        immediate: bool,
    ) -> Result<Self, SocketError> {
        Dealer::new(context, endpoint, keys, immediate)?.begin(context, endpoint, false)
    }

    fn new(
        context: &Context,
        endpoint: &str,
        keys: Option<(&ClientKeys, usize)>,
        immediate: bool,
    ) -> Result<Self, SocketError> {
        let socket = context.socket(zmq::DEALER).map_err(opening)?;
        set_up(&socket, endpoint, immediate).map_err(opening)?;
        if let Some((keys, number)) = keys {
            let server = keys.server(number).ok_or_else(SocketError::no_endpoint)?;
            curve::set_up_client(&socket, keys.own(), server).map_err(opening)?;
        }
        let polled = frame::polled(socket).map_err(opening)?;
        Ok(Dealer { polled, watch: None, secure: keys.is_some() })
    }

    fn begin(
        mut self,
        context: &Context,
        endpoint: &str,
        watched: bool,
    ) -> Result<Self, SocketError> {
        let inproc = endpoint.starts_with("inproc://");
        if watched && !inproc {
            let watch = Watch::begin(context, &self.polled.get_ref().socket);
            self.watch = Some(watch.map_err(opening)?);
        }
        let socket = &self.polled.get_ref().socket;
        let named = match inproc {
            true => socket.set_identity(&context.insider()),
            false => Ok(()),
        };
        let connected = named.and_then(|()| socket.connect(endpoint));
        if connected.is_err() {
            self.unwatch();
        }
        connected.map(|()| self).map_err(connecting(endpoint))
    }

    /// Checks for changes of the connection. Returns the worst failed handshake since the last call.
    pub(crate) fn look_around(&mut self) -> Option<HandshakeFault> {
        let watch = self.watch.as_mut()?;
        watch.look();
        watch.take_fault().filter(|_| self.secure)
    }

    /// Whether the connection was made since the last call. Reports what [`look_around`](Self::look_around) has found.
    pub(crate) fn take_made(&mut self) -> bool {
        self.watch.as_mut().is_some_and(Watch::take_made)
    }

    /// Whether the connection was lost. Reports what [`look_around`](Self::look_around) has found.
    pub(crate) fn is_lost(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_lost)
    }

    fn unwatch(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.end(&mut self.polled.get_mut().socket);
        }
    }

    /// Moves the socket to the tokio runtime of the caller.
    pub(crate) fn moved(self) -> Result<Self, SocketError> {
        let Dealer { polled, watch, secure } = self;
        let watch = watch.map(Watch::moved).transpose().map_err(failed)?;
        let polled = frame::polled(polled.into_inner().socket).map_err(failed)?;
        Ok(Dealer { polled, watch, secure })
    }

    /// Ends the socket after it has written its messages.
    pub(crate) fn into_closing(mut self) -> Closing {
        self.unwatch();
        Closing(self.polled.into_inner().socket)
    }

    /// Closes the socket at once and drops its messages. If this fails, the messages may still be written.
    pub(crate) fn discard(self) -> Result<(), SocketError> {
        self.into_closing().0.set_linger(0).map_err(failed)
    }

    /// The socket, for `message`.
    pub(super) fn socket(&mut self) -> &mut zmq::Socket {
        &mut self.polled.get_mut().socket
    }

    /// Whether the next receive returns a message or an error.
    pub(crate) fn is_readable(&self) -> bool {
        let events = self.polled.get_ref().socket.get_events();
        events.map_or(true, |events| events.contains(zmq::POLLIN))
    }

    /// Whether there is a message to receive, and whether there is room to send. Both need one call, because a call
    /// also clears the signal for the other event. An error counts as a message to receive.
    pub(crate) fn look(&self) -> (bool, bool) {
        match self.polled.get_ref().socket.get_events() {
            Ok(events) => (events.contains(zmq::POLLIN), events.contains(zmq::POLLOUT)),
            Err(_) => (true, false),
        }
    }

    /// Waits for a signal that the socket's state has changed. After each send and receive, the caller must check the
    /// state before it waits.
    pub(crate) fn poll_sign(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        if let Ok(mut guard) = ready!(self.polled.poll_read_ready_mut(cx)) {
            // Clear the edge before checking the state: an edge in between is a new one.
            guard.clear_ready();
        }
        Poll::Ready(())
    }

    /// Waits for a message, for a change of the connection or, with `to_send`, for room to send.
    pub(crate) async fn ready(&mut self, to_send: bool) {
        let Dealer { polled, watch, .. } = self;
        let wanted = if to_send { zmq::POLLIN | zmq::POLLOUT } else { zmq::POLLIN };
        // The next receive returns the error again.
        let _ = match watch {
            None => polled::ready(polled, wanted).await,
            Some(watch) => tokio::select! {
                ready = polled::ready(polled, wanted) => ready,
                () = watch.ready() => Ok(()),
            },
        };
    }
}

fn set_up(socket: &zmq::Socket, endpoint: &str, immediate: bool) -> zmq::Result<()> {
    socket.set_immediate(immediate)?;
    if immediate {
        // With a limit, a full pipe would look like a lost connection. The number of the client's calls limits the
        // waiting messages.
        socket.set_sndhwm(0)?;
    }
    socket.set_linger(LINGER_MS)?;
    socket.set_maxmsgsize(FRAME_BYTES)?;
    socket.set_reconnect_ivl(RECONNECT_MS)?;
    socket.set_reconnect_ivl_max(MAX_RECONNECT_MS)?;
    // With IPv6 enabled, libzmq resolves names to IPv6 only, and `localhost` would miss most brokers.
    socket.set_ipv6(endpoint.contains('['))
}
