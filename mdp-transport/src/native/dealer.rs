//! The socket of a worker or a client: the owner's tokio task reads and writes the connection itself.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::Limits;

use super::address::Address;
use super::closing::Closing;
use super::inproc::{Connected, Hub};
use super::stream::{Patience, Stream};
use super::wire::{CLIENT_HANDSHAKE_MS, ClientSide, Event, Wire, fault_of};
use crate::ClientKeys;
use crate::error::{Operation, SocketError};
use crate::packet::{InPacket, OutPacket};
use crate::security::HandshakeFault;

/// The pause before the second attempt to connect; it doubles up to the longest one.
const RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(1);
/// A handshake that takes longer has failed.
const HANDSHAKE: Duration = Duration::from_millis(CLIENT_HANDSHAKE_MS);
/// While this many bytes wait to be written, the socket takes no further message. One for classic MDP does: it has room
/// while it is connected, and the number of its owner's calls limits the messages.
const MAX_WAITING: usize = 256 * 1024;

type Attempt = Pin<Box<dyn Future<Output = Result<State, HandshakeFault>> + Send>>;

enum State {
    /// Waits, resolves names, connects, makes the handshake.
    Connecting(Attempt),
    Connected(Box<(Stream, Wire)>),
    Inside(Connected),
    Lost,
}

/// A socket that connects to one endpoint, and tries again until it is connected. A connection that breaks later is made
/// again only for classic MDP; else the socket is [lost](Self::is_lost).
pub(crate) struct Dealer {
    target: Arc<Target>,
    state: State,
    /// The pause before the next attempt.
    pause: Duration,
    /// The connection was made, and this was not reported yet.
    news: bool,
    /// A part of a message came, and this was not reported yet.
    alive: bool,
    fault: Option<HandshakeFault>,
}

/// Where to connect, and with which keys.
struct Target {
    hub: Arc<Hub>,
    address: Address,
    endpoint: Box<str>,
    side: ClientSide,
    /// A lost connection is made again.
    again: bool,
}

impl Target {
    /// Connects after a pause. Tries again until there is a connection.
    async fn attempt(self: Arc<Self>, pause: Duration) -> Result<State, HandshakeFault> {
        if let Address::Inproc(name) = &self.address {
            return Ok(State::Inside(self.hub.connected(name).await));
        }
        let mut pause = pause;
        loop {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let connected = Stream::connect(&self.address, Patience::Short).await;
            match connected.and_then(|stream| Ok((stream, self.side.wire()?))) {
                Ok(parts) => return self.shake_hands(parts).await,
                Err(error) => {
                    tracing::debug!(endpoint = &*self.endpoint, %error, "no connection yet");
                    pause = longer(pause);
                }
            }
        }
    }

    async fn shake_hands(&self, parts: (Stream, Wire)) -> Result<State, HandshakeFault> {
        let mut parts = Box::new(parts);
        let (stream, wire) = &mut *parts;
        let handshake = tokio::time::timeout(HANDSHAKE, handshake(stream, wire)).await;
        handshake.unwrap_or(Err(HandshakeFault::Ended)).inspect_err(|fault| {
            tracing::debug!(endpoint = &*self.endpoint, %fault, "the handshake failed");
        })?;
        Ok(State::Connected(parts))
    }
}

