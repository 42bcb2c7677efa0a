//! The socket of a worker or a client, by either transport.

use std::future::poll_fn;
use std::task;

use bytes::Bytes;
use mdp_protocol::Limits;

use crate::context::{Context, Sockets};
use crate::error::SocketError;
use crate::packet::{InPacket, OutPacket};
use crate::security::HandshakeFault;
use crate::{ClientKeys, buffers, libzmq, native};

/// A DEALER socket that connects to one endpoint. [`into_closing`](Dealer::into_closing) or
/// [`discard`](Dealer::discard) must end it.
pub struct Dealer(Kind);

#[allow(clippy::large_enum_variant)] // There is one for each peer.
enum Kind {
    Native(native::Dealer),
    Libzmq(libzmq::Dealer),
}

/// A socket that will be closed. If it is dropped instead, it continues to write its messages for the linger time.
pub struct Closing(ClosingKind);

#[allow(clippy::large_enum_variant)] // There is one for each peer, once.
enum ClosingKind {
    Native(native::Closing),
    Libzmq(libzmq::Closing),
}

impl Dealer {
    /// Makes a socket that connects in the background. Must be called on tokio.
    ///
    /// With `keys` it speaks CURVE, to the endpoint of this number. It is watched: see [`look_around`](Self::look_around).
    pub fn connect(
        context: &Context,
        endpoint: &str,
        keys: Option<(&ClientKeys, usize)>,
    ) -> Result<Self, SocketError> {
        context.check()?;
        Ok(Dealer(match context.sockets() {
            Sockets::Native(hub) => Kind::Native(native::Dealer::connect(hub, endpoint, keys)?),
            Sockets::Libzmq(context) => {
                Kind::Libzmq(libzmq::Dealer::connect(context, endpoint, keys)?)
            }
        }))
    }

    /// Makes a socket that is not watched. With `immediate`, the socket has room to send only while there is a
    /// connection, so [`look`](Self::look) shows whether there is one.
    pub fn connect_classic(
        context: &Context,
        endpoint: &str,
        keys: Option<(&ClientKeys, usize)>,
        immediate: bool,
    ) -> Result<Self, SocketError> {
        context.check()?;
        Ok(Dealer(match context.sockets() {
            Sockets::Native(hub) => {
                Kind::Native(native::Dealer::connect_classic(hub, endpoint, keys)?)
            }
            Sockets::Libzmq(context) => {
                Kind::Libzmq(libzmq::Dealer::connect_classic(context, endpoint, keys, immediate)?)
            }
        }))
    }

    /// Checks for changes of the connection. Returns the worst failed handshake since the last call.
    pub fn look_around(&mut self) -> Option<HandshakeFault> {
        match &mut self.0 {
            Kind::Native(dealer) => dealer.look_around(),
            Kind::Libzmq(dealer) => dealer.look_around(),
        }
    }

    /// Whether the connection was made since the last call. Reports what [`look_around`](Self::look_around) has found.
    pub fn take_made(&mut self) -> bool {
        match &mut self.0 {
            Kind::Native(dealer) => dealer.take_made(),
            Kind::Libzmq(dealer) => dealer.take_made(),
        }
    }

    /// Whether a part of a message came since the last call. libzmq does not tell.
    pub fn take_alive(&mut self) -> bool {
        match &mut self.0 {
            Kind::Native(dealer) => dealer.take_alive(),
            Kind::Libzmq(_) => false,
        }
    }

    /// Whether the connection was lost. Reports what [`look_around`](Self::look_around) has found.
    pub fn is_lost(&self) -> bool {
        match &self.0 {
            Kind::Native(dealer) => dealer.is_lost(),
            Kind::Libzmq(dealer) => dealer.is_lost(),
        }
    }

    /// Moves the socket to the tokio runtime of the caller.
    pub fn moved(self) -> Result<Self, SocketError> {
        Ok(Dealer(match self.0 {
            Kind::Native(dealer) => Kind::Native(dealer.moved()?),
            Kind::Libzmq(dealer) => Kind::Libzmq(dealer.moved()?),
        }))
    }

