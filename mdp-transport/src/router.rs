//! The broker's socket, by either transport.

use std::sync::Arc;

use bytes::Bytes;
use mdp_protocol::wire::SIGNATURE;
use mdp_protocol::{Identity, Limits, Span, Time};

use crate::arrival::{Content, Unproven};
use crate::context::{Context, Sockets};
use crate::error::{SocketError, Unsent};
use crate::frame::Frame;
use crate::native::Route;
use crate::packet::OutPacket;
use crate::registration::Registration;
use crate::security::KeyPair;
use crate::waker::{Wakeups, WakeupsKind};
use crate::{buffers, libzmq, native};

/// A bound ROUTER socket, and all events that its thread waits for.
pub struct Router(Kind);

#[allow(clippy::large_enum_variant)] // There is one for each broker.
enum Kind {
    Native(native::Router),
    Libzmq(libzmq::Router),
}

/// A received message.
pub struct Arrival {
    /// The connection that it came over.
    pub from: Origin,
    /// The sender's identity, or the reason why the message belongs to no peer.
    pub identity: Result<Identity, Unproven>,
    /// The message came from a peer of this process.
    pub local: bool,
    /// The frames behind the routing id.
    pub content: Content,
}

/// The sender of a message.
pub struct Origin(Way);

enum Way {
    Native(Route, Option<Arc<str>>),
    Libzmq(libzmq::Sender),
}

impl Origin {
    /// Returns the routing id, for answers.
    pub fn route(&self) -> &[u8] {
        match &self.0 {
            Way::Native(route, _) => route.as_bytes(),
            Way::Libzmq(sender) => sender.route(),
        }
    }

    /// Returns the host of the peer, if the peer is not in this process.
    pub fn address(&mut self) -> Option<&str> {
        match &mut self.0 {
            Way::Native(_, address) => address.as_deref(),
            Way::Libzmq(sender) => sender.address(),
        }
    }
}

/// A connection that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The connection with this routing id.
    Of(Route),
    /// Some connection. Only sending to each peer shows which one.
    Unknown,
}

impl Router {
    /// Makes a socket that is bound to these endpoints. With `curve` it accepts only peers on the registration's list.
    /// The limits apply to received messages.
    ///
    /// # Errors
    ///
    /// An error with an endpoint: it could not be bound. Else the socket could not be made.
    pub fn bind(
        context: &Context,
        limits: &Limits,
        endpoints: &[String],
        curve: Option<(&KeyPair, Registration)>,
        wakeups: Wakeups,
    ) -> Result<Self, SocketError> {
        Ok(Router(match (context.sockets(), wakeups.0) {
            (Sockets::Native(hub), WakeupsKind::Native(wait)) => {
                let curve = curve.map(|(keys, registration)| {
                    let allowed = registration.into_allowed();
                    allowed
                        .map(|allowed| (keys, allowed))
                        .ok_or_else(|| SocketError::of_other_transport("registration"))
                });
                let curve = curve.transpose()?;
                Kind::Native(native::Router::bind(hub, limits, endpoints, curve, wait)?)
            }
            (Sockets::Libzmq(context), WakeupsKind::Libzmq(wakeups)) => {
                let curve = curve.map(|(keys, registration)| {
                    let domain = registration.into_domain();
                    domain
                        .map(|domain| (keys, domain))
                        .ok_or_else(|| SocketError::of_other_transport("registration"))
                });
                let curve = curve.transpose()?;
                Kind::Libzmq(libzmq::Router::bind(context, limits, endpoints, curve, wakeups)?)
            }
            _ => return Err(SocketError::of_other_transport("waker")),
        }))
    }

    /// Returns the endpoints with their ports.
    pub fn endpoints(&self) -> &[String] {
        match &self.0 {
            Kind::Native(router) => router.endpoints(),
            Kind::Libzmq(router) => router.endpoints(),
        }
    }

    /// Receives the next message, if there is one. A message that is not a packet goes into `frames`, which must be
    /// empty. `guarded`: keys have rights of their own, so a peer with a key must not choose its routing id.
    pub fn receive(
        &mut self,
        guarded: bool,
        frames: &mut Vec<Frame>,
    ) -> Result<Option<Arrival>, SocketError> {
        let router = match &mut self.0 {
            Kind::Native(router) => router,
            Kind::Libzmq(router) => {
                let arrived = router.receive(guarded, frames)?;
                return Ok(arrived.map(|arrived| {
                    let libzmq::Arrived { from, identity, local, content } = arrived;
                    Arrival { from: Origin(Way::Libzmq(from)), identity, local, content }
                }));
            }
        };
        let Some(message) = router.receive() else { return Ok(None) };
        let native::Arrived { from, identity, local, packet } = message;
        let content = if packet.first.first() == Some(&SIGNATURE) {
            Content::Packet(packet)
        } else {
            frames.extend(packet.into_frames().into_iter().map(Frame::from));
            Content::Frames
        };
        let address = router.address(from).cloned();
        let from = Origin(Way::Native(from, address));
        Ok(Some(Arrival { from, identity: Ok(identity), local, content }))
    }