async fn handshake(stream: &mut Stream, wire: &mut Wire) -> Result<(), HandshakeFault> {
    loop {
        let event = wire.next();
        // The last words of a failed handshake are for the other side.
        let written = wire.write_all(stream).await;
        match event {
            Err(error) => {
                tracing::debug!(%error, "the handshake failed");
                return Err(fault_of(&error));
            }
            Ok(Some(Event::Ready)) => return written.map_err(|_| HandshakeFault::Ended),
            Ok(Some(Event::Asks(_) | Event::Message(_) | Event::Subscription { .. })) => {}
            Ok(None) => {
                let read = poll_fn(|cx| wire.poll_read(cx, stream)).await;
                read.map_err(|_| HandshakeFault::Ended)?;
            }
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).clamp(RETRY, LONGEST_RETRY)
}

impl Dealer {
    /// Makes a socket that connects in the background. Must be called on tokio.
    ///
    /// With `keys` it speaks CURVE, to the endpoint of this number.
    pub(crate) fn connect(
        hub: &Arc<Hub>,
        endpoint: &str,
        keys: Option<(&ClientKeys, usize)>,
    ) -> Result<Self, SocketError> {
        Dealer::new(hub, endpoint, keys, false)
    }

    /// Makes a socket for a peer of classic MDP. It connects again after each loss.
    pub(crate) fn connect_classic(
        hub: &Arc<Hub>,
        endpoint: &str,
        keys: Option<(&ClientKeys, usize)>,
    ) -> Result<Self, SocketError> {
        Dealer::new(hub, endpoint, keys, true)
    }

    fn new(
        hub: &Arc<Hub>,
        endpoint: &str,
        keys: Option<(&ClientKeys, usize)>,
        again: bool,
    ) -> Result<Self, SocketError> {
        let keys = match keys {
            None => None,
            Some((keys, number)) => {
                let server = keys.server(number).ok_or_else(SocketError::no_endpoint)?;
                Some((keys.own(), server))
            }
        };
        let address = Address::of(endpoint)
            .map_err(|error| SocketError::of_system(Operation::Connect, Some(endpoint), error))?;
        let hub = Arc::clone(hub);
        let side = ClientSide::new(keys);
        let target = Target { hub, address, endpoint: endpoint.into(), side, again };
        Ok(Dealer::of(Arc::new(target)))
    }

    fn of(target: Arc<Target>) -> Self {
        let state = State::Connecting(Box::pin(Arc::clone(&target).attempt(Duration::ZERO)));
        Dealer { target, state, pause: Duration::ZERO, news: false, alive: false, fault: None }
    }

    /// Reports the worst failed handshake since the last call.
    pub(crate) fn look_around(&mut self) -> Option<HandshakeFault> {
        self.fault.take()
    }

    /// Whether the connection was made since the last call.
    pub(crate) fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Whether a part of a message came since the last call.
    pub(crate) fn take_alive(&mut self) -> bool {
        std::mem::take(&mut self.alive)
    }

    /// Whether the connection was lost.
    pub(crate) fn is_lost(&self) -> bool {
        match &self.state {
            // A fault is reported first: it says more.
            State::Lost => self.fault.is_none(),
            State::Inside(connected) => connected.is_lost(),
            State::Connecting(_) | State::Connected(_) => false,
        }
    }

    /// Moves the socket to the tokio runtime of the caller.
    pub(crate) fn moved(self) -> Result<Self, SocketError> {
        let state = match self.state {
            // Its timers and streams belong to the runtime that it leaves.
            State::Connecting(_) => return Ok(Dealer::of(self.target)),
            State::Connected(parts) => {
                let (stream, wire) = *parts;
                let stream = stream
                    .moved()
                    .map_err(|error| SocketError::of_system(Operation::Use, None, error))?;
                State::Connected(Box::new((stream, wire)))
            }
            state @ (State::Inside(_) | State::Lost) => state,
        };
        Ok(Dealer { state, ..self })
    }

    /// Ends the socket after it has written its messages.
    pub(crate) fn into_closing(self) -> Closing {
        match self.state {
            State::Connected(parts) => Closing::of(vec![*parts]),
            State::Connecting(_) | State::Inside(_) | State::Lost => Closing::of(Vec::new()),
        }
    }

    /// Closes the socket at once and drops its messages.
    pub(crate) fn discard(self) {
        self.into_closing().discard();
    }

    /// Receives the next message, if there is one.
    pub(crate) fn receive(&mut self, limits: &Limits) -> Option<InPacket> {
        let mut cx = TaskContext::from_waker(Waker::noop());
        loop {
            let (stream, wire) = match &mut self.state {
                State::Inside(connected) => return connected.receive(),
                State::Connecting(_) | State::Lost => return None,
                State::Connected(parts) => &mut **parts,
            };
            match wire.next() {
                Ok(Some(Event::Message(mut packet))) => {
                    packet.frames.truncate(limits.frames);
                    // It says so itself.
                    self.alive = false;
                    return Some(packet);
                }
                Ok(Some(Event::Ready | Event::Asks(_) | Event::Subscription { .. })) => {}
                Ok(None) => match wire.poll_read(&mut cx, stream) {
                    Poll::Ready(Ok(())) => self.alive = true,
                    Poll::Ready(Err(error)) => self.lose(&error),
                    Poll::Pending => return None,
                },
                Err(error) => self.lose(&error),
            }
        }
    }

    /// Whether the next receive finds a message, or a lost connection, without a look at the stream.
    pub(crate) fn is_readable(&self) -> bool {
        match &self.state {
            State::Inside(connected) => connected.has_messages() || connected.is_lost(),
            State::Connected(parts) => parts.1.has_input(),
            State::Connecting(_) => false,
            State::Lost => true,
        }
    }

    /// Whether a message can be sent now. For classic MDP this is whether there is a connection.
    pub(crate) fn has_room(&self) -> bool {
        match &self.state {
            State::Connected(parts) => self.target.again || parts.1.waiting() < MAX_WAITING,
            State::Inside(connected) => connected.has_room() && !connected.is_lost(),
            State::Connecting(_) | State::Lost => false,
        }
    }

    /// Sends a packet. `false`: there is no connection, or no room, and the packet is unchanged.
    pub(crate) fn send(&mut self, packet: &mut OutPacket) -> bool {
        if !self.has_room() {
            return false;
        }
        match &mut self.state {
            State::Inside(connected) => connected.send(packet.take()),
            State::Connected(parts) => parts.1.put(packet, None),
            State::Connecting(_) | State::Lost => return false,
        }
        self.write();
        true
    }

    /// Sends a message of these frames. `false`: as for [`send`](Self::send).
    pub(crate) fn send_frames(&mut self, frames: &[Bytes]) -> bool {
        if !self.has_room() {
            return false;
        }
        match &mut self.state {
            State::Inside(connected) => {
                let mut frames = frames.iter().cloned();
                let first = frames.next().unwrap_or_default();
                connected.send(InPacket { first, frames: frames.collect() });
            }
            State::Connected(parts) => parts.1.put_frames(std::iter::empty(), frames, None),
            State::Connecting(_) | State::Lost => return false,
        }
        self.write();
        true
    }

    /// Writes what waits, as far as the connection takes it.
    fn write(&mut self) {
        let State::Connected(parts) = &mut self.state else { return };
        let (stream, wire) = &mut **parts;
        if let Err(error) = wire.write(&mut &*stream) {
            // What was received before is read first. Then the read shows the end.
            tracing::debug!(%error, "a connection takes nothing more");
            wire.stop_writing();
        }
    }

    /// The connection is over.
    fn lose(&mut self, error: &dyn std::fmt::Display) {
        tracing::debug!(endpoint = &*self.target.endpoint, %error, "connection lost");
        match self.target.again {
            true => self.try_again(),
            false => self.state = State::Lost,
        }
    }

    fn try_again(&mut self) {
        self.pause = longer(self.pause);
        self.state = State::Connecting(Box::pin(Arc::clone(&self.target).attempt(self.pause)));
    }

    /// Waits for any change: a message, a connection that was made or lost, room to send.
    pub(crate) fn poll_sign(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        // Nobody takes these.
        (self.news, self.fault) = (false, None);
        let to_send = !self.has_room();
        self.poll_ready(cx, to_send)
    }

    /// Waits for a message, for a change of the connection or, with `to_send`, for room to send.
    pub(crate) fn poll_ready(&mut self, cx: &mut TaskContext<'_>, to_send: bool) -> Poll<()> {
        loop {
            if self.news || self.fault.is_some() || (to_send && self.has_room()) {
                return Poll::Ready(());
            }
            match &mut self.state {
                State::Lost => return Poll::Ready(()),
                State::Connecting(attempt) => {
                    let attempt = ready!(attempt.as_mut().poll(cx));
                    self.attempted(attempt);
                }
                State::Inside(connected) => {
                    connected.register(cx);
                    if connected.is_lost() && self.target.again {
                        self.try_again();
                        continue;
                    }
                    let news = connected.has_messages() || connected.is_lost();
                    return match news || (to_send && connected.has_room()) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    };
                }
                State::Connected(_) => return self.poll_connected(cx, to_send),
            }
        }
    }

    /// An attempt to connect has ended.
    fn attempted(&mut self, attempt: Result<State, HandshakeFault>) {
        match attempt {
            Ok(state) => {
                self.state = state;
                (self.news, self.pause) = (true, Duration::ZERO);
            }
            Err(fault) => {
                // Without keys, a connection that ends early says nothing: the broker may just be starting.
                let tells = self.target.side.is_secure() || fault.is_final();
                if tells && self.fault.is_none_or(|known| !known.is_final()) {
                    self.fault = Some(fault);
                }
                match fault.is_final() && !self.target.again {
                    true => self.state = State::Lost,
                    false => self.try_again(),
                }
            }
        }
    }

    fn poll_connected(&mut self, cx: &mut TaskContext<'_>, to_send: bool) -> Poll<()> {
        loop {
            let State::Connected(parts) = &mut self.state else { return Poll::Ready(()) };
            let (stream, wire) = &mut **parts;
            if wire.has_input() {
                return Poll::Ready(());
            }
            if !wire.has_output() || stream.poll_write_ready(cx).is_pending() {
                break;
            }
            self.write();
            if to_send && self.has_room() {
                return Poll::Ready(());
            }
        }
        let State::Connected(parts) = &mut self.state else { return Poll::Ready(()) };
        let (stream, wire) = &mut **parts;
        match wire.poll_read(cx, stream) {
            Poll::Ready(Ok(())) => self.alive = true,
            Poll::Ready(Err(error)) => self.lose(&error),
            Poll::Pending => {
                wire.release();
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}