    /// Ends the socket after it has written its messages.
    pub fn into_closing(self) -> Closing {
        Closing(match self.0 {
            Kind::Native(dealer) => ClosingKind::Native(dealer.into_closing()),
            Kind::Libzmq(dealer) => ClosingKind::Libzmq(dealer.into_closing()),
        })
    }

    /// Closes the socket at once and drops its messages. If this fails, the messages may still be written.
    pub fn discard(self) -> Result<(), SocketError> {
        match self.0 {
            Kind::Native(dealer) => {
                dealer.discard();
                Ok(())
            }
            Kind::Libzmq(dealer) => dealer.discard(),
        }
    }

    /// Receives the next message, if there is one. Frames beyond the limit are dropped.
    pub fn receive(&mut self, limits: &Limits) -> Result<Option<InPacket>, SocketError> {
        match &mut self.0 {
            Kind::Native(dealer) => Ok(dealer.receive(limits)),
            Kind::Libzmq(dealer) => {
                buffers::rest();
                dealer.receive(limits)
            }
        }
    }

    /// Whether the next receive returns a message or an error.
    pub fn is_readable(&self) -> bool {
        match &self.0 {
            Kind::Native(dealer) => dealer.is_readable(),
            Kind::Libzmq(dealer) => dealer.is_readable(),
        }
    }

    /// Whether there is a message to receive, and whether there is room to send. Both need one call, because a call
    /// also clears the signal for the other event. An error counts as a message to receive.
    pub fn look(&self) -> (bool, bool) {
        match &self.0 {
            Kind::Native(dealer) => (dealer.is_readable(), dealer.has_room()),
            Kind::Libzmq(dealer) => dealer.look(),
        }
    }

    /// Sends a packet. `false`: the socket is full, and the packet is unchanged.
    pub fn send(&mut self, packet: &mut OutPacket) -> Result<bool, SocketError> {
        match &mut self.0 {
            Kind::Native(dealer) => Ok(dealer.send(packet)),
            Kind::Libzmq(dealer) => dealer.send(packet),
        }
    }

    /// Sends a message of these frames. `false`: the socket has no room for it.
    pub fn send_frames(&mut self, frames: &[Bytes]) -> Result<bool, SocketError> {
        match &mut self.0 {
            Kind::Native(dealer) => Ok(dealer.send_frames(frames)),
            Kind::Libzmq(dealer) => dealer.send_frames(frames),
        }
    }

    /// Waits for a signal that the socket's state has changed. After each send and receive, the caller must check the
    /// state before it waits.
    pub fn poll_sign(&mut self, cx: &mut task::Context<'_>) -> task::Poll<()> {
        match &mut self.0 {
            Kind::Native(dealer) => dealer.poll_sign(cx),
            Kind::Libzmq(dealer) => dealer.poll_sign(cx),
        }
    }

    /// Waits for a message, for a change of the connection or, with `to_send`, for room to send.
    pub async fn ready(&mut self, to_send: bool) {
        match &mut self.0 {
            Kind::Native(dealer) => poll_fn(|cx| dealer.poll_ready(cx, to_send)).await,
            Kind::Libzmq(dealer) => dealer.ready(to_send).await,
        }
    }
}

impl Closing {
    pub(crate) fn of_native(closing: native::Closing) -> Self {
        Closing(ClosingKind::Native(closing))
    }

    pub(crate) fn of_libzmq(closing: libzmq::Closing) -> Self {
        Closing(ClosingKind::Libzmq(closing))
    }
}

/// Closes sockets, and waits until the other sides have got their messages, but not longer than the linger time.
pub async fn close_all(context: &Context, sockets: Vec<Closing>) {
    let mut of_libzmq = Vec::new();
    for socket in sockets {
        match socket.0 {
            ClosingKind::Native(closing) => closing.close().await,
            ClosingKind::Libzmq(closing) => of_libzmq.push(closing),
        }
    }
    if let Sockets::Libzmq(context) = context.sockets() {
        libzmq::close_all(context, of_libzmq).await;
    }
}