    /// Whether [`pause`](Self::pause) has an effect. libzmq reads all connections of a socket or none.
    pub fn can_pause(&self) -> bool {
        matches!(self.0, Kind::Native(_))
    }

    /// Stops reading from the peer with this routing id, or reads from it again. What the peer sends meanwhile waits in its
    /// connection.
    pub fn pause(&mut self, route: &[u8], paused: bool) {
        match &mut self.0 {
            Kind::Native(router) => router.pause(route, paused),
            Kind::Libzmq(_) => {}
        }
    }

    /// Whether there may be a message to receive.
    pub fn is_readable(&mut self) -> bool {
        match &mut self.0 {
            Kind::Native(router) => router.is_readable(),
            Kind::Libzmq(router) => router.is_readable(),
        }
    }

    /// Waits for a message, a lost connection or a call of the waker, and not longer than `timeout`, if there is one.
    pub fn wait(&mut self, timeout: Option<Span>) -> Result<(), SocketError> {
        match &mut self.0 {
            Kind::Native(router) => router.wait(timeout),
            Kind::Libzmq(router) => {
                buffers::rest();
                router.wait(timeout)
            }
        }
    }

    /// Sends a packet to the peer with this routing id, without waiting. `with` is dropped after the packet is written
    /// or discarded, or on an error.
    ///
    /// # Errors
    ///
    /// Nothing was sent, and the packet is still there.
    pub fn send<T: Send + 'static>(
        &mut self,
        route: &[u8],
        packet: &mut OutPacket,
        with: Option<T>,
    ) -> Result<(), Unsent> {
        match &mut self.0 {
            Kind::Native(router) => router.send(route, packet, with),
            Kind::Libzmq(router) => router.send(route, packet, with),
        }
    }

    /// Sends a message of these frames to the peer with this routing id: `heads`, which are copied, then `body`.
    /// [`send`](Self::send) explains `with`.
    ///
    /// # Errors
    ///
    /// Nothing was sent.
    pub fn send_frames<'a, T: Send + 'static>(
        &mut self,
        route: &[u8],
        heads: impl DoubleEndedIterator<Item = &'a [u8]>,
        body: &'a [Bytes],
        with: T,
    ) -> Result<(), Unsent> {
        match &mut self.0 {
            Kind::Native(router) => router.send_frames(route, heads, body, with),
            Kind::Libzmq(router) => router.send_frames(route, heads, body, with),
        }
    }

    /// When to ask next for a [loss](Self::next_loss), at the latest.
    pub fn next_look(&self) -> Option<Time> {
        match &self.0 {
            // Its waits end when a connection is lost.
            Kind::Native(_) => None,
            Kind::Libzmq(router) => router.next_look(),
        }
    }

    /// Returns the next connection that was lost.
    pub fn next_loss(&mut self, now: Time) -> Option<Loss> {
        match &mut self.0 {
            Kind::Native(router) => router.next_lost().map(Loss::Of),
            Kind::Libzmq(router) => router.is_lost(now).then_some(Loss::Unknown),
        }
    }

    /// Returns the peers that have closed their side since the last call, of those whose handshake is over. What they have
    /// sent before is still received; after it the [loss](Self::next_loss) is told. libzmq does not tell.
    pub fn leaving(&mut self) -> Vec<Route> {
        match &mut self.0 {
            Kind::Native(router) => router.leaving(),
            Kind::Libzmq(_) => Vec::new(),
        }
    }

    /// Returns the peers that live although no message of them came since the last call: a part of one did, or waits
    /// because the transport does not read it now. libzmq does not tell.
    pub fn alive(&mut self) -> Vec<Route> {
        match &mut self.0 {
            Kind::Native(router) => router.alive(),
            Kind::Libzmq(_) => Vec::new(),
        }
    }

    /// Whether no new peer can connect any more, because the handler that checks keys has ended.
    pub fn is_blind(&self) -> bool {
        match &self.0 {
            Kind::Native(_) => false,
            Kind::Libzmq(router) => router.is_blind(),
        }
    }

    /// Closes the socket after it has written its messages. Blocks.
    pub fn close(self) {
        match self.0 {
            Kind::Native(router) => router.close(),
            Kind::Libzmq(router) => router.close(),
        }
    }
}
